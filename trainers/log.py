"""Writes the messages of a training program to the terminal and to log.txt of the workdir."""

import logging
import os
import sys
import time


class _Warnings(logging.Handler):
    def __init__(self, lines):
        super().__init__(logging.WARNING)
        self._lines = lines

    def emit(self, record):
        self._lines(f"warning: {record.getMessage()}")


def say_warnings(lines):
    """Sends the warnings of the library to `lines`, and not to stderr."""
    logger = logging.getLogger("ltgans_tf")
    logger.addHandler(_Warnings(lines))
    logger.propagate = False


class Lines:
    """Writes lines to the terminal and to log.txt; progress stays on one line of a terminal."""

    def __init__(self, workdir):
        self._path = os.path.join(workdir, "log.txt")
        self.begin = time.monotonic()
        self.first_step = None
        self._waiting = []  # lines for log.txt until the workdir is ours
        self._kept = False
        self._open_line = False
        self._last_progress = None

    def keep(self):
        """Starts to write lines to log.txt too, with the earlier ones first."""
        self._kept, waiting, self._waiting = True, self._waiting, []
        for line in waiting:
            self._log(line)

    def __call__(self, text):
        print(("\n" if self._open_line else "") + text, flush=True)
        self._open_line = False
        self._log(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}\n")

    def progress(self, text):
        """Shows a line on the training, which the next line replaces."""
        if self.first_step is None:
            self.first_step = time.monotonic()
            self(f"first step {self.first_step - self.begin:.1f} s after the start")
        self.passing(text)

    def passing(self, text):
        """Shows a line that the next line replaces; without a terminal, and in the log, at most one line in 30 s."""
        now = time.monotonic()
        due = self._last_progress is None or now - self._last_progress >= 30
        if sys.stdout.isatty():
            print(f"\r{text:<100}", end="", flush=True)
            self._open_line = True
        elif due:
            print(text, flush=True)
        if due:
            self._last_progress = now
            self._log(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}\n")

    def _log(self, line):
        if not self._kept:
            self._waiting.append(line)
            return
        with open(self._path, "a", encoding="utf-8") as f:
            f.write(line)
