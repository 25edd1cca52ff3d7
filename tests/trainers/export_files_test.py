"""`ltgans export`: files that draw without this package, a card that says how, and what is refused."""

import importlib.util
import os
import re
import subprocess
import sys

import keras
import numpy as np
import pytest

import ltgans_tf
from ltgans_tf import loading
from ltgans_tf.data import streams
from ltgans_tf.export import judge, plain_networks, standalone
from ltgans_tf.methods import twin_gan
from ltgans_tf.settings import presets
from ltgans_tf.trainers import export_files
from tests import programs, source_imports
from tests.tiny import TINY

NAME = "ltgans_tf.trainers.export_files"


def _needs(*names):
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    reason = f"{' and '.join(missing)} not installed (requirements-exits.txt)"
    return pytest.mark.skipif(bool(missing), reason=reason)


def _learnt(folder, student, **recipe):
    """A run of two tasks of one step each, with domain codes, without scores."""
    draw = np.random.default_rng(0)
    for name in ("cats", "dogs"):
        data = draw.integers(0, 256, (20, 8, 8, 3), dtype=np.uint8)
        np.savez(folder / f"{name}.npz", train_images=data, test_images=data)
    stream = streams.TaskStream([f"npz:{folder}/cats.npz", f"npz:{folder}/dogs.npz"], (8, 8, 3), 4)
    model = twin_gan.TwinGAN.from_architecture(TINY, student=student, recipe=presets.Recipe(**recipe))
    model.compile()
    model.fit_stream(stream, 1, workdir=folder / "run", callbacks=[], boundary_callbacks=[])
    return str(folder / "run")


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    return _learnt(tmp_path_factory.mktemp("run"), True, domain_dim=4)


@pytest.fixture(scope="module")
def exported(workdir, tmp_path_factory):
    """The folder that an export as Keras files wrote; only read."""
    out = str(tmp_path_factory.mktemp("exported") / "pets")
    said = export_files.export(workdir, "keras", out)
    assert said.startswith(f"Wrote generator.keras, encoder.keras, decoder.keras to {out}; in keras ")
    return out


def _drawn_as_the_card_says(folder):
    """What the Python in README.md draws in a process that cannot import this package."""
    with open(os.path.join(folder, "README.md"), encoding="utf-8") as file:
        (code,) = re.findall(r"^```python\n(.*?)^```$", file.read(), re.MULTILINE | re.DOTALL)
    assert code.count("\n") <= 5
    code = f"import sys; sys.modules['ltgans_tf'] = None\n{code}np.save('drawn.npy', np.array(images))"
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return np.load(os.path.join(folder, "drawn.npy"))


def _wanted(workdir):
    """What the model draws from the noise in the card."""
    model = loading.load(workdir)
    noise = np.random.default_rng(0).standard_normal((10, 4), dtype=np.float32)
    domains = np.full(10, 1) if model.latent_law.domain_dim else None
    return model.generate(model.latent_law.place(noise, domains)).numpy()


@pytest.mark.program
@pytest.mark.parametrize(
    "form",
    [
        "keras",
        pytest.param("onnx", marks=_needs("tf2onnx", "onnx", "onnxruntime")),
        pytest.param("litert", marks=_needs("ai_edge_litert")),
    ],
)
def test_a_stranger_draws_ten_images_of_a_collection_in_five_lines(workdir, tmp_path, form):
    out = tmp_path / "pets"
    export_files.export(workdir, form, str(out))
    ending = standalone.FORMATS[form][0]
    files = {f"{name}{ending}" for name in ("generator", "encoder", "decoder")}
    assert {path.name for path in out.iterdir()} == {*files, "README.md", "example.png", "export_info.json"}
    np.testing.assert_allclose(_drawn_as_the_card_says(out), _wanted(workdir), atol=1e-4)
    assert [path.name for path in tmp_path.iterdir()] == ["pets"]


@pytest.mark.program
def test_without_codes_and_student_the_generator_takes_noise_alone(tmp_path):
    workdir = _learnt(tmp_path, False, domain_dim=0)
    said = export_files.export(workdir, "litert", str(tmp_path / "out"))
    assert said.startswith("Wrote generator.tflite to ")  # tried with what there is of LiteRT
    out = str(tmp_path / "keras")
    export_files.export(workdir, "keras", out)
    np.testing.assert_allclose(_drawn_as_the_card_says(out), _wanted(workdir), atol=1e-4)
    loaded = ltgans_tf.load(out)
    np.testing.assert_allclose(loaded.sample(3, 1), loading.load(workdir).sample(3, 1), atol=1e-5)
    with pytest.raises(ValueError, match="has no encoder beside it"):
        loaded.student.encode(np.zeros([1, 8, 8, 3], np.float32))


@pytest.mark.program
def test_load_takes_the_folder_for_the_model(workdir, exported):
    model, loaded = loading.load(workdir), ltgans_tf.load(exported)
    assert loaded.domains == ["cats.npz", "dogs.npz"] and loaded.image_shape == (8, 8, 3)
    for domain in (None, "dogs.npz", 1):
        wanted = model.sample(6, 3, domain)
        np.testing.assert_allclose(loaded.sample(6, 3, domain), wanted, atol=1e-5)
    codes, posterior = loaded.student.encode(wanted), model.student.encode(wanted)
    np.testing.assert_allclose(codes.mean(), posterior.mean(), atol=1e-5)
    np.testing.assert_allclose(codes.stddev(), posterior.stddev(), atol=1e-5)
    decoded = model.student.decode(posterior.mean())
    np.testing.assert_allclose(loaded.student.decode(posterior.mean()), decoded, atol=1e-5)
    with pytest.raises(ValueError, match="unknown domain 'birds'"):
        loaded.sample(1, domain="birds")


@pytest.mark.program
def test_no_file_names_a_path_of_the_machine(workdir, exported):
    for name in ("README.md", "export_info.json"):
        with open(os.path.join(exported, name), encoding="utf-8") as file:
            assert os.path.dirname(workdir) not in file.read()


@pytest.mark.program
@pytest.mark.parametrize(
    "name, content, sentence",
    [
        ("generator.keras", b"no zip", "generator.keras is missing or damaged"),
        ("decoder.keras", None, "decoder.keras is missing or damaged"),
        ("export_info.json", b"{", "export_info.json is damaged"),
        (
            "export_info.json",
            b'{"format_version": 1, "kind": "onnx", "image_shape": [8, 8, 3], "fit": "crop", "latent_dim": 8}',
            "has files of the format onnx, which README.md there says how to run",
        ),
    ],
)
def test_bad_folders_are_refused_in_one_sentence(exported, tmp_path, name, content, sentence):
    for file in os.listdir(exported):
        os.link(os.path.join(exported, file), tmp_path / file)
    (tmp_path / name).unlink()
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=sentence) as error:
        ltgans_tf.load(tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.program
def test_a_file_that_differs_is_refused_and_nothing_is_left(workdir, tmp_path, monkeypatch):
    honest = plain_networks.networks

    def changed(model):
        made = honest(model)
        weights = made["decoder"].get_weights()
        made["decoder"].set_weights([*weights[:-1], weights[-1] + 0.01])
        return made

    monkeypatch.setattr(plain_networks, "networks", changed)
    with pytest.raises(judge.NotBlessed, match=r"^decoder.keras in keras .* is up to 0.01.* away"):
        export_files.export(workdir, "keras", str(tmp_path / "out"))
    assert not list(tmp_path.iterdir())


@pytest.mark.program
def test_a_file_that_does_not_load_is_refused(workdir, tmp_path, monkeypatch):
    monkeypatch.setattr(keras.Model, "save", lambda self, path: open(path, "w").close())
    with pytest.raises(judge.NotBlessed, match="died with status 1: .*"):
        export_files.export(workdir, "keras", str(tmp_path / "out"))
    assert not list(tmp_path.iterdir())


@pytest.mark.program
def test_the_program_ends_with_status_3_on_a_refusal(workdir, tmp_path, monkeypatch, capsys):
    def refuse(*_):
        raise judge.NotBlessed("the generator is apart.")

    monkeypatch.setattr(standalone, "write", refuse)
    given = type(
        "Flags", (), {"workdir": workdir, "format": "keras", "out": str(tmp_path / "o"), "method": None}
    )
    monkeypatch.setattr(export_files.flags, "FLAGS", given)
    assert export_files.main([]) == 3
    assert capsys.readouterr().out == "not exported: the generator is apart.\n"


def test_a_missing_package_is_one_sentence_with_the_command(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "tf2onnx" else name)
    with pytest.raises(ValueError, match=r'^--format=onnx needs tf2onnx: pip install "tf2onnx==1.17.\*" '):
        standalone.check_packages("onnx")
    standalone.check_packages("litert")


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (["--format=keras", "--out=o"], "--workdir is missing"),
        (["--workdir=/nowhere", "--format=keras", "--out=o"], "/nowhere is no workdir of a run"),
        (["--workdir=/nowhere", "--format=hub", "--out=o"], "flag --format=hub: value should be one of"),
        (["--workdir=/nowhere", "--format=keras", "--out=tests"], "--out=tests is there already"),
        (["--workdir=/nowhere", "--format=onnx", "--out=o.onnx"], "--out is o.onnx; it must name a folder"),
    ],
)
def test_bad_input_ends_in_one_sentence_and_status_2(arguments, sentence):
    done = programs.run(NAME, *arguments, cwd=source_imports.ROOT)
    assert done.returncode == 2 and not done.stdout
    assert done.stderr.startswith(f"error: {sentence}") and done.stderr.count("\n") == 1
