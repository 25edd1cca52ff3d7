"""Image files that are refused by what they say of themselves, and what is made of odd ones."""

import io
import struct
import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from ltgans_tf.data import headers, images

_ROWS, _COLUMNS = np.mgrid[0:16, 0:24]
PICTURE = np.stack([_COLUMNS * 10, _ROWS * 15, (_ROWS + _COLUMNS) * 6], -1).astype(np.uint8)


def _file(picture, form, **options):
    file = io.BytesIO()
    picture = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    picture.save(file, form, **options)
    return file.getvalue()


def _replaced(data, start, new):
    return data[:start] + new + data[start + len(new) :]


def _declaring(form, height, width):
    """A small file that says that it has this size."""
    if form == "PNG":
        data = _file(PICTURE, "PNG")
        body = b"IHDR" + struct.pack(">II", width, height) + data[24:29]
        return _replaced(data, 12, body + struct.pack(">I", zlib.crc32(body)))
    if form == "BMP":
        return _replaced(_file(PICTURE, "BMP"), 18, struct.pack("<ii", width, height))
    if form == "GIF":
        data = _file(PICTURE, "GIF")
        frame = data.index(b",", 13 + 6 * 2 ** (data[10] & 7))
        return _replaced(data, frame + 5, struct.pack("<HH", width, height))
    if form == "JPEG":
        data = _file(PICTURE, "JPEG")
        return _replaced(data, data.index(b"\xff\xc0") + 5, struct.pack(">HH", height, width))
    if form == "VP8L":
        data = _file(PICTURE, "WEBP", lossless=True)
        return _replaced(data, 21, struct.pack("<I", (height - 1) << 14 | (width - 1)))
    if form == "VP8X":
        data = _file(PICTURE, "WEBP", lossless=True, exif=b"Exif\0\0x")
        sides = struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
        return _replaced(data, 24, sides)
    return _replaced(_file(PICTURE, "WEBP"), 26, struct.pack("<HH", width, height))


@pytest.mark.parametrize("form", ["PNG", "BMP", "GIF", "JPEG", "VP8", "VP8L", "VP8X"])
def test_the_size_that_a_file_declares_is_refused_before_it_is_decoded(form):
    for height, width in ((16_000, 16_000), (8_193, 8_192)):
        with pytest.raises(
            tf.errors.InvalidArgumentError, match=rf"more than {2**26} pixels .*\n?.*{height}"
        ):
            headers.checked(_declaring(form, height, width))
    assert headers.checked(_declaring(form, 8_192, 8_192)) != b""


@pytest.mark.parametrize("height, width", [(50_000, 50_000), (2**31 - 1, 2**31 - 1), (1, 2**27)])
def test_a_png_bomb_is_refused(height, width):
    with pytest.raises(tf.errors.InvalidArgumentError, match="pixels are not read"):
        images.decode(_declaring("PNG", height, width), 3)


def test_a_bitmap_of_negative_size_is_a_bomb_too():
    with pytest.raises(tf.errors.InvalidArgumentError, match="pixels are not read"):
        images.decode(_declaring("BMP", -50_000, 50_000), 3)


def test_a_gif_is_cut_after_its_first_frame():
    frames = [Image.new("P", (300, 200), i) for i in range(20)]
    frames[0].paste(7, (0, 0, 9, 9))
    data = _file(frames[0], "GIF", save_all=True, append_images=frames[1:], comment=b"a" * 700)
    kept = headers.checked(data).numpy()
    assert len(kept) < len(data) and data.startswith(kept[:-1])
    with Image.open(io.BytesIO(kept)) as picture:
        assert picture.n_frames == 1
    np.testing.assert_array_equal(images.decode(data, 3), images.decode(kept, 3))


def test_a_gif_of_endless_blocks_is_given_up():
    endless = b"GIF89a\x08\0\x08\0\0\0\0" + b"\x21\xfe\x00" * 2 * headers.MAX_GIF_BLOCKS
    with pytest.raises(tf.errors.InvalidArgumentError, match="blocks up to the end of their first frame"):
        headers.checked(endless)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "WEBP", "BMP"])
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.95])
def test_truncated_files_are_refused(form, kept):
    data = _file(PICTURE, form)
    with pytest.raises(tf.errors.InvalidArgumentError):
        images.decode(data[: int(kept * len(data))], 3)


def test_a_palette_gives_its_colors():
    palette = Image.fromarray(PICTURE).convert("P", palette=Image.ADAPTIVE, colors=16)
    for form in ("PNG", "GIF"):
        np.testing.assert_array_equal(images.decode(_file(palette, form), 3), palette.convert("RGB"))
    with pytest.raises(tf.errors.InvalidArgumentError, match="BMP images with a palette of colors"):
        images.decode(_file(palette, "BMP"), 3)
    grey = PICTURE[..., 0]
    np.testing.assert_array_equal(images.decode(_file(grey, "BMP"), 1)[..., 0], grey)


def test_sixteen_bits_keep_the_upper_eight():
    deep = PICTURE[..., 0].astype(np.uint16) * 256 + 200
    np.testing.assert_array_equal(images.decode(_file(deep, "PNG"), 1)[..., 0], PICTURE[..., 0])


def test_print_colors_become_rgb():
    data = _file(Image.fromarray(PICTURE).convert("CMYK"), "JPEG", quality=95)
    with Image.open(io.BytesIO(data)) as picture:
        np.testing.assert_allclose(np.int32(images.decode(data, 3)), np.int32(picture.convert("RGB")), atol=8)


def test_of_an_animated_png_the_first_frame_is_read():
    data = _file(PICTURE, "PNG", save_all=True, append_images=[Image.new("RGB", (24, 16))])
    np.testing.assert_array_equal(images.decode(data, 3), PICTURE)


def test_transparent_places_of_a_gif_are_black_and_of_a_bitmap_white():
    gif = _file(Image.new("P", (8, 8), 3), "GIF", transparency=3)
    bitmap = _file(Image.new("RGBA", (8, 8), (9, 9, 9, 0)), "BMP")
    assert not images.decode(gif, 3).numpy().any() and (images.decode(bitmap, 3).numpy() == 255).all()
