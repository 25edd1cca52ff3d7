"""A stand-in for TensorFlow Serving's REST interface, for tests of what talks to it.

It keeps to the rules of api_rest.md and of the server's sources: paths, versions and labels, the
row and the column format, HTTP statuses, model status and metadata; `rest_rules` reads and writes
the tensors. Where the real server is lenient it is strict, so that a client must not lean on that:
inputs and keys that are unknown are refused, tensors must have the shapes of the signature, and an
input whose name ends in `_bytes` must come in base64.
"""

import contextlib
import dataclasses
import http.server
import json
import re
import threading
import time
import urllib.parse
from collections.abc import Callable

from tests import rest_rules

_POST = re.compile(r"/v1/models/([^/:]+)(?:/versions/(\d+)|/labels/([^/:]+))?:predict")
_GET = re.compile(r"/v1/models/([^/:]+)(?:/versions/(\d+)|/labels/([^/:]+))?(/metadata)?")


@dataclasses.dataclass(frozen=True)
class Signature:
    """Tensors by name, each ("DT_FLOAT", [-1, 64]), and the function that answers.

    The function gets an array for each input (of strings a list of bytes) by keyword, and returns
    a dict of such.
    """

    inputs: dict
    outputs: dict
    run: Callable


@dataclasses.dataclass
class Model:
    """{version: {name: Signature}}, {label: version}, and states other than "AVAILABLE"."""

    versions: dict
    labels: dict = dataclasses.field(default_factory=dict)
    states: dict = dataclasses.field(default_factory=dict)

    def state(self, version):
        return self.states.get(version, "AVAILABLE")


def model_of(inputs, outputs, run):
    """Models for a double: `m`, whose default signature answers with `run`."""
    return {"m": Model({1: {"serving_default": Signature(inputs, outputs, run)}})}


def of_saved_model(path):
    """Returns the signatures of a SavedModel, to be a version of a Model."""
    import tensorflow as tf
    from tensorflow.core.framework import types_pb2

    loaded = tf.saved_model.load(path)

    def tensors(specs):
        return {
            name: (
                types_pb2.DataType.Name(s.dtype.as_datatype_enum),
                [-1 if size is None else size for size in s.shape],
            )
            for name, s in specs.items()
        }

    def runner(function, owner):  # `owner` holds the variables, which must outlive the function
        def run(owner=owner, **arrays):
            try:
                made = function(**{name: tf.constant(values) for name, values in arrays.items()})
            except tf.errors.InvalidArgumentError as error:
                raise rest_rules.Refusal(400, error.message) from error
            return {name: tensor.numpy() for name, tensor in made.items()}

        return run

    return {
        name: Signature(
            tensors(function.structured_input_signature[1]),
            tensors(function.structured_outputs),
            runner(function, loaded),
        )
        for name, function in loaded.signatures.items()
    }


class Double:
    """The server, on a free port of this machine or on `port`; stops at the end of `with`.

    Args:
      models: {name: Model}.

    Attributes:
      url: its address.
      requests: (method, path, JSON or None) of all requests so far.
      faults: what it does in place of its work, one a request, first come first: (status, bytes)
        is answered so, bytes are an answer that breaks off after them, a number is that many seconds
        of silence, None is a closed connection.
    """

    def __init__(self, models, port=0):
        self.models, self.requests, self.faults = models, [], []
        double = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                double._serve(self, None)

            def do_POST(self):
                double._serve(self, self.rfile.read(int(self.headers["Content-Length"])))

            def log_message(self, *args):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *exception):
        self._server.shutdown()
        self._server.server_close()

    def _serve(self, handler, body):
        text = None if body is None else body.decode()
        with contextlib.suppress(ValueError):
            text = json.loads(text or "null")
        self.requests.append((handler.command, handler.path, text))
        if self.faults:
            fault = self.faults.pop(0)
            if isinstance(fault, tuple):
                return _reply(handler, *fault)
            if isinstance(fault, bytes):
                _reply(handler, 200, fault, missing=1)
            else:
                time.sleep(fault or 0)
            handler.close_connection = True
            return None
        try:
            answer = self._get(handler.path) if body is None else self._post(handler.path, body)
        except rest_rules.Refusal as error:
            return _reply(handler, error.status, json.dumps({"error": str(error)}).encode())
        return _reply(handler, 200, json.dumps(answer).encode())

    def _get(self, path):
        name, version, label, metadata = _parts(_GET, "GET", path)
        if not metadata:
            model = self._model(name)
            wanted = [int(version)] if version else sorted(model.versions, reverse=True)
            if not set(wanted) <= model.versions.keys():
                raise rest_rules.Refusal(404, f"Could not find version {version} of model {name}")
            return {"model_version_status": [_version_status(v, model.state(v)) for v in wanted]}
        number, signatures = self._version(name, version, label)
        entries = {key: _signature_def(s) for key, s in signatures.items()}
        return {
            "model_spec": {"name": name, "signature_name": "", "version": str(number)},
            "metadata": {"signature_def": {"signature_def": entries}},
        }

    def _post(self, path, body):
        name, version, label = _parts(_POST, "POST", path)
        _, signatures = self._version(name, version, label)
        try:
            request = json.loads(body)
        except ValueError as error:
            raise rest_rules.Refusal(400, f"JSON Parse error: {error}") from error
        if not isinstance(request, dict) or not request.keys() <= {"signature_name", "instances", "inputs"}:
            raise rest_rules.Refusal(
                400, "JSON Value: not an object of signature_name and instances or inputs"
            )
        called = request.get("signature_name", "serving_default")
        if called not in signatures:
            raise rest_rules.Refusal(400, f'Serving signature name: "{called}" not found in signature def')
        signature = signatures[called]
        if "instances" in request and "inputs" in request:
            raise rest_rules.Refusal(
                400, "JSON Value: expecting only one of 'inputs' or 'instances' keys to exist"
            )
        if "instances" in request:
            made = signature.run(**rest_rules.from_rows(request["instances"], signature.inputs))
            return {"predictions": rest_rules.to_rows(rest_rules.written(made, signature.outputs))}
        if "inputs" in request:
            made = signature.run(**rest_rules.from_columns(request["inputs"], signature.inputs))
            made = rest_rules.written(made, signature.outputs)
            return {"outputs": made if len(made) > 1 else next(iter(made.values()))}
        raise rest_rules.Refusal(400, "Missing 'inputs' or 'instances' key")

    def _model(self, name):
        if name not in self.models:
            raise rest_rules.Refusal(404, f"Could not find any versions of model {name}")
        return self.models[name]

    def _version(self, name, version, label):
        if name not in self.models:
            raise rest_rules.Refusal(404, f"Servable not found for request: Latest({name})")
        model = self.models[name]
        if label and label not in model.labels:
            raise rest_rules.Refusal(400, f"Unrecognized servable version label: {label}")
        loaded = [v for v in model.versions if model.state(v) == "AVAILABLE"]
        number = int(version) if version else model.labels[label] if label else max(loaded, default=None)
        if number not in loaded:
            asked = f"Specific({name}, {number})" if number else f"Latest({name})"
            raise rest_rules.Refusal(404, f"Servable not found for request: {asked}")
        return number, model.versions[number]


def _reply(handler, status, body, missing=0):
    handler.send_response(status)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(len(body) + missing))
    handler.end_headers()
    handler.wfile.write(body)


def _parts(pattern, method, path):
    found = pattern.fullmatch(path)
    if not found:
        raise rest_rules.Refusal(400, f"Malformed request: {method} {path}")
    return [part and urllib.parse.unquote(part) for part in found.groups()]


def _version_status(version, state):
    return {"version": str(version), "state": state, "status": {"error_code": "OK", "error_message": ""}}


def _signature_def(signature):
    def side(tensors):
        return {
            name: {
                "dtype": kind,
                "tensor_shape": {"dim": [{"size": str(n), "name": ""} for n in shape], "unknown_rank": False},
                "name": f"{name}:0",
            }
            for name, (kind, shape) in tensors.items()
        }

    return {"inputs": side(signature.inputs), "outputs": side(signature.outputs), "method_name": "predict"}
