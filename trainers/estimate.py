"""How long a run will take, from its own speed so far or from the operations of its steps."""

import dataclasses
import json
import os
import time

from ltgans_tf.settings import architectures

_EFFICIENCY = (60, 15)  # percent of a matrix product's speed that steps may reach


def duration(workdir, method, preset, recipe, settings):
    """One line of text, starting with 'estimate: '.

    Args:
      workdir: folder of the run; it need not be there.
      method: str.
      preset, recipe: a `presets.Preset` and a `presets.Recipe`.
      settings: the method's own, a class of `method_settings`, or None.
    """
    steps = preset.steps_per_task * len(preset.tasks)
    path = os.path.join(workdir, "metrics.jsonl")
    if os.path.exists(path):
        with open(path, encoding="utf-8") as f:
            speeds = sorted(json.loads(line)["speed/steps_per_second"] for line in f)
        if speeds:
            speed = speeds[len(speeds) // 2]
            return f"estimate: {steps} steps at the {speed:.1f} steps/s seen here: {_minutes(steps / speed)}"
    if method not in architectures.COUNTED:
        return f"estimate: none, operations are not counted for {method}; it comes with the first of {steps} steps"
    least, most = operations(method, preset, recipe, settings)
    peak = _peak()
    shown = f"{least:.2e}" if least == most else f"{least:.2e} to {most:.2e}"
    high, low = _EFFICIENCY
    return (
        f"estimate: {shown} operations in {steps} steps: between {_minutes(100 * least / peak / high)}"
        f" and {_minutes(100 * most / peak / low)} at {high} to {low} % of this CPU's matrix product"
        f" ({peak / 1e9:.0f} GFLOP/s now)"
    )


def operations(method, preset, recipe, settings):
    """Floating point operations of all steps: (least, most), with the fewest and the most parts in use."""
    return tuple(_run(method, preset, recipe, parts) for parts in (settings.parts if settings else (1, 1)))


def _run(method, preset, recipe, parts):
    arch = architectures.architecture(preset.architecture)
    arch = dataclasses.replace(arch, latent_dim=arch.latent_dim + recipe.domain_dim)
    first, later = (
        architectures.step_flops(
            arch,
            preset.channels,
            preset.batch_size,
            recipe.n_critic,
            first_task,
            preset.student,
            method,
            recipe.critic_heads,
            parts,
            recipe.domain_dim > 0,
        )
        for first_task in (True, False)
    )
    return preset.steps_per_task * (first + (len(preset.tasks) - 1) * later)


def _peak():
    """Operations per second of a float32 matrix product of NumPy, at this moment."""
    import numpy as np  # here, so that a run does not wait for it

    matrix = np.ones([1024, 1024], np.float32)
    matrix @ matrix
    begin = time.perf_counter()
    for _ in range(5):
        matrix @ matrix
    return 5 * 2 * 1024**3 / (time.perf_counter() - begin)


def _minutes(seconds):
    return f"{seconds / 60:.1f} min"
