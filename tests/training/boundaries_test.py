"""What is kept after each task, and that keeping it twice changes nothing."""

import glob
import json
import os
import shutil

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tensorboard.backend.event_processing import plugin_event_accumulator

import ltgans_tf as lt
from ltgans_tf.data import images, streams
from ltgans_tf.evaluation import evaluation, row, scores
from ltgans_tf.figures import sheets
from ltgans_tf.methods import twin_gan
from ltgans_tf.settings import architectures, presets
from ltgans_tf.training import boundaries, callbacks
from tests import fake_runs
from tests.tiny import TINY, make_stream
from tests.training.events import points_of

pytestmark = pytest.mark.program
_DEFAULT = boundaries.default_callbacks  # before the tests do without


def _evaluator():
    return evaluation.Evaluator(test_images=10, samples=30, parts=("likelihood", "distances"))


@pytest.fixture(name="run", scope="module")
def _run(tmp_path_factory):
    """Two tasks learnt, with samples and scores after each: (model, stream, workdir)."""
    folder = tmp_path_factory.mktemp("boundaries")
    stream, workdir = make_stream(folder, tasks=2), str(folder / "run")
    model = twin_gan.TwinGAN.from_architecture(TINY, recipe=presets.Recipe(domain_dim=4))
    model.compile(run_eagerly=True)
    first_row = []
    boundary = [
        boundaries.BoundarySamples(),
        boundaries.BoundaryScores(_evaluator()),
        lambda boundary: first_row.append(
            (_fixed(boundary.model), boundary.model.evaluate_stream(boundary.stream, _evaluator()))
        ),
    ]
    model.fit_stream(stream, 3, workdir, [], boundary)
    return model, stream, workdir, first_row


def _fixed(model):
    """128 images of each domain learnt."""
    return np.concatenate([model.sample(128, 0, i + 1) for i in range(int(model.task_index.numpy()))])


def _png(*path):
    with Image.open(os.path.join(*path)) as image:
        return np.asarray(image)


def test_the_images_of_the_fixed_latents_are_stored(run):
    _, stream, workdir, seen = run
    for task, (samples, _) in zip(stream.tasks, seen, strict=True):
        with np.load(os.path.join(workdir, "boundary", f"task_{task.index:02d}.npz")) as stored:
            count = 128 * (task.index + 1)
            assert stored["images"].dtype == np.uint8 and stored["images"].shape == (count, 8, 8, 3)
            np.testing.assert_array_equal(stored["images"], images.to_uint8(samples))
            np.testing.assert_array_equal(stored["domains"], np.arange(count) // 128)
            assert int(stored["latents_seed"]) == 0 and str(stored["task"]) == task.name
        lines = np.concatenate([samples[start : start + 8] for start in range(0, count, 128)])
        picture = sheets.grid(images.to_uint8(lines).numpy()).repeat(2, 0).repeat(2, 1)
        np.testing.assert_array_equal(
            _png(workdir, "samples", f"task_{task.index:02d}", "boundary.png"), picture
        )
    assert not np.array_equal(seen[0][0], seen[1][0][:128])
    assert not glob.glob(os.path.join(workdir, "boundary", ".tmp*"))


def test_images_of_64_pixels_stay_below_a_megabyte(tmp_path, tiny_stream):
    arch = architectures.Architecture("tiny64", 64, 4, 3, (2, 4), ((4, 2),) * 5, (4, 4))
    model = twin_gan.TwinGAN.from_architecture(arch, student=False, recipe=presets.Recipe())
    stream = tiny_stream(tasks=1)
    boundaries.BoundarySamples()(boundaries.Boundary(model, stream, stream.tasks[0], str(tmp_path)))
    file = tmp_path / "boundary" / "task_00.npz"
    with np.load(file) as stored:
        count = len(stored["images"])
        assert stored["images"].shape[1:] == (64, 64, 3) and stored["images"].dtype == np.uint8
        np.testing.assert_array_equal(stored["images"], images.to_uint8(model.sample(count, 0)))
    assert count >= 64 and os.path.getsize(file) <= 1_000_000
    assert (tmp_path / "figures" / "stream.png").exists()


def test_the_stream_sheet_has_one_strip_per_task(run):
    _, stream, workdir, seen = run
    sheet = _png(workdir, "figures", "stream.png")[::2, ::2]
    # A caption and, of each domain learnt, a line of 16 images.
    assert sheet.shape == ((14 + 8) + 8 + (14 + 18), 16 * 10 - 2, 3)
    for i, (samples, _) in enumerate(seen):
        lines = np.concatenate([samples[start : start + 16] for start in range(0, len(samples), 128)])
        top = i * (14 + 8 + 8) + 14
        strip = sheets.grid(images.to_uint8(lines).numpy(), columns=16)
        np.testing.assert_array_equal(sheet[top : top + 10 * (i + 1) - 2], strip)


def test_the_row_of_scores_is_that_of_the_model_after_its_task(run):
    _, stream, workdir, seen = run
    for task, (_, found) in zip(stream.tasks, seen, strict=True):
        with open(
            os.path.join(workdir, "eval", f"task_{task.index:02d}", "scores.json"), encoding="utf-8"
        ) as f:
            row = json.load(f)
        assert (row["after_task"], row["task"], row["step"]) == (task.index, task.name, 3 * (task.index + 1))
        assert row["protocol"] == "research"
        assert list(row["scores"]) == [t.name for t in stream.tasks[: task.index + 1]]
        for name, score in row["scores"].items():
            assert score == pytest.approx(found[name], rel=1e-5)
            assert {"nlog", "mean_image_nlog", "kcd_drawn"} <= set(score) and score["images"] == 10
            assert "640 are needed" in row["absent"][name]["fcd"]


def test_the_extractor_is_made_before_the_first_task(tmp_path, tiny_model, tiny_stream):
    stream, model, seen = tiny_stream(tasks=2), tiny_model(), []

    class Scores(boundaries.BoundaryScores):
        def prepare(self, stream, workdir):
            super().prepare(stream, workdir)
            made = os.path.isfile(os.path.join(workdir, "eval", "extractor.npz"))
            seen.append((int(model.global_step.numpy()), made))

    workdir = str(tmp_path / "run")
    model.fit_stream(stream, 2, workdir, [], [Scores(_evaluator())], stop_after_task=0)
    model.fit_stream(stream, 2, workdir, [], [Scores(_evaluator())])  # resumes: the extractor is there
    assert seen == [(0, True)]
    shas = set()
    for index in range(2):
        with open(os.path.join(workdir, "eval", f"task_{index:02d}", "scores.json"), encoding="utf-8") as f:
            shas.add(json.load(f)["extractor"]["sha256"])
    assert len(shas) == 1


def _expected():
    """What TensorBoard must have: each (tag, step) once."""
    tags = {"kept": (3, 6), "samples": (3, 6), "forgotten_nlog": (6,)}
    return {(f"after_each_task/{tag}", step): 1 for tag, steps in tags.items() for step in steps}


def test_tensorboard_has_each_boundary_once(run):
    _, _, workdir, _ = run
    assert points_of(workdir) == _expected()


def _values(workdir, plugin):
    """{tag: {step: value}} of one of TensorBoard's plugins."""
    shown = plugin_event_accumulator.EventAccumulator(os.path.join(workdir, "tensorboard"))
    shown.Reload()
    return {
        tag: {event.step: tf.make_ndarray(event.tensor_proto).flat[0] for event in shown.Tensors(tag)}
        for tag in shown.PluginTagToContent(plugin)
    }


def test_tensorboard_tells_what_is_forgotten(tmp_path):
    nlog = fake_runs.change_scores([[100.0], [90.0, 200.0], [120.0, 204.0, 50.0]])
    workdir = fake_runs.make_run(tmp_path / "run", ("digits", "glyphs", "one|two"), change=nlog)
    for index in range(3):
        boundaries.keep_row(workdir, row.Row.load(row.row_path(workdir, index)))
    scalars = _values(workdir, "scalars")
    assert scalars["after_each_task/forgotten_nlog"] == {200: -10.0, 300: 17.0}  # (30 + 4) / 2
    assert scalars["after_each_task/fcd_of_all"].keys() == {100, 200, 300}
    lines = _values(workdir, "text")["after_each_task/kept"][300].decode().splitlines()
    assert lines[0].startswith("| task | NLOG, lower is better | FCD, lower is better |")
    assert [line.split(" | ")[:2] for line in lines[2:]] == [
        ["| 1 digits", "100.0, now 120.0"],
        ["| 2 glyphs", "200.0, now 204.0"],
        ["| 3 one\\|two", "50.0, now 50.0"],
    ]


def test_a_damaged_earlier_row_does_not_end_the_run(tmp_path, caplog):
    workdir = fake_runs.make_run(tmp_path / "run")
    with open(row.row_path(workdir, 0), "w", encoding="utf-8") as file:
        file.write("{")
    boundaries.keep_row(workdir, row.Row.load(row.row_path(workdir, 2)))
    assert "TensorBoard goes without what is kept after textures" in caplog.text


@pytest.mark.parametrize("tasks", [3, 12])
def test_the_first_view_of_tensorboard_has_at_most_30_tags(tmp_path, tiny_model, tasks):
    """With all scores that there are, and the losses of a method that has most."""
    pictures = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3), dtype=np.uint8)
    stream = streams.TaskStream({f"set{i}": pictures ^ np.uint8(i) for i in range(tasks)}, (8, 8, 3), 8)
    workdir = str(tmp_path / "run")
    model = tiny_model(domain_dim=4, distillation=0.1)
    model.fit_stream(
        stream, 2, workdir, callbacks.default_callbacks(workdir, 1, 1), stop_after_task=1, checkpoint_every=9
    )
    names = [task.name for task in stream.tasks]
    model.domain_names = names
    for task in stream.tasks:
        model.task_index.assign(task.index + 1)
        boundaries.BoundarySamples()(boundaries.Boundary(model, stream, task, workdir))
        known = dict.fromkeys(scores.SCORES, 1.0)
        kept = {"after_task": task.index, "task": task.name, "step": task.index + 9}
        boundaries.keep_row(
            workdir, row.Row(**kept, scores=dict.fromkeys(names[: task.index + 1], known), union=known)
        )
    shown = {*_values(workdir, "scalars"), *_values(workdir, "images")}
    assert {"critic/loss", "student/loss", "samples/progress", "after_each_task/samples"} < shown
    assert min(shown).startswith("after_each_task/") and len(shown) <= 30, sorted(shown)


def test_a_boundary_kept_twice_is_kept_once(run):
    model, stream, workdir, _ = run
    paths = [
        os.path.join(workdir, *path)
        for path in (
            ("boundary", "task_01.npz"),
            ("samples", "task_01", "boundary.png"),
            ("figures", "stream.png"),
            ("eval", "task_01", "scores.json"),
        )
    ]
    before, row = [open(path, "rb").read() for path in paths[1:-1]], _row(paths[-1])
    for callback in (boundaries.BoundarySamples(), boundaries.BoundaryScores(_evaluator())):
        callback(boundaries.Boundary(model, stream, stream.tasks[1], workdir))
    assert points_of(workdir) == _expected()
    assert [open(path, "rb").read() for path in paths[1:-1]] == before
    again = _row(paths[-1])
    assert again.pop("seconds").keys() == row.pop("seconds").keys() and again == row
    with np.load(paths[0]) as stored:
        np.testing.assert_array_equal(stored["images"], images.to_uint8(_fixed(model)))


def _row(path):
    with open(path, encoding="utf-8") as f:
        return json.load(f)


def test_likelihoods_without_a_student_are_absent(tmp_path, tiny_model, tiny_stream):
    stream, model = tiny_stream(tasks=1), tiny_model(student=False)
    evaluator = evaluation.Evaluator(parts=("likelihood",))
    boundary = boundaries.Boundary(model, stream, stream.tasks[0], str(tmp_path))
    boundaries.BoundaryScores(evaluator)(boundary)
    row = _row(tmp_path / "eval" / "task_00" / "scores.json")
    assert boundary.row.as_json() == row
    assert row["scores"] == {"set0.npz": {}}
    assert row["absent"] == {"set0.npz": {"likelihood": "The model has no Student."}}
    assert not points_of(str(tmp_path))


def test_damaged_samples_of_an_earlier_task_are_left_out_of_the_sheet(run, tmp_path, caplog):
    model, stream, workdir, _ = run
    copy = shutil.copytree(workdir, tmp_path / "run")
    sheet = copy / "figures" / "stream.png"
    with Image.open(sheet) as picture:
        height = picture.height
    (copy / "boundary" / "task_00.npz").write_bytes(b"nothing")
    boundaries.BoundarySamples()(boundaries.Boundary(model, stream, stream.tasks[1], str(copy)))
    assert "task_00.npz is damaged" in caplog.text
    with Image.open(sheet) as picture:
        assert picture.height < height


def test_scores_without_an_evaluator_are_quick_and_say_when_they_are_taken(run, tmp_path, capsys):
    model, stream, _, _ = run
    default = boundaries.BoundaryScores()
    default.prepare(stream, str(tmp_path))
    assert "training the classifier" in capsys.readouterr().out
    default(boundaries.Boundary(model, stream, stream.tasks[1], str(tmp_path)))
    assert (
        capsys.readouterr().out
        == f"measuring what the model draws and encodes after {stream.tasks[1].name}\n"
    )
    with open(tmp_path / "eval" / "task_01" / "scores.json", encoding="utf-8") as f:
        assert json.load(f)["settings"]["samples"] == 1280


@pytest.mark.parametrize("given", [{}, {"boundary_callbacks": []}])
def test_fit_stream_keeps_scores_unless_it_is_told_not_to(tmp_path, tiny_model, monkeypatch, given):
    monkeypatch.setattr(boundaries, "default_callbacks", _DEFAULT)
    pictures = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3), dtype=np.uint8)
    stream = streams.TaskStream({"one": pictures, "two": 255 - pictures}, (8, 8, 3), 8)
    workdir = str(tmp_path / "run")
    tiny_model(domain_dim=4).fit_stream(stream, 2, workdir, **given)
    assert os.path.exists(os.path.join(workdir, "boundary", "task_01.npz")) == (not given)
    if given:
        with pytest.raises(ValueError, match="has no scores"):
            lt.score_matrix(workdir)
    else:
        assert np.isfinite(lt.score_matrix(workdir)["nlog"].values[np.tril_indices(2)]).all()


def test_a_stream_without_a_workdir_has_no_default_scores():
    assert _DEFAULT(None) == []
