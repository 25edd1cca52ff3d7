"""Sizes as data: found by name, whole after JSON, and true to the size of the images."""

import dataclasses
import json
import math

import pytest

from ltgans_tf.settings import architectures


def test_an_architecture_is_found_by_name_by_itself_and_by_its_fields():
    for name, arch in architectures.ARCHITECTURES.items():
        assert arch.name == name
        assert architectures.architecture(name) is arch
        assert architectures.architecture(arch) is arch
        stored = json.loads(json.dumps(dataclasses.asdict(arch)))
        again = architectures.architecture(stored)
        assert again == arch and hash(again) == hash(arch)


def _made(arch):
    return arch.base[0] * math.prod(stride for _, stride in arch.stages)


def test_every_named_generator_ends_at_the_size_of_its_images():
    for arch in architectures.ARCHITECTURES.values():
        assert _made(arch) == arch.image_size


def test_there_is_a_small_net_for_every_size():
    for size in range(architectures.SMALLEST, architectures.LARGEST + 1):
        arch = architectures.architecture(f"small{size}")
        assert arch == architectures.small(size) and arch.image_size == size
        assert 4 <= arch.base[0] <= 8
        assert 0 <= _made(arch) - size < 2 ** len(arch.stages)  # under one pixel of the first map
        assert 2 <= math.ceil(size / 2 ** len(arch.critic_channels)) <= 4  # what the critic's last layer sees
        assert architectures.architecture(json.loads(json.dumps(dataclasses.asdict(arch)))) == arch
    widths = [len(architectures.small(size).stages) for size in (16, 32, 64, 128, 256)]
    assert widths == [2, 3, 4, 5, 6]


@pytest.mark.parametrize("size", [0, 15, 257, 9999])
def test_a_size_without_nets_is_refused(size):
    with pytest.raises(
        ValueError, match=rf"images of {size}x{size} pixels: there are small nets for 16 to 256"
    ):
        architectures.architecture(f"small{size}")


@pytest.mark.parametrize(
    "given, near", [("smal32", "small32"), ("paper_64", "paper64"), ("Small64", "small64")]
)
def test_an_unknown_name_is_answered_with_the_nearest(given, near):
    with pytest.raises(
        ValueError, match=rf"unknown architecture '{given}'; did you mean {near}\b.*There are .*paper32"
    ):
        architectures.architecture(given)


def test_a_name_like_nothing_is_answered_with_all():
    with pytest.raises(
        ValueError,
        match="unknown architecture .qqq.; there are small32, small64, paper32, paper64 and smallN for N from 16 to 256.",
    ):
        architectures.architecture("qqq")
