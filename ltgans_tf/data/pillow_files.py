"""Reads image files that TensorFlow cannot decode, with Pillow: the first picture of a TIFF or AVIF."""

import io
import os

from PIL import Image

from ltgans_tf.data import headers, listing

PATTERN = r"(?s).*\.(" + "|".join(suffix[1:] for suffix in listing.READ_BY_PILLOW) + ")"
_ORIENTATION = 0x112
# Modes with 16 bits per channel; only the upper 8 are used, as for a PNG.
_DEEP = {"I;16", "I;16B", "I;16L", "I;16N"}


def reads(path):
    """Whether Pillow reads a file, judged by its name."""
    return os.fspath(path).lower().endswith(listing.READ_BY_PILLOW)


def as_png(path):
    """Converts the first picture of a file to an uncompressed PNG file.

    The PNG keeps an AVIF's note on the camera's rotation; the rotation of a TIFF is applied here.

    Args:
        path: bytes or str.

    Returns:
        bytes.

    Raises:
        ValueError: the file cannot be read, has more than `headers.MAX_PIXELS`, or has channels of 32 bits.
    """
    try:
        with Image.open(os.fsdecode(path)) as picture:
            if picture.width * picture.height > headers.MAX_PIXELS:
                raise ValueError(f"it has more than {headers.MAX_PIXELS} pixels")
            picture.load()  # this also rotates a TIFF
            exif = Image.Exif()
            exif[_ORIENTATION] = picture.getexif().get(_ORIENTATION, 1)
            if picture.mode in _DEEP:
                picture = picture.point(lambda value: value / 256).convert("L")
            elif picture.mode in ("I", "F"):
                raise ValueError(f"its numbers are of the kind {picture.mode!r}")
            elif picture.mode not in ("1", "L", "LA", "RGB", "RGBA"):
                picture = picture.convert("RGBA" if picture.has_transparency_data else "RGB")
            file = io.BytesIO()
            picture.save(file, "PNG", compress_level=0, exif=exif)
    except (OSError, SyntaxError, EOFError, KeyError, TypeError, MemoryError) as error:
        raise ValueError(str(error)) from error
    return file.getvalue()
