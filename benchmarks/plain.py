"""A plain version of TwinGAN's step, which `benchmarks.step` measures the package against.

The mathematics, networks, optimizers and noise law are the same, and the step is one compiled graph too. But Adam and
batch normalisation are Keras' own, averages are updated weight by weight, and each use has its own forward pass.
Critic and Student each get their own Teacher images. The generators' update draws new fakes. Real, fake and interpolated
images go through the critic separately, and so do new images and replay through the Student. The backward pass of the
penalty includes the second derivative of the activations, which is 0.

As in the package, latents of the new task and of the past go through a learner in one pass: batch norm takes its
statistics from both.
"""

import keras
import tensorflow as tf

from ltgans_tf.data import images
from ltgans_tf.methods import twin_gan, twin_step
from ltgans_tf.networks import losses, networks, normalization
from ltgans_tf.settings import presets

# Noise tags of the additional passes; the package's tags are below 900.
_OWN_TEACHER_LATENTS, _OWN_STUDENT_REPLAY, _OWN_LATENTS, _OWN_PAST_LATENTS = 900, 901, 910, 920


_KERAS = {
    networks.TwiceLeakyReLU: keras.layers.LeakyReLU,
    normalization.BatchNormalization: keras.layers.BatchNormalization,
}


def _plain(network):
    """Returns a copy of a network, weights included, with Keras' own layers where Keras has them."""
    plain_layer = lambda layer: _KERAS.get(type(layer), type(layer)).from_config(layer.get_config())
    plain = keras.models.clone_model(network, clone_function=plain_layer)
    plain.set_weights(network.get_weights())
    return plain


def _optimizer(text):
    name, numbers = presets.parse_optimizer(text)
    return {"adam": keras.optimizers.Adam, "rmsprop": keras.optimizers.RMSprop}[name](*numbers)


class PlainTwinGAN(twin_gan.TwinGAN):
    """A TwinGAN on one replica whose step takes no short cuts.

    Attributes:
      shares_draws: whether a pass that the package does not make draws the noise of the pass that the package
        uses in its place. If True, one step changes weights as the package's does.
    """

    shares_draws = False

    def __init__(self, generators, critic, *args, **kwargs):
        super().__init__([_plain(generator) for generator in generators], _plain(critic), *args, **kwargs)

    def compile(self, **kwargs):
        for name in ("critic_optimizer", "generator_optimizer", "student_optimizer"):
            kwargs[name] = kwargs.get(name) or _optimizer(getattr(self.recipe, name))
        super().compile(**kwargs)

    def _average(self, average, network, most):
        step = tf.cast(self.task_step.value, tf.float32)
        decay = tf.minimum(most, (1.0 + step) / (10.0 + step))
        for mean, weight in zip(average.weights, network.weights):
            mean.assign(decay * mean + (1.0 - decay) * weight)

    def train_step(self, data):
        """As `TwinGAN.train_step`: uint8 [B, n, H, W, C] -> dict of scalars."""
        roles = self.roles(self.traced_task)
        rows, n_critic = data.shape[0], self.recipe.n_critic
        self.global_rows = rows
        new_images = tf.unstack(images.normalize(data), axis=1)
        report = {}
        for i in range(n_critic):
            report |= self._plain_critic(i, new_images[i], n_critic, roles)
        report |= self._plain_learners(rows, n_critic, roles)
        if self.student is not None:
            report |= self._plain_student(new_images, n_critic, roles)
        return self.end_step(report)

    def _plain_replay(self, i, rows, n_critic, roles, tag):
        """Runs the Teacher for update i in a separate pass: a `Replayed`, or None if the update has no replay."""
        if not roles.teachers or not (self.recipe.critic_on_past or i == n_critic - 1):
            return None
        law, domains = self.latent_law, self._past_domains(i, rows)
        noise = self.noise(tag, rows * n_critic, law.noise_dim, n_critic, law.noise)
        noise = tf.split(noise, n_critic)[i]
        taught = self.teacher_images(law.place(noise, domains), roles)
        mixed = None if self.recipe.domain_dim else self._mixed_rows(i, rows)
        return twin_step.Replayed(noise, taught, domains, mixed)

    def _learner_latents(self, i, rows, replay, tag, past_tag):
        law = self.latent_law
        latents = law.place(self.noise(tag, rows, law.noise_dim, law=law.noise), self._domains(i, rows))
        if replay is None or not self.recipe.domain_dim:
            return latents
        noise = replay.noise
        if not self.recipe.distillation:
            noise = self.noise(past_tag, rows, law.noise_dim, law=law.noise)
        return tf.concat([latents, law.place(noise, replay.domains)], axis=0)

    def _plain_critic(self, i, new_images, n_critic, roles):
        rows, total = new_images.shape[0], 0.0
        replay = self._plain_replay(i, rows, n_critic, roles, twin_step.TEACHER_LATENTS)
        real = self._real(new_images, replay)
        past = real.shape[0] - rows
        all_heads = tf.split(self._heads(i, rows, roles, replay), len(roles.learners))
        with tf.GradientTape() as tape:
            real_values = self.critic(real, training=True)
            for learner, heads in zip(roles.learners, all_heads):
                tag = 2 * i + learner
                tags = twin_step.LATENTS + tag, twin_step.PAST_LATENTS + tag
                latents = self._learner_latents(i, rows, replay, *tags)
                fake = tf.stop_gradient(self._judged([self.generators[learner](latents, training=True)]))
                epsilon = self.noise(twin_step.EPSILON + tag, rows, 1, law="unit")
                if past:
                    others = self.noise(twin_step.PAST_EPSILON + tag, past, 1, law="unit")
                    epsilon = tf.concat([epsilon, others], axis=0)
                points = losses.interpolate(real, fake, epsilon[:, :, None, None])
                value = lambda u, heads=heads: self._head_values(self.critic(u, training=True), heads)
                penalty = losses.gradient_penalty(value, points)
                distance = losses.critic_loss(self._head_values(real_values, heads), value(fake))
                total += tf.reduce_sum(distance + self.recipe.penalty_weight * penalty) / rows
        gradients = tape.gradient(total, self.critic.trainable_variables)
        self.critic_optimizer.apply(gradients, self.critic.trainable_variables)
        return {"critic/loss": total, "critic/gradient": tf.linalg.global_norm(gradients)}

    def _plain_learners(self, rows, n_critic, roles):
        total, norms, last = 0.0, [], n_critic - 1
        tags = _OWN_TEACHER_LATENTS, _OWN_LATENTS, _OWN_PAST_LATENTS
        if self.shares_draws:
            tags = twin_step.TEACHER_LATENTS, twin_step.LATENTS + 2 * last, twin_step.PAST_LATENTS + 2 * last
        teacher_tag, *tags = tags
        replay = self._plain_replay(last, rows, n_critic, roles, teacher_tag)
        all_heads = tf.split(self._heads(last, rows, roles, replay), len(roles.learners))
        for learner, heads in zip(roles.learners, all_heads):
            latents = self._learner_latents(last, rows, replay, *(tag + learner for tag in tags))
            variables = self.generators[learner].trainable_variables
            with tf.GradientTape() as tape:
                made = self.generators[learner](latents, training=True)
                values = self._head_values(self.critic(self._judged([made]), training=True), heads)
                loss = tf.reduce_sum(losses.generator_loss(values)) / rows
                if replay is not None and self.recipe.distillation:
                    apart = losses.sum_squared_error(replay.images, made[rows:])
                    loss += self.recipe.distillation * tf.reduce_sum(apart) / rows
            gradients = tape.gradient(loss, variables)
            self.generator_optimizers[learner].apply(gradients, variables)
            if self.averages:
                self._average(self.averages[learner], self.generators[learner], self.recipe.ema)
            total += loss
            norms.append(tf.linalg.global_norm(gradients))
        return {"generator/loss": total, "generator/gradient": tf.add_n(norms)}

    def _plain_student(self, new_images, n_critic, roles):
        rows, brackets = new_images[0].shape[0], [(1.0, new_images[0]), (1.0, new_images[-1])]
        if roles.teachers:
            tag = twin_step.TEACHER_LATENTS if self.shares_draws else _OWN_STUDENT_REPLAY
            brackets[1] = (1.0, self._plain_replay(n_critic - 1, rows, n_critic, roles, tag).images)
            if self.recipe.student_replay == "share":
                numerator, denominator = self._share()
                share = tf.cast(numerator / denominator, tf.float32)
                brackets = [(2.0 * (1.0 - share), brackets[0][1]), (2.0 * share, brackets[1][1])]
        draws = len(brackets)
        noise = tf.split(
            self.noise(twin_step.STUDENT_NOISE, draws * rows, self.student.code_dim, draws), draws
        )
        student, former, total = self.trained_student, self.former_student, 0.0
        with tf.GradientTape() as tape:
            for (weight, batch), draw in zip(brackets, noise):
                sse, kl = student.elbo_terms(batch, draw)
                total += tf.reduce_sum(weight * losses.negative_elbo(sse, kl, self.recipe.beta)) / rows
            if roles.teachers and former is not None:  # with the batch of the last bracket, the replay
                posterior, known = student.encode(batch), former.encode(batch)
                rebuilt = student.decode(posterior.mean() + posterior.stddev() * draw)
                apart = losses.sum_squared_error(former(batch), rebuilt) + known.kl_divergence(posterior)
                total += self.recipe.student_distillation * weight * tf.reduce_sum(apart) / rows
        gradients = tape.gradient(total, student.trainable_variables)
        self.student_optimizer.apply(gradients, student.trainable_variables)
        if student is not self.student:
            self._average(self.student, student, self.recipe.student_ema)
        return {"student/loss": total / draws, "student/gradient": tf.linalg.global_norm(gradients)}
