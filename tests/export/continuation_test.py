"""Going on from what was pushed is going on with the run, bit for bit, without the data of earlier tasks."""

import json
import os
import shutil
import signal
import subprocess

import numpy as np
import pytest

import ltgans_tf as lt
from ltgans_tf.data import streams
from ltgans_tf.evaluation import evaluation
from ltgans_tf.export import continuation, push, versions
from ltgans_tf.files import locks, run_ids
from ltgans_tf.training import boundaries, verification
from tests import programs
from tests.tiny import UNTRIED, make_model, make_stream

pytestmark = pytest.mark.program

STEPS = 3


def _fit(model, stream, workdir, base=None):
    evaluator = evaluation.Evaluator(parts=("likelihood",), test_images=8)
    exports = push.BoundaryExport(base, UNTRIED)
    callbacks = [boundaries.BoundarySamples(), boundaries.BoundaryScores(evaluator), exports]
    assert model.fit_stream(stream, STEPS, str(workdir), callbacks=[], boundary_callbacks=callbacks)


def _stream(specs, after=0):
    return streams.TaskStream(specs, (8, 8, 3), batch_size=8, unchecked=after)


def _learn(folder):
    """A run of two tasks that pushes to a base of its own, and the specs of three."""
    specs = [task.spec.text for task in make_stream(folder, tasks=3).tasks]
    _fit(make_model(ema=0.9), _stream(specs[:2]), folder / "first", str(folder / "base"))
    return folder, specs


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return _learn(tmp_path_factory.mktemp("learnt"))


@pytest.fixture
def learnt(original, tmp_path):
    """A copy of that run for a test of its own; the data of its tasks is shared."""
    folder, specs = original
    for name in ("first", "base"):
        subprocess.run(["cp", "-al", folder / name, tmp_path / name], check=True)  # keeps hard links
    return tmp_path, specs


@pytest.fixture
def learnt_anew(tmp_path):
    """Such a run whose data may be removed."""
    return _learn(tmp_path)


@pytest.mark.parametrize("source", ["base", "first"])
def test_learning_on_is_what_the_first_run_would_have_done(learnt_anew, tiny_model, source):
    folder, specs = learnt_anew
    whole = tiny_model(ema=0.9)
    _fit(whole, _stream(specs), folder / "whole")
    new = str(folder / "later")
    for path in specs[:2]:  # the data of what was learnt is gone
        os.remove(path.removeprefix("npz:"))
    assert continuation.start(str(folder / source), new, specs[2:]) == specs
    model = tiny_model(ema=0.9)
    _fit(model, _stream(specs, after=2), new)
    for ours, theirs in zip(model.weights, whole.weights, strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
    for ours, theirs in zip(model.optimizers, whole.optimizers, strict=True):
        for a, b in zip(ours.variables, theirs.variables, strict=True):
            np.testing.assert_array_equal(a.numpy(), b.numpy())
    np.testing.assert_array_equal(lt.load(new).sample(4), whole.sample(4))
    assert len(lt.score_matrix(new)["nlog"].tasks) == 3


def test_a_bundle_has_the_state_after_its_task_and_no_data(learnt):
    folder, specs = learnt
    latest = versions.read_latest(folder / "base")
    pairs = latest["pairs"]
    assert [pair["continuation"] for pair in pairs] == [f"continuation/{p['version']}" for p in pairs]
    assert latest["continuation"] == pairs[-1]["continuation"]
    for tasks, pair in enumerate(pairs, 1):
        bundle = folder / "base" / pair["continuation"]
        files = {str(path.relative_to(bundle)) for path in bundle.rglob("*") if path.is_file()}
        state = f"checkpoints/task_{tasks:03d}_step_{STEPS * tasks:09d}"
        kept = [f"boundary/task_{i:02d}.{end}" for i in range(tasks) for end in ("done", "npz")]
        kept += [f"eval/task_{i:02d}/scores.json" for i in range(tasks)]
        assert {name for name in files if not name.startswith((state, "eval/references"))} == {
            "config.json",
            "run_id",
            *kept,
        }
        config = json.loads((bundle / "config.json").read_text())
        assert config["stream"]["specs"] == specs[:tasks]
        assert lt.load(str(bundle)).task_index.numpy() == tasks


def test_boundary_images_are_there_once_however_many_bundles_have_them(learnt):
    folder, _ = learnt
    bundles = [pair["continuation"] for pair in versions.read_latest(folder / "base")["pairs"]]
    names = [folder / "base" / bundle / "boundary" / "task_00.npz" for bundle in bundles]
    assert len(names) == 2 and all(
        name.samefile(folder / "first" / "boundary" / "task_00.npz") for name in names
    )


def test_boundary_images_are_copied_where_a_file_cannot_have_two_names(learnt, tmp_path, monkeypatch):
    folder, specs = learnt
    bundle = folder / "base" / versions.read_latest(folder / "base")["continuation"]
    monkeypatch.setattr(os, "link", lambda *_: os.stat("/nowhere"))
    continuation.start(str(bundle), str(tmp_path / "new"), specs[2:])
    for name in ("task_00.npz", "task_01.npz"):
        ours, theirs = (place / "boundary" / name for place in (tmp_path / "new", bundle))
        assert ours.read_bytes() == theirs.read_bytes() and not ours.samefile(theirs)


def test_an_earlier_version_can_be_gone_on_from(learnt, tiny_model):
    folder, specs = learnt
    first = versions.read_latest(folder / "base")["pairs"][0]
    bundle = str(folder / "base" / first["continuation"])
    assert continuation.start(bundle, str(folder / "later"), specs[2:]) == [specs[0], specs[2]]
    assert lt.load(str(folder / "later")).task_index.numpy() == 1


def test_what_a_killed_start_has_left_is_removed_and_nothing_else(learnt):
    folder, specs = learnt
    remains = {name: folder / f"on.tmp-{name}" for name in ("2024", str(os.getpid()), "killed", "at work")}
    for path in remains.values():
        path.mkdir()
    for name in ("killed", "at work"):
        (remains[name] / ".init_from").write_text("")
    with locks.hold(remains["at work"], name=".init_from"):
        continuation.start(str(folder / "first"), str(folder / "on"), specs[2:])
    assert [name for name, path in remains.items() if not path.exists()] == ["killed"]
    assert not (folder / "on" / ".init_from").exists()


def test_a_start_that_is_killed_leaves_what_the_next_one_removes(learnt):
    folder, specs = learnt
    new, copy = folder / "on", continuation._copy
    if not (child := os.fork()):
        continuation._copy = lambda *args: (copy(*args), os.kill(os.getpid(), signal.SIGKILL))
        continuation.start(str(folder / "first"), str(new), specs[2:])
    os.waitpid(child, 0)
    assert len(list(folder.glob("on.tmp-*"))) == 1
    continuation.start(str(folder / "first"), str(new), specs[2:])
    assert not list(folder.glob("on.tmp-*")) and new.stat().st_mode == (folder / "first").stat().st_mode


def test_a_run_that_goes_on_from_another_is_a_run_of_its_own(learnt):
    folder, specs = learnt
    continuation.start(str(folder / "base"), str(folder / "on"), specs[2:])
    ids = [run_ids.read(folder / name) for name in ("first", "on")]
    assert len(set(ids)) == 2 and not any(verification.verify(str(folder / "on")).values())
    (manifest,) = (folder / "on").glob("checkpoints/*/manifest.json")
    assert json.loads(manifest.read_text())["run"] == ids[1]
    assert not any(verification.verify(str(folder / "first")).values())


def test_what_cannot_be_gone_on_from_is_said_and_nothing_is_left(learnt):
    folder, specs = learnt
    later = folder / "later"
    with pytest.raises(ValueError, match="cannot continue from .*: it is neither a workdir"):
        continuation.start(str(folder), str(later), specs[2:])
    shutil.rmtree(folder / "base" / "continuation")
    with pytest.raises(ValueError, match="cannot continue from"):
        continuation.start(str(folder / "base"), str(later), specs[2:])
    later.mkdir()
    (later / "mine").write_text("")
    with pytest.raises(ValueError, match="is not empty"):
        continuation.start(str(folder / "first"), str(later), specs[2:])
    shutil.rmtree(folder / "first" / "checkpoints")
    with pytest.raises(ValueError, match="has not finished a task yet"):
        continuation.start(str(folder / "first"), str(folder / "else"), specs[2:])
    assert not (folder / "else").exists() and not list(folder.glob("*.tmp-*"))


def test_the_program_goes_on_with_the_settings_of_the_run_and_resumes(tiny_stream, tmp_path):
    specs = [task.spec.text for task in tiny_stream(tasks=3).tasks]
    small = ["--preset=smoke", "--steps_per_task=2", "--batch_size=4", "--beta=2", "--push_policy=always"]
    small += ["--eval_images=8", "--eval_samples=20", "--extractor_images=8", "--nopush_validate"]

    def train(*flags):
        return programs.run("ltgans_tf.trainers.train", *flags, timeout=300)

    first, base, later = (f"{tmp_path}/{name}" for name in ("first", "base", "later"))
    done = train(*small, f"--tasks={','.join(specs[:2])}", f"--workdir={first}", f"--push_base={base}")
    assert done.returncode == 0, done.stderr[-2000:]
    on = [f"--init_from={base}", f"--workdir={later}"]
    refused = train(*on)
    assert refused.returncode == 2 and "--init_from needs --tasks" in refused.stderr
    planned = train(*on, f"--tasks={specs[2]}", "--dry_run")
    assert planned.returncode == 0 and "  beta: 2.0\n" in planned.stdout
    assert f"  task 3: {specs[2]}\n" in planned.stdout and not os.path.exists(later)
    os.remove(specs[0].removeprefix("npz:"))
    done = train(*on, f"--tasks={specs[2]}", "--stop_after_task=2")
    assert done.returncode == 0 and len(versions.read_latest(base)["pairs"]) == 2, done.stderr[-2000:]
    done = train(*on, f"--tasks={specs[2]}")
    assert done.returncode == 0, done.stderr[-2000:]
    # It pushes to where the run before pushed, as the child of what is served there.
    assert [pair["task_index"] for pair in versions.read_latest(base)["pairs"]] == [0, 1, 2]
    refused = train(*on, f"--tasks={specs[1]}")
    assert refused.returncode == 2 and "which do not end in" in refused.stderr
