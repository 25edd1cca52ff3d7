"""The fused Adam is Keras' own: the same steps, settings and state."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from ltgans_tf.training import optimizers


def _variables():
    draw = np.random.default_rng(0)
    return [keras.Variable(draw.normal(size=shape).astype(np.float32)) for shape in ((3, 4), (5,), ())]


def _stepped(optimizer, steps=60):
    """Variables and state of the optimizer after some steps, taken in a graph."""
    variables = _variables()
    optimizer.build(variables)
    step = tf.function(lambda *gradients: optimizer.apply(gradients, variables))
    draw = np.random.default_rng(1)
    for i in range(steps):
        scale = 10.0 ** (i % 7 - 4)
        step(*(tf.constant(scale * draw.normal(size=v.shape), tf.float32) for v in variables))
    return [v.numpy() for v in variables + optimizer.variables]


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"beta_1": 0.0, "beta_2": 0.9},
        {"learning_rate": keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5), "epsilon": 1e-3},
        {"global_clipnorm": 1.0, "weight_decay": 0.01},
    ],
)
def test_it_takes_the_steps_of_keras_adam(settings):
    settings = {"learning_rate": 0.01, **settings}
    found = _stepped(optimizers.Adam(**settings))
    expected = _stepped(keras.optimizers.Adam(**settings))
    for ours, theirs, before in zip(found, expected, [v.numpy() for v in _variables()] + [0.0] * 99):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=5e-6)
        assert np.ndim(ours) or np.abs(ours - before).max() > 0


def test_the_first_step_is_the_learning_rate_against_the_sign_of_the_gradient():
    optimizer, (variable, *_) = optimizers.Adam(0.125), _variables()
    before, gradient = variable.numpy(), np.where(np.arange(12).reshape(3, 4) % 2, 3.0, -0.5)
    optimizer.build([variable])
    optimizer.apply([tf.constant(gradient, tf.float32)], [variable])
    np.testing.assert_allclose(variable.numpy(), before - 0.125 * np.sign(gradient), rtol=1e-5)


def test_settings_and_state_are_those_of_keras_adam():
    ours, theirs = (
        cls(0.01, 0.5, 0.9, epsilon=1e-4, name="adam") for cls in (optimizers.Adam, keras.optimizers.Adam)
    )
    assert ours.get_config() == theirs.get_config()
    assert optimizers.Adam.from_config(theirs.get_config()).get_config() == theirs.get_config()
    variables = _variables()
    for optimizer in (ours, theirs):
        optimizer.build(variables)
    assert [(v.path, v.shape) for v in ours.variables] == [(v.path, v.shape) for v in theirs.variables]


def test_what_it_does_not_know_is_refused():
    with pytest.raises(ValueError, match="amsgrad is True"):
        optimizers.Adam(amsgrad=True)


def test_each_optimizer_made_of_a_text_is_a_new_one():
    one, two = optimizers.make("adam(0.001, 0, 0.9)"), optimizers.make("adam(0.001, 0, 0.9)")
    assert one is not two and isinstance(one, optimizers.Adam) and (one.beta_1, one.beta_2) == (0.0, 0.9)
    assert isinstance(optimizers.make("rmsprop(0.01)"), keras.optimizers.RMSprop)
