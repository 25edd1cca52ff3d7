"""The methods by name: Lifelong Twin GANs and what they are compared with.

Each is a `LifelongModel` in a file of its own and is imported when it is asked for, so that naming
the methods does not wait for TensorFlow. A method of the package has its row in `settings.method_table`; one that is no
part of it goes by 'module:Class'.
"""

import importlib

from ltgans_tf.files import near_names
from ltgans_tf.methods import own_code
from ltgans_tf.settings.method_table import METHODS

# What programs and `lt.load` ask of a method's class.
_NEEDED = ("from_architecture", "from_settings", "fit_stream")


def check_method(name):
    """Refuses what can be no method, without importing any: ValueError with the nearest names."""
    if name in METHODS or own_code.NAME.fullmatch(str(name)):
        return
    raise near_names.unknown("method", name, METHODS, ", and MODULE:CLASS for a class of your own")


def method_class(name):
    """Returns the class of the method called `name`.

    Args:
      name: a row of METHODS, or 'module:Class' for a subclass of `LifelongModel` anywhere on Python's
        path. The latter becomes the class's `method`, by which a workdir finds it again.

    Raises:
      ValueError: no method has this name, or no such class is there.
    """
    if name in METHODS:
        module, _, its_class = METHODS[name].path.partition(":")
        return getattr(importlib.import_module(f"ltgans_tf.methods.{module}"), its_class)
    check_method(name)
    found = own_code.find(name)
    if not all(hasattr(found, needed) for needed in _NEEDED):
        module, _, its_class = name.partition(":")
        raise ValueError(
            f"the method is {name!r}, and {module} has no class {its_class} with {', '.join(_NEEDED)}; derive"
            " one from LifelongModel or from a method of this package. (A function is for TwinGAN.from_builder in"
            " Python.)"
        )
    found.method = name
    return found
