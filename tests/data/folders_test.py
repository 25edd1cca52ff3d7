"""Tests of folders of images as data sets."""

import os

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from ltgans_tf.data import catalogue, datasets, folders, listing, sources, specs
from tests.data.small_images import SHAPE, gathered, save_image


def _test_values(folder, **options):
    return set(datasets.load(f"folder:{folder}", "test", SHAPE, **options).array[:, 0, 0, 0].tolist())


def test_folder_is_split_by_contents_without_overlap(folder):
    trained = datasets.load(f"folder:{folder}", "train", SHAPE).array[:, 0, 0, 0].tolist()
    tested = _test_values(folder)
    assert sorted([*trained, *tested]) == list(range(80)) and 1 <= len(tested) <= 20


def test_the_split_stays_when_files_are_added_and_files_and_folders_renamed(folder):
    before = _test_values(folder)
    save_image(folder / "a" / "another.png", 200)
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
        save_image(tmp_path / path, i)
    test = datasets.load(f"folder:{tmp_path}", "test", SHAPE)
    assert test.array[:, 0, 0, 0].tolist() == [2] and test.labels.tolist() == [1]


@pytest.mark.program
def test_large_folder_streams_the_same_images(folder, monkeypatch):
    in_memory = datasets.load(f"folder:{folder}", "train", SHAPE)
    monkeypatch.setattr(folders, "IN_MEMORY_FILES", 0)
    streamed = datasets.load(f"folder:{folder}", "train", SHAPE)
    assert isinstance(streamed, sources.FileSource)
    np.testing.assert_array_equal(gathered(streamed, range(len(streamed))), in_memory.array)


@pytest.mark.parametrize("limit", [0, 1000])
def test_broken_file_is_named_or_skipped_and_counted(folder, monkeypatch, limit):
    monkeypatch.setattr(folders, "IN_MEMORY_FILES", limit)
    count = len(datasets.load(f"folder:{folder}", "train", SHAPE))
    names = [f"a/broken{i}.png" for i in range(30)]
    for number, name in enumerate(names):
        save_image(folder / name, 100 + number)
        (folder / name).write_bytes((folder / name).read_bytes()[:-20])
    is_test = dict(zip((found := folders.Folder(str(folder))).names, found.is_test))
    trained = sum(not is_test[name] for name in names)
    assert 0 < trained < len(names)
    with pytest.raises(
        ValueError, match=r"^30 files cannot be used: .* --skip_broken_images \(in Python: .*\)\.$"
    ) as error:
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
        gathered(source, range(10))
    with pytest.raises(ValueError, match=f"{os.path.basename(victim)} is broken"):
        source.raise_if_broken()
    with pytest.raises(ValueError, match=f"{os.path.basename(victim)} is broken"):
        sources.images_of(source, np.arange(10))


def test_fingerprint_of_files_changes_with_them(folder, monkeypatch):
    monkeypatch.setattr(folders, "IN_MEMORY_FILES", 0)
    before = datasets.load(f"folder:{folder}@0", "train", SHAPE).fingerprint
    assert datasets.load(f"folder:{folder}@0", "train", SHAPE).fingerprint == before
    save_image(folder / "a" / "00.png", 3, size=(9, 9))
    assert datasets.load(f"folder:{folder}@0", "train", SHAPE).fingerprint != before


def test_folder_of_one_split_alone_is_read(folder):
    whole = datasets.load(f"folder:{folder}", "train", SHAPE)
    (part,) = specs.parse(f"folder:{folder}?train").parts
    np.testing.assert_array_equal(datasets.load(part, "train", SHAPE).array, whole.array)


def test_images_beside_a_subfolder_are_kept_and_have_no_classes(tmp_path):
    (tmp_path / "notes").mkdir()
    for i in range(30):
        Image.fromarray(np.full((8, 8, 3), i, np.uint8)).save(tmp_path / f"{i}.png")
    parts = [datasets.load(f"folder:{tmp_path}", split, SHAPE) for split in catalogue.SPLITS]
    assert sum(len(part) for part in parts) == 30
    assert all(part.labels is None for part in parts)


def test_links_lead_nowhere_out_of_a_folder(folder, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside")
    save_image(outside / "1.png", 5)
    inside, count = folder / "a" / "again.png", len(datasets.load(f"folder:{folder}", "train", SHAPE))
    inside.symlink_to(folder / "a" / "00.png")
    assert len(listing.scan(str(folder)).files) == 81
    for name, target in (("b/x.png", outside / "1.png"), ("b/y", outside), ("loop", ".")):
        link = folder / name
        link.symlink_to(target)
        with pytest.raises(ValueError, match=f"{link} is a link to .*may lead only to files in that folder"):
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
        assert sorted(gathered(source, range(5))[:, 0, 0, 0]) == list(range(5)) and source.fingerprint
    assert folders.zlib.crc32(os.fsencode("\udcff.png")) == folders.zlib.crc32(b"\xff.png")
