"""Image files that Pillow reads and TensorFlow does not: TIFF and AVIF, their first picture."""

import io
import os

from PIL import Image

from ltgans_tf.data import headers, listing

PATTERN = r"(?s).*\.(" + "|".join(suffix[1:] for suffix in listing.READ_BY_PILLOW) + ")"
_ORIENTATION = 0x112
# Modes of 16 bits a channel, of which the upper 8 count, as in a PNG.
_DEEP = {"I;16", "I;16B", "I;16L", "I;16N"}


def reads(path):
    """Whether a file is read by Pillow, by its name."""
    return os.fspath(path).lower().endswith(listing.READ_BY_PILLOW)


def as_png(path):
    """The first picture of a file, as an uncompressed PNG file.

    What an AVIF notes of a camera's rotation, the PNG notes too; a TIFF is turned here.

    Args:
        path: bytes or str.

    Returns:
        bytes.

    Raises:
        ValueError: it can't be read, has more than `headers.MAX_PIXELS`, or numbers that are no 8 or 16 bits.
    """
    try:
        with Image.open(os.fsdecode(path)) as picture:
            if picture.width * picture.height > headers.MAX_PIXELS:
                raise ValueError(f"it has more than {headers.MAX_PIXELS} pixels")
            picture.load()  # which turns a TIFF
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
