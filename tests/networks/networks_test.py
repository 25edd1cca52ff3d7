"""The four networks: shapes, ranges, sizes, seeds, and what an image may depend on."""

import dataclasses
import gc
import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf

from ltgans_tf.networks import losses, networks, normalization
from ltgans_tf.settings import architectures
from tests.tiny import TINY

NAMES = [*architectures.ARCHITECTURES, "small16", "small45", "small128"]


def _latents(rows, width, seed=0):
    return np.random.default_rng(seed).standard_normal((rows, width)).astype(np.float32)


def _images(rows, arch, channels=3, seed=0):
    shape = (rows, arch.image_size, arch.image_size, channels)
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", NAMES)
def test_shapes_dtypes_and_ranges(name, channels):
    arch = architectures.architecture(name)
    image = (arch.image_size, arch.image_size, channels)
    for build, width in ((networks.generator, arch.latent_dim), (networks.decoder, arch.code_dim)):
        network = build(arch, channels)
        assert network.input_shape == (None, width) and network.output_shape == (None, *image)
        made = network(10_000 * _latents(1, width)).numpy()
        assert made.dtype == np.float32 and made.shape == (1, *image)
        assert 0.9 < np.abs(made).max() <= 1 and made.std() > 0
    for heads in (1, 2):
        critic = networks.critic(arch, channels, heads)
        assert critic.input_shape == (None, *image) and critic.output_shape == (None, heads)
    mean, stddev = networks.encoder(arch, channels)(_images(1, arch, channels))
    assert mean.shape == stddev.shape == (1, arch.code_dim)
    assert mean.dtype == stddev.dtype == np.float32
    assert mean.numpy().min() < 0 and stddev.numpy().min() >= 0


def test_the_critic_is_unbounded():
    critic = networks.critic(TINY)
    far = critic(np.concatenate([_images(4, TINY) * 1e4, _images(4, TINY, seed=1) * 1e4])).numpy()
    assert np.abs(far).max() > 10


def _penalty_gradients(critic, images):
    @tf.function
    def gradients(u):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(losses.gradient_penalty(lambda v: critic(v)[:, 0], u) + critic(u)[:, 0])
        return tape.gradient(loss, [*critic.trainable_variables])

    passes = [op.type for op in gradients.get_concrete_function(images).graph.get_operations()]
    return gradients(images), passes.count("Conv2DBackpropInput")


@pytest.mark.parametrize("name", ["small32", "paper32"])
def test_the_penalty_sends_no_zeros_back_through_the_critic_and_has_the_same_gradients(name, monkeypatch):
    arch = architectures.architecture(name)
    images = tf.constant(_images(4, arch))
    found, passes = _penalty_gradients(networks.critic(arch), images)
    monkeypatch.setattr(networks, "TwiceLeakyReLU", keras.layers.LeakyReLU)
    expected, more_passes = _penalty_gradients(networks.critic(arch), images)
    for gradient, reference in zip(found, expected, strict=True):
        np.testing.assert_array_equal(gradient, reference)
    # Each convolution would be gone back through once more.
    assert more_passes - passes == len(arch.critic_channels)


@pytest.mark.program
def test_no_graph_of_an_encoder_outlives_its_function():
    encoder, alive = networks.encoder(TINY), []
    for _ in range(2):
        graph = tf.function(encoder).get_concrete_function(tf.constant(_images(2, TINY))).graph
        alive.append(weakref.ref(graph))
        del graph
        gc.collect()
    assert [found() for found in alive] == [None, None]


def test_the_critics_slope_is_told_by_outputs():
    network = networks.critic(TINY)

    @tf.function
    def gradients(u):
        with tf.GradientTape() as tape:
            loss = tf.add_n([tf.reduce_sum(y) for y in tf.nest.flatten(network(u))])
        return tape.gradient(loss, network.trainable_variables)

    graph = gradients.get_concrete_function(tf.constant(_images(2, TINY))).graph
    slopes = [op for op in graph.get_operations() if op.type == "LeakyReluGrad"]
    assert len(slopes) == len(
        [layer for layer in network.layers if isinstance(layer, keras.layers.LeakyReLU)]
    )
    for op in slopes:
        told = op.inputs[1].op
        while told.type in ("StopGradient", "Identity", "IdentityN"):
            told = told.inputs[0].op
        assert told.type == "LeakyRelu"


def test_small32_has_the_sizes_of_the_prototype():
    arch = architectures.architecture("small32")
    weights = lambda network: sum(w.numpy().size for w in network.trainable_weights)
    assert weights(networks.generator(arch)) == pytest.approx(298_000, rel=0.03)
    assert weights(networks.critic(arch)) == pytest.approx(389_000, rel=0.03)


def test_paper32_has_the_layers_of_the_authors_code():
    arch = architectures.architecture("paper32")
    generator = networks.generator(arch)
    maps = [
        layer.output.shape[1:]
        for layer in generator.layers
        if isinstance(layer, (keras.layers.Reshape, keras.layers.Conv2DTranspose))
    ]
    assert maps == [(8, 8, 256), (16, 16, 256), (16, 16, 256), (32, 32, 256), (32, 32, 256)]
    assert [layer.kernel_size for layer in generator.layers if hasattr(layer, "kernel_size")] == [(3, 3)] * 5
    for network in (networks.critic(arch), networks.encoder(arch)):
        maps = [layer.output.shape[1:] for layer in network.layers if isinstance(layer, keras.layers.Conv2D)]
        assert maps == [(16, 16, 64), (8, 8, 128), (4, 4, 256), (2, 2, 512)]
        assert [layer.units for layer in network.layers if isinstance(layer, keras.layers.Dense)][0] == 1024


@pytest.mark.parametrize("build", [networks.generator, networks.critic, networks.encoder, networks.decoder])
def test_weights_follow_from_the_seed_alone(build):
    keras.utils.set_random_seed(1)
    first = build(TINY, seed=5).get_weights()
    keras.utils.set_random_seed(2)
    again, other = build(TINY, seed=5).get_weights(), build(TINY, seed=6).get_weights()
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)
    kernels = [(a, b) for a, b in zip(first, other) if a.ndim > 1]
    assert len(kernels) >= 3 and all(np.abs(a - b).max() > 1e-3 for a, b in kernels)


def test_layers_of_one_network_have_seeds_of_their_own():
    arch = architectures.Architecture("same", 8, 4, 4, (4, 4), ((4, 1), (4, 2)), (3, 3))
    kernels = [w for w in networks.generator(arch).get_weights() if w.shape == (3, 3, 4, 4)]
    assert len(kernels) == 2 and np.abs(kernels[0] - kernels[1]).max() > 0.01


def test_a_critic_value_is_independent_of_the_rest_of_the_batch():
    critic = networks.critic(TINY, heads=2)
    images, others = _images(1, TINY), _images(7, TINY, seed=1)
    alone = critic(images, training=True).numpy()
    among = critic(np.concatenate([images, others]), training=True).numpy()[:1]
    np.testing.assert_allclose(among, alone, rtol=1e-5, atol=1e-6)


def test_a_generator_uses_the_batch_in_training_alone():
    generator = networks.generator(TINY)
    latents, others = _latents(1, 4), _latents(7, 4, seed=1)
    together = np.concatenate([latents, others])
    generator(together, training=True)  # so that the moving averages are not those of the start
    alone = generator(latents, training=False).numpy()
    np.testing.assert_allclose(generator(together, training=False).numpy()[:1], alone, atol=1e-6)
    assert np.abs(generator(together, training=True).numpy()[:1] - alone).max() > 1e-3


def test_only_the_generator_has_a_normaliser_and_it_is_synchronised():
    found = {
        build.__name__: [layer for layer in build(TINY).layers if "Normalization" in type(layer).__name__]
        for build in (networks.generator, networks.critic, networks.encoder, networks.decoder)
    }
    assert {name: len(layers) for name, layers in found.items()} == {
        "generator": 3,
        "critic": 0,
        "encoder": 0,
        "decoder": 0,
    }
    assert all(layer.synchronized for layer in found["generator"])


def test_outputs_stay_float32_where_layers_are_in_16_bits():
    models = [
        build(TINY, precision="mixed_bfloat16")
        for build in (networks.generator, networks.decoder, networks.critic, networks.encoder)
    ]
    inputs = _latents(2, 4), _latents(2, 3), _images(2, TINY), _images(2, TINY)
    outputs = [output for model, x in zip(models, inputs) for output in tf.nest.flatten(model(x))]
    assert {model.layers[1].compute_dtype for model in models} == {"bfloat16"}
    assert len(outputs) == 5 and {output.dtype.name for output in outputs} == {"float32"}


def test_scales_and_shifts_follow_from_the_code_of_a_row():
    layer = normalization.DomainScale(2)
    x = np.random.default_rng(0).normal(size=(4, 3, 3, 5)).astype(np.float32)
    codes = np.array([[2, 0], [-2, 0], [0, 2], [1, -1]], np.float32)
    latents = np.concatenate([codes, np.ones([4, 3], np.float32)], axis=1)
    np.testing.assert_array_equal(layer([x, latents]), x)
    kernel = np.random.default_rng(1).normal(size=(4, 10)).astype(np.float32)
    layer.set_weights([kernel])
    # Columns: scale and shift; rows: the parts of the code above zero, then those below.
    said = np.stack([2 * kernel[0], 2 * kernel[2], 2 * kernel[1], kernel[0] + kernel[3]])
    expected = x * (1 + said[:, None, None, :5]) + said[:, None, None, 5:]
    np.testing.assert_allclose(layer([x, latents]), expected, rtol=1e-5, atol=1e-5)


def test_a_smooth_generator_has_no_checkerboard():
    """Of equal kernels on an equal map every pixel of a stride-2 layer is the same, but for the border."""
    small = architectures.architecture("small32")
    rough = dataclasses.replace(small, smooth=False)
    spread = {}
    for arch in (small, rough):
        layers = networks.generator(arch).layers
        up = next(layer for layer in layers if isinstance(layer, keras.layers.Conv2DTranspose))
        up.set_weights([np.ones_like(up.get_weights()[0])])
        made = up(tf.ones([1, 4, 4, 128]))
        pool = [layer for layer in layers if isinstance(layer, keras.layers.AveragePooling2D)]
        spread[arch.smooth] = np.ptp((pool[0](made) if pool else made)[0, 1:-2, 1:-2])
        assert len(pool) == (3 if arch.smooth else 0)
    assert spread[True] < 1e-3 * spread[False]


def test_a_decoder_is_neither_smooth_nor_told_a_domain():
    kinds = {type(layer) for layer in networks.decoder(architectures.architecture("small32")).layers}
    assert not kinds & {keras.layers.AveragePooling2D, normalization.DomainScale}
