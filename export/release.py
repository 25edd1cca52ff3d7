"""Which of the pushed versions is served: approve one, try one as canary, go back in one command.

  python -m export.release --base=models                       what is there
  python -m export.release --base=models --rollback            the version before the present one
  python -m export.release --base=models --stable=1795448201   this one, approved or taken up again
  python -m export.release --base=models --canary=1795448204   beside the stable one; 0 ends it

Each rewrites latest.json and then models.config, both in one move. The version before the
stable one is served too, so that going back needs no loading. A server refuses a models.config in
which a label moves to a version that it has not loaded, so after a push a label follows in a second
file: `--server=http://localhost:8501` waits until the server has the version, then moves it.
"""

import datetime
import time

from absl import flags

from export import path_flags, program, serving_config, versions

CONFIG = "models.config"
_WAIT = 300  # seconds for a server to load a version


def add(base, pair, stable):
    """Names a pair that is in place; to be called under the lock.

    Args:
      base: folder of the pairs.
      pair: dict with 'version', 'run_id', 'task_index', 'task_name' and the place of each half by kind.
      stable: whether it is served at once; otherwise it waits for approval.
    """
    latest = versions.read_latest(base)
    pairs = [p for p in latest.get("pairs", []) if p["version"] != pair["version"]]
    pairs = sorted([*pairs, {**pair, "pending": not stable}], key=lambda p: p["version"])
    write(base, {**latest, "pairs": pairs}, pair["version"] if stable else latest.get("version"))


def serve(base, version):
    """Makes a named version the one that is served, approved if it was waiting.

    Going back withdraws what is newer: it waits for approval again, and is no way back for later pushes.

    Raises:
      ValueError: it is not there.
    """
    with versions.lock(base):
        latest = versions.read_latest(base)
        _pair(base, latest, version)
        pairs = [
            {**p, "pending": (p["pending"] or p["version"] > version) and p["version"] != version}
            for p in latest["pairs"]
        ]
        write(base, {**latest, "pairs": pairs}, version)


def rollback(base):
    """Goes back to the approved version before the present one, which it withdraws; returns the former.

    Raises:
      ValueError: there is none.
    """
    latest = versions.read_latest(base)
    before = _before(latest)
    if before is None:
        raise ValueError(f"{base} has no version before {latest.get('version')} to go back to.")
    serve(base, before)
    return before


def try_as_canary(base, version):
    """Serves a named version beside the stable one; None ends it."""
    with versions.lock(base):
        latest = versions.read_latest(base)
        if version is not None:
            _pair(base, latest, version)
            if version == latest.get("version"):
                raise ValueError(f"version {version} is the stable one; name another as canary.")
        write(base, {**latest, "canary": version}, latest.get("version"))


def settle(base, server, seconds=_WAIT):
    """Moves the labels of models.config to the present versions, once a server has loaded them.

    Args:
      base: folder of the pairs.
      server: address of the server's REST interface.
      seconds: how long to wait.

    Raises:
      ValueError: the server has not loaded them by then, or cannot be reached.
    """
    from export import serving_client

    latest, asked = versions.read_latest(base), serving_client.Client(server)
    wanted = {v for v in (latest.get("version"), latest.get("canary")) if v is not None}
    end = time.monotonic() + seconds
    for kind in _kinds(latest):
        while missing := wanted - _available(asked, kind):
            if time.monotonic() > end:
                raise ValueError(
                    f"{server} has not loaded version {min(missing)} of {kind} after {seconds} seconds; see its"
                    f" log, and whether it reads {base}/{CONFIG} again (--model_config_file_poll_wait_seconds)."
                )
            time.sleep(1)
    with versions.lock(base):
        now = versions.read_latest(base)
        if any(now.get(field) != latest.get(field) for field in ("version", "canary")):
            raise ValueError(f"another version came to {base} meanwhile; run the same command again.")
        write(base, now, now.get("version"))


def _available(asked, kind):
    return {int(entry["version"]) for entry in asked.status(kind) if entry["state"] == "AVAILABLE"}


def prune(base, keep):
    """Removes the oldest versions; to be called under the lock.

    Kept are the `keep` newest named pairs, the stable one, the one before it and the canary.

    Args:
      base: folder of the pairs.
      keep: how many, at least 1.
    """
    latest = versions.read_latest(base)
    pairs = [pair["version"] for pair in latest.get("pairs", [])]
    kept = {*pairs[-keep:], latest.get("version"), latest.get("canary"), _before(latest)}
    kept |= set(latest.get("labels", {}).values())
    if set(pairs) - kept:
        latest["pairs"] = [pair for pair in latest["pairs"] if pair["version"] in kept]
        write(base, latest, latest.get("version"))
    newest = max(pairs, default=0)
    for version in sorted({v for kind in versions.KINDS for v in versions.found(base, kind)}):
        # Only what this package wrote; and what a push is about to complete is newer.
        if version < newest and version not in kept and _ours(base, version):
            versions.remove(base, version)


def write(base, latest, version):
    """Writes latest.json with `version` as the one that is served, then models.config.

    Args:
      base: folder of the pairs.
      latest: what latest.json said, with the changes to its 'pairs' and 'canary'.
      version: int, or None where nothing is served yet.
    """
    # What the file before this one named; a server that has read that has loaded it by now.
    loaded = _served(versions.read_latest(base))
    named = {"pairs": latest.get("pairs", []), "canary": latest.get("canary")}
    if named["canary"] == version:
        named["canary"] = None
    if version is not None:
        pair = next(p for p in named["pairs"] if p["version"] == version)
        named = {**{k: v for k, v in pair.items() if k != "pending"}, **named}
    wanted = {label: v for label, v in (("stable", version), ("canary", named["canary"])) if v is not None}
    labels = {label: v for label, v in latest.get("labels", {}).items() if label in wanted}
    if _before(named) in loaded:
        labels["stable"] = _before(named)  # the nearest that needs no waiting
    for label, v in wanted.items():
        if v in loaded or label not in labels:
            labels[label] = v
    named["labels"] = labels
    versions.write_latest(base, named)
    if version is not None:
        served = _served(named)
        halves = {kind: sorted(served & _with_half(named, kind)) for kind in _kinds(named)}
        labels = {"canary": None, **labels}
        versions.write_text(f"{base}/{CONFIG}", serving_config.models_config(halves, labels))


def _served(latest):
    """Versions in models.config: what a label names, what is to get one, and the way back."""
    at_hand = {
        latest.get("version"),
        latest.get("canary"),
        _before(latest),
        *latest.get("labels", {}).values(),
    }
    return at_hand - {None}


def _kinds(latest):
    """Kinds that the served version has."""
    return [kind for kind in versions.KINDS if kind in latest]


def _with_half(latest, kind):
    return {pair["version"] for pair in latest["pairs"] if kind in pair}


def _before(latest):
    """The newest approved version that is older than the served one, or None."""
    older = [
        pair["version"]
        for pair in latest.get("pairs", [])
        if not pair["pending"] and pair["version"] < latest.get("version", 0)
    ]
    return max(older, default=None)


def _pair(base, latest, version):
    for pair in latest.get("pairs", []):
        if pair["version"] == version:
            return pair
    there = ", ".join(str(pair["version"]) for pair in latest.get("pairs", [])) or "none"
    raise ValueError(f"{base} has no version {version}; there are {there}.")


def _ours(base, version):
    return any(versions.read_info(base, kind, version).get("pair") for kind in versions.KINDS)


def _listing(base):
    latest = versions.read_latest(base)
    if not latest.get("pairs"):
        raise ValueError(f"{base} has no pushed version; push one with python -m export.push --workdir=...")
    lines = []
    for pair in latest["pairs"]:
        version = pair["version"]
        state = "pending" if pair["pending"] else ""
        state = {latest.get("version"): "stable", latest["canary"]: "canary"}.get(version, state)
        made = datetime.datetime.fromtimestamp(version, datetime.timezone.utc)
        task = f"task {pair['task_index'] + 1} ({pair['task_name']})"
        lines.append(f"{version}  {made:%Y-%m-%d %H:%M} UTC  {task}  {state}".rstrip())
    lines += [
        f"note: the label {label} is on {version} until a server has loaded {latest[field]}; then it follows:"
        f" {path_flags.command('python -m export.release', f'--base={base}', '--server=http://localhost:8501')}"
        for label, field in (("stable", "version"), ("canary", "canary"))
        if (version := latest["labels"].get(label)) != latest.get(field)
    ]
    return "\n".join(lines)


def main(_):
    """Does what the flags name and says what is served then."""
    given = flags.FLAGS
    if given.rollback + (given.stable is not None) + (given.canary is not None) > 1:
        raise ValueError("--rollback, --stable and --canary are three things; give one of them.")
    if given.rollback:
        rollback(given.base)
    elif given.stable is not None:
        serve(given.base, given.stable)
    elif given.canary is not None:
        try_as_canary(given.base, given.canary or None)
    if given.server:
        settle(given.base, given.server)
    print(_listing(given.base))
    return 0


if __name__ == "__main__":
    # Not at the top, because export.push has a --base of its own and imports this file.
    path_flags.define_path(
        "base", None, "Folder that holds generator/, encoder/ and latest.json.", required=True
    )
    flags.DEFINE_bool("rollback", False, "Serve the version that was served before.")
    flags.DEFINE_integer("stable", None, "The version to serve.")
    flags.DEFINE_integer(
        "canary", None, "The version to serve beside it, under the label canary; 0 for none."
    )
    flags.DEFINE_string("server", None, "REST address of a server whose labels are to follow.")
    program.run(main)
