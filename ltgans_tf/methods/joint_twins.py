"""The paper's ablation: both twins trained in every task, nobody frozen, nothing distilled."""

from ltgans_tf.methods import lakd, twin_gan


class JointTwins(twin_gan.TwinGAN):
    """The baseline of the paper's Fig. 4b (Ye and Bors 2021, section 3).

    The first task is Eq. 1 as in `TwinGAN`. From the second on both twins learn from new images and
    from as many samples of generator 0, which is not frozen: what it forgets during training is
    lost. Critic and Student get the same samples.
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
        """Both twins learn in every task, including generator 0, which supplies the replay."""
        return lakd.Roles(teachers=(0,) if task_index else (), learners=(0, 1))
