"""latest.json of a folder of exports: which pairs of generator and encoder are there, and which is served."""

import os

from ltgans_tf.files import jsonfiles
from ltgans_tf.settings import upgrades

NAME = "latest.json"
FORMAT_VERSION = 1
PLACES = ("generator", "encoder", "continuation")  # folders beside it, which hold one for each version
_LAST = 253_402_300_799  # versions are seconds since 1970, and dates end with the year 9999


def read(base):
    """What latest.json of `base` says; an empty dict where there is none.

    Raises:
      ValueError: it is damaged, changed by hand (see `check`), or of a newer format version.
    """
    path = os.path.join(base, NAME)
    if not os.path.isfile(path):
        return {}
    found = jsonfiles.read_object(path)
    upgrades.check_version(found.get("format_version", FORMAT_VERSION), FORMAT_VERSION, path)
    check(found, path)
    return found


def check(found, path):
    """Holds what was read from a latest.json to its form, so that no reader need look again.

    After this every version is an int of seconds since 1970 that 'pairs' has, once; and every place
    ('generator', 'encoder', 'continuation') is `<place>/<version>`, inside of the folder of exports.

    Args:
      found: dict; {} is good. 'version' is the pair that is served, beside its 'run_id', 'task_index', 'task_name'
        and places; 'canary' one that is tried, or None; 'pairs' all that were pushed, the same about each and
        whether it waits for approval ('pending'); 'labels' the version that each label of models.config is on.
      path: of the file, for the message.

    Raises:
      ValueError: it is not so.
    """
    try:
        _check(found)
    except ValueError as error:
        raise ValueError(f"{path} is damaged ({error}); restore it from a backup.") from error


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
            raise ValueError(f"it has the label {label!r:.60} for no {needed or 'version'} of its own")
    named |= {f"label {label}": _version(labels, label) for label in labels}
    for what, version in named.items():
        if version not in known:
            raise ValueError(f"its {what} is {version}, which none of its pairs has")
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
