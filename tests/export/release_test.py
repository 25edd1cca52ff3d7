"""Which version is served: approval, canary, going back, labels that follow, and what is removed."""

import json
import os
import re

import pytest

from ltgans_tf.export import desired, release, versions
from tests import fake_models, programs, rest_double


def _push(base, version, stable=True, kinds=versions.KINDS, task=0):
    for kind in kinds:
        folder = base / kind / str(version) / "assets.extra"
        folder.mkdir(parents=True)
        about = {"pair": list(kinds), "run_id": "run", "task_index": task}
        (folder / "export_info.json").write_text(json.dumps(about))
    pair = {"version": version, "run_id": "run", "task_index": task, "task_name": f"task {task}"}
    with versions.lock(base):
        release.add(str(base), {**pair, **{kind: f"{kind}/{version}" for kind in kinds}}, stable)


def _config(base):
    """{kind: (versions, labels)} of models.config."""
    text, found = (base / "models.config").read_text(), {}
    for part in text.split("config {")[1:]:
        labels = dict(re.findall(r'version_labels \{ key: "(\w+)" value: (\d+) \}', part))
        kind = re.search(r'name: "(\w+)"', part)[1]
        assert f'base_path: "/models/{kind}"' in part
        served = [int(v) for v in re.findall(r"versions: (\d+)", part)]
        found[kind] = served, {label: int(v) for label, v in labels.items()}
    return found


def _both(served, **labels):
    return {kind: (served, labels) for kind in versions.KINDS}


def test_the_first_version_is_served_and_labelled(tmp_path):
    _push(tmp_path, 10)
    assert _config(tmp_path) == _both([10], stable=10)
    latest = versions.read_latest(tmp_path)
    assert (latest["version"], latest["generator"], latest["canary"]) == (10, "generator/10", None)


def test_a_label_waits_until_a_server_can_have_loaded_the_version(tmp_path):
    _push(tmp_path, 10)
    _push(tmp_path, 11)
    assert versions.read_latest(tmp_path)["version"] == 11
    assert _config(tmp_path) == _both([10, 11], stable=10)
    _push(tmp_path, 12)  # 11 was in the file before this one
    assert _config(tmp_path) == _both([11, 12], stable=11)


def test_going_back_needs_one_command_and_no_loading(tmp_path):
    for version in (10, 11):
        _push(tmp_path, version)
    assert release.rollback(tmp_path) == 10
    assert versions.read_latest(tmp_path)["version"] == 10
    # The bad one is gone from the file at once: an unlabelled request takes the highest version.
    assert _config(tmp_path) == _both([10], stable=10)
    release.serve(tmp_path, 11)
    assert versions.read_latest(tmp_path)["version"] == 11
    assert _config(tmp_path) == _both([10, 11], stable=10)


def test_going_back_twice_goes_no_further_unless_the_version_is_named(tmp_path):
    with pytest.raises(ValueError, match="serves no version, so there is none to go back from"):
        release.rollback(tmp_path)
    for version in (9, 10, 11):
        _push(tmp_path, version)
    assert release.rollback(tmp_path) == 10
    with pytest.raises(
        ValueError,
        match="serves 10 because 11 was rolled back; a second rollback goes no further.* --stable=9",
    ):
        release.rollback(tmp_path)
    assert versions.read_latest(tmp_path)["version"] == 10
    release.serve(tmp_path, 9)
    with pytest.raises(
        ValueError, match="serves 9 because 11 was rolled back; a second rollback goes no further\\.$"
    ):
        release.rollback(tmp_path)
    _push(tmp_path, 12)
    assert release.rollback(tmp_path) == 9  # over those that were withdrawn


def test_going_back_where_all_wait_for_approval_is_refused(tmp_path):
    _push(tmp_path, 10, stable=False)
    latest = versions.read_latest(tmp_path)
    for more in {}, {"withdrawn": True}:
        pairs = [{**pair, **more} for pair in latest["pairs"]]
        versions.write_latest(tmp_path, {**latest, "pairs": pairs})
        with pytest.raises(ValueError, match="serves no version"):
            release.rollback(tmp_path)


def test_what_is_gone_from_the_disk_is_not_served(tmp_path):
    for version in (10, 11):
        _push(tmp_path, version)
    before = (tmp_path / "latest.json").read_text()
    (tmp_path / "generator" / "10").rename(tmp_path / "elsewhere")
    for ask in (lambda: release.rollback(tmp_path), lambda: release.try_as_canary(tmp_path, 10)):
        with pytest.raises(ValueError, match="has no generator/10 any more"):
            ask()
    assert (tmp_path / "latest.json").read_text() == before


def test_what_never_was_served_is_not_taken_back(tmp_path):
    for version, stable in ((9, True), (10, True), (11, False)):
        _push(tmp_path, version, stable)
    assert release.rollback(tmp_path) == 9
    withdrawn = [p["version"] for p in versions.read_latest(tmp_path)["pairs"] if p.get("withdrawn")]
    assert withdrawn == [10]


def test_models_config_is_written_anew_from_latest_json(tmp_path):
    _push(tmp_path, 10)
    before = (tmp_path / "models.config").read_text()
    _push(tmp_path, 11)
    wanted = (tmp_path / "models.config").read_text()
    assert wanted != before and desired.is_current(tmp_path)
    (tmp_path / "models.config").write_text(before)  # as a push that died between the two leaves it
    assert not desired.is_current(tmp_path)
    assert desired.reconcile(tmp_path) and (tmp_path / "models.config").read_text() == wanted
    assert not desired.reconcile(tmp_path)
    os.remove(tmp_path / "models.config")
    assert desired.reconcile(tmp_path) and (tmp_path / "models.config").read_text() == wanted


def test_a_label_does_not_move_to_a_version_that_no_file_has_named(tmp_path):
    _push(tmp_path, 10)
    before = (tmp_path / "models.config").read_text()
    _push(tmp_path, 11)
    (tmp_path / "models.config").write_text(before)
    _push(tmp_path, 12)  # no server can have loaded 11
    assert _config(tmp_path) == _both([10, 11, 12], stable=10)


def test_removing_the_oldest_moves_no_label(tmp_path):
    for version in (10, 11, 12, 13):
        _push(tmp_path, version)
    before = _config(tmp_path)
    with versions.lock(tmp_path):
        release.prune(str(tmp_path), 1)
    assert versions.found(tmp_path, "generator") == [12, 13]
    assert _config(tmp_path) == before == _both([12, 13], stable=12)


def test_what_was_withdrawn_is_no_way_back_for_later_versions(tmp_path):
    for version in (10, 11):
        _push(tmp_path, version)
    release.rollback(tmp_path)
    _push(tmp_path, 12)
    assert _config(tmp_path) == _both([10, 12], stable=10)
    assert release.rollback(tmp_path) == 10


def test_a_push_while_labels_wait_is_not_lost(tmp_path, monkeypatch):
    from ltgans_tf.export import client

    for version in (10, 11):
        _push(tmp_path, version)

    class Pushed(_Server):
        def status(self, kind):
            if kind == "generator":
                _push(tmp_path, 12)
            return [{"version": 11, "state": "AVAILABLE"}]

    monkeypatch.setattr(client, "Client", lambda url: Pushed([]))
    with pytest.raises(ValueError, match="another version came to .* meanwhile"):
        release.settle(tmp_path, "http://server")
    assert [pair["version"] for pair in versions.read_latest(tmp_path)["pairs"]] == [10, 11, 12]


def test_what_waits_for_approval_is_not_served(tmp_path):
    _push(tmp_path, 10, stable=False)
    assert "version" not in versions.read_latest(tmp_path) and not (tmp_path / "models.config").exists()
    release.serve(tmp_path, 10)
    _push(tmp_path, 11, stable=False)
    assert _config(tmp_path) == _both([10], stable=10)
    _push(tmp_path, 12)
    assert release.rollback(tmp_path) == 10  # over 11, which nobody approved
    with pytest.raises(ValueError, match="has no version 13; there are 10, 11, 12"):
        release.serve(tmp_path, 13)


def test_a_canary_is_served_beside_the_stable_one_under_its_label(tmp_path):
    _push(tmp_path, 10)
    _push(tmp_path, 11, stable=False)
    release.try_as_canary(tmp_path, 11)
    assert versions.read_latest(tmp_path)["version"] == 10
    assert _config(tmp_path) == _both([10, 11], stable=10, canary=11)
    with pytest.raises(ValueError, match="version 10 is the stable one"):
        release.try_as_canary(tmp_path, 10)
    release.serve(tmp_path, 11)
    assert versions.read_latest(tmp_path)["canary"] is None
    assert _config(tmp_path) == _both([10, 11], stable=11)  # it was loaded as canary
    _push(tmp_path, 12, stable=False)
    release.try_as_canary(tmp_path, 12)
    release.try_as_canary(tmp_path, None)
    assert _config(tmp_path) == _both([10, 11], stable=11)


class _Server:
    """Loads one version more each time that it is asked."""

    def __init__(self, answers):
        self.answers = iter(answers)

    def status(self, kind):
        there = next(self.answers)
        return [{"version": v, "state": "AVAILABLE" if v in there else "LOADING"} for v in (10, 11)]


def test_labels_follow_once_the_server_has_the_version(tmp_path, monkeypatch):
    from ltgans_tf.export import client

    for version in (10, 11):
        _push(tmp_path, version)
    monkeypatch.setattr(release.time, "sleep", lambda _: None)
    monkeypatch.setattr(client, "Client", lambda *_, **rights: _Server([[10], [10], [10, 11], [10, 11]]))
    release.settle(tmp_path, "http://server")
    assert _config(tmp_path) == _both([10, 11], stable=11)
    monkeypatch.setattr(client, "Client", lambda *_, **rights: _Server([[10]] * 9))
    with pytest.raises(ValueError, match="http://server has not loaded version 11 of encoder after -1 sec"):
        release.settle(tmp_path, "http://server", seconds=-1)


def test_a_server_that_asks_for_a_right_gets_the_one_of_the_file(tmp_path):
    _push(tmp_path / "base", 1, kinds=("generator",))
    _push(tmp_path / "base", 2, kinds=("generator",))
    (tmp_path / "token").write_text("Bearer abc\n")
    seen = []

    class Guarded(rest_double.Double):
        def _serve(self, handler, body):
            seen.append(handler.headers["Authorization"])
            super()._serve(handler, body)

    with Guarded(fake_models.models()) as double:
        given = f"--base={tmp_path}/base", f"--server={double.url}"
        done = _run(*given, f"--authorization_file={tmp_path}/token")
    assert done.returncode == 0, done.stderr
    assert seen == ["Bearer abc"] and _config(tmp_path / "base") == {"generator": ([1, 2], {"stable": 2})}
    done = _run(*given, f"--ca_file={tmp_path}/token")
    assert done.returncode == 2 and "a CA file is of use with https:// alone" in done.stderr


def test_a_generator_alone_has_a_config_of_its_own(tmp_path):
    _push(tmp_path, 10, kinds=("generator",))
    assert _config(tmp_path) == {"generator": ([10], {"stable": 10})}


def test_the_oldest_are_removed_and_what_is_served_or_somebody_elses_is_not(tmp_path):
    for version in range(10, 16):
        _push(tmp_path, version)
    (tmp_path / "generator" / "3").mkdir()  # not ours
    on_its_way = tmp_path / "generator" / "20" / "assets.extra"
    on_its_way.mkdir(parents=True)
    (on_its_way / "export_info.json").write_text('{"pair": ["encoder", "generator"]}')
    release.serve(tmp_path, 12)
    with versions.lock(tmp_path):
        release.prune(str(tmp_path), 1)
    named = [pair["version"] for pair in versions.read_latest(tmp_path)["pairs"]]
    assert named == [11, 12, 14, 15]  # the way back, the stable one, the label's, the newest
    assert versions.found(tmp_path, "encoder") == named
    assert versions.found(tmp_path, "generator") == [3, *named, 20]
    assert not [name for name in os.listdir(tmp_path / "generator") if name.startswith(".")]


def test_a_prune_that_died_is_finished_by_the_next(tmp_path, monkeypatch):
    for version in range(10, 14):
        _push(tmp_path, version)
    before = versions.read_latest(tmp_path)["version"]

    def die(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(versions.shutil, "rmtree", die)
        release.prune(str(tmp_path), 1)
    assert versions.read_latest(tmp_path)["version"] == before
    versions.remove_remains(tmp_path)
    release.prune(str(tmp_path), 1)
    named = [pair["version"] for pair in versions.read_latest(tmp_path)["pairs"]]
    for kind in versions.KINDS:
        assert versions.found(tmp_path, kind) == named
        assert not [name for name in os.listdir(tmp_path / kind) if name.startswith(".")]


def _run(*flags):
    return programs.run("ltgans_tf.export.release", *flags)


def test_the_program_lists_serves_and_goes_back(tmp_path):
    base = f"--base={tmp_path}"
    done = _run(f"--base={tmp_path}/none", "--rollback")
    assert done.returncode == 2 and "there is no folder" in done.stderr and not os.listdir(tmp_path)
    done = _run(base)
    assert done.returncode == 2 and "has no pushed version; push one with" in done.stderr
    _push(tmp_path, 1795448201)
    _push(tmp_path, 1795448300, stable=False, task=1)
    done = _run(base)
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        "1795448201  2026-11-23 15:36 UTC  task 1 (task 0)  stable",
        "1795448300  2026-11-23 15:38 UTC  task 2 (task 1)  pending",
    ]
    (*_, note) = _run(base, "--stable=1795448300").stdout.splitlines()
    assert note.startswith("note: the label stable is on 1795448201 until a server has loaded 1795448300;")
    assert versions.read_latest(tmp_path)["version"] == 1795448300
    first, second = _run(base, "--rollback").stdout.splitlines()
    assert first.endswith("stable") and second.endswith("withdrawn")
    done = _run(base, "--rollback")
    assert done.returncode == 2 and done.stderr.endswith(
        "was rolled back; a second rollback goes no further.\n"
    )
    assert versions.read_latest(tmp_path)["version"] == 1795448201
    assert _run(base, "--canary=1795448300").stdout.splitlines()[1].endswith("canary")
    assert _run(base, "--canary=0").returncode == 0
    assert versions.read_latest(tmp_path)["canary"] is None
    done = _run(base, "--rollback", "--canary=0")
    assert done.returncode == 2 and "give only one of" in done.stderr and done.stderr.count("\n") == 1
    done = _run(base, "--stable=5")
    assert done.returncode == 2 and "has no version 5" in done.stderr and done.stderr.count("\n") == 1
