"""Tries staged SavedModels in a process of its own, which can import nothing of this library but `warmup`.

  python -m ltgans_tf.export.check < SENT.npz

`validation.infra` writes the task to its standard input and reads the report, one line of JSON. A server has
TensorFlow and nothing of this library, and so has this process.
"""

import importlib
import io
import json
import statistics
import sys
import time

_CALLS = 5  # of each signature with one row, to measure its latency
_ABSOLUTE, _RELATIVE = 1e-4, 1e-3  # tolerances of float outputs
_SIXTEEN_BITS = 50.0  # their factor for hidden layers in 16 bits, as each graph rounds in other places
_LEVELS = 1  # tolerance of images in files, of 255 levels


def main(sent):
    """Loads SavedModels and compares their answers to the warm-up requests with the wanted ones.

    Args:
      sent: bytes of an npz file. '<kind>/<request>/<output>' are the wanted answers. 'spec' is JSON with 'halves',
        {kind: folder of a SavedModel}; 'max_latency' in seconds; and 'precision' of the layers.

    Returns:
      {kind: {'load_seconds', 'latency_ms': {signature: median for one row}}}, or {'refused': sentence}.
    """
    import numpy as np

    with np.load(io.BytesIO(sent), allow_pickle=False) as file:
        arrays = dict(file)
    spec = json.loads(str(arrays.pop("spec")))
    report, looser = {}, 1.0 if spec["precision"] == "float32" else _SIXTEEN_BITS
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
    latency = {}
    for i, (signature, inputs) in enumerate(requests):
        place = f"signature {signature!r} of the {kind}"
        run, rows = loaded.signatures[signature], len(next(iter(inputs.values())))
        given = {name: tf.constant(value) for name, value in inputs.items()}
        try:
            outputs = {name: value.numpy() for name, value in run(**given).items()}
        except tf.errors.OpError as error:
            raise _Refused(f"{place} fails: {_line(error)}") from error
        wanted = {name.partition("/")[2]: a for name, a in answers.items() if name.startswith(f"{i}/")}
        if outputs.keys() != wanted.keys():
            raise _Refused(f"{place} gives {sorted(outputs)}, the model in memory {sorted(wanted)}.")
        for name, value in outputs.items():
            _compare(f"{name} of {place}", value, wanted[name], looser)
        if rows == 1:
            latency[signature] = 1000 * _seconds(run, given)
            if latency[signature] > 1000 * max_latency:
                raise _Refused(
                    f"{place} takes {latency[signature]:.0f} ms for one row; at most"
                    f" {1000 * max_latency:.0f} ms are allowed."
                )
    return {"load_seconds": round(seconds, 3), "latency_ms": {k: round(v, 3) for k, v in latency.items()}}


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
        apart, allowed = np.abs(value - wanted), looser * (_ABSOLUTE + _RELATIVE * np.abs(wanted))
    if (apart > allowed).any():
        raise _Refused(f"{name} is {apart.max():.3g} away from what the model in memory gives.")


def _seconds(run, given):
    taken = []
    for _ in range(_CALLS):
        begin = time.perf_counter()
        for value in run(**given).values():
            value.numpy()
        taken.append(time.perf_counter() - begin)
    return statistics.median(taken)


def _line(error):
    return " ".join(str(error).split())[:300]


if __name__ == "__main__":
    # None makes their import fail even if they are installed. The last two would only slow Keras' import down.
    for _blocked in ("tensorflow_probability", "matplotlib", "sklearn"):
        sys.modules[_blocked] = None
    importlib.import_module("ltgans_tf.export.warmup")  # reads the requests; it imports TensorFlow
    sys.modules["ltgans_tf"] = None
    print(json.dumps(main(sys.stdin.buffer.read())))
