"""A row of scores: its file, and what is refused."""

import dataclasses
import json

import pytest

from ltgans_tf.evaluation import row


def _row(**fields):
    found = {"a": {"nlog": 1.5}, "b": {"nlog": None, "fcd": 2}}
    return row.Row(**{"after_task": 1, "task": "b", "scores": found, **fields})


@pytest.mark.parametrize(
    "fields, written",
    [
        ({}, {"extractor": None, "absent": {}, "tuning": False}),
        ({"inception": {"sha256": "c"}}, {"inception": {"sha256": "c"}}),
        ({"of_seeds": {2: {"sha256": "d"}}}, {"extractor_seed2": {"sha256": "d"}}),
        (
            {"kept": {"settings": {}, "scores": {"": ["fcd"]}}},
            {"kept": {"settings": {}, "scores": {"": ["fcd"]}}},
        ),
    ],
)
def test_a_row_is_read_as_it_was_written(tmp_path, fields, written):
    path = row.row_path(tmp_path, 1)
    _row(**fields).save(path)
    assert row.Row.load(path) == _row(**fields) and row.read_rows(tmp_path) == [_row(**fields)]
    with open(path, encoding="utf-8") as file:
        content = json.load(file)
    assert content["format_version"] == 2 and written.items() <= content.items()
    assert set(content) & {"inception", "extractor_seed2", "kept", "of_seeds"} == set(fields) - {
        "of_seeds"
    } | ({"extractor_seed2"} if "of_seeds" in fields else set())


def test_a_row_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        _row().task = "c"


def test_what_an_earlier_version_did_not_write_is_empty(tmp_path):
    path = tmp_path / "scores.json"
    path.write_text('{"format_version": 2, "after_task": 0, "scores": {"a": {"nlog": 1.0}}, "later": 1}')
    found = row.Row.load(path)
    assert (found.task, found.tasks, found.union, found.notes, found.extractor) == ("a", ["a"], {}, [], None)


@pytest.mark.parametrize(
    "text, message",
    [
        ("{", "is damaged .* evaluate the run again"),
        ('{"scores": {}}', "has format version 1, this ltgans_tf reads 2"),
        ('{"format_version": 3}', "has format version 3, this ltgans_tf reads 2"),
        *(
            (json.dumps({"format_version": 2, **fields}), "is damaged .* evaluate the run again")
            for fields in (
                {"fter_task": 0, "scores": {"a": {}}},
                {"after_task": 1, "scores": {"a": {}}},
                {"after_task": -1, "scores": {}},
                {"after_task": "0", "scores": {"a": {}}},
                {"after_task": 0, "scores": [1]},
                {"after_task": 0, "scores": {"a": 1}},
                {"after_task": 0, "scores": {"a": {"nlog": "100"}}},
                {"after_task": 0, "scores": {"a": {}}, "union": [1]},
                {"after_task": 0, "scores": {"a": {}}, "settings": 3},
                {"after_task": 0, "scores": {"a": {}}, "extractor": "FCD"},
            )
        ),
    ],
)
def test_a_row_of_another_format_or_a_damaged_one_is_refused(tmp_path, text, message):
    path = tmp_path / "eval" / "task_00" / "scores.json"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        row.read_rows(tmp_path)
