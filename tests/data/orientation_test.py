"""Pictures are turned as their camera noted, in the graph as Pillow does it."""

import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from ltgans_tf.data import images, orientation, pillow_files

PICTURE = np.random.default_rng(0).integers(0, 256, (9, 13, 3), np.uint8)
FORMS = {"JPEG": {"quality": 95, "subsampling": 0}, "PNG": {}, "WEBP": {"lossless": True}}


def _file(form, number, **options):
    noted = Image.Exif()
    noted[0x10F], noted[0x112] = "a maker", number
    file = io.BytesIO()
    Image.fromarray(PICTURE).save(file, form, exif=noted, **options)
    return file.getvalue()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("number", range(1, 9))
def test_all_eight_orientations_are_applied(form, number):
    data = _file(form, number, **FORMS[form])
    assert orientation.noted(data) == number
    with Image.open(io.BytesIO(data)) as picture:
        plain, turned = (
            np.int32(picture.convert("RGB")),
            np.int32(ImageOps.exif_transpose(picture).convert("RGB")),
        )
    np.testing.assert_allclose(np.int32(images.decode(data, 3)), turned, atol=8)
    np.testing.assert_allclose(np.int32(images.decode(data, 3, upright=False)), plain, atol=8)


@pytest.mark.parametrize("form", FORMS)
def test_files_without_the_tag_are_left_as_they_are(form):
    file = io.BytesIO()
    Image.fromarray(PICTURE).save(file, form, **FORMS[form])
    assert orientation.noted(file.getvalue()) == 1
    assert orientation.noted(_file(form, 9)) == 1


@pytest.mark.parametrize("order", [b"II*\0", b"MM\0*"])
def test_both_byte_orders_are_read(order):
    little = "little" if order[:1] == b"I" else "big"
    tag = (0x112).to_bytes(2, little) + (3).to_bytes(2, little) + (1).to_bytes(4, little)
    tiff = (
        order + (8).to_bytes(4, little) + (1).to_bytes(2, little) + tag + (5).to_bytes(2, little) + bytes(6)
    )
    file = io.BytesIO()
    Image.fromarray(PICTURE).save(file, "JPEG", exif=b"Exif\0\0" + tiff)
    assert orientation.noted(file.getvalue()) == 5


def test_damaged_data_give_some_orientation_and_no_error():
    draw = np.random.default_rng(0)
    whole = [_file(form, 6) for form in FORMS] + [b"", b"\xff\xd8", b"Exif\0\0"]
    for i in range(120):
        data = bytearray(whole[i % len(whole)])
        for place in draw.integers(0, len(data), 4) if data else []:
            data[place] = draw.integers(0, 256)
        assert 1 <= orientation.noted(bytes(data[: draw.integers(0, len(data) + 1)])) <= 8


@pytest.mark.parametrize("form", ["TIFF", "AVIF"])
@pytest.mark.parametrize("number", [1, 3, 6])
def test_what_pillow_reads_is_turned_too(tmp_path, form, number):
    path = tmp_path / f"x.{form.lower()}"
    path.write_bytes(
        _file(form, number, **({"quality": 100, "subsampling": "4:4:4"} if form == "AVIF" else {}))
    )
    with Image.open(path) as picture:
        picture.load()
        turned = np.int32(ImageOps.exif_transpose(picture).convert("RGB"))
    np.testing.assert_allclose(np.int32(images.decode(pillow_files.as_png(path), 3)), turned, atol=3)


def test_sixteen_bits_of_a_tiff_keep_the_upper_eight(tmp_path):
    deep = PICTURE[..., 0].astype(np.uint16) * 256 + 200
    Image.fromarray(deep).save(tmp_path / "x.tif")
    np.testing.assert_array_equal(
        images.decode(pillow_files.as_png(tmp_path / "x.tif"), 1)[..., 0], PICTURE[..., 0]
    )
    Image.fromarray(PICTURE[..., 0].astype(np.float32)).save(tmp_path / "y.tif")
    with pytest.raises(ValueError, match="kind 'F'"):
        pillow_files.as_png(tmp_path / "y.tif")
