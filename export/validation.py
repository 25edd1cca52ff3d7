"""Whether a staged version works: the infra validation, before anything can be served.

Its names are TFX's: what passes carries the file assets.extra/INFRA_BLESSED.
"""

import io
import json
import os
import subprocess
import sys

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

    spec = {"max_latency": max_latency, "precision": precision, "halves": {}}
    arrays = {}
    for kind, (folder, answers) in halves.items():
        spec["halves"][kind] = os.path.abspath(folder)
        arrays |= {f"{kind}/{i}/{name}": a for i, one in enumerate(answers) for name, a in one.items()}
    sent = io.BytesIO()  # no file, which a kill would leave behind
    np.savez(sent, spec=json.dumps(spec), **arrays)
    report = _run(sent.getvalue())
    if "refused" in report:
        raise NotBlessed(report["refused"])
    return report


def _run(sent):
    path = os.pathsep.join(filter(None, [_ROOT, os.environ.get("PYTHONPATH")]))
    # A GPU is the trainer's; what is compared are numbers of the CPU's kernels or of a GPU's alike.
    environment = {**os.environ, "PYTHONPATH": path, "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"}
    try:
        done = subprocess.run(
            [sys.executable, "-m", "export.check"],
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
