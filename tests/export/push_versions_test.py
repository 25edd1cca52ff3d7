"""Tests of the versions that a push writes."""

import fcntl
import json
import os
import types

import pytest
import tensorflow as tf

from ltgans_tf.evaluation import row
from ltgans_tf.export import push, release, signatures, staging, versions
from ltgans_tf.files import atomic, run_ids
from ltgans_tf.training import checkpoints
from tests.export import placeholders
from tests.tiny import UNTRIED

TASK = push.Task(0, "first")


INFO = {"run_id": "run", "image_shape": [8, 8, 3], "fit": "crop"}


def _tree(folder):
    return {
        os.path.relpath(os.path.join(place, name), folder): os.stat(os.path.join(place, name)).st_mtime_ns
        for place, _, names in os.walk(folder)
        for name in names
        if name != ".lock"
    }


def _read(*parts):
    with open(os.path.join(*parts), encoding="utf-8") as f:
        return json.load(f)


@pytest.mark.program
def test_pair_shares_a_version_that_latest_names(tiny_model, tmp_path, quick):
    model = tiny_model(latent_law="uniform")
    model.task_index.assign(1)
    version = push.push(model, TASK, tmp_path, INFO, UNTRIED)
    latest = versions.read_latest(tmp_path)
    assert latest["version"] == version
    for kind in versions.KINDS:
        assert latest[kind] == f"{kind}/{version}"
        info = _read(tmp_path, kind, str(version), "assets.extra", "export_info.json")
        assert (info["kind"], info["version"], info["task_name"]) == (kind, version, "first")
        assert info["latent_law"] == "uniform" and info["parent_version"] is None
        assert info["settings"]["recipe"]["latent_law"] == "uniform"
        assert info["domains"] == [{"number": 1, "name": "task 1"}] and info["domain_dim"] == 0


@pytest.mark.program
def test_encoder_comes_before_generator_and_both_under_the_lock(tiny_model, tmp_path, monkeypatch, quick):
    order, publish = [], atomic.publish

    def watch(staging, path):
        order.append(os.path.basename(os.path.dirname(path)))
        with open(tmp_path / ".lock", encoding="utf-8") as file, pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert versions.read_latest(tmp_path)["pairs"] == []
        publish(staging, path)

    monkeypatch.setattr(atomic, "publish", watch)
    push.push(tiny_model(), TASK, tmp_path, INFO, UNTRIED)
    assert order == ["encoder", "generator"]


@pytest.mark.program
def test_model_without_student_exports_a_generator_alone(tiny_model, tmp_path, quick):
    version = push.push(tiny_model(student=False), TASK, tmp_path, INFO, UNTRIED)
    assert versions.found(tmp_path, "generator") == [version]
    assert not (tmp_path / "encoder").exists()
    assert "encoder" not in versions.read_latest(tmp_path)


@pytest.mark.program
def test_second_push_of_a_task_writes_nothing(tiny_model, tmp_path, quick):
    model = tiny_model()
    version = push.push(model, TASK, tmp_path, INFO, UNTRIED)
    before = _tree(tmp_path)
    assert push.push(model, TASK, tmp_path, INFO, UNTRIED) == version
    assert _tree(tmp_path) == before


@pytest.mark.program
def test_version_is_after_all_others_when_the_clock_is_not(tiny_model, tmp_path, monkeypatch, quick):
    monkeypatch.setattr(versions, "time", types.SimpleNamespace(time=lambda: 1000.5))
    model = tiny_model(student=False)
    assert push.push(model, TASK, tmp_path, INFO, UNTRIED) == 1000
    assert push.push(model, push.Task(1, "second"), tmp_path, INFO, UNTRIED) == 1001
    (tmp_path / "encoder" / "2000").mkdir(parents=True)
    assert push.push(model, push.Task(2, "third"), tmp_path, INFO, UNTRIED) == 2001
    parents = [
        versions.read_info(tmp_path, "generator", v)["parent_version"]
        for v in versions.found(tmp_path, "generator")
    ]
    assert parents == [None, 1000, 1001]


@pytest.mark.program
@pytest.mark.parametrize(
    "module, name",
    [
        (signatures, "save_encoder"),
        (signatures, "save_generator"),
        (release, "add"),
        (versions, "write_latest"),
        (versions.atomic, "write_text"),
    ],
)
def test_push_that_died_is_completed_under_its_version(tiny_model, tmp_path, monkeypatch, module, name):
    if module is not signatures:
        monkeypatch.setattr(staging, "_save", placeholders.save)
    model = tiny_model()
    first = push.push(model, TASK, tmp_path, INFO, UNTRIED)

    def die(*args, **kwargs):
        raise KeyboardInterrupt

    second = push.Task(1, "second")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(module, name, die)
        push.push(model, second, tmp_path, INFO, UNTRIED)
    assert versions.read_latest(tmp_path)["version"] == first
    started = versions.found(tmp_path, "encoder")[-1]
    later = int(versions.time.time()) + 100
    monkeypatch.setattr(versions, "time", types.SimpleNamespace(time=lambda: later))
    version = push.push(model, second, tmp_path, INFO, UNTRIED)
    assert version == (later if started == first else started)
    assert versions.read_latest(tmp_path)["version"] == version
    for kind in versions.KINDS:
        assert versions.found(tmp_path, kind) == [first, version]
        assert not [entry for entry in os.listdir(tmp_path / kind) if entry.startswith(".tmp-")]


@pytest.mark.program
def test_remains_of_another_run_are_removed_and_old_halves_are_not(tiny_model, tmp_path, monkeypatch, quick):
    model = tiny_model()
    monkeypatch.setattr(versions, "time", types.SimpleNamespace(time=lambda: 1000.5))
    publish = atomic.publish

    def die(staging, path):
        if "generator" in path:
            raise KeyboardInterrupt
        publish(staging, path)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(atomic, "publish", die)
        push.push(model, TASK, tmp_path, {**INFO, "run_id": "dead"}, UNTRIED)
    assert versions.found(tmp_path, "encoder") == [1000]
    version = push.push(model, TASK, tmp_path, INFO, UNTRIED)
    assert versions.found(tmp_path, "encoder") == [version] == [1001]  # 1000 may have been served
    # Whoever removes one half of an old pair keeps the other.
    os.rename(versions.place(tmp_path, "generator", version), tmp_path / "elsewhere")
    newer = push.push(model, push.Task(1, "second"), tmp_path, INFO, UNTRIED)
    assert versions.found(tmp_path, "encoder") == [version, newer]


@pytest.mark.program
def test_failed_write_is_one_sentence_and_leaves_nothing_behind(tiny_model, tmp_path, monkeypatch):
    def refuse(*args):
        raise tf.errors.ResourceExhaustedError(None, None, "No space left on device\nmore")

    monkeypatch.setattr(signatures, "save_generator", refuse)
    with pytest.raises(
        OSError, match="could not push the generator to .*no space is left on the disk; see to the"
    ):
        push.push(tiny_model(student=False), TASK, tmp_path, INFO, UNTRIED)
    assert not os.listdir(tmp_path / "generator")
    assert versions.read_latest(tmp_path) == {}


@pytest.mark.program
def test_boundary_pushes_what_push_finds_done_until_the_run_goes_on(tiny_model, tiny_stream, tmp_path, quick):
    model, stream, run = tiny_model(), tiny_stream(tasks=1), str(tmp_path / "run")
    model.fit_stream(
        stream, 1, workdir=run, callbacks=[], boundary_callbacks=[push.BoundaryExport(settings=UNTRIED)]
    )
    exports = os.path.join(run, "exports")
    (version,) = versions.found(exports, "generator")
    assert versions.found(exports, "encoder") == [version]
    info = versions.read_info(exports, "encoder", version)
    assert (info["step"], info["image_shape"], info["run_id"]) == (1, [8, 8, 3], run_ids.read(run))
    assert push.push_workdir(run, settings=UNTRIED) == version
    elsewhere = push.push_workdir(run, str(tmp_path / "models"), UNTRIED)
    assert versions.found(tmp_path / "models", "encoder") == [elsewhere]
    model.task_step.assign(1)
    model.global_step.assign(2)
    checkpoints.save(run, model)
    with pytest.raises(ValueError, match="is at step 1 of task 2"):
        push.push_workdir(run, settings=UNTRIED)


@pytest.mark.program
@pytest.mark.parametrize("measured", [True, False])
def test_boundary_judges_the_row_that_it_is_handed_and_no_other(
    measured, tiny_model, tiny_stream, tmp_path, quick
):
    """Scores that come after the export, or that an earlier boundary of the task left, do not count."""
    model, stream, run, said = tiny_model(student=False), tiny_stream(tasks=1), str(tmp_path / "run"), []
    (task,), exports = (
        stream.tasks,
        push.BoundaryExport(settings=push.PushSettings(validate=False), say=said.append),
    )
    found = row.Row(after_task=0, task=task.name, scores={task.name: {"fcd": 1.5}}, union={"fcd": 1.5})
    if not measured:
        found.save(row.row_path(run, 0))

    def measure(boundary):
        boundary.row = found

    both = [measure, exports] if measured else [exports, measure]
    model.fit_stream(stream, 1, workdir=run, callbacks=[], boundary_callbacks=both)
    if measured:
        (version,) = versions.found(os.path.join(run, "exports"), "generator")
        about = versions.read_info(os.path.join(run, "exports"), "generator", version)
        assert not said and about["scores"]["tasks"] == {task.name: {"fcd": 1.5}}
    else:
        assert len(said) == 1 and said[0].startswith("not pushed: it has no scores")


def test_only_a_workdir_is_pushed(tmp_path):
    with pytest.raises(ValueError, match="is no workdir"):
        push.push_workdir(str(tmp_path))
