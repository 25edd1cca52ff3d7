"""Tests of `lt.load` of a run."""

import numpy as np
import pytest

import ltgans_tf as lt
from ltgans_tf import exported
from ltgans_tf.training import workdirs
from tests.methods.diary import Diary


@pytest.mark.program
@pytest.mark.parametrize(
    "recipe",
    [
        {},
        {"critic_heads": 1, "ema": 0.5, "latent_law": "uniform"},
        {"distillation": 0.1, "domain_dim": 4, "warm_start": 0.5},
    ],
)
def test_a_loaded_model_makes_the_images_of_the_trained_one(tiny_model, tiny_stream, tmp_path, recipe):
    workdir, model = str(tmp_path / "run"), tiny_model(seed=3, **recipe)
    model.compile(run_eagerly=True)
    model.fit_stream(tiny_stream(tasks=2), 1, workdir, [])
    loaded = lt.load(workdir)
    assert isinstance(loaded, lt.TwinGAN) and loaded.recipe == model.recipe
    np.testing.assert_array_equal(loaded.sample(5, seed=2), model.sample(5, seed=2))
    images = tiny_stream(tasks=2).tasks[0].test_images(4) / np.float32(127.5) - 1
    np.testing.assert_array_equal(loaded.student(images), model.student(images))
    assert not np.array_equal(loaded.sample(5, seed=2), tiny_model(seed=3, **recipe).sample(5, seed=2))


def test_loading_from_where_nothing_is_says_what_to_give(tmp_path):
    for path in (tmp_path, tmp_path / "not there"):
        with pytest.raises(
            ValueError, match=r"^\S.* holds neither a run .* give the workdir .*\.$"
        ) as refusal:
            lt.load(str(path))
        assert str(path) in str(refusal.value) and "\n" not in str(refusal.value)


def test_loading_a_run_without_checkpoint_says_so(tiny_model, tiny_stream, tmp_path):
    workdir, model = str(tmp_path / "run"), tiny_model()
    settings = {"model": model.get_settings(), "stream": tiny_stream().get_settings()}
    with workdirs.open_workdir(workdir, settings):
        pass
    with pytest.raises(ValueError, match="has no checkpoint"):
        lt.load(workdir)


def test_an_export_is_loaded_where_there_is_no_run(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(exported, "load", lambda path: asked.append(path) or "an export")
    assert lt.load(str(tmp_path)) == "an export" and asked == [str(tmp_path)]


@pytest.mark.program
def test_a_run_of_an_own_method_is_told_apart_when_it_is_loaded(tiny_stream, tmp_path):
    Diary().fit_stream(tiny_stream(tasks=1), 2, str(tmp_path / "run"), [])
    with pytest.raises(ValueError, match="method 'diary'"):
        lt.load(str(tmp_path / "run"))
