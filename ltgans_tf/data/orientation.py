"""Reads and applies the rotation that a camera notes in an image file: the EXIF tag Orientation of JPEG, PNG, WebP.

All of it runs in the graph and can be saved with it, so that training and an exported encoder rotate images alike.
"""

import numpy as np
import tensorflow as tf

_TAG = 0x112
_MOST_PIECES = (
    256  # of a file that are searched; EXIF data are among the first pieces, in a WebP after the picture
)
_FRONT = 1 << 16  # bytes within which EXIF data begin, or a WebP announces them
_ANY = r"\C*(?:Exif\x00\x00|eXIf)\C*|RIFF\C{8}VP8X\C{4}[\x08-\x0f\x18-\x1f\x28-\x2f\x38-\x3f]\C*"
_MOST_ENTRIES = 256  # of the directory that holds the tag


@tf.function(input_signature=[tf.TensorSpec([], tf.string)], autograph=False)
def noted(data):
    """Reads the orientation that an image file notes.

    Args:
        data: string scalar, the bytes of a file of any kind.

    Returns:
        int64 scalar, EXIF's number of the orientation from 1 (as stored) to 8; 1 if none can be read.
    """
    with tf.device("/CPU:0"):
        # Most files have no EXIF data; skip the search in them.
        has_any = tf.strings.regex_full_match(_part(data, 0, _FRONT), _ANY)
        return tf.cond(has_any, lambda: _walked(data), lambda: tf.constant(1, tf.int64))


def _walked(data):
    head = _part(data, 0, 3)
    start = tf.case(
        [
            (tf.equal(head, b"\xff\xd8\xff"), lambda: _in_jpeg(data)),
            (tf.equal(head, b"\x89PN"), lambda: _in_png(data)),
        ],
        default=lambda: _in_webp(data),
    )
    return tf.cond(start >= 0, lambda: _orientation(data, start), lambda: tf.constant(1, tf.int64))


def upright(image, number):
    """Rotates and mirrors an image to upright.

    Args:
        image: uint8 [h, w, c].
        number: int scalar, as `noted` returns it.

    Returns:
        uint8 [h, w, c] or [w, h, c].
    """

    def turned():
        found = tf.cond(number >= 5, lambda: tf.transpose(image, [1, 0, 2]), lambda: image)
        found = tf.cond(_is_one_of(number, 2, 3, 6, 7), lambda: found[:, ::-1], lambda: found)
        return tf.cond(_is_one_of(number, 3, 4, 7, 8), lambda: found[::-1], lambda: found)

    return tf.cond(number > 1, turned, lambda: image)


def _is_one_of(number, *choices):
    return tf.reduce_any(tf.equal(number, tf.constant(choices, number.dtype)))


def _part(data, start, count):
    """Returns `count` bytes of a string from `start` on, fewer if it ends earlier."""
    start = tf.clip_by_value(tf.cast(start, tf.int64), 0, _length(data))
    return tf.strings.substr(data, start, tf.cast(count, tf.int64))


def _length(data):
    return tf.cast(tf.strings.length(data), tf.int64)


def _bytes(data, start, count):
    """Returns the bytes of `_part` as numbers, int64 [count], with zeros after the end."""
    padded = tf.strings.join([_part(data, start, count), b"\0" * count])
    return tf.ensure_shape(tf.cast(tf.io.decode_raw(padded, tf.uint8)[:count], tf.int64), [count])


def _number(values, little):
    """Converts bytes, int64 [..., n], to the numbers that they encode, int64 [...]."""
    powers = 256 ** np.arange(values.shape[-1])
    return tf.reduce_sum(values * tf.where(little, powers, powers[::-1]), axis=-1)


def _walk(data, first, look):
    """Searches the pieces of a file for the one with the EXIF data.

    Args:
        data: string scalar.
        first: place of the first piece.
        look: function of a place, to (whether the EXIF data are in this piece, whether to give up, place of the next).

    Returns:
        int64 scalar: place of the piece with the EXIF data, -1 if there is none.
    """
    end = _length(data)

    def step(place, _, pieces):
        found, over, after = look(place)
        over |= (after >= end) | (pieces >= _MOST_PIECES)
        state = tf.where(found, 1, tf.where(over, -1, 0))
        return tf.where(state == 0, after, place), state, pieces + 1

    place, state, _ = tf.while_loop(
        lambda place, state, pieces: tf.equal(state, 0),
        step,
        (tf.constant(first, tf.int64), tf.constant(0), tf.constant(0)),
        parallel_iterations=1,
    )
    return tf.where(state > 0, place, -1)


def _in_jpeg(data):
    def look(place):
        piece = _bytes(data, place, 4)
        is_exif = tf.equal(piece[1], 0xE1) & tf.equal(_part(data, place + 4, 6), b"Exif\0\0")
        is_picture = (piece[0] != 0xFF) | tf.equal(piece[1], 0xDA)
        return is_exif & ~is_picture, is_picture, place + 2 + _number(piece[2:], False)

    return _after(_walk(data, 2, look), 10)


def _in_png(data):
    def look(place):
        kind = _part(data, place + 4, 4)
        is_picture = tf.equal(kind, b"IDAT") | tf.equal(kind, b"IEND")
        return tf.equal(kind, b"eXIf"), is_picture, place + 12 + _number(_bytes(data, place, 4), False)

    return _after(_walk(data, 8, look), 8)


def _in_webp(data):
    def look(place):
        size = _number(_bytes(data, place + 4, 4), True)
        return tf.equal(_part(data, place, 4), b"EXIF"), False, place + 8 + size + size % 2

    place = _walk(data, 12, look)
    # Some writers keep the six bytes that precede the data in a JPEG.
    return _after(place, tf.where(tf.equal(_part(data, place + 8, 6), b"Exif\0\0"), 14, 8))


def _after(place, count):
    return tf.where(place >= 0, place + tf.cast(count, tf.int64), -1)


def _orientation(data, start):
    """Reads the orientation from EXIF data, a small TIFF file that begins at `start`; 1 if there is none."""
    head = _bytes(data, start, 8)
    little = tf.equal(head[0], ord("I"))
    directory = start + _number(head[4:], little)
    count = tf.minimum(_number(_bytes(data, directory, 2), little), _MOST_ENTRIES)
    entries = tf.reshape(_bytes(data, directory + 2, 12 * _MOST_ENTRIES), [_MOST_ENTRIES, 12])
    is_it = tf.equal(_number(entries[:, :2], little), _TAG) & (
        tf.range(_MOST_ENTRIES, dtype=tf.int64) < count
    )
    value = tf.reduce_max(tf.where(is_it, _number(entries[:, 8:10], little), 0))
    return tf.where((value >= 1) & (value <= 8), value, tf.constant(1, tf.int64))
