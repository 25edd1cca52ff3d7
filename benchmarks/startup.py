"""Measures waiting times: for the help, for a dry run, for the first step, and at a change of roles.

  python -m benchmarks.startup --repeats=7 --out=startup.json

It starts the commands as a user would, in turns. The first step is that of the demo, timed from the command to the
line that the step writes: once with an empty cache (the extractor of the scores is trained first) and once with
the cache that this run leaves. A change of roles is the time from the end of a task's last step to the end of the
next task's first step, minus the time of one step, after all functions are traced.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time

from absl import flags

import benchmarks
from ltgans_tf.settings import architectures
from ltgans_tf.trainers import import_tensorflow, run

_TRAIN = [sys.executable, "-m", "ltgans_tf.trainers.train"]
_PATIENCE = 300  # seconds


def main(_):
    given = flags.FLAGS
    waits = {"help": [], "dry run": [], "first step, empty cache": [], "first step": []}
    for i in range(given.repeats):
        with tempfile.TemporaryDirectory() as folder:
            workdir = f"--workdir={folder}/run"
            waits["help"].append(seconds_of(["--help"]))
            waits["dry run"].append(seconds_of(["--preset=demo", workdir, "--dry_run"]))
            cache = os.path.join(folder, "cache")
            waits["first step, empty cache"].append(seconds_to_first_step(f"{folder}/first", cache))
            waits["first step"].append(seconds_to_first_step(f"{folder}/second", cache))
        print(
            f"repeat {i + 1} of {given.repeats}: {', '.join(f'{n} {w[-1]:.2f} s' for n, w in waits.items())}"
        )
    waits["change of roles"] = role_changes(architectures.architecture("small32"), given.batch_size, 12)
    results = {
        "conditions": benchmarks.conditions(),
        "settings": {"preset": "demo", "batch_size": given.batch_size},
        "seconds": {name: benchmarks.summary(values) for name, values in waits.items()},
    }
    benchmarks.publish(results, report(results))
    return 0


def seconds_of(arguments):
    """Returns the wall time of `ltgans train` with some arguments, in s."""
    begin = time.perf_counter()
    ran = subprocess.run([*_TRAIN, *arguments], capture_output=True, text=True)
    if ran.returncode:
        raise ValueError(
            f"ltgans_tf.trainers.train ended with status {ran.returncode}: {ran.stderr.strip()[-500:]}"
        )
    return time.perf_counter() - begin


def seconds_to_first_step(workdir, cache, arguments=("--preset=demo",)):
    """Returns the seconds from the command to the line of its first step in metrics.jsonl; then kills the run."""
    begin = time.perf_counter()
    process = subprocess.Popen(
        [*_TRAIN, *arguments, f"--workdir={workdir}"],
        env={**os.environ, "XDG_CACHE_HOME": cache},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    metrics = os.path.join(workdir, "metrics.jsonl")
    try:
        while not (os.path.exists(metrics) and os.path.getsize(metrics)):
            waited = time.perf_counter() - begin
            if process.poll() is not None or waited > _PATIENCE:
                process.kill()
                said = process.communicate()[1].strip()[-500:]
                raise ValueError(f"no step after {waited:.0f} s: {said}")
            time.sleep(0.01)
        return time.perf_counter() - begin
    finally:
        process.kill()
        process.wait()


def role_changes(arch, batch_size, tasks, steps=20):
    """Returns the seconds of each change of roles in a run of `tasks` tasks, after all is traced: list of float."""
    tf = import_tensorflow()
    tf.config.experimental.enable_op_determinism()
    import keras

    from ltgans_tf.data import streams
    from ltgans_tf.methods import twin_gan

    class Clock(keras.callbacks.Callback):
        """Records when each step ends; waits for that end, so that steps do not overlap."""

        def __init__(self):
            super().__init__()
            self.ends = []

        def on_train_batch_end(self, batch, logs=None):
            float(next(iter(logs.values())))
            self.ends.append(time.perf_counter())

    side = arch.image_size
    stream = streams.TaskStream([f"digits@{i % 10}" for i in range(tasks)], (side, side, 3), batch_size)
    model = twin_gan.TwinGAN.from_architecture(arch)
    model.compile()
    clock = Clock()
    model.fit_stream(stream, steps, callbacks=[clock])
    waits = [after - before for before, after in zip(clock.ends, clock.ends[1:])]
    step = statistics.median(waits[3 * steps :])
    return [waits[steps * task - 1] - step for task in range(3, tasks)]


def report(results):
    """The table of the results, as text."""
    rows = [
        [name, *(f"{found[key]:.2f}" for key in ("median", "min", "max"))]
        for name, found in results["seconds"].items()
    ]
    return benchmarks.table(["seconds", "median", "least", "greatest"], rows)


if __name__ == "__main__":
    flags.DEFINE_integer("batch_size", 32, "Images per critic update, at the changes of roles.", 1)
    flags.DEFINE_integer("repeats", 7, "Turns of the commands.", 1)
    benchmarks.define_output()
    run(main)
