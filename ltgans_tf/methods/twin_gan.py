"""TwinGAN: Lifelong Twin GANs (Ye and Bors, ICIP 2021), two generators, a critic, a Student.

This file has the networks, their roles, and what happens between two tasks; `twin_step` has the train step.
"""

import dataclasses

import keras
import tensorflow as tf

from ltgans_tf.methods import keras_calls, lakd
from ltgans_tf.methods.twin_step import TwinStep
from ltgans_tf.networks import domain_codes, networks, sampling
from ltgans_tf.networks.student import Student
from ltgans_tf.settings import presets
from ltgans_tf.training import optimizers


class TwinGAN(TwinStep):
    """Two identical generators that exchange roles, one critic and, if wanted, a VAE Student.

    ```python
    model = TwinGAN.from_architecture("small32")
    model.compile()
    model.fit_stream(stream, steps_per_task=2000, workdir="runs/mine")
    images = model.sample(64, seed=0)
    first = model.sample(64, seed=0, domain=1)
    ```

    Args:
      generators: two Keras models (`Sequential` or functional) latents [B, Z] -> images [B, H, W, C] in [-1, 1],
        identical but for their weights; the first recipe.domain_dim numbers of a latent are the code of its domain.
      critic: Keras model images -> values [B, recipe.critic_heads].
      student: a `Student` or None.
      recipe: a `presets.Recipe`.
      seed: int, seed of the noise.

    A run with a workdir needs `from_architecture` or, for networks of your own, `from_builder`.

    Raises:
      ValueError: networks that do not fit each other.
    """

    method = "ltgan"
    # Number of generators; a method without replay has one.
    generator_count = 2

    def __init__(
        self,
        generators,
        critic,
        student=None,
        recipe=presets.Recipe(),
        seed=0,
        name="twin_gan",
    ):
        super().__init__(seed=seed, name=name)
        keras_calls.check_networks(generators, self.generator_count, critic, student, recipe)
        self.generators = list(generators)
        self.critic = critic
        self.student = student
        self.recipe = recipe
        # The Student that is trained. If the recipe has `student_ema`, `student` is its moving average.
        self.trained_student = student
        if student is not None and recipe.student_ema:
            self.trained_student = student.copy("trained_student")
        self.former_student = None
        if student is not None and recipe.student_distillation:
            self.former_student = student.copy("former_student")
        noise_dim = self.generators[0].input_shape[-1] - recipe.domain_dim
        if noise_dim < 1:
            raise ValueError(
                f"domain_dim is {recipe.domain_dim} and the generators take latents of"
                f" {noise_dim + recipe.domain_dim}; nothing is left for noise."
            )
        self.latent_law = sampling.LatentLaw(
            noise_dim, recipe.latent_law, recipe.domain_dim, recipe.domain_length
        )
        self.policy = presets.augmentations(recipe.diffaugment)
        self.image_shape = tuple(self.generators[0].output_shape[1:])
        # Moving averages of the generators' weights; empty if the recipe has none.
        self.averages = [keras.models.clone_model(g) for g in self.generators] if recipe.ema else []
        for average, generator in zip(self.averages, self.generators):
            average.set_weights(generator.get_weights())
        self.built = True

    @classmethod
    def build(cls, arch, channels, student, recipe, seed, settings):
        del settings
        with_codes = dataclasses.replace(arch, latent_dim=arch.latent_dim + recipe.domain_dim)
        vae = None
        if student:
            vae = Student(
                networks.encoder(arch, channels, 10 * seed + 3, precision=recipe.precision),
                networks.decoder(arch, channels, 10 * seed + 4, precision=recipe.precision),
            )
        return cls(
            [
                cls.make_generator(with_codes, channels, 10 * seed + i, f"generator_{i}", recipe)
                for i in range(cls.generator_count)
            ],
            networks.critic(arch, channels, recipe.critic_heads, 10 * seed + 2, precision=recipe.precision),
            vae,
            recipe,
            seed,
        )

    @classmethod
    def make_generator(cls, arch, channels, seed, name, recipe):
        """Builds one generator, a Keras model: latents [B, arch.latent_dim], codes included, -> images."""
        code_dim = recipe.domain_dim if recipe.domain_scales else 0
        return networks.generator(arch, channels, seed, name, recipe.precision, code_dim)

    def compile(
        self,
        optimizer=None,
        *,
        critic_optimizer=None,
        generator_optimizer=None,
        student_optimizer=None,
        jit_compile=False,
        **kwargs,
    ):
        """Gives each network its own optimizer, by default the recipe's.

        Args:
          optimizer: must be None; one optimizer for all networks is refused.
          critic_optimizer, generator_optimizer, student_optimizer: Keras optimizers; each generator
            gets its own copy of `generator_optimizer`.
          jit_compile: see `LifelongModel.compile`.
          **kwargs: for `LifelongModel.compile`, such as steps_per_execution and run_eagerly.
        """
        super().compile(optimizer=optimizer, jit_compile=jit_compile, **kwargs)
        generator_optimizer = optimizers.get(generator_optimizer, self.recipe.generator_optimizer)
        self.generator_optimizers = [
            type(generator_optimizer).from_config(generator_optimizer.get_config()) for _ in self.generators
        ]
        self.critic_optimizer = optimizers.get(critic_optimizer, self.recipe.critic_optimizer)
        pairs = [*zip(self.generator_optimizers, self.generators), (self.critic_optimizer, self.critic)]
        if self.student is not None:
            self.student_optimizer = optimizers.get(student_optimizer, self.recipe.student_optimizer)
            pairs.append((self.student_optimizer, self.trained_student))
        for optimizer, network in pairs:
            # Built here, inside the strategy's scope: if a step built them, replicas would drift apart.
            optimizer.build(network.trainable_variables)
        self.optimizers = [optimizer for optimizer, _ in pairs]

    # Roles.

    def roles(self, task_index):
        """Who teaches and who learns in the task at `task_index`: a `lakd.Roles`."""
        return lakd.roles_for_task(task_index, self.recipe.first_learners)

    def check_stream(self, stream):
        if self.recipe.domain_dim and len(stream.tasks) > domain_codes.MOST_DOMAINS:
            raise ValueError(
                f"the stream has {len(stream.tasks)} tasks, and there are codes for"
                f" {domain_codes.MOST_DOMAINS} domains; raise MOST_DOMAINS in networks/domain_codes.py."
            )

    def trace_key(self, task_index):
        return self.roles(task_index)

    def new_batches(self, task_index):
        """Returns one batch for each critic update, and one for the Student if it has no replay.

        So the Student sees two batches in each step of every task; the paper's sees one in the first task.
        All methods are compared with equally many images in an update of the decoder.
        """
        own = self.student is not None and not self.roles(task_index).teachers
        return self.recipe.n_critic + own

    @property
    def latest_identity(self):
        """Identity of the most knowledgeable generator: the one trained last in a finished task."""
        with tf.init_scope():  # a graph is traced for the current roles
            return lakd.latest_teacher(int(self.task_index.numpy()), self.roles)

    @property
    def latest_teacher(self):
        """The most knowledgeable generator itself."""
        return self.generators[self.latest_identity]

    def begin_task(self):
        """Resets the optimizers, and prepares the learners as the recipe says."""
        roles = self.roles(int(self.task_index.numpy()))
        self.reset_optimizers()
        share = self.recipe.warm_start
        if share and roles.teachers:
            teacher = self.generators[roles.teachers[0]].get_weights()
            for i in roles.learners:
                pairs = zip(self.generators[i].get_weights(), teacher)
                self.generators[i].set_weights([(1.0 - share) * own + share * given for own, given in pairs])
        for average, generator in zip(self.averages, self.generators):
            average.set_weights(generator.get_weights())
        for other in (self.trained_student, self.former_student):
            if other is not None and other is not self.student:
                other.set_weights(self.student.get_weights())

    def finish_task(self):
        """Gives each trained generator the weights of its moving average, if the recipe has one."""
        if self.averages:
            for i in self.roles(int(self.task_index.numpy())).learners:
                self.generators[i].set_weights(self.averages[i].get_weights())

    def teacher_images(self, latents, roles):
        """The Teacher's images for `latents` [B, Z]: what critic and Student get as replay."""
        return tf.stop_gradient(self.by_xla(self.generators[roles.teachers[0]])(latents, training=False))

    def generate(self, latents):
        """Images of the latest teacher for `latents` [B, Z], in inference mode."""
        return self.latest_teacher(latents, training=False)

    def progress_samples(self, latents):
        """Returns the images of `latents` by the Teacher (generator 0 in the first task) and by the Assistant.

        The list has only one batch if both are the same generator.
        """
        roles = self.roles(int(self.task_index.numpy()))
        twins = dict.fromkeys([(roles.teachers or roles.learners)[0], roles.learners[-1]])
        return [
            self.sample_from(
                self.averages[i] if self.averages and i in roles.learners else self.generators[i], latents
            )
            for i in twins
        ]

    def sample_from(self, generator, latents, batch_size=250):
        """Images of one generator in inference mode for `latents` [N, Z], batch by batch."""
        return sampling.in_batches(lambda z: generator(z, training=False), latents, batch_size)
