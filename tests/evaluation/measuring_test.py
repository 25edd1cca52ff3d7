"""Measuring: what is found, what is absent and why, and how long it took."""

import pytest

from ltgans_tf.evaluation import distances, measuring


@pytest.fixture(name="seconds")
def _seconds(monkeypatch):
    """A clock that goes on by one second with each look at it: list of what it showed."""
    shown = []
    monkeypatch.setattr(measuring.time, "monotonic", lambda: shown.append(float(len(shown))) or shown[-1])
    return shown


def _refuse():
    raise distances.Absent("Too few.")


def test_scores_or_the_reason_are_told_with_the_seconds(seconds):
    lines = []
    clock = measuring.Clock(["a", "b"], None, lines.append)
    assert clock.measure("likelihood", "b", lambda: {"nlog": 2.0}) == measuring.Measured(
        "likelihood", "b", {"nlog": 2.0}, {}, 1.0
    )
    reasons = dict.fromkeys(("fcd", "kcd"), "Too few.")
    assert clock.measure("distances", None, _refuse, ["fcd", "kcd"]).absent == reasons
    assert clock.measure("audit", "a", _refuse).absent == {"audit": "Too few."}
    assert lines == ["evaluating b (2/2): likelihood", "evaluating: fcd, kcd", "evaluating a (1/2): audit"]


def test_of_a_task_out_of_turn_only_what_a_push_compares_is_measured(seconds):
    clock = measuring.Clock(["a", "b"], None, lambda text: None, {"a": "Not its turn."})
    found = {
        key: clock.measure("distances", "a", lambda: {"x": 1.0}, [key]) for key in ("fcd", "fcd_drawn", "kcd")
    }
    assert [bool(one.scores) for one in found.values()] == [True, True, False]
    assert found["kcd"] == measuring.Measured("distances", "a", absent={"kcd": "Not its turn."})
    assert clock.measure("likelihood", "a", lambda: {"nlog": 1.0}).scores
    assert clock.measure("audit", "b", lambda: {"copies": 0.0}).scores
    assert clock.measure("distances", None, lambda: {"kcd": 0.0}, ["kcd"]).scores


def test_nothing_is_begun_once_the_time_is_over(seconds):
    clock, asked = measuring.Clock(["a"], 2, lambda text: None), []
    found = [clock.measure("iwae", "a", lambda: asked.append(1) or {"iwae": 1.0}) for _ in range(2)]
    assert found[0].scores == {"iwae": 1.0} and len(asked) == 1
    assert found[1] == measuring.Measured(
        "iwae", "a", absent={"iwae": "The time limit of the evaluation, 2 s, was reached."}
    )


def test_what_was_measured_is_sorted_by_task():
    measured = [
        measuring.Measured("likelihood", "a", {"nlog": 1.0}, seconds=1.0),
        measuring.Measured("likelihood", "b", absent={"likelihood": "Gone."}, seconds=0.5),
        measuring.Measured("distances", None, {"fcd": 3.0}, seconds=0.25),
        measuring.Measured("distances", None, absent={"kcd": "Gone."}),
        measuring.Measured("distances", "b", absent={"fcd": "Few."}),
    ]
    assert measuring.collect(["a", "b"], measured) == {
        "scores": {"a": {"nlog": 1.0}, "b": {}},
        "absent": {"b": {"likelihood": "Gone.", "fcd": "Few."}},
        "union": {"fcd": 3.0},
        "union_absent": {"kcd": "Gone."},
        "seconds": {"likelihood": 1.5, "distances": 0.25},
    }
