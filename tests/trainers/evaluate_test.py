"""The program that evaluates a run: the row that it writes, what it prints, and bad input."""

import dataclasses
import json
import os
import re
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf

from ltgans_tf.data import streams
from ltgans_tf.evaluation import evaluation, features, references
from ltgans_tf.evaluation import row as row_lib
from ltgans_tf.methods import twin_gan
from ltgans_tf.settings import presets
from ltgans_tf.trainers import evaluate, flagfile
from ltgans_tf.training import boundaries
from tests import programs
from tests.tiny import TINY

pytestmark = pytest.mark.program

FEW = {"samples": 700, "iwae_k": 2, "iwae_images": 3}
FLOORS = {"fcd_floor", "fcd_floor_images"}
PARTS = ("likelihood", "distances", "iwae")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with two sets and a run of two tasks of two steps, with rows; each test copies it."""
    folder, specs = tmp_path_factory.mktemp("evaluate"), []
    for i, name in enumerate(("dark", "bright")):
        draw = np.random.default_rng(i)
        arrays = {
            f"{split}_{kind}": values
            for split, count in (("train", 60), ("test", 700))
            for kind, values in (
                ("images", draw.integers(110 * i, 110 * i + 110, (count, 8, 8, 3), np.uint8)),
                ("labels", np.arange(count) % 2),
            )
        }
        np.savez(folder / f"{name}.npz", **arrays)
        specs.append(f"npz:{folder}/{name}.npz")
    stream = streams.TaskStream(specs, (8, 8, 3), batch_size=8, fit="pad", seed=5)
    model = twin_gan.TwinGAN.from_architecture(TINY, recipe=presets.Recipe(n_critic=1), seed=5)
    model.compile()
    tf.config.run_functions_eagerly(True)  # to trace two tasks takes longer than their steps
    evaluator = evaluation.Evaluator(
        samples=20, parts=("likelihood", "distances"), about={"preset": "mine", "recipe": "paper"}
    )
    model.fit_stream(stream, 2, folder / "run", [], [boundaries.BoundaryScores(evaluator)])
    tf.config.run_functions_eagerly(False)
    return folder


@pytest.fixture
def workdir(trained, tmp_path):
    shutil.copytree(trained / "run", tmp_path / "run")
    return str(tmp_path / "run")


def _run(*given):
    done = programs.run("ltgans_tf.trainers.evaluate", *given, timeout=300)
    return done.returncode, done.stdout, done.stderr


def test_the_row_of_the_last_task_is_replaced_and_the_others_stay(workdir):
    first, last = (open(row_lib.row_path(workdir, i), encoding="utf-8").read() for i in range(2))
    sha256 = json.loads(last)["extractor"]["sha256"]
    row = evaluate.evaluate(workdir, parts=PARTS, **FEW)
    assert open(row_lib.row_path(workdir, 0), encoding="utf-8").read() == first
    assert row_lib.read_rows(workdir)[1] == row
    assert row.settings["samples"] == 700 and row.settings["seed"] == 5
    assert row.extractor["sha256"] == sha256  # the one from before task 1
    assert row.about["preset"] == "mine" and row.about["recipe"] == "paper"
    assert row.scores["dark.npz"]["nlog"] == pytest.approx(
        json.loads(last)["scores"]["dark.npz"]["nlog"], rel=1e-5
    )
    assert "iwae" in row.scores["bright.npz"] and "fcd" in row.union


def test_a_table_what_was_forgotten_and_the_next_commands_are_printed(workdir):
    status, out, err = _run(
        f"--workdir={workdir}",
        "--samples=700",
        "--iwae_k=2",
        "--iwae_images=3",
        "--parts=likelihood,distances,iwae",
    )
    assert status == 0, err
    rows = row_lib.read_rows(workdir)
    found = rows[1].scores["dark.npz"]
    lines = [re.split(r"  +", line) for line in out.splitlines()]
    head = next(line for line in lines if "NLOG" in line)
    dark = next(line for line in lines if line[0] == "dark.npz")
    cells = dict(zip(head[1:], dark[1:]))
    assert cells["NLOG"] == f"{found['nlog']:.1f} ({found['mean_image_nlog']:.1f})"
    assert cells["NLOG, sampled"] == f"{found['nlog_sampled']:.1f} ({found['mean_image_nlog']:.1f})"
    union = rows[1].union
    assert f"{union['fcd']:.2f} ({union['fcd_floor']:.2f})" in out
    lost = found["nlog"] - rows[0].scores["dark.npz"]["nlog"]
    assert f"NLOG: final average {np.mean([r['nlog'] for r in rows[1].scores.values()]):.1f}" in out
    assert f"forgetting {lost:.1f}, backward transfer {-lost:.1f}" in out
    assert f"  ltgans report --workdir={workdir}" in out
    assert "measured in" in out and "by the research protocol" in out
    # Each reason once, with what it is the reason of.
    for reasons in rows[1].absent.values():
        for reason in reasons.values():
            assert out.count(reason) == 1
    assert "nan" not in out and "Traceback" not in err


def test_data_is_found_where_the_training_found_it(workdir, trained, tmp_path):
    """The run's specs are names, which stand for files of a data_dir that is written in flags.txt."""
    config = os.path.join(workdir, "config.json")
    with open(config, encoding="utf-8") as f:
        text = f.read()
    text = text.replace(f"npz:{trained}/dark.npz", "mnist").replace(f"npz:{trained}/bright.npz", "cifar10")
    with open(config, "w", encoding="utf-8") as f:
        f.write(text)
    data = tmp_path / "data"
    data.mkdir()
    shutil.copy(trained / "dark.npz", data / "mnist.npz")
    shutil.copy(trained / "bright.npz", data / "cifar10.npz")
    flagfile.write(workdir, {"data_dir": data, "preset": "mine"})
    row = evaluate.evaluate(workdir, parts=("likelihood",), **FEW)
    assert row.scores["mnist"]["images"] == 700 and row.absent == {}
    elsewhere = tmp_path / "elsewhere"
    data.rename(elsewhere)
    assert evaluate.evaluate(workdir, str(elsewhere), parts=("likelihood",), **FEW).absent == {}


def test_a_task_whose_data_is_gone_is_absent_and_the_rest_is_computed(workdir, trained, tmp_path):
    config = os.path.join(workdir, "config.json")
    with open(config, encoding="utf-8") as f:
        text = f.read()
    with open(config, "w", encoding="utf-8") as f:
        f.write(text.replace("dark.npz", "gone.npz"))
    row = evaluate.evaluate(workdir, parts=PARTS, **FEW)
    assert "gone.npz is not there any more" in row.absent["gone.npz"]["likelihood"]
    assert "nlog" in row.scores["bright.npz"]
    nlog = row.scores["bright.npz"]["nlog"]
    assert f"NLOG: final average {nlog:.1f} (1 of 2 tasks)" in evaluate.forgotten(workdir)


def test_a_production_run_stays_one(workdir):
    path = row_lib.row_path(workdir, 1)
    dataclasses.replace(row_lib.Row.load(path), protocol="production").save(path)
    row = evaluate.evaluate(workdir, parts=("likelihood",), **FEW)
    assert row.protocol == "production"
    assert row.absent["dark.npz"]["likelihood"].startswith("A production run keeps no image")
    assert evaluate.evaluate(workdir, protocol="research", parts=("likelihood",), **FEW).absent == {}


def test_scores_that_cannot_be_measured_again_are_kept(workdir, trained):
    """Behind its run the data goes; measured again, the row loses nothing, and says what is older."""
    before = evaluate.evaluate(workdir, parts=PARTS, **FEW)
    config = os.path.join(workdir, "config.json")
    with open(config, encoding="utf-8") as f:
        text = f.read()
    with open(config, "w", encoding="utf-8") as f:
        f.write(text.replace(str(trained), str(trained) + "_gone"))
    row = evaluate.evaluate(workdir, parts=("likelihood", "distances"), **{**FEW, "samples": 800})
    for task, found in before.scores.items():
        assert {name: row.scores[task][name] for name in ("nlog", "iwae")} == {
            name: found[name] for name in ("nlog", "iwae")
        }
        anew = {"share", "share_reconstructed", "fcd", "fcd_images"} | FLOORS
        assert set(row.kept["scores"][task]) - anew == set(found) - anew
    assert row.kept["settings"]["samples"] == 700 and row.settings["samples"] == 800
    assert row.union["fcd_images"] == 800 and "kcd" in row.kept["scores"][""]
    assert row.data == before.data
    kept = references.load(workdir, 1)
    assert kept.numbers["nlog"] == before.scores["bright.npz"]["nlog"]
    again = evaluate.evaluate(workdir, parts=("likelihood", "distances"), **FEW)
    assert again.union["fcd"] == pytest.approx(before.union["fcd"], rel=1e-6)  # to the references


def test_bad_input_ends_in_one_sentence(workdir, tmp_path):
    (tmp_path / "inception.pb").write_bytes(b"nothing")
    (tmp_path / "empty").mkdir()
    untrained = shutil.copytree(workdir, tmp_path / "untrained")
    shutil.rmtree(untrained / "checkpoints")
    older = shutil.copytree(workdir, tmp_path / "older")
    (older / "eval" / "task_00" / "scores.json").write_text('{"scores": {}}')
    newer = shutil.copytree(workdir, tmp_path / "newer")
    config = json.loads((newer / "config.json").read_text())
    (newer / "config.json").write_text(json.dumps({**config, "format_version": 99}))
    wrong = "0" * 64
    for given, message in (
        ({"workdir": tmp_path / "nowhere"}, "there is no folder"),
        ({"workdir": untrained}, "has no checkpoint; train there first"),
        ({"workdir": newer}, "has format version 99"),
        (
            {"inception_path": str(tmp_path / "inception.pb"), "inception_sha256": wrong},
            f"not {wrong}; get the right file",
        ),
        ({"parts": ["likelihoood"]}, "parts is 'likelihoood'; choose one of likelihood,"),
    ):
        with pytest.raises(ValueError, match=message):
            evaluate.evaluate(**{"workdir": workdir, **given})
    for given, message in {
        (f"--workdir={tmp_path}/empty",): "it has no config.json",
        (f"--workdir={older}",): "has format version 1, this ltgans_tf reads 2",
    }.items():
        status, _, err = _run(*given)
        assert status == 2 and message in err and len(err.strip().splitlines()) == 1, (given, err)


def test_a_run_in_the_middle_of_a_task_is_not_evaluated(trained, tmp_path, tiny_model):
    stream = streams.TaskStream([f"npz:{trained}/dark.npz"], (8, 8, 3), 8)
    model = tiny_model()
    model.compile(run_eagerly=True)

    def stop(batch, logs):
        model.stop_requested = True

    callback = keras.callbacks.LambdaCallback(on_train_batch_end=stop)
    model.fit_stream(stream, 3, tmp_path / "run", [callback])
    with pytest.raises(ValueError, match="is at step 1 of task 1; evaluate it between two tasks"):
        evaluate.evaluate(str(tmp_path / "run"), parts=("likelihood",))


def test_a_damaged_extractor_is_not_replaced_by_another_one(workdir, monkeypatch):
    path = os.path.join(workdir, "eval", "extractor.npz")
    other = features.load(path)
    other.about["sha256"] = "another"
    monkeypatch.setattr(features, "train", lambda domains, *_, **__: other)
    with open(path, "wb") as f:
        f.write(b"nothing")
    row = evaluate.evaluate(workdir, parts=("distances",), **FEW)
    assert "missing or damaged, and training gives another one" in row.absent["bright.npz"]["distances"]
    with open(path, "rb") as f:
        assert f.read() == b"nothing"
