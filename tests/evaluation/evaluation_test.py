"""The evaluator: which data each protocol reads, what a row holds, and why a score is absent."""

import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf

from ltgans_tf.data import images, streams
from ltgans_tf.evaluation import (
    evaluation,
    evaluator_settings,
    likelihood,
    memorisation,
    metrics,
    representations,
    scores,
)
from ltgans_tf.evaluation import row as row_lib
from ltgans_tf.networks import sampling
from tests.evaluation import two_domains


@pytest.mark.program
def test_a_row_has_every_part_of_each_task_and_is_json(extractor, model, stream):
    row = two_domains.evaluator(extractor, about={"preset": "demo"}).evaluate(model, stream)
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
        assert found["images"] == two_domains.COUNT and found["iwae_images"] == 4
        baselines = (scores.SCORES[name].baseline for name in kinds - {"share"})
        assert {baseline.name for baseline in baselines if baseline} <= set(found)
    assert {"fcd", "fcd_floor", "kcd", "kcd_floor", "kcd_se", "precision", "mix_gap"} <= set(row.union)


@pytest.mark.program
def test_scores_are_those_of_the_functions_that_define_them(extractor, model, stream):
    parts = ("likelihood", "representation", "iwae")
    row = two_domains.evaluator(extractor, seed=3, parts=parts).evaluate(model, stream)
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
    row = two_domains.evaluator(extractor, seed=0, parts=("distances",)).evaluate(model, stream)
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
    row = two_domains.evaluator(extractor, parts=("distances",)).evaluate(model, stream)
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
        return two_domains.evaluator(extractor, parts=("distances",), samples=1000).evaluate(model, stream)

    sure = row(_Rebuilds(0.0))
    for found in sure.scores.values():
        assert found["share"] == pytest.approx(0.5, abs=0.02) and found["share_reconstructed"] > 0.97
    blurred = row(_Rebuilds(0.5))
    assert "share" in blurred.scores["dark.npz"] and "share" not in blurred.scores["bright.npz"]
    reason = blurred.absent["bright.npz"]["share"]
    assert reason.startswith(
        "The classifier recognises 50% of the model's reconstructions of test images of bright.npz"
    )
    assert set(blurred.union_absent) == {"mix_entropy", "mix_gap"} and "mix_gap" in sure.union
    assert "fcd_drawn" in blurred.scores["bright.npz"]
    model.images_are_decoded = False
    for student in (None, _Rebuilds(0.5)):  # a generator's images are none of the Student's
        found = row(student).scores["bright.npz"]
        assert found["share"] == pytest.approx(0.5, abs=0.02) and "share_reconstructed" not in found


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
    row = two_domains.evaluator(
        extractor, samples=samples, seed=3, test_images=200, parts=("distances",)
    ).evaluate(model, stream)
    assert [each for each in asked if each[1]] == ([(drawn, 1), (drawn, 2)] if drawn else [])
    union = np.concatenate(
        [
            sample(min(250, samples - i), 4_000_000 + i)[place::2]
            for place in (0, 1)
            for i in range(0, samples, 250)
        ]
    ).reshape([2, samples // 2, two_domains.SIDE, two_domains.SIDE, 3])
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
        row = two_domains.evaluator(extractor, samples=samples, parts=("distances",)).evaluate(model, stream)
        floor = ("fcd_drawn_images", "fcd_drawn_floor", "fcd_drawn_floor_images", "kcd_drawn_floor")
        found.append({name: row.scores["dark.npz"][name] for name in floor})
    assert found[0] == found[1] == found[2] and found[0]["fcd_drawn_images"] == 640


@pytest.mark.program
def test_a_model_without_codes_has_no_distances_of_domains_drawn(extractor, model, stream, monkeypatch):
    monkeypatch.setattr(two_domains.Model, "latent_law", sampling.LatentLaw(noise_dim=4))
    row = two_domains.evaluator(extractor, parts=("distances",)).evaluate(model, stream)
    reason = "The latents of this model have no domain codes, so that no domain can be drawn by itself."
    for task in stream.tasks:
        assert row.absent[task.name] == {"fcd_drawn": reason, "kcd_drawn": reason}
        assert not [name for name in row.scores[task.name] if "_drawn" in name]


@pytest.mark.program
def test_as_many_test_images_as_features_have_no_covariance(extractor, model, stream):
    row = two_domains.evaluator(extractor, test_images=64, parts=("distances",)).evaluate(model, stream)
    assert row.absent["dark.npz"]["fcd_drawn"] == "64 test images are too few; 65 are needed."
    assert "kcd_drawn" in row.scores["dark.npz"]
    row = two_domains.evaluator(extractor, test_images=65, parts=("distances",)).evaluate(model, stream)
    assert "fcd_drawn" in row.scores["dark.npz"] and "fcd" in row.absent["dark.npz"]


@pytest.mark.program
def test_too_few_test_images_for_a_covariance_are_named(extractor, model, stream):
    row = two_domains.evaluator(extractor, test_images=600, parts=("likelihood", "distances")).evaluate(
        model, stream
    )
    reason = "600 test images are too few; 640 are needed, 10 for each of the 64 features."
    assert row.absent["dark.npz"] == {"fcd": reason} and "fcd" not in row.scores["dark.npz"]
    assert "kcd" in row.scores["dark.npz"] and row.scores["dark.npz"]["images"] == 600
    assert "fcd" in row.union  # 1200 test images in all


@pytest.mark.program
def test_without_a_student_what_needs_one_is_absent(extractor, model, stream):
    model.student = None
    row = two_domains.evaluator(extractor).evaluate(model, stream)
    for name in row.scores:
        parts = ("likelihood", "representation", "smoothness", "iwae")
        assert row.absent[name] == dict.fromkeys(parts, "The model has no Student.")
        assert {"fcd", "copies"} <= set(row.scores[name])


@pytest.mark.program
def test_a_later_row_sees_the_students_new_weights_without_new_graphs(extractor, model, stream, monkeypatch):
    settings = {"parts": ("likelihood", "representation", "iwae")}
    evaluator, traced = two_domains.evaluator(extractor, **settings), []
    first = evaluator.evaluate(model, stream)
    encode = model.student.encode
    monkeypatch.setattr(model.student, "encode", lambda images: traced.append(images) or encode(images))
    model.student.set_weights([0.5 * weight for weight in model.student.get_weights()])
    second = evaluator.evaluate(model, stream)
    assert not any(tf.is_symbolic_tensor(images) for images in traced)
    assert second.scores == two_domains.evaluator(extractor, **settings).evaluate(model, stream).scores
    assert second.scores["dark.npz"]["nlog"] != first.scores["dark.npz"]["nlog"]


@pytest.mark.program
def test_progress_names_task_and_part(extractor, model, stream):
    lines = []
    two_domains.evaluator(extractor, parts=("likelihood", "distances"), progress=lines.append).evaluate(
        model, stream
    )
    assert lines[:2] == ["evaluating dark.npz (1/2): likelihood", "evaluating bright.npz (2/2): likelihood"]
    assert "evaluating: fcd" in lines and "evaluating bright.npz (2/2): kcd" in lines


@pytest.mark.program
def test_the_audit_finds_a_model_that_copies_its_training_images(extractor, model, stream):
    model.shares = (1.0, 0.0)
    honest = two_domains.evaluator(extractor, parts=("audit",)).evaluate(model, stream).scores["dark.npz"]
    train = stream.tasks[0].train_images()
    model.sample = lambda count, seed: images.normalize(train[np.arange(count) % len(train)])
    row = two_domains.evaluator(extractor, parts=("audit",)).evaluate(model, stream)
    copied = row.scores["dark.npz"]
    assert copied["copies"] == 1.0 and copied["nearest_ratio"] == 0.0
    assert honest["copies"] < 0.1 and honest["nearest_ratio"] > 0.8
    assert row.absent["bright.npz"] == {"audit": "No generated image is in this domain."}


@pytest.mark.program
def test_an_audit_without_enough_held_out_images_is_absent(extractor, model, stream):
    row = two_domains.evaluator(extractor, parts=("audit",), test_images=50).evaluate(model, stream)
    with pytest.raises(ValueError) as error:
        memorisation.memorisation(*[np.zeros((50, 1), np.uint8)] * 3)
    assert row.absent["dark.npz"] == {"audit": str(error.value)}


@pytest.mark.program
def test_a_task_of_one_class_or_without_labels_has_no_representation_scores(
    extractor, model, specs, tmp_path
):
    with np.load(specs[0].removeprefix("npz:")) as file:
        arrays = dict(file)
    for name in ("test_side", "train_side"):
        del arrays[name]
    np.savez(tmp_path / "one.npz", **{**arrays, "test_labels": np.zeros(two_domains.COUNT, int)})
    np.savez(tmp_path / "none.npz", **{n: a for n, a in arrays.items() if not n.endswith("labels")})
    np.savez(
        tmp_path / "still.npz",
        **{n: a for n, a in arrays.items() if not n.endswith("labels")},
        test_view=np.zeros(two_domains.COUNT),
    )
    model.task_index.assign(1)
    for name, reason in {
        "one": "have 1 classes with two images or more",
        "none": "Its images have neither labels nor known factors.",
        "still": "factor",
    }.items():
        stream = streams.TaskStream(
            [f"npz:{tmp_path}/{name}.npz"], (two_domains.SIDE, two_domains.SIDE, 3), 8
        )
        row = two_domains.evaluator(extractor, parts=("representation",)).evaluate(model, stream)
        assert reason in row.absent[f"{name}.npz"]["representation"], name
        assert row.scores[f"{name}.npz"] == {}


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"protocol": "open"}, "protocol is 'open'; choose one of research, production"),
        ({"parts": ("likelihod",)}, "parts is 'likelihod'; choose one of likelihood, distances"),
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
