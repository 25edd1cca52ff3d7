"""What the programs ask of the operating system for their processes, where Linux and macOS differ."""

import ctypes
import os
import resource
import signal
import sys

_PR_SET_PDEATHSIG = 1


def cores():
    """The cores that this process may use: set of int."""
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))


def keep_to(some):
    """Keeps this process to `some` of its cores, an iterable of int; macOS cannot."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, some)


def end_with_parent():
    """Has this process end by SIGTERM when its parent ends; macOS cannot, so there it goes on."""
    if prctl := getattr(ctypes.CDLL(None), "prctl", None):
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def peak_memory():
    """The most memory that this process has held, in GiB."""
    unit = 1 if sys.platform == "darwin" else 1024  # bytes of ru_maxrss
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30
