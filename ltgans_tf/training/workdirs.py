"""The workdir of a run: one process at a time writes there, and only a run with the same settings resumes there."""

import contextlib
import glob
import json
import os
import re
import shutil
import socket

from ltgans_tf.files import atomic, locks, run_ids
from ltgans_tf.settings import upgrades
from ltgans_tf.training import checkpoints


@contextlib.contextmanager
def open_workdir(workdir, settings, resume="auto", chief=True):
    """Locks a workdir for one run and checks that it belongs to these settings.

    Args:
      workdir: folder, made if it does not exist; None for a run that keeps nothing.
      settings: JSON-ready dict with 'model', 'stream' (with its 'specs') and 'steps_per_task'.
      resume: 'auto', 'must' or 'never'.
      chief: whether this process writes there; the other workers of a run only read.

    Yields:
      a `Workdir`.

    Raises:
      ValueError: the workdir is not writable, is in use, has other settings, lacks files of its run, or contradicts
        `resume`.
    """
    if resume not in ("auto", "must", "never"):
        raise ValueError(f"resume is {resume!r}; it must be 'auto', 'must' or 'never'.")
    if workdir is None:
        if resume == "must":
            raise ValueError("resume is 'must' but there is no workdir to resume from; give one.")
        yield Workdir(None)
        return
    with _lock(workdir) if chief else contextlib.nullcontext() as check:
        found = checkpoints.checkpoints(workdir)
        _check_nothing_is_lost(workdir, found)
        if resume == "must" and not found:
            raise ValueError(
                f"{workdir} has no checkpoint to resume from; use resume 'auto' to start a new run there."
            )
        if resume == "never" and found:
            raise ValueError(
                f"{workdir} already has a run, at {os.path.basename(found[0])}; use"
                " resume 'auto' to go on with it, or another workdir."
            )
        settings = _checked(workdir, settings)
        if chief:
            _remove_remains(workdir)
            atomic.write_json(os.path.join(workdir, checkpoints.CONFIG), settings)
            if run_ids.read(workdir) is None:
                run_ids.keep(workdir, next(filter(None, map(checkpoints.run_of, found)), None))
        yield Workdir(workdir, chief, check)


class Workdir:
    """The files that `fit_stream` keeps of a run: none if the path is None; only the chief writes."""

    def __init__(self, path, chief=True, check_lock=None):
        self.path = path
        self._check_lock = check_lock or (lambda: None)
        self.writes = chief and path is not None

    def restore(self, model):
        """Restores `model` from the newest good checkpoint, if there are checkpoints."""
        if self.path is not None and checkpoints.checkpoints(self.path):
            checkpoints.restore_newest(self.path, model)

    def save(self, model):
        """Writes a checkpoint of `model` and removes all but the last two."""
        if self.path is not None:
            model.raise_if_nonfinite(weights=True)  # in all workers alike
        if self.writes:
            self._check_lock()
            checkpoints.save(self.path, model)

    def is_new(self):
        """Whether there is a workdir without checkpoints."""
        return self.path is not None and not checkpoints.checkpoints(self.path)

    def last_checkpoint(self):
        """Says where the last good state is, for a message."""
        kept = checkpoints.checkpoints(self.path) if self.path is not None else []
        return f"the last good checkpoint is {kept[0]}" if kept else "there is no checkpoint before it"

    def boundary_done(self, task):
        return not self.writes or os.path.exists(self._mark(task))

    def mark_boundary(self, task):
        """Notes that all boundary callbacks of `task` have ended well."""
        if self.writes:
            os.makedirs(os.path.dirname(self._mark(task)), exist_ok=True)
            atomic.write_text(self._mark(task), f"{task.name}\n")

    def clear_boundary(self, task):
        """Removes the note of `mark_boundary`, because `task` is learnt again."""
        if self.writes and os.path.exists(self._mark(task)):
            os.remove(self._mark(task))

    def _mark(self, task):
        return os.path.join(self.path, "boundary", f"task_{task.index:02d}.done")


def _check_nothing_is_lost(workdir, found):
    """Raises a ValueError if a run has lost its checkpoints or its settings.

    Without this check the run would start again over its remains, or with other settings.
    """
    marks = glob.glob(os.path.join(glob.escape(workdir), "boundary", "task_*.done"))
    if not found and (marks or os.path.exists(os.path.join(workdir, checkpoints.NEWEST))):
        raise ValueError(
            f"{workdir} holds a run that has saved checkpoints"
            + (f" (the last one {newest})" if (newest := checkpoints.last_saved(workdir)) else "")
            + " and none of them is there any more; restore its folder checkpoints from a backup, go on from"
            " its exports in another workdir (--init_from), or remove the workdir to begin anew."
        )
    if found and not os.path.exists(os.path.join(workdir, checkpoints.CONFIG)):
        raise ValueError(
            f"{workdir} has checkpoints and no {checkpoints.CONFIG}, so that nobody can tell what they were trained with;"
            " restore it from a backup, or give another workdir."
        )


def _remove_remains(workdir):
    """Removes the remains of a run that was killed while it wrote a checkpoint; call it under the lock."""
    for remains in glob.glob(os.path.join(glob.escape(workdir), "checkpoints", ".tmp-*")):
        if re.fullmatch(r"\.tmp-(\d+|task_\d+_step_\d+)", os.path.basename(remains)):
            shutil.rmtree(remains)


@contextlib.contextmanager
def _lock(workdir):
    """Holds the lock of a workdir; yields a function that raises an OSError once the lock is lost."""
    try:
        os.makedirs(workdir, exist_ok=True)
    except OSError as error:
        raise ValueError(_unwritable(workdir, error)) from error
    with contextlib.ExitStack() as held:
        try:
            file, check = held.enter_context(locks.hold(workdir))
        except locks.InUse as holder:
            raise ValueError(
                f"workdir {workdir!r} is in use by {holder}; wait for it to end, or give another workdir."
            ) from holder
        except OSError as error:
            if error.filename is None:  # the file system has no locks
                raise ValueError(str(error)) from error
            raise ValueError(_unwritable(workdir, error)) from error
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        file.flush()
        yield check


def _unwritable(workdir, error):
    return f"workdir {workdir!r} cannot be written: {error.strerror}; give a folder that you may write to."


def _checked(workdir, settings):
    """Returns the settings to write; they must equal those of a run that is there, but tasks may be appended."""
    settings = json.loads(json.dumps({"format_version": upgrades.FORMAT_VERSION, **settings}))
    path = os.path.join(workdir, checkpoints.CONFIG)
    if os.path.exists(path):
        if fields := checkpoints.differences(
            checkpoints.read_config(workdir), upgrades.complete(settings, path)
        ):
            raise ValueError(
                f"{workdir} holds a run of other settings: {fields}; give another workdir,"
                " or the settings of that run (tasks may be appended)."
            )
    return settings
