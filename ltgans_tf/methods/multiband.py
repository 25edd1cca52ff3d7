"""Multiband GAN (Deja et al. 2023, "Adapt & Align", arXiv 2312.13699): a local GAN for each task, then consolidation.

In each task a local WGAN-GP learns the new data alone. Then consolidation trains the global generator, by squared
error alone: it learns old domains from the images of its own frozen copy and the new domain from those of the local
generator, for the same noise. Each generator begins with a translator, a network that maps a domain's code and noise
to a latent. The first steps of consolidation train only the translator of the global generator. In the first task
only the local GAN is trained, and the global generator becomes a copy of its generator.

Peak memory has three generators with their translators, and the critic. Differences from the authors' code
(cywinski/multiband_gan):
  - **The new domain's images** in consolidation are the local generator's images for random noise, the authors'
    option `only_generations`. Their default optimises the noise for each real image in 1,000 steps, which costs many
    times the rest.
  - **Old images**: as many as new ones. The authors have half as many for each old task, at most three halves.
  - **Codes** come from `networks.domain_codes`, which computes them from a domain's number. The authors learn a table
    of codes for a number of tasks that is fixed beforehand.
  - **Networks, optimizer of the local GAN and batch** are the recipe's, without the authors' decay of the rates.
  - **A Student** is trained too, as in `TwinGAN`, on new images and on images of the frozen copy.
"""

import dataclasses

import keras
import tensorflow as tf

from ltgans_tf.data import images
from ltgans_tf.methods import lakd, twin_gan, twin_step
from ltgans_tf.networks import losses, networks
from ltgans_tf.settings.method_table import MultibandSettings
from ltgans_tf.training import optimizers

GLOBAL, FROZEN, LOCAL = 0, 1, 2  # indices in `generators`
# Phases of a task.
_LEARN, _ALIGN, _CONSOLIDATE = 0, 1, 2
_TRANSLATOR = "translator"


class Multiband(twin_gan.TwinGAN):
    """A global generator, its frozen copy and a local GAN; see the docstring of this file.

    Args:
      generators: three Keras models latents [B, Z] -> images that differ only in their weights, each with a layer
        named 'translator'.
      critic, student, recipe, seed: as in `TwinGAN`.
    """

    method = "multiband"
    settings = MultibandSettings()
    generator_count = 3
    fixed = {
        "domain_dim": 32,
        "domain_scales": False,
        "distillation": 0.0,
        "critic_on_past": True,
        "critic_heads": 1,
        "first_learners": 1,
        "warm_start": 0.0,
        "ema": 0.0,
    }

    @classmethod
    def build(cls, arch, channels, student, recipe, seed, settings):
        model = super().build(arch, channels, student, recipe, seed, settings)
        model.settings = settings
        return model

    @classmethod
    def make_generator(cls, arch, channels, seed, name, recipe):
        """Builds a generator that begins with a translator of one hidden layer."""
        own = dataclasses.replace(arch, latent_dim=arch.latent_dim - recipe.domain_dim)
        painter = networks.generator(own, channels, seed, f"{name}_painter", recipe.precision)
        latents = keras.Input([arch.latent_dim])
        return keras.Model(
            latents, painter(_translator(arch.latent_dim, own.latent_dim, seed)(latents)), name=name
        )

    def compile(self, *args, **kwargs):
        """As `TwinGAN.compile`, but consolidation has its own Adam optimizers, one of them for the translator alone."""
        super().compile(*args, **kwargs)
        rate = self.settings.global_rate
        self.generator_optimizers[GLOBAL] = optimizers.Adam(rate)
        self.translator_optimizer = optimizers.Adam(rate)
        self.generator_optimizers[GLOBAL].build(self.generators[GLOBAL].trainable_variables)
        self.translator_optimizer.build(self._translator_variables())
        _, *others = self.optimizers
        self.optimizers = [self.generator_optimizers[GLOBAL], *others, self.translator_optimizer]

    def _translator_variables(self):
        return self.generators[GLOBAL].get_layer(_TRANSLATOR).trainable_variables

    # Roles and phases.

    def roles(self, task_index):
        """From the second task on the frozen copy teaches, and first the local, then the global generator learns."""
        if not task_index:
            return lakd.Roles(teachers=(), learners=(LOCAL,))
        return lakd.Roles(teachers=(FROZEN,), learners=(LOCAL, GLOBAL))

    @property
    def latest_identity(self):
        return GLOBAL

    def phases(self, task_index, steps):
        """Phases: local GAN, translator alone, whole global generator; the first task has only the local GAN."""
        if not task_index:
            return [steps]
        local = max(1, round(self.settings.local_share * steps))
        return [local, local + round(self.settings.translator_share * (steps - local)), steps]

    def trace_key(self, task_index):
        return self.roles(task_index), self.phase

    def begin_task(self):
        """From the second task on, copies the global generator's weights to the frozen and the local one."""
        if int(self.task_index.numpy()):
            for copy in (FROZEN, LOCAL):
                self.generators[copy].set_weights(self.generators[GLOBAL].get_weights())
        super().begin_task()

    def finish_task(self):
        """After the first task the global generator becomes a copy of the local one."""
        if not int(self.task_index.numpy()):
            self.generators[GLOBAL].set_weights(self.generators[LOCAL].get_weights())

    # One step.

    def train_step(self, data):
        """One step: an update of the local GAN or one of the global generator, and one of the Student.

        Args:
          data: as in `TwinGAN`; consolidation uses one batch of it, for the Student.

        Returns:
          dict of scalars over all replicas.
        """
        roles, rows = self.roles(self.traced_task), data.shape[0]
        self.global_rows = rows * self.distribute_strategy.num_replicas_in_sync
        new_images, replay = images.normalize(data), self._replay(rows, 1, roles)
        replay = None if replay is None else replay.at(-1)
        if self.phase == _LEARN:
            report, unreported = self._learn_locally(new_images, rows)
        else:
            report, unreported = self._consolidate(rows, replay), {}
        if self.student is not None:
            second = new_images[:, -1] if replay is None else replay.images
            unreported["student/loss"], student_report = self._update_student(
                new_images[:, 0], second, replay is not None
            )
            report |= student_report
        return self.end_step(report, unreported=unreported)

    def _learn_locally(self, new_images, rows):
        """Takes a WGAN-GP step on the new data; returns (report, sums over all critic updates but the last)."""
        roles, last = lakd.Roles(teachers=(), learners=(LOCAL,)), self.recipe.n_critic - 1
        unreported = self._update_earlier(new_images, None, roles)
        heads, (fakes, tapes) = self._heads(last, rows, roles, None), self._fakes(last, rows, roles, None)
        report = self._update_critic(last, new_images[:, last], fakes, roles, heads)
        return report | self._update_learners(fakes, tapes, roles, heads, None), unreported

    def _consolidate(self, rows, replay):
        """Takes one step on the squared error to the local and the frozen generator's images, for equal noise."""
        law, generator = self.latent_law, self.generators[GLOBAL]
        noise = self.noise(twin_step.LATENTS, rows, law.noise_dim, law=law.noise)
        new = law.place(noise, self._domains(0, rows))
        taught = tf.stop_gradient(self.generators[LOCAL](new, training=False))
        latents = tf.concat([new, law.place(replay.noise, replay.domains)], axis=0)
        optimizer, variables = self.generator_optimizers[GLOBAL], generator.trainable_variables
        if self.phase == _ALIGN:
            optimizer, variables = self.translator_optimizer, self._translator_variables()
        with tf.GradientTape() as tape:
            made = generator(latents, training=True)
            apart = losses.sum_squared_error(tf.concat([taught, replay.images], axis=0), made)
            loss = tf.reduce_sum(apart) / self.global_rows
        gradients = losses.gradients(tape, loss, variables)
        losses.descend(optimizer, gradients, variables, loss)
        return {"generator/loss": loss, "generator/gradient": losses.norm(gradients)}


def _translator(inputs, outputs, seed):
    """Builds a network [B, inputs] -> [B, outputs] with a hidden layer of 4 * `outputs` units."""
    # Each layer has its own seed; the generator draws the seeds of its layers from `seed`.
    layers = [keras.Input([inputs])]
    for i, (units, act) in enumerate(((4 * outputs, "leaky_relu"), (outputs, None))):
        initializer = keras.initializers.GlorotUniform(seed=2**20 + 2 * seed + i)
        layers.append(keras.layers.Dense(units, act, kernel_initializer=initializer, dtype="float32"))
    return keras.Sequential(layers, name=_TRANSLATOR)
