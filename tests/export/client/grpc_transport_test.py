"""The client of TensorFlow Serving over gRPC, against a server of its real protos."""

import concurrent.futures
import contextlib
import socket
import time

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework import types_pb2
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from ltgans_tf.export.client import Client, failures
from tests import certificates, fake_models, proxy, rest_double, rest_rules

_CODES = {400: grpc.StatusCode.INVALID_ARGUMENT, 404: grpc.StatusCode.NOT_FOUND}


class Server(
    prediction_service_pb2_grpc.PredictionServiceServicer, model_service_pb2_grpc.ModelServiceServicer
):
    """Answers for the models of `rest_double`.

    Attributes:
      requests: all requests so far.
      faults: what it does in place of its work, one a request: answer with a status code, or be
        silent for a number of seconds.
    """

    def __init__(self, models):
        self.models, self.requests, self.faults = models, [], []

    def Predict(self, request, context):
        signatures = self._signatures(request, context)
        if request.model_spec.signature_name not in signatures:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, "Serving signature key not found.")
        signature = signatures[request.model_spec.signature_name]
        _check_inputs(request.inputs, signature.inputs, context)
        arrays = {name: tf.make_ndarray(proto) for name, proto in request.inputs.items()}
        strings = {name: list(a) for name, a in arrays.items() if a.dtype == object}
        try:
            made = signature.run(**{**arrays, **strings})
        except rest_rules.Refusal as error:
            context.abort(_CODES[error.status], str(error))
        response = predict_pb2.PredictResponse()
        for name, values in made.items():
            response.outputs[name].CopyFrom(tf.make_tensor_proto(values))
        return response

    def GetModelMetadata(self, request, context):
        assert list(request.metadata_field) == ["signature_def"]
        made = get_model_metadata_pb2.SignatureDefMap()
        for name, signature in self._signatures(request, context).items():
            entry = made.signature_def[name]
            for side in ("inputs", "outputs"):
                for key, (kind, _) in getattr(signature, side).items():
                    getattr(entry, side)[key].dtype = types_pb2.DataType.Value(kind)
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        response.metadata["signature_def"].Pack(made)
        return response

    def GetModelStatus(self, request, context):
        self._note(request, context)
        response = get_model_status_pb2.GetModelStatusResponse()
        model = self.models[request.model_spec.name]
        for version in model.versions:
            state = get_model_status_pb2.ModelVersionStatus.State.Value(model.state(version))
            response.model_version_status.add(version=version, state=state)
        return response

    def _note(self, request, context):
        self.requests.append(request)
        if self.faults:
            fault = self.faults.pop(0)
            if isinstance(fault, float):
                time.sleep(fault)
            else:
                context.abort(fault, "a fault of the test")
        if request.model_spec.name not in self.models:
            context.abort(grpc.StatusCode.NOT_FOUND, f"Servable not found: {request.model_spec.name}")

    def _signatures(self, request, context):
        self._note(request, context)
        spec, model = request.model_spec, self.models[request.model_spec.name]
        if spec.WhichOneof("version_choice") == "version_label":
            return model.versions[model.labels[spec.version_label]]
        loaded = [v for v in model.versions if model.state(v) == "AVAILABLE"]
        return model.versions[spec.version.value if spec.HasField("version") else max(loaded)]


def _check_inputs(inputs, tensors, context):
    if inputs.keys() != tensors.keys():
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"input keys must be {sorted(tensors)}")
    for name, (kind, shape) in tensors.items():
        proto = inputs[name]
        given = types_pb2.DataType.Name(proto.dtype), [d.size for d in proto.tensor_shape.dim][1:]
        if given != (kind, shape[1:]):
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"{name} is {given}, expected {kind} {shape}")


@contextlib.contextmanager
def _serving(models, port=0, credentials=None):
    """(service, address) of a server that stops at the end; encrypted where there are credentials."""
    service = Server(models)
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(2))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(service, server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(service, server)
    place = f"127.0.0.1:{port}"
    port = server.add_secure_port(place, credentials) if credentials else server.add_insecure_port(place)
    server.start()
    try:
        yield service, f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait()


@pytest.fixture
def server():
    with _serving(fake_models.models()) as made:
        yield made


def _client(server, **settings):
    return Client(grpc=server[1], **settings)


def _free_port():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


def test_both_transports_give_the_same(server, tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(fake_models.png([0.3, -0.6]))
    latents = {"latents": np.linspace(-1, 1, 10).reshape(5, 2)}
    with rest_double.Double(fake_models.models()) as double:
        for call in (
            lambda client: client.sample(5, seed=2, truncation=0.5),
            lambda client: client.encode_files([path, path, path]),
            lambda client: client.reconstruct(path),
            lambda client: client.interpolate(path, path, [0, 1]),
            lambda client: client.score(path),
            lambda client: client.status("encoder"),
            lambda client: client.predict("generator", "serving_default", latents),
        ):
            one, other = call(_client(server, max_batch=2)), call(Client(double.url))
            assert type(one) is type(other)
            if isinstance(one, dict):
                assert one.keys() == other.keys() and all(one[k].dtype == other[k].dtype for k in one)
                for name in one:
                    np.testing.assert_array_equal(one[name], other[name])
            else:
                assert one == other


def test_images_may_pass_the_four_megabytes_of_grpc():
    floats = ("DT_FLOAT", [-1])
    signature = rest_double.Signature(
        {"x": floats}, {"y": floats}, lambda x: {"y": np.tile(x, [1, 2_000_000])}
    )
    with _serving({"m": rest_double.Model({1: {"serving_default": signature}})}) as server:
        made = _client(server).predict("m", "serving_default", {"x": [1.0]})["y"]
    assert made.shape == (1, 2_000_000)


@pytest.mark.parametrize("which, version", [({"version": 1}, 1), ({"label": "stable"}, "stable"), ({}, None)])
def test_version_or_label_is_in_every_request(server, which, version):
    _client(server, **which).sample(1)
    assert len(server[0].requests) == 2
    for request in server[0].requests:
        spec = request.model_spec
        chosen = spec.WhichOneof("version_choice")
        assert version == {"version": spec.version.value, "version_label": spec.version_label}.get(chosen)


@pytest.mark.parametrize("code", ["UNAVAILABLE", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED"])
def test_server_that_is_busy_is_asked_again(server, waits, code):
    server[0].faults += [grpc.StatusCode[code]] * 2
    assert len(_client(server, retries=2, wait=1).sample(1)) == 1
    assert len(waits) == 2 and 0.5 <= waits[0] <= 1 <= waits[1] <= 2


@pytest.mark.parametrize(
    "code, error", [("INVALID_ARGUMENT", failures.Refused), ("INTERNAL", OSError), ("NOT_FOUND", ValueError)]
)
def test_other_failures_are_not_tried_again(server, waits, code, error):
    server[0].faults += [grpc.StatusCode[code]]
    with pytest.raises(error, match=f"generator .*{code}: a fault of the test"):
        _client(server).sample(1)
    assert not waits


def test_silent_server_is_left_after_the_timeout(server):
    server[0].faults += [2.0]
    with pytest.raises(ConnectionError, match=r"DEADLINE_EXCEEDED: .*, tried once; "):
        _client(server, timeout=0.2, retries=0).status("generator")


def test_other_tensors_than_the_metadata_names_are_not_taken():
    floats = ("DT_FLOAT", [-1])
    signature = rest_double.Signature({"x": floats}, {"y": floats}, lambda x: {"z": x})
    with _serving({"m": rest_double.Model({1: {"serving_default": signature}})}) as server:
        with pytest.raises(OSError, match=r"with the tensors \['z'\], its metadata names \['y'\]"):
            _client(server).predict("m", "serving_default", {"x": [1.0]})


def test_server_that_starts_late_is_reached():
    port = _free_port()
    with contextlib.ExitStack() as stack:
        with pytest.raises(ConnectionError, match=f"no answer from 127.0.0.1:{port} .*, tried once; "):
            Client(grpc=f"127.0.0.1:{port}", retries=0).sample(1)
        stack.enter_context(_serving(fake_models.models(), port))
        assert len(Client(grpc=f"127.0.0.1:{port}", wait=0.1).sample(1)) == 1


def test_wrong_calls_are_one_sentence(server, tmp_path):
    path = tmp_path / "broken.png"
    path.write_bytes(b"no image")
    with pytest.raises(failures.Refused, match=f"^{path}: .*INVALID_ARGUMENT: Unknown image .*required.\\);"):
        _client(server).encode_files(path)
    with pytest.raises(failures.NotServed, match="does not serve nothing .NOT_FOUND"):
        _client(server).predict("nothing", "serving_default", {})
    with pytest.raises(ValueError, match="generator has no signature encode; it has domains, generate_png, "):
        _client(server).predict("generator", "encode", {})
    with pytest.raises(ValueError, match="gRPC address is 'http://localhost:8500'; it must look like"):
        Client(grpc="http://localhost:8500")


def test_the_authorisation_goes_with_every_call_and_tensors_that_are_none_are_one_sentence(
    server, monkeypatch
):
    seen, note = [], Server._note
    monkeypatch.setattr(
        Server,
        "_note",
        lambda self, request, context: (
            seen.append(dict(context.invocation_metadata()).get("authorization"))
            or note(self, request, context)
        ),
    )
    _client(server, authorization="Bearer abc").sample(1)
    assert seen == ["Bearer abc"] * len(seen) and seen
    response = predict_pb2.PredictResponse()
    for name in ("images_bytes", "latents"):
        response.outputs[name].dtype = types_pb2.DT_FLOAT
        response.outputs[name].tensor_content = b"abc"
    monkeypatch.setattr(Server, "Predict", lambda self, request, context: response)
    with _serving(fake_models.models()) as broken:
        with pytest.raises(OSError, match="with an invalid tensor"):
            _client(broken).sample(1)


def test_answers_are_bounded(server, monkeypatch):
    from ltgans_tf.export.client import grpc_transport

    bounded = [("grpc.max_receive_message_length", 100), ("grpc.max_metadata_size", 2**14)]
    monkeypatch.setattr(grpc_transport, "_OPTIONS", tuple(bounded))
    with pytest.raises(OSError, match="answers with more than 256 MiB; ask for less at once"):
        _client(server).sample(9)


@certificates.needs_openssl
def test_the_certificate_of_the_named_authority_alone_is_taken(tmp_path):
    folder = certificates.make(tmp_path)
    chain = (folder / "server.key").read_bytes(), (folder / "server.pem").read_bytes()
    with _serving(fake_models.models(), credentials=grpc.ssl_server_credentials([chain])) as made:
        assert _client(made, ca_file=str(folder / "ca.pem")).status("generator")
        with pytest.raises(ConnectionError, match="is not to be trusted .*--ca_file") as error:
            _client(made, ca_file=str(folder / "other.pem"), wait=60).status("generator")
        assert "\n" not in str(error.value)
        with pytest.raises(ConnectionError, match="no answer from"):
            _client(made, retries=0).status("generator")  # unencrypted
        (folder / "none.pem").write_text("no certificate")
        with pytest.raises(ValueError, match="none.pem holds no certificates"):
            _client(made, ca_file=str(folder / "none.pem"))


@pytest.mark.parametrize("variable", ["grpc_proxy", "https_proxy", "http_proxy"])
def test_a_proxy_of_the_environment_is_asked_unless_the_server_is_spared(server, monkeypatch, variable):
    with proxy.Proxy(server[1]) as asked:
        for name in ("grpc_proxy", "https_proxy", "http_proxy", "no_grpc_proxy", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv(variable, asked.url)
        away = (None, "model.invalid:8500")
        assert _client(away, retries=0).status("generator")
        assert asked.requests == ["CONNECT model.invalid:8500 HTTP/1.1"]
        monkeypatch.setenv("no_grpc_proxy", "model.invalid,127.0.0.1")
        assert _client(server).status("generator")
        with pytest.raises(OSError):
            _client(away, retries=0, timeout=5).status("generator")
        assert len(asked.requests) == 1
