"""The programs that sample and encode: what they write, and how they refuse bad input."""

import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from ltgans_tf import loading
from ltgans_tf.data import images, streams
from ltgans_tf.export import push
from ltgans_tf.methods import twin_gan
from ltgans_tf.settings import presets
from ltgans_tf.trainers import encode, sample
from tests import programs, source_imports
from tests.tiny import TINY, UNTRIED


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    """A run of one task of one step, with its export; made once and only read."""
    folder = tmp_path_factory.mktemp("run")
    data = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3), dtype=np.uint8)
    np.savez(folder / "set.npz", train_images=data, test_images=data)
    stream = streams.TaskStream([f"npz:{folder}/set.npz"], (8, 8, 3), batch_size=8, fit="pad")
    model = twin_gan.TwinGAN.from_architecture(TINY, recipe=presets.Recipe(domain_dim=4))
    model.compile()
    model.fit_stream(
        stream,
        1,
        workdir=folder / "run",
        callbacks=[],
        boundary_callbacks=[push.BoundaryExport(settings=UNTRIED)],
    )
    return str(folder / "run")


@pytest.fixture
def pictures(tmp_path):
    """A folder with three good images of other sizes, one of them deeper, and a broken one."""
    folder = tmp_path / "pictures"
    (folder / "more").mkdir(parents=True)
    draw = np.random.default_rng(1)
    for name, size in (("b.png", (9, 20, 3)), ("a.PNG", (30, 8, 3)), ("more/c.bmp", (12, 12, 3))):
        Image.fromarray(draw.integers(0, 256, size, dtype=np.uint8)).save(folder / name)
    (folder / "broken.jpg").write_bytes(b"no image")
    (folder / "notes.txt").write_text("no image either")
    return folder


def _images(array):
    return images.to_uint8(array).numpy()


@pytest.mark.program
def test_folder_holds_the_samples_of_the_seed_one_by_one(workdir, tmp_path, monkeypatch):
    monkeypatch.setattr(sample, "_BATCH", 4)
    out = tmp_path / "made" / "samples"
    said = sample.sample(workdir, 10, 5, str(out))
    assert said == f"Wrote 10 images of 8x8x3 (seed 5) to {out}."
    assert sorted(os.listdir(out)) == [f"{i:06d}.png" for i in range(10)]
    made = np.stack([np.asarray(Image.open(out / f"{i:06d}.png")) for i in range(10)])
    np.testing.assert_array_equal(made, _images(loading.load(workdir).sample(10, seed=5)))
    with pytest.raises(ValueError, match="holds PNG files already"):
        sample.sample(workdir, 1, 5, str(out))


@pytest.mark.program
def test_one_domain_is_written(workdir, tmp_path):
    out = str(tmp_path / "second.npz")
    name = loading.load(workdir).domains[-1]
    said = sample.sample(workdir, 4, 2, out, name)
    assert said == f"Wrote 4 images of 8x8x3 (domain {name}, seed 2) to {out}."
    with np.load(out) as made:
        np.testing.assert_array_equal(made["images"], _images(loading.load(workdir).sample(4, 2, name)))
    with pytest.raises(ValueError, match="unknown domain 'none'; "):
        sample.sample(os.path.join(workdir, "exports"), 1, 0, str(tmp_path / "none.npz"), "none")
    assert not (tmp_path / "none.npz").exists()


@pytest.mark.program
def test_run_and_its_export_give_the_same_npz(workdir, tmp_path):
    for name, source in (("run", workdir), ("export", os.path.join(workdir, "exports"))):
        sample.sample(source, 6, 2, str(tmp_path / f"{name}.npz"))
    with np.load(tmp_path / "run.npz") as run, np.load(tmp_path / "export.npz") as export:
        assert run["images"].dtype == np.uint8 and run["seed"] == 2
        np.testing.assert_array_equal(run["images"], export["images"])
        np.testing.assert_array_equal(run["images"], _images(loading.load(workdir).sample(6, 2)))


@pytest.mark.program
def test_png_holds_one_grid(workdir, tmp_path):
    sample.sample(workdir, 9, 0, str(tmp_path / "grid.png"))
    with Image.open(tmp_path / "grid.png") as grid:
        assert grid.size == (8 * 10 - 2, 2 * 10 - 2)  # 8 columns, 2 rows, 2 pixels between


@pytest.mark.program
@pytest.mark.parametrize("source", ["", "exports"])
def test_codes_are_those_of_the_prepared_images(workdir, pictures, tmp_path, source, monkeypatch):
    monkeypatch.setattr(encode, "_BATCH", 2)
    out = str(tmp_path / "codes.npz")
    said = encode.encode(os.path.join(workdir, source), str(pictures), out, skip_broken_images=True)
    assert said == (
        f"Wrote codes of 3 images, 3 numbers each, to {out}; skipped 1 that could not be read."
        f"\nLeft out of the folder {str(pictures)!r}: 1 .txt ('notes.txt'; not a supported image format)."
    )
    names = ["a.PNG", "b.png", os.path.join("more", "c.bmp")]
    prepared = [images.preprocess(np.asarray(Image.open(pictures / n)), (8, 8, 3), "pad") for n in names]
    posterior = loading.load(workdir).student.encode(tf.stack(prepared))
    with np.load(out) as codes:
        assert codes["files"].tolist() == names
        np.testing.assert_allclose(codes["mean"], posterior.mean(), atol=1e-5)
        np.testing.assert_allclose(codes["stddev"], posterior.stddev(), atol=1e-5)


@pytest.mark.program
def test_bad_requests_are_refused_before_anything_is_written(workdir, pictures, tmp_path):
    out = tmp_path / "codes.npz"
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "broken.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match="broken.jpg is broken"):
        encode.encode(workdir, str(pictures), str(out))
    with pytest.raises(ValueError, match="none of the 1 images"):
        encode.encode(workdir, str(empty), str(out), skip_broken_images=True)
    with pytest.raises(ValueError, match="must end in .npz"):
        encode.encode(workdir, str(pictures), "codes.txt")
    with pytest.raises(ValueError, match="--count is 0"):
        sample.sample(workdir, 0, 0, str(out))
    with pytest.raises(ValueError, match="notes.txt; it must end in .npz or .png, or name a folder"):
        sample.sample(workdir, 1, 0, str(pictures / "notes.txt"))
    assert not out.exists()


def _run(module, *arguments):
    environment = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=source_imports.ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (["ltgans_tf.trainers.sample", "--workdir=/nowhere", "--out=x.png"], "there is no folder /nowhere"),
        (["ltgans_tf.trainers.sample", "--wrokdir=x"], "unknown flag --wrokdir; did you mean --workdir?"),
        (["ltgans_tf.trainers.sample", "--out=x.png"], "--workdir is missing"),
        (["ltgans_tf.trainers.sample", "--workdir=.", "--out=x.png", "more"], "unexpected argument 'more'"),
        (["ltgans_tf.trainers.sample", "--workdir=.", "--out=x.png", "--count=many"], "flag --count=many"),
        (
            ["ltgans_tf.trainers.encode", "--workdir=.", "--images=export", "--out=x.npz"],
            "The folder 'export' holds no images",
        ),
        (["ltgans_tf.export.push", "--workdir=docs"], "docs is no workdir"),
    ],
)
def test_bad_input_ends_in_one_sentence_and_status_2(arguments, sentence):
    done = programs.run(*arguments)
    assert done.returncode == 2 and not done.stdout
    assert done.stderr.startswith(f"error: {sentence}") and done.stderr.count("\n") == 1


@pytest.mark.program
def test_sentence_is_alone_after_tensorflow_too(workdir, pictures):
    done = _run(
        "ltgans_tf.trainers.encode", f"--workdir={workdir}/exports", f"--images={pictures}", "--out=x.npz"
    )
    assert done.returncode == 2 and not done.stdout
    assert done.stderr.startswith("error: ") and "broken.jpg" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.program
def test_success_says_one_line_and_help_needs_no_tensorflow(workdir, tmp_path):
    done = _run("ltgans_tf.trainers.sample", f"--workdir={workdir}", "--count=2", f"--out={tmp_path}/a.npz")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"Wrote 2 images of 8x8x3 (seed 0) to {tmp_path}/a.npz.\n"
    program = (
        "import runpy, sys; sys.modules['tensorflow'] = None; sys.argv[1:] = ['--help'];"
        "runpy.run_module('ltgans_tf.trainers.sample', run_name='__main__', alter_sys=True)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=source_imports.ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 and "--workdir" in done.stdout
