"""Damaged, missing and unwritable files: back to the last good state, or a refusal with the remedy."""

import errno
import json
import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest

from ltgans_tf.files import eventlog
from ltgans_tf.training import checkpoints, verification
from tests import programs, source_imports
from tests.faults.counting import Counting
from tests.tiny import make_stream

FILES = ("config.json", "manifest.json", "state.data-00000-of-00001", "state.index")


def _fit(model, stream, workdir, **options):
    return model.fit_stream(stream, 4, str(workdir), **{"callbacks": [], "checkpoint_every": 2, **options})


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """A run of two tasks that stands after the first, and what it is to end with: (stream, workdir, total)."""
    folder, straight = tmp_path_factory.mktemp("original"), Counting()
    stream = make_stream(folder, tasks=2)
    _fit(Counting(), stream, folder / "run", stop_after_task=0)
    straight.fit_stream(stream, 4)
    return stream, folder / "run", straight.total.numpy()


@pytest.fixture(name="run")
def _run(original, tmp_path):
    """The same run for a test of its own: (its stream, its workdir)."""
    stream, workdir, _ = original
    return stream, shutil.copytree(workdir, tmp_path / "run")


def _paths(workdir):
    return [pathlib.Path(path) for path in checkpoints.checkpoints(str(workdir))]


def _damage(path, how):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    changed = {"flipped": bytes(content), "truncated": bytes(content)[: len(content) // 3], "empty": b""}
    path.unlink()
    if how != "missing":
        path.write_bytes(changed[how])


@pytest.mark.program
@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("how", ["flipped", "truncated", "empty", "missing"])
def test_any_damaged_file_of_a_checkpoint_sends_the_run_back_and_it_ends_alike(
    run, original, caplog, name, how
):
    stream, workdir = run
    newest, before = _paths(workdir)
    assert sorted(os.listdir(newest)) == sorted(FILES)
    _damage(newest / name, how)
    model = Counting()
    assert checkpoints.restore_newest(str(workdir), model) == str(before)
    assert newest.name in caplog.text and "going back" in caplog.text
    assert _fit(Counting(), stream, workdir)
    ended = Counting()
    checkpoints.restore_newest(str(workdir), ended)
    np.testing.assert_array_equal(ended.total, original[2])


@pytest.mark.program
def test_no_flipped_bit_of_a_manifest_lets_a_changed_checkpoint_pass(run):
    newest = _paths(run[1])[0]
    manifest = newest / "manifest.json"
    whole = manifest.read_bytes()
    files, passed = json.loads(whole)["files"], 0
    for place in range(len(whole)):
        for bit in (0, 2, 5, 7):
            changed = bytearray(whole)
            changed[place] ^= 1 << bit
            manifest.write_bytes(changed)
            try:
                reason = checkpoints.damage(str(newest))
            except ValueError as error:  # another format version
                reason = str(error)
            if not reason:
                passed += 1
                assert json.loads(changed)["files"] == files
    assert 0 < passed < len(whole)  # white space and what is not used to load


@pytest.mark.program
def test_a_newest_checkpoint_that_is_gone_is_told(run, caplog):
    newest, before = _paths(run[1])
    shutil.rmtree(newest)
    assert checkpoints.restore_newest(str(run[1]), Counting()) == str(before)
    assert f"Checkpoint {newest.name}" in caplog.text and "is missing" in caplog.text


@pytest.mark.program
@pytest.mark.parametrize("known_by", ["newest_checkpoint.txt", "boundary"])
@pytest.mark.parametrize("resume", ["auto", "must", "never"])
def test_a_run_whose_checkpoints_are_gone_is_not_begun_anew(run, known_by, resume):
    stream, workdir = run
    shutil.rmtree(workdir / "checkpoints")
    for path in (workdir / "newest_checkpoint.txt", workdir / "boundary" / "task_00.done"):
        if known_by not in str(path):
            path.unlink()
    before = {
        path: path.read_bytes() for path in workdir.rglob("*") if path.is_file() and path.name != ".lock"
    }
    with pytest.raises(ValueError, match="none of them is there any more; restore its folder checkpoints"):
        _fit(Counting(), stream, workdir, resume=resume)
    after = {
        path: path.read_bytes() for path in workdir.rglob("*") if path.is_file() and path.name != ".lock"
    }
    assert after == before


@pytest.mark.program
def test_a_run_that_was_killed_before_its_first_checkpoint_begins_anew(tiny_stream, tmp_path):
    stream = tiny_stream(tasks=1)
    model = Counting(in_step=lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        _fit(model, stream, tmp_path)
    assert (tmp_path / "config.json").exists() and _fit(Counting(), stream, tmp_path)


@pytest.mark.program
def test_checkpoints_without_settings_are_refused(run):
    stream, workdir = run
    (workdir / "config.json").unlink()
    with pytest.raises(ValueError, match="has checkpoints and no config.json.*restore it from a backup"):
        _fit(Counting(), stream, workdir)
    assert not (workdir / "config.json").exists()


@pytest.mark.program
@pytest.mark.parametrize("how", ["truncated", "empty"])
def test_damaged_settings_are_refused_by_name(run, how):
    stream, workdir = run
    _damage(workdir / "config.json", how)
    with pytest.raises(ValueError, match="config.json is damaged .*restore it from a backup"):
        _fit(Counting(), stream, workdir)


@pytest.mark.parametrize("line", ['{"step": 2, "loss"\n', '{"loss": 1}\n', "[]\n", "\xff\n"])
def test_a_damaged_line_of_the_metrics_is_refused_by_its_number(tmp_path, line):
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"step": 1}\n' + line.encode("latin-1") + b'{"step": 3}\n{"step"')
    before = path.read_bytes()
    with pytest.raises(
        ValueError, match="metrics.jsonl is damaged in line 2; restore it from a backup, or remove"
    ):
        eventlog.cut(str(path), str(tmp_path / "tensorboard"), 3)
    assert path.read_bytes() == before


@pytest.mark.program
@pytest.mark.parametrize("name", ["fsync", "rename"])
def test_whichever_call_of_the_disk_fails_the_checkpoint_before_stays(run, monkeypatch, name):
    _, workdir = run
    model, real, failures = Counting(), getattr(os, name), 0
    checkpoints.restore_newest(str(workdir), model)
    model.global_step.assign_add(1)
    while True:
        calls = []

        def failing(*args):
            calls.append(args)
            if len(calls) == failures + 1:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return real(*args)

        with monkeypatch.context() as patch:
            patch.setattr(os, name, failing)
            try:
                checkpoints.save(str(workdir), model)
                break
            except OSError as error:
                assert "could not write a checkpoint" in str(error) and "The last good one is" in str(error)
                failures += 1
        assert not checkpoints.damage(checkpoints.checkpoints(str(workdir))[0])
        assert not list(workdir.glob("checkpoints/.tmp-*"))
    assert failures >= {"fsync": 5, "rename": 2}[name]
    restored = Counting()
    checkpoints.restore_newest(str(workdir), restored)
    assert int(restored.global_step.numpy()) == 5


@pytest.mark.program
def test_a_workdir_that_is_read_only_is_refused_and_unchanged(run):
    stream, workdir = run
    if subprocess.run(["mount", "--bind", "-o", "ro", workdir, workdir], capture_output=True).returncode:
        pytest.skip("mounting needs root")
    try:
        with pytest.raises(ValueError, match="cannot be written: Read-only file system; give a folder"):
            _fit(Counting(), stream, workdir)
    finally:
        subprocess.run(["umount", workdir], check=True)
    assert _fit(Counting(), stream, workdir)


@pytest.mark.parametrize("kind", ["OSError", "RuntimeError"])  # TensorFlow's are no OSError
def test_a_full_disk_is_one_sentence_with_the_remedy(kind):
    code = (
        "from ltgans_tf.export import program\n"
        f"def main(_): raise {kind}('runs/a/events; No space left on device\\n\\tFailed to flush')\n"
        "program.run(main)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=source_imports.ROOT, capture_output=True, text=True
    )
    assert done.returncode == 2 and done.stderr == (
        "error: runs/a/events; No space left on device Failed to flush; make room there and run the same command"
        " again.\n"
    )


@pytest.mark.program
def test_verification_names_what_is_damaged_and_what_is_missing(run):
    _, workdir = run
    (workdir / "metrics.jsonl").write_text('{"step": 1}\n')
    newest, before = (f"checkpoints/{path.name}" for path in _paths(workdir))
    marks = [f"boundary/{path.name}" for path in (workdir / "boundary").iterdir()]
    assert verification.verify(str(workdir)) == dict.fromkeys(
        [newest, before, "config.json", "metrics.jsonl", "newest_checkpoint.txt", "run_id", *marks], ""
    )
    _damage(workdir / before / "state.index", "flipped")
    _damage(workdir / "config.json", "truncated")
    (workdir / "metrics.jsonl").write_text("\n")
    shutil.rmtree(workdir / newest)
    found = verification.verify(str(workdir))
    assert found.pop(before) == "state.index has changed" and "is missing" in found.pop(newest)
    assert "is damaged" in found.pop("config.json") and "in line 1" in found.pop("metrics.jsonl")
    assert not any(found.values()) and found.keys() == {"newest_checkpoint.txt", "run_id", *marks}


def test_verification_of_no_run_is_refused(tmp_path):
    for path, sentence in ((tmp_path / "none", "there is no folder"), (tmp_path, "has nothing of a run")):
        with pytest.raises(ValueError, match=sentence):
            verification.verify(str(path))


@pytest.mark.program
def test_the_program_that_verifies_tells_by_its_status(run):
    _, workdir = run

    def verified():
        return programs.run("ltgans_tf.trainers.train", "--verify_checkpoint", f"--workdir={workdir}")

    name = f"checkpoints/{_paths(workdir)[0].name}"
    done = verified()
    assert done.returncode == 0 and f"whole:   {name}\n" in done.stdout, done.stderr
    _damage(workdir / name / "state.index", "missing")
    done = verified()
    assert done.returncode == 2 and f"damaged: {name}: state.index is missing\n" in done.stdout
