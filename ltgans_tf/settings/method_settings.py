"""What single methods have beyond a `presets.Recipe`, as data.

Each is a frozen dataclass whose fields become flags of `ltgans train`, `--lgm_categories` for one,
with the help text and the bounds given here. TensorFlow is not needed to name or to check them.
"""

import dataclasses
import math
import numbers


def _setting(default, text, least=-math.inf, below=math.inf):
    bounds = {"least": least, "below": below}
    return dataclasses.field(default=default, metadata={"help": text, **bounds})


def _check(name, value, kind, least, below):
    """Refuses what is not of the default's kind or not in [least, below): ValueError."""
    if kind is bool:
        fits, wanted = isinstance(value, bool), "True or False"
    else:
        # A bool is an int for Python and a mistake here.
        number = isinstance(value, numbers.Integral if kind is int else numbers.Real)
        # True for no NaN; and where there is no bound, false for what is infinite.
        fits = number and not isinstance(value, bool) and least <= value < below and abs(value) < math.inf
        wanted = "a whole number" if kind is int else "a finite number"
        if below < math.inf:
            wanted += f" in [{least}, {below})"
        elif least > -math.inf:
            wanted += f" of at least {least}"
    if not fits:
        raise ValueError(f"{name} is {value!r}; it must be {wanted}.")


class _Checked:
    def __post_init__(self):
        for field in dataclasses.fields(self):
            bounds = field.metadata["least"], field.metadata["below"]
            _check(field.name, getattr(self, field.name), type(field.default), *bounds)


@dataclasses.dataclass(frozen=True)
class LGMSettings(_Checked):
    """What LGM has of its own; the defaults are those of its paper and code."""

    categories: int = _setting(
        10, "Most categories of LGM's discrete latent; memory does not depend on those in use.", least=1
    )
    grow: bool = _setting(
        False, "Whether task k uses min(k, categories) of them, as LGM's authors' code adds one a task."
    )
    consistency: float = _setting(
        1.0,
        "Weight gamma of the KL term that ties the student's categories to the teacher's on its samples.",
        least=0,
    )
    anneal_steps: int = _setting(
        1000,
        "Steps, over all tasks, in which the temperature of the relaxed categories falls from 1 to 0.5.",
        least=1,
    )


@dataclasses.dataclass(frozen=True)
class CURLSettings(_Checked):
    """What CURL has of its own; where the defaults are not its authors', `curl` says why."""

    components: int = _setting(
        10, "Most components of CURL's mixture; a step decodes each image once for each in use.", least=1
    )
    first_components: int = _setting(1, "Components in use from the start.", least=1)
    buffer_size: int = _setting(100, "Poorly explained images that make an expansion.", least=1)
    expansion_wait: int = _setting(
        100, "Steps from an expansion or the start of the run to the next image collected.", least=0
    )
    expansion_passes: int = _setting(10, "Gradient steps on the whole buffer in an expansion.", least=0)
    threshold_deviations: float = _setting(
        3.0, "Standard deviations above the mean NLOG from which an image is collected."
    )
    # At 0.98 the 50 real steps of a wait leave 36 % of what was known before.
    threshold_decay: float = _setting(
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
class MultibandSettings(_Checked):
    """What Multiband GAN has of its own; the shares are those of its authors' epochs (120 of 320, 10 of 200)."""

    local_share: float = _setting(
        0.375, "Share of a task's steps, from the second on, that train the local GAN.", least=0, below=1
    )
    translator_share: float = _setting(
        0.05,
        "Share of the other steps, the first of them, that train the translator alone.",
        least=0,
        below=1,
    )
    global_rate: float = _setting(0.001, "Learning rate of consolidation (Adam).", least=1e-9)


# The class of each method that has settings of its own; a method without needs no row.
SETTINGS = {"multiband": MultibandSettings, "lgm": LGMSettings, "curl": CURLSettings}
