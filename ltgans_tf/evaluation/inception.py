"""Extractors for FID and KID, and only for these: Inception networks from a local file.

FID is the Frechet distance on the 2048 pooled features of the Inception graph of 2015
(`classify_image_graph_def.pb`; Heusel et al. 2017). Keras' InceptionV3 was trained
separately and gives other numbers, so these are called FID-Keras and KID-Keras.
"""

import hashlib
import os

import tensorflow as tf
from google.protobuf import message

from ltgans_tf.data import images as images_lib
from ltgans_tf.files import paths

_SIDE = 299
_INPUT, _OUTPUT = "ExpandDims:0", "pool_3:0"


class Inception:
    """Features of an Inception network, an extractor like `features.Extractor` but without domains.

    ```python
    inception = Inception("classify_image_graph_def.pb")
    features = metrics.features_of(inception.features, model.sample(1000))
    ```

    Args:
      path: a `.pb` file with the graph of 2015, or a `.h5` file with weights of Keras' InceptionV3
        without its top.
      sha256: what the file's sha256 must be, or None for any.

    Raises:
      ValueError: there is no such file, or it has another sha256 or is of another kind.
    """

    dimensions = 2048

    def __init__(self, path, sha256=None):
        path = paths.local(path)
        if not os.path.isfile(path):
            raise ValueError(f"there is no file {path}; name a local file with an Inception network.")
        found = _file_hash(path)
        if sha256 is not None and found != sha256.strip().lower():
            raise ValueError(f"{path} has the sha256 {found}, not {sha256}; get the right file.")
        if path.endswith(".pb"):
            suffix, kind, self._apply = "", "Inception graph of 2015", _graph_of_2015(path)
        elif path.endswith(".h5"):
            suffix, kind, self._apply = "_keras", "Keras InceptionV3", _keras_network(path)
        else:
            raise ValueError(
                f"{path} must end in .pb (the Inception graph of 2015) or .h5 (weights of Keras' InceptionV3"
                " without its top)."
            )
        self.frechet, self.kernel = f"fid{suffix}", f"kid{suffix}"
        self.sha256 = found
        self.about = {
            "kind": kind,
            "name": self.frechet.upper().replace("_KERAS", "-Keras"),
            "features": self.dimensions,
            "sha256": found,
        }

    def features(self, images):
        """Pooled features: float [B, H, W, C] in [-1, 1] with C of 1 or 3 -> float32 [B, 2048]."""
        images = tf.convert_to_tensor(images, tf.float32)
        if images.shape[-1] == 1:
            images = tf.repeat(images, 3, axis=-1)
        return self._apply(images)


def _graph_of_2015(path):
    """images [B, H, W, 3] in [-1, 1] -> [B, 2048]; the graph resizes and scales them by itself."""
    graph = tf.compat.v1.GraphDef()
    try:
        with open(path, "rb") as f:
            graph.ParseFromString(f.read())
    except message.DecodeError as error:
        raise ValueError(f"{path} is no TensorFlow graph ({error}); get the file again.") from error
    names = {node.name for node in graph.node}
    if missing := [name for name in (_INPUT, _OUTPUT) if name.partition(":")[0] not in names]:
        raise ValueError(
            f"{path} has no node {missing[0]}; it is not the Inception graph of 2015"
            " (classify_image_graph_def.pb)."
        )

    def features(images):
        pixels = tf.cast(images_lib.to_uint8(images), tf.float32)
        (pooled,) = tf.graph_util.import_graph_def(graph, {_INPUT: pixels}, [_OUTPUT])
        return tf.reshape(pooled, [tf.shape(images)[0], -1])

    spec = tf.TensorSpec([None, None, None, 3], tf.float32)
    return tf.compat.v1.wrap_function(features, [spec])


def _keras_network(path):
    import keras  # imported here, so that only users of this network wait for it

    try:
        network = keras.applications.InceptionV3(
            include_top=False, weights=path, input_shape=(_SIDE, _SIDE, 3), pooling="avg"
        )
    except (OSError, ValueError, KeyError) as error:
        first_line = str(error).partition("\n")[0]
        raise ValueError(
            f"{path} does not hold weights of Keras' InceptionV3 without its top ({first_line}); get the"
            " file again."
        ) from error

    @tf.function(reduce_retracing=True)
    def features(images):
        return network(tf.image.resize(images, (_SIDE, _SIDE), antialias=True), training=False)

    return features


def _file_hash(path):
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()
