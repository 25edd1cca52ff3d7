"""Finds code outside the package by 'module:name': a method's class, or a function that builds a model."""

import importlib
import re

# 'my_idea:MyGAN' is MyGAN of my_idea.py.
NAME = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")


def find(name):
    """Imports a module outside the package; returns the object 'module:name', or None if the module has none.

    Raises:
      ValueError: `name` has another form, or there is no such module.
    """
    if not NAME.fullmatch(str(name)):
        raise ValueError(f"the name is {name!r}; name code of your own as 'module:name'.")
    module, _, inside = name.partition(":")
    try:
        return getattr(importlib.import_module(module), inside, None)
    except ModuleNotFoundError as error:
        if not f"{module}.".startswith(f"{error.name}."):
            raise  # an import inside the module failed
        raise ValueError(
            f"the method is {name!r}, and there is no module {error.name!r}; start from the folder that"
            " has it, or add that folder to PYTHONPATH."
        ) from error


def check_lasting(name):
    """Raises a ValueError with the remedy if another program could not import the method `name`."""
    if ":" in name and (name.startswith("__main__:") or not NAME.fullmatch(name)):
        raise ValueError(
            f"the method is {name!r}, which other programs cannot import, so that a workdir could not be loaded;"
            " put it into a file of its own and import it from there, or train without workdir."
        )
