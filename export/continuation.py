"""The bundle beside an export, from which a later run learns further tasks.

    <base>/continuation/<version>/   a workdir with the state after one task and nothing else

It holds the weights of both generators, critic and Student, the settings and flags, the seed, the
task's index, and what the evaluator keeps (references, rows of scores, the extractor). It holds no image of
a data set. `ltgans train --init_from=...` starts from it.
"""

import contextlib
import glob
import os
import re
import shutil
import uuid

from ltgans_tf.export import versions
from ltgans_tf.files import atomic, jsonfiles, locks, ordering, run_ids
from ltgans_tf.settings import upgrades

FOLDER = "continuation"
_COPIED = ("flags.txt", "environment.json", "run_id")
_MARK = ".init_from"  # marks a folder that `start` is writing, and is its lock


def write(workdir, base, version, tasks):
    """Writes the bundle of a version unless it is there.

    Args:
      workdir: folder of the run, whose newest boundary is after `tasks` tasks.
      base: folder of the exports.
      version: int.
      tasks: number of tasks that the version has learnt.

    Raises:
      OSError: the bundle could not be written.
    """
    target = versions.place(base, FOLDER, version)
    if not os.path.isdir(target):
        staging = os.path.join(base, FOLDER, f".tmp-{version}")
        shutil.rmtree(staging, ignore_errors=True)
        try:
            _copy(workdir, staging, tasks)
            atomic.publish(staging, target)
        finally:
            shutil.rmtree(staging, ignore_errors=True)


def start(source, workdir, specs):
    """Makes a workdir that continues from `source` with further tasks.

    Args:
      source: the workdir of a run, to start after its last finished task; a folder of exports, to start from
        the served version; or a bundle.
      workdir: folder, new or empty.
      specs: further task specs.

    Returns:
      the specs of all tasks, the learnt ones before the further ones.

    Raises:
      ValueError: `source` is none of these, or `workdir` is not empty.
    """
    bundle = find(source)
    learnt = _boundary(bundle)
    if os.path.isdir(workdir) and os.listdir(workdir):
        raise ValueError(
            f"workdir {workdir!r} is not empty; a run that goes on from {source} needs a new one. (To resume"
            " what was started there leave --init_from out.)"
        )
    _remove_remains(workdir)
    staging = f"{os.path.normpath(workdir)}.tmp-{uuid.uuid4().hex}"
    os.makedirs(staging)
    try:
        with locks.hold(staging, name=_MARK):
            config = _copy(bundle, staging, learnt)
            config["stream"]["specs"] = [*config["stream"]["specs"], *specs]
            atomic.write_json(os.path.join(staging, "config.json"), config)
            _become_a_run_of_its_own(staging)
            os.remove(os.path.join(staging, _MARK))
            atomic.publish(staging, os.path.normpath(workdir))
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return config["stream"]["specs"]


def _become_a_run_of_its_own(folder):
    """Gives a copied run a new id, also in its checkpoints."""
    if os.path.exists(os.path.join(folder, "run_id")):
        os.remove(os.path.join(folder, "run_id"))
    run = run_ids.keep(folder)
    for manifest in glob.glob(os.path.join(glob.escape(folder), "checkpoints", "*", "manifest.json")):
        atomic.write_json(manifest, {**jsonfiles.read_object(manifest), "run": run})


def _remove_remains(workdir):
    """Removes the folders beside `workdir` that `start` left when its process was killed.

    Such a folder has the mark, and no process holds its lock. The name is not enough:
    `<workdir>.tmp-2024` may be a user's copy.
    """
    for path in glob.glob(f"{glob.escape(os.path.normpath(workdir))}.tmp-*"):
        if os.path.isfile(os.path.join(path, _MARK)):
            with contextlib.suppress(locks.InUse), locks.hold(path, name=_MARK):
                shutil.rmtree(path)


def learnt_specs(source):
    """Returns the specs of the tasks that `start` takes over, a list of str."""
    bundle = find(source)
    return _config(bundle)["stream"]["specs"][: _boundary(bundle)]


def find(source):
    """Returns the folder to start from: `source` itself, or the bundle of the version that it serves."""
    if os.path.isfile(os.path.join(source, "config.json")):
        return source
    latest = versions.read_latest(source)
    if FOLDER in latest and os.path.isdir(os.path.join(source, latest[FOLDER])):
        return os.path.join(source, latest[FOLDER])
    raise ValueError(
        f"cannot continue from {source}: it is neither a workdir of a run (no config.json) nor a folder of"
        f" exports whose latest.json names a bundle in {FOLDER}/; give one of these."
    )


def _config(folder):
    return upgrades.complete(jsonfiles.read_object(os.path.join(folder, "config.json")), folder)


def _boundary(folder):
    """Returns the number of tasks learnt at the newest checkpoint between two tasks."""
    if not (found := _checkpoints(folder)):
        raise ValueError(f"{folder} has not finished a task yet; let that run go on first.")
    return max(found)


def _checkpoints(folder):
    """{tasks learnt: name} of the checkpoints between two tasks."""
    found, place = {}, os.path.join(folder, "checkpoints")
    for name in ordering.by_number(os.listdir(place)) if os.path.isdir(place) else []:
        manifest = os.path.join(place, name, "manifest.json")
        if re.fullmatch(r"task_\d+_step_\d+", name) and os.path.isfile(manifest):
            about = jsonfiles.read_object(manifest, upgrades.FORMAT_VERSION)
            if not about["task_step"] and about["task_index"]:
                found[about["task_index"]] = name
    return found


def _copy(folder, staging, tasks):
    """Copies the state after `tasks` tasks; returns the run's settings, without the later tasks."""
    name = _checkpoints(folder).get(tasks)
    if name is None:
        raise ValueError(f"{folder} has no checkpoint after its task {tasks} any more.")
    shutil.copytree(os.path.join(folder, "checkpoints", name), os.path.join(staging, "checkpoints", name))
    for i in range(tasks):
        for parts in (("eval", f"task_{i:02d}", "scores.json"), ("eval", "references", f"task_{i:02d}.npz")):
            _copy_if_there(folder, staging, *parts)
        # Each bundle has these files of all tasks, up to 1 MB each. A link is safe: nothing writes into the files.
        _copy_if_there(folder, staging, "boundary", f"task_{i:02d}.npz", copy=_linked)
        mark = os.path.join(staging, "boundary", f"task_{i:02d}.done")
        atomic.write_text(mark, "taken over\n")
    _copy_if_there(folder, staging, "eval", "extractor.npz")
    for name in _COPIED:
        _copy_if_there(folder, staging, name)
    config = _config(folder)
    config["stream"]["specs"] = config["stream"]["specs"][:tasks]
    atomic.write_json(os.path.join(staging, "config.json"), config)
    return config


def _copy_if_there(folder, staging, *parts, copy=shutil.copy2):
    source, target = os.path.join(folder, *parts), os.path.join(staging, *parts)
    os.makedirs(os.path.dirname(target), exist_ok=True)
    if os.path.isfile(source):
        copy(source, target)


def _linked(source, target):
    """Makes a hard link, which takes no space, or a copy if the file system has no hard links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
