"""The cache key of a trained extractor: a hash of all that determines its weights."""

import hashlib

import keras
import numpy as np
import tensorflow as tf
from tensorflow.python.framework import config  # Keras reads it too; it has no public name


def content_hash(domains, seed, epochs, version):
    """Returns a hash of all that determines the weights: images, settings, software and devices; a str of 64 letters.

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
