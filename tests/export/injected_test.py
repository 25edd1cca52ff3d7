"""A push or a release that is killed, or meets a full disk, at any change of the base is healed by the next."""

import os
import shutil

import pytest

from ltgans_tf.export import continuation, desired, release, versions
from tests import programs

pytestmark = pytest.mark.program


def _do(base, fault, number, *command):
    return programs.run("tests.export.injected", base, fault, number, *command)


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """A base with the versions of three tasks, of which two are kept."""
    base = tmp_path_factory.mktemp("original") / "base"
    for task in range(3):
        done = _do(base, "none", 0, "push", task)
        assert done.returncode == 0, done.stderr
    return base


def _check(base):
    """What latest.json names is there in full, and models.config names nothing else; returns latest.json."""
    latest = versions.read_latest(base)
    for pair in latest["pairs"]:
        for kind in versions.KINDS:
            assert os.path.isfile(base / pair[kind] / "saved_model.pb")
        assert os.path.isfile(base / pair[continuation.FOLDER] / "config.json")
    told = desired.remembered(base)
    on_disk = set.intersection(*(set(versions.found(base, kind)) for kind in versions.KINDS))
    assert told.versions <= on_disk and set(told.labels.values()) <= told.versions
    return latest


def _check_healed(base):
    latest = _check(base)
    named = [pair["version"] for pair in latest["pairs"]]
    assert desired.is_current(base) and not {"pushing", "removing"} & latest.keys()
    for folder in (*versions.KINDS, continuation.FOLDER):
        assert sorted(os.listdir(base / folder)) == sorted(map(str, named))
    assert not [name for name in os.listdir(base) if "tmp" in name]
    return latest


def _hit_everywhere(original, folder, fault, *command):
    """Yields a copy of the base after each fault, with the outcome of the command that it hit."""
    number = 0
    while True:
        number += 1
        base = folder / str(number)
        shutil.copytree(original, base)
        done = _do(base, fault, number, *command)
        if done.returncode == 0:
            break
        yield base, done
    assert number > 4  # so many changes there are at least


@pytest.mark.parametrize("fault, status", [("kill", -9), ("full", 2)])
def test_a_push_that_a_fault_hits_anywhere_is_completed_by_the_next(original, tmp_path, fault, status):
    before = versions.read_latest(original)
    for base, done in _hit_everywhere(original, tmp_path, fault, "push", 3):
        assert done.returncode == status, done.stderr
        assert fault == "kill" or ("No space left" in done.stderr or "no space is left" in done.stderr)
        latest = _check(base)
        assert latest["version"] == before["version"] or latest["task_index"] == 3
        done = _do(base, "none", 0, "push", 3)
        assert done.returncode == 0, done.stderr
        latest = _check_healed(base)
        assert [pair["task_index"] for pair in latest["pairs"]] == [2, 3] and latest["task_index"] == 3
        # A server of the file before has loaded the version of the third task, and no later one.
        assert desired.remembered(base).labels["stable"] == before["version"]


@pytest.mark.parametrize("fault, status", [("kill", -9), ("full", 2)])
def test_a_rollback_that_a_fault_hits_anywhere_goes_back_once(original, tmp_path, fault, status):
    first, second = (pair["version"] for pair in versions.read_latest(original)["pairs"])
    outcomes = set()
    for base, done in _hit_everywhere(original, tmp_path, fault, "rollback"):
        assert done.returncode == status, done.stderr
        outcomes.add((_check(base)["version"], desired.is_current(base)))
        done = _do(base, "none", 0, "rollback")
        assert done.returncode == 0 or "was rolled back; a second rollback goes no further" in done.stderr
        assert _check_healed(base)["version"] == first
        assert desired.remembered(base).stable == first
    # Before latest.json; between the two files.
    assert {(second, True), (first, False)} <= outcomes


@pytest.mark.parametrize("next_command", [["push", 2], ["push", 3]])
def test_a_push_heals_what_a_rollback_has_left(original, tmp_path, next_command):
    base = tmp_path / "base"
    shutil.copytree(original, base)
    served = (base / "models.config").read_text()
    release.rollback(base)
    (base / "models.config").write_text(served)
    done = _do(base, "none", 0, *next_command)
    assert done.returncode == 0, done.stderr
    assert "was not what latest.json says" in done.stderr
    assert _check(base) and desired.is_current(base)
