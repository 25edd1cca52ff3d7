"""Optimizers from the text of a recipe, and an Adam that runs one kernel for each variable."""

import keras
import tensorflow as tf

from ltgans_tf.settings import presets


class Adam(keras.optimizers.Adam):
    """Keras' Adam with the same settings, state and formula, computed by TensorFlow's fused kernel.

    Keras runs two dozen kernels for each variable, including the powers of both betas.
    """

    def __init__(self, *settings, **named):
        super().__init__(*settings, **named)
        if self.amsgrad:
            raise ValueError("amsgrad is True, which this Adam does not know; take keras.optimizers.Adam.")

    def _backend_update_step(self, grads, trainable_variables, learning_rate):
        step = tf.cast(self.iterations.value, tf.float32) + 1.0
        powers = [tf.pow(tf.constant(beta, tf.float32), step) for beta in (self.beta_1, self.beta_2)]
        super()._backend_update_step(grads, trainable_variables, [learning_rate, *powers])

    def update_step(self, gradient, variable, rate_and_powers):
        """Runs one kernel; `rate_and_powers` has the learning rate and both betas to the power of the step number."""
        rate, *powers = (tf.cast(value, variable.dtype) for value in rate_and_powers)
        place = self._get_variable_index(variable)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[place].value.handle,
            v=self._velocities[place].value.handle,
            beta1_power=powers[0],
            beta2_power=powers[1],
            lr=rate,
            beta1=tf.cast(self.beta_1, variable.dtype),
            beta2=tf.cast(self.beta_2, variable.dtype),
            epsilon=tf.cast(self.epsilon, variable.dtype),
            grad=gradient,
        )


def get(given, text):
    """Returns the optimizer for `given`: an optimizer, a Keras optimizer's name, a recipe's text; None for `text`."""
    if given is None or (isinstance(given, str) and "(" in given):
        return make(given or text)
    return keras.optimizers.get(given)


def make(text):
    """Returns a new Keras optimizer for a text that `presets.parse_optimizer` takes."""
    name, numbers = presets.parse_optimizer(text)
    return {"adam": Adam, "rmsprop": keras.optimizers.RMSprop}[name](*numbers)
