"""The fused batch normalisation is Keras' own: values, gradients and moving statistics."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from ltgans_tf.networks import normalization


def _pair(channels, **settings):
    """The fused layer and Keras' with the same weights, none of them as they begin."""
    draw, layers = np.random.default_rng(0), []
    for cls in (normalization.BatchNormalization, keras.layers.BatchNormalization):
        layers.append(cls(momentum=0.9, **settings))
        layers[-1].build([None, 4, 4, channels])
    weights = [draw.uniform(0.5, 2.0, [channels]).astype(np.float32) for _ in range(4)]
    for layer in layers:
        layer.set_weights(weights)
    return layers


def _passed(layer, x, training):
    weigh = tf.cos(tf.range(tf.size(x), dtype=tf.float32))
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x, training=training)
        loss = tf.reduce_sum(tf.reshape(tf.cast(y, tf.float32), [-1]) * weigh)
    gradients = tape.gradient(loss, [x, layer.gamma, layer.beta])
    return [y, *gradients, layer.moving_mean, layer.moving_variance]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", [(6, 4, 4, 5), (2, 1, 1, 3), (1, 1, 1, 2)])
def test_values_gradients_and_statistics_are_those_of_keras(shape, training):
    pair = _pair(shape[-1])
    before = pair[0].moving_mean.numpy()
    for step in range(3):
        draw = np.random.default_rng(step)
        x = tf.constant(draw.normal(3.0, 2.0, shape), tf.float32)
        found, expected = (_passed(layer, x, training) for layer in pair)
        for ours, theirs in zip(found, expected, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=2e-4)
    assert training == (np.abs(pair[0].moving_mean.numpy() - before).max() > 0)


def test_the_moving_variance_is_that_of_the_biased_one():
    layer, _ = _pair(1)
    layer.set_weights([np.ones(1, np.float32), np.zeros(1), np.zeros(1), np.zeros(1)])
    layer(tf.reshape(tf.constant([0.0, 2.0]), [2, 1, 1, 1]), training=True)
    np.testing.assert_allclose(layer.moving_variance, [0.1 * 1.0], rtol=1e-5)


def test_rows_that_are_not_known_give_the_same():
    one, two = _pair(3)[0], _pair(3)[0]
    x = tf.constant(np.random.default_rng(0).normal(size=(4, 2, 2, 3)), tf.float32)
    spec = tf.TensorSpec([None, 2, 2, 3])
    of_any_rows = tf.function(lambda x: one(x, training=True), input_signature=[spec])
    np.testing.assert_allclose(of_any_rows(x), two(x, training=True), rtol=1e-4, atol=1e-5)
    for a, b in zip(one.get_weights(), two.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_in_16_bits_the_statistics_stay_in_32(precision):
    fused, plain = _pair(3, dtype=precision)
    x = np.random.default_rng(0).normal(size=(64, 4, 4, 3)).astype(np.float32)
    made = [layer(tf.constant(x), training=True) for layer in (fused, plain)]
    assert made[0].dtype == made[1].dtype != tf.float32
    np.testing.assert_allclose(*(np.float32(each) for each in made), atol=0.05)
    for a, b in zip(fused.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3)


def test_an_average_moves_by_a_share_of_the_distance():
    average = keras.Variable([1.0, 2.0])
    normalization.blend(average, tf.constant([3.0, 0.0]), 0.25)
    np.testing.assert_allclose(average, [1.5, 1.5])
