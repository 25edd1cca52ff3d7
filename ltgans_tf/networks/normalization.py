"""The generators' normalisers: batch normalisation in one kernel, and scale and shift by domain code."""

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("ltgans_tf")
class BatchNormalization(keras.layers.BatchNormalization):
    """Keras' synchronised batch normalisation of [B, H, W, C], but fused; weights and statistics are the same.

    TensorFlow's fused kernel replaces a dozen kernels of Keras. In training, Keras' own code runs on several replicas,
    where statistics are those of the global batch, and if the number of rows is unknown when the graph is made.
    """

    def __init__(self, **settings):
        super().__init__(**{"synchronized": True, **settings})

    def call(self, inputs, training=None):
        values = inputs.shape[:-1].num_elements()  # per channel
        training = bool(training and self.trainable)
        if training and (values is None or tf.distribute.get_strategy().num_replicas_in_sync > 1):
            return super().call(inputs, training=True)
        statistics = (self.moving_mean, self.moving_variance)
        mean, variance = ([], []) if training else statistics
        normal = tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=self.gamma,
            offset=self.beta,
            mean=mean,
            variance=variance,
            epsilon=self.epsilon,
            is_training=training,
        )
        if training:
            # The kernel's variance is unbiased: it divides by N - 1, Keras by N.
            biased = normal.batch_variance * (max(values - 1, 1) / values)
            for moving, of_batch in zip(statistics, (normal.batch_mean, biased)):
                blend(moving, of_batch, 1.0 - self.momentum)
        return normal.y


@keras.saving.register_keras_serializable("ltgans_tf")
class DomainScale(keras.layers.Layer):
    """Scales and shifts each channel as a function of the row's domain code: [B, H, W, C] and latents [B, Z].

    Conditional batch normalisation (de Vries et al. 2017) without labels: scale and shift are linear in the positive
    and in the negative part of the code, so that two domains with opposite codes share no weights. Initially they
    are 1 and 0.

    Args:
      code_dim: length of the code, which is the first part of a latent.
    """

    def __init__(self, code_dim, **settings):
        super().__init__(**settings)
        self.code_dim = code_dim

    def build(self, shapes):
        shape = [2 * self.code_dim, 2 * shapes[0][-1]]
        self.kernel = self.add_weight(shape=shape, initializer="zeros", name="kernel")

    def call(self, inputs):
        x, latents = inputs
        code = latents[:, : self.code_dim]
        both = tf.concat([tf.nn.relu(code), tf.nn.relu(-code)], axis=1)
        both = tf.matmul(both, tf.cast(self.kernel, both.dtype))
        scale, shift = tf.split(tf.reshape(both, [-1, 1, 1, both.shape[1]]), 2, axis=-1)
        return x * (1.0 + scale) + shift

    def compute_output_shape(self, shapes):
        return shapes[0]

    def get_config(self):
        return {**super().get_config(), "code_dim": self.code_dim}


def blend(average, value, share):
    """Moves the Keras variable `average` towards `value` by `share` of their distance, in two kernels."""
    variable = average.value
    tf.raw_ops.ResourceApplyGradientDescent(
        var=variable.handle, alpha=tf.cast(share, variable.dtype), delta=variable - value
    )
