"""The methods by name: Lifelong Twin GANs and what they are compared with.

Each is a `LifelongModel` in a file of its own and is imported when it is asked for, so that naming
the methods does not wait for TensorFlow. One more is one more row here.
"""

import difflib
import importlib

METHODS = {
    "ltgan": "ltgans_tf.twin_gan:TwinGAN",
    "joint_twins": "ltgans_tf.baselines.joint_twins:JointTwins",
    "replay": "ltgans_tf.baselines.replay:Replay",
    "finetune": "ltgans_tf.baselines.replay:Finetune",
    "joint": "ltgans_tf.baselines.joint:Joint",
    "lgm": "ltgans_tf.baselines.lgm:LGM",
    "curl": "ltgans_tf.baselines.curl:CURL",
}


def method_class(name):
    """Returns the class of the method called `name`.

    Raises:
      ValueError: no method has this name; the message has the nearest ones.
    """
    if name not in METHODS:
        near = difflib.get_close_matches(str(name), METHODS, n=2, cutoff=0.3)
        raise ValueError(
            f"unknown method {name!r}; did you mean {' or '.join(near or METHODS)}?"
            f" There are {', '.join(METHODS)}."
        )
    module, _, its_class = METHODS[name].partition(":")
    return getattr(importlib.import_module(module), its_class)
