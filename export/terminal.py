"""Lets a program continue when it can no longer write to its terminal."""

import io
import os
import select
import sys


def never_fail():
    """Makes writes to stdout and stderr never fail; call it at the start of a program.

    Output is dropped once it cannot be written: the pipe was closed (`| head`), the terminal is gone, the disk is full.
    Characters that the encoding lacks become escapes. A descriptor that was closed before the start is opened on
    /dev/null, so that no file of the program gets its number. Streams that a test has replaced stay as they are.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            _drop(descriptor)
    for descriptor, name in ((1, "stdout"), (2, "stderr")):
        stream = getattr(sys, name)
        if stream is getattr(sys, f"__{name}__") and not isinstance(_raw(stream), _Descriptor):
            setattr(sys, name, _wrapped(descriptor, stream))


def _raw(stream):
    return getattr(getattr(stream, "buffer", None), "raw", None)


def _wrapped(descriptor, stream):
    raw = io.BufferedWriter(_Descriptor(descriptor))
    if stream is None:
        return io.TextIOWrapper(raw, "utf-8", "backslashreplace", line_buffering=True)
    with_each = {"line_buffering": stream.line_buffering, "write_through": stream.write_through}
    return io.TextIOWrapper(raw, stream.encoding, "backslashreplace", **with_each)


class _Descriptor(io.RawIOBase):
    """A file descriptor to write to; after its first failure it writes to /dev/null."""

    def __init__(self, descriptor):
        super().__init__()
        self._descriptor = descriptor

    def writable(self):
        return True

    def fileno(self):
        return self._descriptor

    def isatty(self):
        return os.isatty(self._descriptor)

    def write(self, data):
        while True:
            try:
                return os.write(self._descriptor, data)
            except BlockingIOError:  # another program made the terminal non-blocking
                select.select([], [self._descriptor], [])
            except OSError:
                _drop(self._descriptor)
                return len(data)


def _drop(descriptor):
    null = os.open(os.devnull, os.O_RDWR)
    if null != descriptor:
        os.dup2(null, descriptor)
        os.close(null)
