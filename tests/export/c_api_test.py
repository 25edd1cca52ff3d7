"""TensorFlow's C API, which servers are built on, runs every signature of an export by its tag."""

import glob
import json
import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from ltgans_tf.export import probes, signatures
from tests import source_imports

pytestmark = pytest.mark.program


def _tensors(folder):
    """{signature: ({input: tensor name}, {output: tensor name})} of a SavedModel."""
    model = saved_model_pb2.SavedModel()
    with open(os.path.join(folder, "saved_model.pb"), "rb") as f:
        model.ParseFromString(f.read())
    (graph,) = model.meta_graphs
    assert "serve" in graph.meta_info_def.tags
    return {
        name: tuple({key: info.name for key, info in part.items()} for part in (found.inputs, found.outputs))
        for name, found in graph.signature_def.items()
        if not name.startswith("__")
    }


def _packed(value):
    """Files as rows of uint8: the length, the bytes, and zeros up to the longest."""
    if value.dtype != object:
        return value
    rows = [
        np.concatenate([np.array([len(v)], "<u4").view(np.uint8), np.frombuffer(v, np.uint8)]) for v in value
    ]
    longest = max(map(len, rows))
    return np.stack([np.pad(row, (0, longest - len(row))) for row in rows])


def test_every_signature_answers_through_the_c_api_as_the_model_does(tiny_model, tmp_path):
    libraries = glob.glob(os.path.join(os.path.dirname(tf.__file__), "libtensorflow_cc.so.2"))
    if not libraries:
        pytest.skip("this build of TensorFlow has no libtensorflow_cc.so.2")
    model = tiny_model(domain_dim=4)
    model.task_index.assign(1)
    signatures.save_generator(model, str(tmp_path / "generator"))
    signatures.save_encoder(model, (8, 8, 3), "crop", str(tmp_path / "encoder"))
    spec, given, wanted = {}, {}, {}
    for kind, (requests, answers) in (
        ("generator", probes.of_generator(model)),
        ("encoder", probes.of_encoder(model)),
    ):
        spec[kind] = str(tmp_path / kind), _tensors(tmp_path / kind)
        for (name, inputs), outputs in zip(requests, answers):  # of several sizes the last one stays
            given.update({f"{kind}/{name}/{key}": _packed(value) for key, value in inputs.items()})
            wanted.update({f"{kind}/{name}/{key}": value for key, value in outputs.items()})
    (tmp_path / "spec.json").write_text(json.dumps(spec))
    np.savez(tmp_path / "requests.npz", **given)
    program = os.path.join(source_imports.ROOT, "tests", "c_api.py")
    files = [str(tmp_path / name) for name in ("spec.json", "requests.npz", "answers.npz")]
    done = subprocess.run(
        [sys.executable, "-I", program, libraries[0], *files],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    with np.load(files[2]) as made:
        assert str(made["version"]) == tf.__version__
        for name, value in wanted.items():
            if value.dtype.kind == "S":
                assert [made[f"{name}/{i}"].tobytes() for i in range(len(value))] == value.tolist()
            elif value.dtype == np.uint8:
                got = [tf.io.decode_png(made[f"{name}/{i}"].tobytes()).numpy() for i in range(len(value))]
                np.testing.assert_allclose(np.int32(got), np.int32(value), atol=1, err_msg=name)
            else:
                np.testing.assert_allclose(made[name], value, rtol=1e-4, atol=1e-5, err_msg=name)
