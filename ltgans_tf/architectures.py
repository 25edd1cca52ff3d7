"""Sizes of the networks, as data: no TensorFlow is needed to name, check or count them.

`small32` and `small64` are made for two CPU cores, `paper32` and `paper64` are the nets of
the authors' later public code (facts in the paper's section 4 and that code), made for GPUs.
To add an architecture, add a row to ARCHITECTURES.
"""

import dataclasses
import difflib


@dataclasses.dataclass(frozen=True)
class Architecture:
    """Sizes of generator, critic, encoder and decoder for one image size.

    Attributes:
      name: key in ARCHITECTURES.
      image_size: height and width of the images, pixels.
      latent_dim: length of a generator's latents.
      code_dim: length of the Student's codes.
      base: (height and width, channels) of the map that the generator's dense layer makes.
      stages: (channels, stride) of the generator's 3x3 transposed convolutions, in order.
      critic_channels: channels of the critic's 3x3 stride-2 convolutions, in order.
      critic_units: units of the dense layer before the critic's output; 0 for none.

    The encoder has the critic's layers and the decoder the generator's, without normaliser.
    """

    name: str
    image_size: int
    latent_dim: int
    code_dim: int
    base: tuple[int, int]
    stages: tuple[tuple[int, int], ...]
    critic_channels: tuple[int, ...]
    critic_units: int = 0


_PAPER_STAGES = ((256, 2), (256, 1), (256, 2), (256, 1))

ARCHITECTURES = {
    a.name: a
    for a in (
        Architecture("small32", 32, 64, 64, (4, 128), ((96, 2), (48, 2), (24, 2)), (32, 64, 128, 256)),
        Architecture(
            "small64", 64, 64, 64, (4, 128), ((96, 2), (64, 2), (48, 2), (24, 2)), (32, 64, 128, 256, 256)
        ),
        Architecture("paper32", 32, 100, 100, (8, 256), _PAPER_STAGES, (64, 128, 256, 512), 1024),
        Architecture(
            "paper64", 64, 256, 256, (8, 256), _PAPER_STAGES + ((128, 2),), (64, 128, 256, 512), 1024
        ),
    )
}


def architecture(given):
    """Returns an `Architecture` from its name, its fields as a dict, or itself.

    Raises:
      ValueError: an unknown name; the message has the nearest ones.
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
    near = difflib.get_close_matches(str(given), ARCHITECTURES, n=2, cutoff=0.3)
    raise ValueError(
        f"unknown architecture {given!r}; did you mean {' or '.join(near or ARCHITECTURES)}?"
        f" There are {', '.join(ARCHITECTURES)}."
    )


def forward_flops(arch, channels=3, heads=1):
    """Floating point operations of one forward pass of one image, by network.

    Counted: two per multiply-add of dense and convolution layers. Not counted: biases,
    normalisers and activations (under 2 % of the whole). A backward pass costs about twice
    the forward pass, or once where only the input's or only the weights' gradient is taken.

    Returns:
      dict with 'generator', 'critic', 'encoder' and 'decoder', operations per image.
    """

    def transposed(inputs):
        size, width = arch.base
        macs = inputs * size * size * width
        for out, stride in arch.stages:
            macs += 9 * width * out * size * size  # each input pixel is spread over a 3x3 patch
            size, width = size * stride, out
        return macs + 9 * width * channels * size * size

    def strided(outputs):
        size, width, macs = arch.image_size, channels, 0
        for out in arch.critic_channels:
            size = -(-size // 2)
            macs += 9 * width * out * size * size
            width = out
        features = size * size * width
        if arch.critic_units:
            macs, features = macs + features * arch.critic_units, arch.critic_units
        return macs + features * outputs

    return {
        "generator": 2 * transposed(arch.latent_dim),
        "critic": 2 * strided(heads),
        "encoder": 2 * strided(2 * arch.code_dim),
        "decoder": 2 * transposed(arch.code_dim),
    }


def step_flops(arch, channels, batch_size, n_critic=1, first_task=False, student=True):
    """Floating point operations of one train step of `TwinGAN`, counted as by `forward_flops`.

    The critic's penalty costs four passes an image: forward, input gradient, and the gradient
    of that with respect to weights and to what came in from above (the second derivative of
    leaky ReLU is zero).
    """
    one = forward_flops(arch, channels)
    learners = 2 if first_task else 1
    teacher = 0 if first_task else n_critic * one["generator"]
    critic = n_critic * one["critic"] * (3 * (1 + learners) + 4 * learners)
    generators = learners * ((n_critic + 2) * one["generator"] + 2 * one["critic"])
    vae = 3 * (1 if first_task else 2) * (one["encoder"] + one["decoder"]) if student else 0
    return batch_size * (teacher + critic + generators + vae)
