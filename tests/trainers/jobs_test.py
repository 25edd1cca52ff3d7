"""Runs side by side: their order, what a kill leaves, what a failure says, and the cores they get."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time

import pytest

from ltgans_tf.trainers import jobs
from tests import source_imports

# Stands for ltgans train: notes that it ran, then does what its first flag says.
PROGRAM = """
import os, signal, sys, time
what, workdir = sys.argv[1], sys.argv[-1].partition("=")[2]
with open(os.path.join(os.path.dirname(workdir), "order"), "a") as f:
    f.write(os.path.basename(workdir) + "\\n")
def stop(number, _):
    print("state saved", flush=True)
    sys.exit(128 + number)
signal.signal(signal.SIGTERM, stop), signal.signal(signal.SIGINT, stop)
if what == "fail":
    print("a line\\nerror: no such data.\\n")
    sys.exit(2)
if what == "die":
    os.kill(os.getpid(), signal.SIGKILL)
print("cores", sorted(os.sched_getaffinity(0)), os.environ.get("TF_NUM_INTRAOP_THREADS"), flush=True)
time.sleep(float(what))
os.makedirs(workdir + "/eval", exist_ok=True)
open(workdir + "/eval/extractor.npz", "w").close()
for k in range(2):
    os.makedirs(workdir + f"/eval/task_{k:02d}", exist_ok=True)
    os.makedirs(workdir + "/boundary", exist_ok=True)
    open(workdir + f"/eval/task_{k:02d}/scores.json", "w").close()
    open(workdir + f"/boundary/task_{k:02d}.done", "w").close()
"""


class Fake(jobs.Job):
    @property
    def command(self):
        return [sys.executable, "-c", PROGRAM, *self.flags, f"--workdir={self.workdir}"]


def _job(folder, label, what="0", seed=0):
    return Fake(label, seed, str(folder / f"{label}{seed}"), (str(what),), 2)


def _order(folder):
    return (folder / "order").read_text().split()


@pytest.mark.program
def test_runs_start_in_their_order_and_a_finished_one_does_not_start_again(tmp_path):
    said, planned = [], [_job(tmp_path, "a"), _job(tmp_path, "b"), _job(tmp_path, "a", seed=1)]
    assert jobs.run(planned, say=said.append) == ({}, None)
    assert _order(tmp_path) == ["a0", "b0", "a1"]
    assert [line.partition(" done in ")[0] for line in said] == [
        *("[1/3] a, seed 0:", "[2/3] b, seed 0:", "[3/3] a, seed 1:")
    ]
    assert "; 2 left, about " in said[0] and "left" not in said[2]
    assert jobs.run([*planned, _job(tmp_path, "b", seed=1)], say=said.append) == ({}, None)
    assert _order(tmp_path) == ["a0", "b0", "a1", "b1"] and said[-1].startswith("[4/4] b, seed 1: done")


def test_other_flags_or_a_missing_row_start_a_finished_run_again(tmp_path):
    job = _job(tmp_path, "a")
    jobs.run([job], say=lambda _: None)
    assert job.is_finished()
    assert not dataclasses.replace(job, flags=("0", "--steps_per_task=3")).is_finished()
    assert not dataclasses.replace(job, tasks=3).is_finished()
    os.remove(tmp_path / "a0/eval/task_01/scores.json")
    assert not job.is_finished()


@pytest.mark.program
def test_a_run_that_was_refused_is_not_taken_for_finished(tmp_path):
    job = _job(tmp_path, "a")
    jobs.run([job], say=lambda _: None)
    other = dataclasses.replace(job, flags=("fail",))
    jobs.run([other], say=lambda _: None)
    assert not other.is_finished()


@pytest.mark.program
def test_a_failing_run_is_named_with_its_last_line_and_the_others_go_on(tmp_path):
    said, planned = [], [_job(tmp_path, "a", "fail"), _job(tmp_path, "b", "die"), _job(tmp_path, "c")]
    failed, number = jobs.run(planned, say=said.append)
    assert failed == {
        planned[0]: "exit status 2: error: no such data.",
        planned[1]: "ended by signal 9: it said nothing",
    }
    assert number is None and planned[2].is_finished()
    assert f"FAILED (exit status 2: error: no such data.; see {planned[0].log})" in said[0]


def test_a_damaged_record_starts_the_run_again(tmp_path):
    job = _job(tmp_path, "a")
    for text in ("{", "[]"):
        (tmp_path / "a0.json").write_text(text)
        assert not job.is_finished() and job.seconds == 0.0


def test_wall_time_adds_up_over_restarts(tmp_path):
    job = _job(tmp_path, "a", "0.3")
    (tmp_path / "a0.json").write_text(json.dumps({"seconds": 100.0, "finished": None}))
    jobs.run([job], say=lambda _: None)
    assert 100.3 <= job.seconds < 110


STARTER = """
import sys
sys.path.insert(0, "tests")
import pathlib
from tests.trainers import jobs_test
from ltgans_tf.trainers import jobs
folder = pathlib.Path(sys.argv[1])
planned = [jobs_test._job(folder, label, "60") for label in "ab"]
print(jobs.run(planned, 1, print)[1], flush=True)
"""


def _started(folder):
    """A process that runs two long jobs, once the first is under way."""
    process = subprocess.Popen(
        [sys.executable, "-c", STARTER, str(folder)],
        cwd=source_imports.ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not (folder / "a0.log").exists() or "cores" not in (folder / "a0.log").read_text():
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.05)
    return process


@pytest.mark.program
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_passed_on_and_the_list_goes_on_later(tmp_path, number):
    process = _started(tmp_path)
    process.send_signal(number)
    output, _ = process.communicate(timeout=30)
    assert output == f"{int(number)}\n"  # and no line on a run that ended
    assert "state saved" in (tmp_path / "a0.log").read_text() and _order(tmp_path) == ["a0"]
    planned = [_job(tmp_path, label) for label in "ab"]
    assert jobs.run(planned, say=lambda _: None) == ({}, None)
    assert _order(tmp_path) == ["a0", "a0", "b0"] and all(job.is_finished() for job in planned)


def test_children_end_with_a_killed_parent(tmp_path):
    process = _started(tmp_path)
    process.kill()
    process.communicate(timeout=30)
    deadline = time.monotonic() + 20
    while "state saved" not in (tmp_path / "a0.log").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_cores_are_shared_out_equally():
    assert jobs.share_cores({3, 1, 0, 2, 7}, 2) == [(0, 1), (2, 3)]
    with pytest.raises(ValueError, match="--jobs is 3 and there are 2 cores; give at most 2"):
        jobs.share_cores({0, 1}, 3)


@pytest.mark.program
def test_runs_side_by_side_have_cores_of_their_own_once_the_extractor_is_there(tmp_path):
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("this process has one core")
    planned = [_job(tmp_path, label, "0.8") for label in "abc"]
    jobs.run(planned, 2, say=lambda _: None)
    begun = [os.path.getmtime(job.log) for job in planned]
    ended = [os.path.getmtime(f"{job.workdir}/boundary/task_01.done") for job in planned]
    assert ended[0] <= min(begun[1:]) and max(begun[1:]) < min(ended[1:])
    told = [open(job.log, encoding="utf-8").read().removeprefix("cores ") for job in planned[1:]]
    cores, threads = zip(*(text.rsplit(maxsplit=1) for text in told))
    cores = [set(json.loads(each)) for each in cores]
    assert not cores[0] & cores[1] and [len(each) for each in cores] == [int(each) for each in threads]


def test_time_left_goes_by_the_runs_of_the_same_label(tmp_path):
    planned = [_job(tmp_path, label, seed=seed) for seed in range(2) for label in "ab"]
    assert jobs.time_left(planned, planned) is None
    planned[0].keep(10, True)
    assert jobs.time_left(planned, planned[1:]) == 30
    planned[1].keep(40, True)
    planned[2].keep(4, False)
    assert jobs.time_left(planned, planned[2:]) == 6 + 40
    assert jobs.time_left(planned, planned[1:], {planned[1]}) == 10 - 4 + 10 + 0


@pytest.mark.parametrize("seconds, text", [(59, "59 s"), (719, "12 min"), (11_110, "3 h 5 min")])
def test_durations_are_short(seconds, text):
    assert jobs.duration(seconds) == text
