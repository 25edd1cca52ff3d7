"""The program that makes the figures of a run, on a run of tiny networks; and how it refuses bad input."""

import glob
import json
import os
import shutil

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from ltgans_tf import loading
from ltgans_tf.data import streams
from ltgans_tf.evaluation import features, row
from ltgans_tf.figures import run_figures
from ltgans_tf.methods import twin_gan
from ltgans_tf.settings import presets
from ltgans_tf.trainers import make_figures
from ltgans_tf.training import boundaries
from tests import programs, source_imports
from tests.tiny import TINY


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with two sets and a run of two tasks of two steps; made once, each test works on a copy."""
    folder = tmp_path_factory.mktemp("figures")
    specs = []
    for i in range(2):
        pixels = np.random.default_rng(i).integers(90 * i, 90 * i + 90, (40, 8, 8, 3), np.uint8)
        np.savez(folder / f"set{i}.npz", train_images=pixels, test_images=pixels[:12])
        specs.append(f"npz:{folder}/set{i}.npz")
    stream = streams.TaskStream(specs, (8, 8, 3), batch_size=8, fit="pad")
    model = twin_gan.TwinGAN.from_architecture(TINY, recipe=presets.Recipe(n_critic=1))
    model.compile()
    tf.config.run_functions_eagerly(True)  # to trace two tasks takes longer than their steps
    model.fit_stream(stream, 2, workdir=folder / "run", boundary_callbacks=[boundaries.BoundarySamples()])
    tf.config.run_functions_eagerly(False)
    names = [task.name for task in stream.tasks]
    for i in range(2):
        found = {name: {"nlog": 3.0 + i, "share": 1 / (i + 1)} for name in names[: i + 1]}
        row.Row(after_task=i, task=names[i], scores=found).save(row.row_path(folder / "run", i))
    return folder


@pytest.fixture
def workdir(trained, tmp_path):
    shutil.copytree(trained / "run", tmp_path / "run")
    return str(tmp_path / "run")


@pytest.fixture(scope="module")
def network():
    """That of an extractor of two domains, hardly trained."""
    pixels = np.random.default_rng(0).integers(0, 256, (16, 8, 8, 3), np.uint8)
    labels = np.zeros(len(pixels), int)
    return features.train([features.Domain(name, pixels, labels) for name in "ab"], epochs=1).network


def _save_extractor(workdir, network, names):
    extractor = features.Extractor(network, [(0, 0), (1, 0)], {"domains": names})
    extractor.save(os.path.join(workdir, "eval", "extractor.npz"))


def _png(*path):
    with Image.open(os.path.join(*path)) as image:
        return np.asarray(image)


ALL = [
    *run_figures.SHEETS,
    "training_curves",
    "domain_mix",
    "matrix_nlog",
    "matrix_share",
    "curves_nlog",
]


@pytest.mark.program
def test_all_figures_of_a_run_are_written(workdir):
    said = make_figures.make_figures(workdir)
    assert sorted(os.listdir(os.path.join(workdir, "figures"))) == sorted(f"{name}.png" for name in ALL)
    lines = said.splitlines()
    assert lines[0] == f"pictures:   {workdir}/figures/ (10 PNG files)"
    assert ", ".join(ALL) == " ".join(line.strip() for line in lines[1 : lines.index("left out:")])
    assert lines[lines.index("left out:") + 1].startswith(
        "  domains of generated images: there is no extractor"
    )
    assert lines[-2:] == ["next:", f"  ltgans report --workdir={workdir}"]


@pytest.mark.program
def test_the_same_seed_gives_the_same_pictures_in_a_folder_alone(workdir, tmp_path):
    before = sorted(glob.glob(f"{workdir}/**", recursive=True))
    for name, seed in (("one", 0), ("two", 0), ("three", 1)):
        said = make_figures.make_figures(workdir, str(tmp_path / name), only=["fig2_domains"], seed=seed)
        assert f"pictures:   {tmp_path / name}/ (1 PNG file)" in said
    assert sorted(glob.glob(f"{workdir}/**", recursive=True)) == before
    one, two, three = (_png(tmp_path, name, "fig2_domains.png") for name in ("one", "two", "three"))
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, three)


@pytest.mark.program
def test_generated_images_are_told_apart_by_the_extractor_of_the_run(workdir, tmp_path, network):
    _save_extractor(workdir, network, ["set1.npz", "set0.npz"])  # in another order than the stream's
    tell = make_figures._domains_fn(workdir, ["set0.npz", "set1.npz"], 2)
    batch = np.random.default_rng(1).uniform(-1, 1, (20, 8, 8, 3)).astype(np.float32)
    own = features.load(os.path.join(workdir, "eval", "extractor.npz")).domains(batch)
    np.testing.assert_array_equal(tell(batch), 1 - own)
    said = make_figures.make_figures(workdir, str(tmp_path / "out"), only=["forgetting"])
    assert "left out" not in said


@pytest.mark.program
@pytest.mark.parametrize(
    "names, reason",
    [
        (["set0.npz"], "extractor.npz does not know the domain 'set1.npz'."),
        (["set0.npz", "other"], "knows the domain 'other', which is no task of this run."),
        (None, "extractor.npz"),
    ],
)
def test_an_extractor_of_no_use_is_named_and_the_rest_is_drawn(workdir, tmp_path, network, names, reason):
    if names is None:
        with open(os.path.join(workdir, "eval", "extractor.npz"), "wb") as f:
            f.write(b"no extractor")
    else:
        _save_extractor(workdir, network, names)
    said = make_figures.make_figures(workdir, str(tmp_path / "out"), only=["fig2_domains"])
    (line,) = [line for line in said.splitlines() if line.startswith("  domains of generated images: ")]
    assert reason in line
    assert os.listdir(tmp_path / "out") == ["fig2_domains.png"]


@pytest.mark.program
def test_a_task_whose_data_is_gone_is_named_and_the_rest_is_drawn(trained, workdir, tmp_path):
    hidden = tmp_path / "hidden.npz"
    shutil.move(trained / "set0.npz", hidden)
    try:
        said = make_figures.make_figures(workdir, str(tmp_path / "out"), only=run_figures.SHEETS[:4])
        assert len(os.listdir(tmp_path / "out")) == 4
        (line,) = [line for line in said.splitlines() if line.startswith("  test images of set0")]
        assert "set0.npz" in line.split(": ", 1)[1]
        # All sets gone: no figure of codes.
        shutil.move(trained / "set1.npz", tmp_path / "hidden1.npz")
        said = make_figures.make_figures(workdir, str(tmp_path / "out"), only=run_figures.SHEETS[:4])
        shutil.move(tmp_path / "hidden1.npz", trained / "set1.npz")
        assert (
            "  fig2_interpolation, fig3_traversal: of no task that was learnt can test images be read."
            in said
        )
    finally:
        shutil.move(hidden, trained / "set0.npz")


@pytest.mark.program
def test_one_reason_is_told_once(workdir):
    shutil.rmtree(os.path.join(workdir, "eval"))
    said = make_figures.make_figures(workdir)
    assert said.count("has no scores") == 1
    assert "  domain_mix, score matrices, forgetting curves: " in said


@pytest.mark.program
def test_a_run_without_student_has_the_figures_that_need_no_codes(workdir, monkeypatch):
    plain = twin_gan.TwinGAN.from_architecture(TINY, student=False)
    plain.task_index.assign(2)
    monkeypatch.setattr(loading, "load", lambda *_: plain)
    said = make_figures.make_figures(workdir)
    assert "  fig2_interpolation, fig3_traversal: the model has no Student" in said
    assert os.path.isfile(os.path.join(workdir, "figures", "fig2_domains.png"))
    with pytest.raises(ValueError, match="^no figure could be made: the model has no Student"):
        make_figures.make_figures(workdir, only=["fig3_traversal"])


def test_bad_input_ends_in_one_sentence_and_status_2():
    done = programs.run("ltgans_tf.trainers.make_figures", "--workdir=/nowhere")
    assert done.returncode == 2 and not done.stdout
    assert done.stderr == "error: there is no folder /nowhere; --workdir names a run.\n"


@pytest.mark.program
@pytest.mark.parametrize(
    "arguments, sentence",
    [
        ({"workdir": "docs"}, "docs is no workdir of a run: it has no config.json"),
        ({"out": "README.md"}, "--out=README.md is a file; give a folder"),
        ({"only": ["matrix_nlogg"]}, "no figure is called 'matrix_nlogg'; did you mean matrix_nlog?"),
        ({"units": [3]}, "there is no latent variable 3; codes of this model have the variables 0 to 2"),
        (
            {"only": ["matrix_fcd"]},
            "no figure could be made: no row of scores has fcd; those with one are nlog",
        ),
    ],
)
def test_bad_requests_are_refused(workdir, arguments, sentence, monkeypatch):
    monkeypatch.chdir(source_imports.ROOT)
    with pytest.raises(ValueError, match=sentence.replace("?", r"\?")):
        make_figures.make_figures(**{"workdir": workdir, **arguments})
    assert not os.path.isfile(os.path.join(workdir, "figures", "fig2_domains.png"))


@pytest.mark.program
def test_a_run_without_checkpoints_or_of_another_format_is_refused(workdir):
    shutil.rmtree(os.path.join(workdir, "checkpoints"))
    with pytest.raises(ValueError, match=r"^[^\n]*checkpoint[^\n]*\.$"):
        make_figures.make_figures(workdir)
    config = os.path.join(workdir, "config.json")
    with open(config) as f:
        settings = json.load(f)
    with open(config, "w") as f:
        json.dump(settings | {"format_version": 99}, f)
    with pytest.raises(ValueError, match=r"^[^\n]*99[^\n]*\.$"):
        make_figures.make_figures(workdir)
    assert not os.path.isfile(os.path.join(workdir, "figures", "fig2_domains.png"))


@pytest.mark.parametrize("text", ["x", "-1", "1.5", ""])
def test_codes_are_numbers(text):
    with pytest.raises(ValueError, match=f"--codes has '{text}'; give numbers of latent variables"):
        make_figures._units(["3", text])
    assert make_figures._units(["3", " 17"]) == [3, 17]


@pytest.mark.program
@pytest.mark.parametrize("given, read", [(None, "/data"), ("/mine", "/mine")])
def test_data_is_read_as_the_run_was_trained(workdir, tmp_path, monkeypatch, given, read):
    with open(os.path.join(workdir, "flags.txt"), "w") as f:
        f.write("--data_dir=/data\n--skip_broken_images=True\n")
    asked, load_stream = [], loading.load_stream
    monkeypatch.setattr(loading, "load_stream", lambda *a: asked.append(a) or load_stream(*a))
    make_figures.make_figures(workdir, str(tmp_path / "out"), given, only=["stream"])
    assert asked == [(workdir, read, True)]
