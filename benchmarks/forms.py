"""A form of the twins that did not win, as one would try an idea of one's own.

    ltgans train --method=benchmarks.forms:MixedTeacher --preset=twins_cpu --workdir=runs/mixed

docs/results.md says what it gave beside the recommended recipe.
"""

import tensorflow as tf

from ltgans_tf.methods import twin_gan


class MixedTeacher(twin_gan.TwinGAN):
    """Both twins teach the second task, the only one before which both know the same.

    Every second image of the replay is that of a frozen copy of the Assistant, which is a third
    generator in memory. Not for distillation, which needs one image for one latent.
    """

    generator_count = 3
    fixed = {"distillation": 0.0, "critic_on_past": True}

    def trace_key(self, task_index):
        return self.roles(task_index), task_index == 1

    def begin_task(self):
        self.generators[2].set_weights(self.generators[1].get_weights())
        super().begin_task()

    def teacher_images(self, latents, roles):
        taught = super().teacher_images(latents, roles)
        if self.traced_task != 1:
            return taught
        other = tf.stop_gradient(self.generators[2](latents, training=False))
        every_second = tf.range(latents.shape[0]) % 2 == 1
        return tf.where(every_second[:, None, None, None], other, taught)
