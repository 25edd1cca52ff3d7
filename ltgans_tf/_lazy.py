"""Looks up the public names of a package on first use, so that imports stay fast."""

import importlib

from ltgans_tf import _import_notes


def face(package, homes):
    """Returns `__getattr__`, `__dir__` and `__all__` for the package called `package`.

    Args:
      package: the dotted name of the package, its `__name__`.
      homes: a dict from each public name to the module of the package that defines it; the name of a module maps to
        itself.
    """

    def __getattr__(name):
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        with _import_notes.hidden():
            module = importlib.import_module(f"{package}.{homes[name]}")
        return module if homes[name] == name else getattr(module, name)

    return __getattr__, lambda: sorted(homes), sorted(homes)
