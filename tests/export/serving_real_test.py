"""The client against the models of a real export: behind the double, and behind a real server.

Start TensorFlow Serving on the exports of a run as docs/serving.md says, and run

  TF_SERVING_URL=http://localhost:8501 TF_SERVING_GRPC=localhost:8500 make test \
      PYTEST_ARGS="-m program tests/export/serving_real_test.py"

Nothing is known here of the images but what the signatures promise.
"""

import io
import os

import numpy as np
import pytest
from PIL import Image

from ltgans_tf.export import signatures
from ltgans_tf.export.client import Client, NotServed, Refused, image_seeds
from ltgans_tf.methods import twin_gan
from ltgans_tf.settings import presets
from tests import rest_double
from tests.tiny import TINY

pytestmark = pytest.mark.program

URL, GRPC = os.environ.get("TF_SERVING_URL"), os.environ.get("TF_SERVING_GRPC")


@pytest.fixture(scope="module")
def double(tmp_path_factory):
    """The double, with both models of an export of tiny networks that have learnt nothing."""
    folder = tmp_path_factory.mktemp("export")
    model = twin_gan.TwinGAN.from_architecture(TINY, recipe=presets.Recipe())
    model.task_index.assign(1)
    signatures.save_generator(model, str(folder / "generator"))
    signatures.save_encoder(model, (8, 8, 3), "crop", str(folder / "encoder"))
    models = {
        name: rest_double.Model({1: rest_double.of_saved_model(str(folder / name))})
        for name in ("generator", "encoder")
    }
    with rest_double.Double(models) as made:
        yield made


@pytest.fixture(params=["double", "rest", "grpc"])
def client(request):
    if request.param == "double":
        return Client(request.getfixturevalue("double").url)
    if request.param == "rest":
        if not URL:
            pytest.skip("TF_SERVING_URL names no server, such as http://localhost:8501, to test against")
        return Client(URL)
    if not GRPC:
        pytest.skip("TF_SERVING_GRPC names no server, such as localhost:8500, to test against")
    return Client(grpc=GRPC)


@pytest.fixture
def files(client, tmp_path):
    """Two image files that the generator drew."""
    paths = [tmp_path / f"{i}.png" for i in range(2)]
    for path, data in zip(paths, client.sample(2, seed=1)):
        path.write_bytes(data)
    return paths


def _pixels(data):
    return np.asarray(Image.open(io.BytesIO(data), formats=["PNG"]), np.float32)


def test_both_models_are_loaded(client):
    for model in ("generator", "encoder"):
        assert any(entry["state"] == "AVAILABLE" for entry in client.status(model))


def test_samples_depend_on_the_seed_and_on_nothing_else(client):
    many, few = client.sample(70, seed=5), client.sample(3, seed=5)
    assert len(set(many)) == 70
    for one, other in zip(few, many):  # sums in another order may round a pixel elsewhere
        assert np.abs(_pixels(one) - _pixels(other)).max() <= 1
    assert client.sample(3, seed=6) != few


def test_latents_and_seeds_give_the_same_images(client):
    seeds = {"seed": image_seeds(4, 5), "truncation": np.ones(4)}
    drawn = client.predict("generator", "sample_png", seeds)
    latents = {"latents": drawn["latents"]}
    images = client.predict("generator", "serving_default", latents)["images"]
    files = client.predict("generator", "generate_png", latents)["images_bytes"]
    for image, file, other in zip(images, files, drawn["images_bytes"]):
        shown = _pixels(file).reshape(image.shape)
        assert np.abs(shown - (127.5 * np.clip(image, -1, 1) + 127.5)).max() <= 1
        assert np.abs(shown - _pixels(other).reshape(image.shape)).max() <= 1


def test_files_are_encoded_and_decoded(client, files):
    codes = client.encode_files(files)
    assert codes["mean"].shape == codes["stddev"].shape and codes["mean"].shape[0] == 2
    assert (codes["stddev"] > 0).all()
    decoded = client.predict("encoder", "decode", {"codes": codes["mean"]})["images"]
    for image, data in zip(decoded, client.reconstruct(files)):
        assert np.abs(_pixels(data).reshape(image.shape) - (127.5 * image + 127.5)).max() <= 1
    again = client.predict("encoder", "encode", {"images": decoded})
    assert again["mean"].shape == codes["mean"].shape


def test_way_between_images_has_their_reconstructions_at_its_ends(client, files):
    way, ends = client.interpolate(*files, [0, 0.5, 1]), client.reconstruct(files)
    assert len(way) == 3
    for one, other in zip((way[0], way[2]), ends):
        assert np.abs(_pixels(one) - _pixels(other)).max() <= 1


def test_scores_are_numbers_one_a_file(client, files):
    scores = client.score(files)
    assert scores.keys() == {"sse", "kl", "nlog"}
    assert all(values.shape == (2,) for values in scores.values()) and (scores["sse"] >= 0).all()


def test_errors_are_those_that_the_client_tells_apart(client, files):
    files[1].write_bytes(b"no image")
    with pytest.raises(Refused, match=str(files[1])):
        client.encode_files(files)
    with pytest.raises(NotServed, match="does not serve nothing"):
        client.predict("nothing", "serving_default", {})
    with pytest.raises(ValueError, match="has no signature nothing; it has "):
        client.predict("generator", "nothing", {})
