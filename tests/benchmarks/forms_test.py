"""The forms of the twins that did not win do what they say, and are methods like any other."""

import numpy as np
import pytest
import tensorflow as tf

import ltgans_tf as lt
from benchmarks import forms
from ltgans_tf.methods import registry, twin_gan
from ltgans_tf.settings import presets
from tests.tiny import TINY

RECOMMENDED = {"ema": 0.9, "domain_dim": 4, "distillation": 0.02, "warm_start": 0.5}


def _at(method, task_index, student=False, **recipe):
    model = method.from_architecture(TINY, 3, student, presets.Recipe(**recipe))
    model.compile()
    for i, generator in enumerate(model.generators):  # so that they are far apart
        generator.set_weights([weight + 0.1 * i for weight in generator.get_weights()])
    model.task_index.assign(task_index)
    model.begin_task()
    model.make_train_function()
    return model


def _all_new(model, seed=0):
    shape = (8, model.new_batches(int(model.task_index.numpy())), 8, 8, 3)
    return tf.constant(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8))


def _taught(model, part, roles):
    return model.teacher_images(model.latent_law.place(part.noise, part.domains), roles)


@pytest.mark.parametrize("n_critic", [1, 2])
def test_of_twice_as_many_images_the_critic_keeps_the_better_half(n_critic):
    model = _at(forms.Filtered, 2, n_critic=n_critic, **RECOMMENDED)
    roles = model.roles(2)
    assert np.isfinite(model.train_step(_all_new(model))["generator/loss"])
    offered = twin_gan.TwinGAN._replay(model, 16, n_critic, roles)
    kept = model._replay(8, n_critic, roles)
    assert len(kept) == n_critic
    for i, (part, best) in enumerate(zip(offered, kept)):
        values = model.critic(part.images).numpy()[:, 1]
        np.testing.assert_allclose(
            np.sort(model.critic(best.images).numpy()[:, 1]), np.sort(values)[8:], rtol=1e-5
        )
        # A batch of another size sums its up to 9 * 16 products in another order: 144 * 2^-24 = 9e-6.
        np.testing.assert_allclose(best.images, _taught(model, best, roles), atol=1e-5)
        np.testing.assert_array_equal(best.chosen, model._past_rows(i, 8)[0])
    first = _at(forms.Filtered, 0, **RECOMMENDED)
    assert first._replay(8, 1, first.roles(0)) == [None]


def test_both_twins_teach_the_second_task_and_no_other():
    model = _at(forms.MixedTeacher, 1, warm_start=1.0)
    latents = model.latents(8)
    taught = model.teacher_images(latents, model.roles(1)).numpy()
    np.testing.assert_allclose(taught[::2], model.generators[0](latents).numpy()[::2], atol=1e-6)
    copy = model.generators[2](latents).numpy()
    np.testing.assert_allclose(taught[1::2], copy[1::2], atol=1e-6)
    model.train_step(_all_new(model))
    np.testing.assert_array_equal(model.generators[2](latents).numpy(), copy)
    model = _at(forms.MixedTeacher, 2)
    taught = model.teacher_images(latents, model.roles(2)).numpy()
    np.testing.assert_allclose(taught, model.generators[1](latents).numpy(), atol=1e-6)
    assert len({model.trace_key(task) for task in range(6)}) == 4


def test_the_copy_is_the_assistant_as_it_was_before_it_started_anew():
    model = _at(forms.MixedTeacher, 0)
    before = model.generators[1].get_weights()
    model.task_index.assign(1)
    model.begin_task()
    for got, wanted in zip(model.generators[2].get_weights(), before, strict=True):
        np.testing.assert_array_equal(got, wanted)


@pytest.mark.program
@pytest.mark.parametrize("name", ["Filtered", "MixedTeacher"])
def test_a_form_is_trained_and_loaded_by_its_name(name, tiny_stream, tmp_path):
    method = f"benchmarks.forms:{name}"
    found = registry.method_class(method)
    model = found.from_architecture(TINY, 3, True, presets.Recipe(**RECOMMENDED))
    model.compile()
    assert model.fit_stream(tiny_stream(), 2, workdir=str(tmp_path / "run"))
    loaded = lt.load(str(tmp_path / "run"), method=method)
    assert type(loaded) is found and loaded.method == method
    np.testing.assert_array_equal(loaded.sample(5), model.sample(5))
