"""Draws latents and images, in the same way for a model in training and for an exported one."""

import dataclasses

import numpy as np
import tensorflow as tf

from ltgans_tf.networks import domain_codes

PHILOX = tf.random.Algorithm.PHILOX.value
_SCRAMBLE = np.array([0x02461E293EC8F720], np.uint64)  # the constant of TensorFlow's random_ops_util.py


@dataclasses.dataclass(frozen=True)
class LatentLaw:
    """How a generator's latents are drawn: the code of a domain followed by noise.

    Attributes:
      noise_dim: length of the noise in a latent.
      noise: 'normal' for N(0, I), 'uniform' for uniform in [-1, 1].
      domain_dim: dimensions of the codes, 0 for latents of noise alone.
      domain_length: Euclidean norm of a code.
    """

    noise_dim: int
    noise: str = "normal"
    domain_dim: int = 0
    domain_length: float = 2.0

    @property
    def latent_dim(self):
        """Length of a latent."""
        return self.domain_dim + self.noise_dim

    def place(self, noise, domains, count=domain_codes.MOST_DOMAINS):
        """Puts the codes of domains before noise; without codes returns the noise alone.

        Args:
          noise: float32 [N, noise_dim].
          domains: int [N], from 0 to `count` - 1; ignored if there are no codes.
          count: number of codes in the table, which a graph holds as a constant.

        Returns:
          float32 [N, latent_dim].
        """
        if not self.domain_dim:
            return noise
        codes = self.domain_length * domain_codes.code_book(self.domain_dim, count)
        return tf.concat([tf.gather(tf.constant(codes, tf.float32), domains), noise], axis=1)

    def draw(self, count, seed=0, domains=None):
        """Draws latents; row i depends only on (seed, i, domains[i]), so not on `count`.

        Args:
          count: rows, at least 1.
          seed: int.
          domains: int [count], see `place`.

        Returns:
          float32 [count, latent_dim].
        """
        if count < 1:
            raise ValueError(f"count is {count}; at least one sample must be asked for.")
        return self.place(self._noise(count, [seed, 0]), domains)

    def seeded(self, seeds, truncation, domains=None, count=domain_codes.MOST_DOMAINS):
        """Draws latents with one seed for each row, so that a number identifies an image.

        Args:
          seeds: int64 [B].
          truncation: float [B] in [0, 1], the factor of each row's noise; codes are not scaled.
          domains, count: see `place`.

        Returns:
          float32 [B, latent_dim]; where truncation is 1, row i is row 0 of `draw` for its seed and domain.
        """
        noise = tf.map_fn(
            lambda seed: self._noise(1, [seed, 0])[0],
            seeds,
            fn_output_signature=tf.TensorSpec([self.noise_dim], tf.float32),
        )
        return self.place(noise * truncation[:, None], domains, count)

    def domains_of_rows(self, count, domain, learnt, planned=()):
        """Returns the domain of each of `count` rows.

        Args:
          count: rows.
          domain: name or number of the wanted domain; None for all domains in turn.
          learnt, planned: see `domain_codes.domain_index`.

        Returns:
          int64 [count]; None if latents have no codes.

        Raises:
          ValueError: the domain is unknown or not learnt yet, or latents have no codes.
        """
        if self.domain_dim:
            if domain is None:
                return np.arange(count) % len(learnt)
            return np.full([count], domain_codes.domain_index(domain, learnt, planned))
        if domain is not None:
            raise ValueError(
                f"domain is {domain!r}, and the latents of this model have no domain codes: it draws from all that"
                " it has learnt together. Leave domain out, or train with domain_dim above 0 (the recommended"
                " recipe of ltgan)."
            )
        return None

    def _noise(self, count, seed):
        shape = [count, self.noise_dim]
        if self.noise == "uniform":
            return tf.random.stateless_uniform(shape, seed, minval=-1.0, maxval=1.0, alg="philox")
        return tf.random.stateless_normal(shape, seed, alg="philox")


def philox(seed):
    """Derives Philox's key and counter from a seed as `tf.random.stateless_*` do, in a third of the kernels.

    Args:
      seed: int64 [2].

    Returns:
      (key, counter) for the raw operations, uint64 [1] and [2].
    """
    words = tf.raw_ops.StatelessRandomUniformFullIntV2(
        shape=[2], key=_SCRAMBLE, counter=tf.cast(seed, tf.uint64), alg=PHILOX, dtype=tf.uint64
    )
    return words[:1], words * tf.constant([0, 1], tf.uint64)


def in_batches(draw, latents, batch_size=250):
    """Applies `draw` to `latents` [N, Z] batch by batch, and returns all the images."""
    batches = range(0, len(latents), batch_size)
    return tf.concat([draw(latents[i : i + batch_size]) for i in batches], axis=0)
