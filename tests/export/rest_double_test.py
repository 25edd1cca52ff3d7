"""The stand-in for TensorFlow Serving: that it keeps to the documented rules, and how strictly."""

import base64
import json
import urllib.error
import urllib.request

import numpy as np
import pytest
import tensorflow as tf

from ltgans_tf.export.client import Client, Refused
from tests import fake_models, rest_double


@pytest.fixture(scope="module")
def url():
    floats, rows = ("DT_FLOAT", [-1]), ("DT_FLOAT", [-1, 2])
    signature = rest_double.Signature(
        {"x": rows, "scale": floats},
        {"y": rows, "first": floats},
        lambda x, scale: {"y": x * scale[:, None], "first": x[:, 0]},
    )
    models = {**fake_models.models(), "m": rest_double.Model({3: {"serving_default": signature}})}
    with rest_double.Double(models) as double:
        yield f"{double.url}/v1/models"


def _ask(url, body=None):
    """(status, JSON) of a request that is written by hand."""
    data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data)) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_rows_and_columns_give_the_same(url):
    rows = [{"x": [1, 2], "scale": 3}, {"x": [0.1, 0.2], "scale": 1}]
    columns = {"x": [[1, 2], [0.1, 0.2]], "scale": [3, 1]}
    assert _ask(f"{url}/m:predict", {"instances": rows}) == (
        200,
        {"predictions": [{"first": 1.0, "y": [3.0, 6.0]}, {"first": 0.1, "y": [0.1, 0.2]}]},
    )
    assert _ask(f"{url}/m:predict", {"inputs": columns}) == (
        200,
        {"outputs": {"first": [1.0, 0.1], "y": [[3.0, 6.0], [0.1, 0.2]]}},
    )


def test_lone_tensors_go_without_their_name(url):
    image = {"b64": base64.b64encode(fake_models.png([1, -1])).decode()}
    _, rows = _ask(f"{url}/encoder:predict", {"signature_name": "reconstruct", "instances": [image]})
    named = {"signature_name": "reconstruct", "instances": [{"image_bytes": image}]}
    _, columns = _ask(f"{url}/encoder:predict", {"signature_name": "reconstruct", "inputs": [image]})
    assert rows == {"predictions": [image]} == _ask(f"{url}/encoder:predict", named)[1]
    assert columns == {"outputs": [image]}


@pytest.mark.parametrize(
    "path, body, status, message",
    [
        ("m:predict", {"instances": [], "inputs": {}}, 400, "only one of 'inputs' or 'instances'"),
        ("m:predict", {"signature_name": "no", "inputs": {}}, 400, 'name: "no" not found in signature def'),
        ("m:predict", {}, 400, "Missing 'inputs' or 'instances' key"),
        ("m:predict", b"{", 400, "JSON Parse error"),
        ("m:predict", [], 400, "not an object"),
        ("m:predict", {"instances": []}, 400, "list with values"),
        ("m:predict", {"instances": [[1, 2]]}, 400, "expecting list of objects"),
        ("m:predict", {"instances": [{"x": [1, 2]}]}, 400, "keys must be equal to"),
        ("m:predict", {"inputs": [[1, 2]]}, 400, "expecting an object"),
        ("m:predict", {"inputs": {"x": [[1, 2]]}}, 400, "Missing named input: scale"),
        ("m:predict", {"inputs": {"x": [[1, 2]], "scale": [1], "z": [1]}}, 400, "Unknown named input: z"),
        ("m:predict", {"inputs": {"x": [[1, 2], [3]], "scale": [1, 1]}}, 400, "unexpected size"),
        ("m:predict", {"inputs": {"x": [1, 2], "scale": [1, 1]}}, 400, "has shape [2], expected [-1, 2]"),
        ("m:predict", {"inputs": {"x": [["1", 2]], "scale": [1]}}, 400, "not of expected type: DT_FLOAT"),
        ("m:predict", {"inputs": {"x": [[True, 2]], "scale": [1]}}, 400, "not of expected type: DT_FLOAT"),
        ("m:predict", {"inputs": {"x": [[1e39, 2]], "scale": [1]}}, 400, "without loss of precision"),
        ("generator:predict", {"signature_name": "sample_png", "instances": [{"seed": 1.0, "truncation": 1}]},
         400, "not of expected type: DT_INT64"),
        ("encoder:predict", {"inputs": ["bytes"]}, 400, "not of expected type: DT_STRING"),
        ("encoder:predict", {"inputs": [{"b64": "?"}]}, 400, "Unable to base64 decode"),
        ("encoder:predict", {"instances": [{"b64": "aaaa"}, [1]]}, 400, "DT_STRING"),
        ("m/versions/3/labels/a:predict", {}, 400, "Malformed request: POST"),
        ("m/labels/a:predict", {}, 400, "Unrecognized servable version label: a"),
        ("m/versions/4:predict", {}, 404, "Servable not found for request: Specific(m, 4)"),
        ("encoder/versions/2:predict", {}, 404, "Servable not found for request: Specific(encoder, 2)"),
        ("n:predict", {}, 404, "Servable not found for request: Latest(n)"),
        ("n", None, 404, "Could not find any versions of model n"),
        ("m/versions/4", None, 404, "Could not find version 4 of model m"),
    ],
)  # fmt: skip
def test_broken_rule_is_refused(url, path, body, status, message):
    code, answer = _ask(f"{url}/{path}", body)
    assert code == status and message in answer["error"]


def test_saved_model_answers_through_the_client(tmp_path):
    class Scaled(tf.Module):
        def __init__(self):
            self.scale = tf.Variable(2.0)

        @tf.function(input_signature=[tf.TensorSpec([None, 2]), tf.TensorSpec([None], tf.string)])
        def serve(self, x, key_bytes):
            tf.debugging.assert_less(x, 100.0)
            return {"y": self.scale * x, "back_bytes": key_bytes}

    module = Scaled()
    tf.saved_model.save(module, str(tmp_path), signatures={"scale": module.serve})
    x, keys = np.array([[0.1, 2], [3, 4]], np.float32), [b"\x00\xff", b""]
    with rest_double.Double(
        {"s": rest_double.Model({1: rest_double.of_saved_model(str(tmp_path))})}
    ) as double:
        client = Client(double.url)
        made = client.predict("s", "scale", {"x": x, "key_bytes": keys})
        np.testing.assert_array_equal(made["y"], 2 * x)
        assert made["back_bytes"] == keys
        with pytest.raises(Refused, match="HTTP 400: .*assertion failed"):
            client.predict("s", "scale", {"x": x + 99, "key_bytes": keys})
