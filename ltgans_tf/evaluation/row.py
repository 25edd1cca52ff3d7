"""Rows of scores: a row holds the scores of one evaluation and is stored in a file.

Each boundary writes one row, eval/task_00/scores.json; `read_rows` reads the rows of a run.
"""

import dataclasses
import os
import re

from ltgans_tf.files import atomic, jsonfiles

FORMAT_VERSION = 2
_FILE = "scores.json"
_OF_SEED = "extractor_seed"  # prefix of the keys for further extractors in a file
_OPTIONAL = ("inception", "kept")  # keys that a file omits if their value is None


def _empty(kind=dict):
    return dataclasses.field(default_factory=kind)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """The scores of each task learnt and of all together, and what they were measured on.

    Attributes:
      after_task: index of the task learnt last, from 0 on.
      task: name of that task.
      step: generator updates so far.
      protocol, protocol_text: a key of `evaluator_settings.PROTOCOLS` and what it says.
      tuning: whether the test images are a held-out tenth of the training part, see `TaskStream`.
      about: preset, recipe, method, seed, commit, weights and version of the package.
      extractor: description of the extractor of the distances, with its 'sha256'; None without one.
      inception: the same for the Inception network; None without one.
      of_seeds: {seed: the same} for the extractors of other seeds.
      settings: of the evaluation.
      data: {task: counts and hashes of its images}.
      notes: sentences on images that have changed.
      scores: {task: {score: number}}; `scores.SCORES` says what each number is.
      absent: {task: {score or part: reason}}.
      union, union_absent: {score: number} and {score or part: reason} of all tasks together.
      seconds: {part: seconds}.
      kept: what was taken from an earlier row of the same state: that row's 'settings', and 'scores' as {task,
        or '' for all tasks: names}; None if nothing was.
    """

    after_task: int
    task: str
    step: int = 0
    protocol: str = ""
    protocol_text: str = ""
    tuning: bool = False
    about: dict = _empty()
    extractor: dict | None = None
    inception: dict | None = None
    of_seeds: dict = _empty()
    settings: dict = _empty()
    data: dict = _empty()
    notes: list = _empty(list)
    scores: dict
    absent: dict = _empty()
    union: dict = _empty()
    union_absent: dict = _empty()
    seconds: dict = _empty()
    kept: dict | None = None

    @classmethod
    def from_json(cls, found):
        """Makes a row from a dict that `as_json` returned, or that an earlier version wrote.

        Raises:
          ValueError: scores are missing, or something is of a wrong type.
        """
        known = {field.name: found[field.name] for field in dataclasses.fields(cls) if field.name in found}
        seeds = {
            int(m.group(1)): name for name in found if (m := re.fullmatch(rf"{_OF_SEED}(\d{{1,9}})", name))
        }
        known["of_seeds"] = {seed: found[name] for seed, name in seeds.items()}
        if not _has_scores(known):
            raise ValueError("after_task and scores are not those of a row")
        known.setdefault("task", list(known["scores"])[-1])
        for field in dataclasses.fields(cls):
            if field.name in known and not isinstance(known[field.name], field.type):
                raise ValueError(f"{field.name} is {known[field.name]!r}")
        return cls(**known)

    @classmethod
    def load(cls, path):
        """Reads the row in a file; raises a ValueError if it is damaged or of another format version."""
        try:
            found = jsonfiles.read_object(path, FORMAT_VERSION, oldest=FORMAT_VERSION)
            try:
                return cls.from_json(found)
            except ValueError as error:
                raise jsonfiles.damaged(path, error) from error
        except ValueError as error:
            raise ValueError(f"{error} Or evaluate the run again.") from error

    def save(self, path):
        """Writes the file of this row atomically; makes the folder if it does not exist."""
        atomic.write_json(path, self.as_json())

    def as_json(self):
        """Returns the content of the row's file, a dict."""
        found = {"format_version": FORMAT_VERSION}
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name == "of_seeds":
                found |= {f"{_OF_SEED}{seed}": about for seed, about in value.items()}
            elif value is not None or field.name not in _OPTIONAL:
                found[field.name] = value
        return found

    @property
    def tasks(self):
        """Names of the tasks learnt, a list."""
        return list(self.scores)


def _has_scores(known):
    """Whether every task that was learnt has scores, each a number or None."""
    index, found = known.get("after_task"), known.get("scores")
    if type(index) is not int or index < 0 or not isinstance(found, dict) or len(found) != index + 1:
        return False
    groups = [*found.values(), known.get("union", {})]
    return all(isinstance(group, dict) for group in groups) and all(
        value is None or type(value) in (int, float) for group in groups for value in group.values()
    )


def read_rows(workdir):
    """Reads the rows of a run in the order of its tasks: list of `Row`.

    Raises:
      ValueError: no row is there, or one is damaged or of another format version.
    """
    folder = os.path.join(workdir, "eval")
    names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    paths = [os.path.join(folder, name, _FILE) for name in names if re.fullmatch(r"task_\d+", name)]
    rows = [Row.load(path) for path in paths if os.path.isfile(path)]
    if not rows:
        raise ValueError(
            f"{workdir} has no scores (eval/task_00/{_FILE}); train there first, or name the workdir of a run."
        )
    return sorted(rows, key=lambda row: row.after_task)


def row_path(workdir, task_index):
    """Returns the path of the row after the task at `task_index`."""
    return os.path.join(workdir, "eval", f"task_{task_index:02d}", _FILE)
