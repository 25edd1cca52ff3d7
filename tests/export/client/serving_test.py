"""What the client of TensorFlow Serving sends over REST, and what it makes of the answers."""

import io

import numpy as np
import pytest
from PIL import Image

from ltgans_tf.export.client import Client, failures, image_seeds
from tests import fake_models, rest_double, rest_rules


def _client(double, **settings):
    return Client(double.url, **{"wait": 0.01, **settings})


def _posts(double):
    return [(path, body) for method, path, body in double.requests if method == "POST"]


def test_numbers_arrive_as_columns_and_come_back_exactly(double):
    latents = np.random.default_rng(0).normal(size=[5, 2]).astype(np.float32)
    images = _client(double).predict("generator", "serving_default", {"latents": latents.tolist()})["images"]
    ((path, body),) = _posts(double)
    assert path == "/v1/models/generator:predict"
    assert body == {"signature_name": "serving_default", "inputs": {"latents": latents.tolist()}}
    assert images.dtype == np.float32 and images.shape == (5, 4, 4, 3)
    np.testing.assert_array_equal(images[:, 0, 0, 0], latents[:, 0])


def test_several_outputs_keep_their_names(double, pictures):
    paths, codes = pictures
    made = _client(double).encode_files(paths)
    np.testing.assert_array_equal(made["mean"], codes)
    np.testing.assert_array_equal(made["stddev"], codes / np.float32(3))


def test_bytes_go_and_come_in_base64(double, pictures):
    paths, codes = pictures
    assert _client(double).reconstruct(paths) == [fake_models.png(2 * code - 1) for code in codes]


def test_samples_depend_on_the_seed_and_on_nothing_else(double):
    few, many = _client(double, max_batch=2).sample(5, seed=3), _client(double).sample(7, seed=3)
    expected = [fake_models.png(fake_models.latents_of(s, 1.0)) for s in image_seeds(7, 3)]
    assert few == expected[:5] and many == expected
    assert not set(image_seeds(50, 3)) & set(image_seeds(50, 4))
    assert _client(double).sample(1, 3, truncation=0.0) == [fake_models.png([0, 0])]


def test_samples_of_a_domain_are_asked_for_by_name_or_number(double):
    client = _client(double, max_batch=2)
    assert client.domains() == list(fake_models.DOMAINS)
    for domain, number in (("glyphs", 2), (2, 2), ("3", 3)):
        assert client.sample(3, 5, domain=domain) == [fake_models.png([0, number / 2 - 1])] * 3
    with pytest.raises(
        ValueError, match=r"unknown domain 'glyps'; did you mean glyphs\? There are 1 \(digits\)"
    ):
        client.sample(1, domain="glyps")
    for name in ("domains", "sample_domain_png"):  # as of a method without codes
        del double.models["generator"].versions[2][name]
    with pytest.raises(ValueError, match="has no domain codes; leave the domain out"):
        _client(double).sample(1, domain=1)


def test_images_between_two_follow_the_weights(double, pictures):
    paths, codes = pictures
    made = _client(double).interpolate(paths[0], paths[1], [0, 0.5, 1])
    between = [codes[0], (codes[0] + codes[1]) / 2, codes[1]]
    assert made == [fake_models.png(2 * code - 1) for code in between]


def test_scores_come_by_name(double, pictures):
    paths, codes = pictures
    made = _client(double).score(str(paths[1]))
    assert {name: values.tolist() for name, values in made.items()} == {
        "sse": [codes[1].sum()],
        "kl": [codes[1, 0]],
        "nlog": [codes[1, 1]],
    }


def test_large_batches_are_split_and_joined_in_order(double):
    latents = np.linspace(-1, 1, 16, dtype=np.float32).reshape(8, 2)
    client = _client(double, max_batch=3)
    images = client.predict("generator", "serving_default", {"latents": latents})["images"]
    assert [len(body["inputs"]["latents"]) for _, body in _posts(double)] == [3, 3, 2]
    np.testing.assert_array_equal(images[:, 0, 0, 0], latents[:, 0])


def test_inputs_of_different_lengths_are_sent_whole():
    floats = ("DT_FLOAT", [-1])
    models = rest_double.model_of(
        {"a": floats, "b": floats}, {"sum": floats}, lambda a, b: {"sum": a + b.sum()}
    )
    with rest_double.Double(models) as double:
        made = _client(double, max_batch=2).predict("m", "serving_default", {"a": [1, 2, 3, 4], "b": [0.5]})
    assert made["sum"].tolist() == [1.5, 2.5, 3.5, 4.5]


def test_metadata_is_asked_for_once(double):
    client = _client(double)
    client.sample(1), client.sample(1)
    assert [path for method, path, _ in double.requests if method == "GET"] == [
        "/v1/models/generator/metadata"
    ]


@pytest.mark.parametrize(
    "which, part", [({"version": 1}, "/versions/1"), ({"label": "stable"}, "/labels/stable")]
)
def test_version_or_label_is_in_every_path(double, which, part):
    _client(double, **which).sample(1)
    assert [path for _, path, _ in double.requests] == [
        f"/v1/models/generator{part}/metadata",
        f"/v1/models/generator{part}:predict",
    ]


def test_names_are_quoted_in_paths():
    models = rest_double.model_of({"x": ("DT_FLOAT", [-1])}, {"y": ("DT_FLOAT", [-1])}, lambda x: {"y": x})
    models = {"A/b :c": rest_double.Model(models["m"].versions, labels={"ü/1": 1})}
    with rest_double.Double(models) as double:
        assert _client(double, label="ü/1").predict("A/b :c", "serving_default", {"x": [2]})["y"] == [2]


def test_status_lists_the_versions_newest_first(double):
    assert _client(double).status("encoder") == [
        {"version": 2, "state": "END", "error": ""},
        {"version": 1, "state": "AVAILABLE", "error": ""},
    ]


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"url": "localhost:8501"}, "it must look like http://localhost:8501"),
        ({"url": "ftp://localhost:8501"}, "it must look like http://localhost:8501"),
        ({"url": "http://localhost:port"}, "it must look like http://localhost:8501"),
        ({"version": 1, "label": "stable"}, "version is 1 and label is 'stable'; give one"),
        ({"max_batch": 0}, "max_batch is 0"),
        ({"retries": -1}, "retries -1"),
    ],
)
def test_settings_that_can_not_be_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Client(**settings)


def test_samples_and_files_are_asked_for_at_least_once(double):
    for call in (lambda c: c.sample(0), lambda c: c.sample(1, seed=-1), lambda c: c.score([])):
        with pytest.raises(ValueError, match="at least"):
            call(_client(double))
    assert not double.requests


def test_path_of_the_address_stands_before_v1(double):
    with pytest.raises(failures.Refused, match="Malformed request: GET /proxy/v1/models/generator"):
        Client(f"{double.url}/proxy/").status("generator")


def test_png_of_the_fake_is_what_it_says():
    assert np.asarray(Image.open(io.BytesIO(fake_models.png([-1, 1]))))[0, 0].tolist() == [0, 255, 0]
    with pytest.raises(rest_rules.Refusal):
        fake_models.code_of(b"no image")
