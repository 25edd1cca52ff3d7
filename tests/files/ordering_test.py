"""Tasks in their order, however many there are."""

from ltgans_tf.files import ordering


def test_the_hundred_and_first_task_comes_after_the_eleventh():
    names = [f"/runs/task_9/task_{i:02d}.npz" for i in range(120)]
    assert ordering.by_number(sorted(names)) == names


def test_checkpoints_are_in_the_order_of_task_and_step():
    names = ["task_999_step_000000009", "task_1000_step_000000010", "task_1000_step_1000000000"]
    assert ordering.by_number(names[::-1]) == names
