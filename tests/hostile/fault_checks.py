"""What a run has left in its workdir, in a form in which two runs can be compared."""

import collections
import glob
import hashlib
import json
import os
import re
import subprocess
import sys

from ltgans_tf.training import checkpoints

_STOPPED_WITHIN = 10.0  # seconds
# Loads versions as a server would, and tells of each its signatures and a checksum of its weights, in any order.
_LOADS = """
import hashlib, sys, tensorflow as tf
for folder in sys.argv[1:]:
    stored = tf.train.load_checkpoint(folder + "/variables/variables")
    names = [name for name in stored.get_variable_to_shape_map() if name != "_CHECKPOINTABLE_OBJECT_GRAPH"]
    sums = sorted(hashlib.sha256(stored.get_tensor(name).tobytes()).hexdigest() for name in names)
    signatures = len(tf.saved_model.load(folder).signatures)
    print(folder, signatures, hashlib.sha256("".join(sums).encode()).hexdigest())
"""
# TensorFlow removes these at the end of its process, so not those of a process that was killed.
_TENSORFLOWS = re.compile(r"__autograph_generated_file\w+\.py|__pycache__")


def contents(workdir, temporary=None):
    """What is there, as a JSON-ready dict without what differs from run to run (times, versions, names of hosts).

    Args:
      workdir: of a run.
      temporary: folder that its processes had for temporary files, or None.
    """
    newest = checkpoints.checkpoints(workdir)[:1]
    return {
        "weights": _weights(newest[0]) if newest else None,
        "checkpoints": len(checkpoints.checkpoints(workdir)),
        "metrics": _metrics(os.path.join(workdir, "metrics.jsonl")),
        "tensorboard": _events(os.path.join(workdir, "tensorboard")),
        "exports": _exports(os.path.join(workdir, "exports")),
        "files": _files(workdir),
        "litter": _litter(workdir) + _litter(temporary, every=True),
    }


def differences(wanted, found):
    """Sentences on what `found` lacks or has too much beside `wanted`, both of `contents` and with a 'status'."""
    problems = []
    if found["status"]:
        problems.append(f"the command ended with status {found['status']}: {found['said'][-500:]}")
    if found["weights"] != wanted["weights"]:
        problems.append(f"weights: {_apart(wanted['weights'], found['weights'])}")
    ours, theirs = (collections.Counter(side["files"]) for side in (wanted, found))
    if ours != theirs:
        problems.append(f"files: lacks {dict(ours - theirs)} and has too much {dict(theirs - ours)}")
    for name in ("checkpoints", "metrics", "exports"):
        if found[name] != wanted[name]:
            problems.append(
                f"{name}: {_told(wanted[name])} in the undisturbed run, {_told(found[name])} here"
            )
    ours, theirs = (collections.Counter(dict(side["tensorboard"])) for side in (wanted, found))
    if ours != theirs:
        problems.append(f"TensorBoard lacks {dict(ours - theirs)} and has too much {dict(theirs - ours)}")
    if found["litter"]:
        problems.append(f"left behind: {', '.join(found['litter'])}")
    return problems


def stop_problem(status, number, process, record):
    """What is wrong with how a run ended on a signal, or ''."""
    if record["fell"] == "imports" and status == -number:
        return ""  # Python's own way, before the program has begun
    if record["fell"] == "ending" and status == 0:
        return ""  # it had done all
    if status != 128 + number:
        return f"status {status} on signal {number} in {record['fell']}: {process.said[-500:]}"
    if "ltgans train --" not in process.said:
        return f"no command to go on in {record['fell']}: {process.said[-500:]}"
    if own_seconds(record) > _STOPPED_WITHIN:
        return f"it took {record['seconds']} s to end in {record['fell']}, {own_seconds(record):.1f} s of them its own"
    return ""


def own_seconds(record):
    """Seconds that a process took to end, without those for which other processes had the processor."""
    return record["seconds"] - record["waited"]


def _weights(path):
    """The name of a checkpoint, the checksums of its files and, to tell where two of them are apart, its tensors."""
    import numpy as np
    import tensorflow as tf

    with open(os.path.join(path, "manifest.json"), encoding="utf-8") as f:
        manifest = json.load(f)
    stored = tf.train.load_checkpoint(os.path.join(path, "state"))
    tensors = {
        name: [hashlib.sha256(value.tobytes()).hexdigest(), float(np.abs(value).astype(np.float64).sum())]
        for name in stored.get_variable_to_shape_map()
        if isinstance(value := stored.get_tensor(name), np.ndarray | np.number)
    }
    return {"name": os.path.basename(path), "files": manifest["files"], "tensors": tensors}


def _apart(wanted, found):
    """In which tensors two of `_weights` differ and by how much in the sum of magnitudes, as text."""
    if not (wanted and found and wanted["name"] == found["name"]):
        return (
            " in the undisturbed run, ".join(str(side and side["name"]) for side in (wanted, found)) + " here"
        )
    ours, theirs = wanted["tensors"], found["tensors"]
    other = {
        name: abs(ours[name][1] - theirs[name][1]) / max(ours[name][1], 1e-30)
        for name in sorted(ours.keys() & theirs.keys())
        if ours[name][0] != theirs[name][0]
    }
    missing = sorted(ours.keys() ^ theirs.keys())
    told = ", ".join(f"{name} {share:.1e}" for name, share in other.items())
    return f"{len(other)} of {len(ours)} tensors of {wanted['name']} differ ({told}); in one run alone: {missing}"


def _metrics(path):
    """[step, names of its scalars] of each line."""
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as f:
        return [[(row := json.loads(line))["step"], sorted(row)] for line in f]


def _events(folder):
    """[[tag and step, how often]] over all files that TensorBoard reads in a folder."""
    import tensorflow as tf
    from tensorboard.compat.proto import event_pb2

    count = collections.Counter(
        f"{value.tag} {event.step}"
        for name in (os.listdir(folder) if os.path.isdir(folder) else [])
        if "tfevents" in name
        for event in map(
            event_pb2.Event.FromString,
            tf.data.TFRecordDataset(os.path.join(folder, name)).as_numpy_iterator(),
        )
        for value in event.summary.value
    )
    return sorted(count.items())


def _exports(base):
    """Each half that a server would see: [kind, number of signatures], or a sentence where it cannot be loaded."""
    folders = sorted(glob.glob(os.path.join(glob.escape(base), "*coder", "*")))
    folders += sorted(glob.glob(os.path.join(glob.escape(base), "generator", "*")))
    done = subprocess.run([sys.executable, "-c", _LOADS, *folders], capture_output=True, text=True)
    if done.returncode:
        return [done.stderr.strip().splitlines()[-1]]
    found = [line.split() for line in done.stdout.splitlines()]
    bundles = glob.glob(os.path.join(glob.escape(base), "continuation", "*"))
    whole = [not checkpoints.damage(path) for bundle in bundles for path in checkpoints.checkpoints(bundle)]
    latest = os.path.join(base, "latest.json")
    pairs = []
    if os.path.exists(latest):
        with open(latest, encoding="utf-8") as f:
            pairs = [pair["task_index"] for pair in json.load(f)["pairs"]]
    return [*([path.split(os.sep)[-2], int(count), weights] for path, count, weights in found), whole, pairs]


def _files(workdir):
    """Names of all files but those of exports and TensorBoard, whose names have times in them.

    Those of checkpoints stand without their steps: after a stop the one before the newest is another.
    """
    found = []
    for folder, _, names in os.walk(workdir):
        place = os.path.relpath(folder, workdir)
        if place.startswith("checkpoints"):
            place = "checkpoints"
        if not place.startswith(("exports", "tensorboard")):
            found += [os.path.normpath(os.path.join(place, name)) for name in names]
    return sorted(name for name in found if ".tmp" not in name)


def _litter(folder, every=False):
    """What a process has left that nobody will read."""
    found = [
        os.path.join(place, name)
        for place, folders, names in os.walk(folder or "")
        for name in (*folders, *names)
        if (every and not _TENSORFLOWS.match(name)) or re.search(r"\.tmp|removed-", name)
    ]
    return sorted(os.path.relpath(path, os.path.dirname(folder)) for path in found)


def _told(value):
    text = json.dumps(value)
    return text if len(text) < 600 else f"{text[:600]}..."
