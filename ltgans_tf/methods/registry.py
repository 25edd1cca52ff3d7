"""The methods by name: Lifelong Twin GANs and the methods they are compared with.

Each is a `LifelongModel` in its own file, which is imported on first use, so that listing the methods does not wait
for TensorFlow. A method of the package has a row in `settings.method_table`; any other method is named 'module:Class'.
"""

import importlib

from ltgans_tf.files import near_names
from ltgans_tf.methods import own_code
from ltgans_tf.settings.method_table import METHODS

# The attributes that programs and `lt.load` need in a method's class.
_NEEDED = ("from_architecture", "from_settings", "fit_stream")


def check_method(name):
    """Raises a ValueError with the nearest names if `name` cannot be a method; imports no method."""
    if name in METHODS or own_code.NAME.fullmatch(str(name)):
        return
    raise near_names.unknown("method", name, METHODS, ", and MODULE:CLASS for a class of your own")


def method_class(name):
    """Returns the class of the method called `name`.

    Args:
      name: a key of METHODS, or 'module:Class' for a subclass of `LifelongModel` anywhere on Python's
        path. 'module:Class' becomes the class's `method`, by which a workdir finds it again.

    Raises:
      ValueError: no method has this name, or there is no such class.
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
