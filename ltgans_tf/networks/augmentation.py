"""DiffAugment: random transforms of all images that a critic judges, for training on few images (Zhao et al. 2020).

Both real and generated images are transformed, in the updates of the critic and of the generators. So the critic
cannot memorise a small set, and the generators do not learn to draw the transforms. Each transform is differentiable
with respect to the images, takes its random numbers as an argument and works on a whole batch. The ranges are those
of the paper's code.
"""

import tensorflow as tf

# Random numbers per image, whichever transforms are chosen.
NUMBERS = 7
_SHIFT = 1 / 8  # the largest translation, as a fraction of the image's side
_HOLE = 1 / 2  # the side of the cut-out square, as a fraction of the image's side


def augment(images, numbers, policy):
    """Applies the transforms of `policy` to images, one after another.

    Args:
      images: float [B, H, W, C] in [-1, 1]. Moved-in and cut-out pixels become 0, the middle of this range.
      numbers: float [B, NUMBERS], independent and uniform in [0, 1).
      policy: names of TRANSFORMS, in order.

    Returns:
      float [B, H, W, C]; colours may leave [-1, 1].
    """
    for name in policy:
        transform, columns = TRANSFORMS[name]
        images = transform(images, numbers[:, columns])
    return images


def color(images, numbers):
    """Shifts brightness by [-0.5, 0.5), scales saturation by [0, 2) and contrast by [0.5, 1.5).

    Saturation is the distance to the mean of a pixel's channels, contrast the distance to the mean of the image.
    """
    brightness, saturation, contrast = (number[:, None, None, None] for number in tf.unstack(numbers, axis=1))
    images += brightness - 0.5
    grey = tf.reduce_mean(images, axis=3, keepdims=True)
    images = grey + 2.0 * saturation * (images - grey)
    mean = tf.reduce_mean(images, axis=[1, 2, 3], keepdims=True)
    return mean + (0.5 + contrast) * (images - mean)


def translation(images, numbers):
    """Moves each image by whole pixels, up to an eighth of its side along each axis, and fills the gap with 0."""
    for axis in (1, 2):
        side = images.shape[axis]
        most = int(side * _SHIFT + 0.5)
        paddings = [[most, most] if i == axis else [0, 0] for i in range(4)]
        first = _integers(numbers[:, axis - 1], 2 * most + 1)
        places = first[:, None] + tf.range(side)
        images = tf.gather(tf.pad(images, paddings), places, axis=axis, batch_dims=1)
    return images


def cutout(images, numbers):
    """Sets a square of half the side to 0; its centre is any point of the image, so part of it may lie outside."""
    inside = 1.0
    for axis in (1, 2):
        side = images.shape[axis]
        hole = int(side * _HOLE + 0.5)
        first = _integers(numbers[:, axis - 1], side + 1 - hole % 2)[:, None] - hole // 2
        places = tf.range(side)
        along = tf.cast((places >= first) & (places < first + hole), images.dtype)
        inside *= along[:, :, None, None] if axis == 1 else along[:, None, :, None]
    return images * (1.0 - inside)


def _integers(numbers, count):
    """Maps uniform `numbers` in [0, 1) to uniform int32 [B] in [0, count)."""
    return tf.cast(numbers * count, tf.int32)


# Each transform, and the columns of an image's random numbers that it uses.
TRANSFORMS = {
    "color": (color, slice(0, 3)),
    "translation": (translation, slice(3, 5)),
    "cutout": (cutout, slice(5, 7)),
}
