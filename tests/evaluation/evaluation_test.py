"""The evaluator: which data each protocol reads, what a row holds, and why a score is absent."""

import dataclasses
import gc
import json
import os
import pathlib
import weakref

import numpy as np
import pytest
import tensorflow as tf

from ltgans_tf.data import datasets, images, streams
from ltgans_tf.evaluation import (
    evaluation,
    evaluator_settings,
    features,
    holdings,
    likelihood,
    measuring,
    memorisation,
    metrics,
    references,
    representations,
    scores,
)
from ltgans_tf.evaluation import row as row_lib
from ltgans_tf.networks import sampling

COUNT = 700  # test images of each task, enough for a covariance of 64 features
SIDE = 8


def _shown(task, count, seed):
    """Task 0 is dark with a bright half, the left or the right; task 1 is bright with a dark one."""
    draw = np.random.default_rng([seed, task])
    labels = draw.integers(0, 2, count)
    made = draw.normal(60, 20, (count, SIDE, SIDE, 3))
    for image, label in zip(made, labels):
        image[:, label * 4 : label * 4 + 4] += draw.uniform(60, 100)
    return np.clip(255 - made if task else made, 0, 255).astype(np.uint8), labels


@pytest.fixture(scope="module", name="specs")
def _specs(tmp_path_factory):
    folder, specs = tmp_path_factory.mktemp("evaluation"), []
    for task, name in enumerate(("dark", "bright")):
        parts = {}
        for split, count in (("train", 600), ("test", COUNT)):
            parts[f"{split}_images"], parts[f"{split}_labels"] = _shown(task, count, len(split))
            parts[f"{split}_side"] = parts[f"{split}_labels"] * 10
        np.savez(folder / f"{name}.npz", **parts)
        specs.append(f"npz:{folder}/{name}.npz")
    return specs


@pytest.fixture(name="stream")
def _stream(specs):
    return streams.TaskStream(specs, (SIDE, SIDE, 3), 8)


class _Model:
    """Replays real images with a little noise: a domain that is asked for, `shares` of each, or each in turn."""

    method = "replay of real images"
    latent_law = sampling.LatentLaw(noise_dim=2, domain_dim=2)
    images_are_decoded = False
    wrong = 0.0  # share of the images that a code draws of the other domain

    def __init__(self, student, shares=None, task_index=2):
        self.student, self.shares = student, shares
        self.task_index, self.global_step = tf.Variable(task_index), tf.Variable(10 * task_index)
        self.seed = 4

    def sample(self, count, seed, domain=None):
        draw = np.random.default_rng(seed)
        parts = [_shown(task, count, [seed, 77])[0] for task in range(2)]
        domains = np.arange(count) % self.task_index.numpy() if domain is None else np.full(count, domain - 1)
        by_code = (domains == 1) ^ (draw.random(count) < self.wrong)
        chosen = by_code if domain or not self.shares else draw.random(count) < self.shares[1]
        made = np.where(chosen[:, None, None, None], parts[1], parts[0])
        return images.normalize(made) + draw.normal(0, 0.05, made.shape).astype(np.float32)


@pytest.fixture(name="model")
def _model(tiny_model):
    return _Model(tiny_model().student)


@pytest.fixture(scope="module", name="extractor")
def _extractor(specs):
    """One extractor for all tests of this file, as the research protocol trains it."""
    return evaluation.Evaluator().prepare(streams.TaskStream(specs, (SIDE, SIDE, 3), 8))


def _evaluator(extractor=None, **settings):
    settings = {"samples": 1500, "iwae_k": 2, "iwae_images": 4, "kernel_subsets": 2, **settings}
    return evaluation.Evaluator(extractor=extractor, **settings)


@pytest.mark.program
def test_a_row_has_every_part_of_each_task_and_is_json(extractor, model, stream):
    row = _evaluator(extractor, about={"preset": "demo"}).evaluate(model, stream)
    assert row_lib.Row.from_json(json.loads(json.dumps(row.as_json()))) == row
    assert row.absent == {} and row.union_absent == {}
    assert (row.after_task, row.task, row.step) == (1, "bright.npz", 20)
    assert row.protocol == "research" and "kept the test parts" in row.protocol_text
    assert row.about["preset"] == "demo" and row.about["method"] == "replay of real images"
    assert row.about["seed"] == 4 and "commit" in row.about
    assert row.extractor["sha256"] == extractor.sha256
    assert row.extractor["domain_accuracy"] > 0.98 and row.extractor["class_accuracy"] > 0.9
    assert row.settings["samples"] == 1500 and set(row.seconds) == set(scores.PARTS)
    for name, found in row.scores.items():
        kinds = set(found) & set(scores.SCORES)
        others = {"fid", "kid", "fid_keras", "kid_keras", *scores.of_part(""), *scores.shown("mix")}
        assert kinds == {each for each in scores.SCORES if "_seed" not in each} - others, name
        assert found["images"] == COUNT and found["iwae_images"] == 4
        baselines = (scores.SCORES[name].baseline for name in kinds - {"share"})
        assert {baseline.name for baseline in baselines if baseline} <= set(found)
    assert {"fcd", "fcd_floor", "kcd", "kcd_floor", "kcd_se", "precision", "mix_gap"} <= set(row.union)


def test_a_row_says_whether_its_images_were_held_out_for_tuning(model, specs, stream):
    held = streams.TaskStream(specs, (SIDE, SIDE, 3), 8, tuning=True)
    tuned, tested = (_evaluator(parts=("likelihood",)).evaluate(model, of) for of in (held, stream))
    assert (tuned.tuning, tested.tuning) == (True, False)
    counts = [held.tasks[0].num_test, held.tasks[0].num_train]
    assert tuned.data["dark.npz"]["test_images"] == counts[0] and sum(counts) == 600
    assert tested.data["dark.npz"]["test_images"] == COUNT


@pytest.mark.program
def test_scores_are_those_of_the_functions_that_define_them(extractor, model, stream):
    parts = ("likelihood", "representation", "iwae")
    row = _evaluator(extractor, seed=3, parts=parts).evaluate(model, stream)
    task, student = stream.tasks[1], model.student
    found, test = row.scores[task.name], images.normalize(task.test_images())
    expected = likelihood.nlog(student, test, seed=3)
    assert {name: found[name] for name in expected} == pytest.approx(expected, rel=1e-5)
    codes = likelihood.codes(student, test)
    expected = representations.scores(codes, task.test_labels(), 3)
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=0.02)
    assert found["mig"] == pytest.approx(
        representations.mutual_information_gap(codes, task.test_factors())["mig"], abs=1e-4
    )
    bound = likelihood.iwae(student, images.normalize(task.test_images(4)), 2, seed=3)
    assert found["iwae"] == pytest.approx(bound["iwae"], rel=1e-5)


@pytest.mark.program
def test_distances_are_to_the_union_and_to_each_domain(extractor, model, stream):
    """All again by hand: samples as whole pixels, assigned by the extractor, features in [-1, 1]."""
    row = _evaluator(extractor, seed=0, parts=("distances",)).evaluate(model, stream)
    batches = [model.sample(min(250, 1500 - i), 1_000_000 + i) for i in range(0, 1500, 250)]
    made = images.normalize(images.to_uint8(tf.concat(batches, 0)))
    domains = extractor.domains(made)
    made = np.asarray(extractor.features(made))
    tests = [np.asarray(extractor.features(images.normalize(t.test_images()))) for t in stream.tasks]
    # As many training images as there are samples, over both domains: 750, of the 600 that there are.
    trains = [np.asarray(extractor.features(images.normalize(t.train_images()))) for t in stream.tasks]
    for place, task in enumerate(stream.tasks):
        found = row.scores[task.name]
        assert found["fcd"] == pytest.approx(
            metrics.frechet_distance(made[domains == place], tests[place]), rel=1e-3
        )
        assert found["fcd_floor"] == pytest.approx(
            metrics.frechet_distance(trains[place], tests[place]), rel=1e-3
        )
        assert found["share"] == np.mean(domains == place)
    union = metrics.frechet_distance(made, np.concatenate(tests))  # of equal sizes, so of equal weights
    assert row.union["fcd"] == pytest.approx(union, rel=1e-2)
    assert row.union["mix_gap"] == pytest.approx(abs(np.mean(domains == 0) - 0.5))


@pytest.mark.program
def test_a_domain_that_is_hardly_drawn_has_no_distance_and_the_reason(extractor, model, stream):
    model.shares = (0.9, 0.1)
    row = _evaluator(extractor, parts=("distances",)).evaluate(model, stream)
    found, count = row.scores["bright.npz"], round(row.scores["bright.npz"]["share"] * 1500)
    reason = f"{count} of 1500 generated images are in this domain; 640 are needed, 10 for each of the 64"
    for name in ("fcd", "kcd", "precision", "recall", "density", "coverage"):
        assert row.absent["bright.npz"][name].startswith(reason)
        assert name not in found and name in row.scores["dark.npz"]
    assert 0.05 < found["share"] < 0.15 and row.union["mix_gap"] > 0.3 and "fcd" in row.union


class _Rebuilds:
    """A Student whose reconstructions of some images are grey: of a share of the second task's."""

    def __init__(self, lost):
        self.lost = lost

    def encode(self, batch):
        keep = np.arange(len(batch)) % 10 >= 10 * self.lost
        bright = np.mean(batch, axis=(1, 2, 3)) > 0
        rows = np.where((keep | ~bright)[:, None, None, None], batch, -0.9 * np.ones_like(batch))
        return type("Posterior", (), {"mean": lambda self: tf.constant(rows, tf.float32)})()

    def decode(self, rows):
        return rows


@pytest.mark.program
def test_a_share_of_decoded_images_stands_with_what_the_classifier_makes_of_reconstructions(
    extractor, model, stream
):
    model.images_are_decoded = True

    def row(student):
        model.student = student
        return _evaluator(extractor, parts=("distances",), samples=1000).evaluate(model, stream)

    sure = row(_Rebuilds(0.0))
    for found in sure.scores.values():
        assert found["share"] == pytest.approx(0.5, abs=0.02) and found["share_reconstructed"] > 0.97
    blurred = row(_Rebuilds(0.5))
    assert "share" in blurred.scores["dark.npz"] and "share" not in blurred.scores["bright.npz"]
    reason = blurred.absent["bright.npz"]["share"]
    assert reason.startswith(
        "The classifier takes 50% of the model's own reconstructions of test images of bright.npz"
    )
    assert set(blurred.union_absent) == {"mix_entropy", "mix_gap"} and "mix_gap" in sure.union
    assert "fcd_drawn" in blurred.scores["bright.npz"]
    model.images_are_decoded = False
    for student in (None, _Rebuilds(0.5)):  # a generator's images are none of the Student's
        found = row(student).scores["bright.npz"]
        assert found["share"] == pytest.approx(0.5, abs=0.02) and "share_reconstructed" not in found


@pytest.mark.program
def test_extractors_of_other_seeds_measure_the_union_beside_the_first(model, specs, stream, tmp_path):
    settings = {"parts": ("distances",), "samples": 700, "extractor_images": 200, "extractor_seeds": (2,)}
    model.own_scores = lambda: {"components": 3}
    row = _evaluator(**settings).evaluate(model, stream, str(tmp_path))
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
    gone = streams.TaskStream(specs, (SIDE, SIDE, 3), 8)
    for task in gone.tasks[:1]:
        task.train_images = lambda limit=None: (_ for _ in ()).throw(ValueError("its images are gone."))
    again = _evaluator(**settings).evaluate(model, gone, str(tmp_path))
    assert again.union_absent["fcd_seed2"] == "its images are gone." and "fcd" in again.union
    with pytest.raises(ValueError, match="extractor_seeds is 7; choose of 1, 2"):
        _evaluator(extractor_seeds=(7,))


@pytest.mark.program
@pytest.mark.parametrize("samples, drawn", [(100, 590), (1300, 0)])
def test_a_domain_drawn_by_its_code_has_distances_though_few_samples_are_of_it(
    extractor, model, stream, samples, drawn
):
    """All again by hand, of 640 images: those of the union by the code, and `drawn` more."""
    model.wrong = 0.1  # the classifier's domains are not the codes'
    asked, sample = [], model.sample
    model.sample = lambda count, seed, domain=None: (
        asked.append((count, domain)) or sample(count, seed, domain)
    )
    row = _evaluator(extractor, samples=samples, seed=3, test_images=200, parts=("distances",)).evaluate(
        model, stream
    )
    assert [each for each in asked if each[1]] == ([(drawn, 1), (drawn, 2)] if drawn else [])
    union = np.concatenate(
        [
            sample(min(250, samples - i), 4_000_000 + i)[place::2]
            for place in (0, 1)
            for i in range(0, samples, 250)
        ]
    ).reshape([2, samples // 2, SIDE, SIDE, 3])
    for place, task in enumerate(stream.tasks):
        found, absent = row.scores[task.name], row.absent[task.name]
        assert "fcd" in absent and "fcd_drawn" not in absent and "kcd_drawn" not in absent
        made = union[place][:640]
        if drawn:
            made = np.concatenate([made, sample(drawn, 4_000_000 - 1 - place, place + 1)])
        made = images.normalize(images.to_uint8(made))
        reals = (images.normalize(part) for part in (task.test_images(200), task.train_images(640)))
        made, test, train = (np.asarray(extractor.features(part)) for part in (made, *reals))
        assert found["fcd_drawn"] == pytest.approx(metrics.frechet_distance(made, test), rel=1e-3)
        assert found["fcd_drawn_floor"] == pytest.approx(metrics.frechet_distance(train, test), rel=1e-3)
        assert (found["fcd_drawn_images"], found["fcd_drawn_floor_images"]) == (640, 600)
        kernel = metrics.kernel_distance(made, test, 1000, 2)
        assert (found["kcd_drawn"], found["kcd_drawn_se"]) == pytest.approx(kernel, abs=1e-5)


@pytest.mark.program
def test_what_a_code_draws_is_measured_with_as_many_images_in_every_row(extractor, model, stream):
    """Neither the number of tasks nor that of samples changes the floor, so that forgetting is the model's."""
    found = []
    for learnt, samples in ((1, 1500), (2, 1500), (2, 300)):
        model.task_index.assign(learnt)
        row = _evaluator(extractor, samples=samples, parts=("distances",)).evaluate(model, stream)
        floor = ("fcd_drawn_images", "fcd_drawn_floor", "fcd_drawn_floor_images", "kcd_drawn_floor")
        found.append({name: row.scores["dark.npz"][name] for name in floor})
    assert found[0] == found[1] == found[2] and found[0]["fcd_drawn_images"] == 640


@pytest.mark.program
def test_a_model_without_codes_has_no_distances_of_domains_drawn(extractor, model, stream, monkeypatch):
    monkeypatch.setattr(_Model, "latent_law", sampling.LatentLaw(noise_dim=4))
    row = _evaluator(extractor, parts=("distances",)).evaluate(model, stream)
    reason = "The latents of this model have no domain codes, so that no domain can be drawn by itself."
    for task in stream.tasks:
        assert row.absent[task.name] == {"fcd_drawn": reason, "kcd_drawn": reason}
        assert not [name for name in row.scores[task.name] if "_drawn" in name]


@pytest.mark.program
def test_as_many_test_images_as_features_have_no_covariance(extractor, model, stream):
    row = _evaluator(extractor, test_images=64, parts=("distances",)).evaluate(model, stream)
    assert row.absent["dark.npz"]["fcd_drawn"] == "64 test images are too few; 65 are needed."
    assert "kcd_drawn" in row.scores["dark.npz"]
    row = _evaluator(extractor, test_images=65, parts=("distances",)).evaluate(model, stream)
    assert "fcd_drawn" in row.scores["dark.npz"] and "fcd" in row.absent["dark.npz"]


@pytest.mark.program
def test_too_few_test_images_for_a_covariance_are_named(extractor, model, stream):
    row = _evaluator(extractor, test_images=600, parts=("likelihood", "distances")).evaluate(model, stream)
    reason = "600 test images are too few; 640 are needed, 10 for each of the 64 features."
    assert row.absent["dark.npz"] == {"fcd": reason} and "fcd" not in row.scores["dark.npz"]
    assert "kcd" in row.scores["dark.npz"] and row.scores["dark.npz"]["images"] == 600
    assert "fcd" in row.union  # 1200 test images in all


@pytest.mark.program
def test_without_a_student_what_needs_one_is_absent(extractor, model, stream):
    model.student = None
    row = _evaluator(extractor).evaluate(model, stream)
    for name in row.scores:
        parts = ("likelihood", "representation", "smoothness", "iwae")
        assert row.absent[name] == dict.fromkeys(parts, "The model has no Student.")
        assert {"fcd", "copies"} <= set(row.scores[name])


@pytest.mark.program
def test_the_extractor_is_fixed_by_data_and_seed_before_the_first_task(model, stream, tmp_path):
    """The model has no part in it, and a later evaluator takes the one that is there."""
    evaluator = _evaluator(parts=("distances",), extractor_images=100)
    first = evaluator.prepare(stream, str(tmp_path))
    assert features.load(str(tmp_path / "eval" / "extractor.npz")).sha256 == first.sha256
    row = _evaluator(parts=("distances",), seed=9).evaluate(model, stream, str(tmp_path))
    assert row.extractor["sha256"] == first.sha256 and row.extractor["trained_on"] == {
        "dark.npz": 100,
        "bright.npz": 100,
    }


@pytest.mark.program
def test_runs_of_several_seeds_have_one_extractor(stream, tmp_path):
    """Else no distance could be compared over seeds; the cache makes it the same to the bit."""
    first, second = (
        _evaluator(seed=seed, extractor_images=50, cache=str(tmp_path)).prepare(stream) for seed in (1, 2)
    )
    assert first.sha256 == second.sha256 and first is not second


def test_the_likelihood_alone_needs_no_extractor(model, stream, monkeypatch):
    monkeypatch.setattr(features, "train", None)
    row = evaluation.Evaluator(parts=("likelihood",), test_images=5).evaluate(model, stream)
    assert row.extractor is None and row.scores["dark.npz"]["images"] == 5


@pytest.mark.program
def test_a_research_row_without_a_tasks_data_says_so_and_has_the_rest(extractor, model, specs, tmp_path):
    workdir, stream = str(tmp_path), streams.TaskStream(specs, (SIDE, SIDE, 3), 8)
    model.task_index.assign(1)
    before = _evaluator(extractor, parts=("likelihood", "distances")).evaluate(model, stream, workdir)
    gone = streams.TaskStream([f"npz:{tmp_path}/dark.npz", specs[1]], (SIDE, SIDE, 3), 8, unchecked=1)
    model.task_index.assign(2)
    row = _evaluator(extractor).evaluate(model, gone, workdir)
    absent, found = row.absent["dark.npz"], row.scores["dark.npz"]
    assert set(absent) == {"likelihood", "representation", "smoothness", "iwae", "audit"} | {
        "kcd",
        "kcd_drawn",
        "precision",
        "recall",
        "density",
        "coverage",
    }
    for part in ("likelihood", "representation", "smoothness", "iwae", "audit"):
        assert "dark.npz is not there any more" in absent[part]
    assert "moments alone are left" in absent["kcd"]
    # Its distance is measured to the moments that were kept after it.
    whole = _evaluator(extractor, parts=("distances",)).evaluate(model, stream)
    assert found["fcd"] == pytest.approx(whole.scores["dark.npz"]["fcd"], rel=1e-6)
    assert row.union["fcd"] == pytest.approx(whole.union["fcd"], rel=1e-6)
    assert row.data["dark.npz"] == before.data["dark.npz"] != {}


@pytest.mark.program
def test_each_part_of_a_past_task_is_read_once_and_let_go_of(extractor, model, specs, monkeypatch):
    load, read = datasets.load, []

    def noted(spec, split, *args, **kwargs):
        source = load(spec, split, *args, **kwargs)
        read.append((str(spec), split, weakref.ref(source)))
        return source

    monkeypatch.setattr(datasets, "load", noted)
    stream = streams.TaskStream(specs, (SIDE, SIDE, 3), 8)
    evaluation.Evaluator(extractor=extractor, samples=400).evaluate(model, stream)
    gc.collect()
    alive = {(spec, split): source() is not None for spec, split, source in read}
    assert len(read) == len(alive) == 4
    assert alive == {(spec, split): spec == specs[1] for spec in specs for split in ("train", "test")}


@pytest.mark.parametrize("limit", [1, 40, 50, 60, None])
def test_a_holding_gives_the_images_that_its_task_gives(stream, limit):
    task = stream.tasks[0]
    holding = holdings.Holding(task, 50, 50, True, None, past=True)
    given = min(limit or 50, 50)
    np.testing.assert_array_equal(holding.test(limit), task.test_images(given))
    np.testing.assert_array_equal(holding.train(limit), task.train_images(given))
    np.testing.assert_array_equal(holding.test_labels(), task.test_labels(50))
    np.testing.assert_array_equal(holding.test_factors()["side"], task.test_factors(50)["side"])


@pytest.mark.program
def test_production_reads_no_image_of_a_past_task(tiny_model, model, specs, tmp_path, monkeypatch):
    workdir, stream = str(tmp_path), streams.TaskStream(specs, (SIDE, SIDE, 3), 8)
    read = []
    original = streams.Task._source
    monkeypatch.setattr(
        streams.Task, "_source", lambda task, split: read.append(task.index) or original(task, split)
    )
    evaluator = _evaluator(protocol="production")
    extractor = evaluator.prepare(stream, workdir)
    assert set(read) == {0} and extractor.domain_names == ("dark.npz",)
    model.task_index.assign(1)
    first = evaluator.evaluate(model, stream, workdir)
    assert set(read) == {0} and first.absent == {} and first.union_absent == {}
    read.clear()
    model.task_index.assign(2)
    row = evaluator.evaluate(model, stream, workdir)
    assert set(read) == {1}
    nlog = first.scores["dark.npz"]["nlog"]
    assert row.protocol == "production" and "no image" in row.protocol_text
    assert row.absent["dark.npz"]["likelihood"] == (
        f"A production run keeps no image of a past task; its NLOG was {nlog:.1f} when it was new."
    )
    assert {"fcd", "fcd_floor", "share"} <= set(row.scores["dark.npz"])
    assert {"nlog", "fcd", "kcd", "precision", "copies", "knn"} <= set(row.scores["bright.npz"])
    assert {"fcd", "fcd_floor"} <= set(row.union) and set(row.union_absent) == {
        "kcd",
        "precision",
        "recall",
        "density",
        "coverage",
    }
    # The extractor never saw the second domain, yet the references tell the two apart.
    assert row.scores["dark.npz"]["share"] == pytest.approx(0.5, abs=0.06)
    assert row.extractor["domain_accuracy"] > 0.9


@pytest.mark.program
def test_both_protocols_measure_the_same_distance_under_one_extractor(extractor, model, stream, tmp_path):
    rows = {}
    for protocol in evaluator_settings.PROTOCOLS:
        for learnt in (1, 2):
            model.task_index.assign(learnt)
            evaluator = _evaluator(extractor, protocol=protocol, parts=("distances",))
            rows[protocol] = evaluator.evaluate(model, stream, str(tmp_path / protocol))
    for name in ("dark.npz", "bright.npz"):
        pair = [rows[protocol].scores[name]["fcd"] for protocol in rows]
        assert pair[0] == pytest.approx(pair[1], rel=1e-9)
    assert rows["research"].union["fcd"] == pytest.approx(rows["production"].union["fcd"], rel=1e-9)


@pytest.mark.program
def test_no_part_is_begun_after_the_time_limit(extractor, model, stream, monkeypatch):
    clock = iter(range(0, 10_000, 3))
    monkeypatch.setattr(measuring.time, "monotonic", lambda: float(next(clock)))
    row = _evaluator(extractor, max_seconds=10).evaluate(model, stream)
    # A look at the clock before and one after each piece: the third is begun after 15 s.
    assert "nlog" in row.scores["dark.npz"] and "nlog" in row.scores["bright.npz"]
    reason = "The time for the evaluation, 10 s, was over."
    assert row.absent["dark.npz"]["representation"] == row.union_absent["fcd"] == reason
    assert row.absent["bright.npz"]["audit"] == row.absent["dark.npz"]["fcd"] == reason
    assert set(row.seconds) == {"likelihood"}


@pytest.mark.program
def test_a_task_out_of_turn_has_the_same_scores_that_a_push_compares(extractor, model, specs, monkeypatch):
    longer = streams.TaskStream([*specs, specs[0]], (SIDE, SIDE, 3), 8)
    full = _evaluator(extractor).evaluate(model, longer)
    monkeypatch.setattr(
        evaluator_settings.EvaluatorSettings, "in_full", lambda self, index, learnt: index == 1 < learnt
    )
    evaluator = _evaluator(extractor, past_tasks=1)
    row = evaluator.evaluate(model, longer)
    own, whole = row.scores["dark.npz"], full.scores["dark.npz"]
    assert {"nlog", "mean_image_nlog", "share", "fcd", "fcd_drawn"} <= set(own)
    assert own == {name: whole[name] for name in own}
    waiting = {
        "nlog_sampled",
        "iwae",
        "audit",
        "representation",
        "smoothness",
        "kcd",
        "kcd_drawn",
        "precision",
    }
    assert waiting <= set(row.absent["dark.npz"])
    reason = "Not this task's turn (past_tasks is 1); ltgans evaluate measures it."
    assert set(row.absent["dark.npz"].values()) == {reason}
    assert row.scores["bright.npz"] == full.scores["bright.npz"] and row.union == full.union
    # After the last task of a stream nothing waits; what the evaluator keeps from row to row changes nothing.
    short = streams.TaskStream(specs, (SIDE, SIDE, 3), 8)
    assert evaluator.evaluate(model, short).scores == full.scores
    production = _evaluator(extractor, past_tasks=1, protocol="production").evaluate(model, longer)
    assert reason not in production.absent["dark.npz"].values()


@pytest.mark.program
def test_a_later_row_sees_the_students_new_weights_without_new_graphs(extractor, model, stream, monkeypatch):
    settings = {"parts": ("likelihood", "representation", "iwae")}
    evaluator, traced = _evaluator(extractor, **settings), []
    first = evaluator.evaluate(model, stream)
    encode = model.student.encode
    monkeypatch.setattr(model.student, "encode", lambda images: traced.append(images) or encode(images))
    model.student.set_weights([0.5 * weight for weight in model.student.get_weights()])
    second = evaluator.evaluate(model, stream)
    assert not any(tf.is_symbolic_tensor(images) for images in traced)
    assert second.scores == _evaluator(extractor, **settings).evaluate(model, stream).scores
    assert second.scores["dark.npz"]["nlog"] != first.scores["dark.npz"]["nlog"]


@pytest.mark.program
def test_progress_names_task_and_part(extractor, model, stream):
    lines = []
    _evaluator(extractor, parts=("likelihood", "distances"), progress=lines.append).evaluate(model, stream)
    assert lines[:2] == ["evaluating dark.npz (1/2): likelihood", "evaluating bright.npz (2/2): likelihood"]
    assert "evaluating: fcd" in lines and "evaluating bright.npz (2/2): kcd" in lines


@pytest.mark.program
def test_the_audit_finds_a_model_that_copies_its_training_images(extractor, model, stream):
    model.shares = (1.0, 0.0)
    honest = _evaluator(extractor, parts=("audit",)).evaluate(model, stream).scores["dark.npz"]
    train = stream.tasks[0].train_images()
    model.sample = lambda count, seed: images.normalize(train[np.arange(count) % len(train)])
    row = _evaluator(extractor, parts=("audit",)).evaluate(model, stream)
    copied = row.scores["dark.npz"]
    assert copied["copies"] == 1.0 and copied["nearest_ratio"] == 0.0
    assert honest["copies"] < 0.1 and honest["nearest_ratio"] > 0.8
    assert row.absent["bright.npz"] == {"audit": "No generated image is in this domain."}


@pytest.mark.program
def test_an_audit_without_enough_held_out_images_is_absent(extractor, model, stream):
    row = _evaluator(extractor, parts=("audit",), test_images=50).evaluate(model, stream)
    with pytest.raises(ValueError) as error:
        memorisation.memorisation(*[np.zeros((50, 1), np.uint8)] * 3)
    assert row.absent["dark.npz"] == {"audit": str(error.value)}


@pytest.mark.program
def test_inception_is_measured_beside_the_classifier(extractor, model, stream):
    class Fake:
        dimensions, frechet, kernel, sha256 = 3, "fid", "kid", "ff"
        about = {"name": "FID"}

        def features(self, batch):
            return tf.reduce_mean(batch, axis=[1, 2])

    row = _evaluator(extractor, parts=("distances",), inception=Fake()).evaluate(model, stream)
    made = np.concatenate([model.sample(250, 1_000_000 + i) for i in range(0, 1500, 250)])
    means = [(np.round((x + 1) * 127.5).clip(0, 255) / 127.5 - 1).mean((1, 2)) for x in (made,)]
    tests = np.concatenate([images.normalize(t.test_images()) for t in stream.tasks]).mean((1, 2))
    assert row.union["fid"] == pytest.approx(metrics.frechet_distance(means[0], tests), rel=0.02, abs=1e-3)
    assert {"fcd", "fid", "kid", "fid_floor"} <= set(row.scores["dark.npz"])
    assert row.inception == {"name": "FID"}


@pytest.mark.program
def test_a_task_of_one_class_or_without_labels_has_no_representation_scores(
    extractor, model, specs, tmp_path
):
    with np.load(specs[0].removeprefix("npz:")) as file:
        arrays = dict(file)
    for name in ("test_side", "train_side"):
        del arrays[name]
    np.savez(tmp_path / "one.npz", **{**arrays, "test_labels": np.zeros(COUNT, int)})
    np.savez(tmp_path / "none.npz", **{n: a for n, a in arrays.items() if not n.endswith("labels")})
    np.savez(
        tmp_path / "still.npz",
        **{n: a for n, a in arrays.items() if not n.endswith("labels")},
        test_view=np.zeros(COUNT),
    )
    model.task_index.assign(1)
    for name, reason in {
        "one": "have 1 classes with two images or more",
        "none": "Its images have neither labels nor known factors.",
        "still": "factor",
    }.items():
        stream = streams.TaskStream([f"npz:{tmp_path}/{name}.npz"], (SIDE, SIDE, 3), 8)
        row = _evaluator(extractor, parts=("representation",)).evaluate(model, stream)
        assert reason in row.absent[f"{name}.npz"]["representation"], name
        assert row.scores[f"{name}.npz"] == {}


@pytest.mark.program
def test_images_without_a_test_part_can_still_be_learnt(model, tmp_path, specs):
    """A folder of few images: the extractor is not checked, and what needs test images is absent."""
    from PIL import Image

    (tmp_path / "few" / "train").mkdir(parents=True)
    (tmp_path / "few" / "test").mkdir()
    for i in range(12):
        pixels = np.random.default_rng(i).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "few" / "train" / f"{i}.png")
    lines = []
    stream = streams.TaskStream([f"folder:{tmp_path}/few"], (SIDE, SIDE, 3), 8)
    model.task_index.assign(1)
    row = _evaluator(progress=lines.append, parts=("likelihood", "distances")).evaluate(model, stream)
    assert any("not checked, for want of test images" in line for line in lines)
    assert "has no image in its test split" in row.absent["few"]["likelihood"]
    assert "has no image in its test split" in row.union_absent["fcd"]
    assert row.scores["few"]["share"] == 1.0


@pytest.mark.program
def test_an_extractor_that_confuses_the_domains_says_so(specs):
    twice = streams.TaskStream([specs[0], specs[0]], (SIDE, SIDE, 3), 8)
    extractor = _evaluator(extractor_images=200).prepare(twice)
    assert extractor.about["domain_accuracy"] == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"protocol": "open"}, "protocol is 'open'; choose of research, production"),
        ({"parts": ("likelihod",)}, "parts is 'likelihod'; choose of likelihood, distances"),
        ({"samples": 0}, "samples is 0; it must be at least 1"),
        ({"iwae_images": -1}, "iwae_images is -1; it must be at least 0"),
    ],
)
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        evaluation.Evaluator(**settings)


def test_settings_are_given_whole_or_by_name():
    few = evaluator_settings.EvaluatorSettings(samples=7, parts=["likelihood"])
    assert few.parts == ("likelihood",)
    assert evaluation.Evaluator(settings=few, seed=3).settings == dataclasses.replace(few, seed=3)
    assert evaluation.Evaluator("production", few).settings.protocol == "production"
    with pytest.raises(TypeError, match="smaples"):
        evaluation.Evaluator(smaples=7)


def test_training_images_that_are_gone_stop_a_research_run_before_it_begins(specs, tmp_path):
    gone = streams.TaskStream([specs[0], f"npz:{tmp_path}/b.npz"], (SIDE, SIDE, 3), 8, unchecked=2)
    with pytest.raises(ValueError, match="b.npz is not there any more"):
        evaluation.Evaluator().prepare(gone)
    evaluation.Evaluator("production", extractor_images=50).prepare(gone)


@pytest.fixture(name="two_rows")
def _two_rows(extractor, model, stream, tmp_path):
    """Two rows of a run as the boundaries keep them: (evaluator, workdir, rows)."""
    evaluator, workdir, rows = (
        _evaluator(extractor, parts=("likelihood", "distances")),
        str(tmp_path / "run"),
        [],
    )
    for learnt in (1, 2):
        model.task_index.assign(learnt)
        rows.append(evaluator.evaluate(model, stream, workdir))
        rows[-1].save(row_lib.row_path(workdir, learnt - 1))
    return evaluator, workdir, rows


@pytest.mark.program
@pytest.mark.parametrize("damage", ["cut", "gone"])
def test_a_lost_reference_is_made_again_of_the_images_of_its_row(two_rows, model, stream, caplog, damage):
    evaluator, workdir, rows = two_rows
    before = references.load(workdir, 0)
    path = pathlib.Path(references.path_of(workdir, 0))
    path.unlink() if damage == "gone" else path.write_bytes(path.read_bytes()[:99])
    assert evaluator.evaluate(model, stream, workdir).scores == rows[1].scores
    again = references.load(workdir, 0)
    assert again.numbers == before.numbers and "made again of the same images" in caplog.text
    for sha256, pair in before.moments.items():
        for found, expected in zip(again.moments[sha256], pair):
            np.testing.assert_allclose(found.mean, expected.mean, rtol=1e-6)


@pytest.mark.program
def test_a_lost_reference_is_not_made_of_other_images(two_rows, model, specs, tmp_path, caplog):
    _, workdir, rows = two_rows
    os.remove(references.path_of(workdir, 0))
    rows[0].data[rows[0].task]["test_fingerprint"] = "of other images"
    rows[0].save(row_lib.row_path(workdir, 0))
    stream = streams.TaskStream(specs, (SIDE, SIDE, 3), 8)
    _evaluator(parts=("distances",)).evaluate(model, stream, workdir)
    assert "not known to be those of its row, so it is not made again" in caplog.text
    production = _evaluator(protocol="production", parts=("likelihood", "distances"))
    row = production.evaluate(model, stream, workdir)
    assert references.load(workdir, 0) is None
    assert "task_00.npz is missing" in row.absent["dark.npz"]["likelihood"]
    assert "task_00.npz is missing" in row.absent["dark.npz"]["fcd"]
    assert {"nlog"} <= set(row.scores["bright.npz"])


@pytest.mark.program
@pytest.mark.parametrize("damage", ["cut", "gone"])
def test_a_lost_extractor_is_made_again_the_same_or_not_at_all(
    two_rows, extractor, model, stream, specs, damage, monkeypatch
):
    _, workdir, rows = two_rows
    path = pathlib.Path(workdir) / "eval" / "extractor.npz"
    path.unlink() if damage == "gone" else path.write_bytes(path.read_bytes()[:99])
    fewer = streams.TaskStream([specs[1], specs[0]], (SIDE, SIDE, 3), 8)
    fewer.tasks[1].name = "another.npz"  # so that the images of a task that it was trained on are not there
    row = _evaluator(parts=("likelihood", "distances", "audit")).evaluate(model, fewer, workdir)
    assert row.extractor is None and not path.is_file() or damage == "cut"
    reason = row.absent["bright.npz"]["distances"]
    assert "the extractor that earlier rows were measured on, is missing or damaged" in reason
    assert row.union_absent["distances"] == row.absent["bright.npz"]["audit"] == reason
    assert "nlog" in row.scores["bright.npz"] and "fcd" not in row.scores["bright.npz"]
    asked = []
    monkeypatch.setattr(features, "train", lambda domains, *_, **__: asked.extend(domains) or extractor)
    again = _evaluator(parts=("distances",), extractor_images=7).evaluate(model, stream, workdir)
    assert [(domain.name, len(domain.images)) for domain in asked] == [("dark.npz", 600), ("bright.npz", 600)]
    assert again.extractor["sha256"] == rows[1].extractor["sha256"] == features.load(str(path)).sha256
