"""Runs of `ltgans train` as processes of their own, some of them side by side.

What a run is, whether it is finished and how long it took stand beside its workdir, so that a list
of them can be broken off at any point and goes on with what is left.
"""

import dataclasses
import os
import subprocess
import sys
import time

from ltgans_tf.evaluation import row
from ltgans_tf.files import atomic, jsonfiles
from ltgans_tf.trainers import processes, stopping

_POLL = 0.2  # seconds between looks at the processes
_KEEP = 10.0  # seconds after which the time of a running process is written down again


@dataclasses.dataclass(frozen=True)
class Job:
    """One run to be trained.

    Attributes:
      label, seed: what it is called.
      workdir: its folder; <workdir>.log and <workdir>.json are this module's.
      flags: of `ltgans train`, without the workdir.
      tasks: how many it has.
    """

    label: str
    seed: int
    workdir: str
    flags: tuple[str, ...]
    tasks: int

    @property
    def name(self):
        """What lines of progress call it."""
        return f"{self.label}, seed {self.seed}"

    @property
    def command(self):
        """The arguments of its process, from the interpreter on."""
        return [
            sys.executable,
            "-m",
            "ltgans_tf.trainers.train",
            *self.flags,
            "--nopush",
            f"--workdir={self.workdir}",
        ]

    @property
    def log(self):
        """File with what its process said."""
        return f"{self.workdir}.log"

    @property
    def seconds(self):
        """Wall time of its processes so far."""
        return float(self._record().get("seconds", 0.0))

    def is_finished(self):
        """Whether it was trained to its end with these flags, all that belongs to each task included."""
        if self._record().get("finished") != list(self.flags):
            return False
        marks = [os.path.join(self.workdir, "boundary", f"task_{k:02d}.done") for k in range(self.tasks)]
        rows = [row.row_path(self.workdir, k) for k in range(self.tasks)]
        return all(os.path.isfile(path) for path in (*marks, *rows))

    def keep(self, seconds, finished):
        """Writes down the wall time and, of a process that ended well, with which flags it did."""
        record = {"seconds": round(seconds, 1), "finished": list(self.flags) if finished else None}
        atomic.write_json(f"{self.workdir}.json", record)

    def last_line(self):
        """The last line that its process said, or ''."""
        if not os.path.isfile(self.log):
            return ""
        with open(self.log, encoding="utf-8", errors="replace") as f:
            lines = [line.strip() for line in f if line.strip()]
        return lines[-1] if lines else ""

    def _record(self):
        try:
            return jsonfiles.read_object(f"{self.workdir}.json")
        except (OSError, ValueError):  # missing or damaged: then the run itself has to tell
            return {}


class _Child:
    """The process of a job."""

    def __init__(self, job, cores):
        self.job, self.cores = job, cores
        self.before, self.begin = job.seconds, time.monotonic()
        self.kept = 0.0
        os.makedirs(os.path.dirname(job.workdir), exist_ok=True)
        environment = dict(os.environ)
        if cores:
            environment["TF_NUM_INTRAOP_THREADS"] = str(len(cores))
        with open(job.log, "a", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                job.command,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                preexec_fn=self._prepare,
                start_new_session=True,  # Ctrl-C comes from us, once
            )

    def _prepare(self):
        """In the process itself: takes its cores, and asks to be ended with this program."""
        if self.cores:
            processes.keep_to(self.cores)
        processes.end_with_parent()

    @property
    def elapsed(self):
        return time.monotonic() - self.begin

    def keep(self):
        """Writes the time down, from time to time and at the end."""
        if self.process.poll() is not None or self.elapsed - self.kept >= _KEEP:
            self.kept = self.elapsed
            self.job.keep(self.before + self.elapsed, self.process.poll() == 0)


def share_cores(cores, count):
    """Equal parts of the cores for `count` processes: list of tuples; those left over go unused.

    Raises:
      ValueError: more processes than cores.
    """
    cores = sorted(cores)
    if count > len(cores):
        raise ValueError(f"--jobs is {count} and there are {len(cores)} cores; give at most {len(cores)}.")
    size = len(cores) // count
    return [tuple(cores[i * size : (i + 1) * size]) for i in range(count)]


def run(jobs, side_by_side=1, say=print, ended=lambda job: None):
    """Runs what is not finished of `jobs`, in their order.

    Several processes share the cores of this one. The first is alone until it has made the extractor,
    which the others then find in the cache. What asks this program to stop is passed on, and what runs is waited for.

    Args:
      jobs: list of `Job`.
      side_by_side: so many at a time.
      say: called with one line for each run that has ended.
      ended: called with each job that has ended well, at once.

    Returns:
      ({job that failed: the last line it said}, the signal that ended it all or None).

    Raises:
      ValueError: more processes than cores.
    """
    free = share_cores(processes.cores(), side_by_side) if side_by_side > 1 else [()]
    waiting, running, failed, signals = [j for j in jobs if not j.is_finished()], [], {}, []

    def stop(number, _):
        signals.append(number)
        for child in running:
            child.process.send_signal(number)

    handlers = stopping.on_signals(stop)
    try:
        while running or (waiting and not signals):
            while waiting and free and not signals and (not running or _has_extractor(jobs)):
                running.append(_Child(waiting.pop(0), free.pop(0)))
            if signals:  # one may have come while a process was started
                for child in running:
                    child.process.send_signal(signals[-1])
            time.sleep(_POLL)
            for child in list(running):
                child.keep()
                if child.process.poll() is not None:
                    running.remove(child)
                    free.append(child.cores)
                    if child.process.returncode and not signals:
                        failed[child.job] = _why(child)
                    if child.job.is_finished():
                        ended(child.job)
                    if not signals:
                        say(_progress(child, jobs, failed, running, waiting, side_by_side))
    finally:
        stopping.restore(handlers)
    return failed, signals[0] if signals else None


def _has_extractor(jobs):
    return any(os.path.isfile(os.path.join(job.workdir, "eval", "extractor.npz")) for job in jobs)


def _why(child):
    code = child.process.returncode
    ended = f"ended by signal {-code}" if code < 0 else f"exit status {code}"
    return f"{ended}: {child.job.last_line() or 'it said nothing'}"


def _progress(child, jobs, failed, running, waiting, side_by_side):
    """One line on a run that has ended, and on what is left."""
    left, total = len(waiting) + len(running), len(jobs)
    ended = f"FAILED ({failed[child.job]}; see {child.job.log})" if child.job in failed else "done"
    line = f"[{total - left}/{total}] {child.job.name}: {ended} in {duration(child.job.seconds)}"
    seconds = time_left(jobs, [*waiting, *(each.job for each in running)], failed)
    if not left or seconds is None:
        return line
    return f"{line}; {left} left, about {duration(seconds / side_by_side)}"


def time_left(jobs, left, failed=()):
    """Seconds that the jobs of `left` will take one after another, or None before any is finished.

    From the time of the finished ones, those of the same label where there are any.
    """
    known = {}
    for job in jobs:
        if job not in left and job not in failed and job.seconds:
            known.setdefault(job.label, []).append(job.seconds)
    if not known:
        return None
    every = [seconds for each in known.values() for seconds in each]
    wanted = [known.get(job.label, every) for job in left]
    return sum(max(0.0, sum(each) / len(each) - job.seconds) for each, job in zip(wanted, left))


def duration(seconds):
    """'59 s', '12 min', '3 h 5 min'."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
