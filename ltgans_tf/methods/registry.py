"""The methods by name: Lifelong Twin GANs and what they are compared with.

Each is a `LifelongModel` in a file of its own and is imported when it is asked for, so that naming
the methods does not wait for TensorFlow. A new method needs a row here and one in `presets.RECIPE_CHANGES`; one that
is no part of the package goes by 'module:Class'.
"""

import importlib

from ltgans_tf.files import near_names
from ltgans_tf.methods import own_code

METHODS = {
    "ltgan": "ltgans_tf.methods.twin_gan:TwinGAN",
    "joint_twins": "ltgans_tf.methods.joint_twins:JointTwins",
    "replay": "ltgans_tf.methods.replay:Replay",
    "finetune": "ltgans_tf.methods.replay:Finetune",
    "joint": "ltgans_tf.methods.joint:Joint",
    "multiband": "ltgans_tf.methods.multiband:Multiband",
    "lgm": "ltgans_tf.methods.lgm:LGM",
    "curl": "ltgans_tf.methods.curl:CURL",
}


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
        module, _, its_class = METHODS[name].partition(":")
        return getattr(importlib.import_module(module), its_class)
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
