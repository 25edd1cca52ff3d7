"""NLOG against NumPy, the Frechet distance against closed forms and scipy."""

import numpy as np
import pytest
import tensorflow as tf

from ltgans_tf import metrics


def _exact(count, mean, root, seed=0):
    """`count` features whose sample mean and covariance are exactly `mean` and root^T root."""
    draw = np.random.default_rng(seed).standard_normal((count, len(root)))
    draw -= draw.mean(axis=0)
    white = draw @ np.linalg.inv(np.linalg.cholesky(np.cov(draw.T).reshape(len(root), -1))).T
    return white @ root + mean


def _rotation(size, seed=0):
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((size, size)))[0]


def test_frechet_distance_of_gaussians_whose_covariances_commute():
    turn = _rotation(4)
    a, b = np.array([4.0, 1.0, 0.25, 2.0]), np.array([1.0, 9.0, 0.25, 0.5])
    shift = np.array([1.0, -2.0, 0.0, 0.5])
    first = _exact(50, shift, np.diag(np.sqrt(a)) @ turn)
    second = _exact(31, np.zeros(4), np.diag(np.sqrt(b)) @ turn, seed=1)
    expected = (shift**2).sum() + ((np.sqrt(a) - np.sqrt(b)) ** 2).sum()
    assert metrics.frechet_distance(first, second) == pytest.approx(expected, abs=1e-9)


def test_frechet_distance_of_a_shift_is_its_squared_length():
    features = np.random.default_rng(0).standard_normal((20, 3))
    assert metrics.frechet_distance(features, features + [3.0, 0.0, 4.0]) == pytest.approx(25, abs=1e-9)


@pytest.mark.parametrize("sizes", [(200, 100), (30, 400)])
def test_frechet_distance_agrees_with_the_root_of_the_product(sizes):
    linalg = pytest.importorskip("scipy.linalg", reason="the reference is scipy's matrix root")
    first, second = (
        np.random.default_rng(n).standard_normal((n, 16)) @ _rotation(16, n) * (i + 1) + i
        for i, n in enumerate(sizes)
    )
    second[:, :8] *= 3
    covariances = [np.cov(f.T) for f in (first, second)]
    root = linalg.sqrtm(covariances[0] @ covariances[1])
    expected = np.square(first.mean(0) - second.mean(0)).sum() + np.trace(
        covariances[0] + covariances[1] - 2 * root.real
    )
    assert metrics.frechet_distance(first, second) == pytest.approx(expected, rel=1e-6)


def test_frechet_distance_of_fewer_features_than_dimensions():
    """Covariances of rank 3 in 20 dimensions that share one axis."""
    first, second = np.zeros((5, 20)), np.zeros((6, 20))
    first[:, [0, 1, 2]] = _exact(5, np.zeros(3), np.diag([1.0, 2.0, 3.0]))
    second[:, [2, 3, 4]] = _exact(6, np.zeros(3), np.diag([5.0, 1.0, 4.0]), seed=1)
    expected = 1 + 4 + (3 - 5) ** 2 + 1 + 16
    assert metrics.frechet_distance(first, second) == pytest.approx(expected, abs=1e-9)


def test_frechet_distance_is_symmetric_and_zero_for_the_same_set():
    draw = np.random.default_rng(0)
    first, second = draw.standard_normal((12, 30)), draw.standard_normal((40, 30)) * 2 + 1
    there, back = metrics.frechet_distance(first, second), metrics.frechet_distance(second, first)
    assert there > 10 and there == pytest.approx(back, rel=1e-12)
    for features in (first, second):
        assert metrics.frechet_distance(features, features[::-1]) == pytest.approx(0, abs=1e-9)


def test_frechet_distance_computes_in_float64():
    """A common offset of 1e4 would drown a distance of 1e-4 in float32 sums."""
    features = np.round(np.random.default_rng(0).standard_normal((64, 4)) * 64) / 64
    first, second = (features + 1e4).astype(np.float32), (features + 1e4 + 2**-6).astype(np.float32)
    assert metrics.frechet_distance(first, second) == pytest.approx(4 * 2**-12, abs=1e-7)


@pytest.mark.parametrize("features", [np.zeros(5), np.zeros((1, 5)), np.zeros((2, 3, 4)), 3.0])
def test_features_of_a_wrong_shape_are_refused(features):
    good = np.zeros((4, 5))
    for pair in ((features, good), (good, features)):
        with pytest.raises(ValueError, match=r"features have shape \(.*\[N, D\] with N of at least 2"):
            metrics.frechet_distance(*pair)


def test_features_of_different_width_are_refused():
    with pytest.raises(
        ValueError, match="features have 5 and 6 columns; both sets must come from one feature_fn"
    ):
        metrics.frechet_distance(np.zeros((4, 5)), np.zeros((4, 6)))


def _images(count):
    return np.random.default_rng(3).uniform(-1, 1, (count, 8, 8, 3)).astype(np.float32)


def test_nlog_is_squared_error_plus_kl(tiny_model):
    student, images = tiny_model().student, _images(7)
    mean, stddev = (np.float64(part) for part in student.encoder(images))
    stddev += 1e-6
    sse = np.square(np.float64(student.decoder(mean.astype(np.float32))) - images).sum((1, 2, 3))
    kl = 0.5 * (mean**2 + stddev**2 - 1 - 2 * np.log(stddev)).sum(1)
    scores = metrics.nlog(student, images)
    assert scores["sse"] == pytest.approx(sse.mean(), rel=1e-5)
    assert scores["kl"] == pytest.approx(kl.mean(), rel=1e-4) and kl.mean() > 0
    assert scores["nlog"] == scores["sse"] + scores["kl"]
    assert scores["images"] == 7 and all(type(v) in (float, int) for v in scores.values())


def test_nlog_is_independent_of_the_batch_size(tiny_model):
    student, images = tiny_model().student, _images(7)
    whole = metrics.nlog(student, images)
    for batch_size in (1, 2, 3, 7):
        again = metrics.nlog(student, tf.constant(images), batch_size)
        assert again == pytest.approx(whole, rel=1e-5)


class _PredictsTheMean:
    """A Student that has learnt one picture: the mean of all images, with a KL of 0."""

    def __init__(self, images):
        self.mean = np.float64(images).mean(axis=0)

    def elbo_terms(self, images):
        return np.square(np.float64(images) - self.mean).sum((1, 2, 3)), np.zeros(len(images))


def test_mean_image_nlog_is_what_predicting_the_mean_image_scores():
    images = _images(9)
    scores = metrics.nlog(_PredictsTheMean(images), images, batch_size=4)
    assert scores["mean_image_nlog"] == pytest.approx(scores["nlog"], rel=1e-9)
    assert scores["mean_image_nlog"] == pytest.approx(np.float64(images).var(0).sum(), rel=1e-9)


def test_features_are_made_batch_by_batch_in_order():
    images, sizes = _images(7), []

    def feature_fn(batch):
        sizes.append(len(batch))
        return tf.reduce_mean(batch, axis=(1, 2))

    features = metrics.features_of(feature_fn, images, batch_size=3)
    np.testing.assert_allclose(features, images.mean((1, 2)), atol=1e-6)
    assert sizes == [3, 3, 1] and features.dtype == np.float32
