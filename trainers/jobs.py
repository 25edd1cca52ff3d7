"""Runs `ltgans train` in separate processes, several of them side by side.

A file beside each workdir records how long the run took and, once it is finished, its flags. So a list of
runs can be stopped at any point, and later continues with the rest.
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
_KEEP = 10.0  # seconds between records of the time of a running process


@dataclasses.dataclass(frozen=True)
class Job:
    """One run to be trained.

    Attributes:
      label, seed: its name.
      workdir: its folder; this module writes <workdir>.log and <workdir>.json.
      flags: flags of `ltgans train`, without the workdir.
      tasks: number of its tasks.
    """

    label: str
    seed: int
    workdir: str
    flags: tuple[str, ...]
    tasks: int

    @property
    def name(self):
        """Name of the run in lines of progress."""
        return f"{self.label}, seed {self.seed}"

    @property
    def command(self):
        """The arguments of its process, beginning with the interpreter."""
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
        """File with the output of its process."""
        return f"{self.workdir}.log"

    @property
    def seconds(self):
        """Wall time of its processes so far."""
        return float(self._record().get("seconds", 0.0))

    def is_finished(self):
        """Whether it was trained to its end with these flags, including the boundary and scores of each task."""
        if self._record().get("finished") != list(self.flags):
            return False
        marks = [os.path.join(self.workdir, "boundary", f"task_{k:02d}.done") for k in range(self.tasks)]
        rows = [row.row_path(self.workdir, k) for k in range(self.tasks)]
        return all(os.path.isfile(path) for path in (*marks, *rows))

    def keep(self, seconds, finished):
        """Records the wall time and, if the process succeeded, its flags."""
        record = {"seconds": round(seconds, 1), "finished": list(self.flags) if finished else None}
        atomic.write_json(f"{self.workdir}.json", record)

    def last_line(self):
        """Returns the last line of its process's output, or ''."""
        if not os.path.isfile(self.log):
            return ""
        with open(self.log, encoding="utf-8", errors="replace") as f:
            lines = [line.strip() for line in f if line.strip()]
        return lines[-1] if lines else ""

    def _record(self):
        try:
            return jsonfiles.read_object(f"{self.workdir}.json")
        except (OSError, ValueError):  # missing or damaged: `ltgans train` finds out what is left to do
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
                start_new_session=True,  # so that Ctrl-C reaches it only once, from us
            )

    def _prepare(self):
        """Runs in the new process: sets its cores, and asks the kernel to end it with this program."""
        if self.cores:
            processes.keep_to(self.cores)
        processes.end_with_parent()

    @property
    def elapsed(self):
        return time.monotonic() - self.begin

    def keep(self):
        """Records the time, every few seconds and at the end."""
        if self.process.poll() is not None or self.elapsed - self.kept >= _KEEP:
            self.kept = self.elapsed
            self.job.keep(self.before + self.elapsed, self.process.poll() == 0)


def share_cores(cores, count):
    """Divides the cores into equal parts for `count` processes: list of tuples; cores left over stay unused.

    Raises:
      ValueError: more processes than cores.
    """
    cores = sorted(cores)
    if count > len(cores):
        raise ValueError(f"--jobs is {count} and there are {len(cores)} cores; give at most {len(cores)}.")
    size = len(cores) // count
    return [tuple(cores[i * size : (i + 1) * size]) for i in range(count)]


def run(jobs, side_by_side=1, say=print, ended=lambda job: None):
    """Runs those of `jobs` that are not finished, in order.

    Several processes share the cores of this one. The first runs alone until it has made the extractor, which the
    others then find in the cache. Signals that ask this program to stop are passed on to the running processes, and
    this function waits for these to end.

    Args:
      jobs: list of `Job`.
      side_by_side: number of processes at a time.
      say: called with one line for each run that has ended.
      ended: called with each job as soon as it is finished.

    Returns:
      ({job that failed: how it ended and its last line}, the signal that stopped the runs or None).

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
            if signals:  # a signal may have come while a process was started
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
    """Returns one line on a run that has ended, and on what is left."""
    left, total = len(waiting) + len(running), len(jobs)
    ended = f"FAILED ({failed[child.job]}; see {child.job.log})" if child.job in failed else "done"
    line = f"[{total - left}/{total}] {child.job.name}: {ended} in {duration(child.job.seconds)}"
    seconds = time_left(jobs, [*waiting, *(each.job for each in running)], failed)
    if not left or seconds is None:
        return line
    return f"{line}; {left} left, about {duration(seconds / side_by_side)}"


def time_left(jobs, left, failed=()):
    """Estimates the seconds that the jobs of `left` take one after another; None before any job is finished.

    The estimate is from the times of the finished jobs, only of those with the same label if there are any.
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
    """Formats seconds: '59 s', '12 min', '3 h 5 min'."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
