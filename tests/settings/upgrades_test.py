"""Files of an older version go on to the same bits; those of a newer one are refused by every reader."""

import json
import os
import shutil
import zlib

import numpy as np
import pytest
from PIL import Image

from ltgans_tf import exported, loading
from ltgans_tf.data import streams
from ltgans_tf.export import continuation, versions
from ltgans_tf.settings import presets, upgrades
from ltgans_tf.trainers import former_run
from ltgans_tf.trainers.reporting import runs
from ltgans_tf.training import checkpoints
from tests.tiny import make_model, make_stream

pytestmark = pytest.mark.program


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """A run of two tasks and, as an older version left it in its second task, a copy: (model, stream, workdir)."""
    folder = tmp_path_factory.mktemp("old")
    model, stream, workdir = make_model(ema=0.5), make_stream(folder, tasks=2), str(folder / "run")
    model.fit_stream(stream, 3, workdir, [], checkpoint_every=4)
    copy = shutil.copytree(workdir, folder / "old")
    newest, before = checkpoints.checkpoints(str(copy))
    shutil.rmtree(newest)
    _as_version_1(before, make_model(ema=0.5), str(copy))
    return model, stream, copy


@pytest.fixture
def old(both, tmp_path):
    """A copy of the latter for a test of its own: (model, stream, workdir)."""
    model, stream, workdir = both
    return model, stream, str(shutil.copytree(workdir, tmp_path / "old"))


def _as_version_1(path, model, workdir):
    """Writes a checkpoint anew as format version 1 had it."""
    checkpoints.restore_newest(workdir, model)
    checkpoints._state(model, 1).write(os.path.join(path, "state"))
    files = {
        name: checkpoints._checksum(os.path.join(path, name)) for name in os.listdir(path) if "state" in name
    }
    _change(os.path.join(path, "manifest.json"), format_version=1, files=files)


def _change(path, **fields):
    with open(path, encoding="utf-8") as f:
        content = json.load(f)
    with open(path, "w", encoding="utf-8") as f:
        json.dump({**content, **fields}, f)


def _without(workdir, *removed):
    """Takes fields out of config.json, as ('recipe', 'ema'), and makes it one of version 1."""
    path = os.path.join(workdir, "config.json")
    with open(path, encoding="utf-8") as f:
        model = json.load(f)["model"]
    for section, name in removed:
        del model[section][name]
    _change(path, model=model, format_version=1)


@pytest.fixture
def photographs(tmp_path):
    """A folder of forty photographs, each with a note that its camera was held on its side."""
    noted, folder = Image.Exif(), tmp_path / "photographs"
    noted[0x0112] = 6
    folder.mkdir()
    for i in range(40):
        pixels = np.random.default_rng(i).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{i:02d}.png", exif=noted)
    return folder


@pytest.mark.parametrize("older", [True, False])
def test_a_run_keeps_its_split_and_its_rule_on_orientation(tmp_path, photographs, older):
    """Of an older version: by the paths of its files, as their pixels are."""
    names, as_it_was = [f"{i:02d}.png" for i in range(40)], {"upright": False, "split_by": "path"}
    stream = streams.TaskStream([f"folder:{photographs}"], (8, 8, 3), 4)
    config = {"format_version": 2, "stream": stream.get_settings(), "model": {}}
    if older:
        config["stream"] = {key: value for key, value in config["stream"].items() if key not in as_it_was}
    workdir = tmp_path / "run"
    workdir.mkdir()
    (workdir / "config.json").write_text(json.dumps(config))
    reading = former_run.reading(str(workdir), None, None)
    goes_on = streams.TaskStream([f"folder:{photographs}"], (8, 8, 3), 4, **reading)
    assert former_run.reading(str(tmp_path / "new"), None, None) == {}
    evaluated = loading.load_stream(str(workdir))
    if older:
        test = [name for name in names if zlib.crc32(name.encode()) % 10 == 0]
        wanted = [np.asarray(Image.open(photographs / name)) for name in test]
        assert 0 < len(test) < 40
    else:
        wanted = [np.rot90(image, -1) for image in _raw(stream, photographs)]
    for found in goes_on, evaluated:
        np.testing.assert_array_equal(found.tasks[0].test_images(), wanted)
    same = np.array_equal(stream.tasks[0].test_images(), wanted)
    assert same != older


def _raw(stream, folder):
    """The images of the test split by contents, as their pixels are."""
    unturned = streams.TaskStream([f"folder:{folder}"], (8, 8, 3), 4, upright=False)
    return unturned.tasks[0].test_images()


def test_a_run_of_an_older_version_ends_with_the_same_bits(old, tiny_model):
    straight, stream, workdir = old
    _without(workdir, ("recipe", "warm_start"), ("recipe", "precision"), ("architecture", "critic_units"))
    loaded = loading.load(workdir)
    loaded.noise_stream.assign(2)
    checkpoints.restore_newest(workdir, loaded)
    assert int(loaded.noise_stream.numpy()) == 0
    assert loaded.recipe.warm_start == 0.0 and int(loaded.global_step.numpy()) == 4
    again = tiny_model(ema=0.5)
    assert again.fit_stream(stream, 3, workdir, [])
    assert int(again.global_step.numpy()) == 6
    for a, b in zip(straight.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    config = checkpoints.read_config(workdir)
    assert (
        config["format_version"] == upgrades.FORMAT_VERSION and config["model"]["recipe"]["warm_start"] == 0.0
    )


def test_a_later_field_counts_as_its_default_and_not_as_what_is_given_now(old, tiny_model):
    _, stream, workdir = old
    _without(workdir, ("recipe", "ema"))
    with pytest.raises(ValueError, match=r"other settings: model.recipe.ema \(was 0.0, now 0.5\);"):
        tiny_model(ema=0.5).fit_stream(stream, 3, workdir, [])


def test_a_field_that_was_always_there_is_not_made_up(old, tiny_model):
    _, stream, workdir = old
    _without(workdir, ("architecture", "latent_dim"))
    with pytest.raises(ValueError, match=r"model.architecture.latent_dim \(was None, now 4\)"):
        tiny_model(ema=0.5).fit_stream(stream, 3, workdir, [])


@pytest.mark.program
def test_a_run_with_sectors_is_refused_with_what_to_do(old, tiny_model):
    _, stream, workdir = old
    with open(os.path.join(workdir, "config.json"), encoding="utf-8") as f:
        model = json.load(f)["model"]
    model["recipe"] = {**model["recipe"], "latent_law": "circle", "distillation": 0.01}
    _change(os.path.join(workdir, "config.json"), model=model)
    for read in (loading.load, checkpoints.read_config, continuation.learnt_specs):
        with pytest.raises(
            ValueError, match="old has latents on a circle with a sector .*; train it again in"
        ):
            read(workdir)
    with pytest.raises(ValueError, match="circle with a sector"):
        tiny_model(ema=0.5).fit_stream(stream, 3, workdir, [])


@pytest.mark.parametrize("method", ["curl", "lgm"])
def test_a_method_that_only_noted_the_circle_is_read(method):
    noted = {"latent_law": "circle", "distillation": 0.01, "ema": 0.99}
    model = upgrades.complete({"format_version": 1, "model": {"method": method, "recipe": noted}}, "here")[
        "model"
    ]
    recipe = presets.Recipe(**model["recipe"])
    assert (recipe.latent_law, recipe.distillation, recipe.ema) == ("normal", 0.0, 0.99)


def test_the_settings_of_a_method_are_completed_too():
    config = {"format_version": 1, "model": {"method": "curl", "curl": {"components": 3}}}
    found = upgrades.complete(config, "here")["model"]["curl"]
    assert (found["components"], found["buffer_size"], len(found)) == (3, 100, 7)


def test_specs_are_read_as_they_are_written_today():
    config = {"format_version": 2, "stream": {"seed": 0, "specs": ["folder:cats/", "digits", 3]}}
    stream = upgrades.complete(config, "x")["stream"]
    assert (stream["seed"], stream["specs"]) == (0, ["folder:cats", "digits", 3])


CONFIG = ("config.json", upgrades.FORMAT_VERSION)
LATEST, INFO = ("latest.json", 1), ("generator/7/assets.extra/export_info.json", 1)
MANIFEST = ("checkpoints/task_001_step_000000002/manifest.json", upgrades.FORMAT_VERSION)


@pytest.mark.parametrize(
    "file, reader",
    [
        (CONFIG, checkpoints.read_config),
        (CONFIG, loading.load),
        (CONFIG, lambda folder: runs.Run(folder, rows=[]).config),
        (CONFIG, continuation.learnt_specs),
        (MANIFEST, continuation.learnt_specs),
        (MANIFEST, lambda folder: checkpoints.restore_newest(folder, None)),
        (LATEST, versions.read_latest),
        (LATEST, exported.load),
        (INFO, lambda base: versions.read_info(base, "generator", 7)),
        (INFO, lambda base: exported.load(os.path.join(base, "generator/7"))),
    ],
)
def test_every_reader_refuses_a_newer_version_with_the_remedy(file, reader, tmp_path):
    """References, extractors and rows of scores have their test beside their module's."""
    (name, newest) = file
    contents = {
        CONFIG[0]: {"stream": {"specs": ["digits"]}, "model": {}},
        MANIFEST[0]: {"task_index": 1, "task_step": 0, "files": {}},
        LATEST[0]: {"version": 7, "generator": "generator/7"},
        INFO[0]: {"kind": "generator"},
    }
    if file is MANIFEST:
        contents[CONFIG[0]]["format_version"] = newest
    elif file is not CONFIG:
        del contents[CONFIG[0]]
    contents[name]["format_version"] = newest + 1
    for path, content in contents.items():
        os.makedirs(tmp_path / os.path.dirname(path), exist_ok=True)
        (tmp_path / path).write_text(json.dumps(content))
    (tmp_path / "generator/7/saved_model.pb").write_bytes(b"")
    with pytest.raises(
        ValueError, match=f"has format version {newest + 1}, .*use the .*ltgans_tf that wrote it"
    ):
        reader(str(tmp_path))
