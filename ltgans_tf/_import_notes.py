"""The notes that TensorFlow 2.21 prints while it is imported: no log level stops them (its issue 100442)."""

import contextlib
import os
import re
import sys
import tempfile

# A line of the log of C++ code, in its two forms, and the line before the first of the newer form.
_NOTE = re.compile(
    rb"[IWE]\d{4} |\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+: [IWE] |WARNING: All log messages before absl::"
)


@contextlib.contextmanager
def hidden():
    """Keeps the log of C++ code out of stderr, in a `with` statement around an import of TensorFlow.

    Other lines are printed at the end, and all lines if the import fails. Nothing is hidden if TensorFlow is there
    already, if TF_CPP_MIN_LOG_LEVEL is below 2, if stderr is closed or there is no folder for temporary files.
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
