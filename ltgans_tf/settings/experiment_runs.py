"""The runs of experiments: a method each, with what it changes of the preset and the recipe."""

import dataclasses

PEERS = ("curl", "lgm")  # the VAEs that the paper compares with


@dataclasses.dataclass(frozen=True)
class Run:
    """One row of a table: a method and what it changes in the preset and the recipe.

    Attributes:
      label: what the table calls it.
      method: key in `methods.METHODS`.
      flags: ((name, value), ...) of flags of `ltgans train`.
    """

    label: str
    method: str
    flags: tuple[tuple[str, object], ...] = ()


def runs(*methods, large=False):
    """Returns one run of each method.

    CURL and LGM see as many images in an update as the Student of the other methods: two batches. In the
    `large` size they have the Adam(1e-3) of their own papers, which the recommended recipe of the small
    nets has already.
    """
    own = (("batch_size", 128), ("student_optimizer", "adam(0.001)")) if large else (("batch_size", 32),)
    return tuple(Run(m, m, own if m in PEERS else ()) for m in methods)


def equal_time(large=False):
    """Returns runs of CURL and LGM whose batches make a run take about as long as `ltgan`."""
    batches = {"curl": 48, "lgm": 64}
    own = (("student_optimizer", "adam(0.001)"),) if large else ()
    return tuple(
        Run(f"{method}_time", method, (("batch_size", (4 if large else 1) * batch), *own))
        for method, batch in batches.items()
    )


def multiband(steps):
    """Returns runs of `ltgan`, plain replay, joint training, and Multiband GAN with as many and with triple steps."""
    return (
        *runs("ltgan", "replay", "joint", "multiband"),
        Run("multiband_x3", "multiband", (("steps_per_task", 3 * steps),)),
    )


def trials():
    """Returns four runs of each method: its defaults, and three with one change (of its paper or code, or small)."""
    changes = {
        "ltgan": (("distillation", 0.02), ("distillation", 0.1), ("student_replay", "share")),
        "replay": (("replay_share", "0.5"), ("n_critic", 2), ("student_replay", "share")),
        "multiband": (("n_critic", 1), ("multiband_local_share", 0.6), ("multiband_global_rate", 0.0003)),
        "curl": (
            ("curl_threshold_deviations", 2.0),
            ("curl_first_components", 4),
            ("student_optimizer", "adam(0.0005)"),
        ),
        "lgm": (("lgm_grow", True), ("lgm_anneal_steps", 300), ("student_optimizer", "adam(0.0005)")),
    }
    return tuple(
        Run(f"{run.label}_{i}", run.method, run.flags + change)
        for run in runs(*changes)
        for i, change in enumerate(((), *((each,) for each in changes[run.method])))
    )


# The best trials on Table 1's stream, by the rule of docs/evaluation.md; the others are the defaults.
_CHOSEN = {
    "ltgan": (("distillation", 0.02),),
    "replay": (("n_critic", 2),),
    "curl": (("curl_first_components", 4),),
    "lgm": (("lgm_grow", True),),
}


def tuned(runs):
    """Returns the runs with the chosen settings of their methods."""
    return tuple(dataclasses.replace(run, flags=(*run.flags, *_CHOSEN.get(run.method, ()))) for run in runs)


def betas(methods, betas):
    """Returns a run of each method with each weight of the KL term."""
    return tuple(
        Run(f"{method}_beta{beta:g}", method, (("beta", beta),)) for method in methods for beta in betas
    )
