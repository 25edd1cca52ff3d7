"""Steps with DiffAugment: what the critic and the generators get, resume and replicas."""

import contextlib

import numpy as np
import pytest
import tensorflow as tf

from ltgans_tf.methods import registry
from ltgans_tf.networks import augmentation, losses
from ltgans_tf.settings import presets
from ltgans_tf.training import callbacks
from tests.tiny import TINY, make_model, make_stream

POLICY = presets.AUGMENTATIONS
ON = {"diffaugment": ",".join(POLICY)}
CODES = {"domain_dim": 4, "distillation": 0.02, "warm_start": 1.0}


def _data(n_critic=1):
    return tf.constant(np.random.default_rng(0).integers(0, 256, (8, n_critic, 8, 8, 3), dtype=np.uint8))


def _at(model, task_index):
    model.task_index.assign(task_index)
    model.make_train_function()
    return model


def _judged(model, monkeypatch):
    """Pairs of images that the critic's updates get, real and generated, before and after they are augmented."""
    before, after = [], []
    update, gradients = model._update_critic, model._critic_gradients
    monkeypatch.setattr(
        model,
        "_update_critic",
        lambda i, real, fakes, *rest: (
            before.append((real, tf.concat(fakes, 0))),
            update(i, real, fakes, *rest),
        )[1],
    )
    monkeypatch.setattr(
        model,
        "_critic_gradients",
        lambda real, fake, *rest: (after.append((real, fake)), gradients(real, fake, *rest))[1],
    )
    return before, after


@pytest.mark.parametrize("task_index, learners", [(0, 2), (1, 1)])
def test_real_and_generated_images_reach_the_critic_augmented(monkeypatch, task_index, learners):
    model = _at(make_model(student=False, **ON, **CODES), task_index)
    before, after = _judged(model, monkeypatch)
    blocks = 1 if task_index == 0 else 2  # the past beside the new task
    numbers = model.noise(
        900, (1 + learners) * blocks * 8, augmentation.NUMBERS, (1 + learners) * blocks, "unit"
    )
    model.train_step(_data())
    (shown,), (seen,) = before, after
    expected = augmentation.augment(tf.concat(shown, 0), numbers, POLICY)
    np.testing.assert_allclose(tf.concat(seen, 0), expected, atol=1e-6)
    rows = [tuple(row) for row in numbers.numpy()]
    assert len(set(rows)) == len(rows)  # each image has transforms of its own


def test_each_update_has_transforms_of_its_own():
    model = _at(make_model(student=False, n_critic=3, **ON), 0)
    model.global_rows = 8
    drawn = [model._augmentation(tag, 8).numpy() for tag in (900, 901, 902, 2)]
    assert all((a != b).all() for i, a in enumerate(drawn) for b in drawn[:i])


def test_generators_descend_the_gradient_through_the_transforms(monkeypatch):
    """The chain rule in two parts gives the gradient of -D(T(G(z))) / B that one tape gives."""
    model = _at(make_model(student=False, **ON), 1)
    seen = {}
    monkeypatch.setattr(
        model.generator_optimizers[1], "apply", lambda g, v: seen.update(gradients=[x.numpy() for x in g])
    )
    latents, numbers = model.noise(100 + 1, 8, 4), model.noise(2, 8, augmentation.NUMBERS, 1, "unit")
    model.train_step(_data())
    with tf.GradientTape() as tape:
        fake = model.generators[1](latents, training=True)
        loss = tf.reduce_mean(-model.critic(augmentation.augment(fake, numbers, POLICY))[:, 1])
    expected = tape.gradient(loss, model.generators[1].trainable_variables)
    for ours, theirs in zip(seen["gradients"], expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-6)
    assert max(np.abs(gradient).max() for gradient in seen["gradients"]) > 1e-4


def test_the_penalty_is_taken_between_augmented_images(monkeypatch):
    model = _at(make_model(student=False, **ON), 1)
    points, interpolate = [], losses.interpolate
    monkeypatch.setattr(losses, "interpolate", lambda *ends: points.append(ends) or interpolate(*ends))
    _, after = _judged(model, monkeypatch)
    model.train_step(_data())
    for end, seen in zip(points[0], after[0]):
        np.testing.assert_array_equal(end, seen)


def test_without_a_policy_nothing_is_drawn_for_it(monkeypatch):
    model = _at(make_model(student=False), 0)
    tags, draw = [], model.noise
    monkeypatch.setattr(
        model, "noise", lambda tag, *rest, **more: tags.append(int(tag)) or draw(tag, *rest, **more)
    )
    model.train_step(_data())
    assert tags and not {2, 900} & set(tags)


@pytest.mark.parametrize("method", [name for name, method in registry.METHODS.items() if not method.critic])
def test_a_method_without_a_critic_refuses_a_policy(method):
    with pytest.raises(ValueError, match=f"diffaugment is 'color', and {method} has no critic"):
        registry.method_class(method).from_architecture(TINY, recipe=presets.Recipe(diffaugment="color"))


@pytest.mark.program
def test_a_resumed_run_ends_with_the_bits_of_one_that_was_not_stopped(tmp_path):
    stream, runs = make_stream(tmp_path, tasks=2), []
    for folder, stops in (("straight", ()), ("stopped", (3, 9))):
        for steps in (*stops, None):
            model = make_model(n_critic=2, **ON, **CODES)
            stop = [_stop_at(model, steps)] if steps else []
            model.fit_stream(stream, 6, str(tmp_path / folder), stop, [], checkpoint_every=1)
        runs.append([np.array(w) for w in model.get_weights()])
    for a, b in zip(*runs, strict=True):
        np.testing.assert_array_equal(a, b)


def _stop_at(model, step):
    class Stop(callbacks.StepCallback):
        def on_step(self, at, task_step, logs):
            if at == step:
                model.request_stop()

    return Stop()


@pytest.mark.campaign("workers")
def test_two_replicas_augment_as_one(tmp_path):
    from tests.mirrored import MIRRORED

    states = []
    for scope in (contextlib.nullcontext(), MIRRORED.scope()):
        with scope:
            model = make_model(student=False, **ON, **CODES)
        model.fit_stream(make_stream(tmp_path, tasks=2), 2, callbacks=[])
        states.append([np.array(w) for w in model.get_weights()])
    begun = make_model(student=False, **ON, **CODES).get_weights()
    # Measured by what training changed: Adam turns the rounding of a gradient near zero into a part of a step.
    for one, two, start in zip(*states, begun, strict=True):
        assert np.linalg.norm(two - one) <= 1e-3 * np.linalg.norm(one - start)
