"""The Student against closed forms: KL of Gaussians, and a VAE whose marginal is known."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from ltgans_tf.networks import networks, student
from tests.tiny import TINY


def _constant_encoder(mean, stddev):
    images = keras.Input([2, 2, 1])
    flat = keras.layers.Flatten()(images)
    layers = [
        keras.layers.Dense(
            len(v),
            kernel_initializer="zeros",
            bias_initializer=lambda s, dtype=None, v=v: tf.constant(v, tf.float32),
        )
        for v in (mean, stddev)
    ]
    return keras.Model(images, [layer(flat) for layer in layers])


def _decoder(matrix):
    codes = keras.Input([matrix.shape[0]])
    dense = keras.layers.Dense(
        4, use_bias=False, kernel_initializer=lambda s, dtype=None: tf.constant(matrix, tf.float32)
    )
    return keras.Model(codes, keras.layers.Reshape([2, 2, 1])(dense(codes)))


def test_kl_has_the_closed_form_of_two_gaussians():
    mean, stddev = np.array([0.5, -1.0, 2.0]), np.array([0.3, 1.0, 2.0])
    model = student.Student(_constant_encoder(mean, stddev), _decoder(np.zeros((3, 4))))
    _, kl = model.elbo_terms(tf.zeros([2, 2, 2, 1]))
    expected = 0.5 * np.sum(mean**2 + stddev**2 - 1 - 2 * np.log(stddev))
    np.testing.assert_allclose(kl, [expected] * 2, rtol=1e-4)


def test_elbo_reaches_the_exact_marginal_of_a_linear_gaussian_model():
    """x = A z + e with z ~ N(0, I) and e ~ N(0, I/2): with q = the true posterior ELBO = log p(x)."""
    draw = np.random.default_rng(0)
    matrix = draw.normal(size=(2, 4))  # x_hat = z @ matrix
    image = draw.normal(size=4)
    marginal = matrix.T @ matrix + 0.5 * np.eye(4)
    log_marginal = -0.5 * (
        image @ np.linalg.solve(marginal, image) + np.linalg.slogdet(2 * np.pi * marginal)[1]
    )
    # The true posterior has precision I + 2 A A^T; with a diagonal q it must be diagonal.
    left, singular, right = np.linalg.svd(matrix, full_matrices=False)
    matrix = np.diag(singular) @ right  # the same marginal, rotated codes
    precision = 1 + 2 * singular**2
    mean = 2 * (matrix @ image) / precision
    model = student.Student(_constant_encoder(mean, 1 / np.sqrt(precision)), _decoder(matrix))
    images = tf.tile(tf.constant(image.reshape(1, 2, 2, 1), tf.float32), [4000, 1, 1, 1])
    sse, kl = model.elbo_terms(images, tf.random.stateless_normal([4000, 2], [1, 2]))
    constant = 0.5 * 4 * np.log(np.pi)  # of the decoder N(x_hat, I/2)
    elbo = -np.mean(np.float64(sse)) - np.mean(kl) - constant
    spread = np.std(np.float64(sse)) / np.sqrt(4000)
    assert abs(elbo - log_marginal) < 4 * spread + 1e-3
    # And by the rule log p(x) = ELBO + KL(q || posterior), any other q lies below.
    other = student.Student(_constant_encoder(mean + 0.5, 1 / np.sqrt(precision)), _decoder(matrix))
    sse, kl = other.elbo_terms(images, tf.random.stateless_normal([4000, 2], [1, 2]))
    gap = 0.5 * np.sum(0.25 * precision)
    np.testing.assert_allclose(
        -np.mean(np.float64(sse)) - np.mean(kl) - constant, log_marginal - gap, atol=4 * spread + 0.1
    )


def test_codes_are_reparametrised_from_the_given_noise():
    mean, stddev = np.array([0.5, -1.0]), np.array([0.3, 2.0])
    matrix = np.array([[1.0, 0, 0, 0], [0, 1.0, 0, 0]])
    model = student.Student(_constant_encoder(mean, stddev), _decoder(matrix))
    noise = tf.constant([[1.0, -0.5]])
    sse, _ = model.elbo_terms(tf.zeros([1, 2, 2, 1]), noise)
    np.testing.assert_allclose(sse, [(0.5 + 0.3) ** 2 + (-1.0 - 1.0) ** 2], rtol=1e-4)


def test_beta_scales_the_gradient_of_the_kl_alone():
    def moved(beta):
        model = student.Student(networks.encoder(TINY, seed=1), networks.decoder(TINY, seed=2))
        optimizer = keras.optimizers.SGD(1.0)
        optimizer.build(model.trainable_variables)
        before = [v.numpy() for v in model.trainable_variables]
        model.update(optimizer, tf.ones([2, 8, 8, 3]), tf.ones([2]), tf.zeros([2, 3]), beta, 2)
        return np.concatenate([(v.numpy() - b).ravel() for v, b in zip(model.trainable_variables, before)])

    one, two, four = moved(1.0), moved(2.0), moved(4.0)
    assert np.abs(two - one).max() > 0
    np.testing.assert_allclose(four - one, 3 * (two - one), atol=1e-3 * np.abs(two - one).max())


def test_stddev_stays_positive_where_softplus_underflows():
    model = student.Student(_constant_encoder(np.zeros(2), np.zeros(2)), _decoder(np.zeros((2, 4))))
    _, kl = model.elbo_terms(tf.zeros([1, 2, 2, 1]))
    assert np.isfinite(kl.numpy()).all()


def test_reconstruction_is_the_decoded_posterior_mean():
    model = student.Student(networks.encoder(TINY, seed=1), networks.decoder(TINY, seed=2))
    images = tf.ones([2, 8, 8, 3])
    np.testing.assert_array_equal(model(images), model.decode(model.encode(images).mean()))
    assert model.encode(images).event_shape == (3,)
    with pytest.raises(ValueError):
        model.decode(tf.zeros([2, 5]))
