"""Numbers that stop being finite: never saved, and a run that goes back ends as if nothing had been."""

import collections
import glob
import json
import os
import re

import numpy as np
import pytest
import tensorflow as tf
from tensorboard.compat.proto import event_pb2

from ltgans_tf.methods import lifelong
from ltgans_tf.training import callbacks, checkpoints, nonfinite
from tests.mirrored import MIRRORED
from tests.training import walk

pytestmark = pytest.mark.program


class Walk(walk.Walk):
    """Adds the noise of each step to its place; its loss is NaN at the (stream, global step) of `bad`."""

    def __init__(self, bad=((-1, -1),), infinite_at=-1):
        super().__init__()
        self.bad, self.infinite_at = np.array(bad, np.int64), infinite_at
        self.traces = 0
        self.compile(optimizer=None, jit_compile=False)

    def train_step(self, data):
        self.traces += 1
        here = tf.stack([self.noise_stream.value, self.global_step.value])
        loss = tf.reduce_sum(self.noise(0, 1, 1)) / self.distribute_strategy.num_replicas_in_sync
        bad = tf.reduce_any(tf.reduce_all(here == self.bad, axis=1))
        self.place.assign_add(tf.where(self.global_step.value == self.infinite_at, np.inf, loss))
        return self.end_step({"walk/loss": tf.where(bad, np.nan, loss)})


def _run(stream, workdir, model, more=(), steps=8, every=3, **options):
    """A run with checkpoints at multiples of 3, points at 1 and multiples of 2; rollback unless told else."""
    said = callbacks.default_callbacks(workdir, log_every=2, sample_every=2)
    options = {"on_nonfinite": "rollback", "checkpoint_every": every, **options}
    assert model.fit_stream(stream, steps, workdir, [*said, *more], **options)
    return model


def _drawn(stream, step):
    return float(tf.random.stateless_normal([], [3000, 2**40 * stream + step], alg="philox"))


def _expected(streams):
    """The place after steps whose noise came from these streams."""
    return sum(np.float32(_drawn(stream, step)) for step, stream in enumerate(streams))


def _points(workdir):
    """How often each (tag, step) stands in the event files, and the steps of metrics.jsonl."""
    found = collections.Counter(
        (value.tag, event.step)
        for file in glob.glob(os.path.join(workdir, "tensorboard", "*"))
        for event in map(event_pb2.Event.FromString, tf.data.TFRecordDataset(file).as_numpy_iterator())
        for value in event.summary.value
    )
    with open(os.path.join(workdir, "metrics.jsonl"), encoding="utf-8") as f:
        return found, [json.loads(line)["step"] for line in f]


def test_the_noise_of_stream_0_is_that_of_seed_and_step_and_others_are_apart():
    model = Walk()
    model.global_step.assign(7)
    expected = tf.random.stateless_normal([1, 1, 4, 2], [3005, 7], alg="philox")[0, 0]
    np.testing.assert_array_equal(model.noise(5, 4, 2), expected)
    streams = []
    for stream in range(nonfinite.MOST_ROLLBACKS + 1):
        model.noise_stream.assign(stream)
        streams.append(model.noise(5, 4, 2).numpy())
    assert len({noise.tobytes() for noise in streams}) == len(streams)


def test_a_rollback_goes_on_from_the_last_checkpoint_with_other_noise(tiny_stream, tmp_path, caplog):
    workdir = str(tmp_path / "run")
    model = _run(tiny_stream(tasks=2), workdir, Walk(bad=[(0, 4)]))
    assert int(model.noise_stream.numpy()) == 1 and int(model.global_step.numpy()) == 16
    assert model.place.numpy() == pytest.approx(_expected([0] * 3 + [1] * 13), abs=1e-5)
    (said,) = [record.getMessage() for record in caplog.records if record.name == "ltgans_tf"]
    assert said == (
        "walk loss stopped being finite at global step 5; going back to step 3 with other noise"
        " (rollback 1 of at most 3)."
    )
    assert model.traces == 2  # one for each trace key, as without a rollback


def test_every_point_is_logged_once_after_a_rollback(tiny_stream, tmp_path):
    workdir = str(tmp_path / "run")
    _run(tiny_stream(tasks=2), workdir, Walk(bad=[(0, 5), (1, 12)]), every=5)
    found, steps = _points(workdir)
    assert steps == [1, *range(2, 17, 2)]
    assert set(found.values()) == {1}
    assert {step for tag, step in found if tag == "walk/loss"} == set(steps)
    assert {step for tag, step in found if tag == "samples/progress"} == set(range(2, 17, 2))


def test_without_a_checkpoint_it_goes_back_to_the_beginning(tiny_stream, tmp_path, caplog):
    model = _run(tiny_stream(tasks=1), str(tmp_path / "run"), Walk(bad=[(0, 0)]))
    assert model.place.numpy() == pytest.approx(_expected([1] * 8), abs=1e-5)
    assert "going back to step 0 " in caplog.text


def test_it_goes_back_three_times_and_then_stops_with_the_last_good_state(tiny_stream, tmp_path, caplog):
    workdir = str(tmp_path / "run")
    with pytest.raises(lifelong.NonFiniteError) as stopped:
        _run(tiny_stream(tasks=1), workdir, Walk(bad=[(stream, 4) for stream in range(4)]))
    assert [int(n) for n in re.findall(r"rollback (\d)", caplog.text)] == [1, 2, 3]
    assert re.match(
        r"walk loss stopped being finite at global step 5, after 3 rollbacks, .*"
        r"the last good checkpoint is .*task_000_step_000000003\.$",
        str(stopped.value),
    )
    fresh = Walk()
    checkpoints.restore_newest(workdir, fresh)
    assert fresh.place.numpy() == pytest.approx(_expected([0] * 3), abs=1e-5)
    assert int(fresh.noise_stream.numpy()) == 0 and (fresh.nonfinite_steps.numpy() == -1).all()


@pytest.mark.parametrize("death", [5, 7])
def test_a_crash_after_a_rollback_changes_no_bit(tiny_stream, tmp_path, death):
    """It dies before, or after, the first checkpoint that keeps the new stream."""

    class Die(callbacks.StepCallback):
        def on_step(self, step, task_step, logs):
            if step == death and int(self.model.noise_stream.numpy()):
                raise KeyboardInterrupt

    bad, workdir = [(0, 4), (1, 12)], str(tmp_path / "run")
    straight = _run(tiny_stream(tasks=2), str(tmp_path / "straight"), Walk(bad))
    with pytest.raises(KeyboardInterrupt):
        _run(tiny_stream(tasks=2), workdir, Walk(bad), [Die()])
    again = _run(tiny_stream(tasks=2), workdir, Walk(bad))
    assert int(again.noise_stream.numpy()) == int(straight.noise_stream.numpy()) == 2
    for a, b in zip(straight.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert _points(workdir) == _points(str(tmp_path / "straight"))


def test_it_goes_back_into_the_task_before_where_the_newest_checkpoint_is_damaged(tiny_stream, tmp_path):
    workdir, calls = str(tmp_path / "run"), []

    class Damage(callbacks.StepCallback):
        def on_step(self, step, task_step, logs):
            if step == 9 and not int(self.model.noise_stream.numpy()):
                with open(
                    glob.glob(os.path.join(workdir, "checkpoints", "task_001*", "state.data*"))[0], "a"
                ) as f:
                    f.write("?")

    boundary = lambda boundary: calls.append(boundary.task.index)
    model = _run(
        tiny_stream(tasks=2), workdir, Walk(bad=[(0, 9)]), [Damage()], every=6, boundary_callbacks=[boundary]
    )
    assert model.place.numpy() == pytest.approx(_expected([0] * 6 + [1] * 10), abs=1e-5)
    assert calls == [0, 0, 1]


def test_a_weight_that_became_infinite_is_never_saved(tiny_stream, tmp_path):
    """Of a finite gradient, at the very step after which a checkpoint is due."""
    workdir = str(tmp_path / "run")
    with pytest.raises(
        lifelong.NonFiniteError, match="weight .*place stopped being finite by global step 6;"
    ):
        _run(tiny_stream(tasks=1), workdir, Walk(infinite_at=5), on_nonfinite="stop")
    assert [path[-9:] for path in checkpoints.checkpoints(workdir)] == ["000000003"]


def test_replicas_go_back_together(tiny_stream, tmp_path):
    with MIRRORED.scope():
        model = Walk(bad=[(0, 4)])
    _run(tiny_stream(tasks=1), str(tmp_path / "run"), model)
    for stream in MIRRORED.experimental_local_results(model.noise_stream.value):
        assert int(stream) == 1
    assert model.traces == len(MIRRORED.experimental_local_results(model.noise_stream.value))


def test_a_choice_that_cannot_be_is_refused(tiny_stream):
    for choice, sentence in (("perhaps", "'perhaps'; it must be"), ("rollback", "give a workdir")):
        with pytest.raises(ValueError, match=sentence):
            Walk().fit_stream(tiny_stream(tasks=1), 2, on_nonfinite=choice)
