"""Layers in 16 bits: what stays float32, that nothing small is lost, and that it learns the same."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from ltgans_tf.methods import registry, twin_gan
from ltgans_tf.networks import losses, networks
from ltgans_tf.settings import architectures, presets
from tests.tiny import TINY

MIXED = ("mixed_bfloat16", "mixed_float16")


@pytest.mark.parametrize("precision", MIXED)
def test_weights_inputs_and_outputs_stay_float32_and_hidden_layers_do_not(precision):
    hidden = precision.removeprefix("mixed_")
    images, codes = tf.zeros([2, 8, 8, 3]), tf.zeros([2, TINY.latent_dim])
    for build, given in (
        (networks.generator, codes),
        (networks.decoder, tf.zeros([2, TINY.code_dim])),
        (networks.critic, images),
        (networks.encoder, images),
    ):
        network = build(TINY, precision=precision)
        assert {v.dtype for v in network.variables} == {"float32"}
        assert {out.dtype for out in tf.nest.flatten(network(given))} == {tf.float32}
        computed = [layer.compute_dtype for layer in network.layers if layer.weights]
        assert hidden in computed and computed[-1] == "float32"


def test_a_power_of_two_changes_no_bit_of_a_float32_gradient():
    critic = networks.critic(TINY)
    images = tf.random.stateless_uniform([4, 8, 8, 3], [0, 0], -1, 1)

    def gradients(scale):
        with tf.GradientTape() as tape:
            penalty = losses.gradient_penalty(lambda u: critic(u)[:, 0], images, scale)
            loss = tf.reduce_sum(penalty)
        return losses.gradients(tape, loss, critic.trainable_variables[::2], scale)

    for plain, scaled in zip(gradients(1.0), gradients(256.0), strict=True):
        np.testing.assert_array_equal(plain, scaled)


def test_the_scale_keeps_what_would_underflow_in_float16():
    layer = keras.layers.Dense(1, dtype="mixed_float16", kernel_initializer="ones")
    layer.build([None, 1])

    def gradient(scale, upstream):
        with tf.GradientTape() as tape:
            values = tf.cast(layer(tf.ones([1, 1])), tf.float32)
        return losses.gradients(tape, values, [layer.kernel.value], scale, upstream)[0].numpy().item()

    tiny = tf.constant([[2e-8]])
    assert gradient(1.0, tiny) == 0.0
    assert gradient(256.0, tiny) == pytest.approx(2e-8, rel=0.02)
    assert presets.Recipe(precision="mixed_float16").loss_scale == 256.0
    assert presets.Recipe(precision="mixed_bfloat16").loss_scale == presets.Recipe().loss_scale == 1.0


def test_the_students_gradients_do_not_overflow_in_float16():
    arch, images, noise = architectures.architecture("small32"), -tf.ones([32, 32, 32, 3]), tf.zeros([32, 64])
    kept = {}
    for precision in ("float32", "mixed_float16"):
        recipe = presets.Recipe(precision=precision)
        model = twin_gan.TwinGAN.from_architecture(arch, 3, True, recipe)
        model.compile()
        weights = tf.ones([32])
        kept[precision] = model.student.update(model.student_optimizer, images, weights, noise, 1.0, 32)[2]
    # In float16 a unit's sum is off by 2^-11 to 2^-10 of its size, which puts about one unit in 2000 of each of the
    # 8 layers on the other side of 0; which ones, the order of the sums decides. Half of the units pass a gradient,
    # so its relative change is about (8 / 2000 / 0.5)^(1/2) = 0.09. An overflow gives Inf, a lost factor of 2 0.5.
    for plain, half in zip(*kept.values(), strict=True):
        assert np.linalg.norm(half - plain) < 0.25 * np.linalg.norm(plain)


@pytest.mark.campaign("graphs")
@pytest.mark.parametrize(
    "method", ["ltgan", *(pytest.param(m, marks=pytest.mark.campaign("graphs")) for m in ("lgm", "curl"))]
)
@pytest.mark.parametrize("precision", MIXED)
def test_steps_in_16_bits_are_close_to_those_in_float32(method, precision, tiny_stream):
    reports = {}
    for each in ("float32", precision):
        recipe = presets.Recipe(student_optimizer="adam(0.001)", precision=each)
        model = registry.method_class(method).from_architecture(TINY, 3, True, recipe)
        model.compile()
        logs = []
        watch = keras.callbacks.LambdaCallback(
            on_train_batch_end=lambda batch, logs_, kept=logs: kept.append(
                {name: float(value) for name, value in logs_.items()}
            )
        )
        assert model.fit_stream(tiny_stream(tasks=2), 2, callbacks=[watch])
        assert model.get_settings()["recipe"]["precision"] == each
        reports[each] = logs
    for plain, mixed in zip(reports["float32"], reports[precision], strict=True):
        for name, value in plain.items():
            assert mixed[name] == pytest.approx(value, rel=0.1, abs=0.1), name
    assert reports["float32"] != reports[precision]


def test_another_precision_is_refused_in_a_sentence():
    with pytest.raises(ValueError, match="precision is 'float64'; it must be 'float32', 'mixed_bfloat16' or"):
        presets.Recipe(precision="float64")
