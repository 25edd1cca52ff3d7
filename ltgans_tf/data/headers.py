"""Reads the size that an image file states, in the graph and before anything is decoded.

A PNG of a few kilobytes can unpack to many gigabytes, and a decoder that allocates first notices too late. The
sizes come from the same bytes that TensorFlow's decoders read them from.
"""

import numpy as np
import tensorflow as tf

MAX_PIXELS = 2**26  # 8192 x 8192: as RGB 0.2 GB
MAX_GIF_BLOCKS = 20_000  # of at most 255 bytes, up to the end of the first frame
_HEAD = 30  # bytes; only JPEG and GIF state their size further on
_GIF_HEADERS = 2_000  # bytes of a GIF's headers and color tables, at most

# {offset: magic bytes}; byte order; (offset, number of bytes) of the height and of the width; then modulus, divisors
# (of height, of width) and addend, in size = number // divisor % modulus + addend.
_FORMATS = (
    ({0: b"\x89PNG"}, "big", (20, 4), (16, 4), 2**32, (1, 1), 0),
    ({0: b"BM"}, "little", (22, 4), (18, 4), 2**32, (1, 1), 0),
    ({0: b"RIFF", 8: b"WEBPVP8 "}, "little", (28, 2), (26, 2), 2**14, (1, 1), 0),
    ({0: b"RIFF", 8: b"WEBPVP8L"}, "little", (21, 4), (21, 4), 2**14, (2**14, 1), 1),
    ({0: b"RIFF", 8: b"WEBPVP8X"}, "little", (27, 3), (24, 3), 2**24, (1, 1), 1),
)


def _table():
    """Returns _FORMATS as arrays: magic [f, 30], -1 for any byte; byte weights [30, f, 2]; modulus, divisor, addend."""
    magic = np.full((len(_FORMATS), _HEAD), -1)
    weights = np.zeros((_HEAD, len(_FORMATS), 2), np.int64)
    for i, (parts, order, *numbers, _, _, _) in enumerate(_FORMATS):
        for start, text in parts.items():
            magic[i, start : start + len(text)] = list(text)
        for j, (start, count) in enumerate(numbers):
            powers = 256 ** np.arange(count)
            weights[start : start + count, i, j] = powers[::-1] if order == "big" else powers
    modulus, divisor, more = (np.array([row[k] for row in _FORMATS], np.int64) for k in (4, 5, 6))
    return magic, weights, modulus[:, None], divisor, more[:, None]


_MAGIC, _WEIGHTS, _MODULUS, _DIVISOR, _MORE = _table()


def checked(data):
    """Like `measured`, but returns only the bytes."""
    return measured(data)[0]


@tf.function(input_signature=[tf.TensorSpec([], tf.string)], autograph=False)
def measured(data):
    """Checks that one image is safe to decode, and cuts a GIF after its first frame.

    Args:
        data: string scalar, the bytes of a file.

    Returns:
        string scalar: bytes of a JPEG, PNG, GIF, WebP or BMP file that decode to at most MAX_PIXELS, or do not
            decode; and int64 scalar, the number of pixels.

    Raises:
        tf.errors.InvalidArgumentError: the file has another format than these five or more than MAX_PIXELS, or it is
            a GIF with more than MAX_GIF_BLOCKS before its first frame ends, a BMP with a palette of colors, or an
            animated WebP, for which TensorFlow 2.21 writes past its buffer and kills the process.
    """
    with tf.device("/CPU:0"):
        head = _numbers(tf.strings.substr(data, 0, _HEAD), _HEAD)[:_HEAD]
        found = tf.reduce_all((head == _MAGIC) | (_MAGIC < 0), axis=1)
        numbers = tf.tensordot(head, _WEIGHTS, 1) // _DIVISOR % _MODULUS + _MORE
        numbers = tf.minimum(numbers, 2**32 - numbers)  # the height of a BMP may be negative
        size = tf.reduce_sum(tf.where(found[:, None], numbers, 0), axis=0)
        is_jpeg, is_gif = _begins(head, b"\xff\xd8\xff"), _begins(head, b"GIF")
        has_palette = found[1] & (head[28] == 8)

        def farther_on():
            return data, tf.cond(is_jpeg, lambda: _jpeg_size(data), lambda: _grey_bitmap(data, head, size))

        data, size = tf.cond(
            is_jpeg | is_gif | has_palette,
            lambda: tf.cond(is_gif, lambda: _first_frame(data), farther_on),
            lambda: (data, size),
        )
        # TensorFlow decodes further formats, such as JPEG XL, whose size would be found too late.
        is_known, is_moving = tf.reduce_any(found) | is_jpeg | is_gif, found[-1] & (head[20] & 2 > 0)
        problems = tf.stack([~is_known, is_moving, tf.reduce_prod(size) > MAX_PIXELS])
        message = tf.gather(
            [
                "Unknown image file format; one of JPEG, PNG, GIF, WebP, BMP required. The first bytes are",
                "Animated WebP images are not supported; save the frame that you want. Height and width are",
                f"Images of more than {MAX_PIXELS} pixels are not read; make it smaller. Height and width are",
            ],
            tf.argmax(problems),
        )
        told = tf.where(is_known, size, head[:2])
        with tf.control_dependencies([tf.debugging.Assert(~tf.reduce_any(problems), [message, told])]):
            return tf.identity(data), tf.reduce_prod(size)


def _jpeg_size(data):
    return tf.io.extract_jpeg_shape(data, tf.int64)[:2]


def _grey_bitmap(data, head, size):
    """Returns `size` if a BMP's palette is the 256 greys, else raises: TensorFlow decodes palette indices as greys."""
    start = tf.cast(14 + tf.reduce_sum(head[14:18] * [1, 2**8, 2**16, 2**24]), tf.int32)
    start = tf.minimum(start, tf.strings.length(data))
    palette = tf.reshape(_numbers(tf.strings.substr(data, start, 1024), 1024)[:1024], [256, 4])[:, :3]
    message = "BMP images with a palette of colors are not read; save it as PNG."
    is_grey = tf.reduce_all(palette == np.arange(256)[:, None])
    with tf.control_dependencies([tf.debugging.Assert(is_grey, [message])]):
        return tf.identity(size)


def _numbers(data, zeros):
    """Returns the bytes of a string as int64, followed by `zeros` zeros."""
    return tf.cast(tf.io.decode_raw(tf.strings.join([data, b"\0" * zeros]), tf.uint8), tf.int64)


def _begins(head, magic):
    return tf.reduce_all(head[: len(magic)] == list(magic))


def _first_frame(data):
    """Cuts a GIF after its first frame.

    The decoder would unpack all frames, each of any size, and then keep one.

    Returns:
        (the data up to the end of the first frame, with a trailer; the frame's height and width, int64 [2]). Without
        a frame, the data are unchanged and the size is zeros.
    """
    most = 255 * MAX_GIF_BLOCKS
    raw = _numbers(tf.strings.substr(data, 0, most), _GIF_HEADERS)

    def byte(place):
        return tf.gather(raw, place)

    def table(place):
        """Returns the size in bytes of the color table that the flags at `place` announce."""
        return tf.where(byte(place) & 0x80 > 0, 6 * 2 ** (byte(place) & 7), 0)

    def skip(place, blocks):
        """Skips data blocks from `place` to after the empty one that ends them; adds their number to `blocks`."""
        place, blocks = tf.while_loop(
            lambda place, blocks: (byte(place) > 0) & (place < most) & (blocks < MAX_GIF_BLOCKS),
            lambda place, blocks: (place + 1 + byte(place), blocks + 1),
            (place, blocks + 1),
            parallel_iterations=1,
        )
        return place + 1, blocks

    place, blocks = tf.while_loop(
        lambda place, blocks: (byte(place) == 0x21) & (place < most) & (blocks < MAX_GIF_BLOCKS),
        lambda place, blocks: skip(place + 2, blocks),
        (13 + table(10), tf.constant(0)),
        parallel_iterations=1,
    )
    end, blocks = skip(place + 11 + table(place + 9), blocks)
    message = (
        f"GIF images with more than {MAX_GIF_BLOCKS} blocks up to the end of their first frame are not read."
    )
    with tf.control_dependencies([tf.debugging.Assert((blocks < MAX_GIF_BLOCKS) & (end < most), [message])]):
        size = byte(place + [7, 5]) + 256 * byte(place + [8, 6])
    cut = tf.strings.join([tf.strings.substr(data, 0, tf.cast(end, tf.int32)), b";"])
    has_frame = byte(place) == 0x2C
    return tf.where(has_frame, cut, data), tf.where(has_frame, size, 0)
