"""What the programs ask of the operating system, also on one that lacks what Linux has."""

import os
import subprocess
import sys

import pytest

from ltgans_tf.trainers import processes

# A child that asks to end with its parent; the parent says its number and is killed.
_PARENT = """
import os, signal, subprocess, sys
from ltgans_tf.trainers import processes
child = subprocess.Popen(["sleep", "60"], preexec_fn=processes.end_with_parent, stdout=subprocess.DEVNULL)
print(child.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_cores_are_those_that_this_process_may_use():
    script = "import os; os.sched_setaffinity(0, {0}); from ltgans_tf.trainers import processes; print(processes.cores())"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == "{0}\n", done.stderr


def test_where_a_process_cannot_be_kept_to_cores_it_has_all_of_them(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.delattr(os, "sched_setaffinity")
    processes.keep_to({0})
    assert processes.cores() == set(range(os.cpu_count()))


def test_a_process_ends_with_its_parent():
    done = subprocess.run([sys.executable, "-c", _PARENT], capture_output=True, text=True)
    child = int(done.stdout)
    with pytest.raises(ProcessLookupError):
        for _ in range(1000):
            os.kill(child, 0)
            subprocess.run(["sleep", "0.01"])


def test_where_a_process_cannot_ask_to_end_with_its_parent_it_goes_on(monkeypatch):
    monkeypatch.setattr(processes.ctypes, "CDLL", lambda _: object())
    processes.end_with_parent()


@pytest.mark.parametrize(("platform", "unit"), [("linux", 1024), ("darwin", 1)])
def test_the_peak_memory_is_told_in_gib_on_each_system(monkeypatch, platform, unit):
    class Usage:
        ru_maxrss = 3 * 2**30 // unit

    monkeypatch.setattr(processes.sys, "platform", platform)
    monkeypatch.setattr(processes.resource, "getrusage", lambda _: Usage)
    assert processes.peak_memory() == 3.0
