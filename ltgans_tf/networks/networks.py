"""Builders of the four networks, each a plain `keras.Model` made from an `Architecture`.

The argument `precision` is a Keras dtype policy: with 'mixed_bfloat16' or 'mixed_float16' the hidden layers
compute in 16 bits; weights, inputs, outputs and batch statistics stay float32.
"""

import random

import keras
import tensorflow as tf

from ltgans_tf.networks import normalization

# Momentum of the generators' batch statistics. With Keras' 0.99 a fifth of the initial statistics is left after 150
# steps, and the moving average of the weights averages them once more. FCD after task 1 of fig4a_ten_tasks_cpu:
# 5.01 with 0.99, 1.17 with the same weights and statistics measured anew, 1.15 with 0.9.
MOMENTUM = 0.9


def generator(arch, channels=3, seed=0, name="generator", precision="float32", code_dim=0):
    """Builds a generator: latents [B, latent_dim] -> images float32 [B, H, W, C] in [-1, 1] (tanh).

    Batch norm and ReLU follow each hidden layer, as in the authors' later code. The normaliser is
    synchronised, so that batch statistics are those of the global batch on any number of
    replicas. If `code_dim` is above 0, scale and shift also depend on the first `code_dim` numbers of a
    latent, see `normalization.DomainScale`.
    """
    return _upward(arch, arch.latent_dim, channels, seed, name, precision, True, code_dim)


def decoder(arch, channels=3, seed=0, name="decoder", precision="float32"):
    """Builds a decoder: codes [B, code_dim] -> mean of p(x|z), float32 [B, H, W, C] in [-1, 1] (tanh).

    It has the generator's layers without normaliser, so that a reconstruction depends on its own
    codes alone, and without the averaging of `Architecture.smooth`.
    """
    return _upward(arch, arch.code_dim, channels, seed, name, precision, normalise=False)


def critic(arch, channels=3, heads=1, seed=0, name="critic", precision="float32"):
    """Builds a critic: images [B, H, W, C] -> critic values float32 [B, heads], unbounded.

    It has no normaliser: batch statistics would make the gradient penalty of an image depend on the
    other images of its batch (the authors' later code has batch norm here; Gulrajani et al. 2017,
    section 4, advise against it). `heads` is 1 for Eq. 1 as written, 2 for one head per twin.
    """
    images, features = _downward(arch, channels, rng := random.Random(seed), precision, TwiceLeakyReLU)
    values = keras.layers.Dense(heads, kernel_initializer=_glorot(rng), dtype="float32")(features)
    return keras.Model(images, values, name=name)


def encoder(arch, channels=3, seed=0, name="encoder", precision="float32"):
    """Builds an encoder: images [B, H, W, C] -> (mean, stddev) of q(z|x), each float32 [B, code_dim].

    stddev is a softplus, so at least 0; `Student.encode` keeps it away from 0.
    """
    images, features = _downward(
        arch, channels, rng := random.Random(seed), precision, keras.layers.LeakyReLU
    )
    mean = keras.layers.Dense(arch.code_dim, kernel_initializer=_glorot(rng), dtype="float32", name="mean")(
        features
    )
    stddev = keras.layers.Dense(
        arch.code_dim, kernel_initializer=_glorot(rng), dtype="float32", activation="softplus", name="stddev"
    )(features)
    return keras.Model(images, (mean, stddev), name=name)


class TwiceLeakyReLU(keras.layers.LeakyReLU):
    """LeakyReLU that computes its gradient from the output, and leaves out its second derivative, which is 0.

    A gradient penalty needs the second derivative: TensorFlow would compute zeros and propagate them back through
    the whole critic. TensorFlow's own LeakyReLU computes the first derivative from the input. The gradients have the
    same bits.

    Use this layer in critics only: TensorFlow keeps every graph in which `tf.custom_gradient` was traced until the
    process ends. A critic is traced in a few train functions, an encoder in each evaluation and export.
    """

    def call(self, inputs):
        slope = self.negative_slope  # above 0, so that the output has the input's sign

        @tf.custom_gradient
        def activate(x):
            y = tf.nn.leaky_relu(x, slope)
            sides = tf.stop_gradient(y)

            def gradient(upstream):
                return tf.raw_ops.LeakyReluGrad(gradients=upstream, features=sides, alpha=slope)

            return y, gradient

        return activate(inputs)


def _upward(arch, inputs, channels, seed, name, precision, normalise, code_dim=0):
    rng = random.Random(seed)
    size, width = arch.base
    # Batch norm cancels a bias before it.
    settings = {"use_bias": not normalise, "dtype": precision}

    def activate(x):
        if normalise:
            x = normalization.BatchNormalization(momentum=MOMENTUM, dtype=precision)(x)
        if code_dim:
            x = normalization.DomainScale(code_dim, dtype=precision)([x, codes])
        return keras.layers.ReLU(dtype=precision)(x)

    codes = keras.Input([inputs])
    x = keras.layers.Dense(size * size * width, kernel_initializer=_glorot(rng), **settings)(codes)
    x = activate(keras.layers.Reshape([size, size, width], dtype=precision)(x))
    for out, stride in arch.stages:
        x = keras.layers.Conv2DTranspose(
            out, 3, stride, padding="same", kernel_initializer=_glorot(rng), **settings
        )(x)
        if normalise and arch.smooth and stride > 1:
            x = keras.layers.AveragePooling2D(2, 1, padding="same", dtype=precision)(x)
        x = activate(x)
    images = keras.layers.Conv2D(
        channels, 3, padding="same", activation="tanh", kernel_initializer=_glorot(rng), dtype="float32"
    )(x)
    return keras.Model(codes, _cut(images, arch.image_size), name=name)


def _cut(images, size):
    """Crops images to `size` pixels a side; an odd pixel is cut off at the lower right."""
    beyond = images.shape[1] - size
    if not beyond:
        return images
    sides = (beyond // 2, beyond - beyond // 2)
    return keras.layers.Cropping2D((sides, sides), dtype="float32")(images)


def _downward(arch, channels, rng, precision, activation):
    images = keras.Input([arch.image_size, arch.image_size, channels])
    x = images
    for out in arch.critic_channels:
        x = keras.layers.Conv2D(out, 3, 2, padding="same", kernel_initializer=_glorot(rng), dtype=precision)(
            x
        )
        x = activation(negative_slope=0.2, dtype=precision)(x)
    x = keras.layers.Flatten(dtype=precision)(x)
    if arch.critic_units:
        x = keras.layers.Dense(arch.critic_units, kernel_initializer=_glorot(rng), dtype=precision)(x)
        x = activation(negative_slope=0.2, dtype=precision)(x)
    if precision != "float32":  # for heads that are not Keras layers
        x = keras.layers.Activation("linear", dtype="float32")(x)
    return images, x


def _glorot(rng):
    """Returns an initializer whose seed comes from the network's seed, whatever Keras' global seed."""
    return keras.initializers.GlorotUniform(seed=rng.randrange(2**31))
