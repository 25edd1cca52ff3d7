"""Selects the served version: approves one, tries one as canary, or goes back.

  ltgans release --base=models                       lists the versions
  ltgans release --base=models --rollback            serves the version before the present one
  ltgans release --base=models --stable=1795448201   approves this version and serves it
  ltgans release --base=models --canary=1795448204   serves it beside the stable one; 0 ends that
  ltgans release --base=models --rebuild             restores a lost latest.json from the versions

Each command records the served version in latest.json and writes models.config from it (desired.py). The version
before the stable one stays loaded, so that going back is quick. A server refuses a models.config in which a label
moves to a version that it has not loaded. So after a push the label moves later:
`--server=http://localhost:8501` waits until the server has loaded the version, then moves the label.
"""

import datetime
import os
import time

from absl import flags

from ltgans_tf.export import access, desired, path_flags, program, rebuild, versions

_WAIT = 300  # seconds for a server to load a version


def begin(base, version):
    """Records in latest.json that a push is about to put a version in place; the caller holds the lock.

    So the next push can tell a version that a dead push left from a version that a lost latest.json named.
    """
    desired.record(base, {"pairs": [], **versions.read_latest(base), "pushing": version})


def add(base, pair, stable, loaded=None):
    """Adds a pair, whose folders are in place, to latest.json; the caller holds the lock.

    Args:
      base: folder of the pairs.
      pair: see `versions.entry`.
      stable: whether to serve it at once; otherwise it waits for approval.
      loaded: see `desired.write`.
    """
    latest = versions.read_latest(base)
    latest.pop("pushing", None)
    pairs = [p for p in latest.get("pairs", []) if p["version"] != pair["version"]]
    pairs = sorted([*pairs, {**pair, "pending": not stable}], key=lambda p: p["version"])
    version = pair["version"] if stable else latest.get("version")
    desired.write(base, {**latest, "pairs": pairs}, version, loaded)


def serve(base, version):
    """Serves a version that latest.json names, and approves it if it was waiting.

    Newer versions are withdrawn: they wait for approval again, and later rollbacks pass over them.

    Raises:
      ValueError: the version is not there.
    """
    with versions.lock(base):
        _serve(base, version)


def _serve(base, version):
    latest = versions.read_latest(base)
    _pair(base, latest, version)
    present = latest.get("version", 0)
    pairs = []
    for pair in latest["pairs"]:
        own = pair["version"]
        back = version < own <= present and not pair["pending"]
        withdrawn = own != version and (back or pair.get("withdrawn", False))
        pair = {**pair, "pending": own != version and (pair["pending"] or own > version)}
        pairs.append({**pair, "withdrawn": True} if withdrawn else _taken_up(pair))
    desired.write(base, {**latest, "pairs": pairs}, version)


def _taken_up(pair):
    return {key: value for key, value in pair.items() if key != "withdrawn"}


def rollback(base):
    """Withdraws the served version; serves and returns the approved version before it.

    A second call does not go back further: it completes a first call that died, or refuses.

    Raises:
      ValueError: there is no version before, or the served version is the result of an earlier rollback.
    """
    with versions.lock(base):
        latest = versions.read_latest(base)
        present, before = latest.get("version"), desired.before(latest)
        if present is None:
            raise ValueError(
                f"{base} serves no version, so there is none to go back from; --stable=VERSION names one."
            )
        newer = [
            p["version"] for p in latest.get("pairs", []) if p.get("withdrawn") and p["version"] > present
        ]
        if newer and desired.reconcile(base):
            return present
        if newer:
            further = f"; to go further back name the version: --stable={before}" if before else ""
            raise ValueError(
                f"{base} serves {present} because {max(newer)} was rolled back; a second rollback goes no"
                f" further{further}."
            )
        if before is None:
            desired.reconcile(base)
            raise ValueError(f"{base} has no version before {present} to go back to.")
        _serve(base, before)
    return before


def try_as_canary(base, version):
    """Serves a version that latest.json names beside the stable one, as canary; None ends the canary."""
    with versions.lock(base):
        latest = versions.read_latest(base)
        if version is not None:
            _pair(base, latest, version)
            if version == latest.get("version"):
                raise ValueError(f"version {version} is the stable one; name another as canary.")
        desired.write(base, {**latest, "canary": version}, latest.get("version"))


def settle(base, server, seconds=_WAIT, **rights):
    """Waits until a server has loaded the present versions, then moves the labels of models.config to them.

    Args:
      base: folder of the pairs.
      server: address of the server's REST interface.
      seconds: how long to wait.
      **rights: 'authorization' and 'ca_file' of `client.Client`.

    Raises:
      ValueError: the server has not loaded them within `seconds`, or another push has changed them.
      OSError: the server cannot be reached.
    """
    from ltgans_tf.export import client

    with versions.lock(base):
        desired.reconcile(base)  # otherwise the server might never learn of a version
    latest, asked = versions.read_latest(base), client.Client(server, **rights)
    wanted = {v for v in (latest.get("version"), latest.get("canary")) if v is not None}
    end = time.monotonic() + seconds
    for kind in versions.kinds(latest):
        while missing := wanted - _available(asked, kind):
            if time.monotonic() > end:
                raise ValueError(
                    f"{server} has not loaded version {min(missing)} of {kind} after {seconds} seconds; see its"
                    f" log, and whether it reads {base}/{desired.CONFIG} again (--model_config_file_poll_wait_seconds)."
                )
            time.sleep(1)
    with versions.lock(base):
        now = versions.read_latest(base)
        if any(now.get(field) != latest.get(field) for field in ("version", "canary")):
            raise ValueError(f"another version came to {base} meanwhile; run the same command again.")
        desired.write(base, now, now.get("version"))


def _available(asked, kind):
    return {int(entry["version"]) for entry in asked.status(kind) if entry["state"] == "AVAILABLE"}


def prune(base, keep):
    """Removes the oldest versions; the caller holds the lock.

    Args:
      base: folder of the pairs.
      keep: how many of the newest named pairs stay, at least 1. The stable version, the one before it, the canary
        and those with a label stay too.
    """
    latest = versions.read_latest(base)
    pairs = [pair["version"] for pair in latest.get("pairs", [])]
    kept = {*pairs[-keep:], latest.get("version"), latest.get("canary"), desired.before(latest)}
    kept |= set(latest.get("labels", {}).values())
    doomed = [v for v in (*latest.get("removing", []), *pairs) if v not in kept]
    if doomed:
        # latest.json lists them as 'removing' until they are gone, so that the next push can finish the removal.
        named = [pair for pair in latest["pairs"] if pair["version"] in kept]
        desired.record(base, {**latest, "pairs": named, "removing": doomed})
        for version in doomed:
            versions.remove(base, version)
        latest = versions.read_latest(base)
        del latest["removing"]
        desired.record(base, latest)


def _pair(base, latest, version):
    for pair in latest.get("pairs", []):
        if pair["version"] == version:
            halves = [pair[kind] for kind in versions.kinds(pair)]
            if gone := [half for half in halves if not os.path.isdir(os.path.join(base, half))]:
                raise ValueError(
                    f"{base} has no {gone[0]} any more, so it cannot be served; name another version."
                )
            return pair
    there = ", ".join(str(pair["version"]) for pair in latest.get("pairs", [])) or "none"
    raise ValueError(f"{base} has no version {version}; there are {there}.")


def _listing(base):
    latest = versions.read_latest(base)
    rebuild.check(base, latest)
    if not latest.get("pairs"):
        raise ValueError(f"{base} has no pushed version; push one with ltgans push --workdir=...")
    lines = []
    for pair in latest["pairs"]:
        version = pair["version"]
        state = "withdrawn" if pair.get("withdrawn") else "pending" if pair["pending"] else ""
        state = {latest.get("version"): "stable", latest["canary"]: "canary"}.get(version, state)
        made = datetime.datetime.fromtimestamp(version, datetime.timezone.utc)
        task = f"task {pair['task_index'] + 1} ({pair['task_name']})"
        lines.append(f"{version}  {made:%Y-%m-%d %H:%M} UTC  {task}  {state}".rstrip())
    lines += [
        f"note: the label {label} is on {version} until a server has loaded {latest[field]}; then it follows:"
        f" {path_flags.command('ltgans release', f'--base={base}', '--server=http://localhost:8501')}"
        for label, field in (("stable", "version"), ("canary", "canary"))
        if (version := latest["labels"].get(label)) != latest.get(field)
    ]
    return "\n".join(lines)


def main(_):
    """Changes what the flags ask for, and prints the versions and their states."""
    given = flags.FLAGS
    if not os.path.isdir(given.base):
        raise ValueError(f"there is no folder {given.base}; --base names one that a push wrote to.")
    if given.rebuild and (given.rollback or given.canary is not None):
        raise ValueError("--rebuild goes with --stable alone; give the other flag after it.")
    if given.rollback + (given.stable is not None) + (given.canary is not None) > 1:
        raise ValueError("give only one of --rollback, --stable and --canary.")
    if given.rebuild:
        added = rebuild.rebuild(given.base, given.stable)
        print(f"latest.json now names {', '.join(map(str, added))} too.")
    stale = not desired.is_current(given.base)
    if given.rollback:
        rollback(given.base)
    elif given.stable is not None and not given.rebuild:
        serve(given.base, given.stable)
    elif given.canary is not None:
        try_as_canary(given.base, given.canary or None)
    elif stale:
        with versions.lock(given.base):
            desired.reconcile(given.base)
    if stale:
        print(f"note: {desired.CONFIG} was not what latest.json says; it was written anew.")
    if given.server:
        settle(given.base, given.server, **access.from_flags())
    print(_listing(given.base))
    return 0


if __name__ == "__main__":
    # Not at the top: ltgans push imports this file and has a --base of its own.
    path_flags.define_path(
        "base", None, "Folder that holds generator/, encoder/ and latest.json.", required=True
    )
    flags.DEFINE_bool(
        "rollback", False, "Serve the version before the present one; a second rollback goes no further."
    )
    flags.DEFINE_bool("rebuild", False, "Make latest.json anew from the versions.")
    flags.DEFINE_integer("stable", None, "The version to serve.")
    flags.DEFINE_integer(
        "canary", None, "The version to serve beside it, under the label canary; 0 for none."
    )
    flags.DEFINE_string("server", None, "REST address of a server whose labels are to follow.")
    access.define_flags()
    program.run(main)
