"""Settings of a push: which version is served, how it is tried, how many are kept."""

import dataclasses
import math

from ltgans_tf.settings.checked import Checked, setting


@dataclasses.dataclass(frozen=True)
class PushSettings(Checked):
    """Settings of a push; they are flags of `ltgans push` and, with the prefix `push_`, of `ltgans train`."""

    policy: str = setting(
        "if_blessed",
        "Which version is served: 'if_blessed' = one that works and has not forgotten, 'always' = one that works,"
        " 'manual' = the one that ltgans release names. See docs/serving.md.",
        choices=("if_blessed", "always", "manual"),
    )
    max_regression: float = setting(
        0.5,
        "How much worse a score of an earlier domain may be, as a fraction of the served version's.",
        least=0,
        most=math.inf,
    )
    max_latency: float = setting(
        1.0, "Seconds that a signature may take for one row.", least=0, most=math.inf
    )
    keep: int = setting(10, "How many versions are kept.", least=1)
    validate: bool = setting(True, "Whether a process of its own tries each version.")
