"""What a killed process leaves is cleared away, and one that is asked to stop ends at once with nothing lost."""

import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf

from ltgans_tf.evaluation import evaluation, features
from ltgans_tf.files import eventlog
from ltgans_tf.training import callbacks, checkpoints, loop
from tests import source_imports
from tests.faults.counting import Counting
from tests.hostile import fault_checks, faults


def _fit(model, stream, workdir, **options):
    return model.fit_stream(stream, 4, str(workdir), **{"callbacks": [], "checkpoint_every": 2, **options})


def _undisturbed(stream):
    model = Counting()
    model.fit_stream(stream, 4)
    return model.total.numpy()


@pytest.mark.program
def test_what_a_kill_leaves_of_a_checkpoint_is_removed_by_the_next_run(tiny_stream, tmp_path):
    stream = tiny_stream(tasks=1)
    _fit(Counting(), stream, tmp_path, stop_after_task=0)
    remains = tmp_path / "checkpoints" / ".tmp-4711"
    remains.mkdir()
    (remains / "state.index").write_text("half")
    _fit(Counting(), stream, tmp_path)
    assert not remains.exists() and len(checkpoints.checkpoints(str(tmp_path))) == 2


@pytest.mark.program
def test_what_a_kill_leaves_of_an_extractor_is_removed_by_the_next_run(tiny_stream, tmp_path):
    domain = features.Domain("a", np.zeros((8, 8, 8, 3), np.uint8), np.arange(8) % 2)
    extractor = features.train([domain], epochs=1)
    (tmp_path / "eval").mkdir()
    (tmp_path / "eval" / "extractor.npz.4711.tmp").write_text("half")
    evaluation.Evaluator(extractor=extractor).prepare(tiny_stream(tasks=1), str(tmp_path))
    assert [path.name for path in (tmp_path / "eval").iterdir()] == ["extractor.npz"]


def test_what_a_kill_leaves_of_an_event_file_is_removed_before_tensorboard_reads_it(tmp_path):
    folder = tmp_path / "tensorboard"
    with eventlog.writer(str(folder), "scalars").as_default():
        tf.summary.scalar("a", 1.0, 1)
    (file,) = folder.iterdir()
    (folder / f".tmp-{file.name}").write_bytes(file.read_bytes())
    eventlog.cut(str(tmp_path / "none.jsonl"), str(folder), 1)
    assert file.exists() and not list(folder.glob(".tmp-*"))


def test_damaged_checkpoints_of_later_steps_do_not_push_good_ones_out(tmp_path):
    for step in (50, 60):  # of a run that came further, with another --checkpoint_every
        (tmp_path / "checkpoints" / f"task_000_step_{step:09d}").mkdir(parents=True)
    model, saved = Counting(), []
    for _ in range(3):
        model.global_step.assign_add(1)
        saved.append(checkpoints.save(str(tmp_path), model))
    good = [path for path in checkpoints.checkpoints(str(tmp_path)) if not checkpoints.damage(path)]
    assert good == saved[:0:-1]


@pytest.mark.program
@pytest.mark.parametrize("mangled", [False, True])
def test_a_stop_in_a_boundary_callback_breaks_it_off_and_it_is_done_again(
    tiny_stream, tmp_path, mangled, caplog
):
    stream, done = tiny_stream(tasks=2), []

    def asked(boundary):
        try:
            boundary.model.request_stop()
        except loop.StopRequested:
            if mangled:  # as C code does with what a signal handler raises
                raise SystemError("bad argument to internal function") from None
            raise
        done.append("not reached")

    model = Counting()
    assert not _fit(model, stream, tmp_path, boundary_callbacks=[asked])
    assert ("A stop broke off SystemError" in caplog.text) == mangled
    assert not done and not list(tmp_path.glob("boundary/*.done"))
    again = Counting()
    assert _fit(
        again, stream, tmp_path, boundary_callbacks=[lambda boundary: done.append(boundary.task.index)]
    )
    assert done == [0, 1]
    np.testing.assert_array_equal(again.total, _undisturbed(stream))


@pytest.mark.program
def test_a_stop_in_what_precedes_the_first_step_ends_the_run_before_it(tiny_stream, tmp_path):
    class Prepare:
        def prepare(self, stream, workdir):
            model.request_stop()
            raise AssertionError("not reached")

        def __call__(self, *_):
            raise AssertionError("no task was learnt")

    model = Counting()
    assert not _fit(model, tiny_stream(tasks=1), tmp_path, boundary_callbacks=[Prepare()])
    assert int(model.global_step.numpy()) == 0 and not checkpoints.checkpoints(str(tmp_path))


@pytest.mark.program
def test_a_stop_while_a_step_is_traced_breaks_that_off_and_saves_nothing(tiny_stream, tmp_path):
    stream = tiny_stream(tasks=1)
    model = Counting(in_step=lambda: model.request_stop())
    log = callbacks.LogMetrics(str(tmp_path), 1)
    assert not _fit(model, stream, tmp_path, callbacks=[log])
    assert not checkpoints.checkpoints(str(tmp_path)) and not (tmp_path / "metrics.jsonl").exists()
    again = Counting()
    assert _fit(again, stream, tmp_path)
    np.testing.assert_array_equal(again.total, _undisturbed(stream))


@pytest.mark.program
@pytest.mark.parametrize("stop", [1, 3])  # the first of a process is what is told of it too
def test_a_stop_between_steps_saves_what_was_learnt(tiny_stream, tmp_path, stop):
    stream = tiny_stream(tasks=1)

    class StopAt(callbacks.StepCallback):
        def on_step(self, step, task_step, logs):
            if step == stop:
                self.model.request_stop()

    assert not _fit(Counting(), stream, tmp_path, callbacks=[StopAt()])
    assert checkpoints.checkpoints(str(tmp_path))[0].endswith(f"task_000_step_{stop:09d}")
    again = Counting()
    assert _fit(again, stream, tmp_path)
    np.testing.assert_array_equal(again.total, _undisturbed(stream))


def _catches(process, number):
    """Whether a process has set a handler for a signal, by /proc."""
    status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    caught = next(line.split()[1] for line in status.splitlines() if line.startswith("SigCgt"))
    return int(caught, 16) >> (number - 1) & 1


@pytest.mark.program
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_before_the_model_is_built_ends_the_program_with_the_command(tmp_path, number):
    arguments = ["--preset=smoke", f"--workdir={tmp_path}/a run"]
    process = subprocess.Popen(
        [sys.executable, "-m", "ltgans_tf.trainers.train", *arguments],
        cwd=source_imports.ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not _catches(process, signal.SIGTERM) and process.poll() is None:
        time.sleep(0.01)
    begin = time.monotonic()
    process.send_signal(number)
    said, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + number and time.monotonic() - begin < 10
    assert said == (
        "stopped before the run had begun; to go on:\n"
        f"  ltgans train --preset=smoke '--workdir={tmp_path}/a run'\n"
    )
    assert errors == "" and not (tmp_path / "a run").exists()


def test_two_checkpoints_that_differ_are_told_by_their_tensors(tmp_path):
    model, found = Counting(), []
    for i in range(2):
        model.total.assign(model.total + float(i))
        found.append(fault_checks._weights(checkpoints.save(str(tmp_path / str(i)), model)))
    assert fault_checks._apart(found[0], found[0]).startswith("0 of ")
    names = ("checkpoints", "metrics", "exports", "status", "litter")
    same = {**dict.fromkeys(names, 0), "tensorboard": [], "files": []}
    (text,) = fault_checks.differences(*({**same, "weights": weights} for weights in found))
    assert (
        text.startswith("weights: 1 of ") and " tensors of task_000_step_000000000 differ (weights/" in text
    )
    assert fault_checks._apart(None, found[0]) == "None in the undisturbed run, task_000_step_000000000 here"


def test_two_workdirs_that_differ_are_told_by_their_files(tmp_path):
    for run, step in ("a", 6), ("b", 7):
        folder = tmp_path / run / "checkpoints" / f"task_000_step_00000000{step}"
        folder.mkdir(parents=True)
        (folder / "manifest.json").touch()
    (tmp_path / "b" / "flags.txt").touch()
    names = ("checkpoints", "metrics", "exports", "status", "litter", "weights")
    same = {**dict.fromkeys(names, 0), "tensorboard": []}
    left, right = ({**same, "files": fault_checks._files(str(tmp_path / run))} for run in "ab")
    assert fault_checks.differences(left, left) == []
    assert fault_checks.differences(left, right) == ["files: lacks {} and has too much {'flags.txt': 1}"]


@pytest.mark.campaign("crashes")
@pytest.mark.timeout(1800)
def test_nothing_is_lost_in_a_short_campaign(tmp_path):
    found = faults.campaign(str(tmp_path), rounds=4, faults=("kill", "term"), chain=4, seed=5)
    assert [chain["problems"] for chain in found["chains"]] == [[]] * len(found["chains"])
    assert sum(record["fell"] != "after the end" for record in found["rounds"]) > 0
