"""Divergence that is finite: told by models that are brought into it, and by no other."""

import numpy as np
import pytest
import tensorflow as tf

from ltgans_tf.data import streams
from ltgans_tf.training import callbacks, divergence

pytestmark = pytest.mark.program


@pytest.fixture
def told(caplog):
    """The lines that were logged."""
    return lambda: [record.getMessage() for record in caplog.records]


def _train(model, stream, tmp_path, steps=2, sample_every=1000):
    """Eager steps of every task with the callbacks of a run, a point and no checkpoint at each."""
    model.compile(run_eagerly=True, **_optimizers(model))
    said = callbacks.default_callbacks(str(tmp_path / "run"), 1, sample_every)
    model.fit_stream(stream, steps, str(tmp_path / "run"), said, checkpoint_every=1000)


def _optimizers(model):
    """Optimizers that leave the weights where they are."""
    names = ("critic_optimizer", "generator_optimizer", "student_optimizer")
    return {name: tf.keras.optimizers.SGD(0.0) for name in names}


def test_a_healthy_run_tells_nothing(tiny_model, tmp_path, told, monkeypatch):
    """On images of one colour each; on those of noise alone the posterior rightly tells nothing."""
    monkeypatch.setattr(divergence, "_FIRST_STEPS", 100)
    colours = np.random.default_rng(0).integers(0, 256, (2, 200, 1, 1, 3), dtype=np.uint8)
    train, test = np.tile(colours, [1, 1, 8, 8, 1])
    np.savez(tmp_path / "colours.npz", train_images=train, test_images=test)
    stream = streams.TaskStream([f"npz:{tmp_path}/colours.npz"], (8, 8, 3), 8)
    callback = callbacks.default_callbacks(str(tmp_path / "run"), 1, 50)
    tiny_model().fit_stream(stream, 150, str(tmp_path / "run"), callback)
    assert told() == []


def test_an_exploding_critic_is_told_once_per_task(tiny_model, tiny_stream, tmp_path, told):
    model = tiny_model(student=False)
    for weight in model.critic.trainable_variables:
        weight.assign(20.0 * weight)
    _train(model, tiny_stream(tasks=2), tmp_path)
    lines = told()
    assert [line.partition(":")[0] for line in lines] == ["task 1, step 1", "task 2, step 3"]
    # Two images of 8 x 8 x 3 numbers in [-1, 1] are at most 27.7 apart.
    assert all("the critic's loss explodes: critic/loss is " in line for line in lines)
    assert all(line.endswith("in size, above 277.1.") for line in lines)


def test_a_posterior_without_information_is_told(tiny_model, tiny_stream, tmp_path, told):
    model = tiny_model()
    for weight in model.student.encoder.trainable_variables:
        weight.assign(tf.zeros_like(weight))
    # softplus(0.5413) = 1: the posterior of every image is the prior.
    model.student.encoder.get_layer("stddev").bias.assign([0.5413] * model.student.code_dim)
    _train(model, tiny_stream(tasks=1), tmp_path)
    (line,) = told()
    assert line.startswith("task 1, step 1: the Student's posterior collapsed: student/kl is ")
    assert line.endswith("nats, below 0.1.")


def test_a_generator_of_one_image_is_told(tiny_model, tiny_stream, tmp_path, told):
    model = tiny_model(student=False)
    kernel = model.generators[1].trainable_variables[0]
    kernel.assign(tf.zeros_like(kernel))  # no latent reaches the image
    model.global_step.assign(500)
    _train(model, tiny_stream(tasks=1), tmp_path, steps=2, sample_every=1)
    (line,) = told()
    assert line == (
        "task 1, step 501: a generator collapsed to nearly one image: generator/spread is 0, below 0.05."
    )


def test_a_generator_that_has_not_learnt_yet_is_given_time(tiny_stream, told):
    task, signs = tiny_stream(tasks=1).tasks[0], divergence.Signs()
    signs.of_images(task, 499, 0.0)
    assert told() == []
    signs.of_images(task, 500, 0.06)
    assert told() == []
    signs.of_images(task, 500, 0.04)
    assert len(told()) == 1


def test_spread_is_the_ratio_of_contrasts():
    draw = np.random.default_rng(0)
    reals = draw.normal(120, 30, (4000, 2, 2, 3))
    assert divergence.spread(120 + (reals - 120) / 10, reals) == pytest.approx(0.1)
    pattern = draw.uniform(0, 255, (1, 2, 2, 3))  # which all images share, and so does not count
    assert divergence.spread(reals + pattern, reals) == pytest.approx(1.0)
    assert divergence.spread(np.tile(pattern, [64, 1, 1, 1]), reals) == pytest.approx(0.0, abs=1e-6)
    assert divergence.spread(reals, np.tile(pattern, [64, 1, 1, 1])) > 1e6
