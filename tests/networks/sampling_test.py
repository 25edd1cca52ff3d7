"""Latents: code and noise, by seed and domain; and how a domain is asked for."""

import numpy as np
import pytest
import tensorflow as tf

from ltgans_tf.networks import domain_codes, sampling

CODED = sampling.LatentLaw(noise_dim=5, domain_dim=8, domain_length=3.0)


def test_a_latent_is_the_code_of_its_domain_and_noise():
    domains = np.arange(40) % 20
    latents = CODED.draw(40, 3, domains).numpy()
    assert latents.shape == (40, CODED.latent_dim) == (40, 13) and latents.dtype == np.float32
    np.testing.assert_allclose(latents[:, :8], 3 * domain_codes.code_book(8)[domains], rtol=1e-6)
    np.testing.assert_array_equal(latents[:, 8:], sampling.LatentLaw(5).draw(40, 3))
    np.testing.assert_array_equal(latents[:7], CODED.draw(7, 3, domains[:7]))


def test_noise_follows_its_law():
    normal, uniform = (sampling.LatentLaw(4, noise).draw(4000).numpy() for noise in ("normal", "uniform"))
    assert np.abs(uniform).max() <= 1 and abs(uniform.std() - 3**-0.5) < 0.02
    assert np.abs(normal).max() > 2.5 and abs(normal.std() - 1) < 0.02
    with pytest.raises(ValueError, match="count is 0"):
        CODED.draw(0)


def test_truncation_scales_the_noise_and_leaves_the_code():
    seeds, domains = tf.constant([7, -2, 9], tf.int64), tf.constant([0, 5, 19])
    latents = CODED.seeded(seeds, tf.constant([1.0, 0.5, 0.0]), domains).numpy()
    for row, (seed, share) in enumerate([(7, 1.0), (-2, 0.5), (9, 0.0)]):
        whole = CODED.draw(1, seed, domains[row : row + 1])[0]
        np.testing.assert_array_equal(latents[row, :8], whole[:8])
        np.testing.assert_allclose(latents[row, 8:], share * whole[8:], rtol=1e-6)
    few = CODED.seeded(seeds[:1], tf.constant([1.0]), domains[:1], count=1)
    np.testing.assert_array_equal(few[0], latents[0])


def test_rows_go_round_the_domains_or_have_the_one_asked_for():
    np.testing.assert_array_equal(CODED.domains_of_rows(7, None, ["a", "b", "c"]), [0, 1, 2, 0, 1, 2, 0])
    np.testing.assert_array_equal(CODED.domains_of_rows(3, "b", ["a", "b"]), [1, 1, 1])
    plain = sampling.LatentLaw(5)
    assert plain.domains_of_rows(3, None, ["a"]) is None
    with pytest.raises(ValueError, match="domain is 'a', and .* have no domain codes.*Leave domain out"):
        plain.domains_of_rows(3, "a", ["a"])


@pytest.mark.parametrize("seed", [(0, 0), (3005, 7), (999_000, 2**41 + 12)])
def test_key_and_counter_are_those_that_tensorflow_makes_of_a_seed(seed):
    key, counter = sampling.philox(tf.constant(seed, tf.int64))
    drawn = tf.raw_ops.StatelessRandomNormalV2(shape=[50], key=key, counter=counter, alg=sampling.PHILOX)
    np.testing.assert_array_equal(drawn, tf.random.stateless_normal([50], seed, alg="philox"))
