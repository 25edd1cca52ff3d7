"""The seeds that all generators of random numbers accept: Python's, NumPy's, Keras' and TensorFlow's."""

LARGEST = 2**32 - 1


def check(seed):
    """Raises a ValueError if `seed` is not an integer from 0 to LARGEST."""
    if isinstance(seed, bool) or int(seed) != seed or not 0 <= seed <= LARGEST:
        raise ValueError(f"seed is {seed!r:.60}; it must be an integer from 0 to {LARGEST}.")
