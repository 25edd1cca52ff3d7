"""Signals that ask a training program to stop, and how they are heard while it waits in C code."""

import contextlib
import os
import signal
import threading

_ASK = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def on_signals(handler):
    """Installs `handler` for Ctrl-C, SIGTERM and a lost terminal; one that `nohup` has turned off stays off.

    Returns:
      {number: the handler before}, as `restore` takes it.
    """
    nohup = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    return {number: signal.signal(number, handler) for number in _ASK if number != signal.SIGHUP or not nohup}


def restore(handlers):
    """Puts handlers back that `on_signals` has replaced."""
    for number, handler in handlers.items():
        signal.signal(number, handler)


@contextlib.contextmanager
def heard_at_once(leave):
    """Where C code may wait without end, so that Python's handlers do not run: calls leave(number, None) then.

    Args:
      leave: ends the process; called in another thread.
    """
    ears, mouth = os.pipe()
    os.set_blocking(mouth, False)
    before = signal.set_wakeup_fd(mouth, warn_on_full_buffer=False)
    listener = threading.Thread(target=_listen, args=(ears, leave), daemon=True)
    listener.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        os.close(mouth)
        listener.join()
        os.close(ears)


def _listen(ears, leave):
    while number := os.read(ears, 1):
        if number[0] in _ASK:
            leave(number[0], None)
