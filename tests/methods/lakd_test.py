"""The roles of the paper, task by task."""

import pytest

from ltgans_tf.methods import lakd

# task_index: (teachers, learners), written from section 2 of the paper, not from the code.
PAPER = [
    ((), (0, 1)),
    ((0,), (1,)),
    ((1,), (0,)),
    ((0,), (1,)),
    ((1,), (0,)),
    ((0,), (1,)),
    ((1,), (0,)),
    ((0,), (1,)),
    ((1,), (0,)),
    ((0,), (1,)),
]


@pytest.mark.parametrize("task_index", range(10))
def test_roles_follow_the_paper_for_ten_tasks(task_index):
    assert lakd.roles_for_task(task_index) == lakd.Roles(*PAPER[task_index])


def test_the_teacher_of_a_task_is_the_generator_trained_in_the_task_before():
    for task_index in range(2, 10):
        assert lakd.roles_for_task(task_index).teachers == lakd.roles_for_task(task_index - 1).learners


def test_the_latest_teacher_is_the_generator_trained_last():
    # After tasks 1, 2, 3, ...: the paper's Teacher, then the one that has just learnt.
    assert [lakd.latest_teacher(finished) for finished in range(6)] == [0, 0, 1, 0, 1, 0]


def test_a_negative_task_is_refused():
    with pytest.raises(ValueError, match="-1"):
        lakd.roles_for_task(-1)
