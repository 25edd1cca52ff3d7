"""Rebuilds latest.json from the versions themselves, if it is lost or older than they are."""

import os

from ltgans_tf import latest_json
from ltgans_tf.export import continuation, desired, path_flags, versions
from ltgans_tf.files import jsonfiles


def check(base, latest):
    """Refuses a base with versions that its latest.json does not name.

    A push there could not tell which version is served. So it could not compare its own version with that one, and
    would write a models.config without the versions that latest.json does not name.

    Raises:
      ValueError: latest.json does not name all versions.
    """
    if unknown := versions.unnamed(base, latest):
        again = path_flags.command("ltgans release", f"--base={base}", "--rebuild")
        lost = "which has no latest.json" if not latest else "whose latest.json does not name them"
        raise ValueError(
            f"{base} has the versions {_listed(unknown)}, and {lost}, so what is served is not known; restore"
            f" latest.json from a copy, or rebuild it: {again}"
        )


def rebuild(base, stable=None):
    """Writes latest.json from the export_info.json of each whole version, then models.config.

    Versions that an old latest.json names keep their entries. Of the others, those that models.config serves
    stay approved, and the rest wait for approval.

    Args:
      base: folder of the pairs.
      stable: the version to serve; None for the present one of latest.json or models.config.

    Returns:
      the versions that were added, ascending.

    Raises:
      ValueError: latest.json names all versions already, or the version to serve is unknown or missing.
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
    """Reads latest.json; {} if it is missing or damaged. A damaged file is kept as latest.json.damaged."""
    path = os.path.join(base, latest_json.NAME)
    try:
        jsonfiles.read_if_there(path)
    except jsonfiles.Damaged:
        os.rename(path, f"{path}.damaged")
    return versions.read_latest(base)


def _pair(base, version):
    """Makes the entry of a version in latest.json from the version's export_info.json."""
    info = versions.read_info(base, "generator", version)
    bundle = os.path.isdir(versions.place(base, continuation.FOLDER, version))
    return versions.entry(version, [*versions.kinds(info["pair"]), *[continuation.FOLDER] * bundle], info)


def _listed(numbers):
    return ", ".join(map(str, sorted(numbers)))
