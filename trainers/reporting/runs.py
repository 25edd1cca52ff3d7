"""Reads the workdir of a run: rows of scores, settings, logs and pictures.

Reading needs no TensorFlow, no model and no data, and works at any time of the run.
"""

import functools
import os

from ltgans_tf import latest_json
from ltgans_tf.evaluation import row, scores
from ltgans_tf.files import jsonfiles, metrics_log
from ltgans_tf.settings import upgrades

TOGETHER = "all together"  # in place of a task's name, for scores of all tasks
_FRECHET = [name for name in scores.shown("verdict") if scores.SCORES[name].part == "distances"]
_STALE = 60  # seconds that a picture may be older than its boundary: copying a run takes a while


class Run:
    """A run, at its end or in the middle.

    Attributes:
      workdir: folder of the run.
      rows: `row.Row` of each task learnt, in their order.
    """

    def __init__(self, workdir, rows=None):
        """Reads the rows of `workdir`; if `rows` are given, this folder need not exist.

        Raises:
          ValueError: no folder, no row of scores in it, or a row of another format version.
        """
        if rows is None and not os.path.isdir(workdir):
            raise ValueError(f"there is no folder {workdir}; give the workdir of a run.")
        self.workdir = workdir
        self.rows = row.read_rows(workdir) if rows is None else rows

    def up_to(self, task_index):
        """Returns the run as it was after the task at `task_index`: Run."""
        return Run(self.workdir, [one for one in self.rows if one.after_task <= task_index])

    @property
    def name(self):
        """Name of the folder."""
        return os.path.basename(os.path.abspath(self.workdir))

    @property
    def last(self):
        """The newest row of scores."""
        return self.rows[-1]

    @property
    def tuning(self):
        """Whether the scores are on held-out training images, so that none is a test score."""
        return self.last.tuning

    @property
    def tasks(self):
        """Names of the tasks learnt."""
        return self.last.tasks

    @property
    def planned(self):
        """Specs of all tasks of the run, or [] if config.json is missing."""
        return self.config.get("stream", {}).get("specs", [])

    @functools.cached_property
    def matrices(self):
        """{name of the score: matrix.Matrix}."""
        return scores.score_matrix(self.rows)

    @property
    def union(self):
        """The scores of all tasks together in the last row."""
        return self.last.union

    def measured(self, place):
        """Returns the scores of one of `scores.PLACES` that the run has, of a task or of all together: list of str."""
        return [name for name in scores.shown(place) if name in self.matrices or name in self.union]

    @property
    def frechet(self):
        """Name of the Frechet distance that was measured, or None."""
        return next((name for name in self.measured("verdict") if name in _FRECHET), None)

    def with_one_frechet(self, names):
        """Returns `names` without the Frechet distances other than `frechet`: list of str."""
        return [name for name in names if name == self.frechet or name not in _FRECHET]

    def beside(self, name):
        """Returns the baselines of a score that the last row has: {task: number}."""
        found = {task: scores.SCORES[name].beside(own) for task, own in self.last.scores.items()}
        return {task: value for task, value in found.items() if value is not None}

    def reason(self, task, name):
        """Returns why the last row lacks a score of a task, or of all together for None: str, or None."""
        reasons = absent(self.last).get(task or TOGETHER, {})
        return reasons.get(name, reasons.get(scores.SCORES[name].part))

    @functools.cached_property
    def config(self):
        """Content of config.json, {} if it is missing."""
        found = self._read("config.json")
        return upgrades.complete(found, self.workdir) if found else found

    @functools.cached_property
    def environment(self):
        """Content of environment.json, {} if it is missing."""
        return self._read("environment.json")

    @functools.cached_property
    def exports(self):
        """Content of exports/latest.json, {} if it is missing."""
        return latest_json.read(os.path.join(self.workdir, "exports"))

    @property
    def flags(self):
        """Text of flags.txt, "" if it is missing."""
        path = os.path.join(self.workdir, "flags.txt")
        if not os.path.isfile(path):
            return ""
        with open(path, encoding="utf-8") as f:
            return f.read()

    @functools.cached_property
    def records(self):
        """The points of metrics.jsonl: list of dicts, [] if it is missing."""
        return metrics_log.read(os.path.join(self.workdir, metrics_log.NAME))

    @property
    def about(self):
        """Method, preset, recipe, seed, commit and number of weights, as far as they are known; the seed may be 0."""
        model, told = self.config.get("model", {}), self.last.about
        known = {key: told.get(key) for key in ("method", "preset", "recipe", "seed", "commit", "weights")}
        known |= {key: model.get(key) for key in ("method", "seed") if known[key] is None}
        return {key: value for key, value in known.items() if value is not None}

    def picture(self, name):
        """Returns the bytes of figures/<name>.png, or None if it is missing."""
        path = self._picture_path(name)
        if not os.path.isfile(path):
            return None
        with open(path, "rb") as f:
            return f.read()

    def is_old(self, name):
        """Whether figures/<name>.png is older than the end of the last task that has scores."""
        end = os.path.join(self.workdir, "boundary", f"task_{self.last.after_task:02d}.npz")
        if not os.path.isfile(end):
            return False
        return os.path.getmtime(self._picture_path(name)) < os.path.getmtime(end) - _STALE

    def _picture_path(self, name):
        return os.path.join(self.workdir, "figures", f"{name}.png")

    def _read(self, name):
        return jsonfiles.read_if_there(os.path.join(self.workdir, name))


def absent(row):
    """Returns what a `row.Row` of scores lacks: {task: {score or part of the evaluation: reason}}."""
    return {**row.absent, **({TOGETHER: row.union_absent} if row.union_absent else {})}
