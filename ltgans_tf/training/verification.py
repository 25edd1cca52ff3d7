"""Tells which files of a workdir are whole, damaged or missing: checks manifests and reads every file."""

import fnmatch
import glob
import os
import re

from PIL import Image

from ltgans_tf.evaluation import features, references, row
from ltgans_tf.files import jsonfiles, metrics_log, ordering
from ltgans_tf.training import boundaries, checkpoints

_EXTRACTOR = os.path.join("eval", "extractor.npz")


def verify(workdir):
    """Reads all files of a run; changes nothing.

    Args:
      workdir: folder of a run.

    Returns:
      {path in the workdir: why it cannot be used, '' if it is whole}, in this order: the checkpoints, newest
      first; the checkpoints in the bundles of the exports; config.json; all other files by name, including the
      missing ones. For exports, event files and texts it only says whether they can be read.

    Raises:
      ValueError: the folder does not exist, or has nothing of a run.
    """
    if not os.path.isdir(workdir):
        raise ValueError(f"there is no folder {workdir}; give the workdir of a run.")
    bundles = ordering.by_number(
        glob.glob(os.path.join(glob.escape(workdir), "exports", "continuation", "[0-9]*"))
    )
    found = {}
    for folder in (workdir, *bundles):
        for path in checkpoints.checkpoints(folder):
            found[os.path.relpath(path, workdir)] = _reason(checkpoints.damage, path)
    if (newest := checkpoints.last_saved(workdir)) is not None:
        found.setdefault(os.path.join("checkpoints", newest), "it was saved last and is missing")
    if not found and not os.path.exists(os.path.join(workdir, checkpoints.CONFIG)):
        raise ValueError(f"{workdir} has nothing of a run; give the workdir of one.")
    found[checkpoints.CONFIG] = _reason(checkpoints.read_config, workdir)
    known = tuple(os.path.join(name, "") for name in found)
    others = [name for name in _files(workdir) if name not in found and not name.startswith(known)]
    reasons = {name: _reason(_reader(name), os.path.join(workdir, name)) for name in others}
    reasons |= _missing(workdir, others)
    return found | {name: reasons[name] for name in sorted(reasons)}


def _files(workdir):
    """Yields the paths of all files in the workdir but hidden and .tmp files: locks, and remains of killed runs."""
    for folder, _, names in os.walk(workdir):
        for name in names:
            if not name.startswith(".") and not name.endswith(".tmp"):
                yield os.path.relpath(os.path.join(folder, name), workdir)


def _missing(workdir, there):
    """{path: reason} of the files that are missing although others show that they were written."""
    marks = sorted(
        int(m.group(1)) for name in there if (m := re.fullmatch(r"boundary/task_(\d+)\.done", name))
    )
    kinds = (
        (os.path.join("boundary", "task_*.npz"), lambda i: os.path.join("boundary", f"task_{i:02d}.npz")),
        (
            os.path.join("eval", "references", "*.npz"),
            lambda i: os.path.relpath(references.path_of(workdir, i), workdir),
        ),
        (
            os.path.join("eval", "*", "scores.json"),
            lambda i: os.path.relpath(row.row_path(workdir, i), workdir),
        ),
    )
    wanted = [
        name(i) for pattern, name in kinds if fnmatch.filter(there, pattern) for i in marks
    ]  # only of the kinds that this run keeps
    if fnmatch.filter(there, os.path.join("eval", "references", "*.npz")):
        wanted.append(_EXTRACTOR)
    return {name: "it is missing" for name in wanted if name not in there}


def _reader(name):
    """The function that reads a file of this name, in the workdir or in a bundle."""
    name = re.sub(r"^exports/continuation/\d+/", "", name)
    readers = {
        "metrics.jsonl": metrics_log.read,
        "newest_checkpoint.txt": _read_newest,
        _EXTRACTOR: features.load,
        os.path.join("eval", "references", "*.npz"): references.read,
        os.path.join("eval", "task_*", "scores.json"): row.Row.load,
        os.path.join("boundary", "task_*.npz"): boundaries.read_samples,
        "*.json": jsonfiles.read_object,
        "*.png": _read_picture,
    }
    return next((read for pattern, read in readers.items() if fnmatch.fnmatch(name, pattern)), _read_bytes)


def _read_newest(path):
    return "" if checkpoints.last_saved(os.path.dirname(path)) else "it names no checkpoint"


def _read_picture(path):
    try:
        with Image.open(path) as picture:
            picture.load()
    except (OSError, SyntaxError, ValueError) as error:
        return f"it is no picture ({error})"
    return ""


def _read_bytes(path):
    with open(path, "rb") as file:
        while file.read(1 << 20):
            pass


def _reason(read, path):
    """What is wrong with a file: the text that `read` returns or the message that it raises; '' if nothing is."""
    try:
        found = read(path)
    except (ValueError, OSError) as error:
        return str(error)
    return found if isinstance(found, str) else ""
