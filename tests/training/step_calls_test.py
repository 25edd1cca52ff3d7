"""Several steps in one call: the same bits, and callbacks that see what they would have seen."""

import contextlib
import glob
import json
import os
import pathlib
import time

import keras
import numpy as np
import pytest
import tensorflow as tf

from ltgans_tf.methods import lifelong
from ltgans_tf.training import callbacks, checkpoints, step_calls
from tests.mirrored import MIRRORED
from tests.tiny import make_model
from tests.training import walk

pytestmark = pytest.mark.program


class Walk(walk.Walk):
    """Adds the noise of each step to its place; its loss is NaN at the (stream, global step) of `bad`."""

    def __init__(self, most=1, bad=(-1, -1), sleeps=0.0):
        super().__init__()
        self.bad, self.sleeps = bad, sleeps
        self.compile(steps_per_execution=most)

    def train_step(self, data):
        here = tf.stack([self.noise_stream.value, self.global_step.value])
        images = tf.reduce_mean(tf.cast(data, tf.float32))
        if self.sleeps:
            tf.py_function(lambda: time.sleep(self.sleeps), [], [])
        loss = images + tf.reduce_sum(self.noise(0, 1, 1))
        self.place.assign(0.5 * self.place.value + loss)
        return self.end_step({"walk/loss": tf.where(tf.reduce_all(here == self.bad), np.nan, loss)})


class Seen(callbacks.StepCallback):
    """Keeps what it is told of each step, and needs no model unless steps are named."""

    def __init__(self, *needed):
        super().__init__()
        self.needed, self.steps, self.ahead, self.logs, self.counters = needed, [], [], [], []

    def needs_model(self, step, task_step):
        return step in self.needed

    def on_step(self, step, task_step, logs):
        self.steps.append((step, task_step))
        self.ahead.append(self.model.step_calls.ahead)
        self.logs.append({name: float(value) for name, value in logs.items()})
        self.counters.append(int(self.model.global_step.numpy()))


def _state(model):
    slots = [v.numpy() for optimizer in model.optimizers for v in optimizer.variables]
    return [*(np.array(weight) for weight in model.get_weights()), *slots]


def _trained(stream, most, strategy, settings):
    with strategy.scope() if strategy else contextlib.nullcontext():
        model, seen = make_model(**settings), Seen()
        model.compile(steps_per_execution=most)
    assert model.fit_stream(stream, 9, callbacks=[seen])
    return _state(model), seen


@pytest.fixture
def slow_is_fast(monkeypatch):
    """However long a step takes on this machine, calls are as long as they may be."""
    monkeypatch.setattr(step_calls, "_LONGEST", 1e6)


@pytest.mark.parametrize(
    "strategy, tasks, settings",
    [
        (None, 2, {"n_critic": 2, "ema": 0.9, "domain_dim": 4, "distillation": 0.02}),
        (MIRRORED, 1, {"student": False, "first_learners": 1}),
    ],
)
def test_several_steps_a_call_change_no_bit(tiny_stream, slow_is_fast, strategy, tasks, settings):
    (one, one_seen), (several, seen) = (
        _trained(tiny_stream(tasks=tasks), most, strategy, settings) for most in (1, 5)
    )
    for a, b in zip(one, several, strict=True):
        np.testing.assert_array_equal(a, b)
    assert seen.steps == one_seen.steps and seen.logs == one_seen.logs
    assert not any(one_seen.ahead) and seen.ahead == tasks * [0, 4, 3, 2, 1, 0, 2, 1, 0]


def _files(workdir):
    """What a run kept: its points but for their speed, its checkpoints and its pictures."""
    with open(os.path.join(workdir, "metrics.jsonl"), encoding="utf-8") as file:
        points = [json.loads(line) for line in file]
    for point in points:
        del point["speed/steps_per_second"]
    pictures = {
        os.path.relpath(path, workdir): pathlib.Path(path).read_bytes()
        for path in glob.glob(os.path.join(workdir, "samples", "*", "*"))
    }
    return points, [os.path.basename(path) for path in checkpoints.checkpoints(workdir)], pictures


def _walked(stream, workdir, model, more=(), steps=23, **options):
    said = callbacks.default_callbacks(workdir, log_every=5, sample_every=7)
    options = {"checkpoint_every": 6, **options}
    return model.fit_stream(stream, steps, workdir, [*said, *more], **options)


def test_points_samples_and_checkpoints_are_those_of_single_steps(tiny_stream, tmp_path, slow_is_fast):
    places, seen = [], Seen(9)
    for most in (1, 50):
        model = Walk(most)
        assert _walked(tiny_stream(tasks=2), str(tmp_path / str(most)), model, [seen] * (most > 1))
        places.append(model.place.numpy())
    assert places[0] == places[1]
    assert _files(str(tmp_path / "1")) == _files(str(tmp_path / "50"))
    ends = {step for (step, _), counter in zip(seen.steps, seen.counters) if step == counter}
    logged, sampled, saved = {1, *range(5, 47, 5)}, {7, 14, 21, 30, 37, 44}, set(range(6, 47, 6))
    assert ends == logged | sampled | saved | {9, 23, 24, 46}  # and the first and last step of each task


def test_a_run_that_died_and_goes_on_ends_with_the_same_bits(tiny_stream, tmp_path, slow_is_fast):
    class Die(Seen):
        def on_step(self, step, task_step, logs):
            if step == 33:  # in the middle of a call
                assert self.model.step_calls.ahead
                raise KeyboardInterrupt

    straight, again = Walk(), Walk(50)
    _walked(tiny_stream(tasks=2), str(tmp_path / "straight"), straight)
    with pytest.raises(KeyboardInterrupt):
        _walked(tiny_stream(tasks=2), str(tmp_path / "died"), Walk(50), [Die()])
    assert _walked(tiny_stream(tasks=2), str(tmp_path / "died"), again)
    assert again.place.numpy() == straight.place.numpy()
    assert _files(str(tmp_path / "died")) == _files(str(tmp_path / "straight"))


def test_a_stop_that_comes_within_a_call_is_heard_after_it(tiny_stream, tmp_path, slow_is_fast):
    class Stop(Seen):
        def on_step(self, step, task_step, logs):
            super().on_step(step, task_step, logs)
            if step == 8:
                self.model.request_stop()

    straight, stop, again = Walk(), Stop(), Walk(50)
    _walked(tiny_stream(tasks=1), str(tmp_path / "straight"), straight)
    assert not _walked(tiny_stream(tasks=1), str(tmp_path / "run"), Walk(50), [stop])
    assert stop.steps[-1] == (10, 10) and stop.counters[-1] == 10
    assert _walked(tiny_stream(tasks=1), str(tmp_path / "run"), again)
    assert again.place.numpy() == straight.place.numpy()
    assert _files(str(tmp_path / "run"))[0] == _files(str(tmp_path / "straight"))[0]


def test_a_call_is_short_where_steps_are_slow(tiny_stream):
    seen = Seen()
    model = Walk(50, sleeps=0.15)
    assert model.fit_stream(tiny_stream(tasks=1), 8, callbacks=[seen])
    assert max(seen.ahead) <= 2  # three steps take 0.45 s


def test_numbers_that_are_not_finite_are_found_at_their_step(tiny_stream, tmp_path, slow_is_fast):
    """The fourth step is in the middle of a call; the run goes back to its beginning with other noise."""
    with pytest.raises(lifelong.NonFiniteError, match="^walk loss stopped being finite at global step 4;"):
        _walked(tiny_stream(tasks=1), str(tmp_path / "stopped"), Walk(50, (0, 3)))
    assert not checkpoints.checkpoints(str(tmp_path / "stopped"))
    runs = []
    for most in (1, 50):
        model = Walk(most, (0, 3))
        _walked(tiny_stream(tasks=1), str(tmp_path / str(most)), model, on_nonfinite="rollback")
        runs.append((model.place.numpy(), int(model.noise_stream.numpy()), _files(str(tmp_path / str(most)))))
    assert runs[0] == runs[1] and runs[0][1] == 1


def test_a_callback_of_keras_sees_each_step_as_ever(tiny_stream):
    counters = []
    model = Walk(50)
    keep = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: counters.append(int(model.global_step.numpy()))
    )
    ends = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: counters.append("end"))
    assert model.fit_stream(tiny_stream(tasks=1), 4, callbacks=[keep, ends])
    assert counters == [1, 2, 3, 4, "end"]


def test_the_profiled_steps_are_calls_of_their_own(tiny_stream, tmp_path, slow_is_fast):
    profile, seen = callbacks.Profile(str(tmp_path), 5, 8), Seen()
    assert Walk(50).fit_stream(tiny_stream(tasks=1), 12, callbacks=[profile, seen])
    assert seen.ahead == [0, 2, 1, 0, 3, 2, 1, 0, 3, 2, 1, 0]
    assert os.path.isdir(tmp_path / "tensorboard" / "plugins" / "profile")


def test_how_many_steps_a_call_may_take(monkeypatch):
    one = tf.distribute.get_strategy()
    assert [step_calls.most_steps(asked, one, False) for asked in (None, 1, 7)] == [1, 1, 7]
    with pytest.raises(ValueError, match="steps_per_execution is 7 and run_eagerly takes them one by one"):
        step_calls.most_steps(7, one, True)
    for asked in (0, 2.5):
        with pytest.raises(ValueError, match=f"steps_per_execution is {asked}; give a whole number"):
            step_calls.most_steps(asked, one, False)
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [kind])
    assert step_calls.most_steps(None, one, False) == 50
    monkeypatch.setattr(step_calls.distribution, "workers", lambda strategy: 2)
    assert step_calls.most_steps(None, one, False) == 1
    with pytest.raises(ValueError, match="steps_per_execution is 7 and several workers take them one by one"):
        step_calls.most_steps(7, one, False)
