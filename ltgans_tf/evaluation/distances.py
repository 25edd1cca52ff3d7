"""Distances of generated to real images on an extractor's features, each with its floor.

The floor of a score is the score of real training images in place of the generated ones. It tells how much
of the score is due only to the finite number of images.
"""

import dataclasses

import numpy as np

from ltgans_tf.evaluation import metrics

PER_DIMENSION = 10  # rows that a covariance rests on, for each of its columns
NEIGHBOURS = 5
TOO_FEW = "too few; "  # in each reason that more images would remove
DRAWN = "_drawn"  # suffix of scores of images that are drawn with a domain's code
_SUBSET = 1000
_MANIFOLD = ("precision", "recall", "density", "coverage")


class Absent(Exception):
    """Raised if a score cannot be measured; the message is the reason, one sentence."""


@dataclasses.dataclass(frozen=True, eq=False)
class Real:
    """Features of the real images of one or several domains, or only the moments kept of them.

    Attributes:
      test: float [N, D] of test images, or None if only moments were kept.
      train: float [M, D] of training images, or None.
      test_moments: `metrics.Moments` of all test images.
      train_moments: those of training images, or None.
    """

    test: np.ndarray | None
    train: np.ndarray | None
    test_moments: metrics.Moments
    train_moments: metrics.Moments | None

    @classmethod
    def of(cls, test, train=None):
        """Makes a `Real` of features: `test` is float [N, D], `train` float [M, D] or None."""
        return cls(test, None, metrics.moments(test), None).beside(train)

    def beside(self, train):
        """Returns a copy with other features of training images, float [M, D], or with None."""
        few = train is None or len(train) < 2
        return dataclasses.replace(self, train=train, train_moments=None if few else metrics.moments(train))


def union(members):
    """The `Real` of several domains together, each with the same weight whatever its size.

    Moments are those of the exact mixture. Each domain gives as many rows of features as the smallest one
    has; if one domain has no features, the union has none.
    """
    kept = {}
    for part in ("test", "train"):
        sets = [getattr(member, part) for member in members]
        whole = all(rows is not None for rows in sets)
        kept[part] = _equal_parts(sets) if whole else None
    trains = [member.train_moments for member in members]
    return Real(
        **kept,
        test_moments=metrics.mixture([member.test_moments for member in members]),
        train_moments=None if None in trains else metrics.mixture(trains),
    )


def of_features(extractor, subsets, suffix=""):
    """Returns the scores measured on an extractor's features, with their functions.

    Args:
      extractor: with the names `frechet` and `kernel` of its scores.
      subsets: see `kernel`.
      suffix: DRAWN for images drawn with a domain's code, which have only the first two.

    Returns:
      list of (names of scores, function that computes them from generated features [N, D] and a `Real`).
    """
    frechet, kernel_name = extractor.frechet + suffix, extractor.kernel + suffix
    found = [
        ([frechet], lambda made, real: gaussian(extractor, made, real, suffix)),
        ([kernel_name], lambda made, real: kernel(extractor, made, real, subsets, suffix)),
    ]
    if frechet == "fcd":  # only on the classifier
        found.append((_MANIFOLD, manifold))
    return found


def gaussian(extractor, made, real, suffix=""):
    """Computes the Frechet distance of generated features and its floor.

    Args:
      extractor: with `dimensions` and the name `frechet`.
      made: float [N, D], features of generated images.
      real: `Real`.
      suffix: suffix of the scores' names; DRAWN for images of one domain, drawn with its code.

    Returns:
      {'fcd', 'fcd_floor', 'fcd_images', 'fcd_floor_images'} for an extractor whose `frechet` is
      'fcd', or 'fcd_drawn', 'fcd_drawn_floor' and so on; the two of the floor only if there are
      training images.

    Raises:
      Absent: fewer than 10 D images on a side; with DRAWN, fewer than 10 D generated images or fewer than
        D + 1 test images.
    """
    name, needed = extractor.frechet + suffix, PER_DIMENSION * extractor.dimensions
    _check_count(len(made), "generated images are", needed, extractor.dimensions)
    if suffix == DRAWN:
        _check_count(real.test_moments.count, "test images are", extractor.dimensions + 1)
    else:
        _check_count(real.test_moments.count, "test images are", needed, extractor.dimensions)
    scores = {
        name: metrics.frechet(metrics.moments(made), real.test_moments),
        f"{name}_images": len(made),
    }
    if real.train_moments is not None:
        scores[f"{name}_floor"] = metrics.frechet(real.train_moments, real.test_moments)
        scores[f"{name}_floor_images"] = real.train_moments.count
    return scores


def kernel(extractor, made, real, subsets, suffix=""):
    """Computes the kernel distance of generated features, its standard error and its floor.

    Args:
      extractor, made, real, suffix: see `gaussian`.
      subsets: random subsets of 1,000 rows that are averaged.

    Returns:
      {'kcd', 'kcd_se', 'kcd_floor'} for an extractor whose `kernel` is 'kcd'.

    Raises:
      Absent: only moments of the real images were kept, or a side has fewer than 2 images.
    """
    test, name = _features(real), extractor.kernel + suffix
    _check_count(min(len(made), len(test)), "images on a side are", 2)
    value, error = metrics.kernel_distance(made, test, _SUBSET, subsets)
    scores = {name: value, f"{name}_se": error}
    if real.train is not None and len(real.train) > 1:
        scores[f"{name}_floor"] = metrics.kernel_distance(real.train, test, _SUBSET, subsets)[0]
    return {key: number for key, number in scores.items() if not np.isnan(number)}


def manifold(made, real):
    """Computes precision, recall, density and coverage with k = 5, and their floors.

    All depend on the number of rows, so the same number n of generated, test and training images is used.

    Returns:
      {'precision', 'recall', 'density', 'coverage', each with '_floor', 'manifold_images': n}.

    Raises:
      Absent: only moments of the real images were kept, or a side has 5 images or fewer.
    """
    test = _features(real)
    sides = [made, test] + ([] if real.train is None or len(real.train) <= NEIGHBOURS else [real.train])
    count = min(len(side) for side in sides)
    _check_count(count, "images on a side are", NEIGHBOURS + 1)
    made, test, *train = (_spread(side, count) for side in sides)
    scores = metrics.manifold_scores(test, made, NEIGHBOURS)
    for rows in train:
        floors = metrics.manifold_scores(test, rows, NEIGHBOURS)
        scores |= {f"{name}_floor": floor for name, floor in floors.items()}
    return {**scores, "manifold_images": count}


def mix(assigned, learnt):
    """Computes the domains' shares of the generated images, and compares them with even shares.

    Args:
      assigned: int [N], each image's domain; a value of `learnt` or above stands for no domain.
      learnt: number of domains k.

    Returns:
      (shares, scores): float [k], and 'mix_entropy', -sum p ln p / ln k over the shares of the
      domains learnt scaled to a sum of 1 (1 = even; 1 for k = 1), and 'mix_gap', the largest
      |share - 1/k|.
    """
    shares = np.bincount(assigned, minlength=learnt)[:learnt] / len(assigned)
    total = shares.sum()
    scaled = shares[shares > 0] / total if total else np.ones(1)
    entropy = -np.sum(scaled * np.log(scaled)) / np.log(learnt) if learnt > 1 else 1.0
    return shares, {"mix_entropy": float(entropy), "mix_gap": float(np.max(np.abs(shares - 1 / learnt)))}


def _features(real):
    if real.test is None:
        raise Absent("This score needs test images of every task; of a past task only moments were kept.")
    return real.test


def _check_count(count, what, needed, dimensions=None):
    if count < needed:
        why = "" if dimensions is None else f", {PER_DIMENSION} for each of the {dimensions} features"
        raise Absent(f"{count} {what} {TOO_FEW}{needed} are needed{why}.")


def _equal_parts(sets):
    count = min(len(rows) for rows in sets)
    return np.concatenate([_spread(rows, count) for rows in sets])


def _spread(rows, count):
    """Returns `count` of the rows, spread evenly over all of them, so that no part of a union is left out."""
    return rows[np.linspace(0, len(rows) - 1, count).round().astype(np.int64)]
