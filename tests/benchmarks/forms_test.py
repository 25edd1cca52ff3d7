"""The form of the twins that did not win does what it says, and is a method like any other."""

import numpy as np
import pytest
import tensorflow as tf

import ltgans_tf as lt
from benchmarks import forms
from ltgans_tf.methods import registry
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
def test_a_form_is_trained_and_loaded_by_its_name(tiny_stream, tmp_path):
    method = "benchmarks.forms:MixedTeacher"
    found = registry.method_class(method)
    model = found.from_architecture(TINY, 3, True, presets.Recipe(**RECOMMENDED))
    model.compile()
    assert model.fit_stream(tiny_stream(), 2, workdir=str(tmp_path / "run"))
    loaded = lt.load(str(tmp_path / "run"), method=method)
    assert type(loaded) is found and loaded.method == method
    np.testing.assert_array_equal(loaded.sample(5), model.sample(5))
