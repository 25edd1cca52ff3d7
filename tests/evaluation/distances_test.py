"""Distances to one domain and to the union of several: their numbers, floors and reasons."""

import types

import numpy as np
import pytest

from ltgans_tf.evaluation import distances, metrics

D = 4
EXTRACTOR = types.SimpleNamespace(frechet="fcd", kernel="kcd", dimensions=D)


def _rows(seed, count=200, shift=0.0):
    return np.random.default_rng(seed).normal(shift, 1.0, (count, D))


def test_a_distance_stands_beside_its_floor_and_the_numbers_of_images():
    made, test, train = _rows(0, 60, 2.0), _rows(1), _rows(2, 50)
    scores = distances.gaussian(EXTRACTOR, made, distances.Real.of(test, train))
    assert scores == {
        "fcd": pytest.approx(metrics.frechet_distance(made, test)),
        "fcd_floor": pytest.approx(metrics.frechet_distance(train, test)),
        "fcd_images": 60,
        "fcd_floor_images": 50,
    }
    assert scores["fcd"] > 10 > 1 > scores["fcd_floor"]


def test_ten_images_for_each_feature_are_needed_on_both_sides():
    real, few = distances.Real.of(_rows(0)), distances.Real.of(_rows(0, 39))
    assert "fcd" in distances.gaussian(EXTRACTOR, _rows(1, 40), real)
    with pytest.raises(
        distances.Absent, match="^39 generated images are too few; 40 are needed, 10 for each of the 4 feat"
    ):
        distances.gaussian(EXTRACTOR, _rows(1, 39), real)
    with pytest.raises(distances.Absent, match="^39 test images are too few; 40 are needed"):
        distances.gaussian(EXTRACTOR, _rows(1, 40), few)


def test_the_kernel_distance_has_its_error_and_its_floor():
    made, test, train = _rows(0, 1200, 0.5), _rows(1, 1100), _rows(2, 1300)
    scores = distances.kernel(EXTRACTOR, made, distances.Real.of(test, train), subsets=3)
    value, error = metrics.kernel_distance(made, test, 1000, 3)
    assert (scores["kcd"], scores["kcd_se"]) == (value, error)
    assert scores["kcd_floor"] == metrics.kernel_distance(train, test, 1000, 3)[0]
    assert scores["kcd"] > 20 * abs(scores["kcd_floor"])
    # One subset of all rows has no error, and then none is claimed.
    assert set(distances.kernel(EXTRACTOR, made[:50], distances.Real.of(test[:50]), 3)) == {"kcd"}


def test_manifold_scores_are_taken_at_equal_numbers():
    made, test, train = _rows(0, 90), _rows(1, 70), _rows(2, 80)
    scores = distances.manifold(made, distances.Real.of(test, train))
    assert scores["manifold_images"] == 70
    places = np.linspace(0, 89, 70).round().astype(int)
    expected = metrics.manifold_scores(test, made[places], 5)
    assert {name: scores[name] for name in expected} == expected
    assert {f"{name}_floor" for name in expected} <= set(scores)
    assert len(set(places)) == 70
    with pytest.raises(distances.Absent, match="5 images on a side are too few; 6 are needed"):
        distances.manifold(made[:5], distances.Real.of(test))


def test_moments_alone_give_the_frechet_distance_and_the_reason_for_the_others():
    whole = distances.Real.of(_rows(1), _rows(2))
    kept = distances.Real(None, None, whole.test_moments, whole.train_moments)
    made = _rows(0)
    assert distances.gaussian(EXTRACTOR, made, kept) == distances.gaussian(EXTRACTOR, made, whole)
    for measure in (
        lambda: distances.kernel(EXTRACTOR, made, kept, 3),
        lambda: distances.manifold(made, kept),
    ):
        with pytest.raises(distances.Absent, match="only moments were kept"):
            measure()


def test_the_union_gives_each_domain_the_same_weight():
    """A large domain at 0 and a small one at 6: the union's mean lies half way."""
    large, small = distances.Real.of(_rows(0, 400), _rows(1, 400)), distances.Real.of(_rows(2, 100, 6.0))
    union = distances.union([large, small])
    expected = (large.test_moments.mean + small.test_moments.mean) / 2
    np.testing.assert_allclose(union.test_moments.mean, expected)
    assert union.test.shape == (200, D) and np.abs(union.test.mean() - 3) < 0.2
    np.testing.assert_array_equal(union.test[100:], small.test)
    # The second has no training images, so the union has no floor.
    assert union.train is None and union.train_moments is None
    both = distances.union([large, large])
    assert both.train_moments.count == 800 and both.train.shape == (800, D)


def test_the_union_with_moments_alone_has_no_features():
    whole = distances.Real.of(_rows(0), _rows(1))
    kept = distances.Real(None, None, whole.test_moments, whole.train_moments)
    union = distances.union([whole, kept])
    assert union.test is None and union.train is None
    assert distances.gaussian(EXTRACTOR, _rows(2), union)["fcd_floor"] == pytest.approx(
        metrics.frechet(whole.train_moments, whole.test_moments)
    )


def test_the_mix_is_measured_against_even_shares():
    shares, scores = distances.mix(np.repeat([0, 1, 2], [6, 3, 1]), 3)
    np.testing.assert_allclose(shares, [0.6, 0.3, 0.1])
    entropy = -(0.6 * np.log(0.6) + 0.3 * np.log(0.3) + 0.1 * np.log(0.1)) / np.log(3)
    assert scores == {"mix_entropy": pytest.approx(entropy), "mix_gap": pytest.approx(0.6 - 1 / 3)}
    assert distances.mix(np.array([0, 1]), 2)[1] == {"mix_entropy": 1.0, "mix_gap": 0.0}
    assert distances.mix(np.zeros(5, int), 2)[1] == {"mix_entropy": 0.0, "mix_gap": 0.5}
    assert distances.mix(np.zeros(5, int), 1)[1] == {"mix_entropy": 1.0, "mix_gap": 0.0}


def test_what_is_taken_for_a_domain_not_learnt_counts_for_none():
    shares, scores = distances.mix(np.array([0, 0, 1, 1, 2, 2, 2, 2]), 2)
    np.testing.assert_allclose(shares, [0.25, 0.25])
    assert scores == {"mix_entropy": pytest.approx(1.0), "mix_gap": 0.25}
