"""The network of an extractor and its training: features, logits, and images rebuilt from features.

After a change here, raise _FORMAT_VERSION in features.py; otherwise files and caches of the old network are read as
new ones.
"""

import keras
import numpy as np
import tensorflow as tf

from ltgans_tf.data import images as images_lib

FEATURES = 64
_CHANNELS = (32, 64, 128)  # of the 3x3 stride-2 convolutions
_BATCH = 64
_LEARNING_RATE = 3e-3
_RECONSTRUCTION_WEIGHT = 10.0  # scales a squared error per pixel to the size of a cross-entropy


def build(image_shape, num_classes, seed, reconstruct):
    """Returns the networks (images -> [features, logits], features -> images or None)."""

    def initializer(layer):
        return keras.initializers.GlorotUniform(seed=(1000 * seed + layer) % 2**32)

    x = images = keras.Input(image_shape)
    for i, channels in enumerate(_CHANNELS):
        x = keras.layers.Conv2D(
            channels, 3, 2, padding="same", activation="relu", kernel_initializer=initializer(i)
        )(x)
    x = keras.layers.Dropout(0.3, seed=seed)(keras.layers.Flatten()(x))
    x = keras.layers.Dense(FEATURES, use_bias=False, kernel_initializer=initializer(10))(x)
    # Without this, the domain with the largest features would outweigh the others in every distance.
    x = keras.layers.BatchNormalization(momentum=0.9, center=False, scale=False)(x)
    features = keras.layers.ReLU()(x)
    logits = keras.layers.Dense(num_classes, kernel_initializer=initializer(11))(features)
    network = keras.Model(images, [features, logits], name="extractor")
    return network, _decoder(image_shape, initializer) if reconstruct else None


def _decoder(image_shape, initializer):
    height, width, channels = image_shape
    base = (-(-height // 4), -(-width // 4), 64)
    y = codes = keras.Input([FEATURES])
    y = keras.layers.Dense(int(np.prod(base)), activation="relu", kernel_initializer=initializer(20))(y)
    y = keras.layers.Reshape(base)(y)
    for i, (out, act) in enumerate(((32, "relu"), (channels, "tanh"))):
        y = keras.layers.Conv2DTranspose(
            out, 3, 2, padding="same", activation=act, kernel_initializer=initializer(21 + i)
        )(y)
    top, left = base[0] * 4 - height, base[1] * 4 - width
    return keras.Model(codes, keras.layers.Cropping2D(((top, 0), (left, 0)))(y), name="decoder")


def fit(network, decoder, domains, classes, seed, epochs):
    """Trains `network` to classify and, if some images have no labels, to reconstruct these images."""
    rows = {row: i for i, row in enumerate(classes)}
    pixels = np.concatenate([domain.images for domain in domains])
    targets = np.concatenate(
        [[rows[place, label] for label in _labels(domain)] for place, domain in enumerate(domains)]
    )
    without = np.concatenate([np.full(len(d.images), d.labels is None, np.float32) for d in domains])
    features, logits = network.output
    outputs = {"logits": logits}
    losses = {"logits": keras.losses.SparseCategoricalCrossentropy(from_logits=True)}
    if decoder is not None:
        outputs["images"] = decoder(features)
        losses["images"] = keras.losses.MeanSquaredError()
    trained = keras.Model(network.input, outputs)
    batches = _batches(pixels, targets, without, decoder is not None, seed, epochs)
    rate = keras.optimizers.schedules.CosineDecay(_LEARNING_RATE, len(batches))
    trained.compile(
        keras.optimizers.Adam(rate),
        losses,
        loss_weights={"images": _RECONSTRUCTION_WEIGHT, "logits": 1.0} if decoder is not None else None,
        jit_compile=False,
    )
    trained.fit(batches, shuffle=False, verbose=0)


def _batches(pixels, targets, without, reconstruct, seed, epochs):
    """Returns all epochs as one data set, each with its own permutation; leaves out a last short batch, unless it is the only one."""
    rng = np.random.default_rng(seed)
    order = np.concatenate([rng.permutation(len(pixels)) for _ in range(epochs)])
    pixels, targets, without = (
        tf.constant(a) for a in (pixels, targets, without)
    )  # not copied into the graph

    def batch(rows):
        images = images_lib.normalize(tf.gather(pixels, rows))
        wanted, weights = {"logits": tf.gather(targets, rows)}, {"logits": tf.ones(tf.shape(rows))}
        if reconstruct:
            wanted["images"], weights["images"] = images, tf.gather(without, rows)[:, None, None]
        return images, wanted, weights

    rows = tf.data.Dataset.from_tensor_slices(order)
    return rows.batch(_BATCH, drop_remainder=len(order) >= _BATCH).map(batch).prefetch(2)


def _labels(domain):
    return [None] * len(domain.images) if domain.labels is None else np.asarray(domain.labels).tolist()
