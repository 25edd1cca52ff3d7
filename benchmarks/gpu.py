"""Measures the package on a GPU within some minutes, the most valuable measurements first.

  python -m benchmarks.gpu --minutes=8 --out=gpu.json
  python -m benchmarks.gpu --minutes=8 --out=gpu.json --torch_python=python3 --data_dir=DATA
  python -m benchmarks.gpu --dry_run

Each part runs in processes of its own with a time limit. Measurements made before the limit are kept. FILE is
written after each measurement:

1. the step from task 2 on in float32 and bfloat16, with and without XLA, one and up to 50 steps a call;
2. the same step in PyTorch, if an interpreter with torch is found, and our step with the same losses;
3. whether two runs of equal seed end with the same bits, with and without XLA;
4. Table 1 at the paper's size in the minutes left: scores, and the last samples as FILE_samples.png.

It needs no network. --dry_run does the same on a CPU with the smallest sizes.
"""

import contextlib
import dataclasses
import glob
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from absl import flags

import benchmarks
from benchmarks import peers
from ltgans_tf.evaluation import row
from ltgans_tf.export import path_flags
from ltgans_tf.settings import architectures, presets
from ltgans_tf.trainers import import_tensorflow, run

_STEPS_A_CALL = 50
_PEER = presets.Recipe()  # what torch_step.py does: two heads, no codes, no distillation, no average
_MARGIN = 60.0  # seconds that a run of Table 1 spends outside its steps, on a task's scores among others
_PARTS = {"ours": 150.0, "torch": 75.0, "bits": 60.0}  # time limit of one process, in seconds


@dataclasses.dataclass(frozen=True)
class Size:
    """The networks and batches to measure, and how long to measure them."""

    architecture: str
    batch_size: int
    seconds: float  # for each turn
    turns: int


SIZES = (Size("small32", 32, 0.4, 3), Size("paper32", 64, 0.6, 3))
_LEAST = (Size("small32", 2, 0.0, 1),)


def main(_):
    given = flags.FLAGS
    if given.one:  # in a process that this program started
        asked = json.loads(given.one)
        {"ours": _ours, "bits": _bits}[asked.pop("part")](**asked)
        return 0
    import_tensorflow()
    conditions = benchmarks.conditions()
    if not (conditions["gpus"] or given.dry_run):
        raise ValueError("TensorFlow sees no GPU here; --dry_run does without one.")
    results = {"conditions": conditions, "measured": {}, "failed": {}}
    deadline = time.monotonic() + 60.0 * given.minutes
    torch_python = with_torch([given.torch_python] if given.torch_python else [sys.executable, "python3"])
    if torch_python is None:
        results["failed"]["torch"] = "no Python with torch; --torch_python names one"
    for name, command in parts(_LEAST if given.dry_run else SIZES, torch_python, given.dry_run):
        left = min(_PARTS[name.split()[0]], deadline - time.monotonic())
        measure(name, command, left, results, given.out)
    _table1(results, deadline, given.data_dir, given.out, given.dry_run)
    benchmarks.publish(results, report(results))
    return 0


def with_torch(pythons):
    """Returns the first of these interpreters that has torch, or None."""
    for python in pythons:
        with contextlib.suppress(FileNotFoundError):
            if not subprocess.run([python, "-c", "import torch"], capture_output=True).returncode:
                return python
    return None


def parts(sizes, torch_python, dry_run=False):
    """Yields (name, command) of each process, the most informative first."""
    ours = [sys.executable, "-m", "benchmarks.gpu"]
    for size in sizes:
        asked = {"part": "ours", "size": dataclasses.asdict(size), "all_of_it": not dry_run}
        yield f"ours {size.architecture}", [*ours, f"--one={json.dumps(asked)}"]
    variants = ("eager",) if dry_run else ("eager", "channels_last", "compile", "cuda_graphs")
    for size in sizes if torch_python else ():
        for variant in variants:
            described = {
                "arch": dataclasses.asdict(architectures.architecture(size.architecture)),
                **{"batch_size": size.batch_size, "n_critic": _updates(size), "student": True},
                **{"variant": variant, "device": "cpu" if dry_run else "cuda"},
                **{"seconds": size.seconds, "turns": size.turns, "warm_up": 2 * size.seconds},
            }
            command = [torch_python, peers.TORCH_STEP, json.dumps(described)]
            yield f"torch {size.architecture} {variant}", command
    for xla in (False,) if dry_run else (False, True):
        for i in (1, 2):
            asked = {"part": "bits", "size": dataclasses.asdict(sizes[0]), "xla": xla}
            yield f"bits{' XLA' * xla} run {i}", [*ours, f"--one={json.dumps(asked)}"]


def measure(name, command, seconds, results, path=None):
    """Runs one process for at most `seconds` and adds what it prints to `results`.

    Args:
      name: name of the process.
      command: list of words. Each line that the process prints is JSON: {measurement: milliseconds of each turn, or
        a text}, or, with the key 'ms', what `torch_step.py` prints.
      seconds: time after which the process is killed.
      results: dict with the dicts 'measured' and 'failed'; the latter gets the reason if the process fails.
      path: file to write `results` to after each line, or None.
    """
    if seconds <= 0:
        results["failed"][name] = "no time was left"
        return
    env = {**os.environ, "XLA_FLAGS": "--xla_gpu_deterministic_ops=true"} if "bits XLA" in name else None
    deadline, seen = time.monotonic() + seconds, 0
    with tempfile.TemporaryFile("w+") as said, tempfile.TemporaryFile("w+") as complained:
        process = subprocess.Popen(command, stdout=said, stderr=complained, env=env)
        while True:
            try:
                process.wait(timeout=min(1.0, max(0.0, deadline - time.monotonic())))
            except subprocess.TimeoutExpired:
                if time.monotonic() >= deadline:
                    process.kill()
                    process.wait()
                    results["failed"][name] = f"it had not ended after {seconds:.0f} s"
            said.seek(0)
            lines = said.read().splitlines()
            for line in lines[seen:]:
                found = json.loads(line)
                found = {"": found["ms"]} if "ms" in found else found
                for key, value in found.items():
                    kept = benchmarks.summary(value) if isinstance(value, list) else value
                    results["measured"][f"{name} {key}".strip()] = kept
                    print(f"measured: {name} {key}", flush=True)
                benchmarks.write(path, results)
            seen = len(lines)
            if process.returncode is not None:
                break
        if process.returncode > 0:
            complained.seek(0)
            lines = complained.read().strip().splitlines() or ["it said nothing"]
            results["failed"][name] = f"status {process.returncode}: {lines[-1]}"
    benchmarks.write(path, results)


def report(results):
    """The table of the results, as text."""
    measured = results["measured"]
    rows = []
    for name, ms in measured.items():
        if isinstance(ms, dict) and "median" in ms:
            rows.append([name, f"{ms['median']:.2f}", f"{ms['min']:.2f} to {ms['max']:.2f}"])
    text = benchmarks.table(["step of task 2 on", "ms (median)", "min to max"], rows)
    for kind in ("bits", "bits XLA"):
        found = [measured.get(f"{kind} run {i} sha256") for i in (1, 2)]
        if all(found):
            text += f"\n{kind}: two runs of equal seed are {'equal' if found[0] == found[1] else 'different'}"
    if "table 1" in measured:
        table = measured["table 1"]
        fcd = ", ".join(f"{scores.get('fcd', math.nan):.2f}" for scores in table["union"])
        text += f"\nTable 1, {table['steps_per_task']} steps a task: FCD of all after each task {fcd}"
    return text + "".join(f"\nnot measured: {name}: {why}" for name, why in results["failed"].items())


def _updates(size):
    return presets.recipe("recommended", size.architecture).n_critic


def _ours(size, all_of_it):
    """Prints the milliseconds of our step in each form, one line of JSON for each form."""
    import_tensorflow()
    from benchmarks import step
    from ltgans_tf.methods import twin_gan

    size = Size(**size)
    recommended = presets.recipe("recommended", size.architecture)
    peer = dataclasses.replace(_PEER, n_critic=recommended.n_critic)
    low = dataclasses.replace(recommended, precision="mixed_bfloat16")
    forms = [
        ("float32", recommended, False, 1),
        ("float32, XLA", recommended, True, 1),
        ("float32, 50 steps a call", recommended, False, _STEPS_A_CALL),
        ("as PyTorch", peer, False, 1),
        ("as PyTorch, XLA", peer, True, 1),
        ("bfloat16, XLA", low, True, 1),
        ("bfloat16", low, False, 1),
        ("float32, XLA, 50 steps a call", recommended, True, _STEPS_A_CALL),
    ]
    for name, recipe, xla, steps in forms if all_of_it else (forms[0], forms[2]):
        arch = architectures.architecture(size.architecture)
        batches = step.digits(arch, 3, size.batch_size, recipe.n_critic + 1)
        model = step.model_at(twin_gan.TwinGAN, arch, recipe, batches, True, step.LATER, xla, steps)
        call = step.several(model, batches, steps)
        times = step.in_turns({name: call}, size.turns, size.seconds, 2 * size.seconds)[name]["values"]
        print(json.dumps({name: [ms / steps for ms in times]}), flush=True)


def _bits(size, xla, steps=20):
    """Prints a hash of all weights after some steps of a later task, as JSON."""
    import hashlib

    tf = import_tensorflow()
    from benchmarks import step
    from ltgans_tf.methods import twin_gan

    if not xla:  # with XLA, `measure` sets XLA_FLAGS instead
        tf.config.experimental.enable_op_determinism()
    size = Size(**size)
    arch = architectures.architecture(size.architecture)
    recipe = presets.recipe("recommended", arch.name)
    batches = step.digits(arch, 3, size.batch_size, recipe.n_critic + 1)
    model = step.model_at(twin_gan.TwinGAN, arch, recipe, batches, True, step.LATER, xla)
    take = step.compiled_step(model, batches)
    for _ in range(steps):
        take()
    found = hashlib.sha256()
    for weight in [*model.weights, *(v for optimizer in model.optimizers for v in optimizer.variables)]:
        found.update(weight.numpy().tobytes())
    print(json.dumps({"sha256": found.hexdigest()}), flush=True)


def _table1(results, deadline, data_dir, path, dry_run=False):
    """Trains Table 1 at the paper's size until the deadline; its scores go to `results`, its last samples beside `path`."""
    left = deadline - time.monotonic()
    tasks = (
        ("mnist", "mnist_m", "fashion_mnist", "omniglot") if data_dir else ("digits", "glyphs", "textures")
    )
    steps = 1 if dry_run else _affordable(results["measured"], left, len(tasks))
    if steps < 1:
        results["failed"]["table 1"] = (
            f"{left:.0f} s were left, and the speed of paper32 allows no step in them"
        )
        return
    with tempfile.TemporaryDirectory() as workdir:
        command = [sys.executable, "-m", "ltgans_tf.trainers.train", "--nopush", f"--workdir={workdir}"]
        command += [f"--preset={'smoke' if dry_run else 'table1_msfo'}", f"--tasks={','.join(tasks)}"]
        command += [f"--steps_per_task={steps}", f"--sample_every={steps}", "--eval_images=2000"]
        command += ["--nodeterministic", *([f"--data_dir={data_dir}"] if data_dir else [])]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            process.wait(timeout=left)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGTERM)
            process.wait()
        try:
            rows = row.read_rows(workdir)
        except ValueError as error:
            results["failed"]["table 1"] = f"status {process.returncode}: {error}"
            return
        results["measured"]["table 1"] = {
            "steps_per_task": steps,
            "tasks": list(tasks),
            "status": process.returncode,
            "union": [found.union for found in rows],
            "scores": [found.scores for found in rows],
        }
        pictures = sorted(glob.glob(os.path.join(workdir, "samples", "task_*", "boundary.png")))
        if path and pictures:
            shutil.copy(pictures[-1], f"{os.path.splitext(path)[0]}_samples.png")


def _affordable(measured, seconds, tasks):
    """Returns the steps of each task that fit into `seconds`, at the best speed of paper32 in float32."""
    begins = "ours paper32 float32"
    speeds = [ms["median"] for name, ms in measured.items() if name in (begins, f"{begins}, XLA")]
    return int(1e3 * (seconds - _MARGIN) / min(speeds) / tasks) if speeds else 0


if __name__ == "__main__":
    flags.DEFINE_float("minutes", 8.0, "Minutes that all of it takes at most.", 0.0)
    path_flags.define_path("torch_python", None, "Python of an environment with torch.")
    path_flags.define_path(
        "data_dir", None, "Folder of <name>.npz files for Table 1; without it built-in sets."
    )
    flags.DEFINE_bool("dry_run", False, "The least sizes, also on a CPU.")
    flags.DEFINE_string("one", None, "JSON: what this process measures, for the processes that it starts.")
    benchmarks.define_output()
    run(main)
