"""DiffAugment against NumPy, image by image and pixel by pixel."""

import numpy as np
import pytest
import tensorflow as tf

from ltgans_tf.networks import augmentation
from ltgans_tf.settings import presets

ALL = presets.AUGMENTATIONS


def _given(batch=40, height=9, width=16, channels=3):
    draw = np.random.default_rng(0)
    numbers = draw.random((batch, augmentation.NUMBERS), np.float32)
    numbers[0], numbers[1] = 0, np.nextafter(np.float32(1), np.float32(0))  # the ends of [0, 1)
    return draw.uniform(-1, 1, (batch, height, width, channels)).astype(np.float32), numbers


def _color(image, brightness, saturation, contrast):
    image = image.astype(np.float64) + brightness - 0.5
    for row in image:
        for pixel in row:
            pixel[:] = [pixel.mean() + (value - pixel.mean()) * 2 * saturation for value in pixel]
    return (image - image.mean()) * (contrast + 0.5) + image.mean()


def _translation(image, down, right):
    height, width, _ = image.shape
    most = [int(side / 8 + 0.5) for side in (height, width)]
    start = [int(u * (2 * m + 1)) - m for u, m in zip((down, right), most)]
    moved = np.zeros_like(image)
    for y in range(height):
        for x in range(width):
            if 0 <= y + start[0] < height and 0 <= x + start[1] < width:
                moved[y, x] = image[y + start[0], x + start[1]]
    return moved


def _cutout(image, down, right):
    left = image.copy()
    sides = [int(side / 2 + 0.5) for side in image.shape[:2]]
    middle = [int(u * (side + 1 - s % 2)) for u, side, s in zip((down, right), image.shape, sides)]
    for y in range(middle[0] - sides[0] // 2, middle[0] - sides[0] // 2 + sides[0]):
        for x in range(middle[1] - sides[1] // 2, middle[1] - sides[1] // 2 + sides[1]):
            if 0 <= y < image.shape[0] and 0 <= x < image.shape[1]:
                left[y, x] = 0
    return left


PLAIN = {
    "color": (_color, slice(0, 3)),
    "translation": (_translation, slice(3, 5)),
    "cutout": (_cutout, slice(5, 7)),
}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("policy", [(name,) for name in ALL] + [ALL, ALL[::-1]], ids="-".join)
def test_each_transform_is_that_of_numpy(policy, channels):
    images, numbers = _given(channels=channels)
    expected = []
    for image, row in zip(images, numbers):
        for name in policy:
            function, own = PLAIN[name]
            image = function(image, *row[own])
        expected.append(image)
    found = augmentation.augment(tf.constant(images), tf.constant(numbers), policy)
    np.testing.assert_allclose(found, expected, atol=2e-6)
    assert (np.abs(found - images).max(axis=(1, 2, 3)) > 0.01).mean() > 0.9


def test_settings_name_the_transforms_that_there_are():
    assert set(ALL) == set(augmentation.TRANSFORMS)


def test_translation_reaches_an_eighth_of_the_side_both_ways_and_a_hole_any_place():
    images = tf.ones([2000, 16, 16, 1])
    numbers = tf.constant(np.random.default_rng(1).random((2000, 2), np.float32))
    rows = augmentation.translation(images, numbers).numpy().max(axis=(2, 3))
    assert {tuple(np.flatnonzero(row)[[0, -1]]) for row in rows} == {
        *((k, 15) for k in (0, 1, 2)),
        *((0, 15 - k) for k in (1, 2)),
    }
    holes = 1 - augmentation.cutout(images, numbers).numpy()[..., 0]
    assert holes.max(axis=0).min() == 1 and holes.sum(axis=(1, 2)).max() == 64


@pytest.mark.parametrize("name", ALL)
def test_gradients_are_those_of_an_affine_map_of_the_image(name):
    images, numbers = (tf.constant(given) for given in _given())
    draw = np.random.default_rng(2)
    weights, change = (tf.constant(draw.normal(size=images.shape), tf.float32) for _ in range(2))
    value = lambda shown: tf.reduce_sum(weights * augmentation.augment(shown, numbers, [name]), [1, 2, 3])
    with tf.GradientTape() as tape:
        tape.watch(images)
        values = value(images)
    along = tf.reduce_sum(tape.gradient(values, images) * change, [1, 2, 3])
    np.testing.assert_allclose(along, value(images + change) - values, atol=1e-3)
    assert np.abs(along).min() > 0


def test_xla_makes_the_same_images():
    images, numbers = (tf.constant(given) for given in _given())
    compiled = tf.function(lambda *given: augmentation.augment(*given, ALL), jit_compile=True)
    np.testing.assert_allclose(
        compiled(images, numbers), augmentation.augment(images, numbers, ALL), atol=1e-6
    )


@pytest.mark.parametrize("text", ["colour", "color,,cutout", "color,color", "", "none,color"])
def test_an_unknown_policy_is_refused_in_a_sentence(text):
    with pytest.raises(
        ValueError, match="diffaugment is .* it must be 'none' or some of color,translation,cutout"
    ):
        presets.Recipe(diffaugment=text)


def test_a_policy_is_read_in_its_order():
    assert presets.augmentations("cutout, color") == ("cutout", "color")
    assert presets.augmentations("none") == ()
