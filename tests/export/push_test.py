"""How a version is pushed, and that a push which dies leaves nothing half."""

import json
import os
import subprocess
import sys

import pytest
import tensorflow as tf

from ltgans_tf import exported
from ltgans_tf.evaluation import row
from ltgans_tf.export import judge, push, release, versions, warmup
from ltgans_tf.training import checkpoints
from tests import source_imports
from tests.tiny import UNTRIED

INFO = {"run_id": "run", "image_shape": [8, 8, 3], "fit": "crop"}


def _row(task=0, **nlogs):
    nlogs = nlogs or {f"task {task}": 100.0}
    scores = {
        name: {"nlog": nlog, "share": 1 / len(nlogs), "mean_image_nlog": 500.0}
        for name, nlog in nlogs.items()
    }
    return row.Row(
        after_task=task,
        task=list(nlogs)[-1],
        protocol="research",
        extractor={"sha256": "one", "domain_accuracy": 1.0},
        scores=scores,
        data={name: {"fingerprint": f"print of {name}"} for name in nlogs},
    )


def _settings(policy="if_blessed", **more):
    return push.PushSettings(policy, validate=False, **more)


def _push(model, base, task, measured, settings=None):
    model.task_index.assign(task + 1)
    return push.push(
        model, push.Task(task, f"task {task}"), str(base), INFO, settings or _settings(), measured
    )


def test_the_version_of_another_run_is_no_parent():
    latest = {"version": 7, "run_id": "mine"}
    assert push._parent(latest, {"run_id": "mine"}) == 7
    assert (
        push._parent(latest, {"run_id": "another"}) is None and push._parent({}, {"run_id": "mine"}) is None
    )


@pytest.mark.program
def test_what_has_forgotten_is_not_pushed_and_the_served_version_stays(tiny_model, tmp_path, quick):
    model = tiny_model(student=False)
    first = _push(model, tmp_path, 0, _row(0))
    before = (tmp_path / "latest.json").read_text(), (tmp_path / "models.config").read_text()
    with pytest.raises(judge.NotBlessed, match="the NLOG of task 0 is 160, the served version's 100"):
        _push(model, tmp_path, 1, _row(1, **{"task 0": 160.0, "task 1": 90.0}))
    assert ((tmp_path / "latest.json").read_text(), (tmp_path / "models.config").read_text()) == before
    assert versions.found(tmp_path, "generator") == [first]
    assert os.listdir(tmp_path / "generator") == [str(first)]
    (note,) = (tmp_path / "refused").iterdir()
    note = json.loads(note.read_text())
    assert note["reason"].startswith("the NLOG of task 0") and note["task_index"] == 1
    # With more patience, or without a judge, it is.
    second = _push(
        model, tmp_path, 1, _row(1, **{"task 0": 160.0, "task 1": 90.0}), _settings(max_regression=0.7)
    )
    info = versions.read_info(tmp_path, "generator", second)
    assert info["parent_version"] == first and info["scores"]["tasks"]["task 0"]["nlog"] == 160.0
    assert info["data"] == {
        "task 0": {"fingerprint": "print of task 0"},
        "task 1": {"fingerprint": "print of task 1"},
    }
    assert len(info["settings_sha256"]) == 64 and info["role"] == "latest teacher"


@pytest.mark.program
def test_another_state_is_pushed_though_its_run_and_task_were(tiny_model, tmp_path, quick):
    """As in a copied workdir, which has the id of the run that it was copied from."""
    model = tiny_model(student=False)
    first = _push(model, tmp_path, 0, _row(0))
    assert _push(model, tmp_path, 0, _row(0)) == first
    other = tiny_model(student=False, seed=1)
    second = _push(other, tmp_path, 0, _row(0))
    assert second != first and versions.read_latest(tmp_path)["version"] == second
    states = {versions.read_info(tmp_path, "generator", v)["state_sha256"] for v in (first, second)}
    assert len(states) == 2
    assert _push(model, tmp_path, 0, _row(0)) == first and _push(other, tmp_path, 0, _row(0)) == second


@pytest.mark.program
def test_a_served_version_without_scores_lets_nothing_pass(tiny_model, tmp_path, quick):
    model = tiny_model(student=False)
    first = _push(model, tmp_path, 0, None, _settings("always"))
    with pytest.raises(judge.NotBlessed, match="the served version has no scores to compare with"):
        _push(model, tmp_path, 1, _row(1, **{"task 0": 100.0, "task 1": 90.0}))
    assert versions.read_latest(tmp_path)["version"] == first


@pytest.mark.program
def test_marks_tell_what_a_version_has_passed(tiny_model, tmp_path):
    model = tiny_model(student=False)
    good = _push(model, tmp_path, 0, _row(0))
    bad = _push(model, tmp_path, 1, _row(1, **{"task 0": 900.0, "task 1": 90.0}), _settings("always"))

    def extra(version):
        return tmp_path / "generator" / str(version) / "assets.extra"

    assert (extra(good) / "BLESSED").exists() and not (extra(good) / "NOT_BLESSED").exists()
    assert "the NLOG of task 0 is 900" in (extra(bad) / "NOT_BLESSED").read_text()
    assert (extra(good) / "mlmd_uuid").read_text() == "run"
    assert not (extra(good) / "INFRA_BLESSED").exists()  # nobody tried it
    requests = warmup.read(str(extra(good).parent))
    signatures = tf.saved_model.load(str(extra(good).parent)).signatures
    assert {name for name, _ in requests} == set(signatures)


@pytest.mark.program
def test_a_version_that_was_tried_says_so_and_one_that_fails_is_not_pushed(
    tiny_model, tmp_path, monkeypatch, quick
):
    model = tiny_model()
    tried = []

    def infra(halves, max_latency, precision, trials):
        tried.append((sorted(halves), max_latency, [os.path.isdir(folder) for folder, _ in halves.values()]))
        return {kind: {"load_seconds": 1.0, "latency_ms": {}} for kind in halves}

    monkeypatch.setattr(judge, "infra", infra)
    version = _push(model, tmp_path, 0, _row(0), push.PushSettings(max_latency=0.25))
    assert tried == [(["encoder", "generator"], 0.25, [True, True])]
    for kind in versions.KINDS:
        mark = tmp_path / kind / str(version) / "assets.extra" / "INFRA_BLESSED"
        assert json.loads(mark.read_text()) == {"load_seconds": 1.0, "latency_ms": {}}

    def refuse(halves, max_latency, precision, trials):
        raise judge.NotBlessed("the encoder cannot be loaded.")

    monkeypatch.setattr(judge, "infra", refuse)
    with pytest.raises(judge.NotBlessed):
        _push(model, tmp_path, 1, _row(1, **{"task 0": 100.0, "task 1": 90.0}), push.PushSettings("always"))
    assert versions.read_latest(tmp_path)["version"] == version
    assert all(os.listdir(tmp_path / kind) == [str(version)] for kind in versions.KINDS)


@pytest.mark.program
def test_the_manual_policy_waits_for_approval(tiny_model, tmp_path):
    model = tiny_model(student=False)
    first = _push(model, tmp_path, 0, _row(0), _settings("manual"))
    assert "version" not in versions.read_latest(tmp_path)
    with pytest.raises(ValueError, match="but none is approved"):
        exported.load(tmp_path)
    assert _push(model, tmp_path, 0, _row(0), _settings("manual")) == first
    release.serve(str(tmp_path), first)
    assert exported.load(tmp_path).info["version"] == first


@pytest.mark.program
def test_versions_are_kept_up_to_a_number(tiny_model, tmp_path, quick):
    model, made = tiny_model(student=False), []
    for task in range(5):
        made.append(_push(model, tmp_path, task, None, push.PushSettings("always", validate=False, keep=2)))
    assert versions.found(tmp_path, "generator") == made[-2:]


@pytest.mark.program
def test_a_served_version_that_is_gone_is_told_and_nothing_is_pushed(tiny_model, tmp_path, quick):
    model = tiny_model(student=False)
    first = _push(model, tmp_path, 0, _row(0))
    os.rename(versions.place(tmp_path, "generator", first), tmp_path / "elsewhere")
    with pytest.raises(ValueError, match=f"serves version {first}, but its folder is missing"):
        _push(model, tmp_path, 1, _row(1, **{"task 0": 100.0, "task 1": 90.0}))
    assert not os.listdir(tmp_path / "generator")
    assert versions.read_latest(tmp_path)["version"] == first


@pytest.mark.program
def test_a_place_that_cannot_be_written_is_one_sentence(tiny_model, tmp_path):
    (tmp_path / "generator").write_text("a file where a folder should be")
    with pytest.raises(OSError, match="could not push the generator to"):
        _push(tiny_model(student=False), tmp_path, 0, _row(0))
    assert versions.read_latest(tmp_path) == {}


@pytest.mark.program
def test_a_model_with_other_halves_is_for_another_folder(tiny_model, tmp_path, quick):
    _push(tiny_model(), tmp_path, 0, _row(0))
    with pytest.raises(ValueError, match="serves encoder and generator and this model has generator, which"):
        _push(tiny_model(student=False), tmp_path, 1, None, UNTRIED)


@pytest.mark.parametrize("field, value", [("policy", "never"), ("max_regression", -1), ("keep", 0)])
def test_terms_that_cannot_be_are_refused(field, value):
    with pytest.raises(ValueError, match=f"{field} is {value!r}; it must be"):
        push.PushSettings(**{field: value})


class _Killed(BaseException):
    pass


def _die_at(monkeypatch, step):
    """From the given one on no step that changes the disk is taken: as if the process were dead."""
    taken = [0]

    def watched(real):
        def run(*args, **kwargs):
            taken[0] += 1
            if taken[0] > step:
                raise _Killed
            return real(*args, **kwargs)

        return run

    for module, name in (
        (os, "rename"),
        (os, "rmdir"),
        (os, "unlink"),
        (os, "makedirs"),
        (os, "fsync"),
        (push.staging, "_save"),
    ):
        monkeypatch.setattr(module, name, watched(getattr(module, name)))
    monkeypatch.setattr(versions.shutil, "rmtree", watched(versions.shutil.rmtree))
    return taken


def _whole(base):
    """Every version that a server could see is complete, and what latest.json names is there."""
    latest = versions.read_latest(base)
    for kind in versions.KINDS:
        for version in versions.found(base, kind):
            folder = versions.place(base, kind, version)
            for name in ("saved_model.pb", versions.INFO, warmup.FILE, "variables/variables.index"):
                assert os.path.isfile(os.path.join(folder, name)), (folder, name)
    for pair in latest.get("pairs", []):
        assert all(
            os.path.isdir(os.path.join(base, pair[kind])) for kind in (*versions.KINDS, "continuation")
        )
    if os.path.exists(os.path.join(base, "models.config")):
        text = open(os.path.join(base, "models.config"), encoding="utf-8").read()
        named = {pair["version"] for pair in latest["pairs"]}
        assert {int(line.split(":")[1]) for line in text.splitlines() if "versions:" in line} <= named
    return latest


@pytest.mark.program
def test_a_push_that_is_killed_at_any_step_leaves_what_was_served_and_is_completed(
    tiny_model, tiny_stream, tmp_path, monkeypatch, quick
):
    model, run, base = tiny_model(), str(tmp_path / "run"), str(tmp_path / "base")
    settings = push.PushSettings("always", validate=False, keep=1)

    def again():
        task = int(model.task_index.numpy()) - 1
        return push.push(model, push.Task(task, "task"), base, INFO, settings, None, run)

    served = []
    for task in range(3):  # the last of which removes the first
        model.fit_stream(tiny_stream(), 1, workdir=run, callbacks=[], stop_after_task=task)
        step, ended = 0, False
        while not ended:
            with monkeypatch.context() as patch:
                _die_at(patch, step)
                try:
                    served.append(again())
                    ended = True
                except _Killed:
                    pass
            latest = _whole(base)
            assert ended or latest.get("version") in (None, *served) or len(latest["pairs"]) > len(served)
            step += 1
        assert step > 25  # so many steps there are
        assert again() == latest["version"] == served[-1] == max(served)
    for kind in (*versions.KINDS, "continuation"):
        assert sorted(os.listdir(os.path.join(base, kind))) == [str(version) for version in served[1:]]


@pytest.mark.program
def test_pushes_at_one_time_wait_for_each_other_and_a_refusal_is_exit_status_3(
    tiny_model, tiny_stream, tmp_path
):
    model, run, base = tiny_model(student=False), str(tmp_path / "run"), str(tmp_path / "base")
    model.fit_stream(tiny_stream(tasks=1), 1, workdir=run, callbacks=[])

    def start(*flags):
        command = [
            sys.executable,
            "-m",
            "ltgans_tf.export.push",
            f"--workdir={run}",
            f"--base={base}",
            *flags,
        ]
        return subprocess.Popen(
            command, cwd=source_imports.ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    refused = start()
    out, err = refused.communicate(timeout=300)
    assert refused.returncode == 3 and out.startswith("not pushed: it has no scores"), err
    running = [start("--policy=always") for _ in range(2)]
    for process in running:
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0 and out.startswith("Pushed version"), err
    (version,) = versions.found(base, "generator")
    assert judge.INFRA_BLESSED in os.listdir(os.path.join(base, "generator", str(version), "assets.extra"))
    assert checkpoints.read_config(os.path.join(base, "continuation", str(version)))
