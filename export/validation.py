"""Whether a staged version works: the infra validation, before anything can be served.

Its names are TFX's: what passes carries the file assets.extra/INFRA_BLESSED.
"""

import json
import os
import subprocess
import sys
import tempfile

BLESSED = "INFRA_BLESSED"
_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_TIMEOUT = 300  # seconds


class NotBlessed(ValueError):
    """A version that was refused, with the reason in one sentence; nothing of it is served."""


def infra(halves, max_latency=1.0, precision="float32"):
    """Loads staged SavedModels in a fresh process and sends their warm-up requests through them.

    Every signature must be tried by a request, answer as the model in memory does, with finite
    numbers, and take at most `max_latency` seconds for one row.

    Args:
      halves: {kind: (folder, answers)} with the folder of a SavedModel that has its warm-up file, and
        the answers that `probes` gives for its requests.
      max_latency: seconds.
      precision: of the hidden layers, see `presets.Recipe`.

    Returns:
      {kind: {'load_seconds', 'latency_ms': {signature: number}}}.

    Raises:
      NotBlessed: it does not work.
    """
    import numpy as np  # here, so that the programs' flags do not wait for it

    with tempfile.TemporaryDirectory() as folder:
        spec = {"max_latency": max_latency, "precision": precision, "halves": {}}
        for kind, (path, answers) in halves.items():
            file = os.path.join(folder, f"{kind}.npz")
            np.savez(file, **{f"{i}/{name}": a for i, one in enumerate(answers) for name, a in one.items()})
            spec["halves"][kind] = os.path.abspath(path), file
        with open(os.path.join(folder, "spec.json"), "w", encoding="utf-8") as f:
            json.dump(spec, f)
        report = _run(f.name)
    if "refused" in report:
        raise NotBlessed(report["refused"])
    return report


def _run(spec):
    path = os.pathsep.join(filter(None, [_ROOT, os.environ.get("PYTHONPATH")]))
    # A GPU is the trainer's; what is compared are numbers of the CPU's kernels or of a GPU's alike.
    environment = {**os.environ, "PYTHONPATH": path, "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"}
    try:
        done = subprocess.run(
            [sys.executable, "-m", "export.check", spec],
            env=environment,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise NotBlessed(f"the check of the export was not done after {_TIMEOUT} seconds.") from error
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no word"])[-1]
        raise NotBlessed(f"the check of the export died with status {done.returncode}: {last}")
    return json.loads(done.stdout.splitlines()[-1])
