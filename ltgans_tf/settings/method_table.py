"""The table of methods: the class of each, what it changes in a recipe, and its own settings.

The fields of the settings are flags of `ltgans train`, such as `--lgm_categories`, see checked.py. Listing the methods
and checking their settings needs no TensorFlow.
"""

import dataclasses

from ltgans_tf.settings.checked import Checked, setting


@dataclasses.dataclass(frozen=True)
class LGMSettings(Checked):
    """LGM's own settings; the defaults are those of its paper and code."""

    categories: int = setting(
        10, "Most categories of LGM's discrete latent; memory does not depend on those in use.", least=1
    )
    grow: bool = setting(
        False, "Whether task k uses min(k, categories) of them, as LGM's authors' code adds one a task."
    )
    consistency: float = setting(
        1.0,
        "Weight gamma of the KL term that ties the student's categories to the teacher's on its samples.",
        least=0,
    )
    anneal_steps: int = setting(
        1000,
        "Steps, over all tasks, in which the temperature of the relaxed categories falls from 1 to 0.5.",
        least=1,
    )


@dataclasses.dataclass(frozen=True)
class CURLSettings(Checked):
    """CURL's own settings; if a default is not that of its authors, `curl` says why."""

    components: int = setting(
        10, "Most components of CURL's mixture; a step decodes each image once for each in use.", least=1
    )
    first_components: int = setting(1, "Components in use from the start.", least=1)
    buffer_size: int = setting(100, "Number of poorly explained images that triggers an expansion.", least=1)
    expansion_wait: int = setting(
        100, "Steps from an expansion or the start of the run to the next image collected.", least=0
    )
    expansion_passes: int = setting(10, "Gradient steps on the whole buffer in an expansion.", least=0)
    threshold_deviations: float = setting(
        3.0, "An image is collected if its NLOG is this many standard deviations above the mean."
    )
    # With 0.98, the averages keep 36 % of their weight over the 50 steps on real images of a wait.
    threshold_decay: float = setting(
        0.98, "Decay of the moving averages of the NLOG per real step.", least=0, below=1
    )

    def __post_init__(self):
        super().__post_init__()
        if self.first_components > self.components:
            raise ValueError(
                f"first_components is {self.first_components!r}; it must be at most components, which is"
                f" {self.components}."
            )


@dataclasses.dataclass(frozen=True)
class MultibandSettings(Checked):
    """Multiband GAN's own settings; the shares are those of its authors' epochs (120 of 320, 10 of 200)."""

    local_share: float = setting(
        0.375, "Share of a task's steps, from the second on, that train the local GAN.", least=0, below=1
    )
    translator_share: float = setting(
        0.05,
        "Share of the steps after the local GAN that train the translator alone; they come first.",
        least=0,
        below=1,
    )
    global_rate: float = setting(0.001, "Learning rate of consolidation (Adam).", least=1e-9)


@dataclasses.dataclass(frozen=True)
class Method:
    """What is known about a method before its class is imported.

    Attributes:
      path: 'module:Class' of its class, a subclass of `LifelongModel`, in the package `methods`.
      changes: fields in which it differs from the recommended and the paper's recipe, {name: value}.
      settings: class of the method's own settings, or None.
      critic: whether it has generators and a critic; otherwise it is a VAE.
    """

    path: str
    changes: dict
    settings: type | None = None
    critic: bool = True


# Generative replay and its bounds as in the literature: latents without a code, and a critic with one head.
# Each of these settings is a flag, so that `--method=joint --domain_dim=32` is joint training with codes.
_PLAIN = {"domain_dim": 0, "domain_scales": False, "distillation": 0.0, "warm_start": 0.0}
_SINGLE = {**_PLAIN, "critic_heads": 1, "first_learners": 1}
# Methods that are VAEs themselves; their weights are not averaged.
_VAE = {**_PLAIN, "student_ema": 0.0}
# Five critic updates, as in its authors' code; its translator takes the codes.
_MULTIBAND = {"n_critic": 5, "domain_scales": False, "distillation": 0.0, "warm_start": 0.0, "ema": 0.0}
_MULTIBAND |= {"critic_heads": 1, "first_learners": 1}

METHODS = {
    "ltgan": Method("twin_gan:TwinGAN", {}),
    "joint_twins": Method("joint_twins:JointTwins", _PLAIN),
    "replay": Method("replay:Replay", _SINGLE),
    "finetune": Method("replay:Finetune", _SINGLE),
    "joint": Method("joint:Joint", _SINGLE),
    "multiband": Method("multiband:Multiband", _MULTIBAND, MultibandSettings),
    "lgm": Method("lgm:LGM", _VAE, LGMSettings, critic=False),
    "curl": Method("curl:CURL", _VAE, CURLSettings, critic=False),
}
# The settings class of each method that has its own settings.
SETTINGS = {name: method.settings for name, method in METHODS.items() if method.settings}
