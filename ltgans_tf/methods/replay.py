"""Methods that train one generator: `Replay`, with replay from its frozen copy, and `Finetune`, without replay.

Both keep TwinGAN's critic, step and Student, so that a comparison with it measures only who teaches
and who learns.
"""

from ltgans_tf.methods import lakd, twin_gan


class Replay(twin_gan.TwinGAN):
    """Generative replay with a WGAN-GP: the joint retraining of MeRGAN (Wu et al. 2018).

    `generators[0]` learns every task, starting from its own weights. `generators[1]` is a frozen
    copy of it from the beginning of the task, and supplies the replay. In task k

      L_D = E[D(G(z))] - (pi E[D(x)] + (1 - pi) E[D(G_old(z'))]) + lambda GP

    where 1 - pi is the recipe's replay share, (k-1)/k if it is 'balanced'. For a fair comparison it
    differs from MeRGAN's code: optimizer, critic updates and moving average are the recipe's,
    optimizer slots are reset in every task, and a Student is trained too, as in `TwinGAN`.
    """

    method = "replay"
    fixed = {"warm_start": 0.0, "first_learners": 1}

    def roles(self, task_index):
        """The copy teaches from the second task on, generator 0 always learns."""
        return lakd.Roles(teachers=(1,) if task_index else (), learners=(0,))

    def begin_task(self):
        if int(self.task_index.numpy()):
            self.generators[1].set_weights(self.generators[0].get_weights())
        super().begin_task()


class Finetune(twin_gan.TwinGAN):
    """Training without replay, for the generator and for the Student: shows the worst case of forgetting.

    One generator learns each task on the new images alone, starting from its own weights.
    """

    method = "finetune"
    generator_count = 1
    fixed = {
        "warm_start": 0.0,
        "first_learners": 1,
        "distillation": 0.0,
        "critic_on_past": True,
        "replay_share": "0",
        "student_distillation": 0.0,
    }

    def roles(self, task_index):
        """There is no teacher, in any task, and generator 0 always learns."""
        del task_index
        return lakd.Roles(teachers=(), learners=(0,))
