"""Judges whether a staged version may be served: by its scores, and by a trial before a server can see it.

The scores must show that the version has learnt the last task and has not forgotten earlier ones. This needs no data of
earlier tasks: the row of scores after the last task is compared with the row in the export_info.json of the served
version. The trial is TFX's infra validation: a clean process loads the version and answers its warm-up requests. Both
results have TFX's names.
"""

import contextlib
import io
import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
import weakref

import ltgans_tf

BLESSED, NOT_BLESSED = "BLESSED", "NOT_BLESSED"
INFRA_BLESSED = "INFRA_BLESSED"
# The compared scores, lower is better: (name, power of the allowed factor). FCD is a squared distance: near its floor
# it doubles while the images hardly change.
COMPARED = {"nlog": ("NLOG", 1), "fcd": ("FCD", 2), "fcd_drawn": ("FCD by code", 2)}
_SURE = 0.9  # domain accuracy of the extractor that is needed to judge shares of the generated images
_LEAST_SHARE = 0.25  # as a fraction of 1/k, for k domains
_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(ltgans_tf.__file__)))
_TIMEOUT = 300  # seconds


class NotBlessed(ValueError):
    """Raised if a version is refused, with the reason; no part of the version is served."""


def summary(row):
    """Returns the part of a `row.Row` that a version keeps: dict, JSON-ready."""
    extractor = row.extractor or {}
    kept = (*COMPARED, "share", "mean_image_nlog")
    return {
        "after_task": row.after_task,
        "task": row.task,
        "protocol": row.protocol,
        **({"tuning": True} if row.tuning else {}),
        "extractor": extractor.get("sha256"),
        "domain_accuracy": extractor.get("domain_accuracy"),
        "tasks": {
            task: {name: found[name] for name in kept if name in found} for task, found in row.scores.items()
        },
    }


def reasons(new, served, max_regression):
    """Returns the reasons against serving a version: list of sentences, empty for a blessed one.

    Args:
      new: `summary` of its row, or None if nothing was measured.
      served: the summary of the served version, {} if it has no scores; None if nothing is served.
      max_regression: how much worse a score of an earlier domain may be, as a fraction of the served version's:
        0.5 allows an NLOG of 150 after 100, and an FCD of 2.25 after 1.
    """
    if new is None:
        return ["it has no scores; evaluate the run at its boundary, or push with the policy 'always'."]
    if new.get("tuning"):
        return [
            "its scores are of held-out training images (--tuning); train it without, or push with the policy 'always'."
        ]
    found = _floor(new)
    if served == {}:
        found.append(
            "the served version has no scores to compare with; serve one that has, or push with the policy 'always'."
        )
    for task in (served or {"tasks": {}})["tasks"]:
        if task not in new["tasks"]:
            found.append(f"the served version knows {task}, but this version has no scores of it.")
        else:
            found += _regressions(task, new, served, max_regression)
    return found


def _floor(new):
    """Returns the reasons of the version alone: a new domain no better than the mean image, or a missing domain."""
    found, task = [], new["task"]
    own = new["tasks"].get(task, {})
    if "nlog" in own and "mean_image_nlog" in own and not own["nlog"] < own["mean_image_nlog"]:
        found.append(
            f"the NLOG of the new {task} is {own['nlog']:.1f}, no better than the mean image's"
            f" {own['mean_image_nlog']:.1f}."
        )
    if (new["domain_accuracy"] or 0.0) >= _SURE:
        least = _LEAST_SHARE / len(new["tasks"])
        found += [
            f"{scores['share']:.1%} of the generated images are {name}; at least {least:.1%} should be."
            for name, scores in new["tasks"].items()
            if "share" in scores and scores["share"] < least
        ]
    return found


def _regressions(task, new, served, max_regression):
    now, before = new["tasks"][task], served["tasks"][task]
    names = [name for name in COMPARED if name in now and name in before]
    if new["extractor"] != served["extractor"]:  # FCDs on different features have different scales
        names = [name for name in names if not name.startswith("fcd")]
    if not names:
        return [f"no score of {task} can be compared with the served version's."]
    # `**` raises an error if a float overflows; a product does not.
    factors = {name: math.prod([1 + max_regression] * COMPARED[name][1]) for name in names}
    worst = {name: min(factors[name], sys.float_info.max) * before[name] for name in names}
    return [
        f"the {COMPARED[name][0]} of {task} is {now[name]:.4g}, the served version's {before[name]:.4g}; at most"
        f" {worst[name]:.4g} is allowed."
        for name in names
        if not now[name] <= worst[name]
    ]


class Trials:
    """A process for the trials of one run, see `check.py`; it is started once and ends with this object.

    Each trial still runs in its own process. The trials share one import of TensorFlow, which takes several times
    as long as the rest of a trial.
    """

    def __init__(self):
        self._process = self._end = None

    def prepare(self, patience=0.0):
        """Starts the process unless it runs; it imports TensorFlow for the first trial, or after `patience` seconds."""
        if self._process is not None and self._process.poll() is None:
            return
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-P",
                "-m",
                "ltgans_tf.export.check",
                str(patience),
            ],  # -P: imports nothing from the present folder
            env=_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # so that signals to the run's group miss it, and a kill includes its trial
        )
        self._end = weakref.finalize(self, _kill, self._process)

    def close(self):
        """Ends the process, and with it a trial in progress."""
        if self._end is not None:
            self._end()
            self._process.communicate()
            self._process = self._end = None

    def run(self, sent):
        """Runs `check.main` on `sent` in a new process and returns its result.

        Raises:
          NotBlessed: the process died, or took too long.
        """
        self.prepare()
        begin, late = time.monotonic(), threading.Timer(_TIMEOUT, _kill, [self._process])
        late.start()
        try:
            answer = self._ask(sent)
        except BaseException:  # also a stop request, which must not wait for this trial
            self.close()
            raise
        finally:
            late.cancel()
        if time.monotonic() - begin > _TIMEOUT:
            raise NotBlessed(f"the check of the export was not done after {_TIMEOUT} seconds.")
        if answer["status"]:
            raise NotBlessed(f"the check of the export died with status {answer['status']}: {answer['said']}")
        return json.loads(answer["said"])

    def _ask(self, sent):
        """Sends a trial and waits for {'status', 'said'}, which are of the process of this object if it has ended."""
        process = self._process
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(b"%d\n%b" % (len(sent), sent))
            process.stdin.flush()
        if line := process.stdout.readline():
            return json.loads(line)
        said = process.stderr.read().decode(errors="replace").strip().splitlines()
        return {"status": process.wait(), "said": (said or ["no word"])[-1]}


def _kill(process):
    """Kills a process of `Trials` and the processes that it has forked."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)


def infra(halves, max_latency=1.0, precision="float32", trials=None):
    """Loads staged SavedModels in a fresh process and sends them their warm-up requests.

    Each signature must have a request, give finite numbers and the same answers as the model in memory, and take at
    most `max_latency` seconds for one row.

    Args:
      halves: {kind: (folder, answers)}: the folder of a SavedModel with its warm-up file, and the model's answers
        to those requests (see `probes`).
      max_latency: seconds.
      precision: of the hidden layers, see `presets.Recipe`.
      trials: `Trials` that several calls share; None for a process that ends with this call.

    Returns:
      {kind: {'load_seconds', 'latency_ms': {signature: number}}}.

    Raises:
      NotBlessed: a SavedModel fails.
    """
    import numpy as np  # here, so that --help does not wait for it

    spec = {"max_latency": max_latency, "precision": precision, "halves": {}}
    arrays = {}
    for kind, (folder, answers) in halves.items():
        spec["halves"][kind] = os.path.abspath(folder)
        arrays |= {f"{kind}/{i}/{name}": a for i, one in enumerate(answers) for name, a in one.items()}
    sent = io.BytesIO()  # not a file, because a killed process would not delete it
    np.savez(sent, spec=json.dumps(spec), **arrays)
    if trials is not None:
        report = trials.run(sent.getvalue())
    else:
        with contextlib.closing(Trials()) as trials:
            report = trials.run(sent.getvalue())
    if "refused" in report:
        raise NotBlessed(report["refused"])
    return report


def in_clean_process(words, sent):
    """Runs `python *words` on the CPU with `sent` (bytes) as its input, and returns its last line, read as JSON.

    Raises:
      NotBlessed: the process fails, or takes too long.
    """
    try:
        done = subprocess.run(
            [sys.executable, *words],
            env=_environment(),
            input=sent,
            capture_output=True,
            timeout=_TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise NotBlessed(f"the check of the export was not done after {_TIMEOUT} seconds.") from error
    if done.returncode:
        last = (done.stderr.decode(errors="replace").strip().splitlines() or ["no word"])[-1]
        raise NotBlessed(f"the check of the export died with status {done.returncode}: {last}")
    return json.loads(done.stdout.splitlines()[-1])


def _environment():
    """Returns the environment variables for a process that tries an export."""
    path = os.pathsep.join(filter(None, [_ROOT, os.environ.get("PYTHONPATH")]))
    # The training process has the GPU. The tolerances allow for the different rounding of the CPU.
    settings = {"PYTHONPATH": path, "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"}
    return {**os.environ, **settings}
