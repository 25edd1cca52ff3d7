"""A run that is really killed, and again, ends with the weights of one that was not."""

import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from ltgans_tf.training import checkpoints

pytestmark = pytest.mark.program

# A run of three tasks with two role exchanges, in a process of its own.
RUN = """
import sys, numpy as np, tensorflow as tf
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2)
tf.config.experimental.enable_op_determinism()
from ltgans_tf.data import streams
from ltgans_tf.methods import twin_gan
from ltgans_tf.settings import architectures, presets
workdir, sets, replicas, out = sys.argv[1:]
arch = architectures.Architecture("paper8", 8, 4, 3, (2, 8), ((8, 2), (4, 2)), (8, 16))
stream = streams.TaskStream([f"npz:{s}" for s in sets.split(",")], (8, 8, 3), 8)
RECIPE = presets.Recipe(n_critic=2, ema=0.9, domain_dim=4, distillation=0.02, warm_start=1.0)
strategy = (tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]) if replicas == "2"
            else tf.distribute.get_strategy())
with strategy.scope():
    model = twin_gan.TwinGAN.from_architecture(arch, recipe=RECIPE)
    model.compile()
model.fit_stream(stream, 40, workdir, boundary_callbacks=[], checkpoint_every=7)
np.savez(out, *model.get_weights(), *[v.numpy() for o in model.optimizers for v in o.variables])
"""


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sets")
    for i in range(3):
        draw = np.random.default_rng(i)
        np.savez(
            folder / f"{i}.npz",
            train_images=draw.integers(0, 256, (40, 8, 8, 3), dtype=np.uint8),
            test_images=draw.integers(0, 256, (8, 8, 8, 3), dtype=np.uint8),
        )
    return ",".join(str(folder / f"{i}.npz") for i in range(3))


def _start(workdir, sets, out, replicas=1):
    root = pathlib.Path(__file__).parents[2]
    return subprocess.Popen(
        [sys.executable, "-c", RUN, str(workdir), sets, str(replicas), str(out)],
        cwd=root,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def _finish(process):
    _, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors[-2000:]


def _kill_after(process, workdir, step):
    """Kills the process once a checkpoint at or after `step` is there, at some later moment."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        found = checkpoints.checkpoints(str(workdir))
        if found and int(found[0].rsplit("_", 1)[1]) >= step:
            time.sleep(random.Random(step).uniform(0, 0.3))
            process.send_signal(signal.SIGKILL)
            process.wait()
            return True
        time.sleep(0.01)
    return False


def _weights(path):
    with np.load(path) as stored:
        return [stored[name] for name in stored.files]


@pytest.mark.campaign("crashes")
@pytest.mark.parametrize("replicas", [1, 2])
def test_a_killed_run_ends_with_bit_identical_weights(sets, tmp_path, replicas):
    _finish(_start(tmp_path / "straight", sets, tmp_path / "straight.npz", replicas))
    kills = 0
    for step in (7, 49, 91):  # one in each task
        process = _start(tmp_path / "killed", sets, tmp_path / "killed.npz", replicas)
        kills += _kill_after(process, tmp_path / "killed", step)
    assert kills == 3
    assert not (tmp_path / "killed.npz").exists()
    _finish(_start(tmp_path / "killed", sets, tmp_path / "killed.npz", replicas))
    straight, killed = _weights(tmp_path / "straight.npz"), _weights(tmp_path / "killed.npz")
    for a, b in zip(straight, killed, strict=True):
        np.testing.assert_array_equal(a, b)
    rows = [json.loads(line) for line in (tmp_path / "killed" / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [1, 50, 100]
    other = _weights(tmp_path / "straight.npz")
    other[4] = other[4] + 1e-7  # the comparison would notice
    assert any((a != b).any() for a, b in zip(other, killed))


def test_only_whole_checkpoints_lie_in_a_killed_workdir(sets, tmp_path):
    process = _start(tmp_path / "run", sets, tmp_path / "out.npz")
    assert _kill_after(process, tmp_path / "run", 7)
    for path in checkpoints.checkpoints(str(tmp_path / "run")):
        manifest = json.loads(pathlib.Path(path, "manifest.json").read_text())
        assert sorted(manifest["files"]) == sorted(set(os.listdir(path)) - {"manifest.json"})
