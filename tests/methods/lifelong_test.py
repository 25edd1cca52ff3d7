"""The loop over tasks: where it stops, where it goes on, and who is called when."""

import shutil

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tensorflow.python.framework import config

import ltgans_tf as lt
from ltgans_tf.data import folders, streams
from ltgans_tf.evaluation import evaluation, likelihood
from ltgans_tf.training import callbacks, checkpoints
from tests.methods.diary import Diary


class StopAt(callbacks.StepCallback):
    def __init__(self, step, death=None):
        super().__init__()
        self.step, self.death = step, death

    def on_step(self, step, task_step, logs):
        if step == self.step:
            if self.death is not None:
                raise self.death
            self.model.stop_requested = True


def _straight(stream, steps):
    model = Diary()
    assert model.fit_stream(stream, steps) is True
    return model


@pytest.mark.program
def test_every_task_takes_its_steps_in_order(tiny_stream):
    model = _straight(tiny_stream(tasks=3), 4)
    assert model.at() == (3, 0, 12)
    assert model.begun == [0, 1, 2] and model.finished == [(0, 4), (1, 4), (2, 4)]
    # The images of task i lie between 30 i and 30 i + 80: means tell whose they were.
    means = model.seen.numpy()[:12] / (8 * 8 * 8 * 3)
    np.testing.assert_allclose(means.reshape(3, 4).mean(1), [39.5, 69.5, 99.5], atol=1)
    assert not model.seen.numpy()[12:].any()


@pytest.mark.program
@pytest.mark.parametrize("step", [1, 3, 5, 6, 8])
def test_a_stop_leaves_its_state_and_a_later_call_ends_as_if_there_had_been_none(tiny_stream, tmp_path, step):
    workdir = str(tmp_path / "run")
    stopped = Diary()
    assert stopped.fit_stream(tiny_stream(tasks=3), 4, workdir, [StopAt(step)]) is False
    assert int(stopped.global_step.numpy()) == step
    steps, again = [], Diary()
    spy = callbacks.StepCallback()
    spy.on_step = lambda step, task_step, logs: steps.append(step)
    assert again.fit_stream(tiny_stream(tasks=3), 4, workdir, [spy]) is True
    assert steps == list(range(step + 1, 13))
    straight = _straight(tiny_stream(tasks=3), 4)
    assert again.at() == straight.at() == (3, 0, 12)
    np.testing.assert_array_equal(again.seen.numpy(), straight.seen.numpy())


@pytest.mark.program
def test_a_stop_is_held_until_it_is_taken_back(tiny_stream):
    model = Diary()
    assert not model.fit_stream(tiny_stream(tasks=1), 4, callbacks=[StopAt(2)])
    model.stop_requested = False
    assert model.fit_stream(tiny_stream(tasks=1), 4) and model.at() == (1, 0, 4)


@pytest.mark.program
def test_a_crash_goes_back_to_the_last_checkpoint_and_not_further(tiny_stream, tmp_path):
    workdir = str(tmp_path / "run")
    with pytest.raises(KeyboardInterrupt):
        Diary().fit_stream(
            tiny_stream(tasks=2), 5, workdir, [StopAt(9, KeyboardInterrupt())], checkpoint_every=2
        )
    steps, again = [], Diary()
    spy = callbacks.StepCallback()
    spy.on_step = lambda step, task_step, logs: steps.append((step, task_step))
    assert again.fit_stream(tiny_stream(tasks=2), 5, workdir, [spy])
    assert steps == [(9, 4), (10, 5)]
    np.testing.assert_array_equal(again.seen.numpy(), _straight(tiny_stream(tasks=2), 5).seen.numpy())


@pytest.mark.program
def test_a_run_stops_after_the_task_asked_for_and_goes_on(tiny_stream, tmp_path):
    workdir, stream = str(tmp_path / "run"), tiny_stream(tasks=3)
    model = Diary()
    assert model.fit_stream(stream, 2, workdir, [], stop_after_task=1) is True
    assert model.at() == (2, 0, 4)
    again = Diary()
    assert again.fit_stream(stream, 2, workdir, [], stop_after_task=1) is True
    assert again.at() == (2, 0, 4) and again.begun == []
    assert again.fit_stream(stream, 2, workdir, []) is True
    assert again.at() == (3, 0, 6) and again.begun == [2]


def _notes(name, calls, raises_at=None):
    def note(boundary):
        task = boundary.task
        assert boundary.model.at()[:2] == (task.index + 1, 0) and boundary.stream.tasks[task.index] is task
        calls.append((name, task.index))
        if task.index == raises_at:
            raise OSError("no space left")

    return note


@pytest.mark.program
def test_boundary_callbacks_are_called_once_per_task_in_order(tiny_stream, tmp_path):
    calls, workdir = [], str(tmp_path / "run")
    boundary = [_notes("a", calls), _notes("b", calls)]
    Diary().fit_stream(tiny_stream(tasks=3), 2, workdir, [], boundary)
    expected = [(name, i) for i in range(3) for name in "ab"]
    assert calls == expected
    Diary().fit_stream(tiny_stream(tasks=3), 2, workdir, [], boundary)  # nothing is left to do
    assert calls == expected


@pytest.mark.program
def test_boundary_callbacks_of_the_last_finished_task_come_again_after_a_crash(tiny_stream, tmp_path):
    calls, workdir = [], str(tmp_path / "run")
    with pytest.raises(OSError):
        Diary().fit_stream(tiny_stream(tasks=3), 2, workdir, [], [_notes("a", calls), _notes("b", calls, 1)])
    assert calls == [("a", 0), ("b", 0), ("a", 1), ("b", 1)]
    again = Diary()
    again.fit_stream(tiny_stream(tasks=3), 2, workdir, [], [_notes("a", calls), _notes("b", calls)])
    assert calls[4:] == [("a", 1), ("b", 1), ("a", 2), ("b", 2)]
    assert again.begun == [2] and again.at() == (3, 0, 6)


@pytest.mark.program
def test_a_stop_among_the_boundary_callbacks_leaves_the_rest_for_later(tiny_stream, tmp_path):
    calls, workdir, model = [], str(tmp_path / "run"), Diary()

    def stop(boundary):
        boundary.model.stop_requested = True

    assert not model.fit_stream(
        tiny_stream(tasks=2), 2, workdir, [], [_notes("a", calls), stop, _notes("b", calls)]
    )
    assert calls == [("a", 0)] and model.at() == (1, 0, 2)
    assert Diary().fit_stream(tiny_stream(tasks=2), 2, workdir, [], [_notes("a", calls), _notes("b", calls)])
    assert calls[1:] == [("a", 0), ("b", 0), ("a", 1), ("b", 1)]


@pytest.mark.program
def test_a_task_learnt_again_has_its_boundary_again(tiny_stream, tmp_path):
    """Its newest checkpoint is lost, so the run goes back to before the last task's end."""
    calls, workdir = [], str(tmp_path / "run")
    Diary().fit_stream(tiny_stream(tasks=2), 2, workdir, [], [_notes("a", calls)])
    shutil.rmtree(checkpoints.checkpoints(workdir)[0])
    again = Diary()
    again.fit_stream(tiny_stream(tasks=2), 2, workdir, [], [_notes("a", calls)])
    assert again.begun == [1]
    assert calls == [("a", 0), ("a", 1), ("a", 1)]


@pytest.mark.program
def test_boundary_callbacks_are_called_without_a_workdir_too(tiny_stream):
    calls, model = [], Diary()
    model.fit_stream(tiny_stream(tasks=2), 2, boundary_callbacks=[_notes("a", calls)], stop_after_task=0)
    model.fit_stream(tiny_stream(tasks=2), 2, boundary_callbacks=[_notes("a", calls)])
    assert calls == [("a", 0), ("a", 1)]


@pytest.mark.program
def test_a_row_of_scores_has_the_learnt_tasks_alone(tiny_model, tiny_stream):
    model, stream = tiny_model(), tiny_stream(tasks=3)
    model.task_index.assign(2)
    rows = model.evaluate_stream(stream)
    assert list(rows) == ["set0.npz", "set1.npz"]
    for task in stream.tasks[:2]:
        test = np.float32(task.test_images()) / 127.5 - 1
        assert rows[task.name] == pytest.approx(likelihood.nlog(model.student, test), rel=1e-5)
        assert rows[task.name]["images"] == 12
    few = evaluation.Evaluator(parts=("likelihood",), test_images=5)
    assert {row["images"] for row in model.evaluate_stream(stream, few).values()} == {5}
    assert tiny_model(student=False).evaluate_stream(stream) == {"set0.npz": {}}


@pytest.mark.program
def test_boundary_callbacks_are_prepared_once_before_the_first_step(tiny_model, tiny_stream, tmp_path):
    calls, workdir = [], str(tmp_path / "run")

    class Prepared:
        def prepare(self, stream, workdir):
            calls.append(("prepare", len(stream.tasks), workdir))

        def __call__(self, boundary):
            calls.append(boundary.task.index)

    stream = tiny_stream(tasks=2)
    for last in (0, 1):
        model = tiny_model()
        model.compile(run_eagerly=True)
        model.fit_stream(stream, 1, workdir, [], [Prepared()], stop_after_task=last)
    assert calls == [("prepare", 2, workdir), 0, 1]


def test_scores_read_no_data_of_later_tasks(tiny_model, tiny_stream, tmp_path):
    stream, model = tiny_stream(tasks=3), tiny_model()
    (tmp_path / "set2.npz").write_bytes(b"broken")
    model.task_index.assign(2)
    assert len(model.evaluate_stream(stream)) == 2


@pytest.mark.program
def test_a_file_that_breaks_while_it_is_learnt_is_named(tiny_model, tmp_path, monkeypatch):
    monkeypatch.setattr(folders, "IN_MEMORY_FILES", 0)
    for i in range(20):
        pixels = np.random.default_rng(i).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{i}.png")
    stream, model = streams.TaskStream([f"folder:{tmp_path}"], (8, 8, 3), batch_size=8), tiny_model()
    model.compile()
    victim = (
        tmp_path / folders.Folder(str(tmp_path)).names[int(np.argmin(folders.Folder(str(tmp_path)).is_test))]
    )
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 255
    victim.write_bytes(data)
    with pytest.raises(ValueError, match=rf"{victim.name} is broken .*with --skip_broken_images \(.*\)\.$"):
        model.fit_stream(stream, 5, callbacks=[])


def test_noise_follows_the_law_asked_for():
    model = Diary()
    unit = model.noise(500, 4000, 1, law="unit").numpy()
    assert (
        unit.min() >= 0
        and unit.max() < 1
        and abs(unit.mean() - 0.5) < 0.02
        and abs(unit.std() - 12**-0.5) < 0.01
    )
    uniform = model.noise(500, 4000, 1, law="uniform").numpy()
    np.testing.assert_allclose(uniform, 2 * unit - 1, atol=1e-6)
    normal = model.noise(500, 4000, 1).numpy()
    assert abs(normal.mean()) < 0.05 and abs(normal.std() - 1) < 0.05 and np.abs(normal).max() > 3
    assert normal.dtype == unit.dtype == np.float32


def test_seeds_and_tags_do_not_meet():
    """Seed 0 with a tag of 999 and seed 1 with a tag of 0 are neighbours, not equals."""
    draws = [Diary(seed).noise(tag, 4, 3).numpy() for seed in (0, 1) for tag in (0, 1, 999)]
    assert len({draw.tobytes() for draw in draws}) == 6


def test_replicas_share_out_the_noise_of_the_global_batch():
    """With 2 draws a replica has its rows of the first batch and then those of the second."""
    whole = Diary(4).noise(7, 2 * 6, 5, draws=2).numpy().reshape(2, 6, 5)
    names = [device.name for device in tf.config.list_logical_devices("CPU")]
    strategy = tf.distribute.MirroredStrategy(names)
    with strategy.scope():
        model = Diary(4)
    parts = strategy.experimental_local_results(strategy.run(lambda: model.noise(7, 2 * 3, 5, draws=2)))
    assert len(parts) == 2
    for replica, part in enumerate(parts):
        rows = whole[:, 3 * replica : 3 * replica + 3].reshape(6, 5)
        np.testing.assert_array_equal(part, rows)


@pytest.mark.program
def test_one_compiled_function_is_kept_per_trace_key(tiny_stream):
    model = _straight(tiny_stream(tasks=4), 1)
    assert set(model._train_functions) == {0, 1}
    first, second = (model._train_functions[key] for key in (0, 1))
    model.task_index.assign(0)
    assert model.make_train_function() is first and model.traced_task == 0
    model.task_index.assign(3)
    assert model.make_train_function() is second and model.traced_task == 3


def test_the_first_step_that_was_not_finite_is_named():
    class Two(Diary):
        watched = ("one", "two")

    model = Two()
    model.raise_if_nonfinite()
    for one, two in ((1, 1), (1, np.inf), (np.nan, np.inf), (1, 1)):
        model.end_step({"one": tf.constant(one, tf.float32), "two": tf.constant(two, tf.float32)})
    np.testing.assert_array_equal(model.nonfinite_steps.numpy(), [2, 1])
    assert model.at() == (0, 4, 4)
    with pytest.raises(lt.NonFiniteError, match="^two stopped being finite at global step 2\\b"):
        model.raise_if_nonfinite()


def test_xla_is_refused_where_operations_are_to_be_deterministic():
    model, before = Diary(), config.is_op_determinism_enabled()
    tf.config.experimental.enable_op_determinism()
    try:
        with pytest.raises(ValueError, match="jit_compile is True, but op determinism is enabled"):
            model.compile(optimizer=None, jit_compile=True)
    finally:
        if not before:
            config.disable_op_determinism()


@pytest.mark.program
def test_callbacks_get_tensors_so_that_no_step_waits_for_the_device(tiny_stream):
    class Keep(callbacks.StepCallback):
        kinds = set()

        def on_step(self, step, task_step, logs):
            self.kinds |= {type(value) for value in logs.values()}

    keep = Keep()
    Diary().fit_stream(tiny_stream(tasks=1), 2, callbacks=[keep])
    assert keep.kinds and all(issubclass(kind, tf.Tensor) for kind in keep.kinds)


@pytest.mark.program
def test_a_boundary_of_a_state_that_was_lost_is_done_again_even_if_it_dies(tiny_stream, tmp_path):
    """The newest checkpoint is lost; the task is learnt again, its boundary dies, and is done at last."""
    workdir, stream, calls = str(tmp_path / "run"), tiny_stream(tasks=1), []

    def note(boundary):
        calls.append(boundary.task.index)
        if len(calls) == 2:
            raise RuntimeError("dies")

    Diary().fit_stream(stream, 4, workdir, [], [note], checkpoint_every=2)
    shutil.rmtree(checkpoints.checkpoints(workdir)[0])
    with pytest.raises(RuntimeError, match="dies"):
        Diary().fit_stream(stream, 4, workdir, [], [note], checkpoint_every=2)
    Diary().fit_stream(stream, 4, workdir, [], [note], checkpoint_every=2)
    assert calls == [0, 0, 0]
