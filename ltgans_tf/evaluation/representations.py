"""What a model has learnt about the data: how well its codes tell classes and factors apart.

Codes are posterior means (`likelihood.codes`) of test images, float [N, D]; labels and factors are
used only here, never in training. Only test images are used, because the training images of a task are gone
after it is learnt. Accuracies come from 2-fold cross-validation within the test images, so they are lower than
those of a classifier of the whole training split.

Everything is computed in float64, and results depend only on the arguments, `seed` included.
"""

import warnings

import numpy as np

from ltgans_tf.networks import code_paths

_FOLDS = 2
_RESTARTS = 5  # of k-means
_MOST_ITERATIONS = 10_000  # of the probe; it takes tens to hundreds
_PATHS_AT_ONCE = 16


def scores(codes, labels, seed=0):
    """Computes all scores that need only codes and labels, under the names of `scores.SCORES`.

    Args:
      codes: float [N, D].
      labels: ints [N].
      seed: int, of the halves and of k-means.

    Returns:
      dict of floats: 'knn', 'probe', 'purity' and 'chance', their baseline.

    Raises:
      ValueError: codes or labels are of another kind, or too few.
    """
    return {
        "knn": knn_accuracy(codes, labels, seed=seed),
        "probe": probe_accuracy(codes, labels, seed=seed),
        "purity": cluster_purity(codes, labels, seed=seed),
        "chance": chance(labels),
    }


def knn_accuracy(codes, labels, k=5, seed=0):
    """Computes the accuracy of the k-nearest-neighbour rule on codes; higher is better.

    The distance is Euclidean, on unscaled codes. Each stratified half of the images is classified by the other
    half; the result is the mean over both halves. A tie of votes goes to the lower label.

    Args:
      codes: float [N, D].
      labels: ints [N]; classes with a single image are left out.
      k: neighbours that vote, at most as many as half of the images.
      seed: int, of the halves.

    Returns:
      float in [0, 1]; compare with `chance`.

    Raises:
      ValueError: codes or labels of another kind, or too few of them.
    """
    from sklearn.neighbors import KNeighborsClassifier  # pylint: disable=import-outside-toplevel

    codes, labels = _checked(codes, labels)
    if not 1 <= k <= len(labels) // 2:
        raise ValueError(
            f"k is {k}; each half of the {len(labels)} images gives 1 to {len(labels) // 2} neighbours."
        )
    return _cross_validated(KNeighborsClassifier(k), codes, labels, seed)


def probe_accuracy(codes, labels, seed=0):
    """Computes the accuracy of a linear classifier of codes; higher is better.

    Multinomial logistic regression (L2 penalty with C = 1) on codes scaled to mean 0 and variance 1 over the
    half that it is fitted to; halves, arguments, result and errors are as in `knn_accuracy`.
    """
    from sklearn import linear_model, pipeline, preprocessing  # pylint: disable=import-outside-toplevel

    codes, labels = _checked(codes, labels)
    probe = pipeline.make_pipeline(
        preprocessing.StandardScaler(), linear_model.LogisticRegression(max_iter=_MOST_ITERATIONS)
    )
    return _cross_validated(probe, codes, labels, seed)


def cluster_purity(codes, labels, seed=0):
    """Computes the purity of k-means clusters of codes, as many clusters as classes; higher is better.

    This is the share of images whose label is the most frequent one in their cluster, for the k-means++ start
    with the lowest inertia. It is at least `chance`, and higher even for codes without information, the more so
    the fewer images there are per class.

    Args:
      codes: float [N, D].
      labels: ints [N]; classes with a single image are left out.
      seed: int, of the starts.

    Returns:
      float in (0, 1].

    Raises:
      ValueError: codes or labels of another kind, or too few of them.
    """
    from sklearn.cluster import KMeans  # pylint: disable=import-outside-toplevel

    codes, labels = _checked(codes, labels)
    # A collapsed Student gives all images one code; k-means gives no more clusters than distinct codes.
    count = min(len(np.unique(labels)), len(np.unique(codes, axis=0)))
    clusters = KMeans(count, n_init=_RESTARTS, random_state=seed).fit_predict(codes)
    return float(_counts(clusters, labels).max(axis=1).sum() / len(labels))


def chance(labels):
    """Returns the share of the most frequent class: the accuracy of a classifier that sees no code.

    Args:
      labels: ints [N]; classes with a single image are left out, as in the accuracies.

    Returns:
      float in (0, 1).

    Raises:
      ValueError: labels of another kind, or of fewer than two classes.
    """
    labels = _checked_labels(labels)
    labels = labels[_repeated(labels)]
    return float(np.unique(labels, return_counts=True)[1].max() / len(labels))


def mutual_information_gap(codes, factors, bins=20):
    """Computes the mutual information gap, MIG (Chen et al. 2018): does a single latent hold each factor?

    For each factor v: (I(z_j; v) - max_{d != j} I(z_d; v)) / H(v), z_j the latent with the most
    mutual information. I and H are computed from the empirical joint histogram of the codes, with
    each latent cut into `bins` bins of equal width from its least to its greatest value (Locatello et al.
    2019). This overestimates I by about (bins - 1)(values - 1) / 2N nats for each latent; about 10 images
    for each value and bin of a factor keep the error small.

    Args:
      codes: float [N, D], D of at least 2.
      factors: {name: numbers [N]}. Each value of a factor is a category; but a factor of floats with more
        than `bins` values counts as continuous and is cut like a latent, an angle like any number. A factor
        with only one value is left out.
      bins: at least 2.

    Returns:
      dict: 'mig', float in [0, 1], the mean over the factors, higher is better; 'gaps', {name: float},
      and 'units', {name: int}, the latent with the most information on each.

    Raises:
      ValueError: codes or factors are of another kind, or no factor has two values or more.
    """
    codes = _checked_codes(codes)
    if codes.shape[1] < 2 or bins < 2:
        raise ValueError(
            f"codes have {codes.shape[1]} latents and bins is {bins}; a gap needs at least 2 of each."
        )
    latents = _binned(codes, bins)
    gaps, units = {}, {}
    for name, values in factors.items():
        values = _cells(name, values, len(codes), bins)
        if values.any():
            information = [_information(latent, values) for latent in latents.T]
            units[name] = int(np.argmax(information))
            second, first = np.sort(information)[-2:]
            gaps[name] = float((first - second) / _entropy(np.bincount(values)))
    if not gaps:
        raise ValueError(
            f"the factors {', '.join(factors) or '(none)'} do not vary over the {len(codes)} images; "
            "give at least one that has two values."
        )
    return {"mig": float(np.mean(list(gaps.values()))), "gaps": gaps, "units": units}


def interpolation_smoothness(decode, feature_fn, codes_a, codes_b, steps=10):
    """Computes the ratio of an interpolation's largest perceptual step to its mean step, averaged over pairs of codes.

    A step is the Euclidean distance between the features of two successive images, decoded from codes
    in equal steps on the straight line (`code_paths.interpolate`). 1 is perfectly even, steps - 1 is a
    single jump; lower is better. Memory does not grow with the number of pairs.

    Args:
      decode: function of codes, float32 [n, D], to images [n, H, W, C].
      feature_fn: function of these images to [n, F], such as `features.Extractor.features`.
      codes_a, codes_b: float [N, D] each, the ends of N paths. A path along which no feature changes
        has no ratio and is left out.
      steps: images of a path, both ends included; at least 3.

    Returns:
      float in [1, steps - 1].

    Raises:
      ValueError: codes are of another kind, steps are fewer than 3, features are not finite, or no feature changes
        along any path.
    """
    codes_a, codes_b = _checked_codes(codes_a), _checked_codes(codes_b)
    if codes_a.shape != codes_b.shape:
        raise ValueError(
            f"the codes have shapes {codes_a.shape} and {codes_b.shape}; both must be [N, D] with the same"
            " N and D."
        )
    if steps < 3:
        raise ValueError(f"steps is {steps}; a path of fewer than 3 images has but one step.")
    ratios = []
    for start in range(0, len(codes_a), _PATHS_AT_ONCE):
        ends = zip(codes_a[start : start + _PATHS_AT_ONCE], codes_b[start : start + _PATHS_AT_ONCE])
        paths = np.concatenate([code_paths.interpolate(a, b, steps) for a, b in ends])
        features = np.asarray(feature_fn(decode(paths)), np.float64).reshape(len(paths) // steps, steps, -1)
        lengths = np.linalg.norm(np.diff(features, axis=1), axis=-1)
        if not np.isfinite(lengths).all():
            raise ValueError("the features of decoded images are not finite; this Student has diverged.")
        moving = lengths[lengths.any(axis=1)]
        ratios.append(moving.max(axis=1) / moving.mean(axis=1))
    ratios = np.concatenate(ratios)
    if not len(ratios):
        raise ValueError(
            f"no feature changes along any of the {len(codes_a)} paths, so there is no mean step to compare "
            "with; give codes that decode to different images."
        )
    return float(ratios.mean())


def _cross_validated(classifier, codes, labels, seed):
    from sklearn.model_selection import StratifiedKFold  # pylint: disable=import-outside-toplevel

    halves = StratifiedKFold(_FOLDS, shuffle=True, random_state=seed).split(codes, labels)
    with warnings.catch_warnings():
        # scikit-learn takes few images of many classes for a regression.
        warnings.filterwarnings("ignore", "The number of unique classes is greater", UserWarning)
        accuracies = [
            np.mean(classifier.fit(codes[rest], labels[rest]).predict(codes[half]) == labels[half])
            for rest, half in halves
        ]
    return float(np.mean(accuracies))


def _counts(rows, columns):
    """Returns int [rows, columns]: how often each pair of values of two arrays of integers occurs."""
    rows, columns = (np.unique(values, return_inverse=True)[1] for values in (rows, columns))
    width = columns.max() + 1
    return np.bincount(rows * width + columns, minlength=(rows.max() + 1) * width).reshape(-1, width)


def _information(rows, columns):
    """Returns the mutual information of two arrays of integers, in nats."""
    joint = _counts(rows, columns)
    return _entropy(joint.sum(axis=0)) + _entropy(joint.sum(axis=1)) - _entropy(joint.ravel())


def _entropy(counts):
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log(shares)).sum())


def _binned(values, bins):
    """Cuts each column of [N, ...] into bins of equal width: int64 in [0, bins), a constant column all 0."""
    low, high = values.min(axis=0), values.max(axis=0)
    places = (values - low) / np.where(high > low, high - low, 1.0)
    return np.minimum((places * bins).astype(np.int64), bins - 1)


def _cells(name, values, count, bins):
    """Returns int64 [N] from 0 on: the number of a factor's value, or of its bin."""
    values = np.asarray(values)
    if values.shape != (count,) or values.dtype.kind not in "iufb" or not np.isfinite(values).all():
        raise ValueError(
            f"the factor {name!r} is {values.dtype} of shape {values.shape}; it must be {count} finite"
            " numbers."
        )
    different, cells = np.unique(values, return_inverse=True)
    if values.dtype.kind == "f" and len(different) > bins:
        return _binned(values.astype(np.float64), bins)
    return cells


def _repeated(labels):
    """Returns bool [N]: which labels occur more than once; raises a ValueError for fewer than two such classes."""
    _, inverse, counts = np.unique(labels, return_inverse=True, return_counts=True)
    classes = int((counts >= _FOLDS).sum())
    if classes < 2:
        raise ValueError(
            f"labels of {len(labels)} images have {classes} classes with two images or more; at least 2 such"
            " classes are needed."
        )
    return counts[inverse] >= _FOLDS


def _checked(codes, labels):
    codes, labels = _checked_codes(codes), _checked_labels(labels)
    if len(codes) != len(labels):
        raise ValueError(
            f"there are {len(codes)} codes and {len(labels)} labels; give one label for each code."
        )
    kept = _repeated(labels)
    return codes[kept], labels[kept]


def _checked_labels(labels):
    labels = np.asarray(labels)
    if labels.ndim != 1 or labels.dtype.kind not in "iu" or not len(labels):
        raise ValueError(
            f"labels are {labels.dtype} of shape {labels.shape}; they must be integers [N] with N"
            " of at least 1."
        )
    return labels


def _checked_codes(codes):
    codes = np.asarray(codes)
    if codes.ndim != 2 or codes.dtype.kind not in "iuf" or not codes.size:
        raise ValueError(f"codes are {codes.dtype} of shape {codes.shape}; they must be numbers [N, D].")
    codes = codes.astype(np.float64)
    if broken := int((~np.isfinite(codes)).any(axis=1).sum()):
        raise ValueError(
            f"{broken} of {len(codes)} codes are not finite; this Student has diverged, so take an"
            " earlier one."
        )
    return codes
