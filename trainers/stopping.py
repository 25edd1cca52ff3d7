"""Handles signals that ask a training program to stop, also while it waits in C code."""

import contextlib
import os
import signal
import subprocess
import sys

_ASK = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_TELL_EVERY = 30  # seconds
# The program of a process that reports the waiting, kills its parent after too long a wait and, when the parent has
# died, says how to go on.
_BESIDE = """
import ctypes, os, signal, sys, time
parent, every, longest, waiting, ending = int(sys.argv[1]), *map(float, sys.argv[2:4]), *sys.argv[4:]
def say(text):
    try:
        os.write(1, (text + chr(10)).encode(errors="backslashreplace"))
    except OSError:
        pass
def leave(*_):
    say(ending)
    os._exit(0)
for number in (signal.SIGINT, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
signal.signal(signal.SIGTERM, leave)
getattr(ctypes.CDLL(None), 'prctl', lambda *_: None)(1, signal.SIGTERM)  # PR_SET_PDEATHSIG
if os.getppid() != parent:
    leave()
begin = time.monotonic()
while True:
    time.sleep(every)
    waited = time.monotonic() - begin
    say(waiting.format(waited))
    if waited >= longest:
        os.kill(parent, signal.SIGKILL)
"""


def on_signals(handler):
    """Installs `handler` for Ctrl-C, SIGTERM and a lost terminal (SIGHUP); under `nohup` SIGHUP stays ignored.

    Returns:
      {number: the handler before}, for `restore`.
    """
    nohup = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    return {number: signal.signal(number, handler) for number in _ASK if number != signal.SIGHUP or not nohup}


def ask(model):
    """Lets these signals ask `model`, a `LifelongModel`, to stop; returns a list to which their numbers are added."""
    heard = []

    def stop(number, _):
        heard.append(number)
        model.request_stop()

    on_signals(stop)
    return heard


def restore(handlers):
    """Restores the handlers that `on_signals` has replaced."""
    for number, handler in handlers.items():
        signal.signal(number, handler)


@contextlib.contextmanager
def ended_at_once(waiting, ending, longest):
    """Wraps C code that may wait without end and holds Python's lock, so that neither handlers nor threads run.

    Meanwhile a signal ends the process at once, unless the C code catches it. A second process says every half minute
    that this one waits, kills it (SIGKILL) after `longest`, and says how to go on if this one has died.

    Args:
      waiting: text that the second process prints while this one waits, with {:.0f} for the seconds.
      ending: text that the second process prints when this one has died.
      longest: most seconds to wait.
    """
    sys.stdout.flush()
    words = [str(os.getpid()), str(min(_TELL_EVERY, longest)), str(longest), waiting, ending]
    beside = subprocess.Popen([sys.executable, "-S", "-E", "-c", _BESIDE, *words], stdin=subprocess.DEVNULL)
    handlers = on_signals(signal.SIG_DFL)
    try:
        yield
    finally:
        restore(handlers)
        beside.kill()
        beside.wait()
