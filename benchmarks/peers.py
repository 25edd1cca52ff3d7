"""Times our full step from task 2 on against the same step in PyTorch, in processes that take turns.

The step is that of Eq. 2 with two critic heads: without distillation and moving average, which `torch_step.py`
does not have.

  python -m venv torch_env && torch_env/bin/pip install torch==2.13.0
  python -m benchmarks.peers --torch_python=torch_env/bin/python --architecture=small32 --out=peers.json

Each repeat starts one process for each candidate: ours and the variants of `torch_step.py`. The process warms up
and then takes its turns. So a change of the machine's speed affects all candidates. Each ratio compares the medians
of one repeat; the table shows the median of the ratios over the repeats.
"""

import dataclasses
import json
import os
import statistics
import subprocess
import sys

from absl import flags

import benchmarks
from ltgans_tf.export import path_flags
from ltgans_tf.settings import architectures, presets
from ltgans_tf.trainers import import_tensorflow, run

TORCH_STEP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "torch_step.py")
_VARIANTS = ("eager", "channels_last", "compile")
OURS = "package"


def main(_):
    given = flags.FLAGS
    arch = architectures.architecture(given.architecture)
    turn = {"seconds": given.seconds, "warm_up": given.warm_up, "turns": given.turns}
    settings = {
        "batch_size": given.batch_size,
        "n_critic": given.n_critic,
        "student": given.student,
    }
    if given.one:  # in a process that this program started
        print(json.dumps({"ms": _ours(arch, given.precision, given.deterministic, **settings, **turn)}))
        return 0
    variants = given.variants
    if not variants or set(variants) - set(_VARIANTS):
        raise ValueError(f"--variants is {','.join(given.variants)!r}; give some of {', '.join(_VARIANTS)}.")
    if given.torch_python is None:
        raise ValueError(
            "--torch_python is missing: the Python of an environment with torch, as the first lines of --help say."
        )
    import_tensorflow()
    shared = {"arch": dataclasses.asdict(arch), **settings, **turn}
    candidates = {OURS: [sys.executable, "-m", "benchmarks.peers", *sys.argv[1:], "--one"]}
    for variant in variants:
        described = json.dumps({**shared, "variant": variant})
        candidates[variant] = [given.torch_python, TORCH_STEP, described]
    repeats = []
    for i in range(given.repeats):
        repeats.append(
            {name: statistics.median(answer(name, command)["ms"]) for name, command in candidates.items()}
        )
        shown = ", ".join(f"{name} {ms:.0f} ms" for name, ms in repeats[-1].items())
        print(f"repeat {i + 1} of {given.repeats}: {shown}", flush=True)
    results = summarise(repeats)
    conditions = {**benchmarks.conditions(), "torch": torch_version(given.torch_python)}
    settings = {**shared, "precision": given.precision}
    benchmarks.publish({"conditions": conditions, "settings": settings, **results}, report(results))
    return 0


def summarise(repeats):
    """Summarises the milliseconds of each candidate, and their ratio to ours, repeat by repeat.

    Args:
      repeats: list of {candidate: milliseconds per step}, including 'package'.

    Returns:
      JSON-ready dict: 'ms' and 'over_package', {candidate: `benchmarks.summary`}.
    """
    return {
        "ms": {name: benchmarks.summary([r[name] for r in repeats]) for name in repeats[0]},
        "over_package": {
            name: benchmarks.summary([r[name] / r[OURS] for r in repeats])
            for name in repeats[0]
            if name != OURS
        },
    }


def report(results):
    """The table of `summarise`'s results, as text."""
    rows = []
    for name, ms in results["ms"].items():
        ratio = results["over_package"].get(name)
        rows.append(
            [
                name if name == OURS else f"torch, {name}",
                f"{ms['median']:.1f}",
                f"{ms['min']:.1f} to {ms['max']:.1f}",
                f"{ratio['median']:.2f}" if ratio else "",
                f"{ratio['min']:.2f} to {ratio['max']:.2f}" if ratio else "",
            ]
        )
    return benchmarks.table(["step", "ms (median)", "min to max", "over package", "min to max"], rows)


def answer(name, command):
    """Runs the process of a candidate and returns the JSON of its last line."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise ValueError(f"the process of {name} ended with status {done.returncode}: {last}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def torch_version(python):
    """Returns the version of torch in this Python."""
    command = [python, "-c", "import torch; print(torch.__version__)"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def _ours(arch, precision, deterministic, batch_size, n_critic, student, seconds, warm_up, turns):
    """Milliseconds per step of `turns` turns in this process."""
    tf = import_tensorflow()
    if deterministic:
        tf.config.experimental.enable_op_determinism()
    from benchmarks import step

    recipe = presets.Recipe(n_critic=n_critic, precision=precision)
    batches = step.digits(arch, 3, batch_size, n_critic)
    timed = step.one(arch, recipe, batches, student, turns, seconds, warm_up)
    return timed["values"]


if __name__ == "__main__":
    flags.DEFINE_string("architecture", "small32", "Networks, a name of ARCHITECTURES.")
    flags.DEFINE_integer("batch_size", 32, "Images per critic update.", 1)
    flags.DEFINE_integer("n_critic", 1, "Critic updates per step.", 1)
    flags.DEFINE_bool("student", True, "Whether a Student is trained in step.")
    flags.DEFINE_string("precision", "float32", "Arithmetic of our hidden layers; theirs is float32.")
    flags.DEFINE_bool("deterministic", False, "Whether our operations are deterministic; theirs are not.")
    path_flags.define_path("torch_python", None, "Python of an environment with torch.")
    flags.DEFINE_list("variants", list(_VARIANTS), "Variants of the PyTorch step.")
    flags.DEFINE_integer("repeats", 7, "Processes of each candidate.", 1)
    flags.DEFINE_integer("turns", 3, "Turns of a process, of which the median counts.", 1)
    flags.DEFINE_float("seconds", 1.0, "How long a turn takes.", 0.0)
    flags.DEFINE_float("warm_up", 3.0, "Seconds that each process runs before.", 0.0)
    flags.DEFINE_bool("one", False, "Time our step once, in this process.")
    benchmarks.define_output()
    run(main)
