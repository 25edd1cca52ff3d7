"""Multiband GAN (Deja et al. 2023, "Adapt & Align", arXiv 2312.13699): a local GAN for each task, then consolidation.

In each task a local WGAN-GP learns the new data alone. Then the global generator is trained by the squared
error alone: for old domains to the images of its own frozen copy, for the new one to the local generator's,
with the same noise on both sides. Before each generator stands a translator, which makes a latent of noise and
a domain's code; the first steps of consolidation train that of the global one alone. The first task is the
local GAN's, and the global generator is a copy of it.

At its peak three generators with their translators stand in memory, and the critic. Where this is not the
authors' code (cywinski/multiband_gan):
  - **The new domain's images** in consolidation are the local generator's for noise, their option
    `only_generations`. Their default, noise that is optimised for each real image in 1,000 steps, costs many times
    the rest.
  - **Old images**: as many as new ones, where they have half as many for each old task, at most three halves.
  - **Codes** are those of `networks.domain_codes`, which follow from a domain's number, and no table that is
    learnt for a number of tasks named beforehand.
  - **Networks, optimizer of the local GAN and batch** are the recipe's, without their decay of the rates.
  - **A Student** learns beside it as in `TwinGAN`, from new images and the frozen copy's.
"""

import dataclasses

import keras
import tensorflow as tf

from ltgans_tf.data import images
from ltgans_tf.methods import lakd, twin_gan, twin_step
from ltgans_tf.networks import losses, networks
from ltgans_tf.settings.method_table import MultibandSettings
from ltgans_tf.training import optimizers

GLOBAL, FROZEN, LOCAL = 0, 1, 2  # places of the generators
# Phases of a task.
_LEARN, _ALIGN, _CONSOLIDATE = 0, 1, 2
_TRANSLATOR = "translator"


class Multiband(twin_gan.TwinGAN):
    """A global generator, its frozen copy and a local GAN; see the file's description.

    Args:
      generators: three Keras models latents [B, Z] -> images, alike but for their weights, each with a layer named
        'translator'.
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
        """The generator after a translator of one hidden layer."""
        own = dataclasses.replace(arch, latent_dim=arch.latent_dim - recipe.domain_dim)
        painter = networks.generator(own, channels, seed, f"{name}_painter", recipe.precision)
        latents = keras.Input([arch.latent_dim])
        return keras.Model(
            latents, painter(_translator(arch.latent_dim, own.latent_dim, seed)(latents)), name=name
        )

    def compile(self, *args, **kwargs):
        """As `TwinGAN.compile`; consolidation has Adam optimizers of its own, one for the translator alone."""
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
        """The frozen copy teaches from the second task on, and the local and the global generator learn, in turn."""
        if not task_index:
            return lakd.Roles(teachers=(), learners=(LOCAL,))
        return lakd.Roles(teachers=(FROZEN,), learners=(LOCAL, GLOBAL))

    @property
    def latest_identity(self):
        return GLOBAL

    def phases(self, task_index, steps):
        """The local GAN, the translator alone, all of the global generator; in the first task the first alone."""
        if not task_index:
            return [steps]
        local = max(1, round(self.settings.local_share * steps))
        return [local, local + round(self.settings.translator_share * (steps - local)), steps]

    def trace_key(self, task_index):
        return self.roles(task_index), self.phase

    def begin_task(self):
        """Takes the frozen copy, and starts the local generator from the global one."""
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
          data: as in `TwinGAN`; consolidation looks at one batch of it, for the Student.

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
        """A WGAN-GP step on the new data alone: (report, sums over the earlier critic updates)."""
        roles, last = lakd.Roles(teachers=(), learners=(LOCAL,)), self.recipe.n_critic - 1
        unreported = self._update_earlier(new_images, None, roles)
        heads, (fakes, tapes) = self._heads(last, rows, roles, None), self._fakes(last, rows, roles, None)
        report = self._update_critic(last, new_images[:, last], fakes, roles, heads)
        return report | self._update_learners(fakes, tapes, roles, heads, None), unreported

    def _consolidate(self, rows, replay):
        """One update by the squared error to the local and to the frozen generator's images, on equal noise."""
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
    """Latents [B, inputs] -> [B, outputs], through a hidden layer of four times `outputs`."""
    # A seed of its own for each layer: those of the generator's are drawn from `seed`.
    layers = [keras.Input([inputs])]
    for i, (units, act) in enumerate(((4 * outputs, "leaky_relu"), (outputs, None))):
        initializer = keras.initializers.GlorotUniform(seed=2**20 + 2 * seed + i)
        layers.append(keras.layers.Dense(units, act, kernel_initializer=initializer, dtype="float32"))
    return keras.Sequential(layers, name=_TRANSLATOR)
