"""The comparison with other packages, without them: its features, its verdict and its table."""

import sys
from importlib import metadata

import numpy as np
import pytest

from benchmarks import metric_references
from ltgans_tf.evaluation import metrics


def _row(ours, reference, measure="recall"):
    return {"measure": measure, "ours": ours, "reference": reference, "package": "one 1.0"}


@pytest.mark.parametrize(
    "ours, reference, expected",
    [(1.1, 1.0, 0.1), (0.9, 1.0, 0.1), (-2.0, -4.0, 0.5), (0.0, 0.0, 0.0), (0.3, 0.0, 1.0)],
)
def test_difference_is_relative_to_the_reference(ours, reference, expected):
    assert metric_references.difference(_row(ours, reference)) == pytest.approx(expected)


def test_rows_agree_within_the_tolerance_alone():
    near, far = _row(1.00005, 1.0), _row(1.0002, 1.0)
    assert metric_references.agree([near, near], 1e-4)
    assert not metric_references.agree([near, far], 1e-4)
    assert not metric_references.agree([_row(np.nan, 1.0)], 1e-4)
    assert not metric_references.agree([_row(1.0, np.nan)], 1e-4)


def test_table_has_a_line_for_each_measure():
    lines = metric_references.report([_row(0.5, 0.25, "precision"), _row(1 / 3, 1 / 3)]).splitlines()
    assert lines[2] == "| precision | 0.5 | 0.25 | 1.0e+00 | one 1.0 |"
    assert lines[3] == "| recall | 0.3333333333 | 0.3333333333 | 0.0e+00 | one 1.0 |"
    assert len(lines) == 4 and {line.count("|") for line in lines} == {6}


@pytest.mark.program
def test_features_are_fixed_and_leave_every_score_something_to_tell():
    real, fake = metric_references.features(2000, 64, seed=0)
    np.testing.assert_array_equal(metric_references.features(2000, 64, seed=0), [real, fake])
    one, other = real[:1000], real[1000:]
    assert metrics.frechet_distance(one, fake[:1000]) > 1.3 * metrics.frechet_distance(one, other)
    mean, error = metrics.kernel_distance(real, fake, subset_size=500)
    assert mean > 10 * error
    scores = metrics.manifold_scores(one, fake[:1000])
    assert 0.1 < min(scores.values()) and max(scores[n] for n in ("precision", "recall", "coverage")) < 0.99


@pytest.mark.parametrize("module", ["torch", "prdc"])
def test_a_missing_package_is_named(module, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(
        ValueError, match="cannot be imported .*; pip install torch-fidelity prdc torch==2.13.0"
    ):
        metric_references.references()


def test_prdc_is_given_real_features_first(monkeypatch, capsys):
    """A package of the same interface, whose numbers tell which set it was given where."""

    class Stub:
        @staticmethod
        def compute_prdc(real, fake, k):
            print("noise")
            return {"precision": len(real), "recall": len(fake), "density": k, "coverage": 0.5}

    real, fake = metric_references.features(30, 4, seed=0)
    monkeypatch.setattr(metadata, "version", lambda name: "0.2")
    rows = metric_references.against_prdc(Stub, real, fake[:20])
    assert [row["reference"] for row in rows] == [30, 20, 5, 0.5]
    scores = metrics.manifold_scores(real, fake[:20])
    assert {row["measure"]: row["ours"] for row in rows} == scores
    assert rows[0]["package"] == "prdc 0.2" and capsys.readouterr().out == ""
