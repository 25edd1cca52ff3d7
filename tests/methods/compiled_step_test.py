"""A loop over critic updates and XLA change where a step is computed, not what it computes."""

import contextlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from ltgans_tf.methods import registry
from ltgans_tf.settings import presets
from tests.mirrored import MIRRORED
from tests.tiny import TINY

CODES = {"domain_dim": 4, "domain_scales": True, "distillation": 0.3}


def _trained(stream, jit_compile=False, method="ltgan", strategy=None, student=True, **recipe):
    """A model after two steps of each task, and the losses of the last one."""
    logs = []
    recipe = presets.Recipe(**{"student_optimizer": "adam(0.001)", **recipe})
    with strategy.scope() if strategy else contextlib.nullcontext():
        model = registry.method_class(method).from_architecture(TINY, 3, student, recipe)
        # Gradient descent, so that weights differ as gradients do (Adam's first step has their signs).
        networks = ("critic", "generator", "student") if method == "ltgan" else ("student",)
        given = {f"{network}_optimizer": keras.optimizers.SGD(1e-3) for network in networks}
        model.compile(**given, jit_compile=jit_compile)
    keep = keras.callbacks.LambdaCallback(on_train_batch_end=lambda _, found: logs.append(found))
    assert model.fit_stream(stream, 2, callbacks=[keep])
    return model, {name: float(value) for name, value in logs[-1].items()}


def _check_equal(one, other):
    for a, b in zip(one[0].weights, other[0].weights, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-4, atol=2e-6, err_msg=a.path)
    assert other[1] == pytest.approx(one[1], rel=1e-4, abs=1e-5)


@pytest.mark.program
@pytest.mark.parametrize(
    "recipe",
    [
        {"n_critic": 3, **CODES},
        pytest.param({"n_critic": 3, "replay_share": "0.375"}, marks=pytest.mark.campaign("graphs")),
        pytest.param({"n_critic": 2, "critic_on_past": False, **CODES}, marks=pytest.mark.campaign("graphs")),
    ],
)
def test_a_loop_over_critic_updates_is_all_of_them_in_a_row(tiny_stream, monkeypatch, recipe):
    def unrolled(condition, update, state, **_):
        calls.append(state)
        while condition(*state):
            state = update(*state)
        return state

    looped, calls = _trained(tiny_stream(tasks=2), **recipe), []
    monkeypatch.setattr(tf, "while_loop", unrolled)
    _check_equal(looped, _trained(tiny_stream(tasks=2), **recipe))
    assert len(calls) == 2


def test_every_critic_update_is_watched(tiny_model):
    model = tiny_model(n_critic=3, student=False)
    model.task_index.assign(1)
    model.make_train_function()
    update, seen = model._update_critic, []

    def broken(i, *given):
        seen.append(int(i))
        report = update(i, *given)
        return report | {"critic/loss": tf.constant(np.nan)} if int(i) == 1 else report

    model._update_critic = broken
    model.train_step(tf.zeros([4, 3, 8, 8, 3], tf.uint8))
    assert seen == [0, 1, 2]
    assert dict(zip(model.watched, model.nonfinite_steps.numpy()))["critic loss"] == 0


@pytest.mark.campaign("graphs")
@pytest.mark.parametrize("method", ["ltgan", "lgm"])
def test_xla_takes_the_same_steps_with_the_same_noise(tiny_stream, method):
    recipe = {"n_critic": 2, "ema": 0.9, "student_ema": 0.9, **CODES} if method == "ltgan" else {}
    plain, compiled = (_trained(tiny_stream(tasks=2), jit, method=method, **recipe) for jit in (False, True))
    assert compiled[0]._xla_functions and not plain[0]._xla_functions
    _check_equal(plain, compiled)


@pytest.mark.campaign("graphs")
def test_each_replica_has_its_gradients_from_xla(tiny_stream):
    """What they exchange stays outside, and so do updates."""
    stream, recipe = tiny_stream(tasks=1, batch_size=16), {"student": False, "first_learners": 1}
    plain, compiled = (_trained(stream, jit, strategy=MIRRORED, **recipe) for jit in (False, True))
    made = {function.__name__: xla for function, xla in compiled[0]._xla_functions.items()}
    assert set(made) == {"_critic_gradients", "_gradients_of_images"}
    assert [xla.experimental_get_tracing_count() for xla in made.values()] == [2, 2]
    _check_equal(plain, compiled)
