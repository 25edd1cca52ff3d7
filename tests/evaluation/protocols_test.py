"""Tests of what each protocol reads, in which order, and what it does about lost files."""

import gc
import os
import pathlib
import weakref

import numpy as np
import pytest

from ltgans_tf.data import datasets, streams
from ltgans_tf.evaluation import evaluation, evaluator_settings, features, measuring, references, task_images
from ltgans_tf.evaluation import row as row_lib
from tests.evaluation import two_domains


@pytest.mark.program
def test_a_research_row_without_a_tasks_data_says_so_and_has_the_rest(extractor, model, specs, tmp_path):
    workdir, stream = str(tmp_path), streams.TaskStream(specs, (two_domains.SIDE, two_domains.SIDE, 3), 8)
    model.task_index.assign(1)
    before = two_domains.evaluator(extractor, parts=("likelihood", "distances")).evaluate(
        model, stream, workdir
    )
    gone = streams.TaskStream(
        [f"npz:{tmp_path}/dark.npz", specs[1]], (two_domains.SIDE, two_domains.SIDE, 3), 8, unchecked=1
    )
    model.task_index.assign(2)
    row = two_domains.evaluator(extractor).evaluate(model, gone, workdir)
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
    assert "only moments were kept" in absent["kcd"]
    # Its distance is measured to the moments that were kept after it.
    whole = two_domains.evaluator(extractor, parts=("distances",)).evaluate(model, stream)
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
    stream = streams.TaskStream(specs, (two_domains.SIDE, two_domains.SIDE, 3), 8)
    evaluation.Evaluator(extractor=extractor, samples=400).evaluate(model, stream)
    gc.collect()
    alive = {(spec, split): source() is not None for spec, split, source in read}
    assert len(read) == len(alive) == 4
    assert alive == {(spec, split): spec == specs[1] for spec in specs for split in ("train", "test")}


@pytest.mark.parametrize("limit", [1, 40, 50, 60, None])
def test_task_images_are_those_that_the_task_gives(stream, limit):
    task = stream.tasks[0]
    held = task_images.TaskImages(task, 50, 50, True, None, past=True)
    given = min(limit or 50, 50)
    np.testing.assert_array_equal(held.test(limit), task.test_images(given))
    np.testing.assert_array_equal(held.train(limit), task.train_images(given))
    np.testing.assert_array_equal(held.test_labels(), task.test_labels(50))
    np.testing.assert_array_equal(held.test_factors()["side"], task.test_factors(50)["side"])


@pytest.mark.program
def test_production_reads_no_image_of_a_past_task(tiny_model, model, specs, tmp_path, monkeypatch):
    workdir, stream = str(tmp_path), streams.TaskStream(specs, (two_domains.SIDE, two_domains.SIDE, 3), 8)
    read = []
    original = streams.Task._source
    monkeypatch.setattr(
        streams.Task, "_source", lambda task, split: read.append(task.index) or original(task, split)
    )
    evaluator = two_domains.evaluator(protocol="production")
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
            evaluator = two_domains.evaluator(extractor, protocol=protocol, parts=("distances",))
            rows[protocol] = evaluator.evaluate(model, stream, str(tmp_path / protocol))
    for name in ("dark.npz", "bright.npz"):
        pair = [rows[protocol].scores[name]["fcd"] for protocol in rows]
        assert pair[0] == pytest.approx(pair[1], rel=1e-9)
    assert rows["research"].union["fcd"] == pytest.approx(rows["production"].union["fcd"], rel=1e-9)


@pytest.mark.program
def test_no_part_is_begun_after_the_time_limit(extractor, model, stream, monkeypatch):
    clock = iter(range(0, 10_000, 3))
    monkeypatch.setattr(measuring.time, "monotonic", lambda: float(next(clock)))
    row = two_domains.evaluator(extractor, max_seconds=10).evaluate(model, stream)
    # A look at the clock before and one after each piece: the third is begun after 15 s.
    assert "nlog" in row.scores["dark.npz"] and "nlog" in row.scores["bright.npz"]
    reason = "The time limit of the evaluation, 10 s, was reached."
    assert row.absent["dark.npz"]["representation"] == row.union_absent["fcd"] == reason
    assert row.absent["bright.npz"]["audit"] == row.absent["dark.npz"]["fcd"] == reason
    assert set(row.seconds) == {"likelihood"}


@pytest.mark.program
def test_a_task_out_of_turn_has_the_same_scores_that_a_push_compares(extractor, model, specs, monkeypatch):
    longer = streams.TaskStream([*specs, specs[0]], (two_domains.SIDE, two_domains.SIDE, 3), 8)
    full = two_domains.evaluator(extractor).evaluate(model, longer)
    monkeypatch.setattr(
        evaluator_settings.EvaluatorSettings, "in_full", lambda self, index, learnt: index == 1 < learnt
    )
    evaluator = two_domains.evaluator(extractor, past_tasks=1)
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
    short = streams.TaskStream(specs, (two_domains.SIDE, two_domains.SIDE, 3), 8)
    assert evaluator.evaluate(model, short).scores == full.scores
    production = two_domains.evaluator(extractor, past_tasks=1, protocol="production").evaluate(model, longer)
    assert reason not in production.absent["dark.npz"].values()


@pytest.mark.program
def test_images_without_a_test_part_can_still_be_learnt(model, tmp_path, specs):
    """A folder of few images: the extractor is not checked, and what needs test images is absent."""
    from PIL import Image

    (tmp_path / "few" / "train").mkdir(parents=True)
    (tmp_path / "few" / "test").mkdir()
    for i in range(12):
        pixels = np.random.default_rng(i).integers(
            0, 256, (two_domains.SIDE, two_domains.SIDE, 3), dtype=np.uint8
        )
        Image.fromarray(pixels).save(tmp_path / "few" / "train" / f"{i}.png")
    lines = []
    stream = streams.TaskStream([f"folder:{tmp_path}/few"], (two_domains.SIDE, two_domains.SIDE, 3), 8)
    model.task_index.assign(1)
    row = two_domains.evaluator(progress=lines.append, parts=("likelihood", "distances")).evaluate(
        model, stream
    )
    assert any("not checked, because there are no test images" in line for line in lines)
    assert "has no image in its test split" in row.absent["few"]["likelihood"]
    assert "has no image in its test split" in row.union_absent["fcd"]
    assert row.scores["few"]["share"] == 1.0


def test_training_images_that_are_gone_stop_a_research_run_before_it_begins(specs, tmp_path):
    gone = streams.TaskStream(
        [specs[0], f"npz:{tmp_path}/b.npz"], (two_domains.SIDE, two_domains.SIDE, 3), 8, unchecked=2
    )
    with pytest.raises(ValueError, match="b.npz is not there any more"):
        evaluation.Evaluator().prepare(gone)
    evaluation.Evaluator("production", extractor_images=50).prepare(gone)


@pytest.fixture(name="two_rows")
def _two_rows(extractor, model, stream, tmp_path):
    """Two rows of a run as the boundaries keep them: (evaluator, workdir, rows)."""
    evaluator, workdir, rows = (
        two_domains.evaluator(extractor, parts=("likelihood", "distances")),
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
    stream = streams.TaskStream(specs, (two_domains.SIDE, two_domains.SIDE, 3), 8)
    two_domains.evaluator(parts=("distances",)).evaluate(model, stream, workdir)
    assert "not known to be those of its row, so it is not made again" in caplog.text
    production = two_domains.evaluator(protocol="production", parts=("likelihood", "distances"))
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
    fewer = streams.TaskStream([specs[1], specs[0]], (two_domains.SIDE, two_domains.SIDE, 3), 8)
    fewer.tasks[1].name = "another.npz"  # so that the images of a task that it was trained on are not there
    row = two_domains.evaluator(parts=("likelihood", "distances", "audit")).evaluate(model, fewer, workdir)
    assert row.extractor is None and not path.is_file() or damage == "cut"
    reason = row.absent["bright.npz"]["distances"]
    assert "the extractor that earlier rows were measured on, is missing or damaged" in reason
    assert row.union_absent["distances"] == row.absent["bright.npz"]["audit"] == reason
    assert "nlog" in row.scores["bright.npz"] and "fcd" not in row.scores["bright.npz"]
    asked = []
    monkeypatch.setattr(features, "train", lambda domains, *_, **__: asked.extend(domains) or extractor)
    again = two_domains.evaluator(parts=("distances",), extractor_images=7).evaluate(model, stream, workdir)
    assert [(domain.name, len(domain.images)) for domain in asked] == [("dark.npz", 600), ("bright.npz", 600)]
    assert again.extractor["sha256"] == rows[1].extractor["sha256"] == features.load(str(path)).sha256


def test_a_row_says_whether_its_images_were_held_out_for_tuning(model, specs, stream):
    held = streams.TaskStream(specs, (two_domains.SIDE, two_domains.SIDE, 3), 8, tuning=True)
    tuned, tested = (
        two_domains.evaluator(parts=("likelihood",)).evaluate(model, of) for of in (held, stream)
    )
    assert (tuned.tuning, tested.tuning) == (True, False)
    counts = [held.tasks[0].num_test, held.tasks[0].num_train]
    assert tuned.data["dark.npz"]["test_images"] == counts[0] and sum(counts) == 600
    assert tested.data["dark.npz"]["test_images"] == two_domains.COUNT
