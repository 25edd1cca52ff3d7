"""Reads and checks latest.json, which lists the pairs of generator and encoder in a folder and the served pair."""

import os

from ltgans_tf.files import jsonfiles

NAME = "latest.json"
FORMAT_VERSION = 1
KINDS = ("generator", "encoder")
PLACES = (*KINDS, "continuation")  # folders beside latest.json, each with one folder per version
INFO = os.path.join("assets.extra", "export_info.json")  # describes the export in a version folder
INFO_VERSION = 1  # format version of export_info.json
_LAST = 253_402_300_799  # versions are seconds since 1970; this is the last second of the year 9999


def read(base):
    """Returns the content of latest.json in `base`, a dict as `check` describes it; {} if there is no such file.

    Raises:
      jsonfiles.Damaged: the file is damaged, or was changed by hand.
      ValueError: the file has a newer format version.
    """
    path = os.path.join(base, NAME)
    found = jsonfiles.read_if_there(path, FORMAT_VERSION)
    check(found, path)
    return found


def check(found, path):
    """Checks the content of a latest.json, so that no reader has to check it again.

    After this check 'version', 'canary' and the labels name versions of 'pairs' (ints, seconds since 1970), and each
    place ('generator', 'encoder', 'continuation') is `<place>/<version>`, inside the folder of exports.

    Args:
      found: dict, {} before the first push. 'version', 'run_id', 'task_index', 'task_name' and the places describe
        the served pair. 'canary' is the version on trial, or None. 'pairs' lists all pushed pairs with the same
        fields; a pair is 'pending' while it waits for approval, and 'withdrawn' after a rollback. 'labels' maps
        each label of models.config to its version. 'pushing' is the version that a push is writing, and 'removing'
        lists the versions that are being removed.
      path: path of the file, for the error message.

    Raises:
      jsonfiles.Damaged: something in the content is wrong.
    """
    try:
        _check(found)
    except ValueError as error:
        raise jsonfiles.damaged(path, error) from error


def _check(found):
    pairs = _typed(found, "pairs", list, [])
    for pair in pairs:
        if not isinstance(pair, dict):
            raise ValueError(f"one of its pairs is {pair!r:.60}")
        _version(pair, "version")
        _typed(pair, "pending", bool)
        _check_pair(pair)
    known = [pair["version"] for pair in pairs]
    if len(set(known)) < len(known):
        raise ValueError("two of its pairs have one version")
    named = {label: _version(found, label) for label in ("version", "canary") if found.get(label) is not None}
    if pairs and "canary" not in found:
        raise ValueError("it says nothing of a canary")
    labels = _typed(found, "labels", dict, None if pairs else {})
    for label in labels:
        if (needed := {"stable": "version", "canary": "canary"}.get(label)) not in named:
            raise ValueError(f"it has the label {label!r:.60} but no {needed or 'version for it'}")
    named |= {f"label {label}": _version(labels, label) for label in labels}
    for what, version in named.items():
        if version not in known:
            raise ValueError(f"its {what} is {version}, but no pair has this version")
    if found.get("pushing") is not None:
        _version(found, "pushing")
    for version in _typed(found, "removing", list, []):
        _version({"removing": version}, "removing")
    if "version" in named:
        _check_pair(found)
    elif places := [place for place in PLACES if place in found]:
        raise ValueError(f"it has a {places[0]} and no version")


def _check_pair(pair):
    for place in PLACES:
        if place in pair and pair[place] != f"{place}/{pair['version']}":
            raise ValueError(
                f"it names {pair[place]!r:.60}, which is not the {place} of version {pair['version']}"
            )
    _typed(pair, "run_id", str)
    _typed(pair, "task_name", str)
    if type(pair.get("task_index")) is not int or pair["task_index"] < 0:
        raise ValueError(f"a task_index is {pair.get('task_index')!r:.60}")


def _version(entry, name):
    version = entry.get(name)
    if type(version) is not int or not 0 < version <= _LAST:
        raise ValueError(f"a version is {version!r:.60}")
    return version


def _typed(entry, name, kind, default=None):
    value = entry.get(name, default)
    if not isinstance(value, kind):
        raise ValueError(f"{name} is {value!r:.60}")
    return value
