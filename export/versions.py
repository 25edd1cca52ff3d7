"""The folders that TensorFlow Serving watches, and what may be written there and when.

    <base>/generator/<version>/   saved_model.pb, variables/, assets.extra/export_info.json
    <base>/encoder/<version>/     the same; none where the model has no Student
    <base>/latest.json            names the pairs, and which of them is served; written after them
    <base>/models.config          the same for TensorFlow Serving (see desired.py)
    <base>/continuation/<version>/   what a run goes on from (see continuation.py)
    <base>/refused/               why a version was not pushed

A version is an integer that both halves share; other names (`.tmp-...`) are none of the server's.
"""

import contextlib
import json
import os
import re
import shutil
import time

from export import path_flags
from ltgans_tf import latest_json
from ltgans_tf.files import atomic, jsonfiles, locks, paths
from ltgans_tf.settings import upgrades

KINDS = ("encoder", "generator")  # in the order in which they are put in place
INFO = os.path.join("assets.extra", "export_info.json")
_LATEST = "latest.json"
_LATEST_VERSION, _INFO_VERSION = 1, 1  # format versions
_STAGED = re.compile(r"\.tmp-(removed-)?\d+(-\d+)?")  # what is on its way to its name, or from it


@contextlib.contextmanager
def lock(base):
    """One push at a time; the kernel drops the lock with its process, however that ends."""
    os.makedirs(base, exist_ok=True)
    with locks.hold(base, wait=True):
        yield


def place(base, kind, version):
    """Path of one half of a pair."""
    return os.path.join(base, kind, str(version))


def found(base, kind):
    """Versions in one folder, ascending, whoever wrote them."""
    return paths.numbered(os.path.join(base, kind))


def read_latest(base):
    """What latest.json says, as a dict; an empty one where there is none yet.

    'version' is the pair that is served, beside its 'run_id', 'task_index', 'task_name' and the
    places of its halves; 'canary' one that is tried, or None; 'pairs' all that were pushed, the
    same about each and whether it waits for approval ('pending') or was gone back from ('withdrawn');
    'pushing' a version that is being put in place; 'removing' those that are being removed.

    Raises:
      ValueError: it is damaged, changed by hand, or of a newer format version; see `latest_json.check`.
    """
    path = os.path.join(base, _LATEST)
    with _remedied(base):
        found = read_json(path)
    upgrades.check_version(found.get("format_version", 1), _LATEST_VERSION, path)
    with _remedied(base):
        latest_json.check(found, path)
    return found


@contextlib.contextmanager
def _remedied(base):
    """Adds to what is said of a damaged latest.json how it is made anew."""
    try:
        yield
    except ValueError as error:
        rebuild = path_flags.command("python -m export.release", f"--base={base}", "--rebuild")
        raise ValueError(f"{error} Or rebuild it: {rebuild}") from error


def write_latest(base, latest):
    """Replaces latest.json in one move."""
    write_json(os.path.join(base, _LATEST), {"format_version": _LATEST_VERSION, **latest})


def newest_named(base):
    """The newest version that latest.json names, served or not; 0 where there is none."""
    return max((pair["version"] for pair in read_latest(base).get("pairs", [])), default=0)


def read_info(base, kind, version):
    """What a half says about itself, as a dict; an empty one where it was not written by us."""
    path = os.path.join(place(base, kind, version), INFO)
    found = read_json(path)
    upgrades.check_version(found.get("format_version", 1), _INFO_VERSION, path)
    return found


def new_version(base):
    """Seconds since 1970 or, where the clock is behind, one more than the last version."""
    return max(
        [int(time.time())]
        + [last + 1 for kind in KINDS for last in found(base, kind)[-1:]]
        + [newest_named(base) + 1]
    )


def pushed_version(base, run_id, task_index, state):
    """The version under which this state of this run was pushed, in full or by half, or None.

    A half counts where it is newer than all that latest.json names: then a push that died left it.
    """
    newest = newest_named(base)
    for kind in KINDS:
        for version in reversed(found(base, kind)):
            info = read_info(base, kind, version)
            same = (info.get("run_id"), info.get("task_index")) == (run_id, task_index)
            if same and info.get("state_sha256", state) == state:  # older exports do not tell it
                if version > newest or not _is_half(base, version, info):
                    return version
    return None


def unnamed(base, latest):
    """Whole versions of this package that latest.json does not name: list of int, ascending.

    Args:
      base: folder of the pairs.
      latest: what latest.json says. What it is about to name or to remove does not count.
    """
    known = {pair["version"] for pair in latest.get("pairs", [])}
    known |= {latest.get("pushing"), *latest.get("removing", [])}
    infos = {v: read_info(base, "generator", v) for v in found(base, "generator") if v not in known}
    return [v for v, info in infos.items() if info.get("pair") and not _is_half(base, v, info)]


def remove_remains(base, keep=None):
    """Removes what pushes that died have left; to be called under the lock, when none is at work.

    Args:
      base: folder of the pairs.
      keep: version that is going to be completed.
    """
    newest, pushing = newest_named(base), read_latest(base).get("pushing")
    for kind in (*KINDS, "continuation"):
        folder = os.path.join(base, kind)
        for name in os.listdir(folder) if os.path.isdir(folder) else []:
            if _STAGED.fullmatch(name):
                shutil.rmtree(os.path.join(folder, name))
        for version in found(base, kind):
            # An older half is one whose other half somebody removed on purpose.
            half = version > newest and _is_half(base, version, read_info(base, kind, version))
            if version != keep and (version == pushing or half):
                shutil.rmtree(place(base, kind, version))


def remove(base, version):
    """Removes a version and its bundle; a server never sees a part of a half, which is renamed first."""
    for kind in (*KINDS, "continuation"):
        if os.path.isdir(place(base, kind, version)):
            doomed = os.path.join(base, kind, f".tmp-removed-{version}")
            os.rename(place(base, kind, version), doomed)
            shutil.rmtree(doomed)


def put_in_place(staging, base, kind, version):
    """Syncs a staged half to the disk and gives it its name in one move.

    Raises:
      OSError: the version is there already, or the disk refuses.
    """
    for folder, _, files in os.walk(staging, topdown=False):
        for path in [os.path.join(folder, file) for file in files] + [folder]:
            atomic.sync(path)
    os.rename(staging, place(base, kind, version))
    atomic.sync(os.path.join(base, kind))


def write_json(path, value):
    """Writes a JSON file so that a crash leaves the old one or the new one, never a part."""
    atomic.write_text(path, json.dumps(value, indent=1) + "\n")


def _is_half(base, version, info):
    return any(not os.path.exists(place(base, kind, version)) for kind in info.get("pair", []))


def read_json(path):
    if not os.path.isfile(path):
        return {}
    return jsonfiles.read_object(path)
