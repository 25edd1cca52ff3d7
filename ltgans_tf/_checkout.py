"""Finds the packages `ltgans_tf.export` and `ltgans_tf.trainers` in a checkout.

A wheel has them in this folder. In a checkout, and with Bazel, they are the folders export/ and trainers/ beside it.
A finder for these two names leaves tests/ and benchmarks/ out, which the parent folder in `__path__` would let in
as `ltgans_tf.tests`, and it needs no symbolic links, which Bazel would read as further packages.
"""

import importlib.machinery
import os
import sys

_HERE = os.path.dirname(os.path.abspath(__file__))
_BESIDE = ("export", "trainers")


class _Finder:
    """One of `sys.meta_path`."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        package, _, folder = name.rpartition(".")
        if package == "ltgans_tf" and folder in _BESIDE:
            return importlib.machinery.PathFinder.find_spec(name, [os.path.dirname(_HERE)])
        return None


def extend_imports():
    """Puts the finder before all others, an editable installation of another checkout among them."""
    if not os.path.isfile(os.path.join(_HERE, "trainers", "__init__.py")):
        sys.meta_path.insert(0, _Finder)
