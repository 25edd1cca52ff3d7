"""Writes the networks of a model as files for Keras, ONNX Runtime or LiteRT, and tries them there."""

import importlib.util
import io
import json
import os
import warnings

from ltgans_tf.export import check, judge, trial

# {format: (ending of its files, packages that write and try them in addition to TensorFlow and Keras)}
FORMATS = {
    "keras": (".keras", {}),
    "litert": (".tflite", {}),
    "onnx": (
        ".onnx",
        {"tf2onnx": "tf2onnx==1.17.*", "onnxruntime": "onnxruntime==1.32.*", "onnx": "onnx==1.23.*"},
    ),
}
_ROWS = 8  # rows of the larger of the two batches that a file is tried on; more if there are more domains
_SEED = 20_210_919


def check_packages(form):
    """Raises a ValueError with an installation command if packages of a format are missing."""
    needed = FORMATS[form][1]
    if missing := [name for name in needed if importlib.util.find_spec(name) is None]:
        asked = " ".join(f'"{needed[name]}"' for name in needed)
        raise ValueError(f"--format={form} needs {' and '.join(missing)}: pip install {asked}")


def write(model, folder, form):
    """Writes generator, encoder and decoder (see `plain_networks`) to `folder` and tries them in a clean process.

    Args:
      model: a `LifelongModel`.
      folder: an empty folder.
      form: a key of FORMATS.

    Returns:
      {'runtime': what ran the files, 'apart': {file: largest difference to the networks}, 'absolute', 'relative'}.
      A number may differ by absolute + relative * its size.

    Raises:
      judge.NotBlessed: a file does not load, or differs by more than that.
      ValueError: see `plain_networks.networks`.
    """
    import numpy as np

    from ltgans_tf.export import plain_networks

    ending, _ = FORMATS[form]
    made = plain_networks.networks(model)
    for name, network in made.items():
        _save(network, os.path.join(folder, name + ending), form)
    looser = 1.0
    if getattr(getattr(model, "recipe", None), "precision", "float32") != "float32":
        looser = check.SIXTEEN_BITS  # the files compute in 32 bits
    allowed = {"absolute": looser * check.ABSOLUTE, "relative": looser * check.RELATIVE}
    sent = io.BytesIO()
    cases = {f"{name.replace('/', f'{ending}/', 1)}": array for name, array in _cases(model).items()}
    np.savez(sent, spec=json.dumps({"folder": os.path.abspath(folder), **allowed}), **cases)
    report = judge.in_clean_process(["-I", trial.__file__], sent.getvalue())
    for file, (largest, share) in report["apart"].items():
        if not share <= 1:
            raise judge.NotBlessed(
                f"{file} in {report['runtime']} is up to {largest:.3g} away from what the networks give; allowed are"
                f" {allowed['absolute']:g} + {allowed['relative']:g} of a number."
            )
    return {**report, "apart": {file: largest for file, (largest, _) in report["apart"].items()}, **allowed}


def _save(network, path, form):
    import numpy as np

    if form == "keras":
        network.save(path)
        return
    # Keras does not convert a network that was never called.
    network({name: np.ones([1, *port.shape[1:]], port.dtype) for name, port in network.input.items()})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # warnings about names of future NumPy versions
        network.export(path, format=form, verbose=False)


def _cases(model):
    """Returns inputs and outputs of a model's networks: {'<network>/<number>/in or out/<name>': array}."""
    import numpy as np

    dims, learnt, found = model.latent_law.domain_dim, len(model.domains), {}
    for number, rows in enumerate((1, max(_ROWS, learnt))):
        latents = model.latents(rows, _SEED).numpy()
        drawn = np.array(model.generate(latents))
        given = {"noise": latents[:, dims:]}
        if dims:
            given["domain"] = np.int32(np.arange(rows) % learnt + 1)
        cases = {"generator": (given, {"images": drawn})}
        if model.student is not None:
            posterior = model.student.encode(drawn)
            mean = np.array(posterior.mean())
            cases["encoder"] = {"images": drawn}, {"mean": mean, "stddev": np.array(posterior.stddev())}
            cases["decoder"] = {"codes": mean}, {"images": np.array(model.student.decode(mean))}
        for name, ways in cases.items():
            for way, ports in zip(("in", "out"), ways):
                found |= {f"{name}/{number}/{way}/{port}": array for port, array in ports.items()}
    return found
