"""Sources of images: arrays, folders and TensorFlow Datasets, and what they say when something is wrong."""

import os
import time

import numpy as np
import pytest
from PIL import Image

from ltgans_tf.data import catalogue, datasets, folders, sources, specs
from tests.data.small_images import SHAPE, gathered, save_image, save_with_factors


def test_classes_and_polarity_are_applied(tmp_path):
    images = np.broadcast_to(np.arange(6, dtype=np.uint8)[:, None, None, None], (6, 8, 8, 3))
    np.savez(tmp_path / "x.npz", train_images=images, train_labels=[0, 1, 2, 0, 1, 2])
    source = datasets.load(f"npz:{tmp_path}/x.npz@1-2?invert", "train", SHAPE)
    np.testing.assert_array_equal(gathered(source, range(4))[:, 0, 0, 0], 255 - np.array([1, 2, 4, 5]))
    with pytest.raises(ValueError, match="classes there are 0-2"):
        datasets.load(f"npz:{tmp_path}/x.npz@7", "train", SHAPE)


def test_tiff_and_avif_are_read_for_training(tmp_path, monkeypatch):
    for i, suffix in enumerate([".tif", ".TIFF", ".avif", ".png"]):
        form = {".png": "PNG", ".avif": "AVIF"}.get(suffix, "TIFF")
        save_image(
            tmp_path / f"{i}{suffix}",
            40 * i + 40,
            format=form,
            **({"quality": 100} if form == "AVIF" else {}),
        )
    monkeypatch.setattr(folders, "is_test_key", lambda key: False)
    for limit in (0, 1000):
        monkeypatch.setattr(folders, "IN_MEMORY_FILES", limit)
        source = datasets.load(f"folder:{tmp_path}", "train", SHAPE)
        np.testing.assert_allclose(
            gathered(source, range(4))[:, 0, 0, 0].astype(int), [40, 80, 120, 160], atol=2
        )
    (tmp_path / "x.tif").write_bytes(b"II*\0 cut off")
    with pytest.raises(ValueError, match="x.tif is broken"):
        datasets.load(f"folder:{tmp_path}", "train", SHAPE)


def test_whole_files_of_each_kind_look_whole_and_cut_ones_do_not(tmp_path):
    forms = {"PNG": "png", "JPEG": "jpg", "GIF": "gif", "WEBP": "webp", "AVIF": "avif"}
    for form, suffix in forms.items():
        path = tmp_path / f"x.{suffix}"
        save_image(path, 7, format=form)
        assert folders.look(str(path))[1], form
        path.write_bytes(path.read_bytes()[:-1])
        assert not folders.look(str(path))[1], form


def test_photographs_are_turned_unless_asked_not_to_be(tmp_path, monkeypatch):
    pixels = np.arange(64, dtype=np.uint8).reshape(8, 8) * 3
    noted = Image.Exif()
    noted[0x112] = 6
    Image.fromarray(pixels).save(tmp_path / "x.png", exif=noted)
    monkeypatch.setattr(folders, "is_test_key", lambda key: False)
    for limit in (0, 1000):
        monkeypatch.setattr(folders, "IN_MEMORY_FILES", limit)
        for upright, wanted in ((True, np.rot90(pixels, -1)), (False, pixels)):
            source = datasets.load(f"folder:{tmp_path}", "train", (8, 8, 1), upright=upright)
            np.testing.assert_array_equal(gathered(source, [0])[0, ..., 0], wanted)


def test_mixed_sources_are_concatenated_in_order(folder, monkeypatch):
    array = sources.ArraySource(
        np.arange(3, dtype=np.uint8)[:, None, None, None] * np.ones(SHAPE, np.uint8), np.arange(3)
    )
    monkeypatch.setattr(folders, "IN_MEMORY_FILES", 0)
    files = datasets.load(f"folder:{folder}", "test", SHAPE)
    joined = sources.concatenate([array, files, array])
    count = len(files)
    assert len(joined) == count + 6 and len(joined.labels) == count + 6
    expected = np.concatenate([array.array, gathered(files, range(count)), array.array])
    order = np.random.default_rng(0).permutation(count + 6)
    np.testing.assert_array_equal(gathered(joined, order), expected[order])


def test_joined_sources_keep_the_factors_that_all_have(folder, monkeypatch):
    images = np.zeros((2,) + SHAPE, np.uint8)
    first = sources.ArraySource(images, None, factors={"a": np.array([1, 2]), "b": np.array([3, 4])})
    second = sources.ArraySource(images, None, factors={"c": np.array([5, 6]), "b": np.array([7.5, 8])})
    assert {n: v.tolist() for n, v in sources.concatenate([first, second]).factors.items()} == {
        "b": [3, 4, 7.5, 8]
    }
    for limit in (0, 1000):
        monkeypatch.setattr(folders, "IN_MEMORY_FILES", limit)
        files = datasets.load(f"folder:{folder}", "test", SHAPE)
        assert files.factors == {} and sources.concatenate([first, files]).factors == {}


def test_missing_names_what_is_not_there(tmp_path, folder):
    save_with_factors(tmp_path / "x.npz")
    (tmp_path / "empty" / "train").mkdir(parents=True)

    def missing(text):
        return datasets.missing(specs.parse(text).parts[0], str(tmp_path))

    for text in (f"npz:{tmp_path}/x.npz@3", f"folder:{folder}", "x", "digits", "mnist", "tfds:kmnist"):
        assert missing(text) is None
    assert missing(f"npz:{tmp_path}/y.npz@3") == f"{tmp_path}/y.npz"
    assert missing(f"folder:{tmp_path}/y?invert") == f"{tmp_path}/y"
    assert missing(f"folder:{tmp_path}/empty") == f"{tmp_path}/empty/*"
    assert missing("y@0") == f"y.npz (data_dir is {tmp_path})"


def test_set_got_by_hand_is_read_from_its_folder_or_its_npz(tmp_path):
    with pytest.raises(ValueError, match="rendered_chairs .* cannot be downloaded by itself"):
        datasets.load("rendered_chairs", "train", SHAPE, data_dir=str(tmp_path))
    part = specs.parse("rendered_chairs").parts[0]
    assert datasets.missing(part, str(tmp_path)) == f"rendered_chairs (data_dir is {tmp_path})"
    for split in catalogue.SPLITS:
        for chair in "ab":
            save_image(tmp_path / "rendered_chairs" / split / chair / "1.png", 7)
    assert datasets.missing(part, str(tmp_path)) is None
    alone = specs.parse("rendered_chairs?train").parts[0]
    assert len(datasets.load(alone, "train", SHAPE, data_dir=str(tmp_path))) == 2
    source = datasets.load("rendered_chairs@1", "test", SHAPE, data_dir=str(tmp_path))
    assert len(source) == 1 and (gathered(source, [0]) == 7).all()
    np.savez(tmp_path / "rendered_chairs.npz", train_images=np.full((5, 8, 8), 9, np.uint8))
    assert len(datasets.load("rendered_chairs", "train", SHAPE, data_dir=str(tmp_path))) == 5


@pytest.fixture(name="mocked")
def _mocked(monkeypatch):
    import tensorflow_datasets as tfds

    monkeypatch.setattr(datasets, "_can_look_up", lambda host: True)
    with tfds.testing.mock_data(num_examples=6):
        yield tfds


@pytest.mark.program
@pytest.mark.parametrize(
    "name",
    [
        "mnist",
        "svhn_cropped",
        "fashion_mnist",
        "omniglot",
        "cifar10",
        "cifar100",
        "celeb_a",
        "imagenet_resized",
        "tfds:kmnist",
    ],
)
@pytest.mark.parametrize("split", catalogue.SPLITS)
def test_tfds_set_gives_fitted_images(mocked, name, split):
    source = datasets.load(name, split, (16, 16, 3))
    assert gathered(source, [0, 5]).shape == (2, 16, 16, 3)
    assert (source.labels is None) == (name == "celeb_a")


def test_catalogue_agrees_with_tfds(mocked):
    for dataset in catalogue.DATASETS.values():
        if dataset.kind == "tfds":
            features = mocked.builder(dataset.tfds_name).info.features
            known = tuple(n or m for n, m in zip(features["image"].shape, dataset.image_shape))
            assert known == dataset.image_shape
            if dataset.num_classes:
                assert features["label"].num_classes == dataset.num_classes


def test_large_tfds_set_is_read_by_random_access(mocked, monkeypatch):
    monkeypatch.setattr(datasets, "MEMORY_LIMIT_BYTES", 10)
    source = datasets.load("imagenet_resized", "train", SHAPE)
    assert isinstance(source, sources.RecordSource) and len(source.labels) == 6
    assert gathered(source, [3, 1]).shape == (2,) + SHAPE
    chosen = datasets.load(f"imagenet_resized@{source.labels[2]}", "train", SHAPE)
    assert set(chosen.labels) == {source.labels[2]}


def test_unknown_tfds_name_is_refused(mocked):
    with pytest.raises(ValueError, match="no data set 'nonesuch'"):
        datasets.load("tfds:nonesuch", "train", SHAPE)


def test_missing_network_is_told_within_seconds(monkeypatch, tmp_path):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    monkeypatch.setattr(datasets.socket, "getaddrinfo", lambda *_: time.sleep(60))
    monkeypatch.setattr(datasets, "LOOKUP_SECONDS", 0.5)
    start = time.perf_counter()
    with pytest.raises(ValueError, match="no network"):
        datasets.load("svhn_cropped", "train", SHAPE)
    # The import of tensorflow_datasets is in it.
    assert time.perf_counter() - start < 5


def test_data_dir_of_the_user_stands_for_a_named_set():
    folder = os.environ.get("LTGANS_DATA_DIR")
    if not folder or not os.path.isfile(os.path.join(folder, "mnist.npz")):
        pytest.skip("LTGANS_DATA_DIR names no folder with mnist.npz")
    source = datasets.load("mnist@0-4", "test", (32, 32, 1), data_dir=folder)
    assert source.array.shape[1:] == (32, 32, 1) and set(source.labels) == set(range(5))


def test_rendered_set_of_the_user_has_its_views():
    folder = os.environ.get("LTGANS_DATA_DIR")
    if not folder or not os.path.isfile(os.path.join(folder, "chairs64.npz")):
        pytest.skip("LTGANS_DATA_DIR names no folder with chairs64.npz")
    source = datasets.load("chairs64@0", "test", SHAPE, data_dir=folder)
    assert set(source.factors) == {"chair", "view.0", "view.1"}
    # Label 0 is the first sector of 45 degrees; two elevations.
    assert 0 <= source.factors["view.0"].min() and source.factors["view.0"].max() < np.pi / 4
    assert len(np.unique(source.factors["view.1"])) == 2
