"""Signals that ask a training program to stop, and how they are heard while it waits in C code."""

import contextlib
import os
import signal
import subprocess
import sys

_ASK = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_TELL_EVERY = 30  # seconds
# A process that tells of the waiting, ends its parent when it has waited for too long and, when the parent has died,
# says how to go on.
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
    """Installs `handler` for Ctrl-C, SIGTERM and a lost terminal; one that `nohup` has turned off stays off.

    Returns:
      {number: the handler before}, as `restore` takes it.
    """
    nohup = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    return {number: signal.signal(number, handler) for number in _ASK if number != signal.SIGHUP or not nohup}


def ask(model):
    """Lets these signals ask `model`, a `LifelongModel`, to stop; returns the list that their numbers are added to."""
    heard = []

    def stop(number, _):
        heard.append(number)
        model.request_stop()

    on_signals(stop)
    return heard


def restore(handlers):
    """Puts handlers back that `on_signals` has replaced."""
    for number, handler in handlers.items():
        signal.signal(number, handler)


@contextlib.contextmanager
def ended_at_once(waiting, ending, longest):
    """Around C code that may wait without end and holds Python's lock, so that neither handlers nor threads run.

    A signal ends the process meanwhile, by itself, unless the C code catches it. Another process says every half
    minute that this one waits, ends it with SIGKILL when it has waited for too long, and says in the end how to go on.

    Args:
      waiting: what is said, with {:.0f} for the seconds.
      ending: what is said when the process has been ended.
      longest: seconds to wait.
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
