"""A base that has lost its latest.json: nothing is pushed or removed there until it is rebuilt."""

import json
import os
import shutil

import pytest

from ltgans_tf.export import continuation, desired, kit, push, rebuild, release, versions
from tests import programs
from tests.tiny import UNTRIED

MODEL = type("Model", (), {"student": object(), "get_weights": list})()


def _push(base, version, stable=True, kinds=versions.KINDS):
    """A version as a push leaves it."""
    about = {"pair": list(kinds), "run_id": "run", "task_index": version - 10, "task_name": f"task {version}"}
    for kind in kinds:
        folder = base / kind / str(version) / "assets.extra"
        folder.mkdir(parents=True)
        (folder / "export_info.json").write_text(json.dumps(about))
    (base / continuation.FOLDER / str(version)).mkdir(parents=True)
    pair = {"version": version, **{key: about[key] for key in ("run_id", "task_index", "task_name")}}
    pair |= {kind: f"{kind}/{version}" for kind in kinds}
    pair[continuation.FOLDER] = f"{continuation.FOLDER}/{version}"
    with versions.lock(base):
        release.add(str(base), pair, stable)


@pytest.fixture
def base(tmp_path):
    for version in (10, 11, 12):
        _push(tmp_path, version)
    return tmp_path


def _tree(base):
    return sorted(str(path) for path in base.rglob("*"))


def _try_to_push(base):
    info = {"run_id": "another", "image_shape": [8, 8, 3], "fit": "crop"}
    push.push(MODEL, push.Task(0, "task"), str(base), info, UNTRIED)


def _before_the_last(latest):
    """A latest.json as it was before the last push."""
    pairs = latest["pairs"][:2]
    return {**latest, **pairs[-1], "pairs": pairs, "labels": {"stable": 11}}


@pytest.mark.parametrize("lost", ["all of it", "the newest names"])
def test_nothing_is_pushed_removed_or_served_where_versions_have_lost_their_names(base, lost):
    if lost == "all of it":
        os.remove(base / "latest.json")
    else:  # one that was restored from an older copy
        latest = versions.read_latest(base)
        desired.record(str(base), _before_the_last(latest))
    before = _tree(base)
    for ask in (_try_to_push, lambda path: kit.write(str(path)), lambda path: release._listing(str(path))):
        with pytest.raises(ValueError, match="has the versions .*12, .*rebuild it: .* --rebuild"):
            ask(base)
    assert _tree(base) == before


def test_the_command_to_rebuild_can_be_pasted(base):
    moved = base.rename(base.parent / "a b")
    os.remove(moved / "latest.json")
    with pytest.raises(ValueError) as error:
        release._listing(str(moved))
    assert str(error.value).endswith(f"ltgans release '--base={moved}' --rebuild")


def test_a_lost_latest_json_is_rebuilt_from_the_versions(base):
    before = versions.read_latest(base)
    os.remove(base / "latest.json")
    assert rebuild.rebuild(str(base)) == [10, 11, 12]
    after = versions.read_latest(base)
    # Who had approved 10 is not known any more; 11 and 12 stand in models.config.
    assert [pair.pop("pending") for pair in after["pairs"]] == [True, False, False]
    for pair in before["pairs"]:
        del pair["pending"]
    assert after["pairs"] == before["pairs"] and after["version"] == 12 and desired.is_current(base)
    assert {key: after[key] for key in ("generator", "encoder", "continuation")} == {
        key: before[key] for key in ("generator", "encoder", "continuation")
    }
    assert release.rollback(base) == 11
    with pytest.raises(ValueError, match="no version that its latest.json does not name"):
        rebuild.rebuild(str(base))


def test_what_was_gone_back_from_is_not_served_again_by_a_rebuild(base):
    release.rollback(base)
    os.remove(base / "latest.json")
    rebuild.rebuild(str(base))
    latest = versions.read_latest(base)
    assert latest["version"] == 11
    assert {p["version"]: p["pending"] for p in latest["pairs"]} == {10: False, 11: False, 12: True}


def test_a_canary_stays_one(base):
    _push(base, 13, stable=False)
    release.try_as_canary(base, 13)
    os.remove(base / "latest.json")
    rebuild.rebuild(str(base))
    latest = versions.read_latest(base)
    assert (latest["version"], latest["canary"]) == (12, 13) and latest["pairs"][-1]["pending"]


def test_an_old_latest_json_keeps_what_it_says(base):
    latest = versions.read_latest(base)
    desired.record(str(base), _before_the_last(latest))
    assert rebuild.rebuild(str(base)) == [12]
    latest = versions.read_latest(base)
    assert latest["version"] == 11 and [p["pending"] for p in latest["pairs"]] == [False, False, True]


def test_where_models_config_is_lost_too_the_served_version_has_to_be_named(base):
    for name in ("latest.json", "models.config"):
        os.remove(base / name)
    with pytest.raises(ValueError, match="no file tells which version is served; name one of 10, 11, 12"):
        rebuild.rebuild(str(base))
    with pytest.raises(ValueError, match="version 9 is not there; name one of"):
        rebuild.rebuild(str(base), 9)
    rebuild.rebuild(str(base), 11)
    latest = versions.read_latest(base)
    assert latest["version"] == 11 and [p["pending"] for p in latest["pairs"]] == [True, False, True]
    assert desired.remembered(base).versions == {11}


def test_halves_and_what_others_wrote_need_no_name(base):
    shutil.rmtree(base / "encoder" / "10")
    (base / "generator" / "7").mkdir()
    os.remove(base / "latest.json")
    assert rebuild.rebuild(str(base)) == [11, 12]


def test_the_program_rebuilds_a_damaged_file_and_keeps_it(base):
    (base / "latest.json").write_text('{"version": 12, ')
    done = programs.run("ltgans_tf.export.release", f"--base={base}")
    assert done.returncode == 2 and f"--base={base} --rebuild" in done.stderr and done.stderr.count("\n") == 1
    done = programs.run("ltgans_tf.export.release", f"--base={base}", "--rebuild")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("latest.json now names 10, 11, 12 too.\n")
    assert done.stdout.splitlines()[-1].endswith("stable") or "note:" in done.stdout
    assert (base / "latest.json.damaged").read_text() == '{"version": 12, '
    assert versions.read_latest(base)["version"] == 12
    done = programs.run("ltgans_tf.export.release", f"--base={base}", "--rebuild", "--rollback")
    assert done.returncode == 2 and "--rebuild goes with --stable alone" in done.stderr
