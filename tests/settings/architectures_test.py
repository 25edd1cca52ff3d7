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
    with pytest.raises(
        ValueError, match="unknown architecture .qqq.; there are small32, small64, paper32, paper64"
    ):
        architectures.architecture("qqq")
