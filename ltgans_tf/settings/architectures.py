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
      smooth: whether the generator averages 2x2 neighbours after each layer of stride 2, of which a kernel of 3x3
        reaches some pixels more often than others: a checkerboard (Odena et al. 2016).

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
    smooth: bool = False


_PAPER_STAGES = ((256, 2), (256, 1), (256, 2), (256, 1))

ARCHITECTURES = {
    a.name: a
    for a in (
        Architecture(
            "small32", 32, 64, 64, (4, 128), ((96, 2), (48, 2), (24, 2)), (32, 64, 128, 256), smooth=True
        ),
        Architecture(
            "small64",
            *(64, 64, 64, (4, 128), ((96, 2), (64, 2), (48, 2), (24, 2)), (32, 64, 128, 256, 256)),
            smooth=True,
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


# (learners, teachers) of the methods that train generators with a critic, in the first task and later.
_ROLES = {
    "ltgan": ((2, 0), (1, 1)),
    "joint_twins": ((2, 0), (2, 1)),
    "replay": ((1, 0), (1, 1)),
    "finetune": ((1, 0), (1, 0)),
    "joint": ((1, 0), (1, 0)),
}
# The methods that `step_flops` can count.
COUNTED = (*_ROLES, "multiband", "lgm", "curl")


def forward_flops(arch, channels=3, heads=1):
    """Floating point operations of one forward pass of one image, by network.

    Counted: two per multiply-add of dense and convolution layers. Not counted: biases,
    normalisers and activations (under 2 % of the whole). A backward pass costs about twice
    the forward pass, or once where only the input's or only the weights' gradient is taken.

    Returns:
      dict with 'generator', 'critic', 'encoder' and 'decoder', operations per image.
    """
    return {
        "generator": _upward(arch, channels, arch.latent_dim),
        "critic": _downward(arch, channels, heads),
        "encoder": _downward(arch, channels, 2 * arch.code_dim),
        "decoder": _upward(arch, channels, arch.code_dim),
    }


def _upward(arch, channels, inputs):
    """Operations from `inputs` latents or codes to an image."""
    size, width = arch.base
    macs = inputs * size * size * width
    for out, stride in arch.stages:
        macs += 9 * width * out * size * size  # each input pixel is spread over a 3x3 patch
        size, width = size * stride, out
    return 2 * (macs + 9 * width * channels * size * size)


def _downward(arch, channels, outputs):
    """Operations from an image to `outputs` numbers of a last dense layer."""
    size, width, macs = arch.image_size, channels, 0
    for out in arch.critic_channels:
        size = -(-size // 2)
        macs += 9 * width * out * size * size
        width = out
    features = size * size * width
    if arch.critic_units:
        macs, features = macs + features * arch.critic_units, arch.critic_units
    return 2 * (macs + features * outputs)


def step_flops(
    arch,
    channels,
    batch_size,
    n_critic=1,
    first_task=False,
    student=True,
    method="ltgan",
    heads=1,
    parts=1,
    coded=False,
):
    """Floating point operations of one train step of a method, counted as by `forward_flops`.

    Args:
      arch: an `Architecture`.
      channels, batch_size, n_critic: as in the settings of a run; LGM and CURL have no critic.
      first_task: whether it is a step of the first task, which has no teacher.
      student: whether a Student is trained; LGM and CURL have nothing else.
      method: one of COUNTED.
      heads: outputs of the critic.
      parts: categories of LGM, components that CURL has in use, or Multiband GAN's share of local steps, over which
        the count is the mean; CURL's expansions, of which there are at most a few in a run, are not counted.
      coded: whether latents have domain codes, so that a batch of the past comes after the new one; its scales and
        shifts are not counted.

    Raises:
      ValueError: the method is not in COUNTED.
    """
    if method not in COUNTED:
        raise ValueError(f"the operations of {method!r} are not counted; there are {', '.join(COUNTED)}.")
    if method == "lgm":
        image = _lgm_flops(arch, channels, parts, first_task)
    elif method == "curl":
        image = _curl_flops(arch, channels, parts, first_task)
    elif method == "multiband":
        image = _multiband_flops(arch, channels, n_critic, first_task, student, heads, parts)
    else:
        first, later = _ROLES[method]
        roles = first if first_task else later
        image = _adversarial_flops(arch, channels, n_critic, *roles, student, heads, coded)
    return batch_size * image


def _adversarial_flops(arch, channels, n_critic, learners, teachers, student, heads, coded):
    """Per image of a batch: critic updates, one update of each learner, one of the Student on two batches.

    The critic's penalty costs four passes an image: forward, input gradient, and the gradient
    of that with respect to weights and to what came in from above (the second derivative of
    leaky ReLU is zero, and `networks.TwiceLeakyReLU` leaves it out).
    """
    one = forward_flops(arch, channels, heads)
    replay = teachers * n_critic * one["generator"]
    critic = n_critic * one["critic"] * (3 * (1 + learners) + 4 * learners)
    generators = learners * ((n_critic + 2) * one["generator"] + 2 * one["critic"])
    vae = student * 3 * 2 * (one["encoder"] + one["decoder"])
    batches = 2 if coded and teachers else 1
    return replay + batches * (critic + generators) + vae


def _multiband_flops(arch, channels, n_critic, first_task, student, heads, local_share):
    """A local GAN's step, or one of consolidation: two batches of the global generator, one of each that teaches it.

    The translators, under 1 %, are not counted; in a local step the frozen copy draws for the Student alone.
    """
    local = _adversarial_flops(arch, channels, n_critic, 1, 0, student, heads, False)
    if first_task:
        return local
    one = forward_flops(arch, channels, heads)
    vae = student * 3 * 2 * (one["encoder"] + one["decoder"])
    local += student * one["generator"]
    return local_share * local + (1 - local_share) * ((2 + 3 * 2) * one["generator"] + vae)


def _lgm_flops(arch, channels, categories, first_task):
    """The student, forward and backward; the teacher's samples, and its categories of all images."""
    decoder = _upward(arch, channels, arch.code_dim + categories)
    vae = 3 * (_downward(arch, channels, 2 * arch.code_dim + categories) + decoder)
    return vae if first_task else vae + decoder + _downward(arch, channels, categories)


def _curl_flops(arch, channels, components, first_task):
    """A head, a logit and a decoder pass for each component; replay is drawn in every later step."""
    encoder = _downward(arch, channels, components * (2 * arch.code_dim + 1))
    decoder = _upward(arch, channels, arch.code_dim)
    return 3 * (encoder + components * decoder) + (0 if first_task else decoder)
