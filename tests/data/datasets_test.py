"""Sources of images: arrays, folders and TensorFlow Datasets, and what they say when something is wrong."""

import os
import time
import zipfile

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from ltgans_tf.data import catalogue, datasets, folders, listing, sources, specs

SHAPE = (8, 8, 3)


def _gather(source, indices):
    return np.stack(list(tf.data.Dataset.from_tensors(np.array(indices, np.int64)).map(source.gather)))[0]


def _save(path, value, size=(8, 8), **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full(size + (3,), value, np.uint8)).save(path, **options)


@pytest.fixture(name="folder")
def _folder(tmp_path):
    """Classes a and b of 40 images each; the value of an image is its number."""
    for i in range(80):
        _save(tmp_path / "ab"[i // 40] / f"{i:02d}.png", i)
    return tmp_path


def test_npz_is_read_with_labels_and_fitted(tmp_path):
    np.savez(tmp_path / "x.npz", train_images=np.full((5, 16, 16), 9, np.uint8), train_labels=np.arange(5))
    source = datasets.load(f"npz:{tmp_path}/x.npz", "train", SHAPE)
    np.testing.assert_array_equal(_gather(source, [0, 4]), np.full((2,) + SHAPE, 9))
    np.testing.assert_array_equal(source.labels, np.arange(5))


def test_classes_and_polarity_are_applied(tmp_path):
    images = np.broadcast_to(np.arange(6, dtype=np.uint8)[:, None, None, None], (6, 8, 8, 3))
    np.savez(tmp_path / "x.npz", train_images=images, train_labels=[0, 1, 2, 0, 1, 2])
    source = datasets.load(f"npz:{tmp_path}/x.npz@1-2?invert", "train", SHAPE)
    np.testing.assert_array_equal(_gather(source, range(4))[:, 0, 0, 0], 255 - np.array([1, 2, 4, 5]))
    with pytest.raises(ValueError, match="classes there are 0-2"):
        datasets.load(f"npz:{tmp_path}/x.npz@7", "train", SHAPE)


@pytest.mark.parametrize(
    "arrays, word",
    [
        ({"images": np.zeros((2, 8, 8), np.uint8)}, "train_images"),
        ({"train_images": np.zeros((2, 8, 8))}, "uint8"),
        ({"train_images": np.zeros((0, 8, 8), np.uint8)}, "n > 0"),
        ({"train_images": np.zeros((2, 3, 3), np.uint8)}, "at least 4 pixels"),
        ({"train_images": np.zeros((2, 8, 8), np.uint8), "train_labels": np.zeros(3, int)}, "2 integers"),
        ({"train_images": np.array([object()])}, "allow_pickle"),
    ],
)
def test_wrong_npz_is_refused(tmp_path, arrays, word):
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(ValueError, match=word):
        datasets.load(f"npz:{tmp_path}/x.npz", "train", SHAPE)


def test_damaged_npz_is_named(tmp_path):
    (tmp_path / "x.npz").write_bytes(b"PK\x03\x04 cut off")
    with pytest.raises(ValueError, match="x.npz"):
        datasets.load(f"npz:{tmp_path}/x.npz", "train", SHAPE)


def test_changed_npz_is_read_anew(tmp_path):
    for value in (1, 2):
        np.savez(tmp_path / "x.npz", train_images=np.full((2 + value, 8, 8), value, np.uint8))
        assert _gather(datasets.load(f"npz:{tmp_path}/x.npz", "train", SHAPE), [0]).max() == value


def _test_values(folder, **options):
    return set(datasets.load(f"folder:{folder}", "test", SHAPE, **options).array[:, 0, 0, 0].tolist())


def test_folder_is_split_by_contents_without_overlap(folder):
    trained = datasets.load(f"folder:{folder}", "train", SHAPE).array[:, 0, 0, 0].tolist()
    tested = _test_values(folder)
    assert sorted([*trained, *tested]) == list(range(80)) and 1 <= len(tested) <= 20


def test_the_split_stays_when_files_are_added_and_files_and_folders_renamed(folder):
    before = _test_values(folder)
    _save(folder / "a" / "another.png", 200)
    assert before <= _test_values(folder) <= before | {200}
    (folder / "a").rename(folder / "cats")
    for i, path in enumerate((folder / "b").iterdir()):
        path.rename(folder / "b" / f"renamed{i}.png")
    moved = folder.rename(folder.with_name("moved"))
    assert before <= _test_values(moved) <= before | {200}
    assert _test_values(moved, split_by="path") != _test_values(moved)


def test_copies_of_an_image_share_a_split(folder):
    for path in list((folder / "a").iterdir()):
        (folder / "b" / f"copy{path.name}").write_bytes(path.read_bytes())
    parts = [datasets.load(f"folder:{folder}", split, SHAPE).array[:, 0, 0, 0] for split in catalogue.SPLITS]
    assert not set(parts[0].tolist()) & set(parts[1].tolist())


def test_the_key_of_a_file_covers_its_size_and_both_ends(tmp_path):
    data = bytes(range(256)) * 2_000
    changed = [data, data[:-1], b"x" + data[1:], data[:-1] + b"x", data + b"x"]
    keys = set()
    for i, content in enumerate(changed):
        (tmp_path / f"{i}.png").write_bytes(content)
        keys.add(folders.look(str(tmp_path / f"{i}.png"))[0])
    assert len(keys) == len(changed)


def test_tiff_and_avif_are_read_for_training(tmp_path, monkeypatch):
    for i, suffix in enumerate([".tif", ".TIFF", ".avif", ".png"]):
        form = {".png": "PNG", ".avif": "AVIF"}.get(suffix, "TIFF")
        _save(
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
            _gather(source, range(4))[:, 0, 0, 0].astype(int), [40, 80, 120, 160], atol=2
        )
    (tmp_path / "x.tif").write_bytes(b"II*\0 cut off")
    with pytest.raises(ValueError, match="x.tif is broken"):
        datasets.load(f"folder:{tmp_path}", "train", SHAPE)


def test_whole_files_of_each_kind_look_whole_and_cut_ones_do_not(tmp_path):
    forms = {"PNG": "png", "JPEG": "jpg", "GIF": "gif", "WEBP": "webp", "AVIF": "avif"}
    for form, suffix in forms.items():
        path = tmp_path / f"x.{suffix}"
        _save(path, 7, format=form)
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
            np.testing.assert_array_equal(_gather(source, [0])[0, ..., 0], wanted)


def test_damage_within_files_of_a_small_folder_is_told_of_both_splits(folder):
    names = ["a/00.png", "b/41.png", *(f"a/{value:02d}.png" for value in _test_values(folder) if value < 40)]
    for name in names:
        data = bytearray((folder / name).read_bytes())
        data[len(data) // 2] ^= 255
        (folder / name).write_bytes(data)
    with pytest.raises(ValueError) as error:
        datasets.load(f"folder:{folder}", "train", SHAPE)
    assert all(f"{name} is broken" in str(error.value) for name in names)


def test_subfolders_are_classes(folder):
    source = datasets.load(f"folder:{folder}@1", "train", SHAPE)
    assert source.array[:, 0, 0, 0].min() >= 40 and set(source.labels) == {1}


def test_train_and_test_subfolders_are_the_splits(tmp_path):
    for i, path in enumerate(["train/x/0.png", "train/y/1.png", "test/y/2.png"]):
        _save(tmp_path / path, i)
    test = datasets.load(f"folder:{tmp_path}", "test", SHAPE)
    assert test.array[:, 0, 0, 0].tolist() == [2] and test.labels.tolist() == [1]


@pytest.mark.program
def test_large_folder_streams_the_same_images(folder, monkeypatch):
    in_memory = datasets.load(f"folder:{folder}", "train", SHAPE)
    monkeypatch.setattr(folders, "IN_MEMORY_FILES", 0)
    streamed = datasets.load(f"folder:{folder}", "train", SHAPE)
    assert isinstance(streamed, sources.FileSource)
    np.testing.assert_array_equal(_gather(streamed, range(len(streamed))), in_memory.array)


@pytest.mark.parametrize("limit", [0, 1000])
def test_broken_file_is_named_or_skipped_and_counted(folder, monkeypatch, limit):
    monkeypatch.setattr(folders, "IN_MEMORY_FILES", limit)
    count = len(datasets.load(f"folder:{folder}", "train", SHAPE))
    names = [f"a/broken{i}.png" for i in range(30)]
    for number, name in enumerate(names):
        _save(folder / name, 100 + number)
        (folder / name).write_bytes((folder / name).read_bytes()[:-20])
    is_test = dict(zip((found := folders.Folder(str(folder))).names, found.is_test))
    trained = sum(not is_test[name] for name in names)
    assert 0 < trained < len(names)
    with pytest.raises(ValueError, match="^30 files cannot be used: .*skip_broken_images.$") as error:
        datasets.load(f"folder:{folder}", "train", SHAPE)  # which tells those of the test part too
    assert all(f"{name} is broken" in str(error.value) for name in names)
    source = datasets.load(f"folder:{folder}", "train", SHAPE, skip_broken_images=True)
    assert (len(source), source.skipped) == (count, trained)


def test_damage_met_while_streaming_names_the_file(folder, monkeypatch):
    monkeypatch.setattr(folders, "IN_MEMORY_FILES", 0)
    source = datasets.load(f"folder:{folder}", "train", SHAPE)
    victim = source.path(5)
    data = bytearray(open(victim, "rb").read())
    data[len(data) // 2] ^= 255
    open(victim, "wb").write(data)
    source.raise_if_broken()  # nothing was read yet
    with pytest.raises(tf.errors.InvalidArgumentError):
        _gather(source, range(10))
    with pytest.raises(ValueError, match=f"{os.path.basename(victim)} is broken"):
        source.raise_if_broken()
    with pytest.raises(ValueError, match=f"{os.path.basename(victim)} is broken"):
        sources.images_of(source, np.arange(10))


def test_mixed_sources_are_concatenated_in_order(folder, monkeypatch):
    array = sources.ArraySource(
        np.arange(3, dtype=np.uint8)[:, None, None, None] * np.ones(SHAPE, np.uint8), np.arange(3)
    )
    monkeypatch.setattr(folders, "IN_MEMORY_FILES", 0)
    files = datasets.load(f"folder:{folder}", "test", SHAPE)
    joined = sources.concatenate([array, files, array])
    count = len(files)
    assert len(joined) == count + 6 and len(joined.labels) == count + 6
    expected = np.concatenate([array.array, _gather(files, range(count)), array.array])
    order = np.random.default_rng(0).permutation(count + 6)
    np.testing.assert_array_equal(_gather(joined, order), expected[order])


def test_fingerprint_of_files_changes_with_them(folder, monkeypatch):
    monkeypatch.setattr(folders, "IN_MEMORY_FILES", 0)
    before = datasets.load(f"folder:{folder}@0", "train", SHAPE).fingerprint
    assert datasets.load(f"folder:{folder}@0", "train", SHAPE).fingerprint == before
    _save(folder / "a" / "00.png", 3, size=(9, 9))
    assert datasets.load(f"folder:{folder}@0", "train", SHAPE).fingerprint != before


def _save_with_factors(path, **more):
    arrays = {
        "test_images": np.arange(4, dtype=np.uint8)[:, None, None] * np.ones((8, 8), np.uint8),
        "test_labels": np.array([0, 1, 0, 1]),
        **more,
    }
    np.savez(path, **arrays)
    return f"npz:{path}"


def test_numbers_beside_the_images_are_factors(tmp_path):
    spec = _save_with_factors(
        tmp_path / "x.npz",
        test_shape=np.array([7, 8, 9, 65535], np.uint16),
        test_lit=np.array([True, False, True, True]),
        test_view=np.array([[0, 4], [1, 5], [2, 6], [3, 7.5]], np.float32),
        test_size=np.array([[1], [2], [3], [4]]),
        train_images=np.zeros((3, 8, 8), np.uint8),
        train_size=np.array([5, 6, 7]),
    )
    factors = datasets.load(spec, "test", SHAPE).factors
    expected = {
        "shape": [7, 8, 9, 65535],
        "lit": [1, 0, 1, 1],
        "view.0": [0.0, 1.0, 2.0, 3.0],
        "view.1": [4.0, 5.0, 6.0, 7.5],
        "size": [1, 2, 3, 4],
    }
    assert {name: values.tolist() for name, values in factors.items()} == expected
    kinds = {name: values.dtype for name, values in factors.items()}
    assert {n for n, kind in kinds.items() if kind == np.float64} == {"view.0", "view.1"}
    assert {n for n, kind in kinds.items() if kind == np.int64} == {"shape", "lit", "size"}
    assert datasets.load(spec, "train", SHAPE).factors["size"].tolist() == [5, 6, 7]


def test_other_arrays_are_no_factors_and_are_not_read(tmp_path):
    spec = _save_with_factors(
        tmp_path / "x.npz",
        test_names=np.array(list("abcd")),
        test_anything=np.array([object()] * 4),  # would need pickle
        test_masks=np.zeros((4, 2, 2)),
        test_mean=np.zeros(3),
        test_table=np.zeros((3, 4)),
        test_count=np.int64(4),
        test_wave=np.zeros(4, complex),
        test_records=np.zeros(4, [("x", int)]),
        class_names=np.zeros(4),
        latest_size=np.zeros(4),
    )
    with zipfile.ZipFile(tmp_path / "x.npz", "a") as file:
        file.writestr("test_notes.txt", "how it was made")
    assert datasets.load(spec, "test", SHAPE).factors == {}


def test_classes_choose_among_factors_too(tmp_path):
    spec = _save_with_factors(tmp_path / "x.npz", test_size=np.arange(4) * 10)
    source = datasets.load(spec + "@1?invert", "test", SHAPE)
    assert source.factors["size"].tolist() == [10, 30]
    assert (255 - source.array[:, 0, 0, 0]).tolist() == [1, 3]


@pytest.mark.parametrize("images", [np.zeros((0, 8, 8), np.uint8), np.uint8(3)])
def test_factors_of_wrong_images_change_no_message(tmp_path, images):
    spec = _save_with_factors(tmp_path / "x.npz", test_images=images, test_size=np.zeros(0))
    with pytest.raises(ValueError, match="test_images of .* must be uint8"):
        datasets.load(spec, "test", SHAPE)


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


def test_folder_of_one_split_alone_is_read(folder):
    whole = datasets.load(f"folder:{folder}", "train", SHAPE)
    (part,) = specs.parse(f"folder:{folder}?train").parts
    np.testing.assert_array_equal(datasets.load(part, "train", SHAPE).array, whole.array)


def test_missing_names_what_is_not_there(tmp_path, folder):
    _save_with_factors(tmp_path / "x.npz")
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
            _save(tmp_path / "rendered_chairs" / split / chair / "1.png", 7)
    assert datasets.missing(part, str(tmp_path)) is None
    alone = specs.parse("rendered_chairs?train").parts[0]
    assert len(datasets.load(alone, "train", SHAPE, data_dir=str(tmp_path))) == 2
    source = datasets.load("rendered_chairs@1", "test", SHAPE, data_dir=str(tmp_path))
    assert len(source) == 1 and (_gather(source, [0]) == 7).all()
    np.savez(tmp_path / "rendered_chairs.npz", train_images=np.full((5, 8, 8), 9, np.uint8))
    assert len(datasets.load("rendered_chairs", "train", SHAPE, data_dir=str(tmp_path))) == 5


# TensorFlow Datasets.


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
    assert _gather(source, [0, 5]).shape == (2, 16, 16, 3)
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
    assert _gather(source, [3, 1]).shape == (2,) + SHAPE
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


def test_images_beside_a_subfolder_are_kept_and_have_no_classes(tmp_path):
    (tmp_path / "notes").mkdir()
    for i in range(30):
        Image.fromarray(np.full((8, 8, 3), i, np.uint8)).save(tmp_path / f"{i}.png")
    parts = [datasets.load(f"folder:{tmp_path}", split, SHAPE) for split in catalogue.SPLITS]
    assert sum(len(part) for part in parts) == 30
    assert all(part.labels is None for part in parts)


def test_rendered_set_of_the_user_has_its_views():
    folder = os.environ.get("LTGANS_DATA_DIR")
    if not folder or not os.path.isfile(os.path.join(folder, "chairs64.npz")):
        pytest.skip("LTGANS_DATA_DIR names no folder with chairs64.npz")
    source = datasets.load("chairs64@0", "test", SHAPE, data_dir=folder)
    assert set(source.factors) == {"chair", "view.0", "view.1"}
    # Label 0 is the first sector of 45 degrees; two elevations.
    assert 0 <= source.factors["view.0"].min() and source.factors["view.0"].max() < np.pi / 4
    assert len(np.unique(source.factors["view.1"])) == 2


def test_links_lead_nowhere_out_of_a_folder(folder, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside")
    _save(outside / "1.png", 5)
    inside, count = folder / "a" / "again.png", len(datasets.load(f"folder:{folder}", "train", SHAPE))
    inside.symlink_to(folder / "a" / "00.png")
    assert len(listing.scan(str(folder)).files) == 81
    for name, target in (("b/x.png", outside / "1.png"), ("b/y", outside), ("loop", ".")):
        link = folder / name
        link.symlink_to(target)
        with pytest.raises(ValueError, match=f"{link} is a link to .*may lead to files in it alone"):
            datasets.load(f"folder:{folder}", "train", SHAPE)
        link.unlink()
    (outside / "link").symlink_to(folder)  # the folder itself may be one
    assert len(datasets.load(f"folder:{outside}/link", "train", SHAPE)) in (count, count + 1)


def test_file_names_may_be_any_bytes(tmp_path, monkeypatch):
    names = [b"\xff\xfe.png", b"a\nb.png", "é".encode() * 100 + b".png", b"-rf *.png", b"\x01\x7f.PNG"]
    for i, name in enumerate(names):
        with open(os.path.join(os.fsencode(tmp_path), name), "wb") as file:
            Image.fromarray(np.full((8, 8, 3), i, np.uint8)).save(file, "png")
    monkeypatch.setattr(folders, "is_test_key", lambda key: False)
    for limit in (0, 1000):
        monkeypatch.setattr(folders, "IN_MEMORY_FILES", limit)
        source = datasets.load(f"folder:{tmp_path}", "train", SHAPE)
        assert sorted(_gather(source, range(5))[:, 0, 0, 0]) == list(range(5)) and source.fingerprint
    assert folders.zlib.crc32(os.fsencode("\udcff.png")) == folders.zlib.crc32(b"\xff.png")


def test_an_archive_that_unpacks_to_far_more_than_images_do_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("train_images.npy", "w", force_zip64=True) as member:
            np.lib.format.write_array_header_1_0(
                member, {"descr": "|u1", "fortran_order": False, "shape": (300, 1024, 1024)}
            )
            for _ in range(300):
                member.write(bytes(2**20))
    before = time.perf_counter()
    with pytest.raises(ValueError, match="train_images.npy of .* bytes unpacks to 31457"):
        datasets.load(f"npz:{tmp_path}/x.npz", "train", SHAPE)
    assert time.perf_counter() - before < 1


def test_an_archive_whose_header_promises_more_than_memory_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (1125899906842624, 8, 8)}\n"
        archive.writestr(
            "train_images.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
        )
    with pytest.raises(ValueError, match="cannot be read as .npz"):
        datasets.load(f"npz:{tmp_path}/x.npz", "train", SHAPE)
