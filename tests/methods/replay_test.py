"""Replay, fine-tuning and joint training: who teaches, what share, and whose images the batches hold."""

import numpy as np
import pytest
import tensorflow as tf

from ltgans_tf.data import streams
from ltgans_tf.methods import joint, replay
from ltgans_tf.settings import presets
from tests.tiny import TINY

TAUGHT = 9.0  # no generator draws such a pixel


def _model(method, **recipe):
    recipe = presets.Recipe(**{"critic_heads": 1, **recipe})
    model = method.from_architecture(TINY, recipe=recipe)
    model.compile()
    return model


def _at(model, task_index):
    model.task_index.assign(task_index)
    model.begin_task()
    model.make_train_function()
    return model


def _spied_step(model, monkeypatch, n_critic=1):
    """Takes a step; returns the critic's real batches and the Student's batch and weights."""
    reals, student = [], {}
    critic, update = model._update_critic, model.student.update
    shape = (8, model.new_batches(int(model.task_index.numpy())), 8, 8, 3)
    data = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    with monkeypatch.context() as patch:
        patch.setattr(model, "_update_critic", lambda i, real, *a: reals.append(real) or critic(i, real, *a))
        patch.setattr(
            model.student,
            "update",
            lambda o, batch, weights, *a: (
                student.update(batch=batch, weights=weights) or update(o, batch, weights, *a)
            ),
        )
        model.train_step(tf.constant(data))
    new = np.float32(data).swapaxes(0, 1) / np.float32(127.5) - 1
    return new, [real.numpy() for real in reals], student["batch"].numpy(), student["weights"].numpy()


def test_replayed_rows_have_the_recipes_share_exactly(monkeypatch):
    model = _at(_model(replay.Replay, n_critic=2), 2)
    monkeypatch.setattr(model, "teacher_images", lambda latents, _: tf.fill([len(latents), 8, 8, 3], TAUGHT))
    replayed = updates = 0
    for _ in range(3):
        new, reals, seen, weights = _spied_step(model, monkeypatch, 2)
        for images, real in zip(new, reals, strict=True):
            taught = (real == TAUGHT).all((1, 2, 3))
            np.testing.assert_allclose(real[~taught], images[~taught], atol=1e-6)
            replayed, updates = replayed + taught.sum(), updates + 1
            assert replayed == updates * 8 * 2 // 3
        np.testing.assert_allclose(seen[:8], new[0], atol=1e-6)
        assert (seen[8:] == TAUGHT).all() and (weights == 1).all() and len(seen) == 16


@pytest.mark.parametrize("warm_start", [0.0, 1.0])
def test_the_copy_that_teaches_is_the_generator_as_the_task_found_it(warm_start):
    model = _model(replay.Replay, warm_start=warm_start)
    learnt = model.generators[0].get_weights()
    assert any((a != b).any() for a, b in zip(learnt, model.generators[1].get_weights()))
    _at(model, 1)
    for a, b, c in zip(learnt, *(g.get_weights() for g in model.generators), strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(a, c)
    latents = model.latents(3)
    images = model.generate(latents)
    model.generators[0].set_weights([0.5 * w for w in learnt])
    np.testing.assert_array_equal(model.teacher_images(latents, model.roles(1)), images)
    assert np.abs(model.generate(latents) - images).max() > 1e-3


@pytest.mark.program
@pytest.mark.parametrize("finished", [0, 1, 2, 3])
@pytest.mark.parametrize("method", [replay.Replay, replay.Finetune, joint.Joint])
def test_one_generator_learns_every_task_and_draws(method, finished):
    model = _model(method)
    model.task_index.assign(finished)
    latents = model.latents(2)
    np.testing.assert_array_equal(model.sample(2), model.generators[0](latents, training=False))
    assert model.roles(finished).learners == (0,) and model.critic.output_shape == (None, 1)
    assert len(model.generators) == (2 if method is replay.Replay else 1)
    assert len(model.progress_samples(latents)) == (2 if method is replay.Replay and finished else 1)


@pytest.mark.parametrize("method", [replay.Finetune, joint.Joint])
@pytest.mark.parametrize("task_index", [0, 3])
def test_without_replay_critic_and_student_see_new_images_alone(monkeypatch, method, task_index):
    model = _at(_model(method, replay_share="balanced"), task_index)
    monkeypatch.setattr(model, "teacher_images", lambda *_: pytest.fail("a teacher was asked"))
    new, (real,), seen, weights = _spied_step(model, monkeypatch)
    np.testing.assert_allclose(real, new[0], atol=1e-6)
    # As many images for the Student as where a Teacher's stand beside the new ones.
    assert len(new) == 2
    np.testing.assert_allclose(seen, np.concatenate(new), atol=1e-6)
    assert (weights == 1).all() and len(weights) == len(seen)
    assert model.get_settings()["recipe"]["replay_share"] == "0"


@pytest.mark.parametrize("method", [replay.Replay, replay.Finetune, joint.Joint])
def test_the_recommended_recipe_has_latents_without_codes_and_one_head(method):
    model = method.from_architecture(TINY)
    assert model.latent_law.domain_dim == 0 and model.critic.output_shape == (None, 1)


@pytest.mark.parametrize("heads", [1, 2])
def test_replay_with_codes_aligns_the_generator_with_its_copy(heads):
    """MeRGAN's alignment: the squared error to the copy's images of the same latents."""
    model = _at(_model(replay.Replay, domain_dim=4, distillation=0.3, critic_heads=heads), 2)
    recalled = model.latent_law.place(model.noise(0, 8, 4), np.arange(8) % 2)
    own = model.latent_law.place(model.noise(100, 8, 4), np.full(8, 2))
    taught = model.generators[1](recalled, training=False)
    made = model.generators[0](tf.concat([own, recalled], 0), training=True)[8:]
    apart = tf.reduce_mean(tf.reduce_sum((made - taught) ** 2, axis=[1, 2, 3]))
    model.generators[0].set_weights(model.generators[1].get_weights())
    data = np.random.default_rng(0).integers(0, 256, (8, 1, 8, 8, 3), dtype=np.uint8)
    report = model.train_step(tf.constant(data))
    np.testing.assert_allclose(report["generator/distillation"], apart, rtol=1e-3)


@pytest.mark.program
@pytest.mark.parametrize("heads", [1, 2])
def test_joint_training_with_codes_gives_each_row_the_code_of_its_real_image(numbered, heads):
    model, rows = _model(joint.Joint, domain_dim=4, critic_heads=heads, n_critic=2), 8
    _at(model, 2)
    model.global_rows = rows
    batches = model.batches(numbered, numbered.tasks[2], 0).take(5).as_numpy_iterator()
    for step, batch in enumerate(batches):
        model.task_step.assign(step)
        for i in range(2):
            real = batch[:, i, 0, 0, 0] // 50
            np.testing.assert_array_equal(model._domains(i, rows), real)
            past = (real < 2).astype(int) if heads == 2 else np.zeros(rows, int)
            np.testing.assert_array_equal(model._heads(i, rows, model.roles(2), None), past)


@pytest.fixture
def numbered(tmp_path):
    """A stream of three tasks; each image has one value, 50 * task + its number below 20."""
    for i in range(3):
        numbers = np.arange(50 * i, 50 * i + 20, dtype=np.uint8)
        images = np.broadcast_to(numbers[:, None, None, None], (20, 8, 8, 3))
        np.savez(tmp_path / f"{i}.npz", train_images=images, test_images=images)
    return streams.TaskStream([f"npz:{tmp_path}/{i}.npz" for i in range(3)], (8, 8, 3), batch_size=8, seed=3)


def _values(stream, count, start, steps, updates=2):
    """Values of the images of so many steps, [steps, updates, rows]."""
    batches = joint.shared_batches(stream.tasks[:count], start, stream.batch_size, updates).take(steps)
    elements = list(batches.as_numpy_iterator())
    assert all(e.shape == (8, updates, 8, 8, 3) and e.dtype == np.uint8 for e in elements)
    return np.stack([element[:, :, 0, 0, 0].T for element in elements]).astype(int)


def test_rows_of_a_joint_batch_take_turns_so_that_shares_are_exact(numbered):
    for count in (1, 2, 3):
        tasks = _values(numbered, count, 0, 7).ravel() // 50
        np.testing.assert_array_equal(tasks, np.arange(7 * 2 * 8) % count)


def test_images_of_a_task_come_in_its_own_order(numbered):
    """Over any 20 of its images that begin an epoch each comes once; the order is that of its batches."""
    values = _values(numbered, 3, 0, 12).ravel()
    for i, task in enumerate(numbered.tasks):
        place = task.batches(2 << 32, 2).take(4).as_numpy_iterator()
        expected = np.concatenate([element[:, :, 0, 0, 0].T.ravel() for element in place])
        np.testing.assert_array_equal(values[i::3], expected)
        assert all(2 <= np.sum(values[i::3] == number) <= 4 for number in range(50 * i, 50 * i + 20))


def test_the_first_task_has_the_batches_of_any_method(numbered):
    ours = joint.shared_batches(numbered.tasks[:1], 3, 8, 2).take(4).as_numpy_iterator()
    for a, b in zip(ours, numbered.tasks[0].batches(3, 2).as_numpy_iterator()):
        np.testing.assert_array_equal(a, b)


def test_workers_share_out_the_rows_of_a_joint_batch(numbered):
    whole = _values(numbered, 3, 4, 5)
    for rows in (slice(0, 4), slice(4, 8)):
        part = joint.shared_batches(numbered.tasks, 4, 8, 2, rows).take(5).as_numpy_iterator()
        ours = np.stack([element[:, :, 0, 0, 0].T for element in part])
        np.testing.assert_array_equal(ours, whole[:, :, rows])


@pytest.mark.program
def test_joint_batches_go_on_where_they_were_left(numbered):
    for count in (2, 3):
        straight = _values(numbered, count, 0, 9)
        for start in range(1, 6):
            np.testing.assert_array_equal(_values(numbered, count, start, 9 - start), straight[start:])


def test_a_past_task_is_not_seen_by_the_same_first_images_again(numbered):
    first = [_values(numbered, count, 0, 6).ravel()[::count][:15] for count in (1, 2, 3)]
    assert all(set(values) <= set(range(20)) for values in first)
    assert len({tuple(values) for values in first}) == 3
    assert not any(np.array_equal(np.sort(a), np.sort(b)) for a, b in zip(first, first[1:]))


@pytest.mark.program
def test_a_joint_run_is_fed_by_all_tasks_so_far_and_resumes_among_them(numbered):
    model, fed = _model(joint.Joint), []

    def train_step(data):
        fed.append(data[:, 0, 0, 0, 0].numpy().astype(int))
        model.end_step(dict.fromkeys(model.watched, tf.constant(0.0)))
        model.stop_requested = len(fed) == 3
        return {"critic/loss": tf.constant(0.0)}

    model.train_step = train_step
    model.compile(run_eagerly=True)
    assert not model.fit_stream(numbered, 2)
    model.stop_requested = False
    assert model.fit_stream(numbered, 2)
    expected = [_values(numbered, count, 0, 2)[:, 0] for count in (1, 2, 3)]
    np.testing.assert_array_equal(fed, np.concatenate(expected))
