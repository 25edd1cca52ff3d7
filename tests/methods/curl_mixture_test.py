"""CURL's mixture VAE: its bound against NumPy, its prior and posterior, and what is not in use."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from ltgans_tf.evaluation import likelihood
from ltgans_tf.methods import curl, curl_mixture
from ltgans_tf.settings.method_table import CURLSettings
from tests.methods.mixture_reference import numpy_terms, shaken, softplus, some_images
from tests.tiny import TINY


def _model(jit_compile=False):
    model = curl.CURL.from_architecture(TINY, settings=CURLSettings(components=4))
    model.compile(jit_compile=jit_compile)
    return model


@pytest.mark.parametrize("active", [1, 3])
@pytest.mark.parametrize("sampled", [True, False])
@pytest.mark.parametrize("static", [True, False])
def test_the_bound_is_the_exact_expectation_over_the_components(active, sampled, static):
    student, images = shaken(_model().student, active), some_images()
    student.static_shapes = static
    noise = tf.random.stateless_normal([5, 3], [1, 2]) if sampled else None
    sse, kl, log_q = numpy_terms(student, images, noise)
    q = np.exp(log_q)
    ours_sse, ours_kl = student.elbo_terms(images, noise)
    np.testing.assert_allclose(ours_sse, (q * sse).sum(1), rtol=1e-5)
    expected = (q * kl).sum(1) + (q * (log_q + np.log(active))).sum(1)
    np.testing.assert_allclose(ours_kl, expected, rtol=1e-4)
    assert active == 1 or np.ptp(q, axis=0).min() > 0.01  # or the test would not see q


def test_kl_of_a_component_has_the_closed_form_of_two_gaussians():
    student = _model().student
    zeros = [tf.zeros_like(rows) for rows in student.mixture()]
    mean, stddev, prior_mean, variance = 0.5, 0.3, -1.0, 2.0
    raw = lambda value: np.log(np.expm1(value))
    mixture = curl_mixture.Mixture(
        zeros[0],
        tf.concat([tf.fill([4, 3], mean), tf.fill([4, 3], np.float32(raw(stddev)))], axis=1),
        *zeros[2:4],
        tf.fill([4, 3], prior_mean),
        tf.fill([4, 3], np.float32(raw(variance))),
    )
    _, kl = student.component_terms(mixture, student.features(some_images()), some_images())
    ratio = (stddev**2 + (mean - prior_mean) ** 2) / variance
    expected = 3 * 0.5 * (ratio - 1 - np.log(stddev**2 / variance))
    np.testing.assert_allclose(kl, np.full((5, 4), expected), rtol=1e-4)


def test_kl_of_the_components_is_that_to_a_uniform_law():
    q = np.array([[0.5, 0.25, 0.25, 0.0], [1.0, 0.0, 0.0, 0.0], [1 / 3, 1 / 3, 1 / 3, 0.0]])
    log_q = np.where(q > 0, np.log(np.maximum(q, 1e-30)), -1e9).astype(np.float32)
    expected = [1.5 * -np.log(2) + np.log(3), np.log(3), 0.0]
    np.testing.assert_allclose(curl_mixture.kl_of_components(log_q, 3), expected, atol=1e-6)


@pytest.mark.parametrize("static", [True, False])
def test_components_out_of_use_have_no_probability_and_no_gradient(static):
    model = _model()
    student, images = shaken(model.student, 2), some_images()
    student.static_shapes = static
    with tf.GradientTape() as tape:
        sse, kl, q = student.terms(images, tf.ones([5, 3]))
        loss = tf.reduce_sum(sse + kl)
    assert np.all(q.numpy()[:, 2:] == 0) and np.all(q.numpy()[:, :2] > 0)
    rows = [getattr(student, name) for name in curl_mixture.Mixture._fields]
    for name, gradient in zip(curl_mixture.Mixture._fields, tape.gradient(loss, rows)):
        assert np.all(gradient.numpy()[2:] == 0), name
        assert all(np.abs(row).max() > 0 for row in gradient.numpy()[:2]), name
    before = [loss, student.encode(images).mean(), student.prior().log_prob(tf.ones([3])), model.sample(9)]
    others = [tf.concat([r[:2], r[2:] + 1.0], axis=0) for r in student.mixture()]
    student.set_mixture(curl_mixture.Mixture(*others))
    sse, kl = student.elbo_terms(images, tf.ones([5, 3]))
    after = [
        tf.reduce_sum(sse + kl),
        student.encode(images).mean(),
        student.prior().log_prob(tf.ones([3])),
        model.sample(9),
    ]
    for a, b in zip(before, after):
        np.testing.assert_array_equal(a, b)


def test_only_components_in_use_are_decoded_but_under_xla(monkeypatch):
    for jit, rows in ((False, 2 * 5), (True, 4 * 5)):
        student, seen = shaken(_model(jit_compile=jit).student, 2), []
        real = student.decode
        monkeypatch.setattr(student, "decode", lambda codes: seen.append(len(codes)) or real(codes))
        student.elbo_terms(some_images())
        assert seen == [rows]


def test_a_component_starts_with_the_standard_normal_prior():
    prior = _model().student.prior()
    expected = -0.5 * np.sum(np.square([1.0, 2.0, 3.0])) - 1.5 * np.log(2 * np.pi)
    np.testing.assert_allclose(prior.log_prob([1.0, 2.0, 3.0]), expected, rtol=1e-5)


def test_the_prior_is_the_even_mixture_of_the_components_in_use():
    student = shaken(_model().student, 3)
    code = np.array([0.3, -0.2, 1.0])
    mean, variance = np.float64(student.prior_mean)[:3], softplus(student.prior_raw)[:3]
    density = np.exp(-0.5 * np.square(code - mean) / variance) / np.sqrt(2 * np.pi * variance)
    expected = np.log(np.prod(density, axis=1).mean())
    np.testing.assert_allclose(student.prior().log_prob(np.float32(code)), expected, rtol=1e-4)


def test_an_image_is_encoded_by_its_most_probable_component():
    student, images = shaken(_model().student, 3), some_images(rows=20)
    _, _, log_q = numpy_terms(student, images, None)
    features = np.float64(student.trunk(images))
    likeliest = log_q.argmax(1)
    assert len(set(likeliest)) > 1
    heads = [
        f @ student.head_kernel.numpy()[y] + student.head_bias.numpy()[y] for f, y in zip(features, likeliest)
    ]
    posterior = student.encode(images)
    np.testing.assert_allclose(posterior.mean(), np.array(heads)[:, :3], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(posterior.stddev(), softplus(np.array(heads)[:, 3:]), rtol=1e-4)
    np.testing.assert_array_equal(student(images), student.decode(posterior.mean()))


def _line():
    """A mixture VAE with one-dimensional codes, whose marginal a sum over a grid gives."""
    images, codes = keras.Input([2, 2, 1]), keras.Input([1])
    dense = keras.layers.Dense(4, activation="tanh", kernel_initializer=keras.initializers.GlorotUniform(1))
    trunk = keras.Model(images, keras.layers.Flatten()(images))
    decoder = keras.Model(codes, keras.layers.Reshape([2, 2, 1])(dense(codes)))
    student = shaken(curl_mixture.MixtureStudent(trunk, decoder, 3), 2, scale=1.0)
    # Posteriors wide enough for a few thousand codes to find all of the marginal.
    student.head_kernel.assign(0.2 * student.head_kernel)
    student.head_bias.assign([[0.0, 1.5]] * 3)
    return student


@pytest.mark.program
def test_both_bounds_hold_against_the_marginal_by_quadrature():
    student = _line()
    images = np.random.default_rng(0).uniform(-1, 1, (6, 2, 2, 1)).astype(np.float32)
    grid = np.linspace(-12, 12, 4801)
    decoded = np.float64(student.decode(np.float32(grid[:, None])))
    prior = np.exp(np.float64(student.prior().log_prob(np.float32(grid[:, None]))))
    assert abs(prior.sum() * 0.005 - 1) < 1e-3
    sse = np.square(images[None] - decoded[:, None]).sum(axis=(2, 3, 4))
    exact = -np.log((np.exp(-sse) * prior[:, None]).sum(axis=0) * 0.005).mean()
    close = likelihood.iwae(student, images, k=4000, chunk=500)["iwae"]
    assert abs(close - exact) < 0.03
    many = np.repeat(images, 500, axis=0)
    bound, weighted = (
        likelihood.nlog(student, many)["nlog_sampled"],
        likelihood.iwae(student, many, k=2)["iwae"],
    )
    assert bound > exact + 0.05 and weighted > exact
    assert likelihood.codes(student, images).shape == (6, 1)


def test_codes_are_drawn_in_proportion_to_what_each_component_explained():
    mean = np.array([[-1.0], [2.0], [5.0], [9.0]], np.float32)
    raw = np.log(np.expm1(np.float32([[0.01], [0.04], [0.09], [1.0]])))
    latents = tf.random.stateless_normal([20_000, 2], [3, 4])
    codes, components = curl_mixture.draw_codes(mean, raw, tf.constant([5.0, 0.0, 3.0, 0.0]), latents)
    shares = np.bincount(components, minlength=4) / 20_000
    np.testing.assert_allclose(shares, [0.625, 0, 0.375, 0], atol=0.01)
    for y, stddev in ((0, 0.1), (2, 0.3)):
        mine = codes.numpy()[components.numpy() == y]
        assert abs(mine.mean() - mean[y, 0]) < 0.01 and abs(mine.std() - stddev) < 0.01
    extreme = tf.constant([[0.0, -40.0], [0.0, 40.0]])
    np.testing.assert_array_equal(
        curl_mixture.draw_codes(mean, raw, [0.0, 1.0, 1.0, 0.0], extreme)[1], [1, 2]
    )


def test_the_score_of_an_image_does_not_depend_on_its_batch():
    student, images, noise = (
        shaken(_model().student, 3),
        some_images(),
        tf.random.stateless_normal([5, 3], [1, 2]),
    )
    whole = student.elbo_terms(images, noise)
    for i in range(5):
        for alone, together in zip(student.elbo_terms(images[i : i + 1], noise[i : i + 1]), whole):
            np.testing.assert_allclose(alone[0], together[i], rtol=1e-5)
