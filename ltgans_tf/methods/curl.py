"""CURL: Continual Unsupervised Representation Learning (Rao et al., NeurIPS 2019).

A VAE whose codes come from a mixture of Gaussians (`curl_mixture`). It adds a component when it has met
enough images that it explains badly, and replays from a frozen copy of itself.

Differences from the authors' code (google-deepmind/deepmind-research, folder curl):
  - **Threshold.** The authors' ELBO of -200 nats on binarised 28x28 images means nothing for squared
    errors over 3,072 pixels. Here an image is poorly explained if its NLOG (from the step's one draw
    of z, KL with weight 1) is above mean + 3 standard deviations of the NLOG of accepted images. Mean
    and variance are moving averages over the steps on real images. While poorly explained images are
    collected, all other real images are accepted. In the 100 steps after an expansion none are
    collected and all real images are accepted: so the threshold adapts to the current data, and a
    domain that stays harder does not use up all components.
  - **Wait.** Collecting begins 100 steps after the last expansion or the start of the run. A boundary
    starts no wait, because a task's images are poorly explained in its first steps.
  - **Most components.** All exist from the start. Those not in use are left out of each pass, or masked
    under XLA, so that there is one graph and memory is bounded. There can be 10, not 30, since a step
    decodes every image once for each component in use.
  - **Buffer.** It is emptied at a boundary, since no image of a learnt task may be kept. Training on it
    has its own Adam moments.
  - **Snapshot.** It is taken at boundaries only, not at expansions. It holds the parts of the model that
    draw images: decoder, priors and shares.
"""

import keras
import tensorflow as tf

from ltgans_tf.data import images
from ltgans_tf.methods import curl_mixture
from ltgans_tf.methods.recipe_model import RecipeModel
from ltgans_tf.networks import losses, networks, sampling
from ltgans_tf.settings import presets
from ltgans_tf.settings.method_table import CURLSettings
from ltgans_tf.training import optimizers

# One tag for each use of noise within a step.
_CODES, _REPLAY, _GROWTH = 0, 1, 2


class CURL(RecipeModel):
    """A mixture VAE that grows, with generative replay on every second step from task 2 on.

    Args:
      student: a `curl_mixture.MixtureStudent`, which is the generator too.
      image_shape: (height, width, channels).
      recipe: a `presets.Recipe`, of which `beta` and `student_optimizer` are used.
      settings: a `CURLSettings`.
      seed: int, seed of the noise.

    Attributes:
      latent_dim: code_dim + 1, one more for y.
      counts: float32 weight [K], q(y|x) summed over all real images of all steps; the replay draws y in
        proportion to it.
      moments: float32 weight [3], the running (weight, mean, variance) of accepted images' NLOG.
      buffer, held: float32 weight [buffer_size, H, W, C] and the number of images in it.
      expanded_at: int64 weight, the global step of the last expansion, 0 before the first.
    """

    method = "curl"
    images_are_decoded = True
    fixed = {"student_ema": 0.0, "student_distillation": 0.0}
    watched = ("student loss", "student gradient")

    def __init__(
        self,
        student,
        image_shape,
        recipe=presets.Recipe(),
        settings=CURLSettings(),
        seed=0,
        name="curl",
    ):
        super().__init__(seed=seed, name=name)
        self.student = student
        self.image_shape = tuple(image_shape)
        self.latent_law = sampling.LatentLaw(student.code_dim + 1)  # normal, because p(z|y) is
        self.recipe = recipe
        self.settings = settings
        self.counts = self._state("counts", [student.components])
        self.moments = self._state("moments", [3])
        self.buffer = self._state("buffer", [settings.buffer_size, *self.image_shape])
        self.held = self._counter("held")
        self.expanded_at = self._counter("expanded_at")
        self.teacher_decoder = keras.models.clone_model(student.decoder)
        self.teacher_mean = self._state("teacher_mean", student.prior_mean.shape)
        self.teacher_raw = self._state("teacher_raw", student.prior_raw.shape)
        self.teacher_shares = self._state("teacher_shares", [student.components])
        self.built = True

    def _state(self, name, shape):
        return self.add_weight(
            name=name,
            shape=shape,
            dtype="float32",
            trainable=False,
            initializer="zeros",
            aggregation="only_first_replica",
        )

    @classmethod
    def build(cls, arch, channels, student, recipe, seed, settings):
        """Builds the VAE, with the trunk and the decoder of an architecture's Student; there is no other network."""
        del student
        encoder = networks.encoder(arch, channels, 10 * seed + 3, precision=recipe.precision)
        vae = curl_mixture.MixtureStudent(
            keras.Model(encoder.input, encoder.get_layer("mean").input, name="trunk"),
            networks.decoder(arch, channels, 10 * seed + 4, precision=recipe.precision),
            settings.components,
            settings.first_components,
            10 * seed + 5,
        )
        return cls(vae, (arch.image_size, arch.image_size, channels), recipe, settings, seed)

    def compile(self, student_optimizer=None, jit_compile=False, **kwargs):
        """Gives the VAE its optimizer, by default the recipe's; arguments as for `TwinGAN`.

        With XLA every step costs as much as with all components in use.
        """
        super().compile(jit_compile=jit_compile, **kwargs)
        self.student.static_shapes = bool(jit_compile)
        self.student_optimizer = optimizers.get(student_optimizer, self.recipe.student_optimizer)
        # Built here, inside the strategy's scope: if a step built it, replicas would drift apart.
        self.student_optimizer.build(self.student.trainable_variables)
        self.optimizers = [self.student_optimizer]

    # The boundary.

    def begin_task(self):
        """Resets the optimizer, and takes the snapshot that the task's replay is drawn from."""
        self.reset_optimizers()
        if int(self.task_index.numpy()):
            self.teacher_decoder.set_weights(self.student.decoder.get_weights())
            self.teacher_mean.assign(self.student.prior_mean)
            self.teacher_raw.assign(self.student.prior_raw)
            self.teacher_shares.assign(self.shares())

    def finish_task(self):
        """Empties the buffer: no image of a task outlives it."""
        self.buffer.assign(tf.zeros(self.buffer.shape))
        self.held.assign(0)

    # Drawing images.

    def shares(self):
        """Returns the weights of y in the replay, [K]: `counts` or, before any counts, 1 for each component in use."""
        counts = tf.convert_to_tensor(self.counts)
        return tf.where(tf.reduce_sum(counts) > 0, counts, self._in_use())

    def _in_use(self):
        """1 for each component in use, else 0: float32 [K]."""
        return tf.cast(curl_mixture.in_use(self.student.components, self.student.active), tf.float32)

    def own_scores(self):
        return {"components": int(self.student.active.numpy())}

    def generate(self, latents):
        """Decoder means for latents [B, latent_dim] ~ N(0, I) -> float32 [B, H, W, C] in [-1, 1].

        The components in use are equally probable, as in p(y). With the replay's proportions, `counts`, the first task
        would count double, because every later task has half as many steps on real images.
        """
        codes, _ = curl_mixture.draw_codes(
            tf.convert_to_tensor(self.student.prior_mean),
            tf.convert_to_tensor(self.student.prior_raw),
            self._in_use(),
            latents,
        )
        return tf.cast(self.student.decode(codes), tf.float32)

    def teacher_images(self, latents):
        """Draws a task's replay from the snapshot, with components in proportion to what they explained."""
        codes, _ = curl_mixture.draw_codes(
            tf.convert_to_tensor(self.teacher_mean),
            tf.convert_to_tensor(self.teacher_raw),
            tf.convert_to_tensor(self.teacher_shares),
            latents,
        )
        return tf.stop_gradient(tf.cast(self.teacher_decoder(codes, training=False), tf.float32))

    def progress_samples(self, latents):
        """Returns the current VAE's images of `latents` [N, latent_dim], a list with one batch."""
        return [sampling.in_batches(self.generate, latents)]

    # One step.

    def train_step(self, data):
        """Updates the VAE on new images or on replay; new images also update threshold, buffer and components.

        Args:
          data: uint8 [B, 1, H, W, C], new images of this replica. A replay step ignores them.

        Returns:
          dict of scalars over all replicas.
        """
        replaying, batch = self._batch(images.normalize(data)[:, 0])
        loss, sse, kl, q, gradients = self._update(batch)
        self._take_notice(replaying, batch, sse + kl, q)
        rows = batch.shape[0] * self.distribute_strategy.num_replicas_in_sync
        report = {
            "student/loss": loss,
            "student/sse": tf.reduce_sum(sse) / rows,
            "student/kl": tf.reduce_sum(kl) / rows,
            "student/gradient": losses.norm(gradients),
        }
        return self.end_step(report, {"student/components": self.student.active.value})

    def _batch(self, new_images):
        """Returns (whether this step replays, its batch): from task 2 on, every second step replays.

        A mask instead of a branch keeps one graph; it costs a decoder pass of a replay batch in every step.
        """
        if not self.traced_task:
            return tf.constant(False), new_images
        step = tf.convert_to_tensor(self.task_step)
        replaying = step // 2 * 2 < step  # GPUs have no kernel for the remainder of int64
        replay = self.teacher_images(self.noise(_REPLAY, new_images.shape[0], self.latent_dim))
        return replaying, tf.where(replaying, replay, new_images)

    def _update(self, batch):
        """Takes one gradient step on the mean of SSE + beta * KL over the global batch."""
        noise = self.noise(_CODES, batch.shape[0], self.student.code_dim)
        loss, sse, kl, q, gradients = self.by_xla(self._gradients)(batch, noise)
        losses.descend(self.student_optimizer, gradients, self.student.trainable_variables, loss)
        return loss, sse, kl, q, gradients

    def _gradients(self, batch, noise):
        with tf.GradientTape() as tape:
            sse, kl, q = self.student.terms(batch, noise)
            loss = tf.reduce_sum(losses.negative_elbo(sse, kl, self.recipe.beta))
            loss /= batch.shape[0] * self.distribute_strategy.num_replicas_in_sync
        return loss, sse, kl, q, losses.gradients(tape, loss, self.student.trainable_variables)

    # Expansion. All of it is computed from the global batch, so it is the same on every replica.

    def _take_notice(self, replaying, batch, nlog, q):
        """After a step on new images: updates counts, threshold and buffer; adds a component if the buffer is full."""
        batch, nlog, q = (tf.stop_gradient(self._of_all_replicas(value)) for value in (batch, nlog, q))
        real = tf.logical_not(replaying)
        waited = self.global_step.value - self.expanded_at.value >= self.settings.expansion_wait
        collecting = real & waited & (self.student.active.value < self.student.components)
        poor = collecting & (nlog > self.threshold())
        self.counts.assign_add(tf.reduce_sum(q, axis=0) * tf.cast(real, tf.float32))
        self._calibrate(nlog, real & tf.logical_not(poor), real)
        buffer, held = self._collect(batch, poor)
        self._expand(buffer, held)

    def _of_all_replicas(self, values):
        """Gathers [B, ...] of this replica to [global B, ...]."""
        context = tf.distribute.get_replica_context()
        return context.all_gather(values, axis=0) if context.num_replicas_in_sync > 1 else values

    def threshold(self):
        """The NLOG above which an image is poorly explained; infinite before the first step on real images."""
        weight, mean, variance = tf.unstack(tf.convert_to_tensor(self.moments))
        limit = mean + self.settings.threshold_deviations * tf.sqrt(variance)
        return tf.where(weight > 0, limit, float("inf"))

    def _calibrate(self, nlog, accepted, real):
        """Decays the weight of the moments, and merges the accepted images of a batch into them (Chan et al. 1983)."""
        weight, mean, variance = tf.unstack(tf.convert_to_tensor(self.moments))
        accepted = tf.cast(accepted, tf.float32)
        count = tf.reduce_sum(accepted)
        new_mean = tf.math.divide_no_nan(tf.reduce_sum(accepted * nlog), count)
        new_variance = tf.math.divide_no_nan(tf.reduce_sum(accepted * tf.square(nlog - new_mean)), count)
        total = self.settings.threshold_decay * weight + count
        part = tf.math.divide_no_nan(count, total)
        shift = new_mean - mean
        merged = (1.0 - part) * (variance + part * tf.square(shift)) + part * new_variance
        self.moments.assign(
            tf.where(real, tf.stack([total, mean + part * shift, merged]), self.moments.value)
        )

    def _collect(self, batch, poor):
        """Returns the buffer with the `poor` images appended and its number of images; drops images that do not fit."""
        held = tf.convert_to_tensor(self.held)
        place = tf.cast(held, tf.float32) + tf.cumsum(tf.cast(poor, tf.float32)) - 1.0
        slots = tf.range(self.settings.buffer_size, dtype=tf.float32)
        lands = poor & (place == slots[:, None])  # [slots, rows]
        taken = tf.reduce_any(lands, axis=1)[:, None, None, None]
        incoming = tf.gather(batch, tf.argmax(tf.cast(lands, tf.float32), axis=1))
        buffer = tf.where(taken, incoming, tf.convert_to_tensor(self.buffer))
        count = held + tf.reduce_sum(tf.cast(poor, tf.int64))
        return buffer, tf.minimum(count, self.settings.buffer_size)

    def _expand(self, buffer, held):
        """If the buffer is full, adds one component and empties the buffer.

        The branch is pure, tensors in and tensors out, and computes nothing if it is not taken. All
        assignments are outside it, as tf.distribute requires.
        """
        full = held == self.settings.buffer_size
        mixture = self.student.mixture()
        self.student.set_mixture(tf.cond(full, lambda: self._grown(mixture, buffer), lambda: mixture))
        self.student.active.assign_add(tf.cast(full, tf.int64))
        self.expanded_at.assign(tf.where(full, self.global_step.value, self.expanded_at.value))
        self.buffer.assign(tf.where(full, tf.zeros_like(buffer), buffer))
        self.held.assign(tf.where(full, tf.zeros_like(held), held))

    def _grown(self, mixture, buffer):
        """Returns the mixture with one more component, which `curl_mixture.grown` trains on the buffer."""
        shape = [self.settings.expansion_passes, self.settings.buffer_size, self.student.code_dim]
        noise = tf.random.stateless_normal(shape, self.noise_seed(_GROWTH), alg="philox")
        rate = tf.convert_to_tensor(self.student_optimizer.learning_rate)
        return curl_mixture.grown(self.student, mixture, buffer, noise, rate)
