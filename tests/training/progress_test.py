"""Tests of the line of progress."""

import types

import pytest
import tensorflow as tf

from ltgans_tf.training import callbacks
from tests.training.ramp import Ramp


class _Clock:
    """Goes on by so many seconds each time that it is read."""

    def __init__(self, seconds):
        self.seconds, self.now = seconds, 100.0

    def monotonic(self):
        self.now += self.seconds
        return self.now


def _progress(monkeypatch, model, stream, clock, seconds=1.0, steps=5):
    lines = []
    monkeypatch.setattr(callbacks, "time", _Clock(clock))
    model.fit_stream(stream, steps, callbacks=[callbacks.Progress(lines.append, len(stream), steps, seconds)])
    return lines


@pytest.mark.program
def test_progress_has_task_step_speed_and_time_left(tiny_stream, monkeypatch):
    lines = _progress(monkeypatch, Ramp(), tiny_stream(tasks=2), clock=0.5)
    assert lines == [
        "task 1/2 set0.npz  step 1/5",
        "task 1/2 set0.npz  step 3/5  2.0 steps/s  0:03 of training left",
        "task 1/2 set0.npz  step 5/5  2.0 steps/s  0:02 of training left",
        "task 2/2 set1.npz  step 1/5",
        "task 2/2 set1.npz  step 3/5  2.0 steps/s  0:01 left",
        "task 2/2 set1.npz  step 5/5  2.0 steps/s  0:00 left",
    ]


@pytest.mark.program
def test_progress_reaches_the_last_step_and_counts_in_hours(tiny_stream, monkeypatch):
    lines = _progress(monkeypatch, Ramp(), tiny_stream(tasks=2), clock=1500.0, seconds=4000)
    assert [line.split("  ")[1] for line in lines] == ["step 1/5", "step 4/5", "step 5/5"] * 2
    assert lines[1].endswith("  0.0 steps/s  2:30:00 of training left")


def _fake_progress(tasks, steps):
    """(callback, the lines that it writes, the task of its model)."""
    lines, task = [], types.SimpleNamespace(index=0, name="mnist")
    progress = callbacks.Progress(lines.append, tasks, steps)
    progress.set_model(types.SimpleNamespace(task=task, global_step=tf.Variable(0), task_step=tf.Variable(0)))
    progress.on_train_begin()
    return progress, lines, task


def _minutes_left(monkeypatch, pauses, tasks):
    """What each task's second line says is left: its steps take ten seconds each, pauses so many seconds."""
    progress, lines, task = _fake_progress(tasks, 6)
    monkeypatch.setattr(callbacks, "time", clock := _Clock(0))
    for task.index in range(len(pauses) + 1):
        progress.on_train_begin()
        for step in range(1, 7):
            clock.now += pauses[task.index - 1] if step == 1 and task.index else 10.0
            progress.on_step(6 * task.index + step, step, {})
    return [line.partition("steps/s  ")[2] for line in lines if "step 2/6" in line]


def test_time_left_counts_the_pauses_between_tasks_once_one_was_seen(monkeypatch):
    # After step 2 of task k of 3 there are 22, 10 + 6, 4 steps of ten seconds and 3, 2, 1 pauses.
    assert _minutes_left(monkeypatch, [300.0, 300.0], 3) == [
        "2:40 of training left",
        "11:40 left",
        "5:40 left",
    ]


def test_pauses_that_grow_with_the_tasks_go_on_growing(monkeypatch):
    *_, last = _minutes_left(monkeypatch, [100.0, 200.0], 4)
    assert last == "13:20 left"  # 10 steps, pauses of 300 and 400 s
    *_, last = _minutes_left(monkeypatch, [200.0, 100.0], 4)
    assert last == "6:40 left"  # 10 steps, and two of their mean, 150 s


def test_a_pause_is_not_counted_anew_after_a_rollback(monkeypatch):
    progress, _, task = _fake_progress(2, 2)
    monkeypatch.setattr(callbacks, "time", clock := _Clock(0))
    progress.on_step(1, 1, {})
    progress.on_step(2, 2, {})
    task.index, clock.now = 1, 105.0
    progress.on_step(3, 1, {})
    clock.now = 900.0
    progress.on_step(3, 1, {})
    assert progress._pauses == {1: 5.0}


def test_progress_shows_the_losses_that_there_are():
    progress, lines, _ = _fake_progress(1, 10)
    progress.on_step(1, 1, {"critic/wasserstein": 1.234, "student/loss": 56.789, "critic/loss": 3.0})
    assert lines == ["task 1/1 mnist  step 1/10  W 1.23  student 56.79"]


@pytest.mark.program
def test_without_callbacks_progress_is_printed_and_with_callbacks_it_is_not(tiny_model, tiny_stream, capsys):
    model, stream = tiny_model(student=False), tiny_stream(tasks=1)
    model.fit_stream(stream, 2, callbacks=[], stop_after_task=0)
    assert not capsys.readouterr().out
    model = tiny_model(student=False)
    model.fit_stream(stream, 2)
    assert "task 1/1 set0.npz  step 2/2" in capsys.readouterr().out
