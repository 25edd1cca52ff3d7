"""latest.json made anew from the versions themselves, where it was lost or is older than they are."""

import json
import os

from export import continuation, desired, path_flags, versions


def check(base, latest):
    """Refuses a base with versions that its latest.json does not name.

    Without their names nothing could be compared with what is served, and the next push would
    remove them as old.

    Raises:
      ValueError: with the remedy.
    """
    if unknown := versions.unnamed(base, latest):
        again = path_flags.command("python -m export.release", f"--base={base}", "--rebuild")
        lost = "which has no latest.json" if not latest else "whose latest.json does not name them"
        raise ValueError(
            f"{base} has the versions {_listed(unknown)}, and {lost}, so what is served is not known; restore"
            f" latest.json from a copy, or rebuild it: {again}"
        )


def rebuild(base, stable=None):
    """Writes latest.json from the export_info.json of each whole version, then models.config.

    What an old latest.json still says holds. Of what it does not name, the versions that models.config
    serves stay approved, and all others wait for approval.

    Args:
      base: folder of the pairs.
      stable: the version to serve; None for the present one of latest.json or models.config.

    Returns:
      versions that were added, ascending.

    Raises:
      ValueError: nothing is to be rebuilt, or the version to serve is not known or not there.
    """
    with versions.lock(base):
        latest, told = _read(base), desired.remembered(base)
        if not (unknown := versions.unnamed(base, latest)):
            raise ValueError(
                f"{base} has no version that its latest.json does not name; nothing was changed."
            )
        if stable is None:
            stable = latest.get("version", told.stable)
        there = [pair["version"] for pair in latest.get("pairs", [])] + unknown
        if stable not in there:
            lost = (
                "no file tells which version is served"
                if stable is None
                else f"version {stable} is not there"
            )
            raise ValueError(f"{base}: {lost}; name one of {_listed(there)} with --rebuild --stable=VERSION.")
        canary = latest.get("canary", told.labels.get("canary"))
        approved = {v for v in told.versions if v <= stable and v != canary} | {stable}
        added = [{**_pair(base, version), "pending": version not in approved} for version in unknown]
        pairs = sorted([*latest.get("pairs", []), *added], key=lambda pair: pair["version"])
        state = {
            "labels": {label: v for label, v in told.labels.items() if v in there},
            **latest,
            "pairs": [{**pair, "pending": pair["pending"] and pair["version"] != stable} for pair in pairs],
            "canary": canary if canary in there else None,
        }
        desired.write(base, state, stable)
    return unknown


def _read(base):
    """What latest.json says; {} where it is missing or damaged, and a damaged one is kept beside it."""
    path = os.path.join(base, "latest.json")
    try:
        with open(path, encoding="utf-8") as file:
            whole = isinstance(json.load(file), dict)
    except FileNotFoundError:
        return {}
    except (ValueError, RecursionError):
        whole = False
    if whole:
        return versions.read_latest(base)
    os.replace(path, f"{path}.damaged")
    return {}


def _pair(base, version):
    """What latest.json says about a version, by its own export_info.json."""
    info = versions.read_info(base, "generator", version)
    kinds = [kind for kind in versions.KINDS if kind in info["pair"]]
    pair = {"version": version, **{key: info.get(key) for key in ("run_id", "task_index", "task_name")}}
    pair |= {kind: f"{kind}/{version}" for kind in kinds}
    if os.path.isdir(versions.place(base, continuation.FOLDER, version)):
        pair[continuation.FOLDER] = f"{continuation.FOLDER}/{version}"
    return pair


def _listed(numbers):
    return ", ".join(map(str, sorted(numbers)))
