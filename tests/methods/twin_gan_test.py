"""One step of TwinGAN: Eqs. 1 and 2 against NumPy, roles, replay share, and the graph."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from ltgans_tf.methods import lakd, twin_gan
from ltgans_tf.networks import domain_codes, sampling
from ltgans_tf.settings import presets
from tests.methods.coded import CODES, DISTILLED, codes_of, taught_by
from tests.methods.steps import at_task, random_batch
from tests.tiny import TINY


@pytest.mark.program
def test_the_frozen_generator_keeps_every_bit_and_the_learners_move(tiny_model, tiny_stream):
    model, stream = tiny_model(n_critic=2, ema=0.5), tiny_stream()
    for task in stream.tasks:
        before = [[w.numpy() for w in g.weights] for g in model.generators]
        roles = lakd.roles_for_task(task.index)
        model.fit_stream(stream, 3, stop_after_task=task.index)
        after = [[w.numpy() for w in g.weights] for g in model.generators]
        for i in (0, 1):
            same = [np.array_equal(a, b) for a, b in zip(before[i], after[i])]
            assert all(same) if i in roles.teachers else not any(same), (task.index, i)


@pytest.mark.program
def test_an_old_latent_is_the_same_image_when_the_next_task_begins(tiny_model, tiny_stream):
    """The Assistant from the Teacher: before its first step nothing of the past has moved."""
    model = tiny_model(student=False, warm_start=1.0, ema=0.5, **DISTILLED)
    model.fit_stream(tiny_stream(), 3, stop_after_task=1)
    latents = model.latents(12)
    taught = model.generate(latents).numpy()
    model.begin_task()
    assert model.roles(2).learners == (0,)
    np.testing.assert_array_equal(model.generators[0](latents, training=False), taught)
    # What is left of the squared error in a step is that of batch statistics to those at rest.
    at_task(model, 2)
    recalled, taught = taught_by(model, 2)
    own = np.concatenate([codes_of(np.full(8, 2)), model.noise(100, 8, 4)], 1)
    apart = (model.generators[0](np.concatenate([own, recalled]), training=True)[8:] - taught) ** 2
    model.generators[0].set_weights(model.generators[1].get_weights())
    found = model.train_step(random_batch())["generator/distillation"]
    np.testing.assert_allclose(found, np.sum(apart) / 8, rtol=1e-3)


@pytest.mark.parametrize("learners", [1, 2])
def test_the_first_task_is_learnt_by_both_twins_or_by_the_teacher_alone(tiny_model, learners):
    model = at_task(tiny_model(student=False, first_learners=learners, **CODES), 0)
    before = [generator.get_weights() for generator in model.generators]
    model.train_step(random_batch())
    moved = [
        any((a != b).any() for a, b in zip(weights, generator.get_weights(), strict=True))
        for weights, generator in zip(before, model.generators)
    ]
    assert moved == [True, learners == 2]
    assert model.roles(1) == lakd.roles_for_task(1) and len({model.trace_key(k) for k in range(6)}) == 3


@pytest.mark.program
def test_more_domains_than_there_are_codes_are_refused(tiny_model, monkeypatch, tiny_stream):
    monkeypatch.setattr(domain_codes, "MOST_DOMAINS", 2)
    with pytest.raises(ValueError, match="the stream has 3 tasks, and there are codes for 2 domains"):
        tiny_model(**CODES).fit_stream(tiny_stream(), 1)
    assert tiny_model().fit_stream(tiny_stream(), 1)


@pytest.mark.program
def test_a_domain_is_drawn_by_its_name_or_number(tiny_model, tiny_stream):
    model = tiny_model(student=False, **CODES)
    model.fit_stream(tiny_stream(), 1, stop_after_task=1)
    assert model.domains == ["set0.npz", "set1.npz"]
    second = model.sample(6, 3, domain="set1.npz")
    np.testing.assert_array_equal(model.sample(6, 3, 2), second)
    both = model.sample(6, 3).numpy()
    np.testing.assert_allclose(both[1::2], second[1::2], atol=1e-6)
    np.testing.assert_allclose(both[::2], model.sample(6, 3, 1)[::2], atol=1e-6)
    np.testing.assert_array_equal(model.latents(3, domain=2)[:, :4], codes_of([1, 1, 1]))
    with pytest.raises(ValueError, match="domain 'set2.npz' is not learnt yet"):
        model.sample(1, domain="set2.npz")
    with pytest.raises(ValueError, match="unknown domain 'set9.npz'; did you mean set"):
        model.sample(1, domain="set9.npz")
    with pytest.raises(ValueError, match="domain is 1, and .* no domain codes"):
        tiny_model().sample(1, domain=1)
    # While a task is learnt its own domain is among the latents that show the progress.
    np.testing.assert_array_equal(model.progress_latents(6)[:, :4], codes_of([0, 0, 1, 1, 2, 2]))


def test_teacher_and_assistant_get_independent_latents(tiny_model):
    model = at_task(tiny_model(), 1)
    draws = [model.noise(tag, 8, 4).numpy().ravel() for tag in (0, 1, 100, 101, 102, 500)]
    for a, b in itertools.combinations(draws, 2):
        assert abs(np.corrcoef(a, b)[0, 1]) < 0.8 and not np.array_equal(a, b)


def test_noise_is_a_function_of_seed_and_step(tiny_model):
    one, two, other = tiny_model(), tiny_model(), tiny_model(seed=1)
    np.testing.assert_array_equal(one.noise(7, 8, 4), two.noise(7, 8, 4))
    assert not np.array_equal(one.noise(7, 8, 4), other.noise(7, 8, 4))
    two.global_step.assign(1)
    assert not np.array_equal(one.noise(7, 8, 4), two.noise(7, 8, 4))


@pytest.mark.program
def test_a_stream_of_any_length_needs_three_traces(tiny_model, tiny_stream):
    model = tiny_model()
    model.fit_stream(tiny_stream(tasks=6), 2)
    assert len(model._train_functions) == 3
    assert int(model.task_index.numpy()) == 6


@pytest.mark.program
def test_the_moving_average_becomes_the_generator_at_the_end_of_its_task(tiny_model, tiny_stream):
    model, seen = tiny_model(ema=0.27, student=False), []
    expected = model.generators[0].get_weights()
    keep = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda step, logs: seen.append(model.generators[0].get_weights())
    )
    model.fit_stream(tiny_stream(tasks=1), 5, callbacks=[keep])
    for decay, weights in zip((1 / 10, 2 / 11, 3 / 12, 0.27, 0.27), seen, strict=True):
        expected = [decay * old + (1 - decay) * new for old, new in zip(expected, weights)]
    for average, weight, last in zip(model.generators[0].get_weights(), expected, seen[-1], strict=True):
        np.testing.assert_allclose(average, weight, rtol=1e-4, atol=1e-6)
        assert np.abs(average - last).max() > 1e-5


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_the_assistant_starts_from_the_mean_of_both_twins_that_the_recipe_asks_for(tiny_model, share):
    model = at_task(tiny_model(warm_start=share, ema=0.9), 2)
    own, teacher = (generator.get_weights() for generator in model.generators)
    model.begin_task()
    for network in (model.generators[0], model.averages[0]):
        for found, a, b in zip(network.get_weights(), own, teacher, strict=True):
            np.testing.assert_allclose(found, (1 - share) * a + share * b, atol=1e-7)
            if share in (0, 1):
                np.testing.assert_array_equal(found, b if share else a)
    for found, expected in zip(model.generators[1].get_weights(), teacher, strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.program
def test_optimizers_are_reset_when_a_task_begins(tiny_model, tiny_stream):
    model = tiny_model()
    model.fit_stream(tiny_stream(tasks=1), 3)
    rates = [float(o.learning_rate) for o in model.optimizers]
    assert any(np.abs(v.numpy()).max() > 0 for v in model.critic_optimizer.variables[2:])
    model.begin_task()
    for optimizer, rate in zip(model.optimizers, rates):
        assert float(optimizer.learning_rate) == rate
        assert int(optimizer.iterations) == 0
        assert all(np.abs(v.numpy()).max() == 0 for v in optimizer.variables[2:])


def test_the_same_seed_samples_the_same_images_whatever_the_batch(tiny_model):
    model = tiny_model()
    np.testing.assert_allclose(model.sample(5, 3), model.sample(5, 3, batch_size=2), atol=1e-6)
    np.testing.assert_allclose(model.sample(9, 3)[:5], model.sample(5, 3), atol=1e-6)
    assert np.abs(model.sample(5, 3) - model.sample(5, 4)).max() > 1e-4
    assert model.sample(5).shape == (5, 8, 8, 3)
    assert np.abs(model.sample(5)).max() <= 1
    with pytest.raises(ValueError, match="count is 0"):
        model.sample(0)


def test_latents_follow_the_law_of_the_recipe(tiny_model):
    model = tiny_model(latent_law="uniform", **CODES)
    assert model.latent_law == sampling.LatentLaw(4, "uniform", 4, 1.5) and model.latent_dim == 8
    latents = model.latents(400).numpy()
    np.testing.assert_array_equal(latents[:, :4], codes_of(np.zeros(400, int)))
    assert 0.9 < np.abs(latents[:, 4:]).max() <= 1
    generators, critic = tiny_model().generators, tiny_model().critic
    with pytest.raises(ValueError, match="domain_dim is 4 and the generators take latents of 4; nothing is"):
        twin_gan.TwinGAN(generators, critic, recipe=presets.Recipe(**CODES))


def test_sampling_takes_the_generator_trained_last(tiny_model):
    model = tiny_model()
    for finished, identity in ((0, 0), (1, 0), (2, 1), (3, 0)):
        model.task_index.assign(finished)
        expected = model.generators[identity](model.latents(2), training=False)
        np.testing.assert_array_equal(model.sample(2), expected)


def test_twins_start_from_weights_of_their_own(tiny_model):
    first, second = tiny_model().generators
    assert not np.array_equal(first.get_weights()[0], second.get_weights()[0])


@pytest.mark.program
def test_every_op_of_the_train_graph_has_a_gpu_kernel_for_its_type(tiny_model):
    """Reads the kernel registry of the installed TensorFlow, which lists GPU kernels too."""
    from tensorflow.python.framework import kernels

    if not any(k.device_type == "GPU" for k in kernels.get_registered_kernels_for_op("MatMul").kernel):
        pytest.skip("this TensorFlow was built without GPU kernels, so there is nothing to read")
    for task_index in (0, 1):
        model = at_task(tiny_model(n_critic=2, ema=0.9, student_replay="share", **DISTILLED), task_index)
        graph = (
            tf.function(model.train_step)
            .get_concrete_function(tf.TensorSpec([8, 2, 8, 8, 3], tf.uint8))
            .graph
        )
        graphs = [graph.as_graph_def().node, *(f.node_def for f in graph.as_graph_def().library.function)]
        missing = {
            (node.op, _types(node))
            for nodes in graphs
            for node in nodes
            if not _runs_on_gpu(node, kernels.get_registered_kernels_for_op(node.op).kernel)
        }
        assert not missing


def _types(node):
    return tuple(sorted((k, v.type) for k, v in node.attr.items() if v.type))


def _runs_on_gpu(node, registered):
    if not registered:  # function calls, arguments and the like have no kernel of their own
        return node.op in {"PartitionedCall", "StatefulPartitionedCall", "Placeholder"} or "_Arg" in node.op
    for kernel in registered:
        if kernel.device_type in ("GPU", "DEFAULT") and all(
            node.attr[c.name].type in c.allowed_values.list.type for c in kernel.constraint
        ):
            return True
    return False


@pytest.mark.program
def test_own_networks_train_without_a_workdir_and_are_refused_with_one(tiny_model, tiny_stream, tmp_path):
    made = tiny_model(student=False)
    model = twin_gan.TwinGAN(made.generators, made.critic)
    model.compile()
    model.fit_stream(tiny_stream(tasks=1), 1)
    with pytest.raises(ValueError, match="TwinGAN.from_builder"):
        model.fit_stream(tiny_stream(tasks=2), 1, workdir=str(tmp_path / "run"))


def test_settings_rebuild_the_same_networks(tiny_model):
    model = tiny_model(critic_heads=1, n_critic=3)
    again = twin_gan.TwinGAN.from_settings(model.get_settings())
    assert again.recipe == model.recipe
    for a, b in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert TINY.name == model.get_settings()["architecture"]["name"]
