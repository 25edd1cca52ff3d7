"""The programs that measure: the plain step is the same mathematics, and all of them report."""

import json
import os
import subprocess
import sys
import types

import keras
import numpy as np
import pytest
import tensorflow as tf

import benchmarks
from benchmarks import (
    exports,
    peers,
    plain,
    startup,
    step,
    workers,
)
from ltgans_tf.export import judge
from ltgans_tf.methods import twin_gan
from ltgans_tf.settings import presets
from tests import programs, source_imports
from tests.tiny import TINY


def _data(batches, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (8, batches, 8, 8, 3), dtype=np.uint8)


def _after_a_step(method, task, recipe, shares_draws=True):
    """All weights that one step with plain gradient descent trains, by network, and its report."""
    model = method.from_architecture(TINY, recipe=presets.Recipe(**recipe))
    # Gradient descent, so that weights differ as gradients do (Adam's first step has their signs).
    named = ("critic_optimizer", "generator_optimizer", "student_optimizer")
    model.compile(**{name: keras.optimizers.SGD(0.1) for name in named}, run_eagerly=True)
    model.shares_draws = shares_draws
    model.task_index.assign(task)
    model.make_train_function()
    report = model.train_step(tf.constant(_data(model.new_batches(task))))
    networks = {
        "critic": model.critic,
        "student": model.student,
        "trained student": model.trained_student,
        "generator 0": model.generators[0],
        "generator 1": model.generators[1],
    }
    return (
        {name: [w.numpy() for w in network.trainable_variables] for name, network in networks.items()},
        report,
    )


@pytest.mark.program
@pytest.mark.parametrize(
    "task, recipe",
    [
        (0, {}),
        (1, {"n_critic": 2, "critic_heads": 1, "latent_law": "uniform"}),
        (2, {"student_replay": "share", "ema": 0.5}),
        (2, {"distillation": 0.3, "domain_dim": 4, "n_critic": 2}),
        (2, {"distillation": 0.3, "domain_dim": 4, "n_critic": 2, "critic_on_past": False}),
        (2, {"domain_dim": 4, "n_critic": 2, "critic_heads": 1}),
        (2, {"student_replay": "share", "student_ema": 0.5, "student_distillation": 0.3}),
    ],
)
def test_plain_step_changes_weights_as_the_package_does_with_the_same_draws(task, recipe):
    ours, our_report = _after_a_step(twin_gan.TwinGAN, task, recipe)
    plainly, plain_report = _after_a_step(plain.PlainTwinGAN, task, recipe)
    for name, weights in ours.items():
        for a, b in zip(weights, plainly[name]):
            np.testing.assert_allclose(b, a, rtol=1e-4, atol=1e-5, err_msg=name)
    for name in ("critic/loss", "critic/gradient", "generator/gradient", "student/gradient"):
        np.testing.assert_allclose(plain_report[name], our_report[name], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("recipe", [{}, {"distillation": 0.3, "domain_dim": 4}])
def test_plain_step_draws_anew_for_the_generators_and_the_student(recipe):
    ours, _ = _after_a_step(twin_gan.TwinGAN, 1, recipe)
    plainly, _ = _after_a_step(plain.PlainTwinGAN, 1, recipe, shares_draws=False)
    for name, same in (("critic", True), ("student", False), ("generator 1", False), ("generator 0", True)):
        close = all(np.allclose(a, b, rtol=1e-4, atol=1e-5) for a, b in zip(ours[name], plainly[name]))
        assert close == same, name


@pytest.mark.program
def test_step_reports_speed_against_plain_and_gemm(monkeypatch):
    monkeypatch.setattr(step, "_GEMM", 64)
    batches = np.stack([_data(2, seed) for seed in range(3)])
    results = step.measure(
        TINY,
        presets.Recipe(n_critic=2),
        batches,
        student=False,
        repeats=3,
        seconds=0.0,
        warm_up=0.0,
        tasks=["task 2 on"],
    )
    rows = {(row["name"].strip(), row["task"]): row for row in results["rows"]}
    assert {name for name, _ in rows} == {
        "package",
        "plain",
        "critic",
        "fakes and learners",
        "Teacher",
        "GEMM",
    }
    ours, plainly = rows["package", "task 2 on"], rows["plain", "task 2 on"]
    assert ours["ms"]["min"] <= ours["ms"]["median"] <= ours["ms"]["max"]
    assert len(ours["ms"]["values"]) == 3
    assert ours["new_images_per_second"] == pytest.approx(16e3 / ours["ms"]["median"])
    assert ours["plain_over_package"] == pytest.approx(plainly["ms"]["median"] / ours["ms"]["median"])
    assert "2 * 8 new images" in step.report(results)


@pytest.mark.program
@pytest.mark.parametrize("judged", [True, False])
def test_the_parts_of_a_step_with_codes_run_by_themselves(judged):
    recipe = presets.Recipe(n_critic=2, distillation=0.3, domain_dim=4, critic_on_past=judged)
    model = step.model_at(twin_gan.TwinGAN, TINY, recipe, _data(2)[None], True, step.LATER)
    model.make_train_function()
    values = {name: float(stage()) for name, stage in step._stages(model, tf.constant(_data(2))).items()}
    assert set(values) == {"critic", "fakes and learners", "Teacher", "Student"}
    assert np.isfinite([*values.values()]).all()


@pytest.mark.campaign("measurements")
@pytest.mark.parametrize("codes", [0, 4])
def test_exports_are_measured_beside_the_models_own_calls(tiny_model, monkeypatch, tmp_path, codes):
    model = tiny_model(domain_dim=codes)
    seen = []
    monkeypatch.setattr(
        judge,
        "infra",
        lambda halves, most, precision, trials: {k: {"load_seconds": 0.5} for k in halves},
    )
    results = exports._pushed(model, str(tmp_path))
    assert results["export_seconds"] > 0 and results["export_and_try_seconds"] > 0
    assert set(results["halves"]) == {"encoder", "generator"}
    for kind, half in results["halves"].items():
        assert half["load_seconds"] == 0.5 and 0 < half["megabytes"] < 2
        loaded = tf.saved_model.load(half["folder"])
        calls = exports._calls(model, kind, 3)
        assert set(calls) == set(loaded.signatures)
        for name, (inputs, own) in calls.items():
            row = exports._measure(loaded.signatures[name], own, inputs, 2, 3)
            seen.append((name, "own" in row))
            assert 0 < row["served"]["p50_ms"] <= row["served"]["p99_ms"]
            assert row["served"]["images_per_second"] == pytest.approx(2000 / row["served"]["p50_ms"])
            assert f"{kind} {name}, batch 2: p50" in exports.line(
                {"kind": kind, "signature": name, "batch": 2, **row}
            )
    assert sorted(name for name, own in seen if own) == ["decode", "encode", "serving_default"]


def test_peers_sets_ratios_over_the_package_repeat_by_repeat():
    results = peers.summarise([{"package": 2.0, "eager": 5.0}, {"package": 4.0, "eager": 6.0}])
    assert results["over_package"]["eager"]["values"] == [2.5, 1.5]
    assert results["ms"]["package"]["median"] == 3.0 and list(results["over_package"]) == ["eager"]
    assert "2.00" in peers.report(results).splitlines()[2]
    with pytest.raises(ValueError, match="process of eager ended with status 1: .*No module named 'torch'"):
        peers.answer("eager", [sys.executable, peers.TORCH_STEP, "{}"])


def test_results_are_written_with_their_conditions(tmp_path):
    path = tmp_path / "new" / "results.json"
    benchmarks.write(
        str(path), {"conditions": benchmarks.conditions(), "ms": benchmarks.summary([3, 1, 2.5])}
    )
    results = json.loads(path.read_text(encoding="utf-8"))
    assert results["ms"] == {"median": 2.5, "min": 1.0, "max": 3.0, "values": [3.0, 1.0, 2.5]}
    assert results["conditions"]["keras"] == keras.__version__
    assert results["conditions"]["command"].startswith("python -m benchmarks.")


def test_a_report_goes_into_its_block_of_the_docs_and_nowhere_else(tmp_path, monkeypatch, capsys):
    page, out = tmp_path / "page.md", tmp_path / "out.json"
    page.write_text("a\n<!-- begin x -->\nold\n<!-- end x -->\n<!-- begin y -->\n<!-- end y -->\n", "utf-8")
    monkeypatch.setattr(benchmarks.flags, "FLAGS", types.SimpleNamespace(out=str(out), docs=f"{page}#x"))
    monkeypatch.setattr(
        sys, "argv", ["benchmarks/step.py", "--repeats=7", "--out=o.json", f"--docs={page}#x"]
    )
    for report in ("first", "second"):
        benchmarks.publish({"conditions": benchmarks.conditions(), "of": report}, report)
    assert capsys.readouterr().out == "first\nsecond\n"
    assert json.loads(out.read_text("utf-8"))["of"] == "second"
    text = page.read_text("utf-8")
    assert text.startswith(
        "a\n<!-- begin x -->\n```\n$ python -m benchmarks.step --repeats=7\nsecond\n```\n\nCommit "
    )
    assert text.endswith("<!-- end x -->\n<!-- begin y -->\n<!-- end y -->\n") and keras.__version__ in text
    with pytest.raises(ValueError, match="has no block from <!-- begin z --> to <!-- end z -->"):
        benchmarks.fill(page, "z", "text")


@pytest.mark.program
def test_startup_times_commands_the_first_step_and_changes_of_roles(tmp_path):
    assert 0 < startup.seconds_of(["--preset=smoke", f"--workdir={tmp_path}/dry", "--dry_run"]) < 60
    with pytest.raises(ValueError, match="ended with status 2: .*unknown flag --no_such"):
        startup.seconds_of(["--no_such"])
    with pytest.raises(ValueError, match="no step after .* batch_size is 0"):
        startup.seconds_to_first_step(f"{tmp_path}/bad", str(tmp_path), ["--batch_size=0"])
    changes = startup.role_changes(TINY, 4, 5, steps=3)
    assert len(changes) == 2 and all(-1 < seconds < 10 for seconds in changes)
    assert "2.50" in startup.report({"seconds": {"help": benchmarks.summary([2.5])}})


@pytest.mark.campaign("measurements")
def test_startup_times_the_first_step_of_a_run(tmp_path):
    options = ["--preset=smoke", "--steps_per_task=1000000"]
    seconds = startup.seconds_to_first_step(f"{tmp_path}/run", f"{tmp_path}/cache", options)
    (first,) = [json.loads(line) for line in open(tmp_path / "run/metrics.jsonl", encoding="utf-8")][:1]
    assert seconds > 1 and first["step"] == 1


def test_workers_sets_the_speed_of_two_over_that_of_one():
    def turn(*ms):
        return {n: {"ms": m, "cpu_ms": m / 2} for n, m in zip((workers.ONE, workers.TWO, workers.HALVES), ms)}

    results = workers.summarise([turn(30.0, 40.0, 25.0), turn(30.0, 20.0, 25.0)])
    assert results["two_over_one"]["values"] == [0.75, 1.5] and results["ms"][workers.TWO]["median"] == 30.0
    assert results["cpu_ms"][workers.HALVES]["median"] == 12.5
    assert "1.12" in workers.report(results).splitlines()[-1]
    assert len(set(workers._free_ports(3))) == 3


@pytest.mark.campaign("measurements")
@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="two workers need two cores")
def test_workers_runs_both_candidates(tmp_path):
    out = tmp_path / "workers.json"
    command = [sys.executable, "-m", "benchmarks.workers", "--batch_size=4", "--steps=4", "--repeats=1"]
    subprocess.run([*command, f"--out={out}"], cwd=source_imports.ROOT, check=True, timeout=300)
    results = json.loads(out.read_text(encoding="utf-8"))
    assert len(results["ms"]) == 3 and results["settings"]["steps"] == 4
    assert all(found["median"] > 0 for key in ("ms", "cpu_ms") for found in results[key].values())


def test_table_aligns_its_columns():
    assert benchmarks.table(["name", "ms"], [["a", 1], ["longer", 10]]).splitlines() == [
        "name    ms",
        "a        1",
        "longer  10",
    ]


@pytest.mark.parametrize(
    "program, flag, sentence",
    [
        ("step", "--architecture=smal32", "unknown architecture 'smal32'; did you mean small32"),
        ("exports", "--batches=0", "batches are [0] and repeats 100; give at least 1 and 2."),
        ("exports", "--batchez=3", "unknown flag --batchez; did you mean --batches?"),
        ("peers", "--batch_size=4", "--torch_python is missing"),
        ("peers", "--variants=eager,jit", "--variants is 'eager,jit'; give some of eager, channels_last"),
    ],
)
def test_bad_input_ends_in_one_sentence(program, flag, sentence):
    ran = programs.run(f"benchmarks.{program}", flag)
    assert ran.returncode == 2 and ran.stdout == ""
    assert sentence in ran.stderr and len(ran.stderr.splitlines()) == 1
