"""Sizes as data, and the counts of operations made from them, against the Keras layers."""

import dataclasses
import json
import math

import keras
import pytest

from ltgans_tf.networks import networks
from ltgans_tf.settings import architectures

BUILDERS = {
    "generator": networks.generator,
    "critic": networks.critic,
    "encoder": networks.encoder,
    "decoder": networks.decoder,
}


def _operations(network):
    """Two per multiply-add of every layer with a kernel, read from the built layers."""
    total = 0
    for layer in network.layers:
        if isinstance(layer, keras.layers.Dense):
            positions = 1
        elif isinstance(layer, keras.layers.Conv2DTranspose):
            positions = math.prod(layer.input.shape[1:3])  # each input pixel meets the whole kernel
        elif isinstance(layer, keras.layers.Conv2D):
            positions = math.prod(layer.output.shape[1:3])
        else:
            assert not hasattr(layer, "kernel"), layer
            continue
        total += 2 * positions * math.prod(layer.kernel.shape)
    return total


@pytest.mark.parametrize("name", architectures.ARCHITECTURES)
def test_forward_flops_are_those_of_the_built_layers(name):
    arch = architectures.architecture(name)
    counted = architectures.forward_flops(arch, channels=3)
    assert counted == {kind: _operations(build(arch, 3)) for kind, build in BUILDERS.items()}


def test_forward_flops_follow_channels_and_heads():
    arch = architectures.architecture("small32")
    grey = architectures.forward_flops(arch, channels=1, heads=2)
    assert grey["critic"] == _operations(networks.critic(arch, 1, heads=2))
    assert grey["generator"] == _operations(networks.generator(arch, 1))
    # The second head costs one more dot product of the 2 x 2 x 256 features.
    assert grey["critic"] - architectures.forward_flops(arch, 1)["critic"] == 2 * 2 * 2 * 256


# One stage, one critic layer, codes of 1: every count below can be done by hand.
TOY = architectures.Architecture("toy4", 4, 2, 1, (2, 1), ((1, 2),), (1,))


def test_forward_flops_of_a_toy_done_by_hand():
    # Dense 2 -> 4, one 3x3 kernel spread from 2x2 pixels, one 3x3 kernel at 4x4 pixels.
    up = lambda latents: 2 * (latents * 4 + 9 * 4 + 9 * 16)
    # One 3x3 kernel at 2x2 pixels, then dense from 4.
    down = lambda outputs: 2 * (9 * 4 + 4 * outputs)
    assert architectures.forward_flops(TOY, channels=1) == {
        "generator": up(2),
        "critic": down(1),
        "encoder": down(2),
        "decoder": up(1),
    }


@pytest.mark.parametrize("n_critic", [1, 3])
def test_step_flops_of_a_toy_done_by_hand(n_critic):
    generator, critic, encoder, decoder = 376, 80, 88, 368
    step = lambda **kind: architectures.step_flops(TOY, 1, 10, n_critic, **kind)
    # Real images: forward and both gradients (3). A fake image: the same again (3). Penalty: 4.
    # A learner: a forward pass for each critic update and, for the last of them, its backward
    # pass at twice the price; the critic, forward and input gradient.
    later = n_critic * (generator + critic * 10) + generator * (n_critic + 2) + 2 * critic
    assert step(student=False) == 10 * later
    # Two batches through encoder and decoder, forward and backward.
    assert step() == 10 * (later + 2 * 3 * (encoder + decoder))
    # Two learners share the real images, there is no Teacher and no replay.
    first = n_critic * critic * 17 + 2 * (generator * (n_critic + 2) + 2 * critic)
    assert step(first_task=True, student=False) == 10 * first
    assert step(first_task=True) == 10 * (first + 2 * 3 * (encoder + decoder))


def test_an_architecture_is_found_by_name_by_itself_and_by_its_fields():
    for name, arch in architectures.ARCHITECTURES.items():
        assert arch.name == name
        assert architectures.architecture(name) is arch
        assert architectures.architecture(arch) is arch
        stored = json.loads(json.dumps(dataclasses.asdict(arch)))
        again = architectures.architecture(stored)
        assert again == arch and hash(again) == hash(arch)


def test_every_generator_ends_at_the_size_of_its_images():
    for arch in architectures.ARCHITECTURES.values():
        assert arch.base[0] * math.prod(stride for _, stride in arch.stages) == arch.image_size


@pytest.mark.parametrize(
    "given, near", [("small23", "small32"), ("paper_64", "paper64"), ("Small64", "small64")]
)
def test_an_unknown_name_is_answered_with_the_nearest(given, near):
    with pytest.raises(
        ValueError, match=rf"unknown architecture '{given}'; did you mean {near}\b.*There are .*paper32"
    ):
        architectures.architecture(given)


def test_a_name_like_nothing_is_answered_with_all():
    with pytest.raises(ValueError, match="did you mean small32 or small64 or paper32 or paper64"):
        architectures.architecture("qqq")
