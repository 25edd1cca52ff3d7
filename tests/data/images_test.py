"""What one preprocessing function must do to images of any kind."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from ltgans_tf.data import images


def _noise(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def _bytes(array, form, **options):
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, form, **options)
    return buffer.getvalue()


def test_image_of_the_right_shape_is_unchanged():
    image = _noise(32, 32, 3)
    np.testing.assert_array_equal(images.fit_image(image, (32, 32, 3)), image)


def test_halving_is_antialiased():
    columns = np.tile(np.array([0, 255], np.uint8), (64, 32))[..., None]
    shrunk = images.fit_image(columns, (32, 32, 1)).numpy()[4:-4, 4:-4]
    assert shrunk.min() > 100 and shrunk.max() < 155


def test_crop_takes_the_centre():
    image = np.zeros((8, 24, 1), np.uint8)
    image[:, 8:16] = 200
    np.testing.assert_array_equal(images.fit_image(image, (8, 8, 1)), np.full((8, 8, 1), 200))


def test_pad_adds_black_evenly():
    fitted = images.fit_image(np.full((8, 16, 1), 200, np.uint8), (16, 16, 1), "pad").numpy()[..., 0]
    np.testing.assert_array_equal(fitted[:4], 0)
    np.testing.assert_array_equal(fitted[4:12], 200)
    np.testing.assert_array_equal(fitted[12:], 0)


def test_stretch_keeps_all_columns():
    image = np.repeat(np.array([[10, 250]], np.uint8), 8, axis=1).repeat(8, axis=0)[..., None]
    fitted = images.fit_image(image, (8, 8, 1), "stretch").numpy()
    assert fitted[0, 0, 0] == 10 and fitted[0, -1, 0] == 250


def test_batch_and_single_images_agree():
    batch = _noise(3, 40, 52, 3)
    one_by_one = np.stack([images.fit_image(image, (32, 32, 3)) for image in batch])
    np.testing.assert_array_equal(images.fit_image(batch, (32, 32, 3)), one_by_one)


def test_unknown_size_in_the_graph_agrees_with_known_size():
    graph = tf.function(
        lambda x: images.fit_image(x, (32, 32, 3)),
        input_signature=[tf.TensorSpec([None, None, None], tf.uint8)],
    )
    for shape in ((50, 33, 3), (33, 50, 1), (32, 32, 4)):
        np.testing.assert_array_equal(graph(_noise(*shape)), images.fit_image(_noise(*shape), (32, 32, 3)))


def test_grey_is_repeated_and_colour_becomes_luma():
    grey = _noise(8, 8, 1)
    np.testing.assert_array_equal(images.to_channels(grey, 3), np.repeat(grey, 3, -1))
    colour = np.broadcast_to(np.array([200, 100, 50], np.uint8), (8, 8, 3))
    assert int(images.to_channels(colour, 1)[0, 0, 0]) == round(0.299 * 200 + 0.587 * 100 + 0.114 * 50)


def test_transparency_is_laid_over_white():
    image = np.zeros((8, 8, 4), np.uint8)
    image[:4, :, 3] = 255
    opaque = images.to_channels(image, 3).numpy()
    assert (opaque[:4] == 0).all() and (opaque[4:] == 255).all()


def test_values_map_to_the_ends_and_back():
    every = np.arange(256, dtype=np.uint8)
    floats = images.normalize(every)
    assert floats.dtype == tf.float32 and floats[0] == -1.0 and floats[-1] == 1.0
    np.testing.assert_array_equal(images.to_uint8(floats), every)
    np.testing.assert_array_equal(images.to_uint8([-3.0, 3.0, 0.999]), [0, 255, 255])


def test_preprocess_is_fit_then_normalize():
    image = _noise(40, 30, 3)
    np.testing.assert_array_equal(
        images.preprocess(image, (16, 16, 1)), images.normalize(images.fit_image(image, (16, 16, 1)))
    )


@pytest.mark.parametrize("shape", [(3, 32, 3), (32, 2, 3), (5, 3, 32, 3)])
def test_tiny_images_are_refused(shape):
    with pytest.raises(ValueError, match="at least 4 pixels"):
        images.fit_image(_noise(*shape), (32, 32, 3))


def test_tiny_images_are_refused_in_the_graph():
    graph = tf.function(
        lambda x: images.fit_image(x, (32, 32, 3)), input_signature=[tf.TensorSpec([None, None, 3], tf.uint8)]
    )
    with pytest.raises(tf.errors.InvalidArgumentError, match="at least 4 pixels"):
        graph(_noise(3, 9, 3))


def test_wrong_fit_and_channels_are_refused():
    with pytest.raises(ValueError, match="crop, pad, stretch"):
        images.fit_image(_noise(8, 8, 3), (8, 8, 3), "squeeze")
    with pytest.raises(ValueError, match="1 or 3 channels"):
        images.fit_image(_noise(8, 8, 3), (8, 8, 2))
    with pytest.raises(ValueError, match="got 5"):
        images.fit_image(_noise(8, 8, 5), (8, 8, 3))


@pytest.mark.parametrize("form, options", [("PNG", {}), ("BMP", {}), ("WEBP", {"lossless": True})])
@pytest.mark.parametrize("channels", [1, 3])
def test_lossless_files_decode_exactly_in_a_saved_model(tmp_path, form, options, channels):
    if (form, channels) == ("WEBP", 1):
        pytest.skip("WebP has no grey images")
    module = tf.Module()
    module.decode = tf.function(
        lambda data: images.decode(data, 3), input_signature=[tf.TensorSpec([], tf.string)]
    )
    tf.saved_model.save(module, str(tmp_path))
    image = _noise(9, 7, channels)
    data = _bytes(image[..., 0] if channels == 1 else image, form, **options)
    np.testing.assert_array_equal(
        tf.saved_model.load(str(tmp_path)).decode(data), np.broadcast_to(image, (9, 7, 3))
    )


def test_photographs_decode_nearly():
    image = np.full((16, 16, 3), (200, 100, 50), np.uint8)
    for form in ("JPEG", "GIF", "WEBP"):
        np.testing.assert_allclose(images.decode(_bytes(image, form), 3), image, atol=6)


def _animation(form, **options):
    frames = [Image.fromarray(np.full((8, 8, 3), v, np.uint8)) for v in (10, 200)]
    buffer = io.BytesIO()
    frames[0].save(buffer, form, save_all=True, append_images=frames[1:], **options)
    return buffer.getvalue()


def test_animated_gif_gives_its_first_frame():
    np.testing.assert_array_equal(images.decode(_animation("GIF"), 3), np.full((8, 8, 3), 10))


def test_animated_webp_is_refused_before_it_is_decoded():
    """TensorFlow 2.21 aborts the process on it."""
    graph = tf.function(lambda data: images.decode(data, 3), input_signature=[tf.TensorSpec([], tf.string)])
    for decode in (graph, lambda data: images.decode(data, 3)):
        with pytest.raises(tf.errors.InvalidArgumentError, match="Animated WebP"):
            decode(tf.constant(_animation("WEBP", lossless=True)))


def test_transparent_file_is_laid_over_white():
    for form in ("PNG", "WEBP"):
        assert (images.decode(_bytes(np.zeros((8, 8, 4), np.uint8), form), 3).numpy() == 255).all()


def test_other_bytes_are_refused():
    for data in (b"", b"not an image", b"RIFF"):
        with pytest.raises(tf.errors.InvalidArgumentError):
            images.decode(data, 3)


@pytest.mark.parametrize("fit", images.FITS)
@pytest.mark.parametrize("size", [(40, 52), (33, 50), (9, 31), (64, 16)])
def test_fitting_in_one_step_is_crop_or_pad_and_then_antialiased_resizing(fit, size):
    image = _noise(*size, 3)
    height, width = size
    side = min(size) if fit == "crop" else max(size)
    placed = image
    if fit == "crop":
        top, left = (height - side) // 2, (width - side) // 2
        placed = image[top : top + side, left : left + side]
    if fit == "pad":
        placed = np.zeros((side, side, 3), np.uint8)
        top, left = (side - height) // 2, (side - width) // 2
        placed[top : top + height, left : left + width] = image
    wanted = np.round(tf.image.resize(placed, (16, 16), antialias=True))
    found = images.fit_image(image, (16, 16, 3), fit).numpy().astype(int)
    if fit == "pad":  # where image and ground meet they are not mixed
        blank = (wanted == 0).all(-1) | (found == 0).all(-1)
        edge = (
            np.array(tf.nn.max_pool2d(blank[None, ..., None].astype(np.float32), 3, 1, "SAME"))[0, ..., 0] > 0
        )
        wanted[edge], found[edge] = 0, 0
        assert not edge.all()
    np.testing.assert_array_equal(found, wanted)


def test_a_strip_is_padded_without_a_ground_of_its_length():
    strip = np.full((8, 400_000, 1), 255, np.uint8)  # on a ground of its own this would take 160 GB
    assert not images.fit_image(strip, (32, 32, 1), "pad").numpy()[:15].any()
    wide = images.fit_image(np.full((200, 400_000, 1), 255, np.uint8), (32, 3200, 1), "pad").numpy()
    assert (wide[16, 100:-100] == 255).all() and not wide[:12].any()


def test_width_first_gives_the_same_as_both_at_once(monkeypatch):
    image = _noise(30, 90, 3)
    for fit in images.FITS:
        both = images.fit_image(image, (16, 16, 3), fit).numpy().astype(int)
        monkeypatch.setattr(images, "_BLOCK", 10)
        np.testing.assert_allclose(images.fit_image(image, (16, 16, 3), fit), both, atol=1)
        monkeypatch.undo()


@pytest.mark.parametrize("channels", [1, 3])
def test_blending_in_blocks_gives_the_same(monkeypatch, channels):
    for shape in ((7, 9, 4), (2, 7, 9, 4), (7, 9, 3), (3, 5, 2)):
        image = _noise(*shape)
        at_once = images.to_channels(image, channels)
        monkeypatch.setattr(images, "_BLOCK", 8)
        graph = tf.function(
            lambda x: images.to_channels(x, channels),
            input_signature=[tf.TensorSpec([None] * len(shape), tf.uint8)],
        )
        for blocks in (images.to_channels(image, channels), graph(image)):
            np.testing.assert_array_equal(blocks, at_once)
        monkeypatch.undo()


def test_the_images_of_a_request_are_read_and_their_sum_is_bounded(monkeypatch):
    data = [_bytes(_noise(10, 8, 3), "PNG"), _bytes(_noise(9, 12, 3), "BMP")]
    graph = tf.function(
        lambda d: images.read_all(d, (8, 8, 3), "pad"), input_signature=[tf.TensorSpec([None], tf.string)]
    )
    one_by_one = [images.preprocess(images.decode(one, 3), (8, 8, 3), "pad") for one in data]
    np.testing.assert_allclose(graph(tf.constant(data)), one_by_one, atol=1e-6)
    monkeypatch.setattr(images, "MAX_PIXELS_TOGETHER", 10 * 8 + 9 * 12 - 1)
    with pytest.raises(tf.errors.InvalidArgumentError, match="more than 187 pixels together .*send fewer"):
        images.read_all(tf.constant(data), (8, 8, 3), "pad")
    images.read_all(tf.constant(data[:1]), (8, 8, 3), "pad")
