"""LGM: Lifelong Generative Modeling (Ramapuram et al. 2017), a VAE that learns from its own snapshot.

The latent variables are z_c ~ N(0, I) and z_d ~ uniform over K categories. At each boundary the
teacher becomes a copy of the student. The student then continues from the same weights, on batches
of 1/k new images and (k-1)/k samples of the teacher.
"""

import dataclasses
import functools
import math
import random

import keras
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from ltgans_tf.data import images
from ltgans_tf.methods.recipe_model import RecipeModel
from ltgans_tf.networks import losses, networks, sampling
from ltgans_tf.settings import presets
from ltgans_tf.settings.method_table import LGMSettings
from ltgans_tf.training import optimizers

tfd = tfp.distributions

# One tag for each use of noise within a step.
_TEACHER_LATENTS, _CODE_NOISE = 0, 1

# Added to probabilities before the logarithm, as in the authors' code: a category that the teacher
# lacks then costs 14 nats, not infinitely many.
_FLOOR = 1e-6


def temperature(step, anneal_steps):
    """Temperature of the relaxed z_d, float32: 0.5 ** (step / anneal_steps), which falls from 1 to 0.5 and stays."""
    return 0.5 ** tf.minimum(tf.cast(step / anneal_steps, tf.float32), 1.0)


def gumbel(noise):
    """Maps standard normal numbers to standard Gumbel numbers by quantiles; any shape."""
    return -tf.math.log(-tfd.Normal(0.0, 1.0).log_cdf(noise))


def categorical_kl(p, q):
    """KL(p || q) of probabilities [B, K] -> [B]; a category not in use has probability 0."""
    return tf.reduce_sum(p * (tf.math.log(p + _FLOOR) - tf.math.log(q + _FLOOR)), axis=-1)


class MixedVAE(keras.Model):
    """The VAE of LGM; its codes [B, D + K] are normal, so that it can replace a `Student`.

    A code is [z_c, u], with prior N(0, I), and z_d is the category with the largest u. So z_d is uniform, as
    in LGM, and a decoded draw from the prior is a sample. `encode` returns the normal distribution with mean
    and standard deviation of the posterior over [z_c, u], in which u given z_d follows the prior. With this
    normal as proposal, a bound on the likelihood (`likelihood.iwae`) is valid, but less tight than one that
    sums over z_d.

    Args:
      encoder: images [B, H, W, C] -> mean [B, D], stddev [B, D] and logits of z_d [B, K].
      decoder: [z_c, z_d], [B, D + K] with z_d one-hot or relaxed -> images [B, H, W, C] in [-1, 1].

    Attributes:
      code_dim: D + K.
      active: int64 weight, the number of categories in use, which are the first ones.
    """

    def __init__(self, encoder, decoder, name="student"):
        super().__init__(name=name)
        self.encoder = encoder
        self.decoder = decoder
        self.code_dim = decoder.input_shape[-1]
        self.categories = encoder.output_shape[2][-1]
        self.normal_dim = self.code_dim - self.categories
        self.active = self.add_weight(
            name="active",
            shape=(),
            dtype="int64",
            trainable=False,
            initializer=keras.initializers.Constant(self.categories),
            aggregation="only_first_replica",
        )
        self.built = True

    def posterior(self, images):
        """(mean, stddev) of q(z_c|x), [B, D] each, and logits of q(z_d|x), [B, K]."""
        mean, stddev, logits = self.encoder(images)
        # 1e-6 as in `Student.encode`; the probability of a category not in use is exactly 0.
        return mean, stddev + 1e-6, tf.where(self._in_use(), logits, -1e9)

    def probabilities(self, images):
        """q(z_d|x): images [B, H, W, C] -> [B, K]."""
        return tf.nn.softmax(self.posterior(images)[2])

    def encode(self, images):
        """The normal distribution with the moments of the posterior over codes, event [D + K].

        The mean of u is an increasing affine map of the probabilities of z_d.
        """
        mean, stddev, logits = self.posterior(images)
        moments = tf.gather(_moments(self.categories), self.active)
        winner, loser, winner_square, loser_square = tf.unstack(moments)
        share = tf.nn.softmax(logits)
        unit_mean = tf.where(self._in_use(), loser + (winner - loser) * share, 0.0)
        square = tf.where(self._in_use(), loser_square + (winner_square - loser_square) * share, 1.0)
        unit_stddev = tf.sqrt(square - tf.square(unit_mean))
        return tfd.MultivariateNormalDiag(
            loc=tf.concat([mean, unit_mean], axis=-1), scale_diag=tf.concat([stddev, unit_stddev], axis=-1)
        )

    def prior(self):
        """N(0, I) over codes, as a tfd distribution with event [D + K]."""
        return tfd.MultivariateNormalDiag(loc=tf.zeros([self.code_dim]), scale_diag=tf.ones([self.code_dim]))

    def decode(self, codes):
        """Mean of p(x|z_c, z_d): codes [B, D + K] -> images [B, H, W, C] in [-1, 1]."""
        normal, units = tf.split(codes, [self.normal_dim, self.categories], axis=-1)
        choice = tf.argmax(tf.where(self._in_use(), units, units.dtype.min), axis=-1)
        return self.decoder(tf.concat([normal, tf.one_hot(choice, self.categories)], axis=-1))

    def call(self, images):
        """Reconstructions from the posterior means, so from the likeliest category."""
        return self.decode(self.encode(images).mean())

    def elbo_terms(self, images, noise=None):
        """The two terms of the ELBO for each image: SSE, and KL of both latent variables to their priors.

        Args:
          images: [B, H, W, C] in [-1, 1].
          noise: standard normal [B, D + K], which is mapped to a draw of z_c and of a category from the
            posterior; None takes the mean of z_c and the likeliest category.

        Returns:
          (sse, kl), each float32 [B]. With noise, -(sse + kl) is an unbiased estimate of a lower bound of
          log p(x) without the decoder's constant, because the decoded category is drawn, not relaxed.
        """
        mean, stddev, logits = self.posterior(images)
        drawn = (mean, logits) if noise is None else self._draw(mean, stddev, logits, noise)
        decoded = self.decode(tf.concat(drawn, axis=-1))
        return losses.sum_squared_error(images, decoded), self._kl(mean, stddev, logits)

    def relaxed_terms(self, images, noise, heat):
        """Returns `elbo_terms` for training, with z_d = softmax((logits + Gumbel noise) / heat), and q(z_d|x)."""
        mean, stddev, logits = self.posterior(images)
        normal, units = self._draw(mean, stddev, logits, noise)
        decoded = self.decoder(tf.concat([normal, tf.nn.softmax(units / heat)], axis=-1))
        sse = losses.sum_squared_error(images, decoded)
        return sse, self._kl(mean, stddev, logits), tf.nn.softmax(logits)

    def _draw(self, mean, stddev, logits, noise):
        """Draws z_c from its posterior, and perturbs the logits so that the largest is a draw of the category."""
        normal, units = tf.split(noise, [self.normal_dim, self.categories], axis=-1)
        return mean + stddev * normal, logits + gumbel(units)

    def _kl(self, mean, stddev, logits):
        normal = tfd.kl_divergence(tfd.Normal(mean, stddev), tfd.Normal(0.0, 1.0))
        uniform = tf.cast(self._in_use(), tf.float32) / tf.cast(self.active.value, tf.float32)
        return tf.reduce_sum(normal, axis=-1) + categorical_kl(tf.nn.softmax(logits), uniform)

    def _in_use(self):
        return tf.range(self.categories, dtype=tf.int64) < self.active.value


@functools.cache
def _moments(categories):
    """Expectations of the largest and of another of k normal numbers, then of their squares: [categories + 1, 4].

    Row k is for k numbers. Quadrature gives those of the largest; those of another follow from the expected sums
    over all k numbers, 0 and k, which do not depend on which number is largest.
    """
    grid = np.linspace(-12.0, 12.0, 4001)
    density = np.exp(-(grid**2) / 2) / math.sqrt(2 * math.pi)
    below = np.array([0.5 * math.erfc(-x / math.sqrt(2)) for x in grid])
    rows = [(0.0, 0.0, 1.0, 1.0)] * 2
    for k in range(2, categories + 1):
        largest = k * density * below ** (k - 1) * (grid[1] - grid[0])
        mean, square = (grid * largest).sum(), (grid**2 * largest).sum()
        rows.append((mean, -mean / (k - 1), square, (k - square) / (k - 1)))
    return np.float32(rows)


def encoder(arch, channels=3, categories=10, seed=0, precision="float32"):
    """`networks.encoder` with one more head on the same features: logits of z_d, [B, categories]."""
    base = networks.encoder(arch, channels, seed, precision=precision)
    kernel = keras.initializers.GlorotUniform(seed=random.Random(f"logits {seed}").randrange(2**31))
    head = keras.layers.Dense(categories, kernel_initializer=kernel, dtype="float32", name="logits")
    return keras.Model(base.input, (*base.output, head(base.get_layer("mean").input)), name="encoder")


class LGM(RecipeModel):
    """A student and a teacher, two equal VAEs; the student is both generator and Student.

    ```python
    model = LGM.from_architecture("small32", settings=LGMSettings(categories=20))
    model.compile()
    model.fit_stream(stream, steps_per_task=2000, workdir="runs/lgm")
    ```

    Each step minimises the loss below. Its first mean is over the whole batch of new images and samples,
    its second over the samples alone.

      mean(SSE + beta (KL(q(z_c|x) || N(0, I)) + KL(q(z_d|x) || uniform)))
        + gamma mean(KL(q_student(z_d|x) || q_teacher(z_d|x))).

    The authors' term for mutual information has weight 0 in their code and is left out.

    Args:
      student, teacher: two equal `MixedVAE`.
      recipe: a `presets.Recipe`, of which `beta` and `student_optimizer` are used.
      settings, seed: `LGMSettings`, and the seed of the noise.
    """

    method = "lgm"
    images_are_decoded = True
    # Fields of the recipe that the method fixes; they override the given recipe.
    fixed = {
        "latent_law": "normal",
        "domain_dim": 0,
        "replay_share": "balanced",
        "distillation": 0.0,
        "critic_on_past": True,
        "student_ema": 0.0,
        "student_distillation": 0.0,
    }
    watched = ("student loss", "student gradient")

    def __init__(self, student, teacher, recipe=presets.Recipe(), settings=LGMSettings(), seed=0):
        super().__init__(seed=seed, name="lgm")
        self.student, self.teacher = student, teacher
        self.recipe, self.settings = recipe, settings
        self.latent_law = sampling.LatentLaw(student.code_dim)
        self.image_shape = tuple(student.decoder.output_shape[1:])
        self._count_categories()
        self.built = True

    @classmethod
    def build(cls, arch, channels, student, recipe, seed, settings):
        """Builds both VAEs in the sizes of the architecture's Student, with the categories added to its `code_dim`."""
        if not student:
            raise ValueError("student is False; LGM has no other generator than its student, so leave it on.")
        wide = dataclasses.replace(arch, code_dim=arch.code_dim + settings.categories)
        pair = [
            MixedVAE(
                encoder(arch, channels, settings.categories, 10 * seed + 3, recipe.precision),
                networks.decoder(wide, channels, 10 * seed + 4, precision=recipe.precision),
                name,
            )
            for name in ("student", "teacher")
        ]
        return cls(*pair, recipe, settings, seed)

    def compile(self, student_optimizer=None, jit_compile=False, **kwargs):
        """Gives the student its optimizer, by default the recipe's; see `TwinGAN.compile`."""
        super().compile(jit_compile=jit_compile, **kwargs)
        self.student_optimizer = optimizers.get(student_optimizer, self.recipe.student_optimizer)
        self.student_optimizer.build(self.student.trainable_variables)
        self.optimizers = [self.student_optimizer]

    # Tasks.

    def begin_task(self):
        """Takes the snapshot: the teacher becomes a copy of the student; resets the optimizer."""
        self.reset_optimizers()
        self.teacher.set_weights(self.student.get_weights())
        self._count_categories()

    def _count_categories(self):
        """Sets the categories in use from the task alone, so that a second call changes nothing."""
        task, most = int(self.task_index.numpy()), self.settings.categories
        self.student.active.assign(min(task + 1, most) if self.settings.grow else most)
        self.teacher.active.assign(min(max(task, 1), most) if self.settings.grow else most)

    def generate(self, latents):
        """The student's images for `latents` [B, latent_dim]."""
        return self.student.decode(latents)

    def teacher_images(self, latents):
        """The frozen teacher's images for `latents` [B, latent_dim]."""
        return tf.stop_gradient(self.teacher.decode(latents))

    def progress_samples(self, latents):
        """Returns the images of `latents` by the teacher, from the second task on, and by the student."""
        teacher = [self.teacher_images(latents)] if int(self.task_index.numpy()) else []
        return [*teacher, self.generate(latents)]

    # One step.

    def train_step(self, data):
        """One update of the student.

        Args:
          data: uint8 [B, 1, H, W, C], new images of this replica.

        Returns:
          dict of scalars over all replicas.
        """
        self.global_rows = data.shape[0] * self.distribute_strategy.num_replicas_in_sync
        batch, weights, known = images.normalize(data[:, 0]), None, None
        if self.traced_task:
            batch, weights = self._mix(batch)
            known = tf.stop_gradient(self.teacher.probabilities(batch))
        heat = temperature(self.global_step.value, self.settings.anneal_steps)
        return self.end_step(self._update(batch, weights, known, heat), {"student/temperature": heat})

    def _mix(self, new_images):
        """Mixes new images and samples of the teacher in one batch; over the steps the samples are exactly (k-1)/k.

        Returns:
          (images [B, H, W, C], weights [B]): the weight of a sample is 1 / (number of samples in the
          global batch), that of a new image 0.
        """
        rows, tasks = new_images.shape[0], tf.cast(self.task_index.value, tf.int64)
        step = tf.cast(self.task_step.value, tf.int64)
        count = presets.replayed_rows(step, self.global_rows, tasks, tasks + 1)
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        row = tf.range(rows, dtype=tf.int64) + rows * tf.cast(replica, tf.int64)
        replayed = presets.is_replayed(row, count, self.global_rows)
        weights = tf.cast(replayed, tf.float32) / tf.cast(tf.maximum(count, 1), tf.float32)
        samples = self.teacher_images(self.noise(_TEACHER_LATENTS, rows, self.latent_dim))
        return tf.where(replayed[:, None, None, None], samples, new_images), weights

    def _update(self, batch, weights, known, heat):
        """One gradient step; `known` is the teacher's q(z_d|x) for `batch`, None in the first task."""
        noise = self.noise(_CODE_NOISE, batch.shape[0], self.latent_dim)
        loss, sse, kl, consistency, gradients = self.by_xla(self._gradients)(
            batch, weights, known, heat, noise
        )
        losses.descend(self.student_optimizer, gradients, self.student.trainable_variables, loss)
        return {
            "student/loss": loss,
            "student/sse": tf.reduce_sum(sse) / self.global_rows,
            "student/kl": tf.reduce_sum(kl) / self.global_rows,
            "student/consistency": consistency,
            "student/gradient": losses.norm(gradients),
        }

    def _gradients(self, batch, weights, known, heat, noise):
        consistency = tf.constant(0.0)
        with tf.GradientTape() as tape:
            sse, kl, probabilities = self.student.relaxed_terms(batch, noise, heat)
            if known is not None:
                consistency = tf.reduce_sum(weights * categorical_kl(probabilities, known))
            elbo = tf.reduce_sum(losses.negative_elbo(sse, kl, self.recipe.beta)) / self.global_rows
            loss = elbo + self.settings.consistency * consistency
        return loss, sse, kl, consistency, losses.gradients(tape, loss, self.student.trainable_variables)
