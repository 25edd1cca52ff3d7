"""Tries whether a staged version works, before a server can see it: TFX's infra validation.

A version that passes has the file assets.extra/INFRA_BLESSED.
"""

import io
import json
import os
import subprocess
import sys

import ltgans_tf

BLESSED = "INFRA_BLESSED"
_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(ltgans_tf.__file__)))
_TIMEOUT = 300  # seconds


class NotBlessed(ValueError):
    """A version was refused for this reason, and nothing of it is served."""


def infra(halves, max_latency=1.0, precision="float32"):
    """Loads staged SavedModels in a fresh process and sends them their warm-up requests.

    Each signature must have a request, answer as the model in memory does, with finite numbers, and take at most
    `max_latency` seconds for one row.

    Args:
      halves: {kind: (folder, answers)}: the folder of a SavedModel with its warm-up file, and the model's answers
        to those requests (see `probes`).
      max_latency: seconds.
      precision: of the hidden layers, see `presets.Recipe`.

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
    report = _run(sent.getvalue())
    if "refused" in report:
        raise NotBlessed(report["refused"])
    return report


def _run(sent):
    path = os.pathsep.join(filter(None, [_ROOT, os.environ.get("PYTHONPATH")]))
    # The training process has the GPU. The tolerances allow for the CPU's other rounding.
    environment = {**os.environ, "PYTHONPATH": path, "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"}
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "ltgans_tf.export.check"],  # -P: not from the present folder
            env=environment,
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
