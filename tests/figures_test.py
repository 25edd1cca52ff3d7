"""Pictures: each image in its place, white between them, and PNG files that read back."""

import os

import numpy as np
import pytest
from PIL import Image

from ltgans_tf import figures


def _images(count, height=3, width=5, channels=3):
    """No pixel is white, so that white can only be padding."""
    draw = np.random.default_rng(0)
    return draw.integers(0, 255, (count, height, width, channels), dtype=np.uint8)


@pytest.mark.parametrize("pad", [0, 1, 2])
def test_a_grid_places_image_i_at_its_row_and_column(pad):
    images = _images(7)
    picture = figures.grid(images, columns=3, pad=pad)
    assert picture.dtype == np.uint8
    assert picture.shape == (3 * (3 + pad) - pad, 3 * (5 + pad) - pad, 3)
    expected = np.full_like(picture, 255)
    for i in range(7):
        for y in range(3):
            for x in range(5):
                expected[i // 3 * (3 + pad) + y, i % 3 * (5 + pad) + x] = images[i, y, x]
    np.testing.assert_array_equal(picture, expected)


def test_grey_images_become_rgb():
    grey = _images(4, channels=1)
    picture = figures.grid(grey, columns=2)
    np.testing.assert_array_equal(picture[:3, :5], np.repeat(grey[0], 3, axis=-1))
    np.testing.assert_array_equal(picture, figures.grid(np.repeat(grey, 3, axis=-1), columns=2))


@pytest.mark.parametrize(
    "images",
    [
        _images(4) / 255.0,
        _images(4)[0],
        _images(4)[:0],
        _images(4, channels=2),
        _images(4, channels=4),
    ],
)
def test_images_that_make_no_grid_are_refused(images):
    with pytest.raises(ValueError, match=r"images are (uint8|float64) \(.*must be uint8 \[N, H, W, C\]"):
        figures.grid(images)


def test_pictures_stand_side_by_side_with_white_between():
    first, second = _images(2, 4, 6)
    both = figures.side_by_side([first, second], gap=3)
    np.testing.assert_array_equal(both[:, :6], first)
    np.testing.assert_array_equal(both[:, 6:9], np.full((4, 3, 3), 255))
    np.testing.assert_array_equal(both[:, 9:], second)


def test_a_stream_sheet_stacks_one_captioned_strip_per_boundary():
    rows = [_images(9), _images(9)[::-1]]
    sheet = figures.stream_sheet(rows, ["after task 1", "after task 2"], columns=4)
    strip = figures.grid(rows[0][:8], columns=4)  # the ninth image would begin a line of its own
    height = strip.shape[0] + 14
    assert sheet.shape == (2 * height + 8, strip.shape[1], 3)
    for i, images in enumerate(rows):
        top = i * (height + 8)
        np.testing.assert_array_equal(sheet[top + 14 : top + height], figures.grid(images[:8], columns=4))
        assert (sheet[top : top + 14] < 128).any()  # the caption is written there
    assert (sheet[height : height + 8] == 255).all()


def test_a_stream_sheet_takes_fewer_images_than_columns():
    images = _images(5, 40, 40)
    sheet = figures.stream_sheet([images], ["after task 1"], columns=16)
    np.testing.assert_array_equal(sheet[14:], figures.grid(images, columns=5))


@pytest.mark.parametrize("zoom", [1, 3])
def test_a_png_reads_back_with_every_pixel_zoomed(tmp_path, zoom):
    picture = _images(1)[0]
    path = tmp_path / "new" / "folder" / "picture.png"
    figures.save_png(str(path), picture, zoom=zoom)
    with Image.open(path) as image:
        assert image.format == "PNG"
        np.testing.assert_array_equal(np.asarray(image), picture.repeat(zoom, 0).repeat(zoom, 1))
    assert os.listdir(path.parent) == ["picture.png"]


def test_a_png_appears_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "picture.png"
    first, second = _images(2)
    figures.save_png(str(path), first)
    real = Image.Image.save

    def break_off(self, file, **kwargs):
        real(self, file, **kwargs)
        with open(file, "r+b") as f:
            f.truncate(10)
        raise OSError("no space left")

    monkeypatch.setattr(Image.Image, "save", break_off)
    with pytest.raises(OSError):
        figures.save_png(str(path), second)
    with Image.open(path) as image:
        np.testing.assert_array_equal(np.asarray(image), first)
