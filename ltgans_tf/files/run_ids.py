"""The id of a run, which its checkpoints and its exports share."""

import os
import uuid

from ltgans_tf.files import atomic

_NAME = "run_id"


def read(workdir):
    """Returns the id of the run in `workdir`, a str; None if it has none yet."""
    for folder in (workdir, os.path.join(workdir, "exports")):  # before 0.1.0, runs kept it in exports
        if os.path.isfile(path := os.path.join(folder, _NAME)):
            with open(path, encoding="utf-8", errors="replace") as file:
                return file.read().strip().strip('"')
    return None


def keep(workdir, run_id=None):
    """Returns the id of the run in `workdir`; a run without one gets `run_id`, or a random id."""
    if found := read(workdir):
        return found
    run_id = run_id or str(uuid.uuid4())
    atomic.write_text(os.path.join(workdir, _NAME), f"{run_id}\n")
    return run_id
