"""Tests of the extractors that an evaluator measures distances on."""

import numpy as np
import pytest
import tensorflow as tf

from ltgans_tf.data import images, streams
from ltgans_tf.evaluation import (
    evaluation,
    features,
    metrics,
)
from tests.evaluation import two_domains


@pytest.mark.program
def test_extractors_of_other_seeds_measure_the_union_beside_the_first(model, specs, stream, tmp_path):
    settings = {"parts": ("distances",), "samples": 700, "extractor_images": 200, "extractor_seeds": (2,)}
    model.own_scores = lambda: {"components": 3}
    row = two_domains.evaluator(**settings).evaluate(model, stream, str(tmp_path))
    assert row.union["components"] == 3
    other = features.load(str(tmp_path / "eval/extractor_seed2.npz"))
    assert row.of_seeds[2]["sha256"] == other.sha256 != row.extractor["sha256"]
    assert other.about["seed"] == 2 and other.about["trained_on"] == row.extractor["trained_on"]
    batches = [model.sample(min(250, 700 - i), 1_000_000 + i) for i in range(0, 700, 250)]
    made = np.asarray(other.features(images.normalize(images.to_uint8(tf.concat(batches, 0)))))
    tests = [np.asarray(other.features(images.normalize(task.test_images()))) for task in stream.tasks]
    expected = metrics.frechet_distance(made, np.concatenate(tests))
    assert row.union["fcd_seed2"] == pytest.approx(expected, rel=1e-2) and "kcd_seed2" in row.union
    assert "fcd_seed2_floor" in row.union and "fcd_seed1" not in row.union
    assert not any("fcd_seed2" in found for found in row.scores.values())
    (tmp_path / "eval/extractor_seed2.npz").unlink()
    gone = streams.TaskStream(specs, (two_domains.SIDE, two_domains.SIDE, 3), 8)
    for task in gone.tasks[:1]:
        task.train_images = lambda limit=None: (_ for _ in ()).throw(ValueError("its images are gone."))
    again = two_domains.evaluator(**settings).evaluate(model, gone, str(tmp_path))
    assert again.union_absent["fcd_seed2"] == "its images are gone." and "fcd" in again.union
    with pytest.raises(ValueError, match="extractor_seeds is 7; choose one of 1, 2"):
        two_domains.evaluator(extractor_seeds=(7,))


@pytest.mark.program
def test_the_extractor_is_fixed_by_data_and_seed_before_the_first_task(model, stream, tmp_path):
    """The model has no part in it, and a later evaluator takes the one that is there."""
    evaluator = two_domains.evaluator(parts=("distances",), extractor_images=100)
    first = evaluator.prepare(stream, str(tmp_path))
    assert features.load(str(tmp_path / "eval" / "extractor.npz")).sha256 == first.sha256
    row = two_domains.evaluator(parts=("distances",), seed=9).evaluate(model, stream, str(tmp_path))
    assert row.extractor["sha256"] == first.sha256 and row.extractor["trained_on"] == {
        "dark.npz": 100,
        "bright.npz": 100,
    }


@pytest.mark.program
def test_runs_of_several_seeds_have_one_extractor(stream, tmp_path):
    """Else no distance could be compared over seeds; the cache makes it the same to the bit."""
    first, second = (
        two_domains.evaluator(seed=seed, extractor_images=50, cache=str(tmp_path)).prepare(stream)
        for seed in (1, 2)
    )
    assert first.sha256 == second.sha256 and first is not second


def test_the_likelihood_alone_needs_no_extractor(model, stream, monkeypatch):
    monkeypatch.setattr(features, "train", None)
    row = evaluation.Evaluator(parts=("likelihood",), test_images=5).evaluate(model, stream)
    assert row.extractor is None and row.scores["dark.npz"]["images"] == 5


@pytest.mark.program
def test_inception_is_measured_beside_the_classifier(extractor, model, stream):
    class Fake:
        dimensions, frechet, kernel, sha256 = 3, "fid", "kid", "ff"
        about = {"name": "FID"}

        def features(self, batch):
            return tf.reduce_mean(batch, axis=[1, 2])

    row = two_domains.evaluator(extractor, parts=("distances",), inception=Fake()).evaluate(model, stream)
    made = np.concatenate([model.sample(250, 1_000_000 + i) for i in range(0, 1500, 250)])
    means = [(np.round((x + 1) * 127.5).clip(0, 255) / 127.5 - 1).mean((1, 2)) for x in (made,)]
    tests = np.concatenate([images.normalize(t.test_images()) for t in stream.tasks]).mean((1, 2))
    assert row.union["fid"] == pytest.approx(metrics.frechet_distance(means[0], tests), rel=0.02, abs=1e-3)
    assert {"fcd", "fid", "kid", "fid_floor"} <= set(row.scores["dark.npz"])
    assert row.inception == {"name": "FID"}


@pytest.mark.program
def test_an_extractor_that_confuses_the_domains_says_so(specs):
    twice = streams.TaskStream([specs[0], specs[0]], (two_domains.SIDE, two_domains.SIDE, 3), 8)
    extractor = two_domains.evaluator(extractor_images=200).prepare(twice)
    assert extractor.about["domain_accuracy"] == pytest.approx(0.5, abs=0.1)
