"""Tells whether a model repeats its training images, by distances to the nearest of them; needs only NumPy."""

import hashlib

import numpy as np

_COPIES = 0.01  # quantile of the held-out rows' distances below which a row counts as a copy


def nearest(rows, training, chunk=1000):
    """Finds the training row nearest to each row, by Euclidean distance.

    The result is exact: uint8 is compared in whole numbers, floats in float64.

    Args:
      rows, training: [N, P] and [M, P], pixels or features; both uint8 or both of a float type.
      chunk: rows of each set that are compared at a time, so memory does not grow with N and M;
        either set may be a memory map.

    Returns:
      (distances, float64 [N], 0 for a copy; indices of the nearest training rows, int64 [N]). If several
      rows are equally near, the index is that of the first for uint8, of any for floats.

    Raises:
      ValueError: rows or chunk do not fit this description.
    """
    rows, training = np.asarray(rows), np.asarray(training)
    if chunk < 1:
        raise ValueError(f"chunk is {chunk}; compare at least 1 row at a time.")
    _check_alike(rows, training, chunk)
    distances, places = np.empty(len(rows)), np.empty(len(rows), np.int64)
    for block in _slices(len(rows), chunk):
        places[block] = _nearest_places(rows[block], training, chunk)
        # The squares of `_nearest_places` lose small distances in rounding if pixels are floats.
        apart = np.subtract(rows[block], training[places[block]], dtype=np.float64)
        distances[block] = np.sqrt(np.square(apart).sum(axis=1))
    return distances, places


def memorisation(generated, held_out, training, chunk=1000, kept=None):
    """Tells whether generated rows lie nearer to training rows than other real rows do.

    Compares the distances d (see `nearest`) of generated and of held-out rows to the same training rows.
    The held-out rows tell a model that copies from one that is merely good; they must come from the
    source of the training rows and must not duplicate any of them.

    Args:
      generated, held_out, training: [N, P], [M, P] and [K, P] with M of at least 99, pixels or
        features; all uint8 or all of a float type.
      chunk: see `nearest`.
      kept: a dict that keeps the distances of held-out rows for further calls, under hashes of these and of the
        training rows; None to keep nothing.

    Returns:
      dict of floats: 'nearest_ratio', median d of generated over that of held-out rows (1 =
      alike, 0 = copies); 'copies', share of generated rows whose d is at most the 1 % quantile
      of the held-out rows' (0.01 by chance); 'generated_nearer', the probability that a
      generated row is nearer than a held-out one, ties counted half (the Mann-Whitney statistic
      over N * M; 0.5 = alike, as in the test of Meehan et al. 2020).

    Raises:
      ValueError: rows do not fit this description, or more than half of the held-out rows are training
        rows.
    """
    kept = {} if kept is None else kept
    key = _digest(held_out), _digest(training)
    if key not in kept:
        kept[key] = np.sort(nearest(held_out, training, chunk)[0])
    real = kept[key]
    needed = round(1 / _COPIES) - 1
    if len(real) < needed:
        raise ValueError(
            f"there are {len(real)} held-out rows; give at least {needed}, which their 1 % quantile needs."
        )
    if not np.median(real) > 0:
        raise ValueError(
            f"{np.mean(real == 0):.0%} of the held-out rows are training rows; hold out rows that are not."
        )
    made = nearest(generated, training, chunk)[0]
    # A further row of the same distribution falls below Weibull's quantile with a chance of 1 %.
    near = np.quantile(real, _COPIES, method="weibull")
    below, up_to = (np.searchsorted(real, made, side).mean() for side in ("left", "right"))
    return {
        "nearest_ratio": float(np.median(made) / np.median(real)),
        "copies": float(np.mean(made <= near)),
        "generated_nearer": float(1 - (below + up_to) / (2 * len(real))),
    }


def _digest(rows):
    rows = np.ascontiguousarray(rows)
    return rows.shape, rows.dtype.str, hashlib.sha256(rows).digest()


def _nearest_places(queries, training, chunk):
    """Returns the index in `training` of the row nearest to each query."""
    pixels = training.dtype == np.uint8
    # An origin amid the rows keeps sums small; for pixels this makes them exact, see _products.
    origin = np.float32(128) if pixels else np.float64(training[0])
    queries = queries - origin
    least, places = np.full(len(queries), np.inf), np.zeros(len(queries), np.int64)
    every = np.arange(len(queries))
    for block in _slices(len(training), chunk):
        known = training[block] - origin
        # Squared distances, without the square of the query itself.
        squares = np.square(known, dtype=np.float64).sum(axis=1) - 2 * _products(queries, known)
        place = squares.argmin(axis=1)
        nearer = squares[every, place] < least
        least[nearer] = squares[every, place][nearer]
        places[nearer] = place[nearer] + block.start
    return places


def _products(a, b):
    """Returns a @ b^T in float64, exact for float32 rows that hold whole numbers in [-128, 127].

    A float32 is exact for whole numbers up to 2^24, which is 1024 products of at most 2^14. So this
    multiplies 1024 columns at a time, at the speed of float32.
    """
    if a.dtype != np.float32:
        return a @ b.T
    products = np.zeros([len(a), len(b)])
    for columns in _slices(a.shape[1], 1024):
        products += a[:, columns] @ b[:, columns].T
    return products


def _check_alike(rows, training, chunk):
    for name, values in (("rows", rows), ("training rows", training)):
        if values.ndim != 2 or not values.size:
            raise ValueError(
                f"{name} have shape {values.shape}; they must be [N, P] with N and P of at least 1."
            )
    kinds = ["uint8" if x.dtype == np.uint8 else x.dtype.kind for x in (rows, training)]
    if kinds not in (["uint8"] * 2, ["f"] * 2) or rows.shape[1] != training.shape[1]:
        raise ValueError(
            f"rows are {rows.dtype} with {rows.shape[1]} columns and training rows {training.dtype} with"
            f" {training.shape[1]}; give both as uint8 or both as floats of one range, equally wide."
        )
    for name, values in (("rows", rows), ("training rows", training)):
        if kinds[0] == "f" and not all(np.isfinite(values[s]).all() for s in _slices(len(values), chunk)):
            raise ValueError(f"some {name} are not finite; look at what made them before comparing them.")


def _slices(count, size):
    return [slice(i, i + size) for i in range(0, count, size)]
