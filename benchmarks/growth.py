"""Measures whether a lifelong run gets slower or larger from task to task.

  python -m benchmarks.growth --tasks=10 --steps=60 --out=growth.json

One run in a folder that is removed afterwards, on digits one class at a time, with the callbacks,
boundary callbacks and exports of `ltgans train`, which are not tried here. A task's step time is the median over its
steps but the first fifth, where functions are traced. What a task adds to the disk is its exports, pictures and
scores, less what is replaced; log bytes are those of metrics.jsonl and of TensorBoard's scalars and grids. Memory,
threads and open files are read from /proc, so on Linux only.
"""

import os
import re
import statistics
import tempfile
import time

from absl import flags

import benchmarks
from ltgans_tf.settings import architectures
from ltgans_tf.trainers import import_tensorflow, run

_LEFT_OUT = 0.2  # of a task's steps, at its start
_LOGS = r"^metrics\.jsonl$|^log\.txt$|tfevents.*\.(scalars|images|resume)$"  # what grows with the steps


def main(_):
    given = flags.FLAGS
    arch = architectures.architecture(given.architecture)
    tf = import_tensorflow()
    import keras

    from ltgans_tf.data import streams
    from ltgans_tf.methods import twin_gan

    conditions = benchmarks.conditions()
    keras.utils.set_random_seed(0)
    tf.config.experimental.enable_op_determinism()  # as ltgans train does
    side = arch.image_size
    stream = streams.TaskStream(
        [f"digits@{i % 10}" for i in range(given.tasks)], (side, side, 3), given.batch_size
    )
    model = twin_gan.TwinGAN.from_architecture(arch)
    model.compile()
    with tempfile.TemporaryDirectory() as folder:
        results = measure(model, stream, given.steps, os.path.join(folder, "run"))
    results = {
        "conditions": conditions,
        "settings": {
            "architecture": arch.name,
            "tasks": given.tasks,
            "steps": given.steps,
            "batch_size": given.batch_size,
        },
        **results,
    }
    benchmarks.publish(results, report(results))


def measure(model, stream, steps, workdir):
    """Trains `model` on all tasks of `stream` and notes after each what it costs.

    Returns:
      JSON-ready dict: 'rows', one for each task, and 'last_over_second', the ratio of each
      quantity in the last task to that in the second (the first has no Teacher).
    """
    from ltgans_tf.evaluation import evaluation
    from ltgans_tf.export import push
    from ltgans_tf.training import boundaries, callbacks, checkpoints

    evaluator = evaluation.Evaluator(test_images=200, parts=("likelihood",))
    times, traces = step_times(), _traces(model)
    rows, before = [], {"disk": 0, "logs": 0}

    def note(boundary):
        model, task, workdir = boundary.model, boundary.task, boundary.workdir
        kept = times.milliseconds[int(_LEFT_OUT * len(times.milliseconds)) :]
        now = {"disk": _size(workdir), "logs": _size(workdir, _LOGS)}
        rows.append(
            {
                "task": task.name,
                "step_ms": statistics.median(kept),
                **_footprint(),
                "checkpoint_mb": 1e-6 * _size(checkpoints.checkpoints(workdir)[0]),
                "added_mb": 1e-6 * (now["disk"] - before["disk"]),
                "log_bytes_per_step": (now["logs"] - before["logs"]) / len(times.milliseconds),
                "functions": len(model._train_functions),
                "traces": len(traces),
            }
        )
        times.milliseconds.clear()
        before.update(now)

    model.fit_stream(
        stream,
        steps,
        workdir,
        [times, *callbacks.default_callbacks(workdir, max(steps // 4, 1), steps)],  # alike in each task
        [
            boundaries.BoundarySamples(),
            boundaries.BoundaryScores(evaluator),
            push.BoundaryExport(settings=push.PushSettings("always", validate=False)),
            note,
        ],
    )
    second, last = rows[min(1, len(rows) - 1)], rows[-1]
    return {
        "rows": rows,
        "last_over_second": {name: last[name] / second[name] for name in second if name != "task"},
    }


def report(results):
    """The table of `measure`'s results, as text."""
    names = list(results["last_over_second"])
    form = {"step_ms": ".2f", "memory_mb": ".0f", "checkpoint_mb": ".2f"}
    form |= {"added_mb": ".2f", "log_bytes_per_step": ".0f"}
    rows = [
        [f"{i + 1} {row['task']}", *(format(row[name], form.get(name, "d")) for name in names)]
        for i, row in enumerate(results["rows"])
    ]
    ratios = [format(ratio, ".3f") for ratio in results["last_over_second"].values()]
    return benchmarks.table(["task", *names], [*rows, ["last / second", *ratios]])


def step_times():
    """A callback whose `milliseconds` gets the time of each step."""
    import keras

    class StepTimes(keras.callbacks.Callback):
        """Milliseconds of each step with the wait for its data, without the other callbacks."""

        def __init__(self):
            super().__init__()
            self.milliseconds = []

        def on_train_batch_begin(self, batch, logs=None):
            self._begin = time.perf_counter()

        def on_train_batch_end(self, batch, logs=None):
            float(next(iter(logs.values())))  # waits for the step's end, on a GPU too
            self.milliseconds.append(1e3 * (time.perf_counter() - self._begin))

    return StepTimes()


def _footprint():
    """Resident memory in MB (10^6 bytes), and the numbers of open files and threads of this process."""
    return {
        "memory_mb": benchmarks.resident_mb(),
        "open_files": len(os.listdir("/proc/self/fd")),
        "threads": len(os.listdir("/proc/self/task")),
    }


def _size(folder, pattern=""):
    """Bytes of the files in a folder, or of those whose names have a pattern; of a file with two names once."""
    found = (
        os.stat(os.path.join(place, name))
        for place, _, names in os.walk(folder)
        for name in names
        if re.search(pattern, name)
    )
    return sum({about.st_ino: about.st_size for about in found}.values())


def _traces(model):
    """A list that gets an item each time Python runs the model's step, so for each trace of it."""
    traces, train_step = [], model.train_step

    def counted(data):
        traces.append(data.shape)
        return train_step(data)

    model.train_step = counted
    return traces


if __name__ == "__main__":
    flags.DEFINE_integer("tasks", 10, "Number of tasks, a class of digits each, in turn.", 2)
    flags.DEFINE_integer("steps", 60, "Steps in each task.", 2)
    flags.DEFINE_string("architecture", "small32", "Networks, a name of ARCHITECTURES.")
    flags.DEFINE_integer("batch_size", 32, "Images per critic update.", 1)
    benchmarks.define_output()
    run(main)
