"""The step of TwinGAN written plainly: what `benchmarks.step` measures the package against.

The same mathematics, networks, optimizers and noise law, one compiled graph as well, but a
forward pass for each use: critic and Student each have Teacher images of their own, the
generators' update draws its fakes anew, real, fake and interpolated images go through the
critic apart, new images and replay through the Student apart, and the penalty's second derivative of
the activations, which is 0, goes back through the critic.
"""

import keras
import tensorflow as tf

from ltgans_tf.data import images
from ltgans_tf.methods import twin_gan
from ltgans_tf.networks import losses

# Tags of noise, by use; the package's own are below 700.
_OWN_TEACHER_LATENTS, _OWN_LATENTS = 700, 800


def _plain_layer(layer):
    cls = keras.layers.LeakyReLU if isinstance(layer, keras.layers.LeakyReLU) else type(layer)
    return cls.from_config(layer.get_config())


class PlainTwinGAN(twin_gan.TwinGAN):
    """A TwinGAN of one replica whose step takes no short cut.

    Attributes:
      shares_draws: True draws the noise of a use that the package has no pass of its own for from
        where the package took it; one step then changes weights as the package's does.
    """

    shares_draws = False

    def __init__(self, generators, critic, *args, **kwargs):
        # Of plain layers, through all of which the penalty goes back.
        plain = keras.models.clone_model(critic, clone_function=_plain_layer)
        plain.set_weights(critic.get_weights())
        super().__init__(generators, plain, *args, **kwargs)

    def train_step(self, data):
        """As `TwinGAN.train_step`: uint8 [B, n, H, W, C] -> dict of scalars."""
        roles = self.roles(self.traced_task)
        rows, n_critic = data.shape[0], self.recipe.n_critic
        self.global_rows = rows
        new_images = tf.unstack(images.normalize(data), axis=1)
        report = {}
        for i in range(n_critic):
            replay = self._plain_replay(i, rows, n_critic, roles, twin_gan._TEACHER_LATENTS)
            report |= self._plain_critic(i, self._mix(new_images[i], replay), roles, replay)
        report |= self._plain_learners(rows, n_critic, roles)
        if self.student is not None:
            report |= self._plain_student(new_images, n_critic, roles)
        return self.end_step(report)

    def _plain_replay(self, i, rows, n_critic, roles, tag):
        if not roles.teachers:
            return None
        noise, (chosen, domains) = self._teacher_noise(i, rows, n_critic, tag), self._past_rows(i, rows)
        taught = self.teacher_images(self.latent_law.place(noise, domains), roles)
        return twin_gan._Replay(noise, taught, chosen, domains)

    def _teacher_noise(self, i, rows, n_critic, tag):
        law = self.latent_law
        return tf.split(self.noise(tag, rows * n_critic, law.noise_dim, n_critic, law.noise), n_critic)[i]

    def _learner_latents(self, i, tag, rows, replay):
        law = self.latent_law
        if replay is not None and self.recipe.distillation:
            noise = replay.noise
        else:
            noise = self.noise(tag, rows, law.noise_dim, law=law.noise)
        return law.place(noise, self._domains(i, rows, replay))

    def _plain_critic(self, i, real, roles, replay):
        rows = real.shape[0]
        total = 0.0
        all_heads = tf.split(self._heads(i, rows, roles, replay), len(roles.learners))
        with tf.GradientTape() as tape:
            real_values = self.critic(real, training=True)
            for learner, heads in zip(roles.learners, all_heads):
                latents = self._learner_latents(i, twin_gan._LATENTS + 2 * i + learner, rows, replay)
                fake = tf.stop_gradient(self.generators[learner](latents, training=True))
                epsilon = self.noise(twin_gan._EPSILON + 2 * i + learner, rows, 1, law="unit")
                points = losses.interpolate(real, fake, epsilon[:, :, None, None])
                value = lambda u, heads=heads: self._head_values(self.critic(u, training=True), heads)
                penalty = losses.gradient_penalty(value, points) * tf.cast(heads >= 0, tf.float32)
                distance = losses.critic_loss(self._head_values(real_values, heads), value(fake))
                total += tf.reduce_sum(distance + self.recipe.penalty_weight * penalty) / rows
        gradients = tape.gradient(total, self.critic.trainable_variables)
        self.critic_optimizer.apply(gradients, self.critic.trainable_variables)
        return {"critic/loss": total, "critic/gradient": twin_gan._norm(gradients)}

    def _plain_learners(self, rows, n_critic, roles):
        total, norms, last = 0.0, [], n_critic - 1
        tag = twin_gan._TEACHER_LATENTS if self.shares_draws else _OWN_TEACHER_LATENTS
        replay = None
        if roles.teachers and self.recipe.domain_dim:
            replay = self._plain_replay(last, rows, n_critic, roles, tag)
        all_heads = tf.split(self._heads(last, rows, roles, replay), len(roles.learners))
        for learner, heads in zip(roles.learners, all_heads):
            tag = twin_gan._LATENTS + 2 * last if self.shares_draws else _OWN_LATENTS
            latents = self._learner_latents(last, tag + learner, rows, replay)
            variables = self.generators[learner].trainable_variables
            with tf.GradientTape() as tape:
                fake = self.generators[learner](latents, training=True)
                values = self._head_values(self.critic(fake, training=True), heads)
                loss = tf.reduce_sum(losses.generator_loss(values)) / rows
                if replay is not None and self.recipe.distillation:
                    apart = losses.sum_squared_error(replay.images, fake)[replay.chosen]
                    past = tf.cast(self.task_index.value, tf.float32)
                    loss += self.recipe.distillation * past * tf.reduce_sum(apart) / rows
            gradients = tape.gradient(loss, variables)
            self.generator_optimizers[learner].apply(gradients, variables)
            if self.averages:
                self._average(self.averages[learner], self.generators[learner], self.recipe.ema)
            total += loss
            norms.append(twin_gan._norm(gradients))
        return {"generator/loss": total, "generator/gradient": tf.add_n(norms)}

    def _plain_student(self, new_images, n_critic, roles):
        rows, brackets = new_images[0].shape[0], [(1.0, new_images[0]), (1.0, new_images[-1])]
        if roles.teachers:
            tag = twin_gan._TEACHER_LATENTS if self.shares_draws else _OWN_TEACHER_LATENTS
            noise = self._teacher_noise(0, rows, n_critic if self.shares_draws else 1, tag)
            latents = self.latent_law.place(noise, self._past_rows(0, rows)[1])
            brackets[1] = (1.0, self.teacher_images(latents, roles))
            if self.recipe.student_replay == "share":
                numerator, denominator = self._share()
                share = tf.cast(numerator / denominator, tf.float32)
                brackets = [(2.0 * (1.0 - share), brackets[0][1]), (2.0 * share, brackets[1][1])]
        draws = len(brackets)
        noise = tf.split(
            self.noise(twin_gan._STUDENT_NOISE, draws * rows, self.student.code_dim, draws), draws
        )
        student, former, total = self.trained_student, self.former_student, 0.0
        with tf.GradientTape() as tape:
            for (weight, batch), draw in zip(brackets, noise):
                sse, kl = student.elbo_terms(batch, draw)
                total += tf.reduce_sum(weight * losses.negative_elbo(sse, kl, self.recipe.beta)) / rows
            if roles.teachers and former is not None:  # of the last bracket, which is the replay
                posterior, known = student.encode(batch), former.encode(batch)
                rebuilt = student.decode(posterior.mean() + posterior.stddev() * draw)
                apart = losses.sum_squared_error(former(batch), rebuilt) + known.kl_divergence(posterior)
                total += self.recipe.student_distillation * weight * tf.reduce_sum(apart) / rows
        gradients = tape.gradient(total, student.trainable_variables)
        self.student_optimizer.apply(gradients, student.trainable_variables)
        if student is not self.student:
            self._average(self.student, student, self.recipe.student_ema)
        return {"student/loss": total / draws, "student/gradient": twin_gan._norm(gradients)}
