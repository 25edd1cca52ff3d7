"""A process of `ltgans train` whose phase can be told from outside, by its words and its workdir."""

import glob
import os
import pty
import re
import subprocess
import sys
import threading
import time

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class WatchedRun:
    """Starts `ltgans train` on a terminal of its own, where it tells of all that it does.

    Args:
      workdir: of the run; beside it <workdir>.temporary is its folder for temporary files.
      arguments: flags without the workdir.
      cache: folder of trained extractors.

    Attributes:
      said: what it has written so far, stdout and stderr together.
      temporary: its folder for temporary files.
      arguments: as given.
    """

    def __init__(self, workdir, arguments, cache):
        self.workdir, self.said, self.temporary = workdir, "", f"{workdir}.temporary"
        self.arguments = tuple(arguments)
        os.makedirs(self.temporary, exist_ok=True)
        self._before = set(self._staging())
        self.begin = time.time()
        self._terminal, end = pty.openpty()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "ltgans_tf.trainers.train", *arguments, f"--workdir={workdir}"],
            cwd=_ROOT,
            stdin=subprocess.DEVNULL,
            stdout=end,
            stderr=end,
            env={**os.environ, "XDG_CACHE_HOME": cache, "TMPDIR": self.temporary},
            start_new_session=True,
        )
        os.close(end)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        while True:
            try:
                part = os.read(self._terminal, 65536)
            except OSError:  # how a terminal ends once nobody holds its other end
                part = b""
            if not part:
                os.close(self._terminal)
                return
            self.said += part.decode(errors="replace")

    def is_running(self):
        return self._process.poll() is None

    def pause(self, seconds):
        """Waits, at most until the process has ended."""
        end = time.monotonic() + seconds
        while self.is_running() and (left := end - time.monotonic()) > 0:
            time.sleep(min(left, 0.05))

    def wait(self, seconds):
        """Waits for the end of the process, which is killed after so long; returns its status."""
        try:
            status = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            status = self._process.wait()
        self._reader.join(5)  # a trial of an export may hold the terminal longer than its parent lives
        return status

    def end(self, number, seconds):
        """Sends a signal and waits for the end: (status, what that took in s, of which the processor was another's).

        On a busy machine the latter is most of it; it is the main thread's alone, so rather too little.
        """
        begin, before = time.monotonic(), self._kept_waiting()
        waited = before
        self._process.send_signal(number)
        while self.is_running() and time.monotonic() - begin < seconds:
            waited = self._kept_waiting() or waited
            time.sleep(0.02)
        taken = time.monotonic() - begin
        return self.wait(0 if self.is_running() else seconds), round(taken, 2), round(waited - before, 2)

    def _kept_waiting(self):
        """Seconds that the main thread was ready to run and did not, so far; 0 once it has ended."""
        try:
            with open(f"/proc/{self._process.pid}/schedstat", encoding="ascii") as f:
                return int(f.read().split()[1]) * 1e-9
        except (OSError, IndexError):  # the process is gone
            return 0.0

    def last_line(self):
        """The last line that it wrote, or ''."""
        return next((line for line in reversed(self._lines()) if line), "")

    def newest_checkpoint(self):
        """Name of the newest checkpoint in the workdir, or None."""
        found = glob.glob(os.path.join(glob.escape(self.workdir), "checkpoints", "task_*"))
        return os.path.basename(max(found)) if found else None

    def phase(self):
        """What the process is at: one word, see `tests.hostile.faults`."""
        staging = [os.path.relpath(path, self.workdir) for path in set(self._staging()) - self._before]
        if any(path.startswith("checkpoints") for path in staging):
            return "checkpoint"
        if any(path.startswith("exports") for path in staging):
            return "export"
        told = [
            (found.start(), phase)
            for phase, pattern in _TELLS.items()
            for found in list(re.finditer(pattern, self.said))[-1:]
        ]
        phase = max(told)[1] if told else "imports"
        if phase == "building" and self._written("flags.txt"):
            return "tracing"  # fit has begun
        if phase == "steps" and (steps := re.findall(r"step (\d+)/(\d+)", self.said)):
            return "boundary" if steps[-1][0] == steps[-1][1] else "steps"
        if phase == "after a task":
            learnt, planned = re.findall(r"after task (\d+)", self.said)[-1], self._planned()
            return "ending" if int(learnt) == planned else "tracing"
        return phase

    def _planned(self):
        return len(re.findall("npz:", " ".join(self._process.args)))

    def _written(self, name):
        """Whether this process has written a file of the workdir."""
        path = os.path.join(self.workdir, name)
        return os.path.exists(path) and os.path.getmtime(path) >= self.begin

    def _staging(self):
        """Folders in which something is being written, or was when a process died."""
        return glob.glob(os.path.join(glob.escape(self.workdir), "checkpoints", ".tmp-*")) + glob.glob(
            os.path.join(glob.escape(self.workdir), "exports", "*", ".tmp-*")
        )

    def _lines(self):
        return [line.strip() for line in re.split(r"[\r\n]+", self.said)]


# What a phase is told by; the one that was told last holds.
_TELLS = {
    "building": r"devices: ",
    "extractor": r"training the extractor",
    "prepared": r"extractor, \d+ s",
    "steps": r"task \d+/\d+ \S+  step \d+/\d+",
    "evaluation": r"evaluating ",
    "after a task": r"after task \d+ ",
    "ending": r"time: \d+ s",
}
