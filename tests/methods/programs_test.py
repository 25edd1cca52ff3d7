"""Tests of every method from the command line."""

import importlib.util
import json
import pathlib

import pytest

from ltgans_tf import loading
from ltgans_tf.methods import registry
from tests import programs

pytestmark = pytest.mark.program


def _missing(method):
    module = registry.METHODS[method].path.partition(":")[0]
    return (
        importlib.util.find_spec(f"ltgans_tf.methods.{module}") is None
        and f"{method} is in METHODS, but {module} is not there"
    )


def test_an_unknown_method_is_answered_with_the_nearest():
    with pytest.raises(ValueError, match="unknown method 'replya'; did you mean replay"):
        registry.method_class("replya")


def _train(*flags):
    return programs.run("ltgans_tf.trainers.train", "--preset=smoke", *flags, timeout=240)


def test_the_plan_names_the_method_and_an_unknown_one_is_refused(tmp_path):
    done = _train("--method=joint", "--dry_run", f"--workdir={tmp_path}")
    assert done.returncode == 0 and "\n  method: joint\n" in done.stdout
    done = _train("--method=jont", "--dry_run", f"--workdir={tmp_path}")
    assert done.returncode == 2 and "unknown method 'jont'; did you mean joint" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("method", registry.METHODS)
def test_the_programs_train_evaluate_and_sample_every_method(method, trained_by_program):
    if reason := _missing(method):
        pytest.skip(reason)
    made = trained_by_program(method)
    workdir = pathlib.Path(made.workdir)
    fixed = getattr(registry.method_class(method), "fixed", {})
    assert ("has its own first_learners (1)" in made.done.stdout) == (fixed.get("first_learners") == 1)
    assert "penalty_weight" not in made.done.stdout
    assert f"--method={method}\n" in (workdir / "flags.txt").read_text()
    config = json.loads((workdir / "config.json").read_text())
    assert config["model"]["method"] == method
    row = json.loads((workdir / "eval/task_01/scores.json").read_text())
    assert row["about"]["method"] == method and "nlog" in row["scores"]["set0.npz"]
    for folder in (workdir, workdir / "exports"):
        assert loading.load(str(folder)).sample(2).shape == (2, 32, 32, 3)
