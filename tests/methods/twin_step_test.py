"""Tests of the step of TwinGAN: its losses, what replay and codes do in it, the Student."""

import numpy as np
import pytest
import tensorflow as tf

from ltgans_tf.methods import lakd, twin_step
from ltgans_tf.networks import losses
from ltgans_tf.settings import presets
from tests.methods.coded import CODES, DISTILLED, codes_of, taught_by
from tests.methods.steps import at_task, random_batch


def _spy(monkeypatch, name):
    """Records arguments and results of a function of `losses` while it does its work."""
    calls, real = [], getattr(losses, name)

    def record(*args):
        calls.append((args, real(*args)))
        return calls[-1][1]

    monkeypatch.setattr(losses, name, record)
    return calls


@pytest.mark.parametrize("heads", [1, 2])
def test_the_first_task_has_the_critic_loss_of_equation_1(tiny_model, monkeypatch, heads):
    model = at_task(tiny_model(critic_heads=heads, student=False), 0)
    losses_seen, penalties = _spy(monkeypatch, "critic_loss"), _spy(monkeypatch, "gradient_penalty")
    weights = [w.numpy() for w in model.critic.weights]
    fakes = _spy_fakes(model, monkeypatch)
    report = model.train_step(random_batch())
    after = [w.numpy() for w in model.critic.weights]
    assert any((a != b).any() for a, b in zip(weights, after))
    model.critic.set_weights(weights)
    real = random_batch()[:, 0].numpy() / np.float32(127.5) - 1
    value = lambda images, i: model.critic(images).numpy().astype(np.float64)[:, i if heads == 2 else 0]
    expected = sum(
        value(fakes[i], i).mean()
        - value(real, i).mean()
        + 10 * np.float64(penalties[0][1][8 * i : 8 * i + 8]).mean()
        for i in (0, 1)
    )
    assert len(losses_seen) == 1
    np.testing.assert_allclose(report["critic/loss"], expected, rtol=1e-4)


def _spy_fakes(model, monkeypatch):
    made, real = {}, model._fakes

    def record(i, rows, roles, replay):
        fakes, tapes = real(i, rows, roles, replay)
        made.update(zip(roles.learners, fakes))
        return fakes, tapes

    monkeypatch.setattr(model, "_fakes", record)
    return made


def test_later_tasks_have_the_critic_loss_of_equation_2(tiny_model, monkeypatch):
    model = at_task(tiny_model(student=False, replay_share="paper"), 1)
    penalties, fakes = _spy(monkeypatch, "gradient_penalty"), _spy_fakes(model, monkeypatch)
    weights = [w.numpy() for w in model.critic.weights]
    replay = model.teacher_images(model.noise(0, 8, 4), lakd.roles_for_task(1)).numpy()
    report = model.train_step(random_batch())
    model.critic.set_weights(weights)
    new = random_batch()[:, 0].numpy() / np.float32(127.5) - 1
    # Half of eight rows come from the Teacher, spread evenly: every second one.
    mixed = np.where((np.arange(8) % 2 == 1)[:, None, None, None], replay, new)
    value = lambda images: model.critic(images).numpy().astype(np.float64)[:, 1]
    assert set(fakes) == {1}
    expected = value(fakes[1]).mean() - value(mixed).mean() + 10 * np.float64(penalties[0][1]).mean()
    np.testing.assert_allclose(report["critic/loss"], expected, rtol=1e-4)


def test_generators_descend_the_gradient_of_minus_the_critic(tiny_model, monkeypatch):
    """The chain rule in two parts gives the gradient of -D(G(z)) / B that one tape gives."""
    model = at_task(tiny_model(student=False), 1)
    seen = {}
    monkeypatch.setattr(
        model.generator_optimizers[1], "apply", lambda g, v: seen.update(gradients=[x.numpy() for x in g])
    )
    latents = model.noise(100 + 1, 8, 4)
    model.train_step(random_batch())
    with tf.GradientTape() as tape:
        fake = model.generators[1](latents, training=True)
        loss = tf.reduce_mean(-model.critic(fake)[:, 1])
    expected = tape.gradient(loss, model.generators[1].trainable_variables)
    for ours, theirs in zip(seen["gradients"], expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("share", ["paper", "balanced", "0.3"])
@pytest.mark.parametrize("task_index", [1, 3])
def test_the_accumulated_replay_share_is_exact(tiny_model, share, task_index):
    model = at_task(tiny_model(replay_share=share, n_critic=2), task_index)
    model.global_rows = 8
    new, taught = tf.zeros([8, 1, 1, 1]), tf.ones([8, 1, 1, 1])
    fraction = presets.replay_fraction(share, task_index)
    replayed = 0
    for update in range(40):
        model.task_step.assign(update // 2)
        mixed = twin_step.Replayed(None, taught, None, model._mixed_rows(update % 2, 8))
        replayed += int(tf.reduce_sum(model._real(new, mixed)))
        assert replayed == (update + 1) * 8 * fraction.numerator // fraction.denominator


@pytest.mark.parametrize("past, rows", [(1, 8), (2, 8), (3, 8), (4, 8), (7, 6), (5, 7), (30, 16)])
@pytest.mark.parametrize("n_critic", [1, 3, 5])
def test_the_past_is_drawn_evenly_over_its_domains(tiny_model, past, rows, n_critic):
    model = at_task(tiny_model(n_critic=n_critic, **DISTILLED), past)
    model.global_rows = rows
    last, earlier = np.zeros([2, past], int)
    for update in range(60):
        model.task_step.assign(update // n_critic)
        i = update % n_critic
        (last if i == n_critic - 1 else earlier)[:] += np.bincount(
            model._past_domains(i, rows), minlength=past
        )
        assert max(np.ptp(last), np.ptp(earlier)) <= 1
    assert last.sum() == 60 // n_critic * rows


def test_which_domain_a_row_has_is_a_function_of_the_step_and_the_row_alone(tiny_model):
    model = at_task(tiny_model(domain_dim=4), 3, task_step=5)
    model.global_rows = 8
    first = model._past_domains(0, 8).numpy()
    model.global_step.assign(1000)
    model.noise_stream.assign(2)
    np.testing.assert_array_equal(model._past_domains(0, 8), first)


def test_with_codes_the_critic_has_a_head_for_the_past_and_one_for_the_new(tiny_model, monkeypatch):
    """Eq. 2 for each of the two: the new batch at head 0, beside it the Teacher's at head 1, no row against its own pair."""
    model = at_task(tiny_model(student=False, **DISTILLED), 2)
    penalties, made = _spy(monkeypatch, "gradient_penalty"), _spy_fakes(model, monkeypatch)
    weights = model.critic.get_weights()
    recalled, taught = taught_by(model, 2)
    own = np.concatenate([codes_of(np.full(8, 2)), model.noise(100, 8, 4)], 1)
    expected_fakes = model.generators[0](np.concatenate([own, recalled]), training=True)
    report = model.train_step(random_batch())
    model.critic.set_weights(weights)
    np.testing.assert_allclose(made[0], expected_fakes, atol=1e-5)
    new = random_batch()[:, 0].numpy() / np.float32(127.5) - 1
    real = np.concatenate([new, taught[np.arange(8) ^ 1]])
    heads = np.repeat([0, 1], 8)
    values = lambda images: model.critic(images).numpy().astype(np.float64)[np.arange(16), heads]
    expected = (values(made[0]) - values(real) + 10 * np.float64(penalties[0][1])).sum() / 8
    np.testing.assert_allclose(report["critic/loss"], expected, rtol=1e-4)


def test_without_distillation_teacher_and_assistant_have_noise_of_their_own(tiny_model, monkeypatch):
    model = at_task(tiny_model(student=False, **CODES), 2)
    made, past = _spy_fakes(model, monkeypatch), np.arange(8) % 2
    own = np.concatenate([codes_of(np.full(8, 2)), model.noise(100, 8, 4)], 1)
    recalled = np.concatenate([codes_of(past), model.noise(300, 8, 4)], 1)
    expected = model.generators[0](np.concatenate([own, recalled]), training=True)
    model.train_step(random_batch())
    np.testing.assert_allclose(made[0], expected, atol=1e-5)


def test_distillation_weighs_all_that_the_teacher_supplies(tiny_model, monkeypatch):
    model = at_task(tiny_model(student=False, critic_on_past=False, **DISTILLED), 2)
    made = _spy_fakes(model, monkeypatch)
    _, taught = taught_by(model, 2)
    report = model.train_step(random_batch())
    apart = np.square(np.float64(made[0][8:]) - taught).sum(axis=(1, 2, 3)).mean()
    np.testing.assert_allclose(report["generator/distillation"], apart, rtol=1e-4)
    values = model.critic(made[0][:8]).numpy()[:, 0].mean(dtype=np.float64)
    np.testing.assert_allclose(report["generator/loss"], 0.3 * apart - values, rtol=1e-4)


def test_a_critic_that_does_not_judge_the_past_has_new_images_alone(tiny_model, monkeypatch):
    model = at_task(tiny_model(student=False, critic_on_past=False, **DISTILLED), 2)
    made = _spy_fakes(model, monkeypatch)
    weights, penalties = model.critic.get_weights(), _spy(monkeypatch, "gradient_penalty")
    report = model.train_step(random_batch())
    model.critic.set_weights(weights)
    values = lambda images: model.critic(images).numpy().astype(np.float64)[:, 0]
    real = random_batch()[:, 0].numpy() / np.float32(127.5) - 1
    expected = (values(made[0][:8]) - values(real)).mean() + 10 * np.float64(penalties[0][1]).mean()
    np.testing.assert_allclose(report["critic/loss"], expected, rtol=1e-4)


@pytest.mark.parametrize("judged, expected", [(True, [16, 16, 16]), (False, [8, 8, 16])])
def test_a_past_that_is_not_judged_is_in_the_last_critic_update_alone(
    tiny_model, monkeypatch, judged, expected
):
    model = at_task(tiny_model(student=False, n_critic=3, critic_on_past=judged, **DISTILLED), 2, task_step=5)
    rows, real = [], model._fakes
    monkeypatch.setattr(
        model, "_fakes", lambda *given: rows.append(len((made := real(*given))[0][0])) or made
    )
    model.train_step(tf.repeat(random_batch(), 3, axis=1))
    assert rows == expected


@pytest.mark.parametrize("heads", [1, 2])
@pytest.mark.parametrize("tasks_before, assistant", [(1, 1), (2, 0), (5, 1)])
def test_the_assistant_descends_the_distance_to_the_teacher_where_it_knows(
    tiny_model, monkeypatch, tasks_before, assistant, heads
):
    model, seen = at_task(tiny_model(student=False, critic_heads=heads, **DISTILLED), tasks_before), {}
    monkeypatch.setattr(
        model.generator_optimizers[assistant],
        "apply",
        lambda g, v: seen.update(gradients=[x.numpy() for x in g]),
    )
    recalled, taught = taught_by(model, tasks_before)
    own = np.concatenate([codes_of(np.full(8, tasks_before)), model.noise(100 + assistant, 8, 4)], 1)
    report = model.train_step(random_batch())
    with tf.GradientTape() as tape:
        fake = model.generators[assistant](np.concatenate([own, recalled]), training=True)
        apart = tf.reduce_mean(tf.reduce_sum((fake[8:] - taught) ** 2, axis=[1, 2, 3]))
        values = model.critic(fake)
        # Each head's mean over its own rows.
        loss = 0.3 * apart - tf.reduce_mean(values[:8, 0]) - tf.reduce_mean(values[8:, heads - 1])
    expected = tape.gradient(loss, model.generators[assistant].trainable_variables)
    for ours, theirs in zip(seen["gradients"], expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(report["generator/distillation"], apart, rtol=1e-4)


def test_distillation_changes_nothing_in_the_first_task(tiny_model):
    one, two = (at_task(tiny_model(student=False, **CODES, distillation=weight), 0) for weight in (0.0, 0.3))
    one.train_step(random_batch()), two.train_step(random_batch())
    for a, b in zip(one.weights, two.weights, strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_student_sees_new_images_and_replay_with_the_weights_asked_for(tiny_model, monkeypatch):
    for kind, expected in (("paper", (1.0, 1.0)), ("share", (2 / 4, 6 / 4))):
        model = at_task(tiny_model(student_replay=kind, replay_share="balanced"), 3)
        seen = {}
        real = model.student.update

        def update(optimizer, batch, weights, *args):
            seen.update(batch=batch.numpy(), weights=weights.numpy())
            return real(optimizer, batch, weights, *args)

        monkeypatch.setattr(model.student, "update", update)
        model.train_step(random_batch())
        np.testing.assert_allclose(seen["weights"], [expected[0]] * 8 + [expected[1]] * 8, rtol=1e-6)
        new = random_batch()[:, 0].numpy() / np.float32(127.5) - 1
        np.testing.assert_allclose(seen["batch"][:8], new, rtol=1e-6)
        assert np.abs(seen["batch"][8:] - new).max() > 0.01


@pytest.mark.parametrize("kind", ["paper", "share"])
def test_the_student_sees_as_many_images_in_the_first_task_all_new(tiny_model, monkeypatch, kind):
    model, seen = at_task(tiny_model(n_critic=2, student_replay=kind), 0), {}
    assert [model.new_batches(task_index) for task_index in range(3)] == [3, 2, 2]
    assert tiny_model(n_critic=2, student=False).new_batches(0) == 2
    real = model.student.update

    def update(optimizer, batch, weights, *args):
        seen.update(batch=batch.numpy(), weights=weights.numpy())
        return real(optimizer, batch, weights, *args)

    monkeypatch.setattr(model.student, "update", update)
    data = random_batch(3)
    model.train_step(data)
    new = np.concatenate([data[:, 0], data[:, 2]]) / np.float32(127.5) - 1
    np.testing.assert_allclose(seen["batch"], new, atol=1e-6)
    assert (seen["weights"] == 1).all() and len(seen["weights"]) == 16
