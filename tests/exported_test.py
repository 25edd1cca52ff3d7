"""Loading an export: it does what the model did, and says so where it can't."""

import json
import os
import shutil

import numpy as np
import pytest
import tensorflow as tf

import ltgans_tf
from ltgans_tf import exported
from ltgans_tf.export import push, versions
from ltgans_tf.methods import twin_gan
from ltgans_tf.settings import presets
from tests.tiny import TINY, UNTRIED


def _push(base, student=True, tasks=1, **recipe):
    model = twin_gan.TwinGAN.from_architecture(TINY, 3, student, presets.Recipe(**recipe), seed=tasks)
    model.task_index.assign(tasks)
    model.domain_names = ["digits", "glyphs", "textures"]
    info = {"run_id": "run", "image_shape": [8, 8, 3], "fit": "pad"}
    return model, push.push(model, push.Task(tasks - 1, f"task {tasks}"), base, info, UNTRIED)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """A base with two versions: (base, models by version), made once and only read."""
    base = tmp_path_factory.mktemp("models")
    models = {version: model for model, version in (_push(base, tasks=1), _push(base, tasks=2))}
    return str(base), models


@pytest.mark.program
@pytest.mark.parametrize("recipe", [{}, {"latent_law": "uniform"}, {"domain_dim": 4, "domain_length": 1.5}])
def test_same_seed_draws_what_the_model_drew(tmp_path, recipe):
    model, _ = _push(tmp_path, False, 2, **recipe)
    loaded = exported.load(tmp_path)
    np.testing.assert_allclose(loaded.sample(7, seed=3), model.sample(7, seed=3), atol=1e-6)
    np.testing.assert_allclose(loaded.sample(7, 3, batch_size=2), model.sample(7, 3), atol=1e-6)
    assert np.abs(loaded.sample(7, seed=4) - model.sample(7, seed=3)).max() > 1e-3


@pytest.mark.program
def test_a_domain_is_drawn_by_name_or_number(tmp_path):
    model, _ = _push(tmp_path, False, 2, domain_dim=4)
    loaded = exported.load(tmp_path)
    assert loaded.domains == ["digits", "glyphs"] and loaded.latent_law == model.latent_law
    images = model.sample(3, 5, "glyphs")
    for domain in ("glyphs", 2):
        np.testing.assert_allclose(loaded.sample(3, 5, domain), images, atol=1e-6)
    assert np.abs(loaded.sample(3, 5, 1) - images).max() > 1e-3
    with pytest.raises(
        ValueError, match="unknown domain 'textures'; did you mean|unknown domain 'textures'; there"
    ):
        loaded.sample(1, domain="textures")


@pytest.mark.program
def test_an_export_of_before_there_were_codes_draws_all_together(tmp_path, pairs):
    shutil.copytree(pairs[0], tmp_path / "copy")
    for path in (tmp_path / "copy").rglob("export_info.json"):
        info = json.loads(path.read_text(encoding="utf-8"))
        for field in ("domain_dim", "domain_length", "domains"):
            del info[field]
        path.write_text(json.dumps(info), encoding="utf-8")
    loaded = exported.load(tmp_path / "copy")
    np.testing.assert_array_equal(loaded.sample(3, 5), exported.load(pairs[0]).sample(3, 5))
    with pytest.raises(ValueError, match="domain is 1, and the latents of this model have no domain codes"):
        loaded.sample(3, domain=1)


@pytest.mark.program
def test_an_export_with_sectors_is_refused_with_what_to_do(tmp_path, pairs):
    shutil.copytree(pairs[0], tmp_path / "copy")
    for path in (tmp_path / "copy").rglob("export_info.json"):
        info = json.loads(path.read_text(encoding="utf-8"))
        path.write_text(json.dumps({**info, "latent_law": "circle"}), encoding="utf-8")
    with pytest.raises(
        ValueError, match="a circle with a sector .* does not support; train it again in another workdir"
    ):
        exported.load(tmp_path / "copy")


@pytest.mark.program
def test_student_encodes_and_decodes_as_the_model_did(pairs):
    base, models = pairs
    model = models[max(models)]
    student = ltgans_tf.load(base).student
    pictures = model.sample(3)
    posterior, expected = student.encode(pictures), model.student.encode(pictures)
    np.testing.assert_allclose(posterior.mean(), expected.mean(), atol=1e-6)
    np.testing.assert_allclose(posterior.stddev(), expected.stddev(), atol=1e-6)
    assert posterior.event_shape == [3]
    codes = np.ones([2, 3])
    np.testing.assert_allclose(student.decode(codes), model.student.decode(codes), atol=1e-6)


@pytest.mark.program
def test_what_the_export_says_of_itself_is_at_hand(pairs):
    loaded = exported.load(pairs[0])
    assert loaded.image_shape == (8, 8, 3) and loaded.fit == "pad" and loaded.latent_dim == 4
    assert loaded.info["task_name"] == "task 2"


def _loaded_version(path):
    return exported.load(path).info["version"]


@pytest.mark.program
def test_folder_of_versions_gives_the_newest_number(pairs, tmp_path):
    base, models = pairs
    for version, name in zip(sorted(models), ("10", "9")):  # as text "9" comes last
        shutil.copytree(versions.place(base, "generator", version), tmp_path / name)
    (tmp_path / "99").mkdir()
    assert _loaded_version(tmp_path) == min(models)


@pytest.mark.program
def test_version_folder_gives_itself(pairs):
    base, models = pairs
    for version in models:
        assert _loaded_version(versions.place(base, "encoder", version)) == version


@pytest.mark.program
def test_latest_json_decides_over_newer_folders(pairs, tmp_path):
    base, models = pairs
    shutil.copytree(base, tmp_path, dirs_exist_ok=True)
    first, second = sorted(models)
    named = json.loads((tmp_path / "latest.json").read_text())
    named.update(next(pair for pair in named["pairs"] if pair["version"] == first))
    (tmp_path / "latest.json").write_text(json.dumps(named))
    assert _loaded_version(tmp_path) == first
    os.remove(tmp_path / "latest.json")
    with pytest.raises(ValueError, match="has lost its latest.json, .* --rebuild"):
        exported.load(tmp_path)
    os.remove(tmp_path / "models.config")
    assert _loaded_version(tmp_path) == second


@pytest.mark.program
def test_without_latest_json_the_newest_whole_pair_is_taken(pairs, tmp_path):
    base, models = pairs
    shutil.copytree(base, tmp_path, dirs_exist_ok=True)
    for name in ("latest.json", "models.config"):
        os.remove(tmp_path / name)
    first, second = sorted(models)
    shutil.rmtree(versions.place(tmp_path, "generator", second))
    loaded = exported.load(tmp_path)
    assert loaded.info["version"] == first and set(loaded.paths) == {"generator", "encoder"}
    shutil.rmtree(versions.place(tmp_path, "encoder", first))
    with pytest.raises(ValueError, match="no version that generator and encoder share"):
        exported.load(tmp_path)


@pytest.mark.program
def test_pair_that_is_gone_is_named(pairs, tmp_path):
    base, models = pairs
    shutil.copytree(base, tmp_path, dirs_exist_ok=True)
    shutil.rmtree(versions.place(tmp_path, "encoder", max(models)))
    with pytest.raises(ValueError, match=f"names .*encoder/{max(models)}, which does not exist"):
        exported.load(tmp_path)


@pytest.mark.program
def test_half_says_what_it_can_not_do(pairs):
    base, _ = pairs
    with pytest.raises(ValueError, match="is an encoder, which draws no images"):
        exported.load(os.path.join(base, "encoder")).sample(1)
    with pytest.raises(ValueError, match="has no encoder beside it"):
        exported.load(os.path.join(base, "generator")).student.encode(np.zeros([1, 8, 8, 3]))


@pytest.mark.program
def test_wrong_images_and_counts_are_refused(pairs):
    loaded = exported.load(pairs[0])
    with pytest.raises(ValueError, match="uint8 .*must be float"):
        loaded.student.encode(np.zeros([1, 8, 8, 3], np.uint8))
    with pytest.raises(ValueError, match=r"\(1, 9, 8, 3\).*must be float \[None, 8, 8, 3\]"):
        loaded.student.encode(np.zeros([1, 9, 8, 3], np.float32))
    with pytest.raises(ValueError, match="count is 0"):
        loaded.sample(0)


def test_folder_without_an_export_is_refused(tmp_path):
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(ValueError, match="holds neither a run .* nor an export"):
            exported.load(path)
    module = tf.Module()
    tf.saved_model.save(module, str(tmp_path / "1"))
    with pytest.raises(ValueError, match="was not exported by ltgans_tf"):
        exported.load(tmp_path)


@pytest.mark.program
@pytest.mark.parametrize("field", ["format_version", "kind", "image_shape", "fit", "latent_dim"])
def test_an_export_that_lost_what_it_says_of_itself_is_refused_by_name(field, pairs, tmp_path):
    shutil.copytree(pairs[0], tmp_path / "copy")
    for path in (tmp_path / "copy").rglob("export_info.json"):
        info = json.loads(path.read_text(encoding="utf-8"))
        del info[field]
        path.write_text(json.dumps(info), encoding="utf-8")
    with pytest.raises(ValueError, match=rf"export_info.json is damaged \(it has no {field} of type"):
        exported.load(tmp_path / "copy")
