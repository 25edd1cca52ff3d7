"""Distances between sets of features against closed forms, scipy and plain NumPy."""

import tracemalloc

import numpy as np
import pytest
import scipy.linalg
import tensorflow as tf

from ltgans_tf.evaluation import metrics

PAIRS = [metrics.frechet_distance, metrics.kernel_distance, metrics.manifold_scores]


def _exact(count, mean, root, seed=0):
    """`count` features whose sample mean and covariance are exactly `mean` and root^T root."""
    draw = np.random.default_rng(seed).standard_normal((count, len(root)))
    draw -= draw.mean(axis=0)
    white = draw @ np.linalg.inv(np.linalg.cholesky(np.cov(draw.T).reshape(len(root), -1))).T
    return white @ root + mean


def _rotation(size, seed=0):
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((size, size)))[0]


def _normal(rows, columns, seed=0):
    return np.random.default_rng(seed).standard_normal((rows, columns))


def _features(rows, columns, rank, seed):
    """Correlated features that lie in a subspace of `rank` dimensions, but for their mean."""
    draw = np.random.default_rng(seed)
    mix = draw.standard_normal((rank, columns)) * np.linspace(0.1, 2, columns)
    return draw.standard_normal((rows, rank)) @ mix + draw.standard_normal(columns)


def test_frechet_distance_of_gaussians_whose_covariances_commute():
    turn = _rotation(4)
    a, b = np.array([4.0, 1.0, 0.25, 2.0]), np.array([1.0, 9.0, 0.25, 0.5])
    shift = np.array([1.0, -2.0, 0.0, 0.5])
    first = _exact(50, shift, np.diag(np.sqrt(a)) @ turn)
    second = _exact(31, np.zeros(4), np.diag(np.sqrt(b)) @ turn, seed=1)
    expected = (shift**2).sum() + ((np.sqrt(a) - np.sqrt(b)) ** 2).sum()
    assert metrics.frechet_distance(first, second) == pytest.approx(expected, abs=1e-9)


def test_frechet_distance_of_gaussians_whose_covariances_do_not_commute():
    """In two dimensions tr (A B)^(1/2) = (tr AB + 2 (det AB)^(1/2))^(1/2)."""
    first = _exact(20, np.zeros(2), np.diag([3.0, 1.0]))
    second = _exact(30, np.zeros(2), np.array([[1.0, 2.0], [0.0, 0.5]]), seed=1)
    a, b = np.diag([9.0, 1.0]), np.array([[1.0, 2.0], [2.0, 4.25]])
    root = np.sqrt(np.trace(a @ b) + 2 * np.sqrt(np.linalg.det(a @ b)))
    expected = np.trace(a + b) - 2 * root
    assert metrics.frechet_distance(first, second) == pytest.approx(expected, abs=1e-9)


def test_frechet_distance_of_a_shift_is_its_squared_length():
    features = _normal(20, 3)
    assert metrics.frechet_distance(features, features + [3.0, 0.0, 4.0]) == pytest.approx(25, abs=1e-9)


def test_frechet_distance_agrees_with_the_root_of_the_product():
    first, second = _features(200, 16, 16, seed=0), _features(130, 16, 16, seed=1)
    a, b = np.cov(first.T), np.cov(second.T)
    root = scipy.linalg.sqrtm(a @ b).real
    expected = np.square(first.mean(0) - second.mean(0)).sum() + np.trace(a + b - 2 * root)
    assert metrics.frechet_distance(first, second) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    "rows, ranks",
    [
        ((200, 150), (16, 16)),
        ((200, 150), (5, 16)),  # one set lies in a subspace
        ((200, 150), (5, 7)),  # and both do
        ((9, 400), (16, 16)),  # fewer rows than columns
        ((9, 6), (16, 16)),
    ],
)
def test_frechet_distance_agrees_with_the_symmetric_root_at_any_rank(rows, ranks):
    """(C_a^(1/2) C_b C_a^(1/2))^(1/2) by scipy; the root of C_a C_b itself is inexact at low rank."""
    first, second = (_features(n, 16, rank, seed) for seed, (n, rank) in enumerate(zip(rows, ranks)))
    a, b = np.cov(first.T), np.cov(second.T)
    values, vectors = scipy.linalg.eigh(a)
    half = vectors * np.sqrt(values.clip(0)) @ vectors.T
    root = np.sqrt(scipy.linalg.eigh(half @ b @ half, eigvals_only=True).clip(0)).sum()
    expected = np.square(first.mean(0) - second.mean(0)).sum() + np.trace(a + b) - 2 * root
    assert metrics.frechet_distance(first, second) == pytest.approx(expected, rel=1e-6)


def test_frechet_distance_of_fewer_features_than_dimensions():
    """Covariances of rank 3 in 20 dimensions that share one axis."""
    first, second = np.zeros((5, 20)), np.zeros((6, 20))
    first[:, [0, 1, 2]] = _exact(5, np.zeros(3), np.diag([1.0, 2.0, 3.0]))
    second[:, [2, 3, 4]] = _exact(6, np.zeros(3), np.diag([5.0, 1.0, 4.0]), seed=1)
    expected = 1 + 4 + (3 - 5) ** 2 + 1 + 16
    assert metrics.frechet_distance(first, second) == pytest.approx(expected, abs=1e-9)


def test_frechet_distance_is_symmetric_and_zero_for_the_same_set():
    first, second = _normal(12, 30), _normal(40, 30, seed=1) * 2 + 1
    there, back = metrics.frechet_distance(first, second), metrics.frechet_distance(second, first)
    assert there > 10 and there == pytest.approx(back, rel=1e-12)
    for features in (first, second):
        assert metrics.frechet_distance(features, features[::-1]) == pytest.approx(0, abs=1e-9)


def test_frechet_distance_computes_in_float64():
    """A common offset of 1e4 would drown a distance of 1e-4 in float32 sums."""
    features = np.round(_normal(64, 4) * 64) / 64
    first, second = (features + 1e4).astype(np.float32), (features + 1e4 + 2**-6).astype(np.float32)
    assert metrics.frechet_distance(first, second) == pytest.approx(4 * 2**-12, abs=1e-7)


@pytest.mark.parametrize("count", [3, 6, 40])
def test_moments_are_those_of_numpy(count):
    features = _normal(count, 6) * 3 + 1
    found = metrics.moments(features.astype(np.float16))
    features = features.astype(np.float16).astype(np.float64)
    assert found.count == count and found.root.shape == (6, 6)
    np.testing.assert_allclose(found.mean, features.mean(0), atol=1e-12)
    np.testing.assert_allclose(found.covariance, np.cov(features.T), atol=1e-12)
    np.testing.assert_array_equal(found.root, np.triu(found.root))


def test_moments_rest_on_as_many_features_as_are_needed():
    assert metrics.moments(_normal(60, 6), needed=60).count == 60
    with pytest.raises(
        ValueError,
        match="have 57 rows; a covariance of 6 columns is to rest on 60 at least, so give 3 more images",
    ):
        metrics.moments(_normal(57, 6), needed=60)


def test_mixture_is_what_the_pooled_features_have():
    """Of equally many rows each, with population covariances: root^T root * (n - 1) / n."""
    parts = [_features(30, 7, rank, seed) for seed, rank in enumerate((7, 2, 4))]
    members = [metrics.moments(part) for part in parts]
    population = [metrics.Moments(30, m.mean, m.root * np.sqrt(29 / 30)) for m in members]
    pooled, mixed = np.concatenate(parts), metrics.mixture(population)
    assert mixed.count == 90
    np.testing.assert_allclose(mixed.mean, pooled.mean(0), atol=1e-12)
    np.testing.assert_allclose(mixed.covariance, np.cov(pooled.T, ddof=0), atol=1e-12)


def test_mixture_weighs_its_members():
    parts = [_features(30, 5, 5, seed=0), _features(10, 5, 5, seed=1)]
    means, covariances = [p.mean(0) for p in parts], [np.cov(p.T) for p in parts]
    members = [metrics.moments(part) for part in parts]
    for weights, shares in ((None, (0.5, 0.5)), ((6, 2), (0.75, 0.25)), ((0, 3), (0.0, 1.0))):
        mixed = metrics.mixture(members, weights)
        mean = shares[0] * means[0] + shares[1] * means[1]
        expected = sum(s * (c + np.outer(m - mean, m - mean)) for s, m, c in zip(shares, means, covariances))
        np.testing.assert_allclose(mixed.mean, mean, atol=1e-12)
        np.testing.assert_allclose(mixed.covariance, expected, atol=1e-12)


@pytest.mark.parametrize(
    "columns, weights, sentence",
    [
        ((), None, "members have no columns; a mixture takes at least one member"),
        ((3, 4), None, r"members have \[3, 4\] columns; .* all with features of one feature_fn"),
        ((3, 3), (1,), r"weights are \(1,\); give one number of at least 0 for each of the 2 members"),
        ((3, 3), (1, -1), r"weights are \(1, -1\); give one number of at least 0"),
        ((3, 3), (1, np.nan), "give one number of at least 0"),
        ((3, 3), (1, np.inf), "give one number of at least 0"),
        ((3, 3), (0, 0), r"weights are \(0, 0\); at least one must be above 0"),
    ],
)
def test_a_mixture_of_what_does_not_mix_is_refused(columns, weights, sentence):
    with pytest.raises(ValueError, match=sentence):
        metrics.mixture([metrics.moments(_normal(9, width)) for width in columns], weights)


def _unbiased_mmd(a, b):
    """The definition, pair by pair."""
    kernel = lambda x, y: (sum(x * y) / len(x) + 1) ** 3
    n, m = len(a), len(b)
    within_a = sum(kernel(a[i], a[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    within_b = sum(kernel(b[i], b[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    return within_a + within_b - 2 * sum(kernel(x, y) for x in a for y in b) / (n * m)


def test_kernel_distance_is_the_unbiased_mmd_of_all_features():
    a, b = _features(12, 5, 5, seed=0), _features(12, 5, 5, seed=1)
    mean, error = metrics.kernel_distance(a, b)
    assert mean == pytest.approx(_unbiased_mmd(a, b), rel=1e-9) and abs(mean) > 1
    assert np.isnan(error)
    assert metrics.kernel_distance(a, b, subsets=1, seed=7) == pytest.approx((mean, error), nan_ok=True)


@pytest.mark.parametrize("subsets", [2, 90])  # one by one, and with the kernel of all pairs taken once
def test_kernel_distance_is_the_mean_over_the_subsets_drawn(subsets):
    a, b = _features(30, 5, 5, seed=0), _features(20, 5, 5, seed=1)
    draw = np.random.default_rng(4)
    places = [[draw.choice(len(s), 6, replace=False) for s in (a, b)] for _ in range(subsets)]
    values = [_unbiased_mmd(a[of_a], b[of_b]) for of_a, of_b in places]
    mean, error = metrics.kernel_distance(a, b, subset_size=6, subsets=subsets, seed=4)
    assert mean == pytest.approx(np.mean(values), rel=1e-9)
    assert error == pytest.approx(np.std(values, ddof=1) / np.sqrt(subsets), rel=1e-9)


def test_kernel_distance_does_not_depend_on_the_size_of_blocks(monkeypatch):
    a, b = _features(50, 5, 5, seed=0), _features(50, 5, 5, seed=1)
    whole = metrics.kernel_distance(a, b)[0]
    monkeypatch.setattr(metrics, "_BLOCK", 7 * 50)
    assert metrics.kernel_distance(a, b)[0] == pytest.approx(whole, rel=1e-12)


def test_kernel_distance_of_one_law_is_zero_on_average():
    """The biased estimate would have a mean near 1 here."""
    draw = np.random.default_rng(0)
    values = [metrics.kernel_distance(*draw.standard_normal((2, 20, 4)))[0] for _ in range(400)]
    error = np.std(values) / 20
    assert error < 0.05 and abs(np.mean(values)) < 3 * error  # so a mean near 1 would be seen
    assert min(values) < 0 < max(values)


def test_kernel_distance_of_subsets_estimates_that_of_all_features():
    a, b = _features(60, 5, 5, seed=0), _features(60, 5, 5, seed=1)
    whole = metrics.kernel_distance(a, b)[0]
    mean, error = metrics.kernel_distance(a, b, subset_size=15, subsets=200)
    assert mean != whole and abs(mean - whole) < 4 * error


def test_kernel_distance_is_the_mean_over_subsets_with_its_error():
    """Subsets of which there are two kinds, with a distance of 0 and of 124."""
    a, b = np.repeat([[0.0], [2.0]], [1, 2], axis=0), np.zeros((3, 1))
    # Two of three rows of `a` are {0, 2} or {2, 2}: kernels 1 and 125 within, all others 1.
    mean, error = metrics.kernel_distance(a, b, subset_size=2, subsets=50)
    share = mean / 124  # of the subsets {2, 2}: one in three
    assert 0.1 < share < 0.6 and share * 50 == pytest.approx(round(share * 50))
    spread = np.std([124.0] * round(share * 50) + [0.0] * round((1 - share) * 50), ddof=1)
    assert error == pytest.approx(spread / np.sqrt(50))


def test_kernel_distance_draws_subsets_without_replacement():
    """So a subset of as many rows as a set has is that set, and here all subsets are alike."""
    a, b = np.full((12, 2), 0.5), _normal(9, 2)
    mean, error = metrics.kernel_distance(a, b, subset_size=9, subsets=20)
    assert mean == pytest.approx(_unbiased_mmd(a[:9], b), rel=1e-9) and 0 <= error < 1e-12


def test_kernel_distance_follows_its_seed():
    a, b = _normal(40, 3), _normal(30, 3, seed=1) + 1
    first, again, other = (
        metrics.kernel_distance(a, b, subset_size=10, subsets=5, seed=s) for s in (0, 0, 1)
    )
    assert first == again and first != other
    assert metrics.kernel_distance(a, b, subset_size=10, subsets=5) == first


def test_kernel_distance_takes_no_more_than_the_smaller_set_has():
    a, b = _features(14, 3, 3, seed=0), _features(9, 3, 3, seed=1)
    found = metrics.kernel_distance(a, b, subset_size=1000, subsets=6)
    assert found == metrics.kernel_distance(a, b, subset_size=9, subsets=6) and found[1] > 0


@pytest.mark.parametrize("subset_size, subsets", [(1, 10), (0, 10), (-3, 10), (5, 0)])
def test_subsets_that_have_no_distance_are_refused(subset_size, subsets):
    with pytest.raises(
        ValueError, match=f"subset_size is {subset_size} and subsets is {subsets}; take subsets of at least 2"
    ):
        metrics.kernel_distance(_normal(9, 3), _normal(9, 3), subset_size, subsets)


@pytest.mark.parametrize("distance", PAIRS)
@pytest.mark.parametrize(
    "features", [np.zeros(5), np.zeros((1, 5)), np.zeros((2, 3, 4)), 3.0, np.zeros((0, 5)), np.zeros((9, 0))]
)
def test_features_of_a_wrong_shape_are_refused(distance, features):
    good = np.zeros((9, 5))
    for pair in ((features, good), (good, features)):
        with pytest.raises(ValueError, match=r"features have shape \(.*\[N, D\] with N of at least 2"):
            distance(*pair)


@pytest.mark.parametrize("distance", PAIRS)
def test_features_of_different_width_are_refused(distance):
    with pytest.raises(
        ValueError, match="features have 5 and 6 columns; both sets must come from one feature_fn"
    ):
        distance(np.zeros((9, 5)), np.zeros((9, 6)))


@pytest.mark.parametrize("distance", PAIRS)
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_features_that_are_not_finite_are_refused(distance, value):
    good, bad = _normal(9, 5), _normal(9, 5)
    bad[[4, 6], 2] = value
    for pair in ((bad, good), (good, bad)):
        with pytest.raises(
            ValueError, match="2 of 9 rows of features are not finite, the first of them row 4;"
        ):
            distance(*pair)


@pytest.mark.parametrize("distance", PAIRS[1:])
def test_memory_does_not_hold_all_pairs(distance, monkeypatch):
    monkeypatch.setattr(metrics, "_BLOCK", 2**15)
    count = 3000  # whose pairs fill 72 MB
    a, b = _normal(count, 4), _normal(count, 4, seed=1)
    distance(a[:9], b[:9])  # what it imports does not count
    tracemalloc.start()
    try:
        if distance is metrics.kernel_distance:
            distance(a, b, subset_size=count)
        else:
            distance(a, b)
        assert tracemalloc.get_traced_memory()[1] < 6e6
    finally:
        tracemalloc.stop()


def test_features_are_made_batch_by_batch_in_order():
    images = np.random.default_rng(3).uniform(-1, 1, (7, 8, 8, 3)).astype(np.float32)
    for batch in (images, tf.constant(images)):
        sizes = []

        def feature_fn(part):
            sizes.append(len(part))
            return tf.reduce_mean(part, axis=(1, 2))

        features = metrics.features_of(feature_fn, batch, batch_size=3)
        np.testing.assert_allclose(features, images.mean((1, 2)), atol=1e-6)
        assert sizes == [3, 3, 1] and features.dtype == np.float32


@pytest.mark.parametrize("count, batch_size", [(0, 3), (4, 0), (4, -1)])
def test_no_images_and_no_batches_are_refused(count, batch_size):
    with pytest.raises(
        ValueError, match=f"there are {count} images in batches of {batch_size}; give at least"
    ):
        metrics.features_of(lambda part: part, np.zeros((count, 2)), batch_size)
