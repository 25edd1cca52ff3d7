"""Kills tiny runs of `ltgans train` again and again, and checks that nothing was lost.

  python -m tests.hostile.faults --rounds=200 --out=faults.json
  python -m tests.hostile.faults --rounds=50 --replicas=2 --out=faults_two.json
  python -m tests.hostile.faults --rounds=30 --faults=term,int --out=signals.json
  python -m tests.hostile.faults --rounds=20 --faults=full --folder=/mnt/small --out=full.json

A round is one process: it is started with the same command on the same workdir, waited for until it
is where the fault is to fall (drawn from --seed), left alone for a random moment, and hit. After
--chain rounds the command runs undisturbed, and what it leaves is compared with a run that was
never disturbed (fault_checks.py). Where a fault fell is told by what the process said last and by
what lay in its workdir. The extractor of the scores and evaluation are on; every second chain
exports, and every fourth tries its exports too. `full` fills the disk of --folder, which has to be
a file system of its own, until the run has ended: a tmpfs of some 100 MB.
"""

import collections
import contextlib
import os
import random
import shutil
import signal
import statistics
import tempfile
import time

import numpy as np
from absl import flags

import benchmarks
from ltgans_tf.export import path_flags
from ltgans_tf.trainers import import_tensorflow, run
from tests.hostile import fault_checks, watched_run

SIGNALS = {"kill": signal.SIGKILL, "term": signal.SIGTERM, "int": signal.SIGINT}
FAULTS = (*SIGNALS, "full")
# Seconds after the beginning of a phase within which the fault falls, on two idle cores.
_SPANS = {
    "imports": 6.0,
    "building": 4.0,
    "extractor": 5.0,
    "tracing": 5.0,
    "steps": 1.0,
    "checkpoint": 0.02,
    "boundary": 1.0,
    "evaluation": 4.0,
    "export": 8.0,
}
_PATIENCE = 900  # seconds that a process may take
_SETTINGS = (
    "--preset=smoke",
    "--batch_size=4",
    "--steps_per_task=4",
    "--checkpoint_every=2",
    "--log_every=1",
    "--sample_every=2",
    "--eval_images=8",
    "--eval_samples=20",
    "--extractor_images=8",
    "--push_policy=always",
)
_TASKS = 2
# Of one chain after another: exports, tried first; none; exports, not tried; none.
_EXPORTS = ((), ("--nopush",), ("--nopush_validate",), ("--nopush",))


def main(_):
    given = flags.FLAGS
    import_tensorflow()
    faults = _chosen(given.faults)
    folder = tempfile.mkdtemp(prefix="faults-", dir=given.folder)
    results = campaign(folder, given.rounds, faults, given.chain, given.replicas, given.seed, given.minutes)
    results = {
        "conditions": benchmarks.conditions(),
        "settings": {name: given[name].value for name in ("rounds", "chain", "replicas", "faults", "seed")},
        **results,
    }
    benchmarks.publish(results, report(results))
    if any(chain["problems"] for chain in results["chains"]):
        print(f"what had problems is kept in {folder}")
        return 1
    shutil.rmtree(folder)
    return 0


def _chosen(names):
    for name in names:
        if name not in FAULTS:
            raise ValueError(f"--faults has {name!r}; choose one of {', '.join(FAULTS)}.")
    return tuple(names)


def campaign(folder, rounds, faults=("kill",), chain=10, replicas=1, seed=0, minutes=None):
    """Hits so many processes and checks what is left.

    Args:
      folder: where all of it is written.
      rounds: how many processes are hit.
      faults: of FAULTS, drawn with equal chances.
      chain: rounds on one workdir, before it is let run to its end.
      replicas: 1 for one device, more for so many logical CPUs.
      seed: int.
      minutes: after so many no further workdir is begun; None for no limit.

    Returns:
      JSON-ready dict: 'rounds', one dict for each; 'chains', one dict for each with its
      'problems', a list of sentences that is empty where nothing was lost.
    """
    draw, begin = random.Random(seed), time.monotonic()
    command = [*_SETTINGS, f"--tasks={','.join(_sets(folder))}"]
    if replicas > 1:
        command += ["--distribution=mirrored", f"--replicas={replicas}"]
    undisturbed = {
        options: _finish(folder, f"undisturbed{''.join(options)}", [*command, *options])
        for options in ((), ("--nopush",))
    }
    results = {"rounds": [], "chains": []}
    while len(results["rounds"]) < rounds and (minutes is None or time.monotonic() - begin < 60 * minutes):
        number = len(results["chains"])
        name, hits = f"chain_{number:03d}", min(chain, rounds - len(results["rounds"]))
        options = _EXPORTS[number % len(_EXPORTS)]
        flags_of_chain = [*command, *options]
        cache = os.path.join(folder, f"{name}.cache")
        for _ in range(hits):
            process = watched_run.WatchedRun(os.path.join(folder, name), flags_of_chain, cache)
            record = {"chain": number, **_hit(process, draw.choice(faults), draw, folder)}
            results["rounds"].append(record)
            print(f"round {len(results['rounds'])} of {rounds}: {_told(record)}", flush=True)
            if record["fell"] == "after the end":
                break
        problems = [
            f"round: {r['problem']}" for r in results["rounds"] if r["chain"] == number and r["problem"]
        ]
        found = _finish(folder, name, flags_of_chain, cache)
        problems += fault_checks.differences(undisturbed[options if options == ("--nopush",) else ()], found)
        results["chains"].append({"chain": number, "problems": problems})
        print(f"{name}: {'; '.join(problems) or 'nothing was lost'}", flush=True)
        if not problems:
            for path in (name, f"{name}.cache", f"{name}.temporary"):
                shutil.rmtree(os.path.join(folder, path))
    return results


def _sets(folder):
    """Specs of two small image sets, written to `folder`."""
    specs = []
    for i in range(_TASKS):
        draw, path = np.random.default_rng(i), os.path.join(folder, f"set{i}.npz")
        np.savez(
            path,
            train_images=draw.integers(0, 256, (24, 32, 32, 3), dtype=np.uint8),
            test_images=draw.integers(0, 256, (8, 32, 32, 3), dtype=np.uint8),
            train_labels=np.arange(24) % 3,
            test_labels=np.arange(8) % 3,
        )
        specs.append(f"npz:{path}")
    return specs


def _finish(folder, name, command, cache=None):
    """Lets a run go to its end; returns what `fault_checks.contents` finds there."""
    workdir = os.path.join(folder, name)
    process = watched_run.WatchedRun(workdir, command, cache or os.path.join(folder, "cache"))
    status = process.wait(_PATIENCE)
    return {
        **fault_checks.contents(workdir, process.temporary),
        "status": status,
        "said": process.said[-2000:],
    }


def _hit(process, fault, draw, folder):
    """Waits until `process` is where the fault is to fall, and hits it: the record of the round."""
    wanted, begin = draw.choice(_possible(process)), time.monotonic()
    while process.phase() != wanted and process.is_running() and time.monotonic() - begin < _PATIENCE:
        time.sleep(0.002)
    process.pause(draw.uniform(0, _SPANS[wanted]))
    record = {"fault": fault, "wanted": wanted, "problem": ""}
    if not process.is_running():
        record |= {"fell": "after the end", "status": process.wait(_PATIENCE)}
        if record["status"]:
            record["problem"] = f"status {record['status']} without a fault: {process.said[-500:]}"
        return record
    record |= {"fell": process.phase(), "newest": process.newest_checkpoint(), "last": process.last_line()}
    if fault == "full":
        return record | _filled(process, folder)
    status, seconds, waited = process.end(SIGNALS[fault], _PATIENCE)
    record |= {"status": status, "seconds": seconds, "waited": waited}
    if fault != "kill":
        record["problem"] = fault_checks.stop_problem(status, SIGNALS[fault], process, record)
    return record


def _possible(process):
    """The phases that the process can still come to."""
    phases = list(_SPANS)
    if "--nopush" in process.arguments:
        phases.remove("export")
    if os.path.exists(os.path.join(process.workdir, "eval", "extractor.npz")):
        phases.remove("extractor")
    if (process.newest_checkpoint() or "").startswith(f"task_{_TASKS:03d}"):
        phases = [phase for phase in phases if phase not in ("tracing", "steps", "checkpoint")]
    return phases


def _filled(process, folder):
    """Fills the disk until the process has ended; returns what it ended with."""
    filler = os.path.join(folder, "filler")
    with open(filler, "wb") as file:
        while process.is_running():
            if free := shutil.disk_usage(folder).free:  # all of it, and then what the run has given back
                with contextlib.suppress(OSError):  # the run was quicker
                    os.posix_fallocate(file.fileno(), 0, os.path.getsize(filler) + free)
            time.sleep(0.05)
    status = process.wait(_PATIENCE)
    os.remove(filler)
    problem = "" if status in (0, 2) else f"status {status} on a full disk: {process.said[-700:]}"
    return {"status": status, "sentence": process.last_line(), "problem": problem}


def _told(record):
    text = f"{record['fault']} wanted in {record['wanted']}, fell in {record['fell']}"
    if "seconds" in record:
        text += f", ended {record['seconds']} s later ({record['waited']} s without a processor)"
        text += f" with status {record['status']}"
    return text + (f"; PROBLEM: {record['problem']}" if record["problem"] else "")


def report(results):
    """How many faults fell where, and what was lost, as text."""
    fell = [record for record in results["rounds"] if record["fell"] != "after the end"]
    count = collections.Counter((record["fault"], record["fell"]) for record in fell)
    names = sorted({record["fault"] for record in fell})
    phases = dict.fromkeys([*_SPANS, *(record["fell"] for record in fell)])
    rows = [[phase, *(count[name, phase] for name in names)] for phase in phases]
    rows.append(["all", *(sum(record["fault"] == name for record in fell) for name in names)])
    lines = [benchmarks.table(["the fault fell in", *names], rows)]
    for name in names:
        if ends := [r for r in fell if r["fault"] == name and name in ("term", "int")]:
            seconds, own = ([f(r) for r in ends] for f in (lambda r: r["seconds"], fault_checks.own_seconds))
            lines.append(
                f"{name}: ended within {max(seconds):.1f} s (median {statistics.median(seconds):.1f} s), less the"
                f" wait for a processor {max(own):.1f} s (median {statistics.median(own):.1f} s)"
            )
    problems = [problem for chain in results["chains"] for problem in chain["problems"]]
    lines.append(f"{len(results['chains'])} workdirs; problems: {len(problems)}")
    return "\n".join([*lines, *problems])


if __name__ == "__main__":
    flags.DEFINE_integer("rounds", 200, "How many processes are hit.", 1)
    flags.DEFINE_integer("chain", 10, "So many of them on one workdir.", 1)
    flags.DEFINE_integer("replicas", 1, "Logical CPUs that a run is on.", 1)
    flags.DEFINE_list("faults", ["kill"], f"What hits them, of {', '.join(FAULTS)}.")
    flags.DEFINE_integer("minutes", None, "After so many no further workdir is begun.", 1)
    path_flags.define_path("folder", None, "Where the workdirs are made; by default the system's for such.")
    flags.DEFINE_integer("seed", 0, "Of all that is drawn.")
    benchmarks.define_output()
    run(main)
