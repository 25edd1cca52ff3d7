"""One step of Lifelong Twin GANs: Eqs. 1, 2 and 5 of Ye and Bors (ICIP 2021), and distillation.

`train_step` reads like the paper: mix in the replay, update the critic, update the learners, update the Student. It
draws no sample twice: the Teacher's images serve critic and Student, and the fakes of the last critic update are those
that the generators learn from.
"""

import contextlib
from typing import NamedTuple

import tensorflow as tf

from ltgans_tf.data import images
from ltgans_tf.methods.recipe_model import RecipeModel
from ltgans_tf.networks import augmentation, losses, normalization
from ltgans_tf.settings import presets

# One tag for each use of noise within a step.
TEACHER_LATENTS, STUDENT_NOISE, LATENTS, PAST_LATENTS, EPSILON, PAST_EPSILON = 0, 1, 100, 300, 500, 700
LEARNERS_AUGMENTATION, AUGMENTATION = 2, 900


class Replayed(NamedTuple):
    """The Teacher's replay for one critic update; for all updates of a step, arrays have one more axis, the first.

    Attributes:
      noise: noise of the Teacher's latents, [B, noise_dim].
      images: the Teacher's images of these latents.
      domains: int32 [B], the domain of each image, which selects the code.
      mixed: bool [B], which images replace a new image; None with codes, where they are appended to the new ones.
    """

    noise: tf.Tensor
    images: tf.Tensor
    domains: tf.Tensor
    mixed: tf.Tensor | None

    def at(self, i):
        """Returns the replay for update i."""
        return Replayed(*(None if part is None else part[i] for part in self))


class TwinStep(RecipeModel):
    """The step of `TwinGAN`. The subclass supplies networks, optimizers and roles."""

    watched = (
        "critic loss",
        "critic gradient",
        "generator loss",
        "generator gradient",
        "student loss",
        "student gradient",
    )

    def train_step(self, data):
        """One step: n_critic critic updates, one update of each learner, one of the Student.

        Args:
          data: uint8 [B, n, H, W, C], new images of this replica; n is `new_batches`.

        Returns:
          dict of scalars over all replicas.
        """
        roles = self.roles(self.traced_task)
        rows, last = data.shape[0], self.recipe.n_critic - 1
        self.global_rows = rows * self.distribute_strategy.num_replicas_in_sync
        new_images = images.normalize(data)
        replay = self._replay(rows, self.recipe.n_critic, roles)
        unreported = self._update_earlier(new_images, replay, roles)
        replay = None if replay is None else replay.at(-1)
        heads = self._heads(last, rows, roles, replay)
        fakes, tapes = self._fakes(last, rows, roles, replay)
        report = self._update_critic(last, self._real(new_images[:, last], replay), fakes, roles, heads)
        report |= self._update_learners(fakes, tapes, roles, heads, replay)
        if self.student is not None:
            second = new_images[:, -1] if replay is None else replay.images
            unreported["student/loss"], student_report = self._update_student(
                new_images[:, 0], second, replay is not None
            )
            report |= student_report
        return self.end_step(report, unreported=unreported)

    def _update_earlier(self, new_images, replay, roles):
        """Makes all critic updates of a step but the last; returns sums of their watched values, named as in a report.

        On one replica they are one loop in the graph, so that the graph does not grow with their number. On several
        replicas they are unrolled, because TensorFlow cannot sum over replicas in a loop.
        """
        watched, earlier, rows = (
            ("critic/loss", "critic/gradient"),
            self.recipe.n_critic - 1,
            new_images.shape[0],
        )

        def update(i, sums):
            taught = replay.at(i) if replay is not None and self.recipe.critic_on_past else None
            fakes, _ = self._fakes(i, rows, roles, taught)
            heads = self._heads(i, rows, roles, taught)
            report = self._update_critic(i, self._real(new_images[:, i], taught), fakes, roles, heads)
            return i + 1, sums + tf.stack([report[name] for name in watched])

        if not earlier:
            return {}
        state = 0, tf.zeros([len(watched)])
        if self.distribute_strategy.num_replicas_in_sync > 1:
            for _ in range(earlier):
                state = update(*state)
        else:
            state = tf.while_loop(lambda i, _: i < earlier, update, state, parallel_iterations=1)
        return dict(zip(watched, tf.unstack(state[1])))

    def _is_last(self, i):
        """Whether critic update i is the last of its step; a tensor i, from the loop, never is."""
        return isinstance(i, int) and i == self.recipe.n_critic - 1

    def _replay(self, rows, n_critic, roles):
        """Returns the replay for the critic updates, a `Replayed`; None if there is no Teacher.

        If the critic does not judge the past, only the last update has replay, for the learners.
        """
        if not roles.teachers:
            return None
        law, first = self.latent_law, 0 if self.recipe.critic_on_past else n_critic - 1
        noise = self.noise(TEACHER_LATENTS, rows * n_critic, law.noise_dim, n_critic, law.noise)[
            first * rows :
        ]
        updates = range(first, n_critic)
        domains = tf.concat([self._past_domains(i, rows) for i in updates], axis=0)
        taught = self.teacher_images(law.place(noise, domains), roles)
        mixed = None if self.recipe.domain_dim else tf.stack([self._mixed_rows(i, rows) for i in updates])
        by_update = lambda values: tf.reshape(values, [len(updates), rows, *values.shape[1:]])
        return Replayed(by_update(noise), by_update(taught), by_update(domains), mixed)

    def _share(self):
        """Replay share of the present task as (numerator, denominator), int64 in the graph."""
        if self.recipe.replay_share == "balanced":
            k = tf.cast(self.task_index.value, tf.int64)
            return k, k + 1
        share = presets.replay_fraction(self.recipe.replay_share, 1)
        return tf.constant(share.numerator, tf.int64), tf.constant(share.denominator, tf.int64)

    def _mixed_rows(self, i, rows):
        """Without codes: tells which rows of the critic's real images are the Teacher's, bool [B].

        At critic update t these are floor((t + 1) s B) - floor(t s B) rows of the global batch, spread evenly, so that
        the share s is exact over the updates.
        """
        update = tf.cast(self.task_step.value, tf.int64) * self.recipe.n_critic + tf.cast(i, tf.int64)
        count = presets.replayed_rows(update, self.global_rows, *self._share())
        return presets.is_replayed(self._global_row(rows), count, self.global_rows)

    def _past_domains(self, i, rows):
        """Returns the domain of each of the Teacher's images for update i, int32 [B], from update and row alone.

        The last updates of all steps cycle through the past domains, and the earlier updates have a cycle of their
        own. After any number of updates no domain is more than one row ahead of another in either cycle.
        """
        step, earlier = tf.cast(self.task_step.value, tf.int64), self.recipe.n_critic - 1
        update = step if self._is_last(i) else step * earlier + tf.cast(i, tf.int64)
        return remainder(update * self.global_rows + self._global_row(rows), self.task_index.value)

    def _global_row(self, rows):
        """Returns the positions of this replica's rows in the global batch, int64 [rows]."""
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        return tf.range(rows, dtype=tf.int64) + rows * tf.cast(replica, tf.int64)

    def _domains(self, i, rows):
        """The domain of each row of the stream's images: int32 [B]."""
        del i
        return tf.fill([rows], tf.cast(self.task_index.value, tf.int32))

    def _real(self, new_images, replay):
        """Returns the real images of Eq. 2: the new ones, with the Teacher's appended or in place of some."""
        if replay is None or not self.recipe.critic_on_past:
            return new_images
        if replay.mixed is not None:
            return tf.where(replay.mixed[:, None, None, None], replay.images, new_images)
        # With distillation the fake of a row becomes like the Teacher's image of that row. The penalty would then
        # interpolate between equal images, so only close to the data. So pairs of rows are swapped, on any layout.
        rows = replay.images.shape[0]
        taught = tf.gather(replay.images, [min(i ^ 1, rows - 1) for i in range(rows)])
        return tf.concat([new_images, taught], axis=0)

    def _fakes(self, i, rows, roles, replay):
        """Returns the images of each learner, with the tape of the pass for the last critic update.

        They are B images of the new task and, with codes, then B of the past, which have the Teacher's latents if there
        is distillation.
        """
        fakes, tapes, law = [], [], self.latent_law
        for learner in roles.learners:
            tag = 2 * i + learner
            noise = self.noise(LATENTS + tag, rows, law.noise_dim, law=law.noise)
            latents = law.place(noise, self._domains(i, rows))
            if replay is not None and replay.mixed is None:
                noise = replay.noise
                if not self.recipe.distillation:
                    noise = self.noise(PAST_LATENTS + tag, rows, law.noise_dim, law=law.noise)
                latents = tf.concat([latents, law.place(noise, replay.domains)], axis=0)
            with tf.GradientTape() if self._is_last(i) else contextlib.nullcontext() as tape:
                fakes.append(self._learner_images(learner, latents))
            tapes.append(tape)
        return fakes, tapes

    def _learner_images(self, learner, latents):
        """Draws images, by XLA on one replica only: several replicas exchange batch statistics, which XLA cannot."""
        generator = self.generators[learner]
        if self.distribute_strategy.num_replicas_in_sync == 1:
            generator = self.by_xla(generator)
        return generator(latents, training=True)

    def _judged(self, fakes):
        """The learners' images that the critic judges, in one batch."""
        if not self.recipe.critic_on_past:
            new = self.global_rows // self.distribute_strategy.num_replicas_in_sync
            fakes = [made[:new] for made in fakes]
        return tf.concat(fakes, axis=0)

    def _heads(self, i, rows, roles, replay):
        """Returns which output of the critic judges each row of each learner's block: int32 [L * N].

        With two heads, each twin has its own head in the first task and, without domain codes, in all tasks.
        With codes, head 1 judges the past and head 0 the new task from the second task on. Eq. 1 as written
        has one head, which sees only the sum over both twins, so that each may learn only some modes of the
        first task.
        """
        learners, domains = roles.learners, self._domains(i, rows)
        if replay is not None and replay.mixed is None and self.recipe.critic_on_past:
            domains = tf.concat([domains, replay.domains], axis=0)
        if self.recipe.critic_heads == 1:
            return tf.zeros([len(learners) * domains.shape[0]], tf.int32)
        if self.recipe.domain_dim and (roles.teachers or len(learners) == 1):
            past = domains < tf.cast(self.task_index.value, tf.int32)
            return tf.tile(tf.cast(past, tf.int32), [len(learners)])
        return tf.repeat(list(learners), domains.shape[0])

    def _head_values(self, values, heads):
        """The value of each row at its head: [N, heads] -> [N]."""
        return tf.reduce_sum(values * tf.one_hot(heads, self.recipe.critic_heads), axis=1)

    def _augmentation(self, tag, rows):
        """Draws numbers to augment `rows` images, batch after batch: float [rows, NUMBERS]; None without a policy."""
        if not self.policy:
            return None
        batch = self.global_rows // self.distribute_strategy.num_replicas_in_sync
        return self.noise(tag, rows, augmentation.NUMBERS, rows // batch, "unit")

    def _update_critic(self, i, real, fakes, roles, heads):
        """Eqs. 1 and 2: one critic update on real images and the fakes of each learner."""
        replicas = self.distribute_strategy.num_replicas_in_sync
        rows, new = real.shape[0], self.global_rows // replicas
        learners, fake = len(roles.learners), self._judged(fakes)
        epsilon = [
            self.noise(use + 2 * i + learner, count, 1, law="unit")
            for learner in roles.learners
            for use, count in ((EPSILON, new), (PAST_EPSILON, rows - new))
            if count
        ]
        epsilon = tf.concat(epsilon, axis=0)
        numbers = self._augmentation(AUGMENTATION + i, (1 + learners) * rows)
        if numbers is not None:
            real, fake = (
                augmentation.augment(*shown, self.policy)
                for shown in zip((real, fake), tf.split(numbers, [rows, learners * rows]))
            )
        gradients, loss, distance, penalty = self.by_xla(self._critic_gradients)(real, fake, epsilon, heads)
        losses.descend(self.critic_optimizer, gradients, self.critic.trainable_variables, loss)
        judged = learners * rows * replicas
        return {
            "critic/loss": loss,
            "critic/wasserstein": distance / judged,
            "critic/penalty": penalty / judged,
            "critic/gradient": losses.norm(gradients),
        }

    def _critic_gradients(self, real, fake, epsilon, heads):
        """Gradients of the critic's loss, the loss, and the sums of distances and of penalties."""
        rows, scale = real.shape[0], self.recipe.loss_scale
        learners = fake.shape[0] // rows
        repeated = real if learners == 1 else tf.tile(real, [learners, 1, 1, 1])
        points = losses.interpolate(repeated, fake, epsilon[:, :, None, None])
        with tf.GradientTape() as tape:
            values = self.critic(tf.concat([real, fake], axis=0), training=True)
            real_values, fake_values = tf.split(values, [rows, learners * rows])
            real_values = self._head_values(tf.tile(real_values, [learners, 1]), heads)
            fake_values = self._head_values(fake_values, heads)
            penalty = losses.gradient_penalty(
                lambda u: self._head_values(self.critic(u, training=True), heads), points, scale
            )
            loss = losses.critic_loss(real_values, fake_values)
            loss = tf.reduce_sum(loss + self.recipe.penalty_weight * penalty) / self.global_rows
        gradients = losses.gradients(tape, loss, self.critic.trainable_variables, scale)
        return gradients, loss, tf.reduce_sum(real_values - fake_values), tf.reduce_sum(penalty)

    def _update_learners(self, fakes, tapes, roles, heads, replay):
        """Updates each learner by -D(G(z)) of the critic just updated (Eqs. 1 and 2).

        With distillation the Assistant also minimises the squared error to the Teacher's images of
        the same latents.

        The chain rule is applied in two parts, critic and then generator. So the forward pass that made
        the fakes for the critic is reused, and no gradients of the critic's weights are computed.
        """
        scale, norms = self.recipe.loss_scale, []
        known = None if replay is None or not self.recipe.distillation else replay.images
        numbers = self._augmentation(LEARNERS_AUGMENTATION, heads.shape[0])
        loss, apart, upstream = self.by_xla(self._gradients_of_images)(fakes, heads, known, numbers)
        for learner, images_, tape, gradient in zip(roles.learners, fakes, tapes, upstream):
            variables = self.generators[learner].trainable_variables
            gradients = losses.gradients(tape, images_, variables, scale, gradient)
            losses.descend(self.generator_optimizers[learner], gradients, variables, images_)
            norms.append(losses.norm(gradients))
            if self.averages:
                self._average(self.averages[learner], self.generators[learner], self.recipe.ema)
        report = {"generator/loss": loss, "generator/gradient": tf.add_n(norms)}
        return report | ({"generator/distillation": apart} if self.recipe.distillation else {})

    def _gradients_of_images(self, fakes, heads, known, numbers):
        """Returns the learners' loss, the distance to the Teacher's images `known`, and the gradients for `fakes`.

        The critic sees the fakes augmented by `numbers`, unless `numbers` is None.
        """
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(fakes)
            judged = self._judged(fakes)
            if numbers is not None:
                judged = augmentation.augment(judged, numbers, self.policy)
            values = self._head_values(self.critic(judged, training=True), heads)
            loss = tf.reduce_sum(losses.generator_loss(values)) / self.global_rows
            apart = 0.0
            if known is not None:
                apart = sum(losses.sum_squared_error(known, made[-known.shape[0] :]) for made in fakes)
                apart = tf.reduce_sum(apart) / self.global_rows
                loss += self.recipe.distillation * apart
        return loss, apart, losses.gradients(tape, loss, fakes, self.recipe.loss_scale)

    def _average(self, average, network, most):
        """Updates the moving average of a network's weights, with a decay that grows to `most` over the task.

        The decay grows as in `tf.train.ExponentialMovingAverage` with `num_updates`. So the weights
        from the beginning of a task (random in the first task) leave the average within few steps.
        """
        step = tf.cast(self.task_step.value, tf.float32)
        decay = tf.minimum(most, (1.0 + step) / (10.0 + step))
        for mean, weight in zip(average.weights, network.weights):
            normalization.blend(mean, weight.value, 1.0 - decay)

    def _update_student(self, new_images, others, replayed):
        """Updates the Student by Eq. 5: one pass over new images and equally many others, with a weight for each part.

        The others are images of the Teacher or, without replay, further new images. With student distillation the
        trained Student is also pulled, on the replay, to the Student from the beginning of the task. Returns the
        weighted loss and the report, whose losses have no weights.
        """
        rows = new_images.shape[0]
        first = second = 1.0
        if replayed and self.recipe.student_replay == "share":
            numerator, denominator = self._share()
            second = 2.0 * tf.cast(numerator / denominator, tf.float32)
            first = 2.0 - second
        weights = tf.concat([tf.fill([rows], first), tf.fill([rows], second)], axis=0)
        noise = self.noise(STUDENT_NOISE, 2 * rows, self.student.code_dim, 2)
        sse, kl, gradients, loss = self.trained_student.update(
            self.student_optimizer,
            tf.concat([new_images, others], axis=0),
            weights,
            noise,
            self.recipe.beta,
            self.global_rows,
            self.former_student if replayed else None,
            self.recipe.student_distillation * weights[rows:],
            self.by_xla,
        )
        if self.student is not self.trained_student:
            self._average(self.student, self.trained_student, self.recipe.student_ema)
        images_seen = 2 * self.global_rows
        return loss, {
            "student/loss": tf.reduce_sum(sse + self.recipe.beta * kl) / images_seen,
            "student/sse": tf.reduce_sum(sse) / images_seen,
            "student/kl": tf.reduce_sum(kl) / images_seen,
            "student/gradient": losses.norm(gradients),
        }


def remainder(values, divisor):
    """Returns int64 [N] modulo an int64 scalar, as int32 [N]; GPUs have no kernel for int64 remainders."""
    divisor = tf.cast(divisor, tf.int64)
    return tf.cast(values - values // divisor * divisor, tf.int32)
