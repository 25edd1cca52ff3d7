"""What `ltgans explore` shows: images, sheets and sentences of a run, without gradio and without a page."""

import json

import numpy as np
import pytest
from PIL import Image

from ltgans_tf import loading
from ltgans_tf.data import images
from ltgans_tf.networks import code_paths
from ltgans_tf.trainers import explored
from ltgans_tf.trainers.reporting import html_page
from tests import fake_runs, tiny

TASKS = ("digits", "glyphs")


@pytest.fixture(scope="module")
def model():
    """An untrained model that counts two tasks of three as learnt."""
    model = tiny.make_model(domain_dim=4)
    model.domain_names = [*TASKS, "textures"]
    model.task_index.assign(2)
    return model


@pytest.fixture
def run(model, tmp_path, monkeypatch):
    """Returns a function that makes the `Explored` of a workdir in which two tasks have ended; model=... replaces its model."""

    def make(model=model, boundaries=2):
        monkeypatch.setattr(loading, "load", lambda path, method: model)
        workdir = tmp_path / "pets"
        fake_runs.make_run(workdir, TASKS)
        config = json.loads((workdir / "config.json").read_text())
        config["stream"] |= {"image_shape": [8, 8, 3], "fit": "pad", "upright": True}
        (workdir / "config.json").write_text(json.dumps(config))
        (workdir / "boundary").mkdir(exist_ok=True)
        for i in range(boundaries):
            _keep(workdir / "boundary" / f"task_{i:02d}.npz", i)
        return explored.Explored(str(workdir))

    return make


def _keep(path, index):
    """Keeps images after the task at `index`: those of domain j, three of each, are of the grey 100 * index + 10 * j."""
    domains = np.repeat(np.arange(index + 1), 3)
    made = (
        np.zeros([len(domains), 8, 8, 3], np.uint8)
        + np.uint8(100 * index + 10 * domains)[:, None, None, None]
    )
    np.savez(path, images=made, domains=domains, task=TASKS[index], latents_seed=0)


def _picture(folder, size=(20, 10)):
    path = folder / "a cat.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)).save(path)
    return str(path)


def test_drawn_images_are_those_of_the_model(run, model):
    shown = run()
    for number, name in enumerate(TASKS, 1):
        ((said, made),) = shown.draw(number, 5, seed=3)
        assert said == name
        np.testing.assert_array_equal(made, images.to_uint8(model.sample(5, 3, name)))
    assert [name for name, _ in shown.draw(None, 2)] == list(TASKS)
    assert (shown.draw(1, 5, 4)[0][1] != shown.draw(1, 5, 3)[0][1]).any()


def test_truncation_takes_the_noise_and_leaves_the_domain(run):
    shown = run()
    first, second = (made for _, made in shown.draw(None, 4, truncation=0.0))
    assert (first == first[:1]).all() and (second == second[:1]).all() and (first != second).any()


@pytest.mark.parametrize(
    "asked, sentence",
    [
        ({"count": 0}, "the number of images is 0; give one from 1 to 64."),
        ({"count": 65}, "the number of images is 65;"),
        ({"seed": None}, "the seed is empty; give one from 0 to 4294967295."),
        ({"seed": -1}, "the seed is -1;"),
        ({"seed": 0.5}, "the seed is 0.5;"),
        ({"domain": 3}, "the number of the domain is 3; give one from 1 to 2."),
        ({"truncation": 1.5}, "the truncation is 1.5; give one from 0 to 1."),
    ],
)
def test_numbers_out_of_range_get_a_sentence(run, asked, sentence):
    with pytest.raises(ValueError, match=sentence):
        run().draw(**{"domain": 1, **asked})


def test_over_time_a_domain_begins_with_its_own_task(run):
    shown = run()
    (first, made), (second, later) = shown.over_time(1, 2)
    assert (first, second) == ("after task 1 (digits)", "after task 2 (glyphs)")
    assert made.shape == (2, 8, 8, 3) and (made == 0).all() and (later == 100).all()
    ((only, made),) = shown.over_time(2, 8)
    assert only == "after task 2 (glyphs)" and len(made) == 3 and (made == 110).all()


def test_without_domain_codes_all_are_shown_together(run):
    shown = run(_model_without_codes())
    assert shown.domains == []
    ((name, made),) = shown.draw(None, 3)
    assert name == "all domains together" and len(made) == 3
    assert [len(made) for _, made in shown.over_time(None, 64)] == [3, 6]
    assert shown.end(None, 3)[0] == "seed 3"


def _model_without_codes():
    model = tiny.make_model(student=False, domain_dim=0)
    model.domain_names = list(TASKS)
    model.task_index.assign(2)
    return model


def test_scores_are_those_of_the_report(run):
    said = run().scores()
    assert isinstance(said, html_page.Markup)
    for words in ("Score of each task after each task", "What was lost", "NLOG", "after glyphs", "<img "):
        assert words in said, words


def test_before_the_first_boundary_and_of_an_export_a_sentence_says_so(run, model, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="pets has not ended its first task"):
        run(boundaries=0).over_time(1)
    assert run(boundaries=0).scores() == ""
    with pytest.raises(ValueError, match="textures is not learnt yet"):
        shown = run()
        shown.domains.append("textures")
        shown.over_time(3)
    monkeypatch.setattr(type(model), "fit", "crop", raising=False)
    monkeypatch.setattr(type(model), "upright", True, raising=False)
    exported = explored.Explored(str(tmp_path))
    assert not exported.is_run
    for ask in (exported.over_time, exported.scores):
        with pytest.raises(ValueError, match="give the workdir of a run"):
            ask()


def test_between_has_both_paths_through_the_codes(run, model, tmp_path):
    shown = run()
    first, last = shown.end(1, 5), shown.end(file=_picture(tmp_path))
    assert (first[0], last[0]) == ("digits", "a cat.png")
    sheet = shown.between(first, last, steps=3)
    codes = model.student.encode(images.normalize(np.stack([first[1], last[1]]))).mean()
    for kind in code_paths.KINDS:
        middle = images.to_uint8(
            model.student.decode(code_paths.interpolate(*codes.numpy(), 3, kind)[1:2])
        ).numpy()[0]
        assert _contains(sheet, middle.repeat(8, 0).repeat(8, 1)), kind
    assert _contains(sheet, last[1].repeat(8, 0).repeat(8, 1))


def _contains(sheet, image):
    """Returns whether an image stands somewhere in a sheet."""
    height, width, _ = image.shape
    ys, xs = np.nonzero((sheet[: 1 - height, : 1 - width] == image[0, 0]).all(-1))
    return any(np.array_equal(sheet[y : y + height, x : x + width], image) for y, x in zip(ys, xs))


def test_an_upload_is_prepared_as_the_run_prepared_its_images(run, model, tmp_path):
    shown, path = run(), _picture(tmp_path)
    (name, given), (said, rebuilt) = shown.rebuild(path)
    wanted = images.fit_image(np.asarray(Image.open(path)), (8, 8, 3), "pad")
    np.testing.assert_array_equal(given[0], wanted)
    codes = model.student.encode(images.normalize(wanted[None])).mean()
    np.testing.assert_array_equal(rebuilt, images.to_uint8(model.student.decode(codes)))
    assert name == "a cat.png, as it is encoded" and said == "rebuilt from its code of 3 numbers"


def test_a_broken_upload_gets_a_sentence_that_names_it(run, tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    with pytest.raises(ValueError, match="^broken.jpg is broken or not an image.$"):
        run().rebuild(str(tmp_path / "broken.jpg"))
    with pytest.raises(ValueError, match="^a cat.png has 2x9 pixels"):
        run().end(file=_picture(tmp_path, (2, 9)))


def test_without_a_student_a_sentence_says_so(run, tmp_path):
    shown = run(_model_without_codes())
    with pytest.raises(ValueError, match="pets has no Student"):
        shown.rebuild(_picture(tmp_path))


def test_lines_above_tell_the_run(run):
    shown = run()
    assert shown.title == "pets"
    assert shown.about == "digits → glyphs · images of 8x8 · 2 of 3 tasks learnt"
