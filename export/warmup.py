"""Reads and writes warm-up requests in TensorFlow Serving's own format: PredictionLogs in a TFRecord file.

A server runs them through a version before it serves the version. This file builds the messages from the field numbers of
the published protos, so that it needs no package of the server; tests/export/warmup_test.py reads them with that
package.
"""

import functools
import os

import tensorflow as tf
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from tensorflow.core.framework import resource_handle_pb2, tensor_pb2, tensor_shape_pb2, types_pb2

FILE = os.path.join("assets.extra", "tf_serving_warmup_requests")

_FIELD = descriptor_pb2.FieldDescriptorProto
# From tensorflow_serving/apis, the needed part of model.proto, predict.proto and prediction_log.proto.
_MESSAGES = {
    "ModelSpec": (("name", 1, None), ("signature_name", 3, None)),
    "PredictRequest": (
        ("model_spec", 1, ".warmup.ModelSpec"),
        ("inputs", 2, ".warmup.PredictRequest.InputsEntry"),
    ),
    "PredictLog": (("request", 1, ".warmup.PredictRequest"),),
    "PredictionLog": (("predict_log", 6, ".warmup.PredictLog"),),
}


def write(path, model_name, requests):
    """Writes requests as the warm-up file of a staged SavedModel.

    Args:
      path: folder of the SavedModel.
      model_name: name of the model on the server.
      requests: list of (signature, {input: array}), at most 1,000.
    """
    os.makedirs(os.path.dirname(os.path.join(path, FILE)), exist_ok=True)
    with tf.io.TFRecordWriter(os.path.join(path, FILE)) as file:
        for signature, inputs in requests:
            log = _prediction_log()()
            request = log.predict_log.request
            request.model_spec.name, request.model_spec.signature_name = model_name, signature
            for name, value in inputs.items():
                request.inputs[name].ParseFromString(tf.make_tensor_proto(value).SerializeToString())
            file.write(log.SerializeToString())


def read(path):
    """Reads the warm-up file of a SavedModel: list of (signature, {input: array})."""
    requests = []
    for record in tf.data.TFRecordDataset(os.path.join(path, FILE)):
        request = _prediction_log().FromString(record.numpy()).predict_log.request
        inputs = {}
        for name, value in request.inputs.items():
            tensor = tensor_pb2.TensorProto.FromString(value.SerializeToString())
            inputs[name] = tf.make_ndarray(tensor)
        requests.append((request.model_spec.signature_name, inputs))
    return requests


@functools.cache
def _prediction_log():
    """Returns the class of PredictionLog, from a separate pool to avoid a clash with the server's package."""
    pool = descriptor_pool.DescriptorPool()
    for module in (types_pb2, tensor_shape_pb2, resource_handle_pb2, tensor_pb2):
        pool.AddSerializedFile(module.DESCRIPTOR.serialized_pb)
    file = descriptor_pb2.FileDescriptorProto(
        name="warmup.proto", package="warmup", syntax="proto3", dependency=[tensor_pb2.DESCRIPTOR.name]
    )
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field in fields:
            _add(message, *field)
        if name == "PredictRequest":  # inputs is map<string, TensorProto>
            message.field[-1].label = _FIELD.LABEL_REPEATED
            entry = message.nested_type.add(name="InputsEntry")
            entry.options.map_entry = True
            _add(entry, "key", 1, None)
            _add(entry, "value", 2, ".tensorflow.TensorProto")
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("warmup.PredictionLog"))


def _add(message, name, number, kind):
    """Adds a field: a string if `kind` is None, else a message of the type `kind`."""
    field = message.field.add(name=name, number=number, label=_FIELD.LABEL_OPTIONAL)
    field.type = _FIELD.TYPE_STRING if kind is None else _FIELD.TYPE_MESSAGE
    if kind is not None:
        field.type_name = kind
