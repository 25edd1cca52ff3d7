"""The cache of trained extractors: a folder of files, each named by a hash of all that decides its weights."""

import hashlib
import logging
import os

import keras
import numpy as np
import tensorflow as tf
from tensorflow.python.framework import config  # has no public name for what Keras asks there too

from ltgans_tf.files import paths

_log = logging.getLogger(__name__)


def folder():
    """Where this user's trained extractors are kept: ltgans_tf in $XDG_CACHE_HOME, or in ~/.cache.

    Returns:
      a path, or None, after a warning, where there is no such place.
    """
    try:
        return os.path.join(paths.local(os.environ.get("XDG_CACHE_HOME") or "~/.cache"), "ltgans_tf")
    except ValueError as error:
        _log.warning("There is no cache of trained extractors: %s", error)
        return None


def content_hash(domains, seed, epochs, version):
    """A hash of all that decides the weights: images, settings, and what computes them; a str of 64 letters.

    Args:
      domains: list of `features.Domain`.
      seed, epochs: of the training.
      version: of the network and its training.
    """
    devices = [device.name for device in tf.config.list_logical_devices("GPU")]
    computed = (tf.__version__, keras.__version__, devices, config.is_op_determinism_enabled())
    digest = hashlib.sha256(f"{version} {seed} {epochs} {computed}".encode())
    for domain in domains:
        labels = None if domain.labels is None else np.asarray(domain.labels, np.int64)
        digest.update(f"{domain.name} {domain.images.shape} {labels is None}".encode())
        digest.update(np.ascontiguousarray(domain.images))
        if labels is not None:
            digest.update(labels)
    return digest.hexdigest()


def read(path, load):
    """Returns `load(path)`; None if the file is missing or, with a warning, cannot be used."""
    try:
        owner = os.stat(path).st_uid
    except FileNotFoundError:
        return None
    except OSError as error:
        _log.warning("The cache cannot be read: %s; the extractor is trained anew.", error)
        return None
    if owner not in (0, os.getuid()):
        _log.warning("%s in the cache is another user's; the extractor is trained anew.", path)
        return None
    try:
        return load(path)
    except ValueError as error:
        _log.warning("The cache has a file that is no good: %s The extractor is trained anew.", error)
        return None
