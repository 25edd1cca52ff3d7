"""JSON files that are damaged, and what reads them."""

import json

import pytest

from ltgans_tf import exported
from ltgans_tf.files import jsonfiles
from ltgans_tf.training import checkpoints


@pytest.mark.parametrize(
    "text, word",
    [
        ("", "Expecting"),
        ("[1]", "list"),
        ("[" * 100_000, "recursion"),
        ('{"a": 1}', "no stream"),
        ("\udcff", "utf-8"),
    ],
)
def test_what_is_no_object_is_named_with_its_file(tmp_path, text, word):
    (tmp_path / "config.json").write_bytes(text.encode(errors="surrogateescape"))
    for read in (
        lambda: jsonfiles.read_object(str(tmp_path / "config.json"), stream=dict),
        lambda: checkpoints.read_config(str(tmp_path)),
    ):
        with pytest.raises(ValueError, match=f"config.json is damaged.*{word}.*restore it"):
            read()


def test_an_object_is_read(tmp_path):
    (tmp_path / "x.json").write_text('{"stream": {}}')
    assert jsonfiles.read_object(str(tmp_path / "x.json"), stream=dict) == {"stream": {}}


def test_a_file_that_is_missing_reads_as_empty_where_it_may_be(tmp_path):
    path = str(tmp_path / "x.json")
    assert jsonfiles.read_if_there(path, 2, stream=dict) == {}
    with pytest.raises(FileNotFoundError):
        jsonfiles.read_object(path)


@pytest.mark.parametrize("version", [3, "1", None, 1.0])
def test_an_unknown_format_version_is_refused_with_the_remedy(tmp_path, version):
    path = tmp_path / "x.json"
    path.write_text(json.dumps({"format_version": version}))
    with pytest.raises(
        ValueError, match=f"x.json has format version {version}, .* up to 2; use the"
    ) as refused:
        jsonfiles.read_object(str(path), 2, stream=dict)
    assert not isinstance(refused.value, jsonfiles.Damaged)
    assert jsonfiles.read_object(str(path)) == {"format_version": version}


def test_a_caller_may_refuse_older_format_versions(tmp_path):
    (tmp_path / "x.json").write_text('{"format_version": 1}')
    with pytest.raises(ValueError, match="has format version 1, this ltgans_tf reads 2; use"):
        jsonfiles.read_object(str(tmp_path / "x.json"), 2, oldest=2)


def test_files_of_older_format_versions_are_read(tmp_path):
    for content in ({}, {"format_version": 1}, {"format_version": 2}):
        (tmp_path / "x.json").write_text(json.dumps(content))
        assert jsonfiles.read_object(str(tmp_path / "x.json"), 2) == content


@pytest.mark.parametrize("place", ["../../elsewhere/1", "/etc", "encoder/1", 3])
def test_an_export_is_never_loaded_from_elsewhere(tmp_path, place):
    task = {"run_id": "r", "task_index": 0, "task_name": "a"}
    named = {"version": 1, "generator": place, **task}
    named |= {"canary": None, "labels": {"stable": 1}}
    named["pairs"] = [{"version": 1, "generator": "generator/1", "pending": False, **task}]
    (tmp_path / "latest.json").write_text(json.dumps(named))
    with pytest.raises(ValueError, match="which is not the generator of version 1"):
        exported.load(str(tmp_path))
