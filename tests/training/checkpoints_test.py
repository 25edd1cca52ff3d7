"""Checkpoints: whole or not there, damage noticed, settings held, one run at a time."""

import errno
import fcntl
import json
import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest

from ltgans_tf.files import run_ids
from ltgans_tf.training import checkpoints, verification, workdirs
from tests.tiny import make_model, make_stream

pytestmark = pytest.mark.program


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """A run of one task with checkpoints at steps 2 and 4, only read: (model, stream, workdir)."""
    folder = tmp_path_factory.mktemp("trained")
    model, stream = make_model(), make_stream(folder, tasks=1)
    model.fit_stream(stream, 4, str(folder / "run"), callbacks=[], checkpoint_every=2)
    return model, stream, folder / "run"


@pytest.fixture
def trained(original, tmp_path):
    """The same run for a test of its own: (model, stream, workdir)."""
    model, stream, workdir = original
    copy, its = shutil.copytree(workdir, tmp_path / "run"), make_model()
    checkpoints.restore_newest(str(copy), its)
    assert _same(model, its)
    return its, stream, str(copy)


def _same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a.get_weights(), b.get_weights(), strict=True))


def test_a_checkpoint_restores_every_weight_and_slot(original):
    model, _, workdir = original
    fresh = make_model(seed=5)
    checkpoints.restore_newest(str(workdir), fresh)
    assert _same(model, fresh)
    for ours, theirs in zip(model.optimizers, fresh.optimizers):
        assert int(ours.iterations) == 4
        for a, b in zip(ours.variables, theirs.variables, strict=True):
            np.testing.assert_array_equal(a, b)


def test_the_last_two_checkpoints_are_kept(tiny_model, tiny_stream, tmp_path):
    tiny_model().fit_stream(tiny_stream(tasks=1), 9, str(tmp_path / "run"), [], checkpoint_every=2)
    names = [os.path.basename(path) for path in checkpoints.checkpoints(str(tmp_path / "run"))]
    assert names == ["task_001_step_000000009", "task_000_step_000000008"]


@pytest.mark.parametrize("damage", ["flip", "truncate", "remove", "manifest"])
def test_damage_sends_a_run_back_to_the_checkpoint_before_and_says_so(trained, tiny_model, caplog, damage):
    _, _, workdir = trained
    newest, before = (pathlib.Path(path) for path in checkpoints.checkpoints(workdir))
    data = next(newest.glob("state.data*"))
    if damage == "flip":
        content = bytearray(data.read_bytes())
        content[len(content) // 2] ^= 1
        data.write_bytes(content)
    elif damage == "truncate":
        data.write_bytes(data.read_bytes()[:-7])
    elif damage == "remove":
        data.unlink()
    else:
        (newest / "manifest.json").write_text("{")
    model = tiny_model()
    assert checkpoints.restore_newest(workdir, model) == str(before)
    assert int(model.global_step.numpy()) == 4
    assert newest.name in caplog.text


def test_a_run_whose_checkpoints_are_all_damaged_is_not_silently_started_again(trained, tiny_model):
    _, stream, workdir = trained
    for path in checkpoints.checkpoints(workdir):
        next(pathlib.Path(path).glob("state.data*")).unlink()
    with pytest.raises(ValueError, match="none of the 2 checkpoints"):
        tiny_model().fit_stream(stream, 4, workdir, [])


def test_a_checkpoint_of_a_newer_format_is_refused(trained, tiny_model):
    _, _, workdir = trained
    path = pathlib.Path(checkpoints.checkpoints(workdir)[0], "manifest.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), "format_version": 99}))
    with pytest.raises(ValueError, match="format version 99"):
        checkpoints.restore_newest(workdir, tiny_model())


def test_a_full_disk_leaves_the_checkpoint_before_and_no_rubbish(trained, tiny_model, monkeypatch):
    model, _, workdir = trained
    before = sorted(os.listdir(os.path.join(workdir, "checkpoints")))

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    model.global_step.assign(77)
    with pytest.raises(OSError, match="no space is left on the disk.*last good one is .*000000004"):
        checkpoints.save(workdir, model)
    monkeypatch.undo()
    assert sorted(os.listdir(os.path.join(workdir, "checkpoints"))) == before
    checkpoints.restore_newest(workdir, tiny_model())


def test_a_full_disk_is_told_from_tensorflows_own_error(trained, tmp_path):
    """A real file system of 1 MB, where the test may mount one."""
    model, _, workdir = trained
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", small], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a small file system needs root")
    try:
        with pytest.raises(OSError, match="could not write a checkpoint"):
            checkpoints.save(str(small), model)
        assert checkpoints.checkpoints(str(small)) == []
    finally:
        subprocess.run(["umount", small], check=True)


def test_a_workdir_takes_one_run_at_a_time(tmp_path):
    workdir = str(tmp_path / "run")
    settings = {"stream": {"specs": ["a"]}}
    with workdirs.open_workdir(workdir, settings):
        code = (
            "import sys; from ltgans_tf.training import workdirs\n"
            f"with workdirs.open_workdir({workdir!r}, {settings!r}): pass"
        )
        other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert other.returncode != 0 and f"in use by process {os.getpid()}" in other.stderr
    with workdirs.open_workdir(workdir, settings):
        pass  # and it is free again


def test_other_settings_are_refused_with_the_fields_that_differ(trained, tiny_model, original):
    _, stream, workdir = trained
    with pytest.raises(ValueError, match=r"model.recipe.beta \(was 1.0, now 4.0\)"):
        tiny_model(beta=4.0).fit_stream(stream, 4, workdir, [])
    with pytest.raises(ValueError, match=r"steps_per_task \(was 4, now 5\)"):
        tiny_model().fit_stream(stream, 5, workdir, [])
    other = make_stream(original[2].parent, tasks=1, batch_size=4)
    with pytest.raises(ValueError, match=r"stream.batch_size \(was 8, now 4\)"):
        tiny_model().fit_stream(other, 4, workdir, [])


def test_a_checkpoint_of_another_run_is_told_and_left_alone(
    trained, tiny_model, tiny_stream, tmp_path, caplog
):
    _, _, workdir = trained
    other = str(tmp_path / "other")
    tiny_model().fit_stream(tiny_stream(tasks=1), 8, other, callbacks=[])
    (copied, *_) = checkpoints.checkpoints(other)
    placed = shutil.copytree(copied, os.path.join(workdir, "checkpoints", os.path.basename(copied)))
    its = run_ids.read(other)
    assert its != run_ids.read(workdir) and verification.verify(workdir)[
        os.path.relpath(placed, workdir)
    ] == (f"it is of another run, {its}")
    model = tiny_model()
    assert checkpoints.restore_newest(workdir, model) == checkpoints.checkpoints(workdir)[1]
    assert "is damaged (it is of another run" in caplog.text and int(model.global_step.numpy()) == 4


def test_a_checkpoint_of_other_settings_is_told(trained):
    _, _, workdir = trained
    path = pathlib.Path(workdir, "config.json")
    config = json.loads(path.read_text())
    path.write_text(json.dumps({**config, "steps_per_task": 9}))
    (newest, *_) = checkpoints.checkpoints(workdir)
    assert checkpoints.damage(newest) == "it was trained with other settings: steps_per_task (was 4, now 9)"
    config["stream"]["specs"].append("digits")
    path.write_text(json.dumps(config))
    assert checkpoints.damage(newest) == ""


def test_a_run_that_has_lost_its_id_takes_that_of_its_checkpoints(trained, tiny_model):
    _, stream, workdir = trained
    its = run_ids.read(workdir)
    os.remove(os.path.join(workdir, "run_id"))
    tiny_model().fit_stream(stream, 4, workdir, [])
    assert run_ids.read(workdir) == its


def test_a_run_whose_lock_was_removed_saves_nothing_more(tmp_path, monkeypatch, tiny_model):
    real = fcntl.flock

    def flock(file, operation):
        if isinstance(file, int):  # a folder, which NFS cannot lock
            raise OSError(errno.EBADF, "Bad file descriptor")
        real(file, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    workdir = str(tmp_path / "run")
    with workdirs.open_workdir(workdir, {"stream": {"specs": ["a"]}}) as run:
        os.remove(os.path.join(workdir, ".lock"))
        with pytest.raises(OSError, match="was removed or replaced"):
            run.save(tiny_model())
    assert checkpoints.checkpoints(workdir) == []


def test_a_workdir_without_locks_is_refused_with_the_true_reason(tmp_path, monkeypatch):
    def flock(file, operation):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(
        ValueError, match="cannot be locked .No locks available.*use a folder on a file system"
    ):
        with workdirs.open_workdir(str(tmp_path / "run"), {}):
            pass


def test_folders_that_others_have_put_beside_checkpoints_stay(trained, tiny_model):
    _, stream, workdir = trained
    folder = pathlib.Path(workdir, "checkpoints")
    for name in (".tmp-mine", ".tmp-task_000_step_000000002", ".tmp-4711"):
        (folder / name).mkdir()
    tiny_model().fit_stream(stream, 4, workdir, [])
    assert [name for name in os.listdir(folder) if name.startswith(".tmp")] == [".tmp-mine"]


def test_tasks_may_be_appended_to_a_finished_run_but_not_exchanged(tiny_model, tiny_stream, tmp_path):
    workdir = str(tmp_path / "run")
    tiny_model().fit_stream(tiny_stream(tasks=1), 4, workdir, callbacks=[])
    model = tiny_model()
    assert model.fit_stream(tiny_stream(tasks=3), 4, workdir, [])
    assert int(model.task_index.numpy()) == 3 and int(model.global_step.numpy()) == 12
    straight = tiny_model()
    straight.fit_stream(tiny_stream(tasks=3), 4)
    for a, b in zip(straight.get_weights(), model.get_weights()):
        np.testing.assert_allclose(a, b, atol=1e-4)
    shorter = tiny_stream(tasks=1)
    with pytest.raises(ValueError, match="stream.specs"):
        tiny_model().fit_stream(shorter, 4, workdir, [])


def test_resume_must_and_never_are_held(trained, tiny_model, tmp_path):
    _, stream, workdir = trained
    with pytest.raises(ValueError, match="already has a run"):
        tiny_model().fit_stream(stream, 4, workdir, [], resume="never")
    with pytest.raises(ValueError, match="no checkpoint to resume from"):
        tiny_model().fit_stream(stream, 4, str(tmp_path / "empty"), [], resume="must")
    with pytest.raises(ValueError, match="'perhaps'"):
        tiny_model().fit_stream(stream, 4, workdir, [], resume="perhaps")


def test_a_workdir_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="cannot be written"):
        with workdirs.open_workdir(str(tmp_path / "file"), {}):
            pass


def test_a_crash_in_the_middle_of_a_checkpoint_leaves_the_one_before(trained, tiny_model, monkeypatch):
    model, _, workdir = trained
    model.global_step.assign(50)

    def die(*_):
        raise KeyboardInterrupt  # as little cleaning up as a kill allows

    monkeypatch.setattr(os, "rename", die)
    with pytest.raises(KeyboardInterrupt):
        checkpoints.save(workdir, model)
    monkeypatch.undo()
    fresh = tiny_model()
    checkpoints.restore_newest(workdir, fresh)
    assert int(fresh.global_step.numpy()) == 4
    checkpoints.save(workdir, model)
    assert not [n for n in os.listdir(os.path.join(workdir, "checkpoints")) if n.startswith(".tmp")]


def test_a_nonfinite_state_is_never_saved(trained, tiny_model, tiny_stream, tmp_path):
    model = tiny_model(critic_optimizer="rmsprop(1e30)")
    workdir = str(tmp_path / "diverged")
    with pytest.raises(ArithmeticError, match=r"stopped being finite at global step \d+"):
        model.fit_stream(tiny_stream(tasks=1), 30, workdir, checkpoint_every=5)
    for path in checkpoints.checkpoints(workdir):
        shutil.copytree(path, tmp_path / "seen" / os.path.basename(path))
    fresh = tiny_model()
    if checkpoints.checkpoints(workdir):
        checkpoints.restore_newest(workdir, fresh)
    assert all(np.isfinite(w).all() for w in fresh.get_weights())
