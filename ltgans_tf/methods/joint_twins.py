"""The paper's ablation: both twins trained in every task, nobody frozen, nothing distilled."""

from ltgans_tf.methods import lakd, twin_gan


class JointTwins(twin_gan.TwinGAN):
    """The baseline of the paper's Fig. 4b (Ye and Bors 2021, section 3).

    The first task is Eq. 1 as in `TwinGAN`. From the second on both twins go on learning from as many
    samples of the live generator 0 as new images; since it changes with every step, what it has
    forgotten is gone. Critic and Student get the same samples.
    """

    method = "joint_twins"
    fixed = {
        "replay_share": "paper",
        "warm_start": 0.0,
        "first_learners": 2,
        "distillation": 0.0,
        "critic_on_past": True,
    }

    def roles(self, task_index):
        """Both learn in every task; the one whose samples are learnt from is among them."""
        return lakd.Roles(teachers=(0,) if task_index else (), learners=(0, 1))
