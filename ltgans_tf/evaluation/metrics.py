"""Distances between sets of images, computed on features.

Features are rows of any float type; all computation is in float64. The distances are only as good as the
features, which `features` makes and names.
"""

import dataclasses

import numpy as np

_BLOCK = 2**22  # numbers of a matrix of pairs that are in memory at a time, 32 MiB


@dataclasses.dataclass(frozen=True, eq=False)
class Moments:
    """The Gaussian fitted to a set of features; all that `frechet` needs.

    Attributes:
      count: number of rows.
      mean: float64 [D].
      root: float64 [D, D], an upper triangle R with covariance = R^T R.
    """

    count: int
    mean: np.ndarray
    root: np.ndarray

    @property
    def covariance(self):
        """Float64 [D, D]; unbiased if `moments` computed it."""
        return self.root.T @ self.root


def moments(features, needed=None):
    """Computes the mean and the unbiased covariance of features.

    Args:
      features: float [N, D], at least 2 rows.
      needed: number of rows to require for a covariance, such as ten times D; None requires only 2.

    Returns:
      `Moments`.

    Raises:
      ValueError: features are of another shape, not finite, or fewer than `needed`.
    """
    rows = _rows(features)
    count, width = rows.shape
    if needed is not None and count < needed:
        raise ValueError(
            f"features have {count} rows; a covariance of {width} columns is to rest on {needed}"
            f" at least, so give {needed - count} more images."
        )
    mean = rows.mean(axis=0)
    return Moments(count, mean, _triangle((rows - mean) / np.sqrt(count - 1)))


def mixture(members, weights=None):
    """Computes the exact moments of a mixture of distributions: of a union of tasks, from the moments of each.

    mean = sum_j w_j m_j and covariance = sum_j w_j (C_j + (m_j - mean)(m_j - mean)^T).

    Args:
      members: `Moments`, at least one.
      weights: a number of at least 0 for each member; only the proportions count. None gives all members
        the same weight, however many rows each had.

    Returns:
      `Moments`, whose count is the sum of the members'.
    """
    members = list(members)
    widths = [len(member.mean) for member in members]
    if len(set(widths)) != 1:
        raise ValueError(
            f"members have {widths or 'no'} columns; a mixture takes at least one member, all with"
            " features of one feature_fn."
        )
    shares = np.ones(len(members)) if weights is None else np.asarray(weights, np.float64)
    if shares.shape != (len(members),) or not (np.isfinite(shares).all() and (shares >= 0).all()):
        raise ValueError(
            f"weights are {weights}; give one number of at least 0 for each of the {len(members)} members."
        )
    if not shares.sum() > 0:
        raise ValueError(f"weights are {weights}; at least one must be above 0.")
    shares = shares / shares.sum()
    mean = sum(share * member.mean for share, member in zip(shares, members))
    parts = [
        np.sqrt(share) * np.vstack([member.root, member.mean - mean])
        for share, member in zip(shares, members)
    ]
    return Moments(sum(member.count for member in members), mean, _triangle(np.vstack(parts)))


def frechet(a, b):
    """Computes the Frechet distance of two Gaussians (Heusel et al. 2017, Eq. 6).

    |mu_a - mu_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2)), in float64. The trace of the root is the
    nuclear norm of R_a R_b^T, which is stable for covariances of any rank.

    Args:
      a, b: `Moments`.

    Returns:
      float, at least 0 up to rounding; lower is better. It is biased upwards for small N:
      compare at the same N, with N well above D.
    """
    _same_width(a.mean, b.mean)
    traces = np.square(a.root).sum() + np.square(b.root).sum()
    cross = np.linalg.svd(a.root @ b.root.T, compute_uv=False).sum()
    return float(np.square(a.mean - b.mean).sum() + traces - 2.0 * cross)


def frechet_distance(features_a, features_b):
    """Computes `frechet` of the Gaussians fitted to two sets of features.

    Args:
      features_a, features_b: float [N, D] and [M, D], at least 2 rows each.
    """
    return frechet(moments(features_a), moments(features_b))


def kernel_distance(features_a, features_b, subset_size=1000, subsets=100, seed=0):
    """Computes the kernel distance, the squared MMD of the kernel (x.y / D + 1)^3 (Binkowski et al. 2018).

    The mean of the unbiased estimate over random subsets of both sets, each drawn without
    replacement. For sets of one distribution its expectation is 0 at any N, so it may be negative.

    Args:
      features_a, features_b: float [N, D] and [M, D], at least 2 rows each.
      subset_size: rows of a subset; N or M if that is less.
      subsets: number of subsets; only one is used if it has all rows of both sets.
      seed: int, of the subsets.

    Returns:
      (mean, standard error), floats; lower is better. The error covers only the random
      choice of subsets from these features, not the choice of the images; NaN for one subset.
    """
    a, b = _pair(features_a, features_b)
    size = min(subset_size, len(a), len(b))
    if size < 2 or subsets < 1:
        raise ValueError(
            f"subset_size is {subset_size} and subsets is {subsets}; take subsets of at least 2 rows, and"
            " at least 1 of them."
        )
    if size == len(a) == len(b):
        draws = [(slice(None), slice(None))]
    else:
        rng = np.random.default_rng(seed)
        draws = [[rng.choice(len(s), size, replace=False) for s in (a, b)] for _ in range(subsets)]
    # For few rows or many subsets it is faster to compute the kernel of every pair of rows once.
    if len(a) ** 2 + len(b) ** 2 + len(a) * len(b) < 1.5 * len(draws) * size**2:
        values = _squared_mmds(a, b, *(_chosen(draw, len(s)) for draw, s in zip(zip(*draws), (a, b))))
    else:
        every = np.ones([1, size])
        values = np.concatenate([_squared_mmds(a[i], b[j], every, every) for i, j in draws])
    error = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
    return float(values.mean()), float(error)


def manifold_scores(real_features, fake_features, k=5):
    """Computes precision and recall (Kynkaanniemi et al. 2019), density and coverage (Naeem et al. 2020).

    The neighbourhood of a row is the open ball that reaches to the k-th nearest other row of its
    set. The result is exact, over all pairs, in blocks of constant size.

    Args:
      real_features, fake_features: float [N, D] and [M, D], more than k rows each. All four
        scores depend on N and M: compare at the same N and M.
      k: int, at least 1.

    Returns:
      dict of floats, higher is better: 'precision', the share of fake rows in the
      neighbourhood of any real row; 'recall', the share of real rows in that of any fake row;
      'density', the mean number of real neighbourhoods that a fake row is in, divided by k (about 1
      for sets of one distribution, may be above); 'coverage', the share of real rows with a fake row in
      their neighbourhood.
    """
    real, fake = _pair(real_features, fake_features)
    if k < 1 or k >= min(len(real), len(fake)):
        raise ValueError(
            f"there are {len(real)} real and {len(fake)} fake rows with k of {k}; k must be at least 1,"
            " and each set have more than k rows."
        )
    from sklearn.metrics import pairwise_distances_chunked  # imported here, because it is slow

    real, fake = real - real[0], fake - real[0]  # keeps squares small and whole numbers whole
    # A distance that equals the radius is outside; the margin keeps rounding from deciding otherwise.
    largest = max(np.square(rows).sum(axis=1).max() for rows in (real, fake))
    rounding = 4 * real.shape[1] * np.finfo(np.float64).eps * largest
    real_rims, fake_rims = (_squared_radii(rows, k) - rounding for rows in (real, fake))
    precise, recalled, inside, covered, start = np.zeros(len(fake), bool), 0, 0, 0, 0
    for squares in pairwise_distances_chunked(real, fake, squared=True, working_memory=_BLOCK / 2**17):
        in_real = squares < real_rims[start : start + len(squares), None]
        start += len(squares)
        precise |= in_real.any(axis=0)
        recalled += (squares < fake_rims).any(axis=1).sum()
        inside += np.count_nonzero(in_real)
        covered += in_real.any(axis=1).sum()
    return {
        "precision": float(precise.mean()),
        "recall": float(recalled / len(real)),
        "density": float(inside / (k * len(fake))),
        "coverage": float(covered / len(real)),
    }


def features_of(feature_fn, images, batch_size=250):
    """Applies `feature_fn` ([B, H, W, C] in [-1, 1] -> [B, D]) batch by batch: [N, D] of its dtype.

    `feature_fn` gets slices of `images` as they are, NumPy arrays or tensors.
    """
    if not len(images) or batch_size < 1:
        raise ValueError(
            f"there are {len(images)} images in batches of {batch_size}; give at least 1 image, and batches"
            " of at least 1."
        )
    return np.concatenate(
        [np.asarray(feature_fn(images[i : i + batch_size])) for i in range(0, len(images), batch_size)]
    )


def _rows(features):
    rows = np.asarray(features, np.float64)
    if rows.ndim != 2 or len(rows) < 2 or not rows.shape[1]:
        raise ValueError(
            f"features have shape {rows.shape}; they must be [N, D] with N of at least 2 and D of at least 1."
        )
    finite = np.isfinite(rows).all(axis=1)
    if not finite.all():
        raise ValueError(
            f"{np.sum(~finite)} of {len(rows)} rows of features are not finite, the first of them row"
            f" {np.argmin(finite)}; look at what made them before measuring distances."
        )
    return rows


def _pair(features_a, features_b):
    a, b = _rows(features_a), _rows(features_b)
    _same_width(a[0], b[0])
    return a, b


def _same_width(a, b):
    if a.shape != b.shape:
        raise ValueError(
            f"features have {a.size} and {b.size} columns; both sets must come from one feature_fn."
        )


def _triangle(rows):
    """Returns the upper triangle R [D, D] with R^T R = rows^T rows, also for fewer than D rows."""
    root = np.linalg.qr(rows, mode="r")
    return np.pad(root, [(0, root.shape[1] - len(root)), (0, 0)])


def _squared_radii(rows, k):
    """Returns the squared distance of each row to the k-th nearest other row of its set."""
    from sklearn.neighbors import NearestNeighbors

    nearest = NearestNeighbors(n_neighbors=k, algorithm="brute", metric="sqeuclidean").fit(rows)
    return nearest.kneighbors()[0][:, -1]


def _squared_mmds(a, b, in_a, in_b):
    """Returns an unbiased estimate of the squared MMD from each of S subsets, float64 [S].

    Args:
      in_a, in_b: float64 [S, N] and [S, M], 1 for the rows of a subset and 0 for others; all subsets have
        the same size.
    """
    count = in_a[0].sum()
    within = sum(
        _kernel_sums(rows, rows, has, has) - has @ _kernel_diagonal(rows)
        for rows, has in ((a, in_a), (b, in_b))
    )
    return within / (count * (count - 1)) - 2 * _kernel_sums(a, b, in_a, in_b) / count**2


def _chosen(places, count):
    """Returns float64 [S, count]: 1 at the places of each subset, which are indices or a slice."""
    chosen = np.zeros([len(places), count])
    for row, place in zip(chosen, places):
        row[place] = 1.0
    return chosen


def _kernel_sums(a, b, in_a, in_b):
    """Returns the sum of the kernel over all pairs of rows of each subset: [S]."""
    from sklearn.utils import gen_batches

    total = 0.0
    for block in gen_batches(len(a), max(1, _BLOCK // len(b))):
        values = a[block] @ b.T / a.shape[1] + 1
        total += np.einsum("sr,sr->s", in_a[:, block], in_b @ (values * values * values).T)
    return total


def _kernel_diagonal(rows):
    return (np.square(rows).sum(axis=1) / rows.shape[1] + 1) ** 3
