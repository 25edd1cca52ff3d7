"""Which tasks a row measures in full."""

import pytest

from ltgans_tf.evaluation.evaluator_settings import EvaluatorSettings


def _in_full(settings, learnt):
    return {index for index in range(learnt) if settings.in_full(index, learnt)}


def test_every_task_is_measured_in_full_unless_told_otherwise():
    assert _in_full(EvaluatorSettings(), 50) == set(range(50))
    assert _in_full(EvaluatorSettings(past_tasks=10), 11) == set(range(11))


def test_past_tasks_take_turns_by_their_numbers():
    settings = EvaluatorSettings(past_tasks=10)
    for learnt in range(1, 300):
        chosen = _in_full(settings, learnt)
        assert learnt - 1 in chosen and len(chosen) <= 11
    turns = [
        _in_full(settings, learnt) - {learnt - 1} for learnt in range(92, 102)
    ]  # 91 to 100 past tasks: ten turns
    assert sorted(task for row in turns for task in row if task < 91) == list(range(91))


def test_no_past_task_at_all_is_refused():
    with pytest.raises(ValueError, match="past_tasks is 0; it must be at least 1"):
        EvaluatorSettings(past_tasks=0)


def test_turns_are_not_a_setting_that_makes_rows_differ():
    assert EvaluatorSettings(past_tasks=10).as_json() == EvaluatorSettings().as_json()
