"""One generator that learns on, with the replay of a frozen copy of itself, or with none.

Both keep TwinGAN's critic, step and Student, so that what they are compared by is who teaches and
who learns, and nothing else.
"""

from ltgans_tf.methods import lakd, twin_gan


class Replay(twin_gan.TwinGAN):
    """Generative replay with a WGAN-GP: the joint retraining of MeRGAN (Wu et al. 2018).

    `generators[0]` learns every task from the weights that it had; `generators[1]` is the copy of
    it that was made when the task began, frozen, and supplies the past: in task k

      L_D = E[D(G(z))] - (pi E[D(x)] + (1 - pi) E[D(G_old(z'))]) + lambda GP

    with 1 - pi the recipe's replay share, (k-1)/k if it is 'balanced'. Where this leaves MeRGAN's
    code, for the comparison's sake: optimizer, critic updates and moving average are the recipe's,
    optimizer slots are reset in every task, and a Student learns beside it as in `TwinGAN`.
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
    """No replay, neither for the generator nor for the Student: what forgetting costs at most.

    One generator learns each task from the weights that it had, on the new images alone.
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
        """Nobody teaches; the same in every task."""
        del task_index
        return lakd.Roles(teachers=(), learners=(0,))
