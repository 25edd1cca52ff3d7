"""Checkpoints that survive any crash, and the settings of the run that they belong to.

A checkpoint is a folder `checkpoints/task_<task>_step_<step>/` with a manifest of its files' checksums. It is
written under a temporary name, synced, and renamed in one move. So a folder with its final name was written
in full, and later damage is detected. A checkpoint also has the id and the settings of its run, so that one of
another run is detected too.
"""

import errno
import hashlib
import json
import logging
import os
import re
import shutil

import tensorflow as tf

from ltgans_tf.files import atomic, jsonfiles, ordering, run_ids
from ltgans_tf.settings import upgrades

CONFIG = "config.json"
_MANIFEST = "manifest.json"
NEWEST = "newest_checkpoint.txt"  # outside the checkpoints' folder, so that a loss of that folder is noticed
_KEEP = 2
_log = logging.getLogger("ltgans_tf")


def read_config(workdir):
    """Returns the settings that the run of `workdir` was started with; later settings have their defaults.

    Raises:
      ValueError: there is no run, or its format version is newer.
    """
    if not os.path.isfile(os.path.join(workdir, CONFIG)):
        raise ValueError(f"{workdir} is no workdir of a run: it has no {CONFIG}; name one that has.")
    config = jsonfiles.read_object(os.path.join(workdir, CONFIG), stream=dict)
    return upgrades.complete(config, workdir)


def checkpoints(workdir):
    """Returns the paths of the checkpoints of `workdir`, the newest first; does not check their content."""
    folder = os.path.join(workdir, "checkpoints")
    names = os.listdir(folder) if os.path.isdir(folder) else []
    names = [name for name in names if re.fullmatch(r"task_\d+_step_\d+", name)]
    return [os.path.join(folder, name) for name in ordering.by_number(names)[::-1]]


def _place(path):
    """The place of a checkpoint in its run, from its name: [task_index, global_step]."""
    return [int(number) for number in re.findall(r"\d+", os.path.basename(path))]


def last_saved(workdir):
    """Name of the checkpoint that was saved last, even if it is gone; None if none was noted."""
    path = os.path.join(workdir, NEWEST)
    if not os.path.isfile(path):
        return None
    with open(path, encoding="utf-8", errors="replace") as f:
        name = f.read().strip()
    return name if re.fullmatch(r"task_\d+_step_\d+", name) else None


def save(workdir, model):
    """Writes one checkpoint, atomically: it is there in full or not at all.

    Raises:
      OSError: it could not be written (a full disk, for example); earlier checkpoints are unchanged.
    """
    task, done, step = (int(v.numpy()) for v in (model.task_index, model.task_step, model.global_step))
    folder = os.path.join(workdir, "checkpoints")
    target = os.path.join(folder, f"task_{task:03d}_step_{step:09d}")
    if os.path.exists(target):
        if not damage(target):
            return target
        shutil.rmtree(target)
    staging = os.path.join(folder, f".tmp-{os.path.basename(target)}")
    try:
        shutil.rmtree(staging, ignore_errors=True)
        os.makedirs(staging)
        _state(model).write(os.path.join(staging, "state"))
        if os.path.isfile(os.path.join(workdir, CONFIG)):
            shutil.copyfile(os.path.join(workdir, CONFIG), os.path.join(staging, CONFIG))
        files = {name: _checksum(os.path.join(staging, name)) for name in sorted(os.listdir(staging))}
        manifest = {
            "format_version": upgrades.FORMAT_VERSION,
            "task_index": task,
            "task_step": done,
            "global_step": step,
            "run": run_ids.read(workdir),
            "files": files,
            "data": model.data_read,
        }
        atomic.write_text(os.path.join(staging, _MANIFEST), json.dumps(manifest, indent=1))
        for name in files:
            atomic.sync(os.path.join(staging, name))
        atomic.sync(staging)
        os.rename(staging, target)
        atomic.sync(folder)
        atomic.write_text(os.path.join(workdir, NEWEST), f"{os.path.basename(target)}\n")
    except (OSError, tf.errors.OpError) as error:
        shutil.rmtree(staging, ignore_errors=True)
        kept = [c for c in checkpoints(workdir) if not damage(c)]
        raise OSError(
            f"could not write a checkpoint to {folder}: {reason(error)}. "
            + (f"The last good one is {kept[0]}; " if kept else "There is no earlier one; ")
            + "see to the disk there and run the same command again."
        ) from error
    kept = checkpoints(workdir)
    for old in kept[kept.index(target) + _KEEP :]:  # those before it are damaged and do not count
        shutil.rmtree(old)
    return target


def restore_newest(workdir, model, weights_only=False):
    """Restores `model` from the newest checkpoint that is whole.

    Args:
      workdir: folder of the run.
      model: a `LifelongModel` with the networks of the run.
      weights_only: whether the optimizers stay as they are; then they need not be those of the run.

    Returns:
      the path of that checkpoint.

    Raises:
      ValueError: there is no whole checkpoint (the model is then unchanged), or the model is not that of the run.
    """
    found = checkpoints(workdir)
    if not found:
        raise ValueError(f"{workdir} has no checkpoint; train there first.")
    newest = last_saved(workdir)
    if newest is not None and _place(newest) > _place(found[0]):
        _log.warning("Checkpoint %s of %s, the last that was saved, is missing; going back.", newest, workdir)
    for path in found:
        if reason := damage(path):
            _log.warning("Checkpoint %s is damaged (%s); going back to the one before.", path, reason)
            continue
        model.noise_stream.assign(0)
        _read(_state(model, _manifest(path)["format_version"], weights_only), path, weights_only)
        model.data_read = _manifest(path).get("data", {})
        return path
    raise ValueError(
        f"none of the {len(found)} checkpoints in {workdir} is whole; restore one from"
        " a backup, or start again in another workdir."
    )


def _read(state, path, in_part):
    """Fills a `tf.train.Checkpoint`; with `in_part` it may take only a part of what was saved."""
    try:
        status = state.read(os.path.join(path, "state")).assert_existing_objects_matched()
        if in_part:
            status.expect_partial()
        else:
            status.assert_consumed()
    except (AssertionError, ValueError) as error:
        raise ValueError(
            f"{path} was saved with other networks or other optimizers than the model has; build and compile it as"
            " for the run, or take the weights alone with ltgans_tf.load."
        ) from error


def _state(model, version=upgrades.FORMAT_VERSION, weights_only=False):
    """Returns all weights and optimizer slots by position, in the layout of a format version's checkpoints.

    `Checkpoint(model=model)` would silently leave out what Keras 3 models hold in lists: both generators
    and their optimizers.
    """
    more = {"noise_stream": model.noise_stream.value} if version > 1 else {}
    if not weights_only:
        more["optimizers"] = [[v.value for v in o.variables] for o in model.optimizers]
    return tf.train.Checkpoint(
        weights=[v.value for v in model.weights if v is not model.noise_stream], **more
    )


def damage(path):
    """Why a checkpoint can't be used, in a few words; '' if it is whole."""
    try:
        manifest = jsonfiles.read_object(
            os.path.join(path, _MANIFEST), files=dict, format_version=int, task_index=int, task_step=int
        )
    except (OSError, ValueError) as error:
        return f"manifest: {type(error).__name__}"
    files = manifest["files"]
    jsonfiles.check_version(manifest["format_version"], upgrades.FORMAT_VERSION, path)
    if "state.index" not in files or any(name != os.path.basename(name) for name in files):
        return "manifest: files"
    for name, expected in files.items():
        file = os.path.join(path, name)
        if not os.path.isfile(file):
            return f"{name} is missing"
        if _checksum(file) != expected:
            return f"{name} has changed"
    return _foreign(path, manifest)


def _foreign(path, manifest):
    """Returns why a checkpoint is not of the run of its folder, in a few words; '' if it is, or if that is unknown."""
    workdir = os.path.dirname(os.path.dirname(os.path.abspath(path)))
    run, its = run_ids.read(workdir), manifest.get("run")
    if None not in (run, its) and its != run:
        return f"it is of another run, {its}"
    if CONFIG not in manifest["files"] or not os.path.isfile(os.path.join(workdir, CONFIG)):
        return ""
    try:
        own = read_config(workdir)
    except ValueError:  # config.json is damaged, which is not damage of the checkpoint
        return ""
    # Without the stream: the data may have moved, and fingerprints tell whether it is the same.
    settings, own = ({**each, "stream": None} for each in (read_config(path), own))
    differ = differences(settings, own)
    return f"it was trained with other settings: {differ}" if differ else ""


def run_of(path):
    """Returns the id of the run that a checkpoint belongs to; None if it is damaged or has no id."""
    return None if damage(path) else jsonfiles.read_object(os.path.join(path, _MANIFEST)).get("run")


def _manifest(path):
    """Reads the manifest of a checkpoint that is whole."""
    with open(os.path.join(path, _MANIFEST), encoding="utf-8") as f:
        return json.load(f)


def differences(old, new):
    """Describes how the settings of two runs differ, as text; `new` may have further tasks.

    It ignores the format version, because config.json is the same in the older ones.
    """
    old, new = (_flat({**settings, "format_version": upgrades.FORMAT_VERSION}) for settings in (old, new))
    specs = "stream.specs"
    if new.get(specs, [])[: len(old.get(specs, []))] == old.get(specs):
        old[specs] = new[specs]
    differ = sorted(key for key in {**old, **new} if old.get(key) != new.get(key))
    return ", ".join(f"{key} (was {old.get(key)}, now {new.get(key)})" for key in differ)


def _flat(tree, prefix=""):
    if not isinstance(tree, dict):
        return {prefix[:-1]: tree}
    return {k: v for key, value in tree.items() for k, v in _flat(value, f"{prefix}{key}.").items()}


def _checksum(path):
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def reason(error):
    """Returns what an OSError or a TensorFlow error says about the storage, in a few words."""
    if getattr(error, "errno", None) == errno.ENOSPC or "No space left" in str(error):
        return "no space is left on the disk"
    return str(error).splitlines()[0]
