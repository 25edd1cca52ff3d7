"""Exports: what the signatures compute, and what is on the disk whatever happens on the way."""

import io
import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from ltgans_tf.data import images, sources
from ltgans_tf.export import push, signatures, versions
from tests.tiny import UNTRIED

TASK = push.Task(0, "first")


INFO = {"run_id": "run", "image_shape": [8, 8, 3], "fit": "crop"}


def _picture_bytes(kind, size, seed=0):
    mode = {"PNG": "RGBA", "GIF": "L", "BMP": "L"}.get(kind, "RGB")
    noise = np.random.default_rng(seed).integers(0, 256, (*size, len(mode)), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise.squeeze(), mode).save(file, kind)
    return file.getvalue()


@pytest.mark.program
@pytest.mark.parametrize("tasks, identity", [(1, 0), (2, 1), (3, 0)])
def test_generator_draws_as_the_generator_trained_last(tiny_model, tmp_path, tasks, identity):
    model = tiny_model(student=False)
    model.task_index.assign(tasks)
    push.push(model, push.Task(tasks - 1, "last"), tmp_path, INFO, UNTRIED)
    (version,) = versions.found(tmp_path, "generator")
    loaded = tf.saved_model.load(versions.place(tmp_path, "generator", version))
    latents = tf.random.stateless_normal([5, 4], [1, 2])
    drawn = loaded.signatures["serving_default"](latents=latents)
    assert list(drawn) == ["images"]
    expected = model.generators[identity](latents, training=False)
    np.testing.assert_allclose(drawn["images"], expected, atol=1e-6)
    assert versions.read_info(tmp_path, "generator", version)["identity"] == identity


@pytest.mark.program
@pytest.mark.parametrize("fit", images.FITS)
def test_encoder_prepares_files_as_training_does(tiny_model, tmp_path, fit):
    model = tiny_model()
    files = [
        _picture_bytes(kind, size)
        for kind, size in [
            ("PNG", (9, 20)),
            ("JPEG", (30, 8)),
            ("GIF", (8, 8)),
            ("WEBP", (16, 40)),
            ("BMP", (12, 5)),
        ]
    ]
    prepared = []
    for i, data in enumerate(files):
        (tmp_path / str(i)).write_bytes(data)
        prepared.append(images.preprocess(sources.decode(str(tmp_path / str(i))), (8, 8, 3), fit))
    signatures.save_encoder(model, (8, 8, 3), fit, str(tmp_path / "encoder"))
    loaded = tf.saved_model.load(str(tmp_path / "encoder"))
    codes = loaded.signatures["serving_default"](image_bytes=tf.constant(files))
    posterior = model.student.encode(tf.stack(prepared))
    np.testing.assert_allclose(codes["mean"], posterior.mean(), atol=1e-5)
    np.testing.assert_allclose(codes["stddev"], posterior.stddev(), atol=1e-5)


@pytest.mark.program
@pytest.mark.parametrize("law, codes", [("normal", 0), ("uniform", 0), ("normal", 4)])
def test_a_seed_is_one_image_in_any_batch_and_truncation_draws_it_to_the_centre(
    tiny_model, tmp_path, law, codes
):
    model = tiny_model(student=False, latent_law=law, domain_dim=codes)
    signatures.save_generator(model, str(tmp_path / "generator"))
    run = tf.saved_model.load(str(tmp_path / "generator")).signatures["sample_png"]

    def draw(seeds, truncation):
        made = run(seed=tf.constant(seeds, tf.int64), truncation=tf.constant(truncation))
        return made["images_bytes"].numpy().tolist(), made["latents"].numpy()

    files, latents = draw([5, 6, 5, 5], [1.0, 1.0, 1.0, 0.5])
    alone, alone_latents = draw([5], [1.0])
    assert files[0] == files[2] == alone[0] and len({files[0], files[1], files[3]}) == 3
    np.testing.assert_array_equal(latents[[0, 2]], np.concatenate([alone_latents] * 2))
    np.testing.assert_allclose(latents[0], model.latents(1, 5)[0], atol=1e-6)
    np.testing.assert_allclose(latents[3][:codes], latents[0][:codes], atol=1e-6)  # the code stays
    np.testing.assert_allclose(latents[3][codes:], 0.5 * latents[0][codes:], atol=1e-6)


@pytest.mark.program
def test_a_seed_has_its_domain_and_every_domain_can_be_asked_for(tiny_model, tmp_path):
    model = tiny_model(student=False, domain_dim=4)
    model.task_index.assign(3)
    model.domain_names = ["ä", "b", "c", "d"]
    signatures.save_generator(model, str(tmp_path / "generator"))
    runs = tf.saved_model.load(str(tmp_path / "generator")).signatures
    seeds, whole = tf.constant([-2, 0, 4, 9], tf.int64), tf.ones([4])
    by_seed = runs["sample_png"](seed=seeds, truncation=whole)
    numbers = tf.constant([2, 1, 2, 1], tf.int64)  # 1 + seed mod 3
    by_number = runs["sample_domain_png"](seed=seeds, domain=numbers, truncation=whole)
    for name, value in by_seed.items():
        np.testing.assert_array_equal(value, by_number[name])
    rows = tf.concat([model.latents(1, int(s), int(n)) for s, n in zip(seeds, numbers)], 0)
    np.testing.assert_allclose(by_seed["latents"], rows, atol=1e-6)
    others = runs["sample_domain_png"](seed=seeds, domain=numbers % 3 + 1, truncation=whole)
    assert all(a != b for a, b in zip(others["images_bytes"].numpy(), by_seed["images_bytes"].numpy()))
    told = runs["domains"](domain=tf.constant([3, 1], tf.int64))
    assert told["name_bytes"].numpy().tolist() == [b"c", "ä".encode()] and told[
        "learnt"
    ].numpy().tolist() == [3, 3]
    for bad in (0, 4):
        with pytest.raises(tf.errors.InvalidArgumentError, match="domain must be from 1 to 3, which are the"):
            runs["sample_domain_png"](
                seed=seeds[:1], domain=tf.constant([bad], tf.int64), truncation=whole[:1]
            )


@pytest.mark.program
def test_numbers_that_are_none_and_weights_beyond_the_ends_are_refused(tiny_model, tmp_path):
    model, nan = tiny_model(), float("nan")
    signatures.save_generator(model, str(tmp_path / "generator"))
    signatures.save_encoder(model, (8, 8, 3), "crop", str(tmp_path / "encoder"))
    generator, encoder = (
        tf.saved_model.load(str(tmp_path / kind)).signatures for kind in ("generator", "encoder")
    )
    seed, picture = tf.constant([1], tf.int64), tf.constant([_picture_bytes("PNG", (8, 8))])
    pair = {"image_a_bytes": picture, "image_b_bytes": picture}
    for run, inputs, sentence in (
        (generator["serving_default"], {"latents": tf.constant([[0, nan, 0, 0]])}, "latents must be finite"),
        (generator["generate_png"], {"latents": tf.fill([1, 4], np.inf)}, "latents must be finite"),
        (generator["sample_png"], {"seed": seed, "truncation": tf.constant([nan])}, "truncation must be in"),
        (generator["sample_png"], {"seed": seed, "truncation": tf.constant([1.1])}, "truncation must be in"),
        (encoder["decode"], {"codes": tf.fill([2, 3], nan)}, "codes must be finite"),
        (encoder["encode"], {"images": tf.fill([1, 8, 8, 3], nan)}, "images must be finite"),
        (encoder["interpolate"], {**pair, "weight": tf.constant([-0.1])}, "weight must be in"),
    ):
        with pytest.raises(tf.errors.InvalidArgumentError, match=sentence):
            run(**inputs)


@pytest.mark.program
def test_encoder_refuses_what_it_can_not_decode_safely(tiny_model, tmp_path):
    signatures.save_encoder(tiny_model(), (8, 8, 3), "crop", str(tmp_path / "encoder"))
    loaded = tf.saved_model.load(str(tmp_path / "encoder"))
    frames, file = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")], io.BytesIO()
    frames[0].save(file, "WEBP", save_all=True, append_images=frames[1:])
    huge = io.BytesIO()  # 90 kB that unpack to 0.3 GB as RGB, and to 1 GB as float32
    Image.new("L", (9000, 9000)).save(huge, "PNG")
    for data in (b"no image", b"", _picture_bytes("BMP", (3, 9)), file.getvalue(), huge.getvalue()):
        with pytest.raises(tf.errors.InvalidArgumentError):
            loaded.signatures["serving_default"](image_bytes=tf.constant([data]))


@pytest.mark.program
def test_export_holds_only_what_its_signatures_read(tiny_model, tmp_path):
    model = tiny_model()
    signatures.save_generator(model, str(tmp_path / "generator"))
    signatures.save_encoder(model, (8, 8, 3), "crop", str(tmp_path / "encoder"))
    for kind, network in (("generator", model.generators[0]), ("encoder", model.student)):
        stored = tf.train.load_checkpoint(str(tmp_path / kind / "variables" / "variables"))
        shapes = stored.get_variable_to_shape_map()
        shapes = [tuple(s) for name, s in shapes.items() if not name.startswith("_CHECKPOINTABLE")]
        assert sorted(shapes) == sorted(tuple(w.shape) for w in network.weights)


@pytest.mark.program
def test_replicated_model_exports_like_a_single_one(tiny_model, tmp_path):
    single = tiny_model()
    with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
        replicated = tiny_model()
    latents, drawn = tf.random.stateless_normal([3, 4], [1, 2]), []
    for i, model in enumerate((single, replicated)):
        signatures.save_generator(model, str(tmp_path / str(i)))
        loaded = tf.saved_model.load(str(tmp_path / str(i)))
        drawn.append(loaded.signatures["serving_default"](latents=latents)["images"])
    np.testing.assert_allclose(*drawn, atol=1e-6)


_CLEAN_PROCESS = """
import sys
for name in ("ltgans_tf", "export", "trainers", "tensorflow_probability"):
  sys.modules[name] = None  # importing it fails, wherever it is installed
import numpy as np, tensorflow as tf
base, given = sys.argv[1], np.load("given.npz", allow_pickle=False)
made = {}
for kind, version in (("generator", sys.argv[2]), ("encoder", sys.argv[2])):
  loaded = tf.saved_model.load(f"{base}/{kind}/{version}")
  for name, run in loaded.signatures.items():
    inputs = {}
    for key in run.structured_input_signature[1]:
      inputs[key] = tf.constant(given[key].tolist() if given[key].dtype.kind == "S" else given[key])
    for output, array in run(**inputs).items():
      array = array.numpy()
      if array.dtype == object:
        array = np.stack([tf.io.decode_png(data).numpy() for data in array])
      made[f"{kind}-{name}-{output}"] = array
np.savez("made.npz", **made)
"""


@pytest.mark.program
def test_all_signatures_run_in_a_process_without_this_package(tiny_model, tmp_path):
    model = tiny_model()
    for network in (model.student.encoder, model.student.decoder):  # so that codes make a difference
        network.set_weights([4 * weight for weight in network.get_weights()])
    model.task_index.assign(1)
    base = tmp_path / "models"
    version = push.push(model, TASK, base, INFO, UNTRIED)
    pictures = [_picture_bytes("BMP", (8, 8), seed) for seed in (0, 1)]
    seen = tf.stack([images.preprocess(tf.io.decode_bmp(data), (8, 8, 3)) for data in pictures])
    given = {
        "latents": model.latents(2, 3).numpy(),
        "images": seen[:1].numpy(),
        "codes": np.ones([2, 3], np.float32),
        "seed": np.int64([7, -(2**40)]),
        "truncation": np.float32([1, 0.25]),
        "image_bytes": np.array(pictures[:1]),
        "image_a_bytes": np.array(pictures[:1]),
        "image_b_bytes": np.array(pictures[1:]),
        "weight": np.float32([0.25]),
    }
    np.savez(tmp_path / "given.npz", **given)
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-I", "-c", _CLEAN_PROCESS, base, str(version)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    posterior, student = model.student.encode(seen), model.student
    mean, stddev = posterior.mean(), posterior.stddev()
    drawn = tf.concat([model.latents(1, 7), 0.25 * model.latents(1, -(2**40))], axis=0)
    ends = images.to_uint8(student.decode(mean)).numpy().astype(int)
    assert np.abs(ends[0] - ends[1]).max() > 20  # or the weight of an interpolation could not be told
    sse = np.square(seen[:1] - student.decode(mean[:1])).sum((1, 2, 3))
    kl = (0.5 * (mean**2 + stddev**2 - 1) - np.log(stddev)).numpy().sum(1)[:1]
    expected = {
        "generator-serving_default-images": model.sample(2, 3),
        "generator-generate_png-images_bytes": images.to_uint8(model.sample(2, 3)),
        "generator-sample_png-images_bytes": images.to_uint8(model.generate(drawn)),
        "generator-sample_png-latents": drawn,
        "encoder-encode-mean": mean[:1],
        "encoder-encode-stddev": stddev[:1],
        "encoder-serving_default-mean": mean[:1],
        "encoder-serving_default-stddev": stddev[:1],
        "encoder-decode-images": student.decode(given["codes"]),
        "encoder-reconstruct-images_bytes": images.to_uint8(student.decode(mean[:1])),
        "encoder-interpolate-images_bytes": images.to_uint8(
            student.decode(0.75 * mean[:1] + 0.25 * mean[1:])
        ),
        "encoder-score-sse": sse,
        "encoder-score-kl": kl,
        "encoder-score-nlog": sse + kl,
    }
    with np.load(tmp_path / "made.npz") as made:
        assert set(made) == set(expected)
        for name, values in expected.items():
            values, slack = np.asarray(values), 1 if name.endswith("bytes") else 1e-5
            np.testing.assert_allclose(
                np.float64(made[name]), np.float64(values), rtol=1e-5, atol=slack, err_msg=name
            )
