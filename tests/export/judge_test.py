"""What has forgotten is not blessed, and neither is what has not learnt; each with its reason."""

import pytest

from ltgans_tf.evaluation import row as row_lib
from ltgans_tf.evaluation import scores
from ltgans_tf.export import judge


def _row(after_task=1, **changes):
    tasks = {
        "digits": {
            "nlog": 120.0,
            "fcd": 2.0,
            "fcd_drawn": 2.5,
            "share": 0.5,
            "mean_image_nlog": 700.0,
            "images": 9,
        },
        "letters": {"nlog": 150.0, "fcd": 3.0, "share": 0.5, "mean_image_nlog": 600.0, "images": 9},
    }
    fields = {
        "task": "letters",
        "protocol": "research",
        "extractor": {"sha256": "one", "domain_accuracy": 0.97},
        "scores": tasks,
        "data": {"letters": {"fingerprint": "f"}},
    }
    return row_lib.Row(after_task=after_task, **{**fields, **changes})


def _served():
    digits = {"nlog": 100.0, "fcd": 1.6, "fcd_drawn": 2.0, "share": 1.0, "mean_image_nlog": 700.0}
    return judge.summary(_row(0, task="digits", scores={"digits": digits}))


def _judged(row, served="the usual", most=0.5):
    return judge.reasons(judge.summary(row), _served() if served == "the usual" else served, most)


def test_a_version_carries_the_scores_that_the_next_is_compared_with():
    assert judge.summary(_row()) == {
        "after_task": 1,
        "task": "letters",
        "protocol": "research",
        "extractor": "one",
        "domain_accuracy": 0.97,
        "tasks": {
            "digits": {"nlog": 120.0, "fcd": 2.0, "fcd_drawn": 2.5, "share": 0.5, "mean_image_nlog": 700.0},
            "letters": {"nlog": 150.0, "fcd": 3.0, "share": 0.5, "mean_image_nlog": 600.0},
        },
    }


def test_what_keeps_the_old_and_learns_the_new_is_blessed():
    assert _judged(_row()) == []
    assert _judged(_row(), None) == []


@pytest.mark.parametrize(
    "score, called, value",
    [
        ("nlog", "NLOG", 150.1),
        ("fcd", "FCD", 3.61),
        ("fcd_drawn", "FCD by code", 4.51),
        ("nlog", "NLOG", float("nan")),
    ],
)
def test_what_got_worse_by_more_than_is_allowed_is_not(score, called, value):
    row = _row()
    row.scores["digits"][score] = value
    (reason,) = _judged(row)
    assert reason.startswith(f"the {called} of digits is {value:.4g}, the served version's")
    assert _judged(row, None) == []  # nothing is served that it could have forgotten
    limit = {"nlog": 150.0, "fcd": 3.6, "fcd_drawn": 4.5}[score]
    row.scores["digits"][score] = limit * 0.9999
    assert _judged(row) == []
    assert len(_judged(row, most=0.1)) >= 1


@pytest.mark.parametrize("most", [1e200, float("inf")])
def test_as_much_worse_as_one_likes_may_be_allowed(most):
    row = _row()
    row.scores["digits"]["fcd"] = 1e9
    assert _judged(row, most=most) == []


def test_distances_on_other_features_are_not_compared():
    row = _row(extractor={"sha256": "another", "domain_accuracy": 0.97})
    row.scores["digits"] |= {"fcd": 99.0, "fcd_drawn": 99.0}
    assert _judged(row) == []
    del row.scores["digits"]["nlog"]
    assert _judged(row) == ["no score of digits can be compared with the served version's."]


def test_a_domain_that_was_served_and_is_not_there_is_a_reason():
    row = _row()
    del row.scores["digits"]
    assert _judged(row) == ["the served version knows digits, but this version has no scores of it."]


def test_the_new_domain_must_be_better_than_its_mean_image():
    row = _row()
    row.scores["letters"]["nlog"] = 600.0
    (reason,) = _judged(row)
    assert reason == "the NLOG of the new letters is 600.0, no better than the mean image's 600.0."
    row.scores["letters"]["nlog"] = 599.0
    assert _judged(row) == []


@pytest.mark.parametrize("domain", ["digits", "letters"])
def test_a_domain_that_is_hardly_drawn_is_a_reason_where_domains_can_be_told_apart(domain):
    row = _row()
    row.scores[domain]["share"] = 0.12
    (reason,) = _judged(row)
    assert reason == f"12.0% of the generated images are {domain}; at least 12.5% should be."
    row.extractor["domain_accuracy"] = 0.89
    assert _judged(row) == []
    del row.extractor["domain_accuracy"]  # a production run without a classifier of domains
    assert _judged(row) == []


def test_what_was_not_measured_is_not_blessed():
    (reason,) = judge.reasons(None, None, 0.5)
    assert reason.startswith("it has no scores")


def test_scores_on_held_out_training_images_bless_nothing():
    (reason,) = _judged(_row(tuning=True), None)
    assert reason.startswith("its scores are of held-out training images (--tuning); ")
    assert _judged(_row(tuning=False), None) == []


def test_what_is_compared_is_measured_of_every_task_after_each_task():
    measured = {name for name, score in scores.SCORES.items() if {name, score.part} & scores.JUDGED}
    assert set(judge.COMPARED) <= measured
