"""Hides the notes that TensorFlow 2.21 prints on import, which no log level stops (TensorFlow issue 100442)."""

import contextlib
import os
import re
import sys
import tempfile

# A log line of C++ code, in the newer and the older format, and the line that precedes the first newer one.
_NOTE = re.compile(
    rb"[IWE]\d{4} |\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+: [IWE] |WARNING: All log messages before absl::"
)


@contextlib.contextmanager
def hidden():
    """Keeps the log of C++ code out of stderr, in a `with` statement around an import of TensorFlow.

    Other lines are printed at the end; if the import fails, all lines are. Nothing is hidden if TensorFlow is already
    imported, if TF_CPP_MIN_LOG_LEVEL is below 2, if stderr is closed or if there is no folder for temporary files.
    """
    if "tensorflow" in sys.modules or os.environ.get("TF_CPP_MIN_LOG_LEVEL", "0") in ("0", "1"):
        yield
        return
    with contextlib.ExitStack() as undone:
        try:
            notes = undone.enter_context(tempfile.TemporaryFile())
            stderr = os.dup(2)
        except OSError:
            yield
            return
        undone.callback(os.close, stderr)
        _flush()
        os.dup2(notes.fileno(), 2)
        imported = False
        try:
            yield
            imported = True
        finally:
            _flush()
            os.dup2(stderr, 2)
            notes.seek(0)
            os.write(2, b"".join(line for line in notes if not (imported and _NOTE.match(line))))


def _flush():
    if sys.stderr is not None:  # pythonw has none
        sys.stderr.flush()
