"""A tiny run of each method, trained and exported by the program: made once for a test run, then only read."""

import fcntl
import json
import subprocess
from typing import NamedTuple

import numpy as np

from tests import programs

SMALL = [
    "--push_policy=always",
    "--nopush_validate",
    "--preset=smoke",
    "--batch_size=4",
    "--steps_per_task=4",
    "--checkpoint_every=2",
    "--log_every=2",
    "--sample_every=2",
    "--eval_images=8",
    "--eval_samples=20",
    "--extractor_images=8",
]


class Trained(NamedTuple):
    """A finished run of two tasks: its folder, how the program ended, and the specs of three tasks."""

    workdir: str
    done: subprocess.CompletedProcess
    specs: list


def sets(folder, count=2, side=32):
    """Writes sets of random images with labels into `folder` and returns their specs."""
    specs = []
    for i in range(count):
        draw = np.random.default_rng(i)
        path = folder / f"set{i}.npz"
        np.savez(
            path,
            train_images=draw.integers(0, 256, (24, side, side, 3), dtype=np.uint8),
            test_images=draw.integers(0, 256, (8, side, side, 3), dtype=np.uint8),
            train_labels=np.arange(24) % 3,
            test_labels=np.arange(8) % 3,
        )
        specs.append(f"npz:{path}")
    return specs


def trained(folder, method):
    """Returns the run of `method` in `folder`, a `Trained`; the first process that asks for it makes it."""
    place = folder / f"trained_{method}"
    place.mkdir(exist_ok=True)
    with open(place / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        specs = [f"npz:{place}/set{i}.npz" for i in range(3)]
        workdir, said = f"{place}/run", place / "said.json"
        if not said.exists():
            assert sets(place, 3) == specs
            flags = [*SMALL, f"--method={method}", "--penalty_weight=9", "--first_learners=2"]
            done = programs.run(
                "ltgans_tf.trainers.train",
                *flags,
                f"--tasks={specs[0]},{specs[1]}",
                f"--workdir={workdir}",
                timeout=300,
            )
            assert done.returncode == 0, done.stderr[-2000:]
            said.write_text(json.dumps([done.stdout, done.stderr]))
        return Trained(workdir, subprocess.CompletedProcess([], 0, *json.loads(said.read_text())), specs)
