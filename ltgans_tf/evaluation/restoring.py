"""Makes lost or damaged files of an evaluator again, extractor and references, if the result is the same.

Each row of scores names the extractor that it was measured on and the images that it compared with. So a remade
file is checked against the rows; if it differs, it is not used, and the reason is given.
"""

import logging
import os

from ltgans_tf.evaluation import distances, references, row
from ltgans_tf.files import jsonfiles

_log = logging.getLogger(__name__)
_COMPARED = ("fingerprint", "test_fingerprint")


def known_extractor(workdir):
    """Returns the newest row's description of the extractor that it was measured on, a dict; None if no row has one."""
    found = [one.extractor for one in _rows(workdir) if one.extractor]
    return found[-1] if found else None


def extractor(path, known, made, train):
    """Makes the extractor of earlier rows again after its file was lost or damaged.

    Args:
      path: path of its file.
      known: what `known_extractor` returns.
      made: extractors that exist already (or None); one may be the one needed.
      train: function that is called with `known` and trains an extractor on the same images.

    Raises:
      distances.Absent: the images are gone, or training on the present ones gives another extractor.
    """
    lost = f"{path}, the extractor that earlier rows were measured on, is missing or damaged"
    for found in made:
        if found is not None and found.sha256 == known["sha256"]:
            return found
    try:
        found = train(known)
    except (ValueError, KeyError) as error:
        raise distances.Absent(f"{lost}, and its images cannot be read: {error}") from error
    if found.sha256 != known["sha256"]:
        raise distances.Absent(f"{lost}, and training gives another one; restore it from a backup.")
    _log.warning("%s; it was made again, the same bits.", lost)
    return found


def load_reference(workdir, task, learnt):
    """Loads the reference of a task, or says why a past task has none.

    Returns:
      (`references.Reference` or None, reason); the reason is '' unless a past task has no reference.
    """
    path = references.path_of(workdir, task.index)
    try:
        kept = references.load(workdir, task.index)
    except jsonfiles.Damaged as error:
        kept, reason = None, str(error).rstrip(".")
    else:
        reason = "" if kept else f"{path} is missing"
    return kept, reason if task.index < learnt - 1 else ""


def keep_references(workdir, held, scores, moments):
    """Stores the reference of the last task, and makes lost references of past tasks again.

    Args:
      workdir: folder of the run.
      held: `task_images.TaskImages` of each task learnt.
      scores: {task: {score: number}}, the present ones.
      moments: function of a task, like `comparison.Comparison.moments`.
    """
    *past, last = held
    for task in past:
        if task.lost and task.can_read():
            _restore_reference(workdir, task, moments)
    if last.can_read():  # else the reference from when it could be read stays
        _save(workdir, last, scores[last.name], moments, last.about())


def _restore_reference(workdir, task, moments):
    """Writes the reference of a past task again, if its images are those of its own row."""
    rows = [one for one in _rows(workdir) if one.after_task == task.index]
    then = rows[0].data.get(task.name, {}) if rows else {}
    now = task.about()
    if any(then.get(name) is None or then[name] != now.get(name) for name in _COMPARED):
        _log.warning(
            "%s; its images are not known to be those of its row, so it is not made again.", task.lost
        )
        return
    _save(workdir, task, rows[0].scores[task.name], moments, then)
    _log.warning("%s; it was made again of the same images.", task.lost)


def _save(workdir, task, found, moments, about):
    numbers = {name: found[name] for name in references.NUMBERS if name in found}
    reference = references.Reference(task.name, moments(task), {**numbers, **about})
    references.save(workdir, task.index, reference)


def _rows(workdir):
    """Returns the rows that can be read, in order."""
    rows, index = [], 0
    while os.path.isfile(path := row.row_path(workdir, index)):
        try:
            rows.append(row.Row.load(path))
        except ValueError as error:
            _log.warning("%s", error)
        index += 1
    return rows
