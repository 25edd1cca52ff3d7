"""A py_binary for each program of a folder."""

load("@rules_python//python:py_binary.bzl", "py_binary")

def programs(name, modules, package):
    """Makes the programs of the folder of a BUILD file.

    Args:
      name: a target that names them all.
      modules: the modules that are programs, each of which is in the library that has the name of
        the folder.
      package: the package in Python that the folder is.
    """
    folder = native.package_name()
    for module in modules:
        py_binary(
            name = module,
            main_module = package + "." + module,
            deps = [":" + folder],
        )
    native.filegroup(
        name = name,
        srcs = modules,
    )
