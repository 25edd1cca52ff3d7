"""Sizes of the networks, as data: no TensorFlow is needed to name or check them.

`small32`, `small64` and `smallN` for any other size N are made for CPU cores. `paper32` and `paper64` are the
nets of the authors' later public code, made for GPUs; their sizes come from that code and the paper's section 4.
To add an architecture, add a row to ARCHITECTURES. It is trained with the recipe of the small nets unless its
name begins with `paper` (`presets.RECIPES`).
"""

import dataclasses
import re

from ltgans_tf.files import near_names


@dataclasses.dataclass(frozen=True)
class Architecture:
    """Sizes of generator, critic, encoder and decoder for one image size.

    Attributes:
      name: key in ARCHITECTURES.
      image_size: height and width of the images, pixels.
      latent_dim: length of a generator's latents.
      code_dim: length of the Student's codes.
      base: (height and width, channels) of the map that the generator's dense layer makes.
      stages: (channels, stride) of the generator's 3x3 transposed convolutions, in order. Pixels beyond
        image_size are cropped on all sides.
      critic_channels: channels of the critic's 3x3 stride-2 convolutions, in order.
      critic_units: units of the dense layer before the critic's output; 0 for none.
      smooth: whether the generator averages 2x2 neighbours after each layer of stride 2. A 3x3 kernel with stride 2
        covers some pixels more often than others, which makes a checkerboard (Odena et al. 2016).

    The encoder has the critic's hidden layers. The decoder has the generator's layers without normaliser and averaging.
    """

    name: str
    image_size: int
    latent_dim: int
    code_dim: int
    base: tuple[int, int]
    stages: tuple[tuple[int, int], ...]
    critic_channels: tuple[int, ...]
    critic_units: int = 0
    smooth: bool = False


SMALLEST, LARGEST = 16, 256


def small(image_size):
    """The small `Architecture` for square images of `image_size` pixels, SMALLEST to LARGEST.

    The generator starts from a map of 4 to 8 pixels a side, and has as many layers of stride 2 as the size needs.
    """
    if not SMALLEST <= image_size <= LARGEST:
        raise ValueError(
            f"images of {image_size}x{image_size} pixels: there are small nets for {SMALLEST} to {LARGEST};"
            " choose a size between them."
        )
    doublings = (image_size // 4).bit_length() - 1
    channels = ((96,) * (doublings - 3) + (64, 48, 24)) if doublings > 3 else (96, 48, 24)[3 - doublings :]
    return Architecture(
        f"small{image_size}",
        image_size,
        latent_dim=64,
        code_dim=64,
        base=(-(-image_size // 2**doublings), 128),
        stages=tuple((channel, 2) for channel in channels),
        critic_channels=(32, 64, 128) + (256,) * (doublings - 2),
        smooth=True,
    )


_PAPER_STAGES = ((256, 2), (256, 1), (256, 2), (256, 1))

ARCHITECTURES = {
    a.name: a
    for a in (
        small(32),
        small(64),
        Architecture("paper32", 32, 100, 100, (8, 256), _PAPER_STAGES, (64, 128, 256, 512), 1024),
        Architecture(
            "paper64", 64, 256, 256, (8, 256), _PAPER_STAGES + ((128, 2),), (64, 128, 256, 512), 1024
        ),
    )
}


def architecture(given):
    """Returns an `Architecture` from its name (of ARCHITECTURES or `smallN`), its fields as a dict, or itself.

    Raises:
      ValueError: an unknown name, with the nearest ones, or a size that there are no nets for.
    """
    if isinstance(given, Architecture):
        return given
    if isinstance(given, dict):
        fields = {
            **given,
            "base": tuple(given["base"]),
            "stages": tuple(tuple(stage) for stage in given["stages"]),
            "critic_channels": tuple(given["critic_channels"]),
        }
        return Architecture(**fields)
    if given in ARCHITECTURES:
        return ARCHITECTURES[given]
    if size := re.fullmatch(r"small([0-9]{1,4})", str(given)):
        return small(int(size[1]))
    more = f" and smallN for N from {SMALLEST} to {LARGEST}"
    raise near_names.unknown("architecture", given, ARCHITECTURES, more)
