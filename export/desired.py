"""The desired state of a base, latest.json, and models.config, which is always written from it.

latest.json decides. Every push, release and kit compares models.config with what follows from it and
writes models.config anew where they differ, so that a command which died between the two is finished
by the next one.
"""

import collections
import os
import re

from export import serving_config, versions
from ltgans_tf.files import atomic

CONFIG = "models.config"
_CARRIED = ("pairs", "canary", "pushing", "removing")

# The versions that a models.config names, a set of int; {label: version}; the version that latest.json had as
# the served one, or None.
Remembered = collections.namedtuple("Remembered", ["versions", "labels", "stable"])


def config(latest):
    """Text of the models.config that follows from latest.json, or None where nothing is served."""
    version = latest.get("version")
    if version is None:
        return None
    served = _served(latest)
    halves = {kind: sorted(served & _with_half(latest, kind)) for kind in _kinds(latest)}
    text = serving_config.models_config(halves, {"canary": None, **latest["labels"]})
    return f"# Written from latest.json, by which version {version} is stable.\n{text}"


def is_current(base):
    """Whether models.config is what latest.json says."""
    wanted = config(versions.read_latest(base))
    return wanted is None or wanted == _text(base)


def reconcile(base):
    """Writes models.config anew where it is not what latest.json says; to be called under the lock.

    Returns:
      whether it had to be written.
    """
    if is_current(base):
        return False
    atomic.write_text(os.path.join(base, CONFIG), config(versions.read_latest(base)))
    return True


def record(base, latest):
    """Replaces latest.json and then models.config; to be called under the lock.

    Raises:
      ValueError: no models.config can follow from it; nothing is written then.
    """
    config(latest)
    versions.write_latest(base, latest)
    reconcile(base)


def write(base, latest, version, loaded=None):
    """Records `version` as the one that is served; to be called under the lock.

    Args:
      base: folder of the pairs.
      latest: what latest.json said, with the changes to its 'pairs' and 'canary'.
      version: int, or None where nothing is served yet.
      loaded: versions that a server has had time to load, a set; None for those of the present
        models.config. A label moves to these alone.
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
        labels["stable"] = before(named)  # the nearest that needs no waiting
    for label, v in wanted.items():
        if v in loaded or label not in labels:
            labels[label] = v
    record(base, {**named, "labels": labels})


def remembered(base):
    """What the present models.config tells, also where latest.json is lost: `Remembered`."""
    text = _text(base) or ""
    named = {int(number) for number in re.findall(r"^ *versions: (\d+)$", text, re.MULTILINE)}
    labels = re.findall(r'version_labels \{ key: "(\w+)" value: (\d+) \}', text)
    labels = {label: int(number) for label, number in labels}
    stable = re.search(r"^# .* by which version (\d+) is stable\.$", text, re.MULTILINE)
    return Remembered(named, labels, int(stable[1]) if stable else labels.get("stable"))


def before(latest):
    """The newest approved version that is older than the served one, or None."""
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
    """Versions in models.config: what a label names, what is to get one, and the way back."""
    at_hand = {
        latest.get("version"),
        latest.get("canary"),
        before(latest),
        *latest.get("labels", {}).values(),
    }
    return at_hand - {None}


def _kinds(latest):
    """Kinds that the served version has."""
    return [kind for kind in versions.KINDS if kind in latest]


def _with_half(latest, kind):
    return {pair["version"] for pair in latest["pairs"] if kind in pair}
