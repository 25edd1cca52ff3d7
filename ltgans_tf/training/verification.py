"""What of a workdir is whole and what is damaged, by the manifests of its checkpoints and by its own files."""

import glob
import os

from ltgans_tf.files import eventlog, ordering
from ltgans_tf.training import checkpoints


def verify(workdir):
    """Reads all that a run would go on from; changes nothing.

    Args:
      workdir: folder of a run.

    Returns:
      {what, as its path in the workdir: why it cannot be used, '' if it is whole}, the checkpoints first,
      the newest at the top, then those of the bundles of its exports, config.json and metrics.jsonl.

    Raises:
      ValueError: no such folder, or nothing of a run in it.
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
    metrics = os.path.join(workdir, "metrics.jsonl")
    if os.path.exists(metrics):
        found["metrics.jsonl"] = _reason(eventlog.read_points, metrics)
    return found


def _reason(read, path):
    """What `read` says is wrong: the words that it returns, or the sentence that it raises."""
    try:
        found = read(path)
    except (ValueError, OSError) as error:
        return str(error)
    return found if isinstance(found, str) else ""
