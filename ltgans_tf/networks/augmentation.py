"""DiffAugment: random transforms of all images that a critic judges, for training on few images (Zhao et al. 2020).

Real and generated images pass through them, in the critic's update and in the generators', so that a critic cannot
learn a small set by heart and generators do not learn to draw the transforms. Each is differentiable by the images,
takes its random numbers as an argument, and works on a whole batch; ranges are those of the paper's code.
"""

import tensorflow as tf

# Random numbers that an image takes, whichever transforms are chosen.
NUMBERS = 7
_SHIFT = 1 / 8  # the largest translation, in sides of the image
_HOLE = 1 / 2  # the side of what is cut out, in sides of the image


def augment(images, numbers, policy):
    """The images after the transforms of `policy`, one after another.

    Args:
      images: float [B, H, W, C]; 0, which fills what is moved in or cut out, is the middle of their range [-1, 1].
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
    """Brightness moves by [-0.5, 0.5), saturation is scaled by [0, 2) and contrast by [0.5, 1.5).

    Saturation is the distance to the mean of a pixel's channels, contrast that to the mean of the image.
    """
    brightness, saturation, contrast = (number[:, None, None, None] for number in tf.unstack(numbers, axis=1))
    images += brightness - 0.5
    grey = tf.reduce_mean(images, axis=3, keepdims=True)
    images = grey + 2.0 * saturation * (images - grey)
    mean = tf.reduce_mean(images, axis=[1, 2, 3], keepdims=True)
    return mean + (0.5 + contrast) * (images - mean)


def translation(images, numbers):
    """Each image moves by whole pixels, up to an eighth of its side along each axis; 0 comes in."""
    for axis in (1, 2):
        side = images.shape[axis]
        most = int(side * _SHIFT + 0.5)
        paddings = [[most, most] if i == axis else [0, 0] for i in range(4)]
        first = _integers(numbers[:, axis - 1], 2 * most + 1)
        places = first[:, None] + tf.range(side)
        images = tf.gather(tf.pad(images, paddings), places, axis=axis, batch_dims=1)
    return images


def cutout(images, numbers):
    """A square of half the side becomes 0, around any point of the image, so that a part of it may lie outside."""
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
    """int32 [B] in [0, count), uniform, of `numbers` in [0, 1)."""
    return tf.cast(numbers * count, tf.int32)


# Each transform, and which of an image's numbers are its own.
TRANSFORMS = {
    "color": (color, slice(0, 3)),
    "translation": (translation, slice(3, 5)),
    "cutout": (cutout, slice(5, 7)),
}
