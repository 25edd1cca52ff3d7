"""Tries files of `standalone` in a separate process, which can import nothing of this library.

python -I export/trial.py < SENT.npz
"""

import importlib
import importlib.util
import io
import json
import os
import sys


def main(sent):
    """Runs each network on its inputs and compares its outputs with the expected ones.

    Args:
      sent: bytes of an npz file. '<file>/<number>/in/<input>' and '<file>/<number>/out/<output>' are the cases of
        each file. 'spec' is JSON with 'folder', 'absolute' and 'relative'. The allowed difference of a number is
        absolute + relative times the size of the expected number.

    Returns:
      {'runtime': name and version, 'apart': {file: [largest difference, largest ratio to the allowed difference]}}.
    """
    import numpy as np

    with np.load(io.BytesIO(sent), allow_pickle=False) as file:
        arrays = dict(file)
    spec, cases = json.loads(str(arrays.pop("spec"))), {}
    for name, array in arrays.items():
        file, number, way, port = name.split("/")
        cases.setdefault(file, {}).setdefault(number, {"in": {}, "out": {}})[way][port] = array
    apart = {}
    for file, of_file in cases.items():
        runtime, run = _RUNTIMES[os.path.splitext(file)[1]](os.path.join(spec["folder"], file))
        found = [_apart(run(case["in"]), case["out"], spec) for case in of_file.values()]
        apart[file] = [float(value) for value in np.max(found, axis=0)]  # NaN if any value is NaN
    return {"runtime": runtime, "apart": apart}


def _apart(found, wanted, spec):
    import numpy as np

    if {name: value.shape for name, value in found.items()} != {n: v.shape for n, v in wanted.items()}:
        raise ValueError(f"gives {sorted(found)}, or other shapes of them, in place of {sorted(wanted)}")
    apart = {name: np.abs(found[name] - value) for name, value in wanted.items()}
    allowed = {name: spec["absolute"] + spec["relative"] * np.abs(value) for name, value in wanted.items()}
    return np.max([[apart[name].max(), (apart[name] / allowed[name]).max()] for name in wanted], axis=0)


def _keras(path):
    import numpy as np

    keras = importlib.import_module("keras")
    network = keras.saving.load_model(path, compile=False)

    def run(given):
        return {name: np.array(value) for name, value in network(given, training=False).items()}

    return f"keras {keras.__version__}", run


def _onnx(path):
    runtime = importlib.import_module("onnxruntime")
    session = runtime.InferenceSession(path)
    names = [output.name for output in session.get_outputs()]
    return f"onnxruntime {runtime.__version__}", lambda given: dict(zip(names, session.run(names, given)))


def _litert(path):
    if importlib.util.find_spec("ai_edge_litert"):
        interpreter = importlib.import_module("ai_edge_litert.interpreter").Interpreter(path)
        name = f"ai-edge-litert {importlib.import_module('importlib.metadata').version('ai-edge-litert')}"
    else:
        tensorflow = importlib.import_module("tensorflow")
        interpreter, name = tensorflow.lite.Interpreter(path), f"tensorflow {tensorflow.__version__}"
    run = interpreter.get_signature_runner()
    return name, lambda given: run(**given)


_RUNTIMES = {".keras": _keras, ".onnx": _onnx, ".tflite": _litert}

if __name__ == "__main__":
    sys.modules["ltgans_tf"] = None  # makes its import fail
    print(json.dumps(main(sys.stdin.buffer.read())))
