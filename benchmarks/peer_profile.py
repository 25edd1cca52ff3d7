"""Sums up what our step and PyTorch's spend on convolutions and on all else, by the profilers of both.

  python -m benchmarks.peer_profile --torch_python=torch_env/bin/python --out=peer_profile.json

The steps are those of `benchmarks.peers`. Each candidate takes its steps in a process of its own, first without
its profiler and then under it. The times of operations are added up over all threads: of PyTorch one runs at a time,
of ours as many as there are threads between operations, so that their sum is more than a step.
"""

import collections
import dataclasses
import glob
import json
import os
import sys
import tempfile
import time

from absl import flags

import benchmarks
from benchmarks import peers
from ltgans_tf.export import path_flags
from ltgans_tf.settings import architectures, presets
from ltgans_tf.trainers import import_tensorflow, run

_VARIANTS = ("eager", "channels_last")
_WARM_UP = 5  # steps


def main(_):
    given = flags.FLAGS
    arch = architectures.architecture(given.architecture)
    settings = {"batch_size": given.batch_size, "n_critic": given.n_critic, "student": True}
    if given.one:  # what this program starts of itself
        print(json.dumps(_ours(arch, given.steps, **settings)))
        return 0
    if given.torch_python is None:
        raise ValueError(
            "--torch_python is missing: the Python of an environment with torch, as the first lines of --help say."
        )
    import_tensorflow()
    commands = {peers.OURS: [sys.executable, "-m", "benchmarks.peer_profile", *sys.argv[1:], "--one"]}
    for variant in _VARIANTS:
        about = {"arch": dataclasses.asdict(arch), **settings, "variant": variant}
        about |= {"profile": given.steps, "warm_up": _WARM_UP}
        commands[variant] = [given.torch_python, peers.TORCH_STEP, json.dumps(about)]
    found = {name: peers.answer(name, command) for name, command in commands.items()}
    conditions = {**benchmarks.conditions(), "torch": peers.torch_version(given.torch_python)}
    results = {"conditions": conditions, "settings": {**settings, "architecture": arch.name}, "steps": found}
    benchmarks.publish(results, report(found))
    return 0


def report(found):
    """The table of {candidate: {'ms', 'profiled_ms', 'operations': {name: ms per step}}}, as text."""
    rows = []
    for name, step in found.items():
        kinds = collections.Counter()
        for operation, ms in step["operations"].items():
            kinds["conv" if "conv" in operation.lower() else "else"] += ms
        numbers = (step["ms"], step["profiled_ms"], kinds["conv"], kinds["else"])
        rows.append([name if name == peers.OURS else f"torch, {name}", *(f"{ms:.0f}" for ms in numbers)])
    return benchmarks.table(["step", "ms", "under its profiler", "convolutions", "all else"], rows)


def operations(folder, steps):
    """{type of operation: ms per step} of what TensorFlow's profiler has written to `folder` about `steps` steps."""
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    found = collections.Counter()
    for path in glob.glob(os.path.join(folder, "**", "*.xplane.pb"), recursive=True):
        space = xplane_pb2.XSpace()
        with open(path, "rb") as file:
            space.ParseFromString(file.read())
        for plane in space.planes:
            for line in plane.lines:
                for event in line.events:
                    _, is_operation, kind = plane.event_metadata[event.metadata_id].name.partition(":")
                    if is_operation and kind.isidentifier():
                        found[kind] += 1e-9 * event.duration_ps / steps
    return dict(found)


def _ours(arch, steps, batch_size, n_critic, student):
    tf = import_tensorflow()
    from benchmarks import step as our_step
    from ltgans_tf.methods import twin_gan

    batches = our_step.digits(arch, 3, batch_size, n_critic)
    recipe = presets.Recipe(n_critic=n_critic)
    model = our_step.model_at(twin_gan.TwinGAN, arch, recipe, batches, student, our_step.LATER)
    step = our_step.compiled_step(model, batches)

    def timed():
        begin = time.perf_counter()
        for _ in range(steps):
            float(step())
        return 1e3 * (time.perf_counter() - begin) / steps

    for _ in range(_WARM_UP):
        float(step())
    ms = timed()
    with tempfile.TemporaryDirectory() as folder:
        tf.profiler.experimental.start(folder)
        profiled = timed()
        tf.profiler.experimental.stop()
        return {"ms": ms, "profiled_ms": profiled, "operations": operations(folder, steps)}


if __name__ == "__main__":
    flags.DEFINE_string("architecture", "small32", "Networks, a name of ARCHITECTURES.")
    flags.DEFINE_integer("batch_size", 32, "Images per critic update.", 1)
    flags.DEFINE_integer("n_critic", 1, "Critic updates per step.", 1)
    flags.DEFINE_integer("steps", 15, "Steps without the profiler, and under it.", 1)
    path_flags.define_path("torch_python", None, "Python of an environment with torch.")
    flags.DEFINE_bool("one", False, "Profile our step, in this process.")
    benchmarks.define_output()
    run(main)
