"""Likelihood scores against NumPy and against a linear-Gaussian model whose marginal is known."""

import math

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from ltgans_tf.evaluation import likelihood

tfd = tfp.distributions

SHAPE = (2, 3, 1)
D = 6


class _LinearGaussian:
    """x = z W + b + e with z ~ N(0, I) and e ~ N(0, I/2); W has orthogonal rows.

    So the true posterior is diagonal: precision 1 + 2 |w_j|^2 and mean 2 (x - b) W^T / precision.
    `shift` moves the mean of q away from it and `widen` multiplies its standard deviation.
    """

    def __init__(self, shift=0.0, widen=1.0, seed=0):
        draw = np.random.default_rng(seed)
        turn = np.linalg.qr(draw.standard_normal((D, D)))[0]
        self.matrix = turn[:3] * [[2.0], [1.0], [0.3]]
        self.offset = draw.uniform(-0.5, 0.5, D)
        self.precision = 1 + 2 * np.square(self.matrix).sum(axis=1)
        self.shift, self.widen = shift, widen

    def encode(self, images):
        centred = tf.reshape(images, [-1, D]) - np.float32(self.offset)
        mean = centred @ np.float32(2 * self.matrix.T / self.precision)
        stddev = np.float32(self.widen / np.sqrt(self.precision))
        return tfd.MultivariateNormalDiag(mean + self.shift, stddev * tf.ones_like(mean))

    def decode(self, codes):
        flat = codes @ np.float32(self.matrix) + np.float32(self.offset)
        return tf.reshape(flat, [-1, *SHAPE])

    def prior(self):
        return tfd.MultivariateNormalDiag(tf.zeros([3]), tf.ones([3]))

    def elbo_terms(self, images, noise=None):
        posterior = self.encode(images)
        codes = posterior.mean() + (0.0 if noise is None else posterior.stddev() * noise)
        sse = tf.reduce_sum(tf.square(self.decode(codes) - images), axis=[1, 2, 3])
        return sse, tfd.kl_divergence(posterior, self.prior())

    def negative_marginal(self, images):
        """-log p(x) less the decoder's constant, float64 [N]."""
        covariance = self.matrix.T @ self.matrix + 0.5 * np.eye(D)
        centred = np.float64(images).reshape(-1, D) - self.offset
        distances = np.einsum("ni,ij,nj->n", centred, np.linalg.inv(covariance), centred)
        logdet = np.linalg.slogdet(2 * np.pi * covariance)[1]
        return 0.5 * (distances + logdet) - D / 2 * np.log(np.pi)


def _images(count, shape=SHAPE, seed=3):
    return np.random.default_rng(seed).uniform(-1, 1, (count, *shape)).astype(np.float32)


def test_nlog_is_squared_error_plus_kl(tiny_model):
    student, images = tiny_model().student, _images(7, (8, 8, 3))
    mean, stddev = (np.float64(part) for part in student.encoder(images))
    stddev += 1e-6
    sse = np.square(np.float64(student.decoder(mean.astype(np.float32))) - images).sum((1, 2, 3))
    kl = 0.5 * (mean**2 + stddev**2 - 1 - 2 * np.log(stddev)).sum(1)
    scores = likelihood.nlog(student, images)
    assert scores["sse"] == pytest.approx(sse.mean(), rel=1e-5)
    assert scores["kl"] == pytest.approx(kl.mean(), rel=1e-4) and kl.mean() > 0
    assert scores["nlog"] == scores["sse"] + scores["kl"]
    assert scores["mse"] == pytest.approx(sse.mean() / 192, rel=1e-5)
    assert scores["images"] == 7 and all(type(value) in (float, int) for value in scores.values())


@pytest.mark.program
def test_nlog_sees_what_was_learnt_between_two_calls(tiny_model):
    student, images = tiny_model().student, _images(3, (8, 8, 3))
    before = likelihood.nlog(student, images)["nlog"]
    for weights in student.trainable_variables:
        weights.assign(weights * 2)
    assert likelihood.nlog(student, images)["nlog"] != pytest.approx(before, rel=1e-3)


@pytest.mark.program
def test_graphs_that_are_kept_are_made_once_and_see_new_weights(tiny_model):
    student, images = tiny_model().student, _images(4, (8, 8, 3))
    elbo_terms, traced, graphs = student.elbo_terms, [], {}
    student.elbo_terms = lambda *args: traced.append(args) or elbo_terms(*args)
    before = likelihood.nlog(student, images, graphs=graphs)
    for weights in student.trainable_variables:
        weights.assign(weights * 2)
    after = likelihood.nlog(student, images, graphs=graphs)
    assert len(traced) == 2  # with and without noise, in one graph
    assert after == likelihood.nlog(student, images) != before


@pytest.mark.program
def test_sampled_scores_decode_one_code_of_each_posterior():
    student, images = _LinearGaussian(shift=0.3), _images(50)
    scores = likelihood.nlog(student, images, seed=5)
    noise = tf.random.stateless_normal([50, 3], [5, 0], alg="philox").numpy()
    sse, kl = (np.float64(term) for term in student.elbo_terms(images, noise))
    assert scores["nlog_sampled"] == pytest.approx((sse + kl).mean(), rel=1e-6)
    assert scores["elbo"] == pytest.approx(-(sse + kl).mean() - 3 * math.log(math.pi), rel=1e-6)
    assert scores["nlog_sampled"] - scores["kl"] > scores["sse"] + 0.1


def test_elbo_of_the_true_posterior_is_the_marginal():
    student, images = _LinearGaussian(), np.repeat(_images(5), 4000, axis=0)
    expected = -student.negative_marginal(images).mean() - D / 2 * math.log(math.pi)
    # The noise enters the SSE with 2 |w_j|^2 / precision_j of each code, which is below 1.
    assert likelihood.nlog(student, images, batch_size=5000)["elbo"] == pytest.approx(
        expected, abs=4 * math.sqrt(3 / 20000)
    )


@pytest.mark.program
@pytest.mark.parametrize("batch_size", [1, 2, 3, 7])
def test_nlog_is_independent_of_the_batch_size(batch_size, tiny_model):
    student, images = tiny_model().student, _images(7, (8, 8, 3))
    again = likelihood.nlog(student, tf.constant(images), batch_size)
    assert again == pytest.approx(likelihood.nlog(student, images), rel=1e-5)


def _fixed(encode, elbo_terms):
    """A student that has these two alone; `elbo_terms` does without noise."""
    student = _LinearGaussian()
    student.encode, student.elbo_terms = encode, lambda images, noise=None: elbo_terms(images)
    return student


def test_mean_image_nlog_is_what_predicting_the_mean_image_scores():
    images = _images(9, (8, 8, 3)) * 0.01 + 0.9
    mean_image = images.mean(axis=0)
    student = _fixed(
        lambda batch: tfd.MultivariateNormalDiag(tf.zeros([tf.shape(batch)[0], 2]), tf.ones([2])),
        lambda batch: (
            tf.reduce_sum(tf.square(batch - mean_image), [1, 2, 3]),
            tf.zeros([tf.shape(batch)[0]]),
        ),
    )
    scores = likelihood.nlog(student, images, batch_size=4)
    assert scores["mean_image_nlog"] == pytest.approx(scores["nlog"], rel=1e-3)
    assert scores["mean_image_nlog"] == pytest.approx(np.float64(images).var(axis=0).sum(), rel=1e-9)
    assert scores["active_units"] == 0


def test_active_units_are_the_codes_whose_mean_varies_by_more_than_a_hundredth():
    """All pixels are -1 or 1, half of the images each, so a code's variance is its scale squared."""
    images = np.ones((8, 2, 2, 1), np.float32) * np.float32([-1, 1] * 4)[:, None, None, None]
    scales = np.float32([0.6, 0.11, 0.09, 0.0])
    student = _fixed(
        lambda batch: tfd.MultivariateNormalDiag(5.0 + tf.reshape(batch, [-1, 4]) * scales, tf.ones([4])),
        lambda batch: (tf.zeros([tf.shape(batch)[0]]),) * 2,
    )
    for batch_size in (3, 8):
        assert likelihood.nlog(student, images, batch_size)["active_units"] == 2


def test_iwae_of_the_true_posterior_is_the_marginal_with_a_single_sample():
    student, images = _LinearGaussian(), _images(40)
    scores = likelihood.iwae(student, images, k=1)
    assert scores["iwae"] == pytest.approx(student.negative_marginal(images).mean(), abs=1e-5)
    assert scores["iwae_bits_per_dim"] == likelihood.bits_per_dim(scores["iwae"], SHAPE)
    assert (scores["iwae_images"], scores["iwae_k"]) == (40, 1)


@pytest.mark.program
def test_iwae_falls_with_k_to_the_exact_marginal():
    student, images = _LinearGaussian(shift=0.4, widen=1.3), _images(400)
    exact = student.negative_marginal(images).mean()
    gaps = [likelihood.iwae(student, images, k, 400, 64)["iwae"] - exact for k in (1, 4, 16, 64, 1024)]
    assert all(more > 1.5 * less for more, less in zip(gaps, gaps[1:4]))
    assert gaps[0] > 0.5 and abs(gaps[-1]) < 0.01
    # With one sample its expectation is the ELBO's: SSE and KL.
    assert gaps[0] + exact == pytest.approx(likelihood.nlog(student, images)["nlog_sampled"], abs=0.3)


def test_iwae_is_the_mean_over_images_of_the_log_of_mean_weights():
    student, images = _LinearGaussian(shift=0.4, widen=1.3), _images(5)
    posterior = student.encode(images)
    weights = np.zeros((6, 5))
    for k in range(6):
        noise = tf.random.stateless_normal([5, 3], [2, k], alg="philox")
        codes = posterior.mean() + posterior.stddev() * noise
        sse = np.square(student.decode(codes) - images).sum((1, 2, 3))
        weights[k] = student.prior().log_prob(codes) - posterior.log_prob(codes) - sse
    expected = -np.log(np.exp(weights).mean(axis=0)).mean()
    assert likelihood.iwae(student, images, k=6, seed=2)["iwae"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.program
@pytest.mark.parametrize("batch_size, chunk", [(1, 1), (3, 4), (7, 10), (100, 3)])
def test_iwae_is_independent_of_batch_and_chunk(batch_size, chunk, tiny_model):
    student, images = tiny_model().student, _images(7, (8, 8, 3))
    expected = likelihood.iwae(student, images, 10, batch_size=7, chunk=2)["iwae"]
    again = likelihood.iwae(student, images, 10, batch_size, chunk)["iwae"]
    assert again == pytest.approx(expected, rel=1e-5)


def test_iwae_does_not_overflow_where_all_weights_are_tiny():
    student, images = _LinearGaussian(), _images(3) + 1000
    assert likelihood.iwae(student, images, 4)["iwae"] == pytest.approx(
        student.negative_marginal(images).mean(), rel=1e-3
    )


def test_each_image_is_encoded_once_whatever_k():
    student, images, seen = _LinearGaussian(), _images(7), []
    encode = student.encode

    def counting(batch):
        tf.py_function(lambda b: seen.append(len(b)), [batch], [])
        return encode(batch)

    student.encode = counting
    likelihood.iwae(student, images, k=9, batch_size=3, chunk=2)
    assert sum(seen) == 7 + 1  # one more to learn the length of a code


@pytest.mark.program
def test_the_seed_chooses_the_codes():
    student, images = _LinearGaussian(shift=0.4), _images(5)
    for score, name in ((likelihood.nlog, "nlog_sampled"), (likelihood.iwae, "iwae")):
        one, same, other = (score(student, images, seed=seed)[name] for seed in (1, 1, 2))
        assert one == same != other
    assert likelihood.nlog(student, images, seed=1)["nlog"] == likelihood.nlog(student, images)["nlog"]


@pytest.mark.program
def test_the_codes_of_an_image_do_not_depend_on_the_images_after_it():
    """What the last three add is the same whatever the first three are."""
    student, images = _LinearGaussian(shift=0.4, widen=1.3), _images(6)
    for score, name in ((likelihood.nlog, "nlog_sampled"), (lambda *a: likelihood.iwae(*a, k=3), "iwae")):
        few, all_six = score(student, images[:3])[name] * 3, score(student, images)[name] * 6
        after = score(student, np.concatenate([images[2::-1], images[3:]]))[name] * 6
        first = score(student, images[2::-1])[name] * 3
        assert all_six - few == pytest.approx(after - first, abs=1e-3)


@pytest.mark.parametrize("shape", [(2, 2, 1), (32, 32, 3)])
def test_a_uniform_distribution_over_256_levels_has_8_bits_per_dimension(shape):
    size = math.prod(shape)
    nats = size * math.log(256 / 127.5) - likelihood.constant(shape)  # density 1 / width, width 256 levels
    assert likelihood.bits_per_dim(nats, shape) == pytest.approx(8, rel=1e-12)
    assert likelihood.bits_per_dim(nats + size * math.log(2), shape) == pytest.approx(9, rel=1e-12)


def test_constant_is_the_log_density_of_a_perfect_reconstruction():
    """D normal distributions of variance 1/2, each at its mean."""
    assert likelihood.constant((32, 32, 3)) == pytest.approx(-3072 * tfd.Normal(0.0, 0.5**0.5).log_prob(0.0))
    assert likelihood.constant((32, 32, 3)) == pytest.approx(1758.3, abs=0.05)


def test_codes_are_posterior_means_in_the_order_of_the_images(tiny_model):
    student, images = tiny_model().student, _images(7, (8, 8, 3))
    codes = likelihood.codes(student, images, batch_size=3)
    assert codes.dtype == np.float32
    np.testing.assert_allclose(codes, student.encode(images).mean(), atol=1e-5)


@pytest.mark.parametrize("images", [np.zeros((2, *SHAPE), np.uint8), np.zeros(SHAPE), np.zeros((0, *SHAPE))])
def test_other_images_are_refused(images):
    for score in (likelihood.nlog, likelihood.iwae, likelihood.codes):
        with pytest.raises(ValueError, match=r"images are .* they must be float \[N, H, W, C\]"):
            score(_LinearGaussian(), images)


def test_a_bound_without_codes_is_refused():
    with pytest.raises(ValueError, match="k is 0; the bound needs at least one code"):
        likelihood.iwae(_LinearGaussian(), _images(2), k=0)
