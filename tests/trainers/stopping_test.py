"""Signals that ask to stop."""

import signal
import subprocess
import sys
import threading

import pytest

from tests import source_imports
from trainers import stopping


@pytest.fixture
def handlers():
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    yield
    stopping.restore(kept)


def test_a_lost_terminal_asks_to_stop_like_the_others_unless_nohup_has_turned_it_off(handlers):
    heard = []
    before = stopping.on_signals(lambda number, _: heard.append(number))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.raise_signal(number)
    assert heard == [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
    stopping.restore(before)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    stopping.on_signals(lambda number, _: heard.append("again"))
    signal.raise_signal(signal.SIGHUP)
    assert len(heard) == 3


def test_a_signal_is_heard_while_c_code_waits():
    """A thread that locks a mutex of the C library twice waits without end, whatever Python's handlers do."""
    program = (
        "import ctypes, os, signal\n"
        "from trainers import stopping\n"
        "stopping.on_signals(lambda number, _: None)\n"
        "with stopping.heard_at_once(lambda number, _: os._exit(128 + number)):\n"
        "    print('waits', flush=True)\n"
        "    mutex = ctypes.create_string_buffer(64)\n"
        "    for _ in range(2): ctypes.CDLL(None).pthread_mutex_lock(mutex)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program], cwd=source_imports.ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "waits\n"
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 128 + signal.SIGTERM


def test_without_a_signal_nothing_is_left_behind(handlers):
    before = threading.active_count()
    with stopping.heard_at_once(lambda *_: None):
        pass
    assert threading.active_count() == before
    assert signal.set_wakeup_fd(-1) == -1
