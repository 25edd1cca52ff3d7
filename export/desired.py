"""The desired state of a base is latest.json; models.config is always written from it.

Every push, release and kit derives models.config from latest.json and rewrites it if it differs. So if a command
dies after it wrote latest.json, the next one writes models.config.
"""

import collections
import os
import re

from ltgans_tf.export import serving_config, versions
from ltgans_tf.files import atomic

CONFIG = "models.config"
_CARRIED = ("pairs", "canary", "pushing", "removing")

# From a models.config: the set of its versions; {label: version}; the version that was served, or None.
Remembered = collections.namedtuple("Remembered", ["versions", "labels", "stable"])


def config(latest):
    """Returns the text of the models.config that follows from latest.json, or None if nothing is served."""
    version = latest.get("version")
    if version is None:
        return None
    served = _served(latest)
    halves = {kind: sorted(served & _with_half(latest, kind)) for kind in versions.kinds(latest)}
    text = serving_config.models_config(halves, {"canary": None, **latest["labels"]})
    return f"# Written from latest.json, by which version {version} is stable.\n{text}"


def is_current(base):
    """Whether models.config is the one that follows from latest.json."""
    wanted = config(versions.read_latest(base))
    return wanted is None or wanted == _text(base)


def reconcile(base):
    """Rewrites models.config if it is not current; the caller holds the lock.

    Returns:
      whether it was rewritten.
    """
    if is_current(base):
        return False
    atomic.write_text(os.path.join(base, CONFIG), config(versions.read_latest(base)))
    return True


def record(base, latest):
    """Replaces latest.json and then models.config; the caller holds the lock.

    Raises:
      ValueError: no models.config can follow from `latest`; then neither file is changed.
    """
    config(latest)
    versions.write_latest(base, latest)
    reconcile(base)


def write(base, latest, version, loaded=None):
    """Records `version` as the served one; the caller holds the lock.

    Args:
      base: folder of the pairs.
      latest: content of latest.json, with changed 'pairs' or 'canary'.
      version: int, or None if nothing is served yet.
      loaded: set of the versions that a server has had time to load; None for those of the present
        models.config. A label that is in use moves only to one of these versions.
    """
    if loaded is None:
        loaded = remembered(base).versions
    named = {"pairs": [], "canary": None, **{key: latest[key] for key in _CARRIED if key in latest}}
    if named["canary"] == version:
        named["canary"] = None
    if version is not None:
        pair = next(p for p in named["pairs"] if p["version"] == version)
        own = {k: v for k, v in pair.items() if k not in ("pending", "withdrawn")}
        named = {**own, **named}
    wanted = {label: v for label, v in (("stable", version), ("canary", named["canary"])) if v is not None}
    labels = {label: v for label, v in latest.get("labels", {}).items() if label in wanted}
    if before(named) in loaded:
        labels["stable"] = before(named)  # the nearest version that is loaded already
    for label, v in wanted.items():
        if v in loaded or label not in labels:
            labels[label] = v
    record(base, {**named, "labels": labels})


def remembered(base):
    """Reads the present models.config, without latest.json, which may be lost: `Remembered`."""
    text = _text(base) or ""
    named = {int(number) for number in re.findall(r"^ *versions: (\d+)$", text, re.MULTILINE)}
    labels = re.findall(r'version_labels \{ key: "(\w+)" value: (\d+) \}', text)
    labels = {label: int(number) for label, number in labels}
    stable = re.search(r"^# .* by which version (\d+) is stable\.$", text, re.MULTILINE)
    return Remembered(named, labels, int(stable[1]) if stable else labels.get("stable"))


def before(latest):
    """Returns the newest approved version that is older than the served one, or None."""
    older = [
        pair["version"]
        for pair in latest.get("pairs", [])
        if not pair["pending"] and pair["version"] < latest.get("version", 0)
    ]
    return max(older, default=None)


def _text(base):
    path = os.path.join(base, CONFIG)
    if not os.path.isfile(path):
        return None
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def _served(latest):
    """Returns the versions for models.config: those that have or will get a label, and the one to roll back to."""
    at_hand = {
        latest.get("version"),
        latest.get("canary"),
        before(latest),
        *latest.get("labels", {}).values(),
    }
    return at_hand - {None}


def _with_half(latest, kind):
    return {pair["version"] for pair in latest["pairs"] if kind in pair}
