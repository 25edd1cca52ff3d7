"""The id of a run, by which its checkpoints and its exports know each other."""

import os
import uuid

from ltgans_tf.files import atomic

_NAME = "run_id"


def read(workdir):
    """The id of the run in `workdir`, a str; None where none was drawn yet."""
    for path in (
        os.path.join(workdir, _NAME),
        os.path.join(workdir, "exports", _NAME),
    ):  # the latter before 0.1.0
        if os.path.isfile(path):
            with open(path, encoding="utf-8", errors="replace") as file:
                return file.read().strip().strip('"')
    return None


def keep(workdir, run_id=None):
    """Gives the run in `workdir` an id where it has none: `run_id`, or one that is drawn. Returns its id."""
    if found := read(workdir):
        return found
    run_id = run_id or str(uuid.uuid4())
    atomic.write_text(os.path.join(workdir, _NAME), f"{run_id}\n")
    return run_id
