"""Paths as people write them."""

import pathlib

import pytest

from ltgans_tf.files import paths


def test_home_folders_are_found_and_all_else_stays(monkeypatch):
    monkeypatch.setenv("HOME", "/home/u")
    assert paths.local("~/runs/a") == "/home/u/runs/a"
    assert paths.local("~") == "/home/u"
    for text in ("runs/~a", "a,b", "s3/x", "C:/x", "./gs:/x", "a b/\N{LATIN SMALL LETTER E WITH ACUTE}"):
        assert paths.local(text) == text
    assert paths.local(pathlib.Path("a/b")) == "a/b"
    assert paths.local(b"a/b") == "a/b"


def test_without_a_home_folder_none_is_made_by_the_name_of_a_tilde(monkeypatch):
    monkeypatch.setattr("os.path.expanduser", lambda text: text)
    with pytest.raises(ValueError, match="~/runs: this user has no home folder"):
        paths.local("~/runs")


@pytest.mark.parametrize(
    "text", ["gs://bucket/x", "s3://b", "hdfs://h/x", "https://h/x", "file:///x", pathlib.Path("gs://b/x")]
)
def test_what_is_not_on_this_machine_is_refused(text):
    with pytest.raises(ValueError, match="is not on this machine, .*; copy it"):
        paths.local(text)


@pytest.mark.parametrize("text, part", [("", "empty"), ("a\nb", "characters"), ("a\udce9", "characters")])
def test_paths_that_no_settings_file_holds_are_refused(text, part):
    with pytest.raises(ValueError, match=part):
        paths.local(text)


@pytest.mark.parametrize(
    "path, expected",
    [
        ("cats/", "cats"),
        ("./cats//a/.", "cats/a"),
        ("/data//cats/", "/data/cats"),
        ("../cats", "../cats"),
        ("~/cats/", "~/cats"),
        ("/", "/"),
        ("./", "."),
        ("./~a", "./~a"),
        ("./gs:/a", "./gs:/a"),
    ],
)
def test_a_tidy_path_names_the_same_place(path, expected):
    assert paths.tidy(path) == expected
    assert paths.tidy(expected) == expected


def test_endings_count_whatever_their_case():
    assert paths.ending("a/Grid.PNG", (".npz", ".png")) == ".png"
    assert paths.ending("a.png/b", (".png",), folder=True) == ""
    for out, folder in (("a.jpg", True), ("a.Json", True), ("a", False), ("png", False)):
        with pytest.raises(ValueError, match=f"--out is {out}; it must end in .png"):
            paths.ending(out, (".png",), folder)


def test_numbers_that_name_folders(tmp_path):
    for name in (
        "10",
        "9",
        "007",
        "\N{SUPERSCRIPT TWO}",
        "\N{ARABIC-INDIC DIGIT THREE}",
        "9" * 30,
        "-1",
        "a",
    ):
        (tmp_path / name).mkdir()
    assert paths.numbered(tmp_path) == [9, 10]
    assert paths.numbered(tmp_path / "none") == []
