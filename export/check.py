"""Tries staged SavedModels in separate processes, which can import nothing of this library but `warmup`.

  python -m ltgans_tf.export.check SECONDS

`judge.Trials` starts this program and writes trials to its standard input, each as a line with the number of
bytes and then these bytes. The program answers each trial with one line of JSON. It imports TensorFlow when the first
trial arrives, after SECONDS at the latest, but runs no operation of it. Each trial runs in a forked process, so it does
not import TensorFlow again and shares no state with earlier trials. Like a server, each of these processes has
TensorFlow and nothing of this library.
"""

import collections
import importlib
import io
import json
import os
import select
import statistics
import sys
import time
import traceback
from concurrent import futures

_CALLS = 5  # calls of each signature with one row, to measure its latency
ABSOLUTE, RELATIVE = 1e-4, 1e-3  # tolerances of float outputs
SIXTEEN_BITS = 50.0  # factor on both for hidden layers in 16 bits, as graphs round in different places
_LEVELS = 1  # tolerance of images in files, in levels from 0 to 255


def main(sent):
    """Loads SavedModels and compares their answers to the warm-up requests with the expected ones.

    Args:
      sent: bytes of an npz file. '<kind>/<request>/<output>' are the expected answers. 'spec' is JSON with 'halves',
        {kind: folder of a SavedModel}; 'max_latency' in seconds; and 'precision' of the layers.

    Returns:
      {kind: {'load_seconds', 'latency_ms': {signature: median for one row}}}, or {'refused': sentence}.
    """
    import numpy as np

    with np.load(io.BytesIO(sent), allow_pickle=False) as file:
        arrays = dict(file)
    spec = json.loads(str(arrays.pop("spec")))
    report, looser = {}, 1.0 if spec["precision"] == "float32" else SIXTEEN_BITS
    for kind, folder in spec["halves"].items():
        answers = {name.partition("/")[2]: a for name, a in arrays.items() if name.startswith(f"{kind}/")}
        try:
            report[kind] = _check(kind, folder, answers, spec["max_latency"], looser)
        except _Refused as error:
            return {"refused": str(error)}
    return report


class _Refused(Exception):
    pass


def _check(kind, folder, answers, max_latency, looser):
    import tensorflow as tf

    from ltgans_tf.export import warmup

    begin = time.perf_counter()
    try:
        loaded = tf.saved_model.load(folder)
    except (OSError, ValueError, tf.errors.OpError) as error:
        raise _Refused(f"the {kind} cannot be loaded: {_line(error)}") from error
    seconds = time.perf_counter() - begin
    requests = warmup.read(folder)
    if untried := sorted(set(loaded.signatures) ^ {signature for signature, _ in requests}):
        raise _Refused(f"the {kind}'s signatures and its warm-up differ in {', '.join(untried)}.")
    latency, calls = {}, [_Call(kind, loaded.signatures[name], name, inputs) for name, inputs in requests]

    def answered(signature):
        return {call: call.outputs() for call in calls if call.signature == signature}

    # TensorFlow prepares a signature during its first call, and once more in each thread that calls it meanwhile.
    # So one thread makes all calls of a signature.
    with futures.ThreadPoolExecutor() as pool:
        found = collections.ChainMap(*pool.map(answered, loaded.signatures))
    for i, call in enumerate(calls):
        outputs = found[call]
        wanted = {name.partition("/")[2]: a for name, a in answers.items() if name.startswith(f"{i}/")}
        if outputs.keys() != wanted.keys():
            raise _Refused(f"{call.place} gives {sorted(outputs)}, the model in memory {sorted(wanted)}.")
        for name, value in outputs.items():
            _compare(f"{name} of {call.place}", value, wanted[name], looser)
        if call.rows == 1:
            latency[call.signature] = 1000 * call.seconds()
            if latency[call.signature] > 1000 * max_latency:
                raise _Refused(
                    f"{call.place} takes {latency[call.signature]:.0f} ms for one row; at most"
                    f" {1000 * max_latency:.0f} ms are allowed."
                )
    return {"load_seconds": round(seconds, 3), "latency_ms": {k: round(v, 3) for k, v in latency.items()}}


class _Call:
    """A request to a signature of a loaded SavedModel."""

    def __init__(self, kind, run, signature, inputs):
        import tensorflow as tf

        self.signature, self.place = signature, f"signature {signature!r} of the {kind}"
        self.rows = len(next(iter(inputs.values())))
        self._run, self._given = run, {name: tf.constant(value) for name, value in inputs.items()}

    def outputs(self):
        """{name: array}."""
        import tensorflow as tf

        try:
            return {name: value.numpy() for name, value in self._run(**self._given).items()}
        except tf.errors.OpError as error:
            raise _Refused(f"{self.place} fails: {_line(error)}") from error

    def seconds(self):
        """Time of a call, median of a few."""
        taken = []
        for _ in range(_CALLS):
            begin = time.perf_counter()
            self.outputs()
            taken.append(time.perf_counter() - begin)
        return statistics.median(taken)


def _compare(name, value, wanted, looser):
    import numpy as np
    import tensorflow as tf

    if wanted.dtype.kind == "S":  # names
        apart, allowed = (value != wanted).astype(int), 0
    elif value.dtype == object:  # PNG files
        value = np.stack([tf.io.decode_png(data).numpy() for data in value])
        apart, allowed = np.abs(value.astype(int) - wanted.astype(int)), _LEVELS
    else:
        if not np.isfinite(value).all():
            raise _Refused(f"{name} is not finite.")
        apart, allowed = np.abs(value - wanted), looser * (ABSOLUTE + RELATIVE * np.abs(wanted))
    if (apart > allowed).any():
        raise _Refused(f"{name} is {apart.max():.3g} away from what the model in memory gives.")


def _line(error):
    return " ".join(str(error).split())[:300]


def serve(requests, answers):
    """Answers trials until `requests` ends.

    Args:
      requests: binary file of trials, see above; each is `sent` of `main`.
      answers: binary file, which gets a line of JSON for each trial: 'status', the exit status of its process, and
        'said', the last line that this process wrote. For status 0 this is the result of `main` as JSON, else the reason.
    """
    while header := requests.readline():
        status, said = _forked(requests.read(int(header)))
        answers.write(json.dumps({"status": status, "said": said}).encode() + b"\n")
        answers.flush()


def _forked(sent):
    """Runs `main` in a new process; returns (exit status, last line)."""
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        status = 1
        try:
            os.dup2(writing, 1), os.dup2(writing, 2)
            print(json.dumps(main(sent)), flush=True)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    os.close(writing)
    with open(reading, "rb") as output:
        said = output.read().decode(errors="replace").strip().splitlines()
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), (said or ["no word"])[-1]


if __name__ == "__main__":
    _ready, _, _ = select.select([sys.stdin], [], [], float(sys.argv[1]))
    if _ready and not sys.stdin.buffer.peek(1):
        sys.exit()  # the run has ended
    # None makes their import fail even if they are installed. The last two would only slow down Keras' import.
    for _blocked in ("tensorflow_probability", "matplotlib", "sklearn"):
        sys.modules[_blocked] = None
    importlib.import_module("ltgans_tf.export.warmup")  # reads the requests; it imports TensorFlow
    sys.modules["ltgans_tf"] = None
    serve(sys.stdin.buffer, sys.stdout.buffer)
