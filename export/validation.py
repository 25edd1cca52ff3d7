"""Tries whether a staged version works, before a server can see it: TFX's infra validation.

A version that passes has the file assets.extra/INFRA_BLESSED.
"""

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
import weakref

import ltgans_tf

BLESSED = "INFRA_BLESSED"
_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(ltgans_tf.__file__)))
_TIMEOUT = 300  # seconds


class NotBlessed(ValueError):
    """A version was refused for this reason, and nothing of it is served."""


class Trials:
    """A process for the trials of one run, see `check.py`; it is started once and ends with this object.

    Each trial still has a process of its own. What they share is an import of TensorFlow, which takes several times
    as long as the rest.
    """

    def __init__(self):
        self._process = self._end = None

    def prepare(self, patience=0.0):
        """Starts the process if none runs; it imports TensorFlow after `patience` seconds, or for the first trial."""
        if self._process is not None and self._process.poll() is None:
            return
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-P",
                "-m",
                "ltgans_tf.export.check",
                str(patience),
            ],  # -P: not from the present folder
            env=_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # signals to the group of the run are not for it, and it can be killed with its trial
        )
        self._end = weakref.finalize(self, _kill, self._process)

    def close(self):
        """Ends the process, with a trial that may be under way."""
        if self._end is not None:
            self._end()
            self._process.communicate()
            self._process = self._end = None

    def run(self, sent):
        """What `check.main` returns for `sent`, in a new process.

        Raises:
          NotBlessed: that process died, or was not done in time.
        """
        self.prepare()
        begin, late = time.monotonic(), threading.Timer(_TIMEOUT, _kill, [self._process])
        late.start()
        try:
            answer = self._ask(sent)
        except BaseException:  # a request to stop too: nothing is to wait for this trial
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
        """Sends a trial and waits; {'status', 'said'}, of the process of this object if that has ended."""
        process = self._process
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(b"%d\n%b" % (len(sent), sent))
            process.stdin.flush()
        if line := process.stdout.readline():
            return json.loads(line)
        said = process.stderr.read().decode(errors="replace").strip().splitlines()
        return {"status": process.wait(), "said": (said or ["no word"])[-1]}


def _kill(process):
    """Kills a process of `Trials` and what it has forked."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)


def infra(halves, max_latency=1.0, precision="float32", trials=None):
    """Loads staged SavedModels in a fresh process and sends them their warm-up requests.

    Each signature must have a request, answer as the model in memory does, with finite numbers, and take at most
    `max_latency` seconds for one row.

    Args:
      halves: {kind: (folder, answers)}: the folder of a SavedModel with its warm-up file, and the model's answers
        to those requests (see `probes`).
      max_latency: seconds.
      precision: of the hidden layers, see `presets.Recipe`.
      trials: `Trials` of several calls; None for a process that ends with this one.

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
    sent = io.BytesIO()  # a kill would leave a file behind
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
      NotBlessed: it fails, or takes too long.
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
    """The variables of a process that tries an export."""
    path = os.pathsep.join(filter(None, [_ROOT, os.environ.get("PYTHONPATH")]))
    # The training process has the GPU. The tolerances allow for the CPU's other rounding.
    settings = {"PYTHONPATH": path, "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"}
    return {**os.environ, **settings}
