"""Joint twins: nobody is frozen, and what stands in for the past comes from the live generator 0."""

import numpy as np
import pytest
import tensorflow as tf

from ltgans_tf.methods import joint_twins, twin_gan
from ltgans_tf.settings import presets
from tests.tiny import TINY


def _at(task_index, method=joint_twins.JointTwins, **recipe):
    model = method.from_architecture(TINY, recipe=presets.Recipe(**recipe))
    model.compile()
    model.task_index.assign(task_index)
    model.begin_task()
    model.make_train_function()
    return model


def _data(seed=0):
    return tf.constant(np.random.default_rng(seed).integers(0, 256, (8, 1, 8, 8, 3), dtype=np.uint8))


def _spied_step(model, monkeypatch):
    """Takes a step; returns the new images, the critic's real batch, the Student's batch and its weights."""
    seen = {}
    critic, update = model._update_critic, model.student.update
    with monkeypatch.context() as patch:
        patch.setattr(
            model, "_update_critic", lambda i, real, *a: seen.update(real=real) or critic(i, real, *a)
        )
        patch.setattr(
            model.student,
            "update",
            lambda o, batch, weights, *a: (
                seen.update(batch=batch, weights=weights) or update(o, batch, weights, *a)
            ),
        )
        model.train_step(_data())
    new = _data()[:, 0].numpy() / np.float32(127.5) - 1
    return new, seen["real"].numpy(), seen["batch"].numpy(), seen["weights"].numpy()


@pytest.mark.parametrize("task_index", [0, 2])
def test_no_network_is_frozen_in_any_task(task_index):
    model = _at(task_index)
    networks = [*model.generators, model.critic, model.student]
    before = [network.get_weights() for network in networks]
    model.train_step(_data())
    for network, weights in zip(networks, before):
        moved = [(a != b).any() for a, b in zip(weights, network.get_weights(), strict=True) if a.ndim > 1]
        assert moved and all(moved)


@pytest.mark.program
@pytest.mark.parametrize("task_index", [1, 2])
def test_live_samples_come_from_generator_0_as_it_is_at_each_step(monkeypatch, task_index):
    model = _at(task_index)
    drawn = []
    for _ in range(2):
        latents = model.noise(0, 8, model.latent_dim)
        live = model.generators[0](latents, training=False).numpy()
        new, real, batch, weights = _spied_step(model, monkeypatch)
        np.testing.assert_allclose(batch, np.concatenate([new, live]), atol=1e-6)
        np.testing.assert_array_equal(weights, np.ones(16))
        mixed = np.where((np.arange(8) % 2 == 1)[:, None, None, None], live, new)
        np.testing.assert_allclose(real, mixed, atol=1e-6)
        drawn.append((latents, live))
    now = model.generators[0](drawn[0][0], training=False)
    assert np.abs(now - drawn[0][1]).max() > 1e-4


@pytest.mark.parametrize("share", ["balanced", "0.9"])
def test_there_are_as_many_live_samples_as_new_images_whatever_the_recipe(monkeypatch, share):
    model = _at(3, replay_share=share, warm_start=1.0)
    assert not np.array_equal(*(g.get_weights()[0] for g in model.generators))  # nobody starts as a copy
    new, real, _, _ = _spied_step(model, monkeypatch)
    assert sum(np.allclose(a, b, atol=1e-6) for a, b in zip(real, new)) == 4
    assert model.get_settings()["recipe"]["replay_share"] == "paper"


def test_no_gradient_flows_through_the_live_samples():
    model = _at(1)
    with tf.GradientTape() as tape:
        images = model.teacher_images(model.latents(4), model.roles(1))
    assert all(g is None for g in tape.gradient(images, model.generators[0].trainable_variables))


def test_the_first_task_is_that_of_the_twins():
    ours, twins = _at(0), _at(0, twin_gan.TwinGAN)
    for model in (ours, twins):
        model.train_step(_data())
    for a, b in zip(ours.get_weights(), twins.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.program
@pytest.mark.parametrize("finished", [0, 1, 2, 3])
def test_samples_come_from_generator_0(finished):
    model = _at(finished)
    np.testing.assert_array_equal(model.sample(2), model.generators[0](model.latents(2), training=False))
