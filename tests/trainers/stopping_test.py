"""Signals that ask to stop."""

import signal
import subprocess
import sys

import pytest

from ltgans_tf.trainers import stopping
from tests import source_imports


@pytest.fixture
def handlers():
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    yield
    stopping.restore(kept)


def test_a_lost_terminal_asks_to_stop_like_the_others_unless_nohup_has_turned_it_off(handlers):
    heard = []
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # these tests may run under nohup
    before = stopping.on_signals(lambda number, _: heard.append(number))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.raise_signal(number)
    assert heard == [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
    stopping.restore(before)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    stopping.on_signals(lambda number, _: heard.append("again"))
    signal.raise_signal(signal.SIGHUP)
    assert len(heard) == 3


WAITS = """
import ctypes, signal
from ltgans_tf.trainers import stopping
stopping._TELL_EVERY = 0.1
stopping.on_signals(lambda number, _: None)
with stopping.ended_at_once("waits", "go on", LONGEST):
    mutex = ctypes.create_string_buffer(64)
    for _ in range(2):
        ctypes.PyDLL(None).pthread_mutex_lock(mutex)
"""


def _waits(longest):
    code = WAITS.replace("LONGEST", str(longest))
    return subprocess.Popen(
        [sys.executable, "-c", code], cwd=source_imports.ROOT, stdout=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_wait_in_c_code_that_holds_pythons_lock_is_told_of_and_ended(number):
    """A thread that locks a mutex of the C library twice waits without end."""
    process = _waits(60.0)
    assert [process.stdout.readline() for _ in range(2)] == ["waits\n"] * 2
    process.send_signal(number)
    out, _ = process.communicate(timeout=30)
    assert process.returncode == -number
    assert out.splitlines()[-1] == "go on"


def test_a_wait_that_lasts_too_long_is_ended_whatever_signals_the_c_code_catches():
    process = _waits(0.5)
    out, _ = process.communicate(timeout=30)
    assert process.returncode == -signal.SIGKILL
    assert out.splitlines()[-2:] == ["waits", "go on"]


def test_where_the_wait_ends_nothing_is_left_behind(handlers, capfd):
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        kept = signal.getsignal(signal.SIGTERM)
        with stopping.ended_at_once("waits", "go on", 60.0):
            assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
        assert signal.getsignal(signal.SIGTERM) == kept
    finally:
        signal.signal(signal.SIGTERM, before)
    assert "go on" not in capfd.readouterr().out
