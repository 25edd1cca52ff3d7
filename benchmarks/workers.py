"""Measures two workers of one core each against one process of two cores, in turns.

  python -m benchmarks.workers --repeats=7 --out=workers.json

Both take the same batches of digits through the same steps from task 2 on. The two workers are processes on
this machine that communicate over loopback, as they would over a network. A third candidate shows the work of the
workers without communication: two processes at once, each with half of the batch on a core of its own. The table
shows the median time of a step over the repeats, the processor time of all threads of a process in it, and the
speed of two workers relative to one process.
"""

import json
import os
import resource
import socket
import statistics
import subprocess
import sys
import time

from absl import flags

import benchmarks
from ltgans_tf.settings import architectures
from ltgans_tf.trainers import import_tensorflow, run

ONE, TWO, HALVES = "one process", "two workers", "two halves alone"


def main(_):
    given = flags.FLAGS
    arch = architectures.architecture(given.architecture)
    if given.as_worker:  # in a process that this program started
        print(json.dumps(one(arch, given.batch_size, given.steps)), flush=True)
        return 0
    cores = sorted(os.sched_getaffinity(0))[:2]
    if len(cores) < 2:
        raise ValueError("two workers need two cores and this process may use one; run it without taskset.")
    repeats = []
    for i in range(given.repeats):
        repeats.append(turn(cores))
        shown = ", ".join(f"{name} {found['ms']:.0f} ms" for name, found in repeats[-1].items())
        print(f"repeat {i + 1} of {given.repeats}: {shown}", flush=True)
    import_tensorflow()
    settings = {"architecture": arch.name, "batch_size": given.batch_size, "steps": given.steps}
    results = {"conditions": benchmarks.conditions(), "settings": settings, **summarise(repeats)}
    benchmarks.publish(results, report(results))
    return 0


def turn(cores):
    """Measures a step of each candidate, one candidate after the other: {name: {'ms': float, 'cpu_ms': float}}."""
    ports = _free_ports(2)
    cluster = {"worker": [f"127.0.0.1:{port}" for port in ports]}
    places = [{"cluster": cluster, "task": {"type": "worker", "index": i}} for i in range(2)]
    half = f"--batch_size={flags.FLAGS.batch_size // 2}"
    return {
        ONE: _wait([_start(cores, None)]),
        TWO: _wait([_start([core], place) for core, place in zip(cores, places)]),
        HALVES: _wait([_start([core], None, half) for core in cores]),
    }


def one(arch, batch_size, steps):
    """Measures a step of task 2: {'ms': median, 'cpu_ms': mean of this process}; None in a worker other than the chief.

    Only the chief runs these callbacks. It waits for the other workers in each step.
    """
    tf = import_tensorflow()
    tf.config.experimental.enable_op_determinism()
    import keras

    from ltgans_tf.data import streams
    from ltgans_tf.methods import twin_gan
    from ltgans_tf.training import distribution

    strategy = distribution.strategy("multi_worker" if os.environ.get("TF_CONFIG") else "one")
    keras.utils.set_random_seed(0)
    side = arch.image_size
    stream = streams.TaskStream(["digits@0-4", "digits@5-9"], (side, side, 3), batch_size)
    with strategy.scope():
        model = twin_gan.TwinGAN.from_architecture(arch)
        model.compile()
    times, spent = _step_times(), []
    cpu = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: spent.append(_cpu_ms()))
    model.fit_stream(stream, steps, callbacks=[times, cpu])
    if not distribution.is_chief(strategy):
        return None
    first = steps + steps // 4
    return {
        "ms": statistics.median(times.milliseconds[first:]),
        "cpu_ms": (spent[-1] - spent[first]) / (len(spent) - 1 - first),
    }


def _step_times():
    """Returns a callback whose `milliseconds` is a list with the time of each step."""
    import keras

    class StepTimes(keras.callbacks.Callback):
        """Records the milliseconds of each step, with the wait for its data and without the other callbacks."""

        def __init__(self):
            super().__init__()
            self.milliseconds = []

        def on_train_batch_begin(self, batch, logs=None):
            self._begin = time.perf_counter()

        def on_train_batch_end(self, batch, logs=None):
            float(next(iter(logs.values())))  # waits for the step's end
            self.milliseconds.append(1e3 * (time.perf_counter() - self._begin))

    return StepTimes()


def _cpu_ms():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return 1e3 * (used.ru_utime + used.ru_stime)


def summarise(repeats):
    """Summarises wall and processor time of each candidate, and the speed of two workers relative to one process."""
    return {
        **{
            key: {
                name: benchmarks.summary(turn[name][key] for turn in repeats) for name in (ONE, TWO, HALVES)
            }
            for key in ("ms", "cpu_ms")
        },
        "two_over_one": benchmarks.summary(turn[ONE]["ms"] / turn[TWO]["ms"] for turn in repeats),
    }


def report(results):
    """The table of `summarise`'s results, as text."""
    rows = [
        [
            name,
            *(f"{ms[key]:.1f}" for key in ("median", "min", "max")),
            f"{results['cpu_ms'][name]['median']:.1f}",
        ]
        for name, ms in results["ms"].items()
    ]
    ratio = results["two_over_one"]
    rows.append(
        [
            "speed, two workers over one process",
            *(f"{ratio[key]:.2f}" for key in ("median", "min", "max")),
            "",
        ]
    )
    return benchmarks.table(["ms per step", "median", "least", "greatest", "processor, each"], rows)


def _start(cores, place, *more):
    environment = {**os.environ, "TF_CONFIG": json.dumps(place)} if place else dict(os.environ)
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks.workers", *sys.argv[1:], *more, "--as_worker"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, cores),
    )


def _wait(processes):
    """Waits for the processes and returns the slowest of their results; a worker other than the chief has none."""
    found = []
    for process in processes:
        out, err = process.communicate()
        if process.returncode:
            raise ValueError(f"a process ended with status {process.returncode}: {err.strip()[-500:]}")
        found.append(json.loads(out.splitlines()[-1]))
    return max(filter(None, found), key=lambda each: each["ms"])


def _free_ports(count):
    held = [socket.socket() for _ in range(count)]
    try:
        for each in held:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in held]
    finally:
        for each in held:
            each.close()


if __name__ == "__main__":
    flags.DEFINE_string("architecture", "small32", "Networks, a name of ARCHITECTURES.")
    flags.DEFINE_integer("batch_size", 32, "Images per critic update, of all workers together.", 2)
    flags.DEFINE_integer("steps", 60, "Steps of each of the two tasks.", 4)
    flags.DEFINE_integer("repeats", 7, "Turns of each candidate.", 1)
    flags.DEFINE_bool("as_worker", False, "Time the steps of this process.")
    benchmarks.define_output()
    run(main)
