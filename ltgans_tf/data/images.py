"""Prepares images of any size for the networks.

Training, evaluation and the exported encoder all go through this one file, so that an image is prepared in
the same way everywhere. All functions run in a graph and can be saved with it.
"""

import tensorflow as tf

from ltgans_tf.data import headers, orientation

FITS = ("crop", "pad", "stretch")
MIN_SIDE = 4
MAX_PIXELS_TOGETHER = 4 * headers.MAX_PIXELS  # of the images in one request
_BLOCK = 1 << 20  # pixels whose colors are blended at a time


def read_all(data, image_shape, fit="crop", upright=True):
    """Decodes the image files of one request and prepares them for the networks.

    Args:
        data: string [n], the bytes of files as in `decode`.
        image_shape, fit: as in `fit_image`.
        upright: as in `decode`.

    Returns:
        float32 [n, *image_shape] in [-1, 1].

    Raises:
        tf.errors.InvalidArgumentError: see `decode` and `fit_image`; or all images together have more than
            MAX_PIXELS_TOGETHER, which is checked before anything is decoded.
    """
    data, pixels = tf.map_fn(headers.measured, data, fn_output_signature=(tf.string, tf.int64))
    message = (
        f"Images of more than {MAX_PIXELS_TOGETHER} pixels together are not read; send fewer at a time. Got"
    )
    total = tf.reduce_sum(pixels)
    with tf.control_dependencies([tf.debugging.Assert(total <= MAX_PIXELS_TOGETHER, [message, total])]):
        data = tf.identity(data)
    return tf.map_fn(
        lambda one: preprocess(_decode(one, 3, upright), image_shape, fit),
        data,
        fn_output_signature=tf.TensorSpec(image_shape, tf.float32),
    )


def decode(data, channels=None, upright=True):
    """Decodes the bytes of one PNG, JPEG, GIF (its first frame), still WebP or BMP image.

    Args:
        data: string scalar, the bytes of the file.
        channels: 1, 3 or None, which keeps the channels of the file (1 to 4).
        upright: whether to apply the rotation that a camera noted (EXIF orientation).

    Returns:
        uint8 [h, w, channels]; the last dimension is unknown to the graph where channels is None.

    Raises:
        tf.errors.InvalidArgumentError: the bytes are not an image, or are an animated WebP, or state a
            size of more than `headers.MAX_PIXELS`, which is checked before decoding.
    """
    return _decode(headers.checked(data), channels, upright)


def _decode(data, channels, upright):
    """Like `decode`, for bytes that `headers` has checked."""
    image = tf.io.decode_image(data, channels=0, expand_animations=False)
    # A WebP image arrives with a leading axis of frames.
    image = tf.cond(tf.rank(image) > 3, lambda: image[0], lambda: image)
    image = tf.ensure_shape(image, [None, None, None])
    if upright:
        image = orientation.upright(image, orientation.noted(data))
    return image if channels is None else to_channels(image, channels)


def to_channels(image, channels):
    """Gives images the wanted number of channels.

    Transparent images are blended with white, the background that drawings with an alpha channel assume. Grey
    becomes RGB by repetition, RGB becomes grey by its luma (0.299 R + 0.587 G + 0.114 B).

    Args:
        image: uint8 [..., c] with c of 1 (grey), 2 (grey and alpha), 3 (RGB) or 4 (RGB and alpha).
        channels: 1 or 3.

    Returns:
        uint8 [..., channels].
    """
    if channels not in (1, 3):
        raise ValueError(f"Images have 1 or 3 channels here, got {channels!r}.")
    image = tf.convert_to_tensor(image)
    given = image.shape[-1] if image.shape.rank is not None else None
    if given == channels:
        return image
    if given is not None and not 1 <= given <= 4:
        raise ValueError(f"An image must have 1, 3 or 4 channels, got {given}.")
    count = tf.shape(image)[-1]
    # Blending converts to float32; images that need no blending skip it.
    order = tf.range(channels) * tf.cast(count >= 3, tf.int32)
    plain = tf.logical_or(tf.equal(count, 1), tf.equal(count, channels))
    return tf.cond(plain, lambda: tf.gather(image, order, axis=-1), lambda: _in_blocks(image, channels))


def _in_blocks(image, channels):
    """Like `to_channels`, for images that have transparency or lose their color; works on `_BLOCK` pixels at a time."""
    flat = tf.reshape(image, [-1, tf.shape(image)[-1]])
    blocks = -(-tf.shape(flat)[0] // _BLOCK)

    def step(i, done):
        return i + 1, done.write(i, _blended(flat[i * _BLOCK : (i + 1) * _BLOCK], channels))

    def many():
        done = tf.TensorArray(tf.uint8, blocks, infer_shape=False, element_shape=[None, channels])
        return tf.while_loop(lambda i, _: i < blocks, step, (0, done), parallel_iterations=1)[1].concat()

    found = tf.cond(blocks > 1, many, lambda: _blended(flat, channels))
    return tf.reshape(found, tf.concat([tf.shape(image)[:-1], [channels]], 0))


def _blended(image, channels):
    count = tf.shape(image)[-1]
    colours = tf.cast(tf.gather(image, tf.where(count >= 3, [0, 1, 2], [0, 0, 0]), axis=-1), tf.float32)
    has_alpha = tf.logical_or(tf.equal(count, 2), tf.equal(count, 4))
    alpha = tf.cast(image[..., -1:], tf.float32) / 255.0
    alpha = tf.where(has_alpha, alpha, tf.ones_like(alpha))
    colours = colours * alpha + 255.0 * (1.0 - alpha)
    if channels == 1:
        luma = tf.reduce_sum(colours * [0.299, 0.587, 0.114], axis=-1, keepdims=True)
        colours = tf.where(count >= 3, luma, colours[..., :1])
    return _to_nearest(colours)


def fit_image(image, image_shape, fit="crop"):
    """Brings images of any size to one shape.

    Args:
        image: uint8 [h, w, c] or [n, h, w, c] with 1, 3 or 4 channels and sides of 4 pixels or more.
        image_shape: (height, width, channels) of the result; channels 1 or 3.
        fit: 'crop' keeps only the centre, 'pad' adds black at the sides, 'stretch' changes the proportions.

    Returns:
        uint8 of shape image_shape, with a leading [n] if `image` has one. Resizing is bilinear with antialiasing;
        values are rounded to the nearest integer.

    Raises:
        ValueError: fit or image_shape is not allowed, or the image is smaller than 4 pixels on a side
            (tf.errors.InvalidArgumentError where only the running graph knows the size).
    """
    if fit not in FITS:
        raise ValueError(f"fit must be one of {', '.join(FITS)}, got {fit!r}.")
    height, width, channels = image_shape
    image = to_channels(image, channels)
    single = image.shape.rank == 3
    batch = image[tf.newaxis] if single else image
    batch = _refuse_tiny(batch)
    if tuple(batch.shape[1:3]) != (height, width):
        batch = _cropped(batch, height, width) if fit == "crop" else batch
        batch = _to_nearest(_resized(batch, height, width, fit == "pad"))
    return tf.ensure_shape(
        batch[0] if single else batch, ([] if single else [None]) + [height, width, channels]
    )


def _refuse_tiny(batch):
    height, width = batch.shape[1:3]
    message = f"Images must be at least {MIN_SIDE} pixels high and wide"
    if None not in (height, width):
        if min(height, width) < MIN_SIDE:
            raise ValueError(f"{message}, got {height}x{width}.")
        return batch
    check = tf.debugging.Assert(
        tf.reduce_all(tf.shape(batch)[1:3] >= MIN_SIDE), [message, tf.shape(batch)[1:3]]
    )
    with tf.control_dependencies([] if check is None else [check]):
        return tf.identity(batch)


def _cropped(batch, height, width):
    """Crops around the centre to the proportions height : width."""
    size = tf.cast(tf.shape(batch)[1:3], tf.float32)
    ratio = tf.constant([height, width], tf.float32)
    target = tf.maximum(tf.cast(tf.round(ratio * tf.reduce_min(size / ratio)), tf.int32), 1)
    size = tf.cast(size, tf.int32)
    target = tf.minimum(target, size)
    start = (size - target) // 2
    return batch[:, start[0] : start[0] + target[0], start[1] : start[1] + target[1]]


def _resized(batch, height, width, pad):
    """Resizes uint8 [n, h, w, c] to float32 [n, height, width, c]; `pad` keeps the proportions and adds black.

    The padding is never made at the size of the image: a strip of 8x40000 would need 40000x40000 pixels.
    """
    size = tf.cast(tf.shape(batch)[1:3], tf.float32)
    ratio = tf.constant([height, width], tf.float32)
    ground = tf.maximum(tf.round(ratio * tf.reduce_max(size / ratio)), size) if pad else size
    scale = ratio / ground
    place = tf.floor((ground - size) / 2) * scale

    def both():
        return _scaled(batch, (height, width), scale, place)

    def width_first():
        rows = tf.shape(batch)[1]
        narrow = _scaled(batch, (rows, width), (1.0, scale[1]), (0.0, place[1]))
        return _scaled(narrow, (height, width), (scale[0], 1.0), (place[0], 0.0))

    # The operation has an intermediate result of `height` rows with the image's own width.
    return tf.cond(height * size[1] > _BLOCK, width_first, both)


def _scaled(batch, size, scale, place):
    return tf.raw_ops.ScaleAndTranslate(
        images=batch,
        size=tf.stack(size),
        scale=tf.stack(scale),
        translation=tf.stack(place),
        kernel_type="triangle",
        antialias=True,
    )


def _to_nearest(values):
    return tf.cast(tf.clip_by_value(tf.round(values), 0.0, 255.0), tf.uint8)


def normalize(images):
    """Converts uint8 [...] in 0..255 to float32 in [-1, 1]: images / 127.5 - 1."""
    return tf.cast(images, tf.float32) / 127.5 - 1.0


def to_uint8(images):
    """Converts float [...] in [-1, 1] to uint8 in 0..255; clips values outside and rounds the rest to nearest."""
    return _to_nearest((tf.cast(images, tf.float32) + 1.0) * 127.5)


def preprocess(image, image_shape, fit="crop"):
    """Converts uint8 images of any size, as in `fit_image`, to float32 of image_shape in [-1, 1]."""
    return normalize(fit_image(image, image_shape, fit))
