"""What training says after a task."""

import collections

from ltgans_tf.evaluation import row
from ltgans_tf.trainers import closing

Task = collections.namedtuple("Task", ["index", "name", "skipped"])


def test_the_line_after_a_task_says_once_what_its_scores_are(tmp_path):
    rows = [
        {"digits": {"nlog": 101.84}},
        {"digits": {"nlog": 126.9, "fcd": 1.567}, "letters": {"nlog": 98.04}},
    ]
    for index, scores in enumerate(rows):
        found = row.Row(after_task=index, task=list(scores)[-1], scores=scores, seconds={"distances": 7.6})
        found.save(row.row_path(tmp_path, index))
    first, *legend = closing.boundary(Task(0, "digits", 1), tmp_path).splitlines()
    assert first == "after task 1 (digits), measured in 8 s: NLOG digits 101.8; 1 broken image left out"
    assert [line.split(":")[0] for line in legend] == ["  NLOG"] and legend[0].endswith(" Lower is better.")
    second = closing.boundary(Task(1, "letters", 0), tmp_path)
    assert (
        second == "after task 2 (letters), measured in 8 s: NLOG digits 126.9, letters 98.0; FCD digits 1.57"
    )
