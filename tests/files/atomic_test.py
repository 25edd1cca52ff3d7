"""Files and folders that are there whole or not at all."""

import os

import pytest

from ltgans_tf.files import atomic


def _synced(monkeypatch):
    """Names of the files and folders that fsync is called on, and 'rename' for each rename, in order."""
    order, fsync, rename = [], os.fsync, os.rename

    def note_sync(descriptor):
        order.append(os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}")))
        fsync(descriptor)

    def note_rename(*args):
        order.append("rename")
        rename(*args)

    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(os, "rename", note_rename)
    return order


def test_a_file_is_synced_before_it_gets_its_name_and_its_folder_after(tmp_path, monkeypatch):
    order = _synced(monkeypatch)
    atomic.write_json(str(tmp_path / "new" / "a.json"), {"b": "\N{GREEK SMALL LETTER BETA}"})
    assert order == ["a.json.tmp", "rename", "new"]
    assert (tmp_path / "new" / "a.json").read_text() == '{\n "b": "\\u03b2"\n}\n'


def test_a_folder_is_synced_with_all_in_it_before_it_gets_its_name(tmp_path, monkeypatch):
    (tmp_path / ".tmp-7" / "inside").mkdir(parents=True)
    (tmp_path / ".tmp-7" / "inside" / "file").write_text("x")
    order = _synced(monkeypatch)
    atomic.publish(tmp_path / ".tmp-7", tmp_path / "7")
    assert order == ["file", "inside", ".tmp-7", "rename", tmp_path.name]
    assert (tmp_path / "7" / "inside" / "file").read_text() == "x"


def test_a_staged_file_replaces_the_one_before(tmp_path, monkeypatch):
    for name in (".tmp-a", "a"):
        (tmp_path / name).write_text(name)
    order = _synced(monkeypatch)
    atomic.publish(tmp_path / ".tmp-a", tmp_path / "a")
    assert order == [".tmp-a", "rename", tmp_path.name]
    assert os.listdir(tmp_path) == ["a"] and (tmp_path / "a").read_text() == ".tmp-a"


def test_a_folder_that_holds_something_is_never_overwritten(tmp_path):
    for name in ("7", ".tmp-7"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    with pytest.raises(OSError):
        atomic.publish(tmp_path / ".tmp-7", tmp_path / "7")
    assert (tmp_path / "7" / "file").read_text() == "7"


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path, error):
    (tmp_path / "a").write_text("old")
    with pytest.raises(error), atomic.writing(str(tmp_path / "a")) as file:
        file.write(b"new")
        raise error
    assert os.listdir(tmp_path) == ["a"] and (tmp_path / "a").read_text() == "old"


def test_a_target_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "file").touch()
    with pytest.raises(OSError, match=str(tmp_path / "a")):
        atomic.write_text(str(tmp_path / "a"), "text")
    assert os.listdir(tmp_path) == ["a"]


def test_text_replaces_a_file_in_utf_8(tmp_path):
    path = tmp_path / "new" / "page.html"
    for content in ("long content \N{MINUS SIGN}", "short"):
        atomic.write_text(str(path), content)
        assert path.read_text(encoding="utf-8") == content
    assert [each.name for each in path.parent.iterdir()] == ["page.html"]
