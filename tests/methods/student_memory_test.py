"""The Student's moving average and its former self: closed forms, resume, export, and nothing where both are off."""

import os
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf

from ltgans_tf import exported, loading
from ltgans_tf.export import push
from ltgans_tf.methods import joint, joint_twins, replay, twin_gan
from ltgans_tf.networks import networks, student
from ltgans_tf.settings import presets
from tests.tiny import TINY, UNTRIED

BOTH = {"student_ema": 0.27, "student_distillation": 0.5, "n_critic": 1}


def _state(model):
    slots = [v.numpy() for optimizer in model.optimizers for v in optimizer.variables]
    return [*(np.array(w) for w in model.get_weights()), *slots]


def _images(rows=6):
    return tf.constant(np.random.default_rng(0).uniform(-1, 1, [rows, 8, 8, 3]), tf.float32)


@pytest.mark.program
def test_the_average_is_that_of_the_decays_and_each_task_trains_on_from_it(tiny_model, tiny_stream):
    model, seen = tiny_model(student_ema=0.27), []
    expected = model.student.get_weights()
    keep = keras.callbacks.LambdaCallback(
        on_train_begin=lambda logs: seen.append([model.trained_student.get_weights()]),
        on_train_batch_end=lambda step, logs: seen[-1].append(model.trained_student.get_weights()),
    )
    model.fit_stream(tiny_stream(tasks=2), 5, callbacks=[keep])
    assert len(seen) == 2
    for first, *steps in seen:
        for begun, average in zip(first, expected, strict=True):
            np.testing.assert_allclose(begun, average, rtol=1e-4, atol=1e-6)
        for decay, weights in zip((1 / 10, 2 / 11, 3 / 12, 0.27, 0.27), steps, strict=True):
            expected = [decay * old + (1 - decay) * new for old, new in zip(expected, weights, strict=True)]
    for average, weight, last in zip(model.student.get_weights(), expected, steps[-1], strict=True):
        np.testing.assert_allclose(average, weight, rtol=1e-4, atol=1e-6)
        assert np.abs(average - last).max() > 1e-5


@pytest.mark.parametrize("method", [twin_gan.TwinGAN, joint_twins.JointTwins, replay.Replay])
def test_without_both_the_student_is_one_and_with_both_two_more_are_kept(method):
    def weights(**recipe):
        model = method.from_architecture(TINY, 3, True, presets.Recipe(**recipe))
        return model, len(model.weights)

    (plain, few), (kept, more) = weights(), weights(**BOTH)
    assert plain.trained_student is plain.student and plain.former_student is None
    assert more == few + 2 * len(plain.student.weights)
    assert kept.trained_student is not kept.student
    alone, _ = weights(student_ema=0.27)
    for a, b in zip(alone.trained_student.get_weights(), plain.student.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert method.from_architecture(TINY, 3, False, presets.Recipe(**BOTH)).trained_student is None


@pytest.mark.parametrize("method", [replay.Finetune, joint.Joint])
def test_a_method_without_replay_has_the_average_alone(method):
    model = method.from_architecture(TINY, 3, True, presets.Recipe(**BOTH))
    assert model.former_student is None and model.trained_student is not model.student
    recipe = model.get_settings()["recipe"]
    assert (recipe["student_ema"], recipe["student_distillation"]) == (0.27, 0.0)


def test_the_distance_to_the_former_student_has_its_closed_form():
    def made(seed):
        return student.Student(networks.encoder(TINY, 3, seed), networks.decoder(TINY, 3, seed + 1))

    one, former, images = made(0), made(7), _images()
    noise = tf.constant(np.random.default_rng(1).normal(size=[6, TINY.code_dim]), tf.float32)
    pull = np.array([0.5, 1, 2], np.float32)
    parts = lambda each: [np.float64(v) for v in (each.encode(images).mean(), each.encode(images).stddev())]
    (mean, stddev), (old_mean, old_stddev) = parts(one), parts(former)
    rebuilt = np.float64(one.decode(tf.constant(mean + stddev * noise.numpy(), tf.float32)))
    apart = np.square(rebuilt - np.float64(former(images))).sum(axis=(1, 2, 3))
    ratio = old_stddev / stddev
    apart += 0.5 * (ratio**2 - 1 - 2 * np.log(ratio) + np.square((mean - old_mean) / stddev)).sum(axis=1)
    before, frozen = one.get_weights(), former.get_weights()
    losses = []
    for given in ((), (former, tf.constant(pull))):
        one.set_weights(before)
        optimizer = keras.optimizers.SGD(0.01)
        optimizer.build(one.trainable_variables)
        losses.append(float(one.update(optimizer, images, tf.ones([6]), noise, 1.0, 3, *given)[3]))
    np.testing.assert_allclose(losses[1] - losses[0], (pull * apart[3:]).sum() / 3, rtol=1e-3)
    for a, b in zip(former.get_weights(), frozen, strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_replayed_rows_are_pulled_with_the_weight_of_their_bracket(tiny_model, monkeypatch):
    for task_index, second in ((0, None), (3, 1.5)):
        model = tiny_model(student_replay="share", replay_share="balanced", **BOTH)
        model.task_index.assign(task_index)
        model.begin_task()
        model.make_train_function()
        seen, real = {}, model.trained_student.update

        def update(*args, seen=seen, real=real):
            seen.update(former=args[6], pull=np.array(args[7]))
            return real(*args)

        monkeypatch.setattr(model.trained_student, "update", update)
        data = np.random.default_rng(0).integers(0, 256, (8, 2, 8, 8, 3), dtype=np.uint8)
        model.train_step(tf.constant(data[:, : model.new_batches(task_index)]))
        assert seen["former"] is (None if second is None else model.former_student)
        if second:
            np.testing.assert_allclose(seen["pull"], [0.5 * second] * 8, rtol=1e-6)


@pytest.mark.program
def test_a_run_cut_off_within_a_task_ends_with_the_bits_of_one_that_was_not(
    tiny_model, tiny_stream, tmp_path
):
    """And its Students hold what their names say on the way."""
    stream, run, killed, ends = tiny_stream(tasks=2), str(tmp_path / "run"), str(tmp_path / "killed"), []

    def step(batch, logs):
        if int(straight.global_step.numpy()) == 7:  # of 5 steps a task; the checkpoint is that of step 6
            shutil.copytree(run, killed)

    straight = tiny_model(**BOTH)
    straight.fit_stream(
        stream,
        5,
        run,
        [keras.callbacks.LambdaCallback(on_train_batch_end=step)],
        [lambda boundary: ends.append(boundary.model.student.get_weights())],
        checkpoint_every=2,
    )
    again = loading.load(killed)
    assert (int(again.task_index.numpy()), int(again.task_step.numpy())) == (1, 1)
    averaged, trained = again.student.get_weights(), again.trained_student.get_weights()
    assert any((a != b).any() for a, b in zip(averaged, trained, strict=True))
    for kept, learnt in zip(again.former_student.get_weights(), ends[0], strict=True):
        np.testing.assert_array_equal(kept, learnt)
    assert again.fit_stream(stream, 5, killed, [])
    for a, b in zip(_state(again), _state(straight), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.program
def test_the_average_is_what_is_exported(tiny_model, tiny_stream, tmp_path):
    model, images = tiny_model(student_ema=0.9), _images()
    model.fit_stream(tiny_stream(tasks=1), 4)
    info = {"run_id": "run", "image_shape": [8, 8, 3], "fit": "crop"}
    push.push(model, push.Task(0, "last"), tmp_path, info, UNTRIED)
    assert os.path.isdir(tmp_path / "encoder")
    found = exported.load(tmp_path).student.encode(images).mean()
    np.testing.assert_allclose(found, model.student.encode(images).mean(), atol=1e-5)
    assert np.abs(found - model.trained_student.encode(images).mean()).max() > 1e-3
