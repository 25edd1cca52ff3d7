"""Settings as data: RECIPES hold the method's settings, PRESETS the experiments.

Both are frozen dataclasses whose fields become flags of `ltgans train` with the help text
given here; the presets are listed in preset_table.py. Nothing in this file needs TensorFlow.
"""

import dataclasses
import fractions
import re

from ltgans_tf.files import near_names
from ltgans_tf.settings import preset_table

AUGMENTATIONS = ("color", "translation", "cutout")
VAES = ("lgm", "curl")  # methods without generator and critic


def _setting(default, text, flag=True):
    return dataclasses.field(default=default, metadata={"help": text, "flag": flag})


def flag_fields(cls):
    """The fields of a class of settings that are flags of `ltgans train`."""
    return [field for field in dataclasses.fields(cls) if field.metadata.get("flag", True)]


def flag_settings(settings):
    """{name: value} of the fields of a preset or a recipe that are flags."""
    return {field.name: getattr(settings, field.name) for field in flag_fields(type(settings))}


def replay_fraction(share, task_index):
    """The Teacher's share in the task at `task_index`, exactly, as a `fractions.Fraction`.

    'paper' = 1/2 is what the authors' code draws in every task, so that the share of the first
    task falls as 2^-(k-1); 'balanced' = (k-1)/k keeps all k domains at the same share. The
    share of the first task (task_index 0), which has no Teacher, is 0.
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
    _check(0 <= number <= 1, "replay_share", share, "'paper', 'balanced' or a number in [0, 1]")
    return number


def replayed_rows(update, batch_size, numerator, denominator):
    """How many rows of the batch at `update` come from the Teacher: floor((t+1) s B) - floor(t s B).

    So the share s = numerator / denominator is exact over the updates. Ints or integer tensors.
    """
    total = batch_size * numerator
    return (update + 1) * total // denominator - update * total // denominator


def is_replayed(row, count, batch_size):
    """Whether `row` of the global batch is one of its `count` replayed rows, which are spread evenly."""
    return (row + 1) * count // batch_size > row * count // batch_size


def augmentations(text):
    """'color,cutout' -> ('color', 'cutout'): the transforms of `networks.augmentation` in order; () for 'none'."""
    if text == "none":
        return ()
    names = tuple(name.strip() for name in str(text).split(","))
    known = set(names) <= set(AUGMENTATIONS) and len(set(names)) == len(names)
    _check(known, "diffaugment", text, f"'none' or some of {','.join(AUGMENTATIONS)}, each once")
    return names


def parse_optimizer(text, name="optimizer"):
    """'adam(0.001, 0, 0.9)' -> ('adam', (0.001, 0.0, 0.9)); adam or rmsprop, 1 to 3 numbers.

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


def _known(name, table, kind):
    if name in table:
        return name
    raise near_names.unknown(kind, name, table)


def _check(holds, name, value, rule):
    if not holds:
        raise ValueError(f"{name} is {value!r}; it must be {rule}.")


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Settings of the method; RECIPES has the named ones."""

    n_critic: int = _setting(1, "Critic updates per generator update, 1 to 100.")
    penalty_weight: float = _setting(10.0, "Weight lambda of the gradient penalty.")
    replay_share: str = _setting(
        "balanced",
        "Share of the past in what is learnt from task 2 on: 'paper' = 1/2, 'balanced' = (k-1)/k in"
        " task k, or a number in [0, 1]. So many of the images that the critic takes for real are the"
        " Teacher's. With domain codes as many of them as new ones stand beside these, and only student_replay reads"
        " the share.",
    )
    student_replay: str = _setting(
        "paper",
        "Weights of new and replayed images in the Student's loss: 'paper' = 1 and 1"
        " (Eq. 5), 'share' = 2(1-s) and 2s with the replay share s.",
    )
    beta: float = _setting(1.0, "Weight of the KL term in the Student's loss (Eq. 6: 4).")
    latent_law: str = _setting(
        "normal",
        "Law of the noise in a generator's latents: 'normal' = N(0, I) as in the paper, 'uniform' ="
        " uniform in [-1, 1] as in the authors' later code.",
    )
    domain_dim: int = _setting(
        0,
        "Dimensions of the domain codes that stand before the noise of a latent; 0 = none, as in the paper, and"
        " then no domain can be asked for.",
    )
    domain_length: float = _setting(2.0, "Length of a domain code.")
    domain_scales: bool = _setting(
        False,
        "Whether the scale and the shift of each of the generators' normalisers follow from the domain code too"
        " (conditional batch normalisation).",
    )
    critic_heads: int = _setting(
        2,
        "Outputs of the critic on one trunk: 1 = Eq. 1 as written; 2 = one for each twin in the first task and,"
        " with domain codes, one for the past and one for the new task from then on.",
    )
    critic_on_past: bool = _setting(
        True, "Whether the critic judges images of past domains too; without, distillation alone keeps them."
    )
    distillation: float = _setting(
        0.0,
        "Weight of the squared error between the Assistant's and the Teacher's images of the same latents, which"
        " needs domain codes; 0 = the critic alone passes knowledge on.",
    )
    diffaugment: str = _setting(
        "none",
        "Random transforms, of real and generated images alike, before the critic judges them (DiffAugment): some of"
        " color,translation,cutout, or none. Meant for few images; in short runs FCD became worse"
        " (docs/small_collections.md).",
    )
    first_learners: int = _setting(
        2, "Generators that learn the first task: 2 = both twins, as in Eq. 1; 1 = the Teacher alone."
    )
    ema: float = _setting(
        0.0,
        "Decay per step of a moving average of the learners' weights that becomes the"
        " generator at the end of each task, (1+t)/(10+t) in step t where that is less; 0 = none.",
    )
    warm_start: float = _setting(
        0.0,
        "Share of the Teacher's weights in those that the Assistant starts each task from, in [0, 1]: 0 = its"
        " own, as in the paper; 1 = the Teacher's, which is generative replay in all but name; between them"
        " the weighted mean of both twins.",
    )
    critic_optimizer: str = _setting(
        "adam(0.001, 0, 0.9)", "Critic's optimizer: adam(lr, beta_1, beta_2) or rmsprop(lr)."
    )
    generator_optimizer: str = _setting(
        "adam(0.001, 0, 0.9)", "Generators' optimizer, one of its own for each."
    )
    student_optimizer: str = _setting("adam(0.001)", "The Student's optimizer.")
    student_ema: float = _setting(
        0.0,
        "Decay per step of a moving average of the Student's weights, (1+t)/(10+t) in step t of a task where that"
        " is less. It is the Student that encodes, is scored and exported, and each task trains on from it; 0 ="
        " none.",
    )
    student_distillation: float = _setting(
        0.0,
        "Weight, on replayed images, of the Student's distance to its frozen copy from the end of the task before:"
        " the squared error between both reconstructions and the KL between both posteriors; 0 = none.",
    )
    precision: str = _setting(
        "float32",
        "Arithmetic of the hidden layers: float32, mixed_bfloat16 or mixed_float16; weights, outputs, losses"
        " and the norm in the gradient penalty are float32 in any case.",
    )

    @property
    def loss_scale(self):
        """By what the critic's and the generators' gradients are multiplied on their way through the layers.

        So none underflows in float16. Those of a Student are sums over an image's pixels, large by themselves, and
        would overflow.
        """
        return 256.0 if self.precision == "mixed_float16" else 1.0

    def __post_init__(self):
        _check(1 <= self.n_critic <= 100, "n_critic", self.n_critic, "from 1 to 100")
        _check(self.penalty_weight >= 0, "penalty_weight", self.penalty_weight, "at least 0")
        _check(
            self.student_replay in ("paper", "share"),
            "student_replay",
            self.student_replay,
            "'paper' or 'share'",
        )
        _check(self.beta >= 0, "beta", self.beta, "at least 0")
        _check(
            self.latent_law in ("normal", "uniform"),
            "latent_law",
            self.latent_law,
            "'normal' or 'uniform'",
        )
        _check(0 <= self.domain_dim <= 1024, "domain_dim", self.domain_dim, "from 0 to 1024")
        _check(0 < self.domain_length < float("inf"), "domain_length", self.domain_length, "above 0")
        if self.domain_scales and not self.domain_dim:
            raise ValueError(
                "domain_scales is True with domain_dim 0; it needs domain codes, domain_dim 32 say, or must be False."
            )
        _check(self.critic_heads in (1, 2), "critic_heads", self.critic_heads, "1 or 2")
        _check(0 <= self.distillation < float("inf"), "distillation", self.distillation, "at least 0")
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
        augmentations(self.diffaugment)
        _check(self.first_learners in (1, 2), "first_learners", self.first_learners, "1 or 2")
        _check(0 <= self.ema < 1, "ema", self.ema, "in [0, 1)")
        _check(0 <= self.student_ema < 1, "student_ema", self.student_ema, "in [0, 1)")
        weight = self.student_distillation
        _check(0 <= weight < float("inf"), "student_distillation", weight, "at least 0")
        _check(0 <= self.warm_start <= 1, "warm_start", self.warm_start, "in [0, 1]")
        replay_fraction(self.replay_share, 1)
        _check(
            self.precision in ("float32", "mixed_bfloat16", "mixed_float16"),
            "precision",
            self.precision,
            "'float32', 'mixed_bfloat16' or 'mixed_float16'",
        )
        for name in ("critic_optimizer", "generator_optimizer", "student_optimizer"):
            parse_optimizer(getattr(self, name), name)


# Found on small nets in minutes of two CPU cores; see docs/domain_codes.md.
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
# The same form for the reference nets, with WGAN-GP's published rates (Gulrajani et al. 2017, Algorithm 1).
_LARGE = dataclasses.replace(
    _SMALL,
    n_critic=5,
    critic_optimizer="adam(0.0001, 0, 0.9)",
    generator_optimizer="adam(0.0001, 0, 0.9)",
    student_optimizer="adam(0.0002, 0.5)",
)

RECIPES = {
    "paper": lambda architecture: _PAPER,
    "recommended": lambda architecture: _SMALL if architecture.startswith("small") else _LARGE,
}

# What makes generative replay, and the bounds beside it, what they are in the literature: latents without a
# code, and a critic with one head. Each is a flag, so that `--method=joint --domain_dim=32` is joint training
# with codes.
_PLAIN = {"domain_dim": 0, "domain_scales": False, "distillation": 0.0, "warm_start": 0.0}
_OF_METHOD = {
    "joint_twins": _PLAIN,
    # Five critic updates, as its authors have; codes come in by its translator.
    "multiband": {"n_critic": 5, "domain_scales": False, "distillation": 0.0, "warm_start": 0.0, "ema": 0.0}
    | {"critic_heads": 1, "first_learners": 1},
    # VAEs of their own, whose weights nothing averages.
    **dict.fromkeys(VAES, {**_PLAIN, "student_ema": 0.0}),
    **dict.fromkeys(("replay", "finetune", "joint"), {**_PLAIN, "critic_heads": 1, "first_learners": 1}),
}


@dataclasses.dataclass(frozen=True)
class Preset:
    """An experiment: the stream, the sizes and the lengths."""

    tasks: tuple[str, ...] = _setting(
        ("digits", "glyphs", "textures"), "Task specs in order, separated by commas."
    )
    data_dir_tasks: tuple[str, ...] = _setting(
        (), "Task specs in place of `tasks` where a data folder is given; empty = the same.", flag=False
    )
    architecture: str = _setting(
        "small32", "Networks: smallN for images of NxN pixels, N from 16 to 256, or paper32 or paper64."
    )
    channels: int = _setting(3, "Channels of the images, 1 or 3.")
    recipe: str = _setting("recommended", "The method's settings, 'paper' or 'recommended'.")
    student: bool = _setting(True, "Whether a VAE Student is trained in step.")
    batch_size: int = _setting(32, "Images per critic update, over all replicas.")
    steps_per_task: int = _setting(2000, "Generator updates in each task.")
    fit: str = _setting("crop", "How images are brought to one shape: crop, pad or stretch.")
    horizontal_flips: bool = _setting(
        False, "Whether training images are seen as their mirror images too; not for letters and digits."
    )
    seed: int = _setting(0, "Seed of weights, data order and noise.")
    log_every: int = _setting(50, "Steps between points of metrics.jsonl and TensorBoard.")
    sample_every: int = _setting(500, "Steps between sample grids.")
    checkpoint_every: int = _setting(500, "Steps between checkpoints.")
    protocol: str = _setting(
        "research",
        "What the evaluator may keep of past tasks: 'research' = test parts and an extractor of all"
        " tasks, 'production' = moments and counts alone.",
    )
    eval_images: int = _setting(2000, "At most so many test images per task in a boundary's row.")
    eval_samples: int = _setting(5000, "Generated images for the distances in a boundary's row.")
    eval_iwae_images: int = _setting(50, "Test images per task for the IWAE bound there; 0 = none.")
    extractor_images: int = _setting(12_000, "At most so many training images per task for the extractor.")
    max_eval_seconds: int = _setting(
        0, "Time for a boundary's row; what does not fit is absent. 0 = no limit."
    )

    def __post_init__(self):
        for name in (
            "batch_size",
            "steps_per_task",
            "log_every",
            "sample_every",
            "checkpoint_every",
            "eval_images",
            "eval_samples",
            "extractor_images",
        ):
            _check(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")
        for name in ("eval_iwae_images", "max_eval_seconds"):
            _check(getattr(self, name) >= 0, name, getattr(self, name), "at least 0")
        _check(
            self.protocol in ("research", "production"),
            "protocol",
            self.protocol,
            "'research' or 'production'",
        )
        _check(self.channels in (1, 3), "channels", self.channels, "1 or 3")
        _check(self.fit in ("crop", "pad", "stretch"), "fit", self.fit, "crop, pad or stretch")

    def tasks_with(self, data_dir):
        """The task specs of a run that has this `--data_dir`, or None: tuple of str."""
        return self.data_dir_tasks if data_dir and self.data_dir_tasks else self.tasks


PRESETS = {name: Preset(**settings) for name, settings in preset_table.TABLE.items()}


def recipe(name, architecture, method="ltgan"):
    """Returns the `Recipe` called `name` for nets of `architecture` and a method (all str)."""
    named = RECIPES[_known(name, RECIPES, "recipe")](architecture)
    return dataclasses.replace(named, **_OF_METHOD.get(method, {}))


def check_method(recipe, method):
    """Refuses a `Recipe` that asks for what the method called `method` does not have: ValueError."""
    if method in VAES and recipe.diffaugment != "none":
        raise ValueError(
            f"diffaugment is {recipe.diffaugment!r}, and {method} has no critic whose images it could augment; leave it"
            " out."
        )


def preset(name):
    """Returns the `Preset` called `name`; ValueError with the nearest names otherwise."""
    return PRESETS[_known(name, PRESETS, "preset")]
