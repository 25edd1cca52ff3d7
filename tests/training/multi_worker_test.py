"""Two worker processes on loopback: they take the steps of one, end together, and go on together."""

import json
import os
import socket
import subprocess
import sys
import time

import numpy as np
import pytest

from ltgans_tf.methods import registry
from tests import source_imports

pytestmark = pytest.mark.campaign("workers")

STEPS, TASKS = 5, 2


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sets")
    for i in range(TASKS):
        draw = np.random.default_rng(i)
        images = {
            f"{split}_images": draw.integers(30 * i, 30 * i + 80, (n, 8, 8, 3), dtype=np.uint8)
            for split, n in (("train", 40), ("test", 12))
        }
        np.savez(folder / f"set{i}.npz", **images)
    return folder


def _environment(index, ports):
    cluster = {"worker": [f"127.0.0.1:{port}" for port in ports]}
    return {"TF_CONFIG": json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}})}


def _free_ports(count):
    taken = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [server.getsockname()[1] for server in taken]
    for server in taken:
        server.close()
    return ports


def _start(sets, workdir, environment, *more, method="ltgan", steps=STEPS):
    command = [sys.executable, "-m", "tests.one_worker", method, steps, TASKS, sets, workdir, *more]
    return subprocess.Popen(
        [str(word) for word in command],
        cwd=source_imports.ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _ended(processes):
    """[(exit status, last line of stdout, stderr)] of each."""
    found = []
    for process in processes:
        out, err = process.communicate(timeout=300)
        found.append((process.returncode, (out.strip().splitlines() or [""])[-1], err))
    return found


def _two(sets, workdirs, *more, method="ltgan"):
    """Runs two workers, of which the second gets `more`, to their end."""
    ports = _free_ports(2)
    return _ended(
        [
            _start(sets, workdirs[i], _environment(i, ports), *(more if i else ()), method=method)
            for i in range(2)
        ]
    )


def _state(sets, index):
    with np.load(sets / f"worker_{index}.npz") as stored:
        return [stored[name] for name in stored.files]


def _check_alike(found, expected, tolerance):
    assert len(found) == len(expected) > 60
    for a, b in zip(found, expected):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


@pytest.fixture(scope="module")
def uninterrupted(sets, tmp_path_factory):
    """(workdir, state) of a run of two workers; each has the same state."""
    workdir = tmp_path_factory.mktemp("runs") / "whole"
    for i, (status, line, err) in enumerate(_two(sets, [workdir] * 2)):
        assert (status, line) == (0, f"worker {i} finished at step 10"), err
    state = _state(sets, 0)
    _check_alike(_state(sets, 1), state, 0)
    return workdir, state


@pytest.mark.parametrize("method", registry.METHODS)
def test_two_workers_take_the_steps_of_one_process(sets, uninterrupted, method, tmp_path):
    if method == "ltgan":
        found = uninterrupted[1]
    else:
        assert [status for status, _, _ in _two(sets, [tmp_path / "run"] * 2, method=method)] == [0, 0]
        found = _state(sets, 0)
    assert _ended([_start(sets, "", {"TF_CONFIG": ""}, method=method)])[0][0] == 0
    # Weights were up to 1.6e-6 apart: one process has batch norm in a fused kernel and two have Keras', and Adam makes
    # steps of full size of gradients that are near their rounding. Workers that draw the same noise are 9e-3 away.
    _check_alike(found, _state(sets, 0), 1e-5)


def test_the_chief_alone_writes_each_point_once(uninterrupted):
    workdir, _ = uninterrupted
    points = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    assert [point["step"] for point in points] == [1, 3, 6, 9]
    assert all(np.isfinite(value) for value in points[0].values() if isinstance(value, float))
    assert len({path.name.split(".")[4] for path in (workdir / "tensorboard").iterdir()}) == 1  # one process
    assert sorted(path.name for path in (workdir / "boundary").iterdir()) == ["task_00.done", "task_01.done"]


def test_a_dead_worker_ends_the_others_and_a_restart_gives_the_same_bits(sets, uninterrupted, tmp_path):
    workdir, ports = tmp_path / "run", _free_ports(2)
    chief, worker = (
        _start(sets, workdir, _environment(i, ports), *(("kill", 7) if i else ())) for i in range(2)
    )
    assert worker.wait(timeout=300) == -9
    died = time.monotonic()
    ((status, line, err),) = _ended([chief])
    assert time.monotonic() - died < 60
    assert status == 2 and line.startswith("error: another worker of this run is gone"), err
    for i, (status, line, err) in enumerate(_two(sets, [workdir] * 2)):
        assert (status, line) == (0, f"worker {i} finished at step 10"), err
        _check_alike(_state(sets, i), uninterrupted[1], 0)


def test_a_stop_of_one_worker_stops_both_after_one_step_and_is_gone_on_from(sets, tmp_path):
    workdir = tmp_path / "run"
    # Workers ask each other at multiples of ten steps and between tasks.
    for i, (status, line, err) in enumerate(_two(sets, [workdir] * 2, "stop", 3)):
        assert (status, line) == (0, f"worker {i} stopped at step 5"), err
    assert (workdir / "checkpoints" / "task_001_step_000000005").is_dir()


@pytest.mark.parametrize("what, bad, back", [("spoil", 2, 0), ("swell", 3, 2)])
def test_workers_go_back_together_where_one_is_not_finite(sets, tmp_path, what, bad, back):
    """Weights of one are found at the checkpoint of step 2, a loss at the point of step 3."""
    for i, (status, line, err) in enumerate(_two(sets, [tmp_path / "run"] * 2, what, 2)):
        assert (status, line) == (0, f"worker {i} finished at step 10"), err
        assert (
            f"global step {bad}; going back to step {back} with other noise (rollback 1 of at most 3)" in err
        )
    states = [_state(sets, i) for i in range(2)]
    _check_alike(*states, 0)
    assert all(np.isfinite(value).all() for value in states[0])
    points = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [point["step"] for point in points] == [1, 3, 6, 9]


def test_workers_that_share_no_workdir_are_refused(sets, uninterrupted, tmp_path):
    for status, line, err in _two(sets, [uninterrupted[0], tmp_path / "another"]):
        assert status == 2 and "on storage that they share" in line, (line, err)


@pytest.mark.parametrize(
    "steps, more, what",
    [(STEPS + 1, (), "settings"), (STEPS, ("other", 0), "the training images of set0.npz")],
)
def test_workers_of_other_settings_or_data_end_before_the_first_step(sets, tmp_path, steps, more, what):
    ports = _free_ports(2)
    first = _start(sets, tmp_path / "run", _environment(0, ports))
    second = _start(sets, tmp_path / "run", _environment(1, ports), *more, steps=steps)
    for status, said, errors in _ended([first, second]):
        assert status == 2, errors
        assert said.startswith(f"error: the workers of this run differ in: {what}; start all of them"), said
    assert not list(tmp_path.glob("run/checkpoints/*_step_*[1-9]"))
