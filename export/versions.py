"""The folders that TensorFlow Serving watches, and the rules for writing there.

    <base>/generator/<version>/      saved_model.pb, variables/, assets.extra/export_info.json
    <base>/encoder/<version>/        the same; missing if the model has no Student
    <base>/latest.json               names the pairs and the served one; written after them
    <base>/models.config             the same for TensorFlow Serving (see desired.py)
    <base>/continuation/<version>/   what a later run starts from (see continuation.py)
    <base>/refused/                  why a version was not pushed

A version is an integer that both halves share. The server ignores folders with other names, such as `.tmp-...`.
"""

import contextlib
import os
import re
import shutil
import time

from ltgans_tf import latest_json
from ltgans_tf.export import path_flags
from ltgans_tf.files import atomic, jsonfiles, locks, paths

INFO = latest_json.INFO
KINDS = latest_json.KINDS[::-1]  # the encoder first: the order in which a push puts them in place
_STAGED = re.compile(r"\.tmp-(removed-)?\d+(-\d+)?")  # a folder that is being written or removed

read_json = jsonfiles.read_if_there  # benchmarks/exports.py uses it under this name


@contextlib.contextmanager
def lock(base):
    """Holds the lock of `base`, which one process can hold at a time; the kernel releases it when the process ends."""
    os.makedirs(base, exist_ok=True)
    with locks.hold(base, wait=True):
        yield


def place(base, kind, version):
    """Returns the path of one half of a pair."""
    return os.path.join(base, kind, str(version))


def kinds(named):
    """Returns the kinds in `named`, such as an entry of latest.json, in the order of KINDS."""
    return [kind for kind in KINDS if kind in named]


def entry(version, places, about):
    """Makes an entry of latest.json.

    Args:
      version: int.
      places: the folders of `latest_json.PLACES` that hold the version.
      about: dict with the version's 'run_id', 'task_index' and 'task_name'.
    """
    task = {key: about.get(key) for key in ("run_id", "task_index", "task_name")}
    return {"version": version, **task, **{place: f"{place}/{version}" for place in places}}


def found(base, kind):
    """Returns the versions in one folder, ascending, also those of other programs."""
    return paths.numbered(os.path.join(base, kind))


def read_latest(base):
    """Returns what latest.json says, a dict as `latest_json.check` describes it; {} before the first push.

    Raises:
      ValueError: it is damaged, was changed by hand, or has a newer format version.
    """
    try:
        return latest_json.read(base)
    except jsonfiles.Damaged as error:
        rebuild = path_flags.command("ltgans release", f"--base={base}", "--rebuild")
        raise ValueError(f"{error} Or rebuild it: {rebuild}") from error


def write_latest(base, latest):
    """Replaces latest.json atomically."""
    content = {"format_version": latest_json.FORMAT_VERSION, **latest}
    atomic.write_json(os.path.join(base, latest_json.NAME), content)


def newest_named(base):
    """Returns the newest version that latest.json names, served or not; 0 if it names none."""
    return max((pair["version"] for pair in read_latest(base).get("pairs", [])), default=0)


def read_info(base, kind, version):
    """Returns the export_info.json of a half, a dict; {} if another program wrote the half."""
    path = os.path.join(place(base, kind, version), INFO)
    return jsonfiles.read_if_there(path, latest_json.INFO_VERSION)


def new_version(base):
    """Returns the seconds since 1970, or the last version plus one if that is larger."""
    last = [newest_named(base), *(version for kind in KINDS for version in found(base, kind))]
    return max(int(time.time()), max(last) + 1)


def pushed_version(base, run_id, task_index, state):
    """Returns the version under which this state of this run was pushed, whole or half, or None.

    A half counts if it is newer than all versions in latest.json, because then a push died and left it.
    """
    newest = newest_named(base)
    for kind in KINDS:
        for version in reversed(found(base, kind)):
            info = read_info(base, kind, version)
            same = (info.get("run_id"), info.get("task_index")) == (run_id, task_index)
            if same and info.get("state_sha256", state) == state:  # missing in older exports
                if version > newest or not _is_half(base, version, info):
                    return version
    return None


def unnamed(base, latest):
    """Returns the whole versions of this package that latest.json does not name: list of int, ascending.

    Args:
      base: folder of the pairs.
      latest: content of latest.json. Versions that it is about to name or to remove do not count.
    """
    known = {pair["version"] for pair in latest.get("pairs", [])}
    known |= {latest.get("pushing"), *latest.get("removing", [])}
    infos = {v: read_info(base, "generator", v) for v in found(base, "generator") if v not in known}
    return [v for v, info in infos.items() if info.get("pair") and not _is_half(base, v, info)]


def remove_remains(base, keep=None):
    """Removes what dead pushes have left; the caller holds the lock, so no push is running.

    Args:
      base: folder of the pairs.
      keep: the version that the caller will complete, or None.
    """
    newest, pushing = newest_named(base), read_latest(base).get("pushing")
    for kind in latest_json.PLACES:
        folder = os.path.join(base, kind)
        for name in os.listdir(folder) if os.path.isdir(folder) else []:
            if _STAGED.fullmatch(name):
                shutil.rmtree(os.path.join(folder, name))
        for version in found(base, kind):
            # If a half is older, a user has removed the other half on purpose.
            half = version > newest and _is_half(base, version, read_info(base, kind, version))
            if version != keep and (version == pushing or half):
                shutil.rmtree(place(base, kind, version))


def remove(base, version):
    """Removes a version and its bundle. Renames each folder first, so that no server sees a part of it."""
    for kind in latest_json.PLACES:
        if os.path.isdir(place(base, kind, version)):
            doomed = os.path.join(base, kind, f".tmp-removed-{version}")
            os.rename(place(base, kind, version), doomed)
            shutil.rmtree(doomed)


def _is_half(base, version, info):
    return any(not os.path.exists(place(base, kind, version)) for kind in info.get("pair", []))
