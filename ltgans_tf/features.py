"""A classifier whose penultimate layer gives the features for distances between image sets.

The Frechet distance on these features is called FCD, for Frechet classifier distance, and never
FID: that name belongs to the Inception weights of 2015 (Heusel et al. 2017). FCDs can be compared
under one and the same classifier only, so under the same images, seed and epochs.
"""

import keras
import numpy as np
import tensorflow as tf

from ltgans_tf import images as images_lib

FEATURES = 64
_CHANNELS = (32, 64, 128)  # of the 3x3 stride-2 convolutions
_BATCH = 64
_LEARNING_RATE = 3e-3


class Classifier:
    """A trained convolutional classifier of images, as `train_classifier` returns it.

    ```python
    classifier = train_classifier(task.train_images(), task.train_labels(), num_classes=10)
    real = metrics.features_of(classifier.features, images.normalize(task.test_images()))
    made = metrics.features_of(classifier.features, model.sample(1000))
    fcd = metrics.frechet_distance(real, made)
    ```

    Args:
      network: Keras model images [B, H, W, C] -> [features [B, 64], logits [B, classes]].
    """

    def __init__(self, network):
        self.network = network
        self.num_classes = network.output_shape[1][-1]
        self._apply = tf.function(lambda images: network(images, training=False), reduce_retracing=True)

    def features(self, images):
        """Penultimate layer, behind its ReLU: float [B, H, W, C] in [-1, 1] -> float32 [B, 64]."""
        return self._apply(images)[0]

    def classify(self, images):
        """Class probabilities: float [B, H, W, C] in [-1, 1] -> float32 [B, classes]."""
        return tf.nn.softmax(self._apply(images)[1])

    def accuracy(self, images, labels, batch_size=250):
        """Share of images whose likeliest class is their label, a float in [0, 1].

        Look at it on test images before trusting a distance: the features of a classifier that
        confuses the classes measure little.

        Args:
          images: float [N, H, W, C] in [-1, 1].
          labels: ints [N].
          batch_size: images per forward pass.
        """
        return float(np.mean(self.classes(images, batch_size) == np.asarray(labels)))

    def classes(self, images, batch_size=250):
        """The likeliest class of each image: float [N, H, W, C] in [-1, 1] -> int64 [N]."""
        return np.concatenate(
            [
                np.argmax(self.classify(images[i : i + batch_size]), axis=-1)
                for i in range(0, len(images), batch_size)
            ]
        )


def train_classifier(images, labels, num_classes, seed=0, epochs=8):
    """Trains a classifier on real training images, of one task or of several together.

    Adam on the cross-entropy, in batches of 64, with a rate that falls to 0. The order of the images
    and the weights that training starts from follow from `seed`.

    Args:
      images: uint8 [N, H, W, C], the training part of the real data: the test part has to stay
        unseen, or distances to it come out too small.
      labels: ints [N] in [0, num_classes); classes of several tasks are told apart by the caller.
      num_classes: number of classes.
      seed: int.
      epochs: passes over the images.

    Returns:
      a `Classifier`.

    Raises:
      ValueError: images and labels that do not fit this description.
    """
    images, labels = np.asarray(images), np.asarray(labels)
    _check(images, labels, num_classes)
    network = _network(images.shape[1:], num_classes, seed)
    trained = keras.Model(network.input, network.output[1])
    batches = _batches(images, labels, seed, epochs)
    rate = keras.optimizers.schedules.CosineDecay(_LEARNING_RATE, len(batches))
    trained.compile(
        keras.optimizers.Adam(rate),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    trained.fit(batches, shuffle=False, verbose=0)
    return Classifier(network)


def _batches(images, labels, seed, epochs):
    """All epochs as one data set, each a permutation of its own; a last short batch is left out."""
    rng = np.random.default_rng(seed)
    order = np.concatenate([rng.permutation(len(images)) for _ in range(epochs)])
    pixels, labels = tf.constant(images), tf.constant(labels)  # not copied into the graph

    def batch(rows):
        return images_lib.normalize(tf.gather(pixels, rows)), tf.gather(labels, rows)

    rows = tf.data.Dataset.from_tensor_slices(order)
    return rows.batch(_BATCH, drop_remainder=len(order) >= _BATCH).map(batch)


def _network(image_shape, num_classes, seed):
    def initializer(layer):
        return keras.initializers.GlorotUniform(seed=1000 * seed + layer)

    x = images = keras.Input(image_shape)
    for i, channels in enumerate(_CHANNELS):
        x = keras.layers.Conv2D(
            channels, 3, 2, padding="same", activation="relu", kernel_initializer=initializer(i)
        )(x)
    x = keras.layers.Dropout(0.3, seed=seed)(keras.layers.Flatten()(x))
    features = keras.layers.Dense(FEATURES, activation="relu", kernel_initializer=initializer(10))(x)
    logits = keras.layers.Dense(num_classes, kernel_initializer=initializer(11))(features)
    return keras.Model(images, [features, logits], name="classifier")


def _check(images, labels, num_classes):
    if images.dtype != np.uint8 or images.ndim != 4 or not len(images):
        raise ValueError(
            f"images are {images.dtype} of shape {images.shape}; a classifier is trained"
            " on uint8 [N, H, W, C] with N of at least 1."
        )
    if labels.shape != (len(images),) or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            f"labels are {labels.dtype} of shape {labels.shape}; there must be one integer"
            f" for each of the {len(images)} images."
        )
    if labels.min() < 0 or labels.max() >= num_classes:
        raise ValueError(
            f"labels run from {labels.min()} to {labels.max()}; with num_classes"
            f" {num_classes} they must be in [0, {num_classes})."
        )
