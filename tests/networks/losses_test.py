"""Losses against closed forms, finite differences and a NumPy reference."""

import numpy as np
import tensorflow as tf

from ltgans_tf.networks import losses, networks
from tests.tiny import TINY


def _images(seed, batch=5, side=8):
    return tf.constant(np.random.default_rng(seed).uniform(-1, 1, (batch, side, side, 3)), tf.float32)


def test_penalty_of_a_linear_critic_has_its_closed_form():
    weights = np.random.default_rng(0).normal(size=(8, 8, 3)).astype(np.float32)
    expected = (np.sqrt(np.sum(weights.astype(np.float64) ** 2)) - 1) ** 2
    penalty = losses.gradient_penalty(lambda u: tf.reduce_sum(u * weights, [1, 2, 3]), _images(1))
    np.testing.assert_allclose(penalty, np.full(5, expected), rtol=1e-5)


def test_penalty_takes_the_norm_over_all_pixels_and_channels():
    # A gradient of 1/sqrt(192) everywhere has norm 1 over 8x8x3, and norms below 1 on any axis.
    penalty = losses.gradient_penalty(lambda u: tf.reduce_sum(u, [1, 2, 3]) / np.sqrt(192.0), _images(1))
    np.testing.assert_allclose(penalty, np.zeros(5), atol=1e-6)


def test_penalty_agrees_with_finite_differences_of_a_critic():
    critic = networks.critic(TINY, seed=3)
    image = np.random.default_rng(2).uniform(-1, 1, (1, 8, 8, 3))
    step, norm = 1e-3, 0.0  # hardly a unit changes sign within it, and float32 keeps 4 digits of a difference
    for i in range(192):
        shift = np.zeros(192)
        shift[i] = step
        up, down = (critic(tf.constant(image + s * shift.reshape(1, 8, 8, 3), tf.float32)) for s in (1, -1))
        norm += float((up - down)[0, 0] / (2 * step)) ** 2
    penalty = losses.gradient_penalty(lambda u: critic(u)[:, 0], tf.constant(image, tf.float32))
    np.testing.assert_allclose(penalty[0], (np.sqrt(norm) - 1) ** 2, rtol=2e-3)


def test_penalty_of_an_image_does_not_depend_on_the_others():
    critic = networks.critic(TINY, seed=3)
    images = _images(4)
    together = losses.gradient_penalty(lambda u: critic(u)[:, 0], images)
    alone = losses.gradient_penalty(lambda u: critic(u)[:, 0], images[:1])
    np.testing.assert_allclose(together[0], alone[0], rtol=1e-5)


def test_penalty_and_its_gradient_are_finite_where_the_critic_is_flat():
    scale = tf.Variable(0.0)
    with tf.GradientTape() as tape:
        penalty = losses.gradient_penalty(lambda u: scale * tf.reduce_sum(u**2, [1, 2, 3]), _images(1))
        loss = tf.reduce_sum(penalty)
    np.testing.assert_allclose(penalty, np.ones(5), rtol=1e-5)
    assert np.isfinite(tape.gradient(loss, scale))


def test_interpolation_draws_a_ratio_for_each_image():
    real, fake = tf.ones([3, 2, 2, 1]), -tf.ones([3, 2, 2, 1])
    epsilon = tf.reshape(tf.constant([0.0, 0.25, 1.0]), [3, 1, 1, 1])
    points = losses.interpolate(real, fake, epsilon)
    np.testing.assert_allclose(points[:, 0, 0, 0], [-1.0, -0.5, 1.0])


def test_wasserstein_losses_have_the_papers_signs():
    np.testing.assert_allclose(losses.critic_loss(tf.constant([1.0, 2.0]), tf.constant([4.0, 8.0])), [3, 6])
    np.testing.assert_allclose(losses.generator_loss(tf.constant([4.0, 8.0])), [-4, -8])


def test_squared_error_sums_over_pixels_and_channels():
    images, rebuilt = _images(5), _images(6)
    expected = ((images.numpy() - rebuilt.numpy()).astype(np.float64) ** 2).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(losses.sum_squared_error(images, rebuilt), expected, rtol=1e-5)


def test_negative_elbo_weighs_the_kl_with_beta():
    np.testing.assert_allclose(losses.negative_elbo(tf.constant([10.0]), tf.constant([2.0]), 4.0), [18.0])


def test_the_norm_is_that_of_all_gradients_together():
    parts = [np.random.default_rng(i).normal(size=shape) for i, shape in enumerate([(3, 4), (2,), ()])]
    expected = np.sqrt(sum(np.sum(np.square(part)) for part in parts))
    np.testing.assert_allclose(losses.norm([tf.constant(p, tf.float32) for p in parts]), expected, rtol=1e-6)


def test_kl_to_the_normal_law_has_its_closed_form():
    mean, stddev = np.array([[0.5, -1.0], [0.0, 0.0]]), np.array([[0.3, 2.0], [1.0, 1.0]])
    expected = np.sum(0.5 * (mean**2 + stddev**2 - 1) - np.log(stddev), axis=1)
    found = losses.kl_to_normal(tf.constant(mean, tf.float32), tf.constant(stddev, tf.float32))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
