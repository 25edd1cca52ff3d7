"""What of a folder of images is read, what is left out and told, and which subfolders are the splits."""

import os

import pytest

from ltgans_tf.data import listing, specs, streams


def _make(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
    return str(folder)


def test_hidden_entries_and_dangling_links_are_no_images(tmp_path):
    hidden = [
        ".x.png",
        "._a.png",
        ".ipynb_checkpoints/a.png",
        "__MACOSX/a.png",
        ".git/b.png",
        "cats/.thumb/a.png",
    ]
    root = _make(tmp_path, "a.png", "cats/b.JPG", *hidden)
    os.symlink("nowhere", tmp_path / "gone.png")
    os.symlink("circle.png", tmp_path / "circle.png")
    os.symlink("/", tmp_path / ".outside")
    os.mkfifo(tmp_path / "pipe.png")
    found = listing.scan(root)
    assert found.files == ("a.png", "cats/b.JPG") and found.folders == ("cats",)
    assert found.left_out[".png", "a link to nothing"] == ["circle.png", "gone.png"]
    assert found.left_out[".png", "no file"] == ["pipe.png"]
    ((_, names),) = [item for item in found.left_out.items() if item[0][0] == "hidden"]
    assert names == sorted(
        [".x.png", "._a.png", ".ipynb_checkpoints", "__MACOSX", ".git", "cats/.thumb", ".outside"]
    )


def test_files_of_other_kinds_are_told_by_kind_and_count(tmp_path, caplog):
    others = [*(f"{i}.heic" for i in range(5)), "notes.txt", "more/README"]
    root = _make(tmp_path, "a.png", "b.tif", *others)
    reason = "not a supported image format"
    assert listing.scan(root).told() == (
        f"left out of the folder {root!r}: 5 .heic ('0.heic', '1.heic', '2.heic', ...; {reason}),"
        f" 1 .txt ('notes.txt'; {reason}), 1 without suffix ('more/README'; {reason})."
    )
    streams.TaskStream([f"folder:{root}", f"folder:{root}@0+folder:{root}@1"])
    assert [record.getMessage() for record in caplog.records] == [listing.scan(root).told()]
    (tmp_path / "a.png").unlink()
    (tmp_path / "b.tif").unlink()
    with pytest.raises(ValueError, match=r"holds no images; .* left out of .* 5 \.heic"):
        specs.check(f"folder:{root}")


def test_avif_is_left_out_where_pillow_does_not_read_it(tmp_path, monkeypatch):
    root = _make(tmp_path, "a.png", "b.avif")
    assert listing.scan(root).files == ("a.png", "b.avif")
    monkeypatch.setattr(listing, "_pillow_reads_avif", lambda: False)
    assert listing.scan(root).left_out == {(".avif", "the installed Pillow does not read it"): ["b.avif"]}


@pytest.mark.parametrize(
    "train, test",
    [("train", "test"), ("Train", "TEST"), ("train", "val"), ("training", "validation"), ("train", "valid")],
)
def test_splits_are_known_by_their_names(tmp_path, train, test):
    root = _make(tmp_path, f"{train}/a/1.png", f"{test}/b/2.png", "extra/3.png", "4.png")
    found = listing.scan(root)
    assert found.splits == {"train": train, "test": test}
    assert found.files == tuple(sorted([f"{train}/a/1.png", f"{test}/b/2.png"]))
    assert list(found.left_out.values()) == [["4.png", "extra/3.png"]]
    assert len(listing.scan(root, splits=False).files) == 4


def test_of_three_splits_the_validation_is_left_out(tmp_path):
    root = _make(tmp_path, "train/1.png", "test/2.png", "val/3.png")
    assert listing.scan(root).splits == {"train": "train", "test": "test"}
    assert "1 images ('val/3.png'; they lie beside 'train' and 'test'" in listing.scan(root).told()


@pytest.mark.parametrize("names", [["train"], ["test", "cats"], ["Test"], ["val", "cats", "dogs"]])
def test_one_split_without_the_other_is_refused(tmp_path, names):
    root = _make(tmp_path, *(f"{name}/1.png" for name in names))
    with pytest.raises(ValueError, match=f"has the subfolder '{names[0]}' and none for its other split"):
        specs.check(f"folder:{root}")


def test_two_folders_of_one_split_are_refused(tmp_path):
    with pytest.raises(ValueError, match="'Test' and 'test', which are both its test split"):
        listing.scan(_make(tmp_path, "train/1.png", "test/2.png", "Test/3.png"))


def test_trains_among_other_things_are_a_class(tmp_path):
    assert listing.scan(_make(tmp_path, "train/1.png", "cars/2.png")).splits is None


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every folder")
def test_a_folder_that_cannot_be_read_is_named(tmp_path):
    root = _make(tmp_path, "a.png", "shut/b.png")
    (tmp_path / "shut").chmod(0)
    try:
        with pytest.raises(ValueError, match="shut' cannot be read"):
            listing.scan(root)
    finally:
        (tmp_path / "shut").chmod(0o700)
