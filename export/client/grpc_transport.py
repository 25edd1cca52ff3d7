"""Talks to TensorFlow Serving over gRPC, with the methods of `rest.Rest`.

It needs grpcio and tensorflow-serving-api, which the extra `serving` installs, and TensorFlow, whose protos they
use. So the client imports this module only if it uses gRPC.
"""

import re

import numpy as np

from ltgans_tf.export import program
from ltgans_tf.export.client import failures, rest

tf = program.import_tensorflow()  # quietly, before the packages below import it

try:
    import grpc
    from tensorflow.core.framework import types_pb2
    from tensorflow_serving.apis import (
        get_model_metadata_pb2,
        get_model_status_pb2,
        model_service_pb2_grpc,
        predict_pb2,
        prediction_service_pb2_grpc,
    )
except ImportError as error:
    raise ValueError(
        f"gRPC needs packages that cannot be imported ({error}): pip install tensorflow-serving-api==2.21.*,"
        " or use REST."
    ) from error

# The HTTP status of the same error over REST.
_HTTP = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "OUT_OF_RANGE": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "RESOURCE_EXHAUSTED": 429,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
_OPTIONS = (
    ("grpc.max_receive_message_length", rest.MOST_BYTES),  # images are larger than gRPC's default of 4 MB
    ("grpc.max_send_message_length", -1),
    ("grpc.initial_reconnect_backoff_ms", 100),  # short, as failures.retried does the waiting
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 100),
)


class Grpc:
    """Asks one server over gRPC; encrypted if the settings have a `ca_file`.

    Args:
      place: address of the gRPC port, "localhost:8500".
      settings: `settings.Settings`; here `timeout` bounds a whole call.

    Raises:
      ValueError: the address is wrong, or the `ca_file` holds no certificates.
    """

    def __init__(self, place, settings):
        if "/" in place or not re.fullmatch("[0-9]{1,5}", place.rpartition(":")[2]):
            raise ValueError(f"the gRPC address is {place!r}; it must look like localhost:8500.")
        self.place = place
        self._settings = settings
        self._metadata = []
        if settings.authorization is not None:
            self._metadata.append(("authorization", settings.authorization))
        if settings.ca_file is None:
            channel = grpc.insecure_channel(place, options=_OPTIONS)
        else:
            rest.tls_context(settings.ca_file)  # gRPC only logs a bad file
            with open(settings.ca_file, "rb") as file:
                channel = grpc.secure_channel(place, grpc.ssl_channel_credentials(file.read()), _OPTIONS)
        self._predictions = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        self._models = model_service_pb2_grpc.ModelServiceStub(channel)

    def predict(self, model, signature, inputs, outputs):
        """Runs a signature; see `rest.Rest.predict`."""
        request = predict_pb2.PredictRequest()
        self._name(request, model)
        request.model_spec.signature_name = signature
        for name, values in inputs.items():
            request.inputs[name].CopyFrom(tf.make_tensor_proto(values))
        response = self._call(self._predictions.Predict, request)
        if response.outputs.keys() != outputs.keys():
            raise OSError(
                f"{self.place} answered {model}, {signature} with the tensors {sorted(response.outputs)}, its"
                f" metadata names {sorted(outputs)}; ask again if a new version was loaded just now."
            )
        try:
            arrays = {name: np.atleast_1d(tf.make_ndarray(proto)) for name, proto in response.outputs.items()}
        except (TypeError, ValueError) as error:  # the tensor's numbers do not fit its shape or type
            raise OSError(
                f"{self.place} answered {model}, {signature} with an invalid tensor: {error}"
            ) from error
        return {name: array.tolist() if array.dtype == object else array for name, array in arrays.items()}

    def signatures(self, model):
        """Returns names and types of all tensors; see `rest.Rest.signatures`."""
        request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
        self._name(request, model)
        response = self._call(self._predictions.GetModelMetadata, request)
        found = get_model_metadata_pb2.SignatureDefMap()
        response.metadata["signature_def"].Unpack(found)
        return {
            name: {"inputs": _types(entry.inputs), "outputs": _types(entry.outputs)}
            for name, entry in found.signature_def.items()
        }

    def status(self, model):
        """Returns the state of all versions; see `rest.Rest.status`."""
        request = get_model_status_pb2.GetModelStatusRequest()
        request.model_spec.name = model
        response = self._call(self._models.GetModelStatus, request)
        state = get_model_status_pb2.ModelVersionStatus.State
        versions = [
            {
                "version": entry.version,
                "state": state.Name(entry.state) if entry.state in state.values() else str(entry.state),
                "error": failures.shorten(entry.status.error_message),
            }
            for entry in response.model_version_status
        ]
        return sorted(versions, key=lambda entry: -entry["version"])

    def _name(self, request, model):
        request.model_spec.name = model
        if self._settings.version is not None:
            request.model_spec.version.value = self._settings.version
        elif self._settings.label is not None:
            request.model_spec.version_label = self._settings.label

    def _call(self, method, request):
        def once():
            try:
                return method(request, timeout=self._settings.timeout, metadata=self._metadata)
            except grpc.RpcError as error:
                name, said = error.code().name, error.details() or ""
                if "CERTIFICATE_VERIFY_FAILED" in said:
                    raise failures.untrusted(self.place, said) from error
                if name == "UNAVAILABLE" and "connect" in said:
                    raise failures.unreachable(self.place, said) from error
                if name == "RESOURCE_EXHAUSTED" and "larger than max" in said:
                    raise failures.too_large(self.place, rest.MOST_BYTES) from error
                status = _HTTP.get(name, 500)
                target = self._settings.target(request.model_spec.name)
                raise failures.failure(self.place, target, status, name, said) from error

        return failures.retried(once, self._settings.retries, self._settings.wait)


def _types(tensors):
    names = dict(zip(types_pb2.DataType.values(), types_pb2.DataType.keys()))
    return {name: names.get(info.dtype, str(info.dtype)) for name, info in tensors.items()}
