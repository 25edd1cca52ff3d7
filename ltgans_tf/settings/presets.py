"""Settings as data: RECIPES hold the method's settings, PRESETS the experiments.

The fields of both are flags of `ltgans train`, see checked.py; the presets are listed in preset_table.py. Nothing
in this file needs TensorFlow.
"""

import dataclasses
import fractions
import re

from ltgans_tf.files import near_names
from ltgans_tf.settings import checked, preset_table, seeds
from ltgans_tf.settings.checked import Checked, setting
from ltgans_tf.settings.method_table import METHODS

AUGMENTATIONS = ("color", "translation", "cutout")


def replay_fraction(share, task_index):
    """Returns the exact share of the Teacher's images in the task at `task_index`, a `fractions.Fraction`.

    'paper' = 1/2 is the share in the authors' code, with which the first domain's part of the
    images falls as 2^-(k-1). 'balanced' = (k-1)/k gives all k domains the same part. In the first
    task (task_index 0), which has no Teacher, the share is 0.
    """
    if task_index == 0:
        return fractions.Fraction(0)
    if share == "paper":
        return fractions.Fraction(1, 2)
    if share == "balanced":
        return fractions.Fraction(task_index, task_index + 1)
    try:
        number = fractions.Fraction(str(share)).limit_denominator(10_000)
    except (ValueError, ZeroDivisionError):
        number = fractions.Fraction(-1)
    if not 0 <= number <= 1:
        raise checked.wrong("replay_share", share, "'paper', 'balanced' or a number in [0, 1]")
    return number


def replayed_rows(update, batch_size, numerator, denominator):
    """How many rows of the batch at `update` come from the Teacher: floor((t+1) s B) - floor(t s B).

    So the share s = numerator / denominator is exact over the updates. Takes ints or integer tensors.
    """
    total = batch_size * numerator
    return (update + 1) * total // denominator - update * total // denominator


def is_replayed(row, count, batch_size):
    """Whether `row` of the global batch is one of its `count` replayed rows, which are spread evenly."""
    return (row + 1) * count // batch_size > row * count // batch_size


def augmentations(text):
    """Parses 'color,cutout' to ('color', 'cutout'), transforms of `networks.augmentation` in order; 'none' to ()."""
    if text == "none":
        return ()
    names = tuple(name.strip() for name in str(text).split(","))
    if not set(names) <= set(AUGMENTATIONS) or len(set(names)) < len(names):
        raise checked.wrong("diffaugment", text, f"'none' or some of {','.join(AUGMENTATIONS)}, each once")
    return names


def parse_optimizer(text, name="optimizer"):
    """Parses 'adam(0.001, 0, 0.9)' to ('adam', (0.001, 0.0, 0.9)); adam has 1 to 3 numbers, rmsprop 1.

    `name` is what the error message calls it.
    """
    match = re.fullmatch(r"\s*(adam|rmsprop)\s*\(([^()]*)\)\s*", str(text))
    try:
        numbers = tuple(float(number) for number in match[2].split(","))
    except (TypeError, ValueError):
        numbers = ()
    most = 3 if match and match[1] == "adam" else 1
    betas = all(0 <= beta < 1 for beta in numbers[1:])
    if not 1 <= len(numbers) <= most or not 0 < numbers[0] < float("inf") or not betas:
        raise ValueError(
            f"{name} is {text!r}; it must be written like 'adam(0.001, 0, 0.9)'"
            " (learning rate, beta_1, beta_2) or 'rmsprop(0.0002)'."
        )
    return match[1], numbers


@dataclasses.dataclass(frozen=True)
class Recipe(Checked):
    """Settings of the method; RECIPES has the named ones."""

    n_critic: int = setting(1, "Critic updates per generator update, 1 to 100.", least=1, most=100)
    penalty_weight: float = setting(10.0, "Weight lambda of the gradient penalty.", least=0)
    replay_share: str = setting(
        "balanced",
        "Share of replay from task 2 on: 'paper' = 1/2, 'balanced' = (k-1)/k in task k, or a number in [0, 1]. This"
        " share of the critic's real images comes from the Teacher. With domain codes a step instead adds as many"
        " replayed images as new ones, and only student_replay uses the share.",
        check=lambda share, name: replay_fraction(share, 1),
    )
    student_replay: str = setting(
        "paper",
        "Weights of new and replayed images in the Student's loss: 'paper' = 1 and 1"
        " (Eq. 5), 'share' = 2(1-s) and 2s with the replay share s.",
        choices=("paper", "share"),
    )
    beta: float = setting(1.0, "Weight of the KL term in the Student's loss (Eq. 6: 4).", least=0)
    latent_law: str = setting(
        "normal",
        "Law of the noise in a generator's latents: 'normal' = N(0, I) as in the paper, 'uniform' ="
        " uniform in [-1, 1] as in the authors' later code.",
        choices=("normal", "uniform"),
    )
    domain_dim: int = setting(
        0,
        "Dimensions of the domain codes, which come before the noise in a latent; 0 = no codes, as in the paper;"
        " then you cannot ask for one domain.",
        least=0,
        most=1024,
    )
    domain_length: float = setting(2.0, "Length of a domain code.", above=0)
    domain_scales: bool = setting(
        False,
        "Whether the generators' normalisers also scale and shift by the domain code (conditional batch"
        " normalisation).",
    )
    critic_heads: int = setting(
        2,
        "Outputs of the critic on one trunk: 1 = Eq. 1 as written; 2 = one for each twin in the first task and,"
        " with domain codes, one for the past and one for the new task from then on.",
        choices=(1, 2),
    )
    critic_on_past: bool = setting(
        True,
        "Whether the critic also judges images of past domains; if not, only distillation preserves them.",
    )
    distillation: float = setting(
        0.0,
        "Weight of the squared error between the Assistant's and the Teacher's images of the same latents; needs"
        " domain codes; 0 = the Assistant learns the past from the critic only.",
        least=0,
    )
    diffaugment: str = setting(
        "none",
        "Random transforms, of real and generated images alike, before the critic judges them (DiffAugment): some of"
        " color,translation,cutout, or none. Meant for few images: where it was measured, copies became"
        " rarer and FCD worse (docs/small_collections.md).",
        check=lambda text, name: augmentations(text),
    )
    first_learners: int = setting(
        2,
        "Generators that learn the first task: 2 = both twins, as in Eq. 1; 1 = the Teacher alone.",
        choices=(1, 2),
    )
    ema: float = setting(
        0.0,
        "Decay per step of a moving average of the learners' weights, at most (1+t)/(10+t) in step t of a task. At"
        " the end of each task the average replaces the generator. 0 = none.",
        least=0,
        below=1,
    )
    warm_start: float = setting(
        0.0,
        "Weight of the Teacher in the weights that the Assistant starts each task from, in [0, 1]: 0 = its own"
        " weights, as in the paper; 1 = a copy of the Teacher, as in generative replay; between: the weighted mean of"
        " both twins.",
        least=0,
        most=1,
    )
    critic_optimizer: str = setting(
        "adam(0.001, 0, 0.9)",
        "Critic's optimizer: adam(lr, beta_1, beta_2) or rmsprop(lr).",
        check=parse_optimizer,
    )
    generator_optimizer: str = setting(
        "adam(0.001, 0, 0.9)", "Generators' optimizer; each generator has its own.", check=parse_optimizer
    )
    student_optimizer: str = setting("adam(0.001)", "The Student's optimizer.", check=parse_optimizer)
    student_ema: float = setting(
        0.0,
        "Decay per step of a moving average of the Student's weights, at most (1+t)/(10+t) in step t of a task. The"
        " averaged Student encodes, is scored and exported, and starts the next task. 0 = none.",
        least=0,
        below=1,
    )
    student_distillation: float = setting(
        0.0,
        "Weight, on replayed images, of the Student's distance to its frozen copy from the end of the task before:"
        " the squared error between both reconstructions and the KL between both posteriors; 0 = none.",
        least=0,
    )
    precision: str = setting(
        "float32",
        "Arithmetic of the hidden layers: float32, mixed_bfloat16 or mixed_float16; weights, outputs, losses"
        " and the norm in the gradient penalty are float32 in any case.",
        choices=("float32", "mixed_bfloat16", "mixed_float16"),
    )

    @property
    def loss_scale(self):
        """The factor by which the critic's and the generators' gradients are multiplied in the backward pass.

        It prevents underflow in float16. A Student's gradients are not scaled: they are sums over an image's pixels,
        already large, and would overflow.
        """
        return 256.0 if self.precision == "mixed_float16" else 1.0

    def __post_init__(self):
        super().__post_init__()
        if self.domain_scales and not self.domain_dim:
            raise ValueError(
                "domain_scales is True with domain_dim 0; it needs domain codes, domain_dim 32 say, or must be False."
            )
        if self.distillation and not self.domain_dim:
            raise ValueError(
                f"distillation is {self.distillation} with domain_dim 0; it needs domain codes, domain_dim 32 say,"
                " or must be 0."
            )
        if not self.critic_on_past and not self.distillation:
            raise ValueError(
                "critic_on_past is False with distillation 0, so that nothing would keep the past; give distillation"
                " a weight, 0.01 say, or leave critic_on_past True."
            )


# Chosen on small nets, in runs of minutes on two CPU cores; see docs/domain_codes.md.
_SMALL = Recipe(
    ema=0.99, domain_dim=32, domain_scales=True, distillation=0.05, warm_start=1.0, student_ema=0.99
)
# The authors' later public code, as far as the mathematics allows (docs/method.md).
_PAPER = Recipe(
    replay_share="paper",
    critic_heads=1,
    critic_optimizer="rmsprop(0.0002)",
    generator_optimizer="rmsprop(0.0002)",
    student_optimizer="adam(0.0002, 0.5)",
)
# The same recipe for the paper's nets, with WGAN-GP's published rates (Gulrajani et al. 2017, Algorithm 1).
_LARGE = dataclasses.replace(
    _SMALL,
    n_critic=5,
    critic_optimizer="adam(0.0001, 0, 0.9)",
    generator_optimizer="adam(0.0001, 0, 0.9)",
    student_optimizer="adam(0.0002, 0.5)",
)

RECIPES = {
    "paper": lambda architecture: _PAPER,
    # paper32 and paper64 have rates of their own.
    "recommended": lambda architecture: _LARGE if architecture.startswith("paper") else _SMALL,
}


@dataclasses.dataclass(frozen=True)
class Preset(Checked):
    """An experiment: the stream, the sizes and the lengths."""

    tasks: tuple[str, ...] = setting(
        ("digits", "letters", "signs"), "Task specs in order, separated by commas."
    )
    data_dir_tasks: tuple[str, ...] = setting(
        (), "Task specs in place of `tasks` where a data folder is given; empty = the same.", flag=False
    )
    architecture: str = setting(
        "small32", "Networks: smallN for images of NxN pixels, N from 16 to 256, or paper32 or paper64."
    )
    channels: int = setting(3, "Channels of the images, 1 or 3.", choices=(1, 3))
    recipe: str = setting("recommended", "The method's settings, 'paper' or 'recommended'.")
    student: bool = setting(True, "Whether a VAE Student is trained in the same steps.")
    batch_size: int = setting(32, "Images per critic update, over all replicas.", least=1)
    steps_per_task: int = setting(2000, "Generator updates in each task.", least=1)
    fit: str = setting(
        "crop",
        "How images are brought to one shape: crop, pad or stretch.",
        choices=("crop", "pad", "stretch"),
    )
    horizontal_flips: bool = setting(
        False, "Whether to train on mirrored images too; not for letters and digits."
    )
    seed: int = setting(
        0, "Seed of weights, data order and noise.", check=lambda seed, name: seeds.check(seed)
    )
    log_every: int = setting(50, "Steps between points of metrics.jsonl and TensorBoard.", least=1)
    sample_every: int = setting(500, "Steps between sample grids.", least=1)
    checkpoint_every: int = setting(500, "Steps between checkpoints.", least=1)
    score_first_task: bool = setting(
        False,
        "Whether each point of metrics.jsonl has ELBO and squared error of test images of the first task, which shows"
        " forgetting during training (Fig. 4 b of the paper).",
    )
    protocol: str = setting(
        "research",
        "What the evaluator may keep of past tasks: 'research' = test parts and an extractor of all"
        " tasks, 'production' = moments and counts alone.",
        choices=("research", "production"),
    )
    eval_images: int = setting(2000, "Most test images per task in a boundary's row.", least=1)
    eval_samples: int = setting(5000, "Generated images for the distances in a boundary's row.", least=1)
    eval_iwae_images: int = setting(50, "Test images per task for the IWAE bound there; 0 = none.", least=0)
    extractor_images: int = setting(12_000, "Most training images per task for the extractor.", least=1)
    max_eval_seconds: int = setting(
        0,
        "Time limit in seconds for a boundary's row; scores that do not fit are left out. 0 = no limit.",
        least=0,
    )

    def __post_init__(self):
        super().__post_init__()
        if self.score_first_task and not self.student:
            raise ValueError(
                "score_first_task is True without a Student, whose scores these are; leave it out, or give the run a"
                " Student."
            )
        if self.score_first_task and self.protocol == "production":
            raise ValueError(
                "score_first_task is True with protocol production, which reads no image of a past task; leave one of"
                " them out."
            )

    def tasks_with(self, data_dir):
        """Returns the task specs, a tuple of str, of a run with this `--data_dir` (None for none)."""
        return self.data_dir_tasks if data_dir and self.data_dir_tasks else self.tasks


PRESETS = {name: Preset(**settings) for name, settings in preset_table.TABLE.items()}


def _known(name, table, kind):
    if name not in table:
        raise near_names.unknown(kind, name, table)
    return table[name]


def recipe(name, architecture, method="ltgan"):
    """Returns the `Recipe` called `name` for nets of `architecture` and a method (all str)."""
    named = _known(name, RECIPES, "recipe")(architecture)
    return dataclasses.replace(named, **(METHODS[method].changes if method in METHODS else {}))


def check_method(recipe, method):
    """Raises a ValueError for a `Recipe` that needs something that the method called `method` lacks."""
    if method in METHODS and not METHODS[method].critic and recipe.diffaugment != "none":
        raise ValueError(
            f"diffaugment is {recipe.diffaugment!r}, and {method} has no critic whose images it could augment; leave it"
            " out."
        )


def preset(name):
    """Returns the `Preset` called `name`; ValueError with the nearest names otherwise."""
    return _known(name, PRESETS, "preset")
