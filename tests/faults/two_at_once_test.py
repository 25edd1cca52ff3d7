"""Two runs on one workdir, two pushes to one base: one after the other, or one alone."""

import json
import os
import signal
import subprocess
import sys

import pytest

from ltgans_tf.export import versions
from ltgans_tf.training import workdirs
from tests import source_imports

SETTINGS = {"stream": {"specs": ["a"]}}
# Pushes of a model that costs nothing, one after another; argv: base, id of the run, how many.
PUSHES = """
import os, sys
from ltgans_tf.export import push, release, staging, versions, warmup

def save(model, kind, folder, about):
    for name in ("saved_model.pb", warmup.FILE, "variables/variables.index"):
        os.makedirs(os.path.dirname(os.path.join(folder, name)), exist_ok=True)
        with open(os.path.join(folder, name), "w") as file:
            file.write(f"{kind} of {about['run_id']}, task {about['task_index']}")

class Model:
    student = object()
    get_weights = list

staging._save = save
staging.describe = lambda model, task, info, row: {**info, "task_index": task.index, "scores": None}
base, run_id, count = sys.argv[1:]
for task in range(int(count)):
    settings = push.PushSettings("always", validate=False, keep=1000)
    push.push(Model(), push.Task(task, "task"), base, {"run_id": run_id}, settings)
"""


def _hold(workdir, ready, go, let):
    """In a process of its own: takes the workdir, says how that went, and keeps it until it may go."""
    os.close(let)  # so that it goes, too, when the test dies
    try:
        with workdirs.open_workdir(workdir, SETTINGS):
            os.write(ready, b"h")
            os.read(go, 1)
    except ValueError as error:
        os.write(ready, b"r" if "is in use by" in str(error) else b"?")
    os._exit(0)


def _fork(*args):
    return os.fork() or _hold(*args)


@pytest.mark.program
def test_of_many_that_want_one_workdir_at_once_one_gets_it(tmp_path):
    for attempt in range(10):
        ready, told = os.pipe()
        go, let = os.pipe()
        children = [_fork(str(tmp_path / "run"), told, go, let) for _ in range(6)]
        answers = b"".join(os.read(ready, 1) for _ in children)
        os.write(let, b"g" * len(children))
        for child in children:
            os.waitpid(child, 0)
        for end in (ready, told, go, let):
            os.close(end)
        assert sorted(answers) == sorted(b"hrrrrr"), attempt
        assert json.loads((tmp_path / "run" / "config.json").read_text())["stream"] == SETTINGS["stream"]


@pytest.mark.program
def test_the_lock_of_a_killed_run_is_free_at_once(tmp_path):
    workdir = str(tmp_path / "run")
    for _ in range(20):
        ready, told = os.pipe()
        go, let = os.pipe()
        child = _fork(workdir, told, go, let)
        assert os.read(ready, 1) == b"h"
        with pytest.raises(ValueError, match=f"in use by process {child} on "):
            with workdirs.open_workdir(workdir, SETTINGS):
                pass
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        with workdirs.open_workdir(workdir, SETTINGS):  # what the file .lock says is of no account
            pass
        for end in (ready, told, go, let):
            os.close(end)


@pytest.mark.campaign("crashes")
def test_two_processes_that_push_to_one_base_get_a_version_each_every_time(tmp_path):
    base, count = str(tmp_path / "base"), 40
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PUSHES, base, run_id, str(count)],
            cwd=source_imports.ROOT,
            stderr=subprocess.PIPE,
            text=True,
        )
        for run_id in ("one", "two")
    ]
    for process in processes:
        errors = process.communicate(timeout=300)[1]
        assert process.returncode == 0, errors[-2000:]
    pairs = versions.read_latest(base)["pairs"]
    assert sorted((pair["run_id"], pair["task_index"]) for pair in pairs) == [
        (run_id, task) for run_id in ("one", "two") for task in range(count)
    ]
    numbers = sorted(pair["version"] for pair in pairs)
    assert len(set(numbers)) == 2 * count
    for kind in versions.KINDS:
        assert versions.found(base, kind) == numbers and len(os.listdir(os.path.join(base, kind))) == len(
            numbers
        )
    for pair in pairs:
        for kind in versions.KINDS:
            with open(os.path.join(base, pair[kind], "saved_model.pb"), encoding="utf-8") as file:
                assert file.read() == f"{kind} of {pair['run_id']}, task {pair['task_index']}"
