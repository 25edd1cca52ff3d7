"""Multiband GAN: which network learns in which phase of a task, and from what."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from ltgans_tf.methods import multiband
from ltgans_tf.methods.lifelong import NonFiniteError
from ltgans_tf.methods.multiband import FROZEN, GLOBAL, LOCAL
from ltgans_tf.networks import losses
from ltgans_tf.settings import presets
from ltgans_tf.settings.method_table import MultibandSettings
from ltgans_tf.training import callbacks
from tests import tiny

ROWS = 8


def _model(n_critic=2, **settings):
    recipe = presets.Recipe(n_critic=n_critic)
    settings = MultibandSettings(**settings)
    model = multiband.Multiband.from_architecture(tiny.TINY, 3, False, recipe, 0, settings)
    model.compile()
    return model


def _at(model, task_index, phase):
    model.task_index.assign(task_index)
    model.begin_task()
    model.phase = phase
    model.make_train_function()
    return model


def _data(model, task_index=1):
    shape = (ROWS, model.new_batches(task_index), 8, 8, 3)
    return tf.constant(np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8))


def _weights(model):
    networks = [*model.generators, model.critic]
    return [[weight.numpy() for weight in network.trainable_weights] for network in networks]


def _moved(model, before):
    """Which of global, frozen and local generator and critic a step moved."""
    return [any((a != b).any() for a, b in zip(*both)) for both in zip(before, _weights(model))]


@pytest.mark.parametrize(
    "task_index, phase, moved",
    [(0, 0, [LOCAL, 3]), (1, 0, [LOCAL, 3]), (1, 1, [GLOBAL]), (1, 2, [GLOBAL])],
)
def test_each_phase_moves_its_own_network(task_index, phase, moved):
    model = _at(_model(), task_index, phase)
    before = _weights(model)
    model.train_step(_data(model, task_index))
    assert [i for i, found in enumerate(_moved(model, before)) if found] == moved
    painter = [w.numpy() for w in model.generators[GLOBAL].get_layer("generator_0_painter").trainable_weights]
    changed = any((a != b).any() for a, b in zip(before[GLOBAL][-len(painter) :], painter))
    assert changed == (phase == 2)  # the translator comes first


def test_consolidation_descends_the_squared_error_to_the_local_and_the_frozen_generator(monkeypatch):
    model = _at(_model(), 1, 2)
    for place, shift in ((FROZEN, 0.01), (LOCAL, -0.02)):  # or all three would be alike
        model.generators[place].set_weights([w + shift for w in model.generators[place].get_weights()])
    drawn, errors = [], []
    place, error = type(model.latent_law).place, losses.sum_squared_error

    def kept(law, noise, domains, *rest):
        drawn.append((noise.numpy(), place(law, noise, domains, *rest)))
        return drawn[-1][1]

    monkeypatch.setattr(type(model.latent_law), "place", kept)
    monkeypatch.setattr(losses, "sum_squared_error", lambda a, b: errors.append((a, b)) or error(a, b))
    global_before = keras.models.clone_model(model.generators[GLOBAL])
    global_before.set_weights(model.generators[GLOBAL].get_weights())
    loss = float(model.train_step(_data(model))["generator/loss"])
    (wanted, made) = errors[0]
    (_, past), (_, new) = drawn[:2]
    expected = [model.generators[p](z, training=False) for p, z in ((LOCAL, new), (FROZEN, past))]
    np.testing.assert_allclose(wanted, np.concatenate(expected), atol=1e-6)
    again = global_before(tf.concat([new, past], axis=0), training=True)
    np.testing.assert_allclose(made, again, atol=1e-5)
    assert loss == pytest.approx(np.sum((np.float64(wanted) - np.float64(made)) ** 2) / ROWS, rel=1e-5)
    assert (new[:, :32] == new[0, :32]).numpy().all() and (new[0, :32] != past[0, :32]).numpy().any()
    np.testing.assert_array_equal(past[:, :32], tf.repeat(past[:1, :32], ROWS, axis=0))  # one old domain


def test_phases_follow_the_settings_and_the_first_task_is_the_local_gans():
    model = _model(local_share=0.4, translator_share=0.1)
    assert model.phases(0, 100) == [100] and model.phases(3, 100) == [40, 46, 100]
    assert _model().phases(1, 320) == [120, 130, 320]  # the authors' epochs
    assert _model().phases(1, 2) == [1, 1, 2]


def test_boundaries_hand_the_generators_on():
    model = _model()
    _at(model, 0, 0).train_step(_data(model, 0))
    assert any((a != b).any() for a, b in zip(_weights(model)[GLOBAL], _weights(model)[LOCAL]))
    model.finish_task()
    model.task_index.assign(1)
    model.begin_task()
    for place in (FROZEN, LOCAL):
        for a, b in zip(model.generators[GLOBAL].get_weights(), model.generators[place].get_weights()):
            np.testing.assert_array_equal(a, b)
    assert model.latest_teacher is model.generators[GLOBAL]


@pytest.mark.parametrize("phase", [1, 2])
def test_an_error_that_is_not_finite_is_noticed_in_consolidation(phase, monkeypatch):
    model = _at(_model(), 1, phase)
    error = losses.sum_squared_error
    monkeypatch.setattr(losses, "sum_squared_error", lambda a, b: error(a, b) * np.nan)
    model.train_step(_data(model))
    with pytest.raises(NonFiniteError, match="generator gradient stopped being finite at global step 1"):
        model.raise_if_nonfinite()


class _Stop(callbacks.StepCallback):
    """Asks for a stop after a step."""

    def __init__(self, at):
        super().__init__()
        self.at, self.kinds = at, []

    def on_step(self, step, task_step, logs):
        self.kinds.append((int(task_step), self.model.phase, "critic/loss" in logs))
        if step == self.at:
            self.model.request_stop()


@pytest.mark.program
def test_a_run_that_stops_within_a_phase_ends_with_the_bits_of_one_that_does_not(tmp_path):
    states, stream = [], tiny.make_stream(tmp_path, tasks=2)
    settings = {"n_critic": 1, "local_share": 0.3, "translator_share": 0.3}
    for at in (None, 13):
        folder, watch = str(tmp_path / f"run{at}"), _Stop(at)
        model = _model(**settings)
        done = model.fit_stream(stream, 10, folder, [watch])
        if at:
            assert not done and at <= len(watch.kinds) <= at + 1
            model = _model(**settings)
            assert model.fit_stream(stream, 10, folder, [watch])
        states.append([np.array(weight) for weight in model.get_weights()])
        assert [kind[1:] for kind in watch.kinds] == [(0, True)] * 13 + [(1, False)] * 2 + [(2, False)] * 5
    for a, b in zip(*states, strict=True):
        np.testing.assert_array_equal(a, b)
