"""`ltgans client`: what it writes and prints, and how it ends."""

import io
import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from ltgans_tf.export.client import image_seeds
from tests import fake_models, programs, rest_double, source_imports


@pytest.fixture
def pictures(tmp_path):
    paths = [str(tmp_path / name) for name in ("a.png", "b.png")]
    for path, row in zip(paths, ([-0.5, 0.5], [1, 0])):
        with open(path, "wb") as file:
            file.write(fake_models.png(row))
    return paths


def _run(*flags):
    done = programs.run("ltgans_tf.export.client", *flags)
    return done.returncode, done.stdout.strip(), done.stderr.strip()


def _pixels(data):
    return np.asarray(Image.open(io.BytesIO(data)))


def _codes(paths):
    return np.stack([fake_models.code_of(open(path, "rb").read()) for path in paths])


def test_samples_are_set_into_a_grid(double, tmp_path):
    out = str(tmp_path / "made" / "grid.png")
    code, said, error = _run(
        f"--url={double.url}", "--sample=10", "--seed=4", "--truncation=0.5", f"--out={out}"
    )
    assert (code, said, error) == (0, f"Wrote 10 images (seed 4, truncation 0.5) to {out}.", "")
    grid = np.asarray(Image.open(out))
    assert grid.shape == (10, 46, 3)  # two rows, eight columns, two pixels between
    for i, seed in enumerate(image_seeds(10, 4)):
        y, x = i // 8 * 6, i % 8 * 6
        expected = _pixels(fake_models.png(fake_models.latents_of(seed, 0.5)))
        np.testing.assert_array_equal(grid[y : y + 4, x : x + 4], expected)
    assert (grid[6:, 12:] == 255).all()


def test_samples_of_one_domain_are_set_into_a_grid(double, tmp_path):
    out = str(tmp_path / "glyphs.png")
    code, said, error = _run(f"--url={double.url}", "--sample=2", "--domain=glyphs", f"--out={out}")
    assert (code, said) == (0, f"Wrote 2 images (domain glyphs, seed 0, truncation 1) to {out}."), error
    np.testing.assert_array_equal(_pixels(open(out, "rb").read())[:4, :4], _pixels(fake_models.png([0, 0])))
    code, _, error = _run(f"--url={double.url}", "--sample=2", "--domain=4", f"--out={out}")
    assert code == 2 and error.startswith("error: unknown domain '4'; there are 1 (digits), 2 (glyphs), 3")


def test_codes_are_written_as_json_and_as_npz(double, pictures, tmp_path):
    files = [f"--encode={path}" for path in pictures]
    for ending in ("json", "npz"):
        out = str(tmp_path / f"codes.{ending}")
        code, said, _ = _run(f"--url={double.url}", *files, f"--out={out}")
        assert (code, said) == (0, f"Wrote codes of 2 images, 2 numbers each, to {out}.")
    with open(tmp_path / "codes.json", encoding="utf-8") as file:
        from_json = json.load(file)
    with np.load(tmp_path / "codes.npz") as from_npz:
        assert list(from_npz["files"]) == from_json["files"] == pictures
        assert from_npz["mean"].dtype == np.float32
        for name, expected in (("mean", _codes(pictures)), ("stddev", _codes(pictures) / np.float32(3))):
            np.testing.assert_array_equal(from_npz[name], expected)
            np.testing.assert_array_equal(np.float32(from_json[name]), expected)


def test_reconstruction_is_written(double, pictures, tmp_path):
    out = str(tmp_path / "again.png")
    code, said, _ = _run(f"--url={double.url}", f"--reconstruct={pictures[0]}", f"--out={out}")
    assert (code, said) == (0, f"Wrote the reconstructions of 1 image to {out}.")
    expected = _pixels(fake_models.png(2 * _codes(pictures)[0] - 1))
    np.testing.assert_array_equal(np.asarray(Image.open(out)), expected)


def test_scores_and_status_are_printed(double, pictures):
    code, said, _ = _run(f"--url={double.url}", f"--score={pictures[1]}", "--version=1")
    assert (code, said) == (0, f"{pictures[1]}: sse 1.50196, kl 1, nlog 0.501961")
    assert double.requests[-1][1] == "/v1/models/encoder/versions/1:predict"
    del double.models["generator"]
    code, said, _ = _run(f"--url={double.url}", "--status")
    assert (code, said) == (0, "generator: not served\nencoder 2: END\nencoder 1: AVAILABLE")


@pytest.mark.parametrize(
    "flags, message",
    [
        (["--out=a.png"], "none of the actions is given; give exactly one of --sample, --encode, "),
        (["--sample=1", "--status", "--out=a.png"], "--sample and --status of the actions is given; give"),
        (["--sample=1"], "--out is missing; with --sample it must end in .png."),
        (["--sample=0", "--out=a.png"], "count is 0 and seed 0; they must be at least 1"),
        (["--encode=a.png", "--out=codes.txt"], "--out is codes.txt; it must end in .json or"),
        (["--status", "--out=a.png"], "--status prints and writes no file; leave --out=a.png away."),
        (["--encode=no.png", "--out=codes.npz"], "no.png: No such file or directory."),
        (["--sample=1", "--out=a.png", "--url=ftp://here"], "the address is 'ftp://here'; it must look like"),
        (["--status", "--server=http://here"], "unknown flag --server; did you mean --url?"),
        (["--status", "--version=1", "--label=stable"], "version is 1 and label is 'stable'; give one"),
    ],
)
def test_what_can_not_be_done_is_one_sentence(flags, message):
    code, said, error = _run(*flags)
    assert (code, said) == (2, "") and error.startswith(f"error: {message}") and "\n" not in error


def test_server_that_is_away_is_one_sentence():
    code, said, error = _run("--status", "--url=http://127.0.0.1:1", "--retries=0")
    assert (code, said) == (2, "") and "\n" not in error
    assert error.startswith("error: no answer from http://127.0.0.1:1 (") and ", tried once; " in error
    assert error.endswith("give its address with --url or --grpc.")


def test_server_without_both_models_is_an_error():
    with rest_double.Double({}) as empty:
        code, said, error = _run(f"--url={empty.url}", "--status")
    assert (code, said) == (2, "") and "does not serve generator" in error


def test_server_that_sends_no_png_is_one_sentence(double, tmp_path):
    signatures = double.models["generator"].versions[2]
    broken = {**vars(signatures["sample_png"]), "run": lambda seed, truncation: _no_png(seed)}
    signatures["sample_png"] = rest_double.Signature(**broken)
    out = tmp_path / "grid.png"
    code, _, error = _run(f"--url={double.url}", "--sample=2", f"--out={out}")
    assert code == 2 and error.startswith("error: the server sent b'no picture'... for a PNG file")
    assert not out.exists()


def _no_png(seed):
    return {"images_bytes": [b"no picture"] * len(seed), "latents": np.zeros([len(seed), 2])}


def _python(program):
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=source_imports.ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.program
def test_rest_needs_neither_tensorflow_nor_grpc():
    program = "import sys, ltgans_tf.export.client.__main__; print(*sorted({'tensorflow', 'grpc'} & sys.modules.keys()))"
    done = _python(program)
    assert done.returncode == 0 and not done.stdout.strip(), done.stderr


@pytest.mark.program
def test_lack_of_the_packages_for_grpc_is_one_sentence():
    program = (
        "import runpy, sys; sys.modules['tensorflow_serving'] = None;"
        "sys.argv = ['client', '--grpc=localhost:8500', '--status'];"
        "runpy.run_module('ltgans_tf.export.client', run_name='__main__')"
    )
    done = _python(program)
    assert done.returncode == 2
    assert done.stderr.startswith("error: gRPC needs packages that cannot be imported (")
    assert done.stderr.strip().endswith("pip install tensorflow-serving-api==2.21.*, or use REST.")
