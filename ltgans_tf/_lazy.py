"""Names of a package that are looked up when they are first used, so that imports stay quick."""

import importlib

from ltgans_tf import _import_notes


def face(package, homes):
    """Returns `__getattr__`, `__dir__` and `__all__` of the package called `package`.

    Args:
      package: the dotted name of the package, its `__name__`.
      homes: a dict from each public name to the module inside the package that defines it; a
        name that is a module of the package itself has its own name there.
    """

    def __getattr__(name):
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        with _import_notes.hidden():
            module = importlib.import_module(f"{package}.{homes[name]}")
        return module if homes[name] == name else getattr(module, name)

    return __getattr__, lambda: sorted(homes), sorted(homes)
