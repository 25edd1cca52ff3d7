"""What training says after a task."""

import collections
import dataclasses

from ltgans_tf.evaluation import row
from ltgans_tf.trainers import training_messages

Task = collections.namedtuple("Task", ["index", "name", "skipped"])


def test_the_line_after_a_task_says_once_what_its_scores_are():
    rows = [
        {"digits": {"nlog": 101.84}},
        {"digits": {"nlog": 126.9, "fcd": 1.567}, "letters": {"nlog": 98.04}},
    ]
    one, two = (
        row.Row(after_task=index, task=list(scores)[-1], scores=scores, seconds={"distances": 7.6})
        for index, scores in enumerate(rows)
    )
    first, *legend = training_messages.boundary(Task(0, "digits", 1), one).splitlines()
    assert first == "after task 1 (digits), measured in 8 s: NLOG digits 101.8; 1 broken image left out"
    assert [line.split(":")[0] for line in legend] == ["  NLOG"] and legend[0].endswith(" Lower is better.")
    second = training_messages.boundary(Task(1, "letters", 0), two)
    assert (
        second == "after task 2 (letters), measured in 8 s: NLOG digits 126.9, letters 98.0; FCD digits 1.57"
    )


def test_the_line_says_which_images_are_too_few_for_a_score():
    few = "10 test images are too few; 640 are needed, 10 for each of the 64 features."
    other = "12 of 2000 generated images are in this domain; 640 are needed."
    found = row.Row(
        after_task=0,
        task="cats",
        scores={"cats": {"nlog": 101.84}},
        absent={"cats": {"fcd": few, "kcd": few}},
        union_absent={"fcd": few},
        seconds={"distances": 7.6},
    )
    expected = "as 10 test images are too few, 640 are needed, 10 for each of the 64 features"
    for changes, told in (
        ({}, f"; no FCD of cats and of all, {expected}"),
        ({"union_absent": {}, "union": {"fcd": 1.0}}, f"; FCD of all 1.00; no FCD of cats, {expected}"),
        ({"absent": {"cats": {"fcd": other}}, "union_absent": {}}, ""),
    ):
        line, *_ = training_messages.boundary(
            Task(0, "cats", 0), dataclasses.replace(found, **changes)
        ).splitlines()
        assert line == f"after task 1 (cats), measured in 8 s: NLOG cats 101.8{told}"
