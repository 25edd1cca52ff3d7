"""Finds the packages `ltgans_tf.export` and `ltgans_tf.trainers` in a checkout.

A wheel has them in this folder. In a checkout, and with Bazel, they are the folders export/ and trainers/ beside it.
The finder knows only these two names. The parent folder in `__path__` would also expose tests/ and benchmarks/, as
`ltgans_tf.tests` for example. Symbolic links would look like further packages to Bazel.
"""

import importlib.machinery
import os
import sys

_HERE = os.path.dirname(os.path.abspath(__file__))
_BESIDE = ("export", "trainers")


class _Finder:
    """An entry of `sys.meta_path` that finds these two packages."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        package, _, folder = name.rpartition(".")
        if package == "ltgans_tf" and folder in _BESIDE:
            return importlib.machinery.PathFinder.find_spec(name, [os.path.dirname(_HERE)])
        return None


def extend_imports():
    """Outside a wheel, puts the finder before all others, even that of another checkout's editable installation."""
    if not os.path.isfile(os.path.join(_HERE, "trainers", "__init__.py")):
        sys.meta_path.insert(0, _Finder)
