"""Warm-up requests are what TensorFlow Serving's own messages make of the file."""

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import unknown_fields

from ltgans_tf.export import warmup

REQUESTS = [
    ("serving_default", {"latents": np.float32([[1, 2], [3, 4]])}),
    ("sample_png", {"seed": np.int64([7]), "truncation": np.float32([0.5])}),
    ("score", {"image_bytes": np.array([b"a\0b\0", b""], object)}),
]


def test_what_is_written_is_read_again(tmp_path):
    warmup.write(str(tmp_path), "generator", REQUESTS)
    found = warmup.read(str(tmp_path))
    assert [signature for signature, _ in found] == [signature for signature, _ in REQUESTS]
    for (_, given), (_, got) in zip(REQUESTS, found, strict=True):
        assert got.keys() == given.keys()
        for name, value in given.items():
            assert got[name].dtype == value.dtype
            np.testing.assert_array_equal(got[name], value)


def test_the_servers_own_messages_read_it(tmp_path):
    prediction_log_pb2 = pytest.importorskip(
        "tensorflow_serving.apis.prediction_log_pb2", reason="tensorflow-serving-api is not installed"
    )
    warmup.write(str(tmp_path), "generator", REQUESTS)
    records = list(tf.data.TFRecordDataset(str(tmp_path / warmup.FILE)).as_numpy_iterator())
    assert len(records) == len(REQUESTS)
    for record, (signature, given) in zip(records, REQUESTS):
        log = prediction_log_pb2.PredictionLog.FromString(record)
        assert log.WhichOneof("log_type") == "predict_log" and not log.FindInitializationErrors()
        request = log.predict_log.request
        assert (request.model_spec.name, request.model_spec.signature_name) == ("generator", signature)
        assert set(request.inputs) == set(given)
        for name, value in given.items():
            np.testing.assert_array_equal(tf.make_ndarray(request.inputs[name]), value)
        # Nothing went to a field that the server does not know.
        for message in (log, log.predict_log, request, request.model_spec):
            assert not list(unknown_fields.UnknownFieldSet(message))
