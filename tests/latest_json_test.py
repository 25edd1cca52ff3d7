"""latest.json: what is read of it, and what is refused."""

import json
import random

import pytest

from ltgans_tf import exported, latest_json
from ltgans_tf.export import continuation, release, versions
from ltgans_tf.trainers.reporting import runs
from tests import random_changes

TASK = {"run_id": "r", "task_index": 0, "task_name": "a"}
PAIR = {"version": 7, **TASK, "generator": "generator/7", "continuation": "continuation/7", "pending": False}
GOOD = {
    "format_version": 1,
    **{key: value for key, value in PAIR.items() if key != "pending"},
    "pairs": [{**PAIR, "version": 5, "generator": "generator/5", "continuation": "continuation/5"}, PAIR],
    "canary": None,
    "labels": {"stable": 5},
}
READERS = (
    latest_json.read,
    versions.read_latest,
    exported.load,
    continuation.find,
    release._listing,
    lambda base: release.prune(base, 1),
    lambda base: release.try_as_canary(base, 7),
)


def _write(base, content):
    (base / "latest.json").write_text(json.dumps(content))
    return str(base)


def test_what_was_written_is_read(tmp_path):
    assert latest_json.read(tmp_path) == {}
    assert latest_json.read(_write(tmp_path, GOOD)) == GOOD
    waiting = {
        "pairs": [{**PAIR, "pending": True}],
        "canary": None,
        "labels": {},
        "pushing": 9,
        "removing": [3],
    }
    assert latest_json.read(_write(tmp_path, waiting)) == waiting


@pytest.mark.parametrize(
    "change, words",
    [
        ({"version": "7"}, "a version is '7'"),
        ({"version": True}, "a version is True"),
        ({"version": 10**15}, "a version is 1000000000000000"),
        ({"version": 6}, "its version is 6, but no pair has this version"),
        ({"canary": 6}, "its canary is 6, but no pair"),
        ({"labels": {"stable": 6}}, "its label stable is 6, but no pair"),
        ({"labels": {"old": 5}}, "it has the label 'old' but no version"),
        ({"labels": {"canary": 5}}, "it has the label 'canary' but no canary"),
        ({"labels": [5]}, r"labels is \[5\]"),
        ({"pairs": {}}, "pairs is {}"),
        ({"pairs": [7]}, "one of its pairs is 7"),
        ({"pairs": [PAIR, PAIR]}, "two of its pairs have one version"),
        ({"pairs": [{**PAIR, "pending": 0}]}, "pending is 0"),
        ({"generator": "../../x/7"}, "'../../x/7', which is not the generator of version 7"),
        ({"continuation": "/etc"}, "'/etc', which is not the continuation of version 7"),
        ({"generator": "generator/5"}, "'generator/5', which is not the generator of version 7"),
        ({"task_index": -1}, "a task_index is -1"),
        ({"task_name": None}, "task_name is None"),
        ({"removing": ["../x"]}, "a version is '../x'"),
        ({"format_version": 2}, "format version 2"),
    ],
)
def test_what_is_damaged_is_one_sentence_for_every_reader(change, words, tmp_path):
    base = _write(tmp_path, {**GOOD, **change})
    for read in READERS:
        with pytest.raises(ValueError, match=words) as error:
            read(base)
        assert "\n" not in str(error.value)


JUNK = [
    *(None, True, -1, 0, 5, 7, 1.5, "7", ""),
    *("generator/\N{SUPERSCRIPT TWO}", "../..", [], {}, [[]], 10**400),
]


def test_random_changes_are_read_or_refused_and_lead_nowhere_else(tmp_path):
    """3,000 files, each changed in one to three places."""
    draw, read, refused = random.Random(0), 0, 0
    for _ in range(3000):
        content = GOOD
        for _ in range(draw.randint(1, 3)):
            content = random_changes.changed(draw, content, JUNK)
        if not isinstance(content, dict):  # which jsonfiles.read_object refuses
            continue
        try:
            latest_json.check(json.loads(json.dumps(content)), "latest.json")
            if content.get("pairs"):
                release._listing(_write(tmp_path, content))
        except ValueError as error:
            assert "\n" not in str(error)
            refused += 1
            continue
        read += 1
        for pair in (content, *content.get("pairs", [])):
            for place in latest_json.PLACES:
                assert pair.get(place, f"{place}/{pair.get('version')}") == f"{place}/{pair.get('version')}"
    assert read > 100 and refused > 1000


def test_folders_with_names_that_look_like_numbers_are_no_versions(tmp_path):
    for name in ("7", "\N{SUPERSCRIPT TWO}", "007", "\N{ARABIC-INDIC DIGIT THREE}"):
        (tmp_path / "generator" / name).mkdir(parents=True)
        (tmp_path / "generator" / name / "saved_model.pb").touch()
    assert versions.found(tmp_path, "generator") == [7]
    assert exported._versions(str(tmp_path / "generator")) == [7]


def test_a_report_of_a_run_whose_exports_wait_has_no_traceback(tmp_path):
    (tmp_path / "exports").mkdir()
    _write(tmp_path / "exports", {"pairs": [{**PAIR, "pending": True}], "canary": None, "labels": {}})
    assert "version" not in runs.Run(str(tmp_path), rows=[]).exports
