"""The id of a run, by which its checkpoints and its exports know each other."""

import os
import uuid

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
    path = os.path.join(workdir, _NAME)
    with open(f"{path}.tmp", "w", encoding="utf-8") as file:
        file.write(f"{run_id}\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(f"{path}.tmp", path)
    return run_id
