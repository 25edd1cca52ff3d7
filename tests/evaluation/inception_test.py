"""Inception from a local file, with small graphs in the place of the real weights, which are not here."""

import hashlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from ltgans_tf.evaluation import inception


def _graph_file(path, nodes=("ExpandDims", "pool_3")):
    """A frozen graph with the nodes of 2015: images in, [1, 1, 1, 5] out, and shapes of one image noted."""
    with tf.Graph().as_default() as graph:
        image = tf.compat.v1.placeholder(tf.float32, [1, None, None, 3], name=nodes[0])
        resized = tf.compat.v1.image.resize_bilinear(image, [8, 8])
        scaled = (resized - 128.0) * (1 / 128.0)
        kernel = tf.constant(np.random.default_rng(0).normal(size=(8, 8, 3, 5)).astype(np.float32))
        tf.nn.conv2d(scaled, kernel, 1, "VALID", name=nodes[1])
    definition = graph.as_graph_def(add_shapes=True)
    assert any("_output_shapes" in node.attr for node in definition.node)
    path.write_bytes(definition.SerializeToString())
    return np.float64(kernel_value(definition))


def kernel_value(definition):
    return next(
        tf.make_ndarray(node.attr["value"].tensor)
        for node in definition.node
        if node.op == "Const" and len(node.attr["value"].tensor.tensor_shape.dim) == 4
    )


@pytest.mark.parametrize("channels", [1, 3])
def test_the_graph_of_2015_gets_whole_pixels_from_0_to_255_in_batches(tmp_path, channels):
    kernel = _graph_file(tmp_path / "graph.pb")
    found = inception.Inception(str(tmp_path / "graph.pb"))
    pixels = np.random.default_rng(1).integers(0, 256, (4, 8, 8, channels))
    made = found.features(np.float32(pixels / 127.5 - 1 + 0.001)).numpy()  # off the pixels by a little
    rgb = np.broadcast_to(pixels, (4, 8, 8, 3))
    expected = np.einsum("nhwc,hwcd->nd", (rgb - 128) / 128, kernel)
    np.testing.assert_allclose(made, expected, rtol=1e-4, atol=1e-4)
    assert (found.frechet, found.kernel, found.about["name"]) == ("fid", "kid", "FID")
    assert found.sha256 == hashlib.sha256((tmp_path / "graph.pb").read_bytes()).hexdigest()


def test_the_sha256_that_is_asked_for_must_be_that_of_the_file(tmp_path):
    _graph_file(tmp_path / "graph.pb")
    path = str(tmp_path / "graph.pb")
    right = hashlib.sha256((tmp_path / "graph.pb").read_bytes()).hexdigest()
    assert inception.Inception(path, right.upper()).about["sha256"] == right
    with pytest.raises(ValueError, match=f"has the sha256 {right}, not 00; get the right file"):
        inception.Inception(path, "00")


def test_files_of_another_kind_are_refused(tmp_path):
    (tmp_path / "broken.pb").write_bytes(b"\xff\xffnothing")
    _graph_file(tmp_path / "other.pb", nodes=("images", "pool_3"))
    (tmp_path / "weights.h5").write_bytes(b"nothing")
    (tmp_path / "weights.pt").write_bytes(b"nothing")
    for name, message in {
        "nowhere.pb": "there is no file .*nowhere.pb",
        "broken.pb": "is no TensorFlow graph",
        "other.pb": "has no node ExpandDims:0; it is not the Inception graph of 2015",
        "weights.h5": "does not hold weights of Keras' InceptionV3",
        "weights.pt": "must end in .pb .* or .h5",
    }.items():
        with pytest.raises(ValueError, match=message):
            inception.Inception(str(tmp_path / name))


@pytest.mark.campaign("paper")
def test_keras_inception_has_a_name_of_its_own(tmp_path):
    keras.utils.set_random_seed(0)
    network = keras.applications.InceptionV3(
        include_top=False, weights=None, input_shape=(299, 299, 3), pooling="avg"
    )
    path = str(tmp_path / "inception.weights.h5")
    network.save_weights(path)
    found = inception.Inception(path)
    assert (found.frechet, found.kernel, found.about["name"]) == ("fid_keras", "kid_keras", "FID-Keras")
    batch = np.random.default_rng(1).uniform(-1, 1, (2, 32, 32, 1)).astype(np.float32)
    resized = tf.image.resize(np.repeat(batch, 3, -1), (299, 299), antialias=True)
    np.testing.assert_allclose(found.features(batch), network(resized, training=False), atol=1e-5)
