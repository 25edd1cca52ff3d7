"""CURL's VAE: its codes come from a mixture of Gaussians, of which only some components are in use.

All parameters of one component are one row of a `Mixture`, so adding a component means copying a
row. All rows exist from the start, and those not in use are masked or left out, so there is one graph
and memory is bounded from the start. (Rao et al. 2019, section 2.)
"""

import math
import random
from typing import NamedTuple

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from ltgans_tf.networks import losses

tfd = tfp.distributions

# softplus(_UNIT) = 1, the initial variance of a component.
_UNIT = math.log(math.e - 1)
_MASKED = -1e9


class Mixture(NamedTuple):
    """The parameters that each component has for itself, float32, K rows each (F features, D codes).

    Attributes:
      head_kernel, head_bias: [K, F, 2D] and [K, 2D], mean and raw stddev of q(z|x, y).
      logit_kernel, logit_bias: [K, F] and [K], of q(y|x).
      prior_mean, prior_raw: [K, D] and [K, D], of p(z|y) = N(prior_mean, softplus(prior_raw)).
    """

    head_kernel: tf.Tensor
    head_bias: tf.Tensor
    logit_kernel: tf.Tensor
    logit_bias: tf.Tensor
    prior_mean: tf.Tensor
    prior_raw: tf.Tensor


def in_use(rows, active):
    """Which of `rows` components are the first `active` ones, bool [rows]."""
    return tf.range(tf.cast(rows, tf.int64), dtype=tf.int64) < tf.cast(active, tf.int64)


def log_responsibilities(mixture, features, active):
    """log q(y|x): features [B, F] -> [B, K], a softmax over the first `active` logits.

    The probability of the other components is exactly 0, and so are the gradients of their parameters.
    """
    logits = tf.matmul(features, mixture.logit_kernel, transpose_b=True) + mixture.logit_bias
    return tf.nn.log_softmax(tf.where(in_use(tf.shape(logits)[1], active), logits, _MASKED))


def kl_of_components(log_q, active):
    """KL(q(y|x) || p(y)) in nats, [B, K] -> [B], with p(y) uniform over `active` components."""
    return tf.reduce_sum(tf.exp(log_q) * log_q, axis=1) + tf.math.log(tf.cast(active, tf.float32))


def posteriors(mixture, features):
    """q(z|x, y) for each y: features [B, F] -> normal distributions, batch [B, K], event [D]."""
    heads = tf.einsum("bf,kfd->bkd", features, mixture.head_kernel) + mixture.head_bias
    mean, raw = tf.split(heads, 2, axis=-1)
    # As for `Student.encode`: softplus underflows, and the KL would be infinite there.
    return tfd.MultivariateNormalDiag(loc=mean, scale_diag=tf.nn.softplus(raw) + 1e-6)


def priors(mean, raw):
    """p(z|y) from [K, D] twice: normal distributions, batch [K], event [D]."""
    return tfd.MultivariateNormalDiag(loc=mean, scale_diag=tf.sqrt(tf.nn.softplus(raw)) + 1e-6)


def take(mixture, components):
    """The rows of `components` (ints), as a smaller mixture."""
    return Mixture(*(tf.gather(rows, components) for rows in mixture))


def copy_component(mixture, source, target):
    """The mixture with row `target` made equal to row `source` (int64 scalars)."""
    count = mixture.logit_bias.shape[0]

    def copied(rows):
        here = tf.reshape(tf.range(count, dtype=tf.int64) == target, [count] + [1] * (rows.shape.rank - 1))
        return tf.where(here, tf.gather(rows, source), rows)

    return Mixture(*(copied(rows) for rows in mixture))


def draw_codes(prior_mean, prior_raw, shares, latents):
    """Maps normal latents to codes z ~ p(z|y), with y ~ `shares`.

    Args:
      prior_mean, prior_raw: [K, D], of p(z|y).
      shares: [K], at least 0 and not all 0; y is drawn in proportion to them.
      latents: N(0, I), [B, D + 1]. The last column gives y, by the inverse of its distribution
        function; the other columns give z.

    Returns:
      (codes, components): float32 [B, D] and int64 [B].
    """
    uniform = 0.5 * (1.0 + tf.math.erf(latents[:, -1] / math.sqrt(2.0)))
    bounds = tf.cumsum(shares)
    # Kept below 1 in spite of rounding; otherwise y could be a component after the last one with a share.
    level = tf.minimum(uniform, 1.0 - 1e-6) * bounds[-1]
    components = tf.reduce_sum(tf.cast(level[:, None] >= bounds, tf.int64), axis=1)
    prior = priors(tf.gather(prior_mean, components), tf.gather(prior_raw, components))
    return prior.mean() + prior.stddev() * latents[:, :-1], components


class MixtureStudent(keras.Model):
    """A VAE with p(y) uniform over the components in use, p(z|y) = N(mu_y, diag v_y), p(x|z) = N(x_hat, I/2).

    q(y|x) is a softmax, and q(z|x, y) is a normal distribution with a separate linear head for each y.
    It has what a `student.Student` has, for `likelihood`, exports and figures:
      - `elbo_terms` is the exact expectation over y, so SSE + KL is a bound on -log p(x).
      - `prior` is the marginal p(z) = sum_y p(y) p(z|y).
      - `encode` is q(z|x, y) of the most probable y alone. The decoder was trained on codes like its mean;
        a mean over components may lie between them. The importance-weighted bound on
        log p(x) = log E_{p(z)} p(x|z) is valid with this proposal, because the support of a normal
        distribution is the whole space. If q(y|x) is not sharp, the bound is looser than with a mixture
        as proposal, but still valid.

    Args:
      trunk: images [B, H, W, C] -> features [B, F].
      decoder: codes [B, D] -> images [B, H, W, C] in [-1, 1].
      components: K, the most components that there can be.
      first_components: how many are in use from the start.
      seed: int, seed of heads and logits.

    Attributes:
      active: int64 weight, the number of components in use, which are the first ones.
      static_shapes: whether a pass uses all rows and masks those not in use, which XLA needs. Otherwise
        it uses only the first `active` rows: the same numbers in active / K of the time.
    """

    def __init__(self, trunk, decoder, components, first_components=1, seed=0, name="student"):
        super().__init__(name=name)
        self.trunk = trunk
        self.decoder = decoder
        self.static_shapes = False
        self.code_dim = decoder.input_shape[-1]
        features, rng = trunk.output_shape[-1], random.Random(seed)
        self.head_kernel = self._rows(
            "head_kernel", [components, features, 2 * self.code_dim], _glorot(features, self.code_dim, rng)
        )
        self.head_bias = self._rows("head_bias", [components, 2 * self.code_dim])
        self.logit_kernel = self._rows(
            "logit_kernel", [components, features], _glorot(features, components, rng)
        )
        self.logit_bias = self._rows("logit_bias", [components])
        self.prior_mean = self._rows("prior_mean", [components, self.code_dim])
        self.prior_raw = self._rows(
            "prior_raw", [components, self.code_dim], keras.initializers.Constant(_UNIT)
        )
        self.active = self.add_weight(
            name="active",
            shape=(),
            dtype="int64",
            trainable=False,
            initializer=keras.initializers.Constant(first_components),
            aggregation="only_first_replica",
        )
        self.built = True

    def _rows(self, name, shape, initializer="zeros"):
        # A step trains these weights and also assigns them, with the same value on every replica.
        return self.add_weight(
            name=name,
            shape=shape,
            dtype="float32",
            initializer=initializer,
            aggregation="only_first_replica",
        )

    @property
    def components(self):
        """K, the most components that there can be."""
        return self.logit_bias.shape[0]

    def mixture(self):
        """The current rows as tensors."""
        return Mixture(*(tf.convert_to_tensor(getattr(self, name)) for name in Mixture._fields))

    def _shown(self):
        """Returns the rows that a pass uses: those in use or, with static shapes, all."""
        mixture = self.mixture()
        if self.static_shapes:
            return mixture
        return Mixture(*(rows[: tf.convert_to_tensor(self.active)] for rows in mixture))

    def set_mixture(self, mixture):
        """Gives every row a new value."""
        for name, rows in mixture._asdict().items():
            getattr(self, name).assign(rows)

    def features(self, images):
        """Computes the features that all heads share: images [B, H, W, C] in [-1, 1] -> float32 [B, F]."""
        return tf.cast(self.trunk(images), tf.float32)

    def encode(self, images):
        """q(z|x, y) of the most probable y: images -> tfd distribution, batch [B], event [D]."""
        mixture, features = self._shown(), self.features(images)
        likeliest = tf.argmax(log_responsibilities(mixture, features, self.active), axis=1)
        heads = posteriors(mixture, features)
        return tfd.MultivariateNormalDiag(
            loc=tf.gather(heads.mean(), likeliest, batch_dims=1),
            scale_diag=tf.gather(heads.stddev(), likeliest, batch_dims=1),
        )

    def prior(self):
        """p(z), the mixture of the components in use, as a tfd distribution with event [D]."""
        mask = tf.where(in_use(self.components, self.active), 0.0, _MASKED)
        return tfd.MixtureSameFamily(
            tfd.Categorical(logits=mask),
            priors(tf.convert_to_tensor(self.prior_mean), tf.convert_to_tensor(self.prior_raw)),
        )

    def decode(self, codes):
        """Mean of p(x|z): codes [B, D] -> images [B, H, W, C] in [-1, 1]."""
        return self.decoder(codes)

    def call(self, images):
        """Reconstructions from the means of `encode`: [B, H, W, C] -> [B, H, W, C]."""
        return self.decode(self.encode(images).mean())

    def component_terms(self, mixture, features, images, noise=None):
        """SSE and KL(q(z|x, y) || p(z|y)) of each image under each row of `mixture`, [B, K] twice.

        One pass decodes all B * K codes. The rows share the noise of an image: each z_y still has its
        own distribution, and the expected sum over y does not depend on their joint distribution.
        """
        heads = posteriors(mixture, features)
        codes = heads.mean()
        if noise is not None:
            codes += heads.stddev() * noise[:, None]
        count = tf.shape(mixture.logit_bias)[0]
        decoded = self.decode(tf.reshape(codes, [-1, self.code_dim]))
        sse = losses.sum_squared_error(tf.repeat(images, count, axis=0), decoded)
        kl = tfd.kl_divergence(heads, priors(mixture.prior_mean, mixture.prior_raw))
        return tf.reshape(sse, [-1, count]), kl

    def terms(self, images, noise=None):
        """Returns the two terms of `elbo_terms` and, third, q(y|x) [B, K]."""
        mixture, features = self._shown(), self.features(images)
        log_q = log_responsibilities(mixture, features, self.active)
        q = tf.exp(log_q)
        sse, kl = self.component_terms(mixture, features, images, noise)
        kl = tf.reduce_sum(q * kl, axis=1) + kl_of_components(log_q, self.active)
        unused = self.components - tf.shape(q)[1]
        padded = tf.ensure_shape(tf.pad(q, [[0, 0], [0, unused]]), [images.shape[0], self.components])
        return tf.reduce_sum(q * sse, axis=1), kl, padded

    def elbo_terms(self, images, noise=None):
        """Returns the two terms of the negative ELBO, with the exact expectation over y.

        Args:
          images: [B, H, W, C] in [-1, 1].
          noise: standard normal [B, D] for z_y = mean_y + stddev_y * noise; None takes the means.

        Returns:
          (sse, kl), each float32 [B]: sum_y q(y|x) SSE(x, x_hat(z_y)), and in nats
          sum_y q(y|x) KL(q(z|x, y) || p(z|y)) + KL(q(y|x) || p(y)).
        """
        return self.terms(images, noise)[:2]


def grown(student, mixture, buffer, noise, rate):
    """Returns `mixture` with one more component, trained on images that the current ones explain badly.

    The new row starts as a copy of the row most responsible for `buffer`. Then Adam (Kingma and Ba
    2015) maximises log p(x|z_new) - KL_new + log q(new|x) over the mixture, with one step on the whole
    buffer for each row of `noise`; trunk and decoder do not change. The function takes and returns
    tensors and changes no variable, so a branch of a step may call it with any strategy.

    Args:
      student: a `MixtureStudent` with an unused row.
      mixture: its rows.
      buffer: [N, H, W, C] in [-1, 1].
      noise: standard normal [passes, N, D].
      rate: float scalar, Adam's learning rate.

    Returns:
      a `Mixture`; the caller has to increase `active` by 1.
    """
    new = tf.convert_to_tensor(student.active)
    features = student.features(buffer)
    q = tf.exp(log_responsibilities(mixture, features, new))
    start = copy_component(mixture, tf.argmax(tf.reduce_sum(q, axis=0)), new)
    zeros = Mixture(*(tf.zeros_like(rows) for rows in mixture))

    def train(step, mixture, first, second):
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(mixture)
            draw = tf.gather(noise, step)
            sse, kl = student.component_terms(take(mixture, [new]), features, buffer, draw)
            log_q = tf.gather(log_responsibilities(mixture, features, new + 1), new, axis=1)
            loss = tf.reduce_mean(sse[:, 0] + kl[:, 0] - log_q)
        gradients = [tf.convert_to_tensor(g) for g in tape.gradient(loss, list(mixture))]
        return step + 1, *_adam(step, mixture, first, second, gradients, rate)

    passes = noise.shape[0]
    state = tf.while_loop(lambda step, *_: step < passes, train, (tf.constant(0), start, zeros, zeros))
    return state[1]


def _adam(step, values, first, second, gradients, rate):
    t = tf.cast(step + 1, tf.float32)
    rate *= tf.sqrt(1.0 - 0.999**t) / (1.0 - 0.9**t)
    first = [0.9 * m + 0.1 * g for m, g in zip(first, gradients)]
    second = [0.999 * v + 0.001 * tf.square(g) for v, g in zip(second, gradients)]
    values = [x - rate * m / (tf.sqrt(v) + 1e-7) for x, m, v in zip(values, first, second)]
    return tuple(Mixture(*rows) for rows in (values, first, second))


def _glorot(inputs, outputs, rng):
    """Returns Glorot's uniform initializer for one head; Keras would count the components as inputs."""
    limit = math.sqrt(6.0 / (inputs + outputs))
    return keras.initializers.RandomUniform(-limit, limit, seed=rng.randrange(2**31))
