"""The terms on which a version is pushed and served, as data and as flags."""

import dataclasses

from absl import flags

flags.disclaim_key_flags()  # --help lists them with the program that defines them

POLICIES = ("if_blessed", "always", "manual")


@dataclasses.dataclass(frozen=True)
class Terms:
    """The terms on which a version is served.

    Attributes:
      policy: 'if_blessed' serves a version that works and has not forgotten (`blessing.reasons`); 'always' any
        that works; 'manual' pushes one that works, and serves it after `ltgans release --stable=VERSION`.
      max_regression: how much worse a score of an earlier domain may be, as a fraction of the served version's.
      max_latency: seconds that a signature may take for one row.
      keep: versions to keep; see `release.prune`.
      validate: whether a process of its own tries each version before it is served.
    """

    policy: str = "if_blessed"
    max_regression: float = 0.5
    max_latency: float = 1.0
    keep: int = 10
    validate: bool = True

    def __post_init__(self):
        if self.policy not in POLICIES:
            raise ValueError(f"policy is {self.policy!r}; it must be one of {', '.join(POLICIES)}.")
        for name, least in (("max_regression", 0), ("max_latency", 0), ("keep", 1)):
            if not getattr(self, name) >= least:
                raise ValueError(f"{name} is {getattr(self, name)!r}; it must be at least {least}.")


def define_flags(prefix=""):
    """Defines the flags of `Terms`."""
    flags.DEFINE_enum(
        f"{prefix}policy", Terms.policy, POLICIES, "When a version is served: see docs/serving.md."
    )
    flags.DEFINE_float(
        f"{prefix}max_regression",
        Terms.max_regression,
        "How much worse a score of an earlier domain may be, as a fraction of the served version's.",
        lower_bound=0,
    )
    flags.DEFINE_float(
        f"{prefix}max_latency",
        Terms.max_latency,
        "Seconds that a signature may take for one row.",
        lower_bound=0,
    )
    flags.DEFINE_integer(f"{prefix}keep", Terms.keep, "How many versions are kept.", lower_bound=1)
    flags.DEFINE_bool(f"{prefix}validate", Terms.validate, "Whether a process of its own tries each version.")


def from_flags(prefix=""):
    """The `Terms` of the flags."""
    names = [field.name for field in dataclasses.fields(Terms)]
    return Terms(**{name: flags.FLAGS[prefix + name].value for name in names})
