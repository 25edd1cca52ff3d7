"""Tests of what LGM says of images and codes once it is trained: bounds, codes, samples."""

import numpy as np
import pytest
import scipy.special
import tensorflow as tf

from ltgans_tf.evaluation import likelihood
from tests.methods.linear_lgm import D, K, draw_images, draw_params, kls_of, linear_vae, make_lgm
from tests.tiny import TINY


def test_elbo_terms_average_to_the_bound_with_the_exact_sum_over_categories():
    """Over noise, SSE has the mean sum_j q_j E SSE(z_c, j): a bound, for no relaxed category is decoded."""
    params, image = draw_params(0), draw_images(1)
    params["stddev"] = (params["stddev"][0] * 0, params["stddev"][1] * 0 - 1)
    vae, count = linear_vae(params), 20_000
    x = np.float64(image.reshape(1, 4))
    mean, stddev, probabilities, expected_kl = kls_of(params, x)
    matrix = params["decoder"][0]
    spread = (stddev[0] ** 2 @ matrix[:D] ** 2).sum()
    centres = mean @ matrix[:D] + matrix[D:] + params["decoder"][1]
    expected = probabilities[0] @ ((x - centres) ** 2).sum(-1) + spread
    noise = tf.random.stateless_normal([count, D + K], [3, 4])
    sse, kl = vae.elbo_terms(tf.tile(image, [count, 1, 1, 1]), noise)
    assert abs(np.float64(sse).mean() - expected) < 4 * np.std(sse) / np.sqrt(count) + 1e-4
    np.testing.assert_allclose(kl[:1], expected_kl, rtol=1e-4)
    # Without noise: the mean of z_c and the likeliest category, which is also what `call` decodes.
    sse = vae.elbo_terms(image)[0]
    likeliest = ((x - centres[probabilities[0].argmax()]) ** 2).sum()
    np.testing.assert_allclose(sse, [likeliest], rtol=1e-4)
    np.testing.assert_allclose(((vae(image) - image).numpy() ** 2).sum(), likeliest, rtol=1e-4)


@pytest.mark.program
def test_the_importance_weighted_bound_reaches_the_exact_likelihood():
    """A decoder that ignores z_c: p(x) = mean_j exp(-SSE_j), but for the constant of the decoder."""
    params, images = draw_params(4), draw_images(40, seed=5)
    params["decoder"][0][:D] = 0
    params["mean"] = (np.zeros((4, D)), np.zeros(D))
    params["stddev"] = (np.zeros((4, D)), np.full(D, np.log(np.e - 1)))  # so q(z_c|x) is the prior
    params["logits"] = (3 * params["logits"][0], params["logits"][1])
    vae = linear_vae(params)
    centres = params["decoder"][0][D:] + params["decoder"][1]
    sse = ((images.reshape(-1, 1, 4) - centres) ** 2).sum(-1)
    exact = np.mean(np.log(K) - scipy.special.logsumexp(-sse, axis=1))
    few, many = (likelihood.iwae(vae, images, k, chunk=16)["iwae"] for k in (1, 512))
    assert exact - 0.01 < many < exact + 0.05 < few
    row = likelihood.nlog(vae, images)
    assert row["nlog_sampled"] > exact


def test_codes_have_the_moments_of_the_posterior():
    """u given z_d = j is a draw from the prior whose largest is u_j; unused units keep the prior."""
    params = draw_params(0)
    image = draw_images(1)
    draws = np.random.default_rng(1).normal(size=(200_000, K))
    for active in (1, 2, 3):
        vae = linear_vae(params, active=active)
        probabilities = vae.probabilities(image).numpy()[0]
        largest = draws[:, :active].argmax(-1)
        weights = probabilities[largest] * active
        mean = (weights[:, None] * draws).mean(0)
        stddev = np.sqrt((weights[:, None] * draws**2).mean(0) - mean**2)
        posterior = vae.encode(image)
        np.testing.assert_allclose(posterior.mean()[0, D:], mean, atol=0.02)
        np.testing.assert_allclose(posterior.stddev()[0, D:], stddev, atol=0.02)
        np.testing.assert_allclose(posterior.mean()[:, :D], vae.posterior(image)[0])
        np.testing.assert_allclose(posterior.stddev()[:, :D], vae.posterior(image)[1])
    assert vae.prior().event_shape == (D + K,)


def test_samples_are_decoded_draws_from_the_prior():
    model = make_lgm(categories=4)
    latents = model.latents(9, 3)
    assert model.latent_dim == model.student.code_dim == TINY.code_dim + 4
    chosen = tf.one_hot(tf.argmax(latents[:, TINY.code_dim :], axis=-1), 4)
    expected = model.student.decoder(tf.concat([latents[:, : TINY.code_dim], chosen], axis=-1))
    np.testing.assert_allclose(model.sample(9, 3), expected, atol=1e-6)
    np.testing.assert_allclose(model.sample(5, 3, batch_size=2), expected[:5], atol=1e-6)
    assert np.abs(model.sample(5, 3) - model.sample(5, 4)).max() > 1e-4
    assert model.sample(2).shape == (2, 8, 8, 3) and np.abs(model.sample(50)).max() <= 1
    inside = tf.function(model.generate)(latents)
    np.testing.assert_allclose(inside, expected, atol=1e-6)


def test_a_sample_takes_each_category_in_use_equally_often():
    params = draw_params(0)
    params["decoder"] = (np.eye(D + K)[:, 1:], np.zeros(4))  # shows z_d in the last three pixels
    codes = tf.random.stateless_normal([6000, D + K], [1, 2])
    for active in (1, 2, 3):
        shown = linear_vae(params, active=active).decode(codes).numpy().reshape(-1, 4)[:, 1:]
        expected = [1 / active] * active + [0] * (3 - active)
        np.testing.assert_allclose(shown.mean(0), expected, atol=0.025)
        assert set(shown.ravel()) <= {0.0, 1.0}
