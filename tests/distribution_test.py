"""One replica and two (two logical CPUs) take the same steps, and data and noise are shared out."""

import numpy as np
import pytest
import tensorflow as tf

from ltgans_tf import presets, twin_gan
from tests.conftest import TINY

# One for the process: a second one would reuse the keys of the first one's collectives.
MIRRORED = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


def _trained(stream, replicas, steps=5, tasks=2, **recipe):
    strategy = MIRRORED if replicas == 2 else tf.distribute.get_strategy()
    with strategy.scope():
        model = twin_gan.TwinGAN.from_architecture(TINY, 3, True, presets.Recipe(**recipe))
        model.compile()
    model.fit_stream(stream, steps, stop_after_task=tasks - 1)
    return model


# Of 3 replayed rows in 8 the two halves have other rows, so each replica must know which are its own.
@pytest.mark.parametrize(
    "recipe",
    [
        {},
        {"n_critic": 2, "ema": 0.9, "student_replay": "share", "replay_share": "0.375"},
        {"distillation": 0.3, "latent_law": "circle"},
    ],
)
def test_two_replicas_equal_one_over_two_tasks_and_a_role_swap(tiny_stream, recipe):
    one, two = (_trained(tiny_stream(tasks=2), replicas, **recipe) for replicas in (1, 2))
    assert int(one.task_index.numpy()) == int(two.task_index.numpy()) == 2
    assert int(two.global_step.numpy()) == 10
    for a, b in zip(one.weights, two.weights, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), atol=1e-6, err_msg=a.path)


def test_the_replicas_of_a_model_stay_equal(tiny_stream):
    model = _trained(tiny_stream(tasks=2), 2)
    for weight in model.weights:
        copies = [copy.numpy() for copy in weight.value.values]
        assert len(copies) == 2
        np.testing.assert_array_equal(*copies)


def test_each_replica_takes_its_own_rows_of_one_global_draw(tiny_model):
    with MIRRORED.scope():
        model = twin_gan.TwinGAN.from_architecture(TINY)
        model.compile()
    shares = MIRRORED.run(lambda: model.noise(100, 4, 3)).values
    np.testing.assert_array_equal(np.concatenate([s.numpy() for s in shares]), tiny_model().noise(100, 8, 3))
    # Two draws at once: batch after batch, and of each batch its own rows.
    shares = MIRRORED.run(lambda: model.noise(0, 8, 3, draws=2)).values
    whole = tiny_model().noise(0, 16, 3, draws=2).numpy().reshape(2, 2, 4, 3)
    for replica, share in enumerate(shares):
        np.testing.assert_array_equal(share.numpy().reshape(2, 4, 3), whole[:, replica])


def test_a_state_saved_on_two_replicas_loads_exactly_on_one(tiny_stream, tiny_model, tmp_path):
    with MIRRORED.scope():
        model = twin_gan.TwinGAN.from_architecture(
            TINY, recipe=presets.Recipe(student_optimizer="adam(0.001)")
        )
        model.compile()
    model.fit_stream(tiny_stream(tasks=1), 3, str(tmp_path / "run"))
    alone = tiny_model(seed=0)
    assert alone.fit_stream(tiny_stream(tasks=1), 3, str(tmp_path / "run"))
    for a, b in zip(model.weights, alone.weights, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_a_batch_that_the_replicas_cannot_share_is_refused(tiny_stream):
    with MIRRORED.scope():
        model = twin_gan.TwinGAN.from_architecture(TINY)
        model.compile()
    with pytest.raises(ValueError, match="batch_size is 7.*multiple of 2"):
        model.fit_stream(tiny_stream(tasks=1, batch_size=7), 1)
