"""What codes know of classes and factors, and how even a path is: closed forms and cases by hand."""

import warnings

import numpy as np
import pytest

from ltgans_tf.evaluation import representations

ACCURACIES = (representations.knn_accuracy, representations.probe_accuracy)


@pytest.fixture(autouse=True)
def _no_warnings():
    """A report has no place for what scikit-learn prints."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def _clusters(count=30, classes=3, width=4, spread=0.01, seed=0):
    """Codes around far corners, one for each class, in mixed order."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat(np.arange(classes), count))
    return 10.0 * np.eye(width)[labels] + spread * rng.standard_normal((len(labels), width)), labels


def test_separated_clusters_are_told_apart_wholly():
    codes, labels = _clusters()
    expected = {"knn": 1.0, "probe": 1.0, "purity": 1.0, "chance": 1 / 3}
    assert representations.scores(codes, labels) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("accuracy", ACCURACIES)
@pytest.mark.parametrize("seed", range(3))
def test_codes_that_know_nothing_are_right_by_chance(accuracy, seed):
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(4), 300)  # of equal size, so that a constant guess is right by 1/4, too
    found = accuracy(rng.standard_normal((1200, 8)), labels)
    assert abs(found - 0.25) < 4 * np.sqrt(0.25 * 0.75 / 1200)


def test_no_image_is_its_own_neighbour():
    rng = np.random.default_rng(0)
    assert representations.knn_accuracy(rng.standard_normal((400, 2)), np.arange(400) % 4, k=1) < 0.35


def test_neighbours_vote():
    # One stray of class 1 in a ring of class 0, far from the others of its class: k = 1 errs on the
    # ring images that it is nearest to, k = 3 on the stray alone.
    codes = np.concatenate([np.linspace(0, 1, 40), np.linspace(9, 10, 40), [0.5]])[:, np.newaxis]
    labels = np.repeat([0, 1, 1], [40, 40, 1])
    votes = [representations.knn_accuracy(codes, labels, k) for k in (1, 3)]
    assert votes[0] < votes[1] == pytest.approx(1 - 1 / 81, abs=1e-3)


def test_accuracy_is_the_mean_over_both_halves(monkeypatch):
    from sklearn import model_selection

    class Halves:
        """Two images and six others, so that the mean over halves is not that over images."""

        def __init__(self, folds, shuffle, random_state):
            assert (folds, shuffle, random_state) == (2, True, 7)

        def split(self, codes, labels):
            return [(np.arange(2, 8), np.arange(2)), (np.arange(2), np.arange(2, 8))]

    monkeypatch.setattr(model_selection, "StratifiedKFold", Halves)
    codes = np.array([0.0, 10, 0, 1, 2, 10, 11, 12])[:, np.newaxis]
    labels = np.array([0, 1, 0, 0, 0, 1, 1, 0])
    # The two are right; of the six, the code 12 is nearest to 10, whose label is another.
    assert representations.knn_accuracy(codes, labels, k=1, seed=7) == pytest.approx((1 + 5 / 6) / 2)


def test_halves_have_all_classes_in_proportion():
    codes, labels = _clusters(count=2, classes=4)
    assert representations.knn_accuracy(codes, labels, k=1) == 1.0  # one image of each class in each half


def test_probe_is_linear_and_does_not_mind_scales():
    rng = np.random.default_rng(0)
    codes = rng.standard_normal((400, 2))
    line, cross = (codes[:, 0] > 0).astype(int), (codes[:, 0] * codes[:, 1] > 0).astype(int)
    assert representations.probe_accuracy(codes * [1e-4, 1e4], line) > 0.97
    assert representations.probe_accuracy(codes, cross) < 0.65
    assert representations.knn_accuracy(codes, cross) > 0.9


def test_probe_of_many_classes_at_once():
    # Seven classes in a row, 5 deviations apart: classifiers of one class against all others reach 0.85.
    labels = np.repeat(np.arange(7), 40)
    codes = labels[:, np.newaxis] + 0.2 * np.random.default_rng(0).standard_normal((280, 1))
    assert representations.probe_accuracy(codes, labels) > 0.9


def test_purity_of_a_clustering_by_hand():
    # Three places that k-means finds: 4 + 1, 3 + 2 and 5 images, of which the most frequent classes
    # have 4, 3 and 5; 12 of 15.
    codes = np.repeat([[0.0, 0.0], [9.0, 0.0], [0.0, 9.0]], 5, axis=0)
    labels = np.array([0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2])
    assert representations.cluster_purity(codes, labels) == pytest.approx(12 / 15, abs=1e-12)


def test_purity_takes_as_many_clusters_as_classes():
    # Two clusters hold two places each, one of each class; four clusters would hold one.
    codes = np.repeat([0.0, 1.0, 10.0, 11.0], 20)[:, np.newaxis]
    assert representations.cluster_purity(codes, np.repeat([0, 1, 0, 1], 20)) == 0.5
    assert representations.cluster_purity(codes, np.repeat([0, 1, 2, 3], 20)) == 1.0


def test_collapsed_codes_know_nothing():
    labels = np.repeat([0, 1, 2], [30, 20, 10])
    found = representations.scores(np.ones((60, 3), np.float32), labels)
    assert found["purity"] == found["chance"] == 0.5
    assert found["probe"] == 0.5


def test_chance_is_the_share_of_the_largest_class():
    assert representations.chance([3, 3, 3, 7, 7]) == 0.6


@pytest.mark.parametrize("name", ["knn", "probe", "purity", "chance"])
def test_class_with_one_image_is_left_out(name):
    codes, labels = _clusters(classes=2)
    more = np.concatenate([codes, [[0, 0, 500, 0]]]), np.concatenate([labels, [9]])
    assert representations.scores(*more)[name] == representations.scores(codes, labels)[name]


def test_results_follow_from_the_seed():
    rng = np.random.default_rng(0)
    codes, labels = rng.standard_normal((300, 5)), rng.integers(0, 3, 300)
    first, again, other = (representations.scores(codes, labels, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert all(first[name] != other[name] for name in ("knn", "probe", "purity"))


# Factors.


def _noise(count=20_000, width=3):
    return np.random.default_rng(0).standard_normal((count, width))


def test_gap_is_one_where_one_latent_is_the_factor():
    codes = _noise()
    factor = np.arange(len(codes)) % 5
    codes[:, 1] = factor
    found = representations.mutual_information_gap(codes, {"shape": factor})
    assert found["units"] == {"shape": 1} and found["gaps"] == {"shape": found["mig"]}
    assert 1 - 0.003 < found["mig"] <= 1.0  # less the bias of the noise, (20 - 1)(5 - 1) / 2N over ln 5


def test_gap_is_zero_where_two_latents_hold_the_factor():
    codes = _noise()
    factor = np.arange(len(codes)) % 5
    codes[:, 0], codes[:, 2] = factor, -3.0 * factor
    assert representations.mutual_information_gap(codes, {"shape": factor})["mig"] == pytest.approx(
        0, abs=1e-12
    )


def test_gap_by_hand_is_a_share_of_the_factors_entropy():
    # The factor has 4 values; latent 0 tells pairs of them apart (ln 2 of ln 4), latent 1 tells one
    # from the other three (I = ln 4 - 3/4 ln 3), latent 2 nothing.
    factor = np.repeat([0, 1, 2, 3], 5)
    codes = np.stack([factor // 2, factor == 3, np.zeros(20)], axis=1).astype(np.float32)
    found = representations.mutual_information_gap(codes, {"pose": factor})
    second = (np.log(4) - 0.75 * np.log(3)) / np.log(4)
    assert found["mig"] == pytest.approx(0.5 - second, abs=1e-12) and found["units"] == {"pose": 0}


def test_gap_is_the_mean_over_factors_that_vary():
    grid = np.stack(np.meshgrid([0, 1], [0, 1], [0, 1]), axis=-1).reshape(-1, 3)
    codes = np.stack([grid[:, 0], grid[:, 1], grid[:, 1]], axis=1).astype(float)
    factors = {"a": grid[:, 0], "b": grid[:, 1], "c": np.full(8, 4)}
    found = representations.mutual_information_gap(codes, factors)
    assert found["gaps"] == pytest.approx({"a": 1.0, "b": 0.0}) and found["mig"] == pytest.approx(0.5)


def test_latents_are_cut_into_bins_of_equal_width():
    # With 2 bins over 0 to 10 the cut is at 5, so 0, 1, 4 fall together; by equal counts they would not.
    codes = np.array([[0, 0], [1, 0], [4, 0], [10, 0]], float)
    find = representations.mutual_information_gap
    assert find(codes, {"f": np.array([0, 0, 0, 1])}, bins=2)["mig"] == pytest.approx(1.0)
    assert find(codes, {"f": np.array([0, 0, 1, 1])}, bins=2)["mig"] < 0.4
    assert find(codes, {"f": np.array([0, 0, 1, 1])}, bins=5)["mig"] == pytest.approx(1.0)
    codes[2, 0] = 6  # in the last bin, as the greatest value is
    assert find(codes, {"f": np.array([0, 0, 1, 1])}, bins=2)["mig"] == pytest.approx(1.0)
    assert find(codes, {"f": np.array([0, 0, 0, 1])}, bins=2)["mig"] < 0.4


def test_continuous_factor_is_cut_as_a_latent_is():
    codes = _noise()
    angle = np.linspace(0, 6, len(codes))
    codes[:, 2] = 5 - angle
    found = representations.mutual_information_gap(codes, {"angle": angle})
    assert found["units"] == {"angle": 2} and found["mig"] > 0.98
    # Few values stand for themselves, however near: a latent that takes two of three for one loses some.
    steps = np.array([0.0, 0.001, 10.0])[np.arange(len(codes)) % 3]
    codes[:, 2] = steps > 5
    found = representations.mutual_information_gap(codes, {"step": steps})
    assert found["mig"] == pytest.approx(1 - 2 / 3 * np.log(2) / np.log(3), abs=0.003)


# Paths.


def _identity(codes):
    return codes.reshape(len(codes), 1, 1, -1)


def _flat(images):
    return images.reshape(len(images), -1)


def test_linear_decoder_gives_even_paths():
    rng = np.random.default_rng(0)
    ends = rng.standard_normal((2, 40, 6))
    assert representations.interpolation_smoothness(_identity, _flat, *ends) == pytest.approx(1.0, abs=1e-5)


def test_jump_of_a_path_by_hand():
    # Codes 0, 1, 2, 3, 4; features 0, 1, 2, 8, 9: steps 1, 1, 6, 1, so 6 over 9/4.
    def feature_fn(images):
        return _flat(images) + 5.0 * (_flat(images) > 2.5)

    found = representations.interpolation_smoothness(_identity, feature_fn, [[0.0]], [[4.0]], steps=5)
    assert found == pytest.approx(6 / (9 / 4), abs=1e-6)


def test_steps_are_euclidean_distances():
    # Features (c, 2 c^2) on codes 0, 1, 2: steps sqrt(1 + 4) and sqrt(1 + 36).
    def feature_fn(images):
        return np.concatenate([_flat(images), 2 * _flat(images) ** 2], axis=1)

    found = representations.interpolation_smoothness(_identity, feature_fn, [[0.0]], [[2.0]], steps=3)
    assert found == pytest.approx(2 * np.sqrt(37) / (np.sqrt(5) + np.sqrt(37)), abs=1e-6)


def test_smoothness_is_the_mean_over_pairs_that_move():
    def feature_fn(images):
        return (_flat(images) > 0).astype(float)

    # A single jump has the ratio 9 at 10 steps; a path that stays on one side has none. 40 pairs are
    # more than are decoded at once.
    sizes = []

    def decode(codes):
        sizes.append(len(codes))
        return _identity(codes)

    ends = np.full((40, 1), -1.0), np.where(np.arange(40) % 2, 1.0, -0.5)[:, np.newaxis]
    assert representations.interpolation_smoothness(decode, feature_fn, *ends) == pytest.approx(9.0)
    assert sum(sizes) == 400 and max(sizes) <= 160

    def rough_and_even(images):
        return np.where(_flat(images) > 10, _flat(images), 1e3 * (_flat(images) > 5))

    ends = np.array([[0.0], [20.0]]), np.array([[10.0], [30.0]])
    assert representations.interpolation_smoothness(_identity, rough_and_even, *ends) == pytest.approx(5.0)


# Refusals.


@pytest.mark.parametrize("accuracy", ACCURACIES + (representations.cluster_purity,))
@pytest.mark.parametrize(
    "codes, labels, words",
    [
        (np.zeros((4, 2)), np.zeros(4, int), "of 4 images have 1 classes"),
        (np.zeros((4, 2)), np.array([0, 0, 0, 1]), "of 4 images have 1 classes"),
        (np.zeros((4, 2)), np.array([0, 1, 0]), "4 codes and 3 labels"),
        (np.zeros((4, 2)), np.array([0.5, 1, 0, 1]), "labels are float64"),
        (np.zeros((4, 2)), None, "labels are object"),
        (np.zeros((4, 2)), np.zeros(0, int), r"labels are int64 of shape \(0,\)"),
        (np.zeros(4), np.array([0, 1, 0, 1]), r"codes are float64 of shape \(4,\)"),
        (np.zeros((0, 2)), np.array([0, 1, 0, 1]), r"codes are float64 of shape \(0, 2\)"),
        (np.full((4, 2), "a"), np.array([0, 1, 0, 1]), "codes are <U1"),
        ([[0, 1], [np.nan, 0], [1, np.inf], [0, 0]], np.array([0, 1, 0, 1]), "2 of 4 codes are not finite"),
    ],
)
def test_wrong_codes_and_labels_are_refused(accuracy, codes, labels, words):
    with pytest.raises(ValueError, match=words):
        accuracy(codes, labels)


def test_chance_needs_two_classes():
    with pytest.raises(ValueError, match="of 3 images have 1 classes"):
        representations.chance([1, 1, 2])


@pytest.mark.parametrize("k", [0, 4])
def test_neighbours_must_be_there(k):
    with pytest.raises(ValueError, match=f"k is {k}; each half of the 6 images gives 1 to 3"):
        representations.knn_accuracy(np.zeros((6, 2)), [0, 0, 0, 1, 1, 1], k)


@pytest.mark.parametrize(
    "codes, factors, bins, words",
    [
        (np.zeros((4, 1)), {"a": np.arange(4)}, 20, "1 latents"),
        (np.zeros((4, 2)), {"a": np.arange(4)}, 1, "bins is 1"),
        (np.zeros((4, 2)), {"a": np.arange(3)}, 20, r"factor 'a' is int64 of shape \(3,\); it must be 4"),
        (np.zeros((4, 2)), {"a": np.array(["x"] * 4)}, 20, "factor 'a' is <U1"),
        (np.zeros((4, 2)), {"a": np.array([0, 1, np.nan, 1])}, 20, "finite"),
        (np.zeros((4, 2)), {"a": np.ones(4), "b": np.zeros(4)}, 20, "factors a, b do not vary over the 4"),
        (np.zeros((4, 2)), {}, 20, r"factors \(none\)"),
        (np.full((4, 2), np.nan), {"a": np.arange(4)}, 20, "4 of 4 codes are not finite"),
    ],
)
def test_wrong_factors_are_refused(codes, factors, bins, words):
    with pytest.raises(ValueError, match=words):
        representations.mutual_information_gap(codes, factors, bins)


@pytest.mark.parametrize(
    "codes_a, codes_b, steps, words",
    [
        (np.zeros((2, 3)), np.ones((3, 3)), 10, r"shapes \(2, 3\) and \(3, 3\)"),
        (np.zeros((2, 3)), np.ones((2, 3)), 2, "steps is 2"),
        (np.zeros((2, 3)), np.zeros((2, 3)), 10, "any of the 2 paths"),
        (np.zeros((2, 3)), np.full((2, 3), np.inf), 10, "2 of 2 codes are not finite"),
        (np.zeros(3), np.ones(3), 10, r"codes are float64 of shape \(3,\)"),
    ],
)
def test_wrong_paths_are_refused(codes_a, codes_b, steps, words):
    with pytest.raises(ValueError, match=words):
        representations.interpolation_smoothness(_identity, _flat, codes_a, codes_b, steps)


def test_features_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match="features of decoded images are not finite"):
        representations.interpolation_smoothness(
            lambda codes: np.full((len(codes), 1, 1, 1), np.nan), _flat, np.zeros((2, 3)), np.ones((2, 3))
        )


@pytest.mark.parametrize("accuracy", ACCURACIES)
def test_few_images_of_many_classes_bring_no_warning(accuracy):
    assert 0 <= accuracy(np.random.default_rng(0).normal(size=(60, 3)), np.repeat(np.arange(30), 2)) <= 1
