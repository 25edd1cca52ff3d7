"""Measures one piece after another: its scores, or why they are absent, and the time it took."""

import dataclasses
import time

from ltgans_tf.evaluation import distances, scores


@dataclasses.dataclass(frozen=True)
class Measured:
    """The result of one measurement.

    Attributes:
      part: one of `scores.PARTS`; '' for scores that a model reports itself.
      task: name of the task, or None for all tasks together.
      scores: {score: number}.
      absent: {score or part: reason}.
      seconds: time that it took; None if it was not begun.
    """

    part: str
    task: str | None
    scores: dict = dataclasses.field(default_factory=dict)
    absent: dict = dataclasses.field(default_factory=dict)
    seconds: float | None = None


class Clock:
    """Measures until the time is over.

    Args:
      names: of the tasks.
      max_seconds: time for all of it, or None.
      progress: called with a line of text before each piece.
      out_of_turn: {name of a task: why it is not measured in full}; of these tasks only `scores.JUDGED` is measured.
    """

    def __init__(self, names, max_seconds, progress, out_of_turn=None):
        self._names, self._limit, self._progress = names, max_seconds, progress
        self._out_of_turn = out_of_turn or {}
        self._begin = time.monotonic()

    def measure(self, part, task, function, keys=None):
        """Calls `function` and measures the time.

        Args:
          part, task: see `Measured`.
          function: function without arguments that returns {score: number} or raises `distances.Absent`.
          keys: scores that are absent if `function` raises; None for the part as a whole.

        Returns:
          `Measured`.
        """
        keys, begin = keys or [part], time.monotonic()
        if task in self._out_of_turn and scores.JUDGED.isdisjoint(keys):
            return Measured(part, task, absent=dict.fromkeys(keys, self._out_of_turn[task]))
        if self._limit is not None and begin - self._begin > self._limit:
            reason = f"The time limit of the evaluation, {self._limit:g} s, was reached."
            return Measured(part, task, absent=dict.fromkeys(keys, reason))
        place = f" {task} ({self._names.index(task) + 1}/{len(self._names)})" if task else ""
        self._progress(f"evaluating{place}: {', '.join(keys)}")
        try:
            found, absent = function(), {}
        except distances.Absent as error:
            found, absent = {}, dict.fromkeys(keys, str(error))
        return Measured(part, task, found, absent, time.monotonic() - begin)


def collect(names, measured):
    """Sorts measurements by task, into the fields of a `row.Row` that hold scores.

    Args:
      names: of the tasks.
      measured: list of `Measured`; if a score occurs twice, the later one counts.

    Returns:
      {'scores', 'absent', 'union', 'union_absent', 'seconds'}, see `row.Row`.
    """
    scores, absent, seconds = {name: {} for name in [*names, None]}, {}, {}
    for each in measured:
        scores[each.task] |= each.scores
        if each.absent:
            absent[each.task] = absent.get(each.task, {}) | each.absent
        if each.seconds is not None:
            seconds[each.part] = seconds.get(each.part, 0.0) + each.seconds
    return {
        "union": scores.pop(None),
        "scores": scores,
        "union_absent": absent.pop(None, {}),
        "absent": absent,
        "seconds": {part: round(spent, 2) for part, spent in seconds.items()},
    }
