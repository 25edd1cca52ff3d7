"""What a run writes while it trains: each point once, whatever happened to the run."""

import json
import os
import re
import shutil
import types

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tensorboard.backend.event_processing import plugin_event_accumulator
from tensorboard.plugins.hparams import plugin_data_pb2

from ltgans_tf.data import images, streams
from ltgans_tf.evaluation import evaluation
from ltgans_tf.figures import sheets
from ltgans_tf.methods import lifelong, twin_gan
from ltgans_tf.training import boundaries, callbacks, checkpoints, loop
from tests.tiny import TINY, make_stream
from tests.training.events import points_of
from tests.training.ramp import Ramp


def _rows(workdir):
    with open(os.path.join(workdir, "metrics.jsonl"), encoding="utf-8") as f:
        return [json.loads(line) for line in f]


def _tensorboard(workdir):
    """What TensorBoard reads the run with, keeping all points."""
    run = plugin_event_accumulator.EventAccumulator(
        os.path.join(workdir, "tensorboard"), tensor_size_guidance={"scalars": 0}
    )
    run.Reload()
    return run


def _scalars(workdir):
    """{tag: [(step, value)]} as TensorBoard shows it."""
    run = _tensorboard(workdir)
    return {
        tag: [(event.step, float(tf.make_ndarray(event.tensor_proto))) for event in run.Tensors(tag)]
        for tag in run.PluginTagToContent("scalars")
    }


def _fit(stream, workdir, every=3, steps=5, **options):
    model = Ramp()
    model.fit_stream(
        stream, steps, workdir, [callbacks.LogMetrics(workdir, every)], checkpoint_every=100, **options
    )
    return model


@pytest.mark.program
def test_points_stand_at_step_1_and_at_multiples_over_all_tasks(tiny_stream, tmp_path):
    workdir = str(tmp_path / "run")
    _fit(tiny_stream(tasks=3), workdir)
    rows = _rows(workdir)
    assert [row["step"] for row in rows] == [1, 3, 6, 9, 12, 15]
    assert [row["task_index"] for row in rows] == [0, 0, 1, 1, 2, 2]
    assert [row["task_step"] for row in rows] == [1, 3, 1, 4, 2, 5]
    assert [row["task"] for row in rows] == [f"set{i}.npz" for i in (0, 0, 1, 1, 2, 2)]
    # Means over the steps of the same task since the point before.
    steps = [[1], [2, 3], [6], [7, 8, 9], [11, 12], [13, 14, 15]]
    assert [row["ramp/loss"] for row in rows] == [np.mean(s) for s in steps]
    assert [row["ramp/square"] for row in rows] == pytest.approx([np.mean(np.square(s)) for s in steps])
    assert all(row["speed/steps_per_second"] > 0 for row in rows)


@pytest.mark.program
def test_tensorboard_has_the_points_of_the_metrics_file(tiny_stream, tmp_path):
    workdir = str(tmp_path / "run")
    _fit(tiny_stream(tasks=2), workdir)
    rows, scalars = _rows(workdir), _scalars(workdir)
    assert set(scalars) == {"ramp/loss", "ramp/square", "speed/steps_per_second"}
    for tag, points in scalars.items():
        assert [step for step, _ in points] == [row["step"] for row in rows] == [1, 3, 6, 9]
        assert [value for _, value in points] == pytest.approx([row[tag] for row in rows], rel=1e-6)


@pytest.mark.program
def test_a_run_that_goes_back_has_every_point_once(tiny_stream, tmp_path):
    workdir = str(tmp_path / "run")
    _fit(tiny_stream(tasks=3), workdir)
    newest = checkpoints.checkpoints(workdir)[0]
    assert newest.endswith("step_000000015")
    shutil.rmtree(newest)
    with open(os.path.join(workdir, "metrics.jsonl"), "a", encoding="utf-8") as f:
        f.write('{"step": 1')  # what a crash leaves of a line
    model = _fit(tiny_stream(tasks=3), workdir)
    assert int(model.global_step.numpy()) == 15
    rows = _rows(workdir)
    assert [row["step"] for row in rows] == [1, 3, 6, 9, 12, 15]
    assert [row["ramp/loss"] for row in rows[-2:]] == [11.5, 14.0]
    tags = ("ramp/loss", "ramp/square", "speed/steps_per_second")
    expected = {(tag, step): 1 for tag in tags for step in (1, 3, 6, 9, 12, 15)}
    settings = {("settings", 0): 1, ("_hparams_/session_start_info", 0): 1}
    assert points_of(workdir) == {**expected, **settings}
    assert {(tag, step): 1 for tag, points in _scalars(workdir).items() for step, _ in points} == expected


@pytest.mark.program
def test_a_run_that_died_within_a_task_has_every_point_once(tiny_stream, tmp_path):
    """It dies at step 8 and goes on from the end of the first task, step 5."""
    workdir = str(tmp_path / "run")

    class Die(callbacks.StepCallback):
        def on_step(self, step, task_step, logs):
            if step == 8:
                raise KeyboardInterrupt

    log = callbacks.LogMetrics(workdir, 2)
    with pytest.raises(KeyboardInterrupt):
        Ramp().fit_stream(tiny_stream(tasks=2), 5, workdir, [log, Die()], checkpoint_every=100)
    assert [row["step"] for row in _rows(workdir)] == [1, 2, 4, 6, 8]
    _fit(tiny_stream(tasks=2), workdir, every=2)
    assert [row["step"] for row in _rows(workdir)] == [1, 2, 4, 6, 8, 10]
    assert sorted(
        step for (tag, step), count in points_of(workdir).items() if tag == "ramp/loss" for _ in range(count)
    ) == [1, 2, 4, 6, 8, 10]


@pytest.mark.program
def test_a_nan_stops_the_run_at_the_next_point(tiny_stream, tmp_path):
    workdir, model = str(tmp_path / "run"), Ramp(nan_at=6)
    with pytest.raises(lifelong.NonFiniteError, match="^ramp loss stopped being finite at global step 6\\b"):
        model.fit_stream(tiny_stream(tasks=1), 30, workdir, [callbacks.LogMetrics(workdir, 4)])
    assert int(model.global_step.numpy()) == 8
    assert [row["step"] for row in _rows(workdir)] == [1, 4]


@pytest.mark.program
def test_a_diverging_gan_is_stopped_within_an_interval(tiny_model, tiny_stream, tmp_path):
    workdir = str(tmp_path / "run")
    model = tiny_model(critic_optimizer="rmsprop(1e30)", student=False)
    with pytest.raises(lifelong.NonFiniteError) as stopped:
        model.fit_stream(tiny_stream(tasks=1), 30, workdir, [callbacks.LogMetrics(workdir, 4)])
    name, step = re.match(r"(.+) stopped being finite at global step (\d+)", str(stopped.value)).groups()
    assert name in ("critic loss", "critic gradient", "generator loss", "generator gradient")
    assert int(step) <= int(model.global_step.numpy()) < int(step) + 4


@pytest.mark.program
def test_checkpoints_come_at_multiples_of_the_global_step(tiny_stream):
    saved, model = [], Ramp()
    run = types.SimpleNamespace(save=lambda model: saved.append(int(model.global_step.numpy())))
    stream = tiny_stream(tasks=2)
    learning = loop.Loop(model, stream, 5, [callbacks.SaveCheckpoints(run, 3)])
    for task in stream.tasks:
        learning.learn(task)
    assert saved == [3, 6, 9]


@pytest.mark.program
@pytest.mark.parametrize("first, last, written", [(2, 3, 1), (5, 8, 1), (11, 12, 0)])
def test_a_profile_of_the_steps_asked_for_is_written(tiny_stream, tmp_path, first, last, written):
    Ramp().fit_stream(  # two tasks of five steps; the second window ends with the first task
        tiny_stream(tasks=2), 5, callbacks=[callbacks.Profile(str(tmp_path), first, last)]
    )
    assert len(list(tmp_path.glob("tensorboard/plugins/profile/*/*.xplane.pb"))) == written


def _png(path):
    with Image.open(path) as image:
        assert image.format == "PNG"
        return np.asarray(image)


@pytest.mark.program
def test_grids_come_at_step_100_and_at_multiples_of_the_task_step(tiny_stream, tmp_path):
    model = Ramp()
    model.fit_stream(tiny_stream(tasks=2), 130, callbacks=[callbacks.SampleGrids(str(tmp_path), 60)])
    names = lambda task: sorted(os.listdir(tmp_path / "samples" / task))
    grids = ["step_000060.png", "step_000120.png"]
    assert names("task_00") == ["reals.png", grids[0], "step_000100.png", grids[1]]
    assert names("task_01") == ["reals.png", *grids]
    # One picture of the same latents each time, in all tasks.
    assert len(model.grids) == 5 and all(np.array_equal(model.grids[0], g) for g in model.grids)
    np.testing.assert_array_equal(model.grids[0], model.progress_latents(64, 0))
    pictures = [
        sheets.grid(images.to_uint8(batch).numpy()) for batch in model.progress_samples(model.grids[0])
    ]
    expected = sheets.side_by_side(pictures).repeat(2, 0).repeat(2, 1)
    np.testing.assert_array_equal(_png(tmp_path / "samples" / "task_01" / grids[1]), expected)
    tags = ("samples/progress", "generator/spread")
    assert points_of(str(tmp_path)) == {(tag, step): 1 for step in (60, 100, 120, 190, 250) for tag in tags}


@pytest.fixture(name="run", scope="module")
def _run(tmp_path_factory):
    """A run of a TwinGAN over three tasks with all that it writes: (model, stream, workdir)."""
    folder = tmp_path_factory.mktemp("callbacks")
    stream, workdir = make_stream(folder), str(folder / "run")
    model = twin_gan.TwinGAN.from_architecture(TINY)
    model.compile(run_eagerly=True)
    evaluator = evaluation.Evaluator(parts=("likelihood",))
    model.fit_stream(
        stream,
        2,
        workdir,
        callbacks.default_callbacks(workdir, 2, 2),
        [boundaries.BoundarySamples(), boundaries.BoundaryScores(evaluator)],
    )
    return model, stream, workdir


@pytest.mark.program
def test_a_run_leaves_the_pictures_that_are_documented(run):
    model, stream, workdir = run
    for task in stream.tasks:
        folder = os.path.join(workdir, "samples", f"task_{task.index:02d}")
        assert sorted(os.listdir(folder)) == [
            "boundary.png",
            "reals.png",
            "reconstructions.png",
            "step_000002.png",
        ]
        reals = sheets.grid(task.train_images(32)).repeat(2, 0).repeat(2, 1)
        np.testing.assert_array_equal(_png(os.path.join(folder, "reals.png")), reals)
    # The last grid was made by the state that the model is still in: the Teacher of the third
    # task, generator 1, stands on the left.
    latents = model.latent_law.draw(64, 0, np.arange(64) * 3 // 64)  # the three domains, one after another
    grids = [
        sheets.grid(images.to_uint8(model.sample_from(model.generators[i], latents)).numpy()) for i in (1, 0)
    ]
    expected = sheets.side_by_side(grids).repeat(2, 0).repeat(2, 1)
    np.testing.assert_array_equal(_png(os.path.join(folder, "step_000002.png")), expected)


@pytest.mark.program
def test_a_reconstruction_stands_below_its_image(run):
    model, stream, workdir = run
    picture = _png(os.path.join(workdir, "samples", "task_02", "reconstructions.png"))[::2, ::2]
    reals = stream.tasks[2].train_images(32)
    rebuilt = images.to_uint8(model.student(images.normalize(reals))).numpy()
    for i in (0, 7, 8, 31):
        y, x = i // 8 * 2 * 10, i % 8 * 10
        np.testing.assert_array_equal(picture[y : y + 8, x : x + 8], reals[i])
        np.testing.assert_allclose(picture[y + 10 : y + 18, x : x + 8].astype(int), rebuilt[i], atol=1)


@pytest.mark.program
def test_tensorboard_stays_at_a_few_groups(run):
    """The settings, as text and as hyperparameters, stand on pages of their own."""
    _, _, workdir = run
    tags = {tag for tag, _ in points_of(workdir)}
    tags -= {"settings", "_hparams_/session_start_info"}
    groups = {tag.partition("/")[0] for tag in tags}
    assert groups == {"critic", "generator", "student", "speed", "samples", "after_each_task"}
    assert all("/" in tag for tag in tags)


@pytest.mark.program
def test_tensorboard_shows_the_settings_of_the_run(run):
    model, _, workdir = run
    reader = _tensorboard(workdir)
    text = tf.make_ndarray(reader.Tensors("settings")[0].tensor_proto).item().decode()
    assert json.loads(text) == checkpoints.read_config(workdir)
    content = reader.PluginTagToContent("hparams")["_hparams_/session_start_info"]
    shown = plugin_data_pb2.HParamsPluginData.FromString(content).session_start_info.hparams
    assert shown["n_critic"].number_value == model.recipe.n_critic == 5
    assert shown["critic_optimizer"].string_value == model.recipe.critic_optimizer
    assert (shown["steps_per_task"].number_value, shown["batch_size"].number_value) == (2, 8)


@pytest.mark.program
def test_all_losses_of_the_model_are_logged(run):
    _, _, workdir = run
    rows = _rows(workdir)
    assert [row["step"] for row in rows] == [1, 2, 4, 6]
    names = {
        "critic/loss",
        "critic/wasserstein",
        "critic/penalty",
        "generator/loss",
        "student/loss",
        "student/sse",
        "student/kl",
    }
    assert all(names <= set(row) and all(np.isfinite(row[name]) for name in names) for row in rows)


@pytest.mark.program
@pytest.mark.parametrize("count", [5, 20])
def test_a_task_of_few_images_has_its_grids(tiny_model, tmp_path, count):
    numbers = np.random.default_rng(0).integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)
    np.savez(tmp_path / "few.npz", train_images=numbers, test_images=numbers)
    model = tiny_model()
    model.task = streams.TaskStream([f"npz:{tmp_path}/few.npz"], (8, 8, 3), 4).tasks[0]
    grids = callbacks.SampleGrids(str(tmp_path / "run"), 1)
    grids.set_model(model)
    grids.on_train_begin()
    grids.on_step(1, 1, {})
    picture = _png(tmp_path / "run" / "samples" / "task_00" / "reconstructions.png")[::2, ::2]
    shown, columns = {5: (5, 5), 20: (16, 8)}[count]
    assert picture.shape == (shown // columns * 2 * 10 - 2, columns * 10 - 2, 3)
    for i in range(shown):
        y, x = i // columns * 2 * 10, i % columns * 10
        np.testing.assert_array_equal(picture[y : y + 8, x : x + 8], numbers[i])


def test_default_callbacks_write_nothing_without_a_workdir(tmp_path):
    assert callbacks.default_callbacks(None) == []
    kinds = [type(callback) for callback in callbacks.default_callbacks(str(tmp_path))]
    # The log is cut back before the first picture is written to it.
    assert kinds == [callbacks.LogMetrics, callbacks.SampleGrids]
    assert all(issubclass(kind, keras.callbacks.Callback) for kind in kinds)
