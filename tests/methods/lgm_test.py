"""LGM against NumPy: its loss and gradient, both KLs, its bounds; snapshot, replay share and replicas."""

import fractions

import keras
import numpy as np
import pytest
import scipy.special
import tensorflow as tf

from ltgans_tf.data import streams
from ltgans_tf.methods import lgm
from ltgans_tf.settings import presets
from ltgans_tf.settings.method_table import LGMSettings
from ltgans_tf.training import callbacks
from tests.methods.linear_lgm import (
    PARTS,
    D,
    K,
    affine,
    draw_images,
    draw_params,
    kls_of,
    linear_vae,
    make_lgm,
    softmax,
)
from tests.mirrored import MIRRORED
from tests.tiny import TINY


def _gumbel(noise):
    return -np.log(-scipy.special.log_ndtr(np.float64(noise)))


def _loss(params, teacher, x, noise, heat, replayed, beta, gamma):
    """The method's loss in float64, written from its formulas."""
    mean, stddev, probabilities, kl = kls_of(params, x)
    relaxed = softmax((affine(params, "logits", x) + _gumbel(noise[:, D:])) / heat)
    decoded = affine(params, "decoder", np.concatenate([mean + stddev * noise[:, :D], relaxed], -1))
    sse = ((x - decoded) ** 2).sum(-1)
    theirs = softmax(affine(teacher, "logits", x))
    consistency = (probabilities * np.log(probabilities / theirs)).sum(-1)[replayed].mean()
    return (sse + beta * kl).mean() + gamma * consistency, sse.mean(), kl.mean(), consistency


def _at(model, task_index, task_step=0, global_step=0):
    for weight, value in zip(
        (model.task_index, model.task_step, model.global_step), (task_index, task_step, global_step)
    ):
        weight.assign(value)
    model.make_train_function()
    return model


def test_loss_and_gradient_are_those_of_the_formulas():
    ours, theirs, beta, gamma = draw_params(0), draw_params(1), 2.0, 3.0
    model = lgm.LGM(
        linear_vae(ours),
        linear_vae(theirs, "teacher"),
        presets.Recipe(beta=beta),
        LGMSettings(K, consistency=gamma),
    )
    model.compile(keras.optimizers.SGD(1.0))
    _at(model, 2, task_step=1, global_step=300)
    data = np.random.default_rng(2).integers(0, 256, (6, 1, 2, 2, 1), dtype=np.uint8)
    latents, noise = (model.noise(tag, 6, D + K).numpy() for tag in (0, 1))
    report = model.train_step(tf.constant(data))
    # Task 3: four of six rows come from the teacher, spread evenly.
    replayed = np.array([False, True, True, False, True, True])
    chosen = np.eye(K)[latents[:, D:].argmax(-1)]
    samples = affine(theirs, "decoder", np.concatenate([latents[:, :D], chosen], -1))
    x = np.where(replayed[:, None], samples, data.reshape(6, 4) / 127.5 - 1)
    rest = (theirs, x, noise, 0.5**0.3, replayed, beta, gamma)
    expected = _loss(ours, *rest)
    for name, value in zip(("loss", "sse", "kl", "consistency"), expected):
        np.testing.assert_allclose(report[f"student/{name}"], value, rtol=1e-4, err_msg=name)
    np.testing.assert_allclose(report["student/temperature"], 0.5**0.3, rtol=1e-6)
    for part in PARTS:
        net = model.student.decoder if part == "decoder" else model.student.encoder
        for i, weight in enumerate(net.get_layer(part).get_weights()):
            gradient = ours[part][i] - weight  # of SGD with rate 1
            for place in list(np.ndindex(gradient.shape))[::3]:
                sides = []
                for shift in (1e-5, -1e-5):
                    moved = {name: tuple(a.copy() for a in pair) for name, pair in ours.items()}
                    moved[part][i][place] += shift
                    sides.append(_loss(moved, *rest)[0])
                numeric = (sides[0] - sides[1]) / 2e-5
                np.testing.assert_allclose(gradient[place], numeric, rtol=2e-3, atol=2e-3, err_msg=part)


def test_the_first_task_has_no_replay_and_no_consistency():
    model = lgm.LGM(
        linear_vae(draw_params(0)), linear_vae(draw_params(1), "teacher"), settings=LGMSettings(K)
    )
    model.compile()
    _at(model, 0)
    data = np.random.default_rng(2).integers(0, 256, (6, 1, 2, 2, 1), dtype=np.uint8)
    noise = model.noise(1, 6, D + K).numpy()
    report = model.train_step(tf.constant(data))
    everything = np.ones(6, bool)
    expected = _loss(
        draw_params(0), draw_params(1), data.reshape(6, 4) / 127.5 - 1, noise, 1.0, everything, 1.0, 0.0
    )
    np.testing.assert_allclose(report["student/loss"], expected[0], rtol=1e-4)
    assert float(report["student/consistency"]) == 0


def test_kl_of_the_categories_has_its_closed_form():
    p, q = np.array([[0.7, 0.2, 0.1], [1 / 3, 1 / 3, 1 / 3]]), np.array([[0.1, 0.6, 0.3], [0.2, 0.2, 0.6]])
    expected = (p * np.log(p / q)).sum(-1)
    np.testing.assert_allclose(lgm.categorical_kl(np.float32(p), np.float32(q)), expected, rtol=1e-4)
    one_hot = np.float32([[0, 1, 0]])
    uniform = lgm.categorical_kl(one_hot, np.full((1, 3), 1 / 3, np.float32))
    np.testing.assert_allclose(uniform, [np.log(3)], rtol=1e-5)


def test_categories_out_of_use_have_no_probability_and_cost_a_newcomer_a_finite_price():
    x = draw_images(5)
    flat = np.float64(x.reshape(5, 4))
    student, teacher = linear_vae(draw_params(0), active=3), linear_vae(draw_params(0), "teacher", active=2)
    theirs = teacher.probabilities(x).numpy()
    assert (theirs[:, 2] == 0).all()
    np.testing.assert_allclose(theirs, softmax(affine(draw_params(0), "logits", flat), 2), rtol=1e-4)
    ours = np.float64(student.probabilities(x))
    price = lgm.categorical_kl(np.float32(ours), theirs).numpy()
    padded = np.where(theirs > 0, theirs, 1e-6)
    np.testing.assert_allclose(price, (ours * np.log(ours / padded)).sum(-1), rtol=1e-3)
    # KL to the prior is that to a uniform law over two.
    terms = [np.float64(v.elbo_terms(x)[1]) for v in (student, teacher)]
    normal = terms[0] - (ours * np.log(3 * ours)).sum(-1)
    known = np.float64(theirs[:, :2])
    np.testing.assert_allclose(terms[1], normal + (known * np.log(2 * known)).sum(-1), rtol=1e-4)


def test_consistency_is_zero_between_equals_and_pulls_to_the_teacher():
    model = _at(make_lgm(), 1)
    data = np.random.default_rng(0).integers(0, 256, (8, 1, 8, 8, 3), dtype=np.uint8)
    assert abs(float(model.train_step(tf.constant(data))["student/consistency"])) < 1e-6
    theirs = tf.constant([[0.6, 0.3, 0.1]])
    logits = tf.Variable([[-1.0, 0.0, 2.0]])
    values = []
    for _ in range(400):
        with tf.GradientTape() as tape:
            kl = lgm.categorical_kl(tf.nn.softmax(logits), theirs)
        values.append(float(kl[0]))
        logits.assign_sub(0.5 * tape.gradient(kl, logits))
    assert (np.diff(values) < 1e-6).all()
    np.testing.assert_allclose(tf.nn.softmax(logits), theirs, atol=1e-3)


@pytest.mark.parametrize("task_index", [1, 2, 5])
def test_the_accumulated_replay_share_is_exact(task_index, monkeypatch):
    model = _at(make_lgm(), task_index)
    model.global_rows = 8
    monkeypatch.setattr(model, "teacher_images", lambda latents: tf.ones([8, 8, 8, 3]))
    replayed, share = 0, fractions.Fraction(task_index, task_index + 1)
    for step in range(30):
        model.task_step.assign(step)
        batch, weights = model._mix(tf.zeros([8, 8, 8, 3]))
        rows = batch.numpy()[:, 0, 0, 0]
        replayed += int(rows.sum())
        assert replayed == (step + 1) * 8 * share.numerator // share.denominator
        np.testing.assert_allclose(weights, rows / rows.sum(), rtol=1e-6)


class Teachers(callbacks.StepCallback):
    """Keeps what the teacher was after each step, by task."""

    def __init__(self):
        super().__init__()
        self.seen = {}

    def on_step(self, step, task_step, logs):
        weights = [w.numpy() for w in self.model.teacher.weights]
        self.seen.setdefault(self.model.task.index, []).append(weights)


@pytest.mark.program
def test_the_teacher_is_the_student_of_the_boundary_and_keeps_every_bit(tiny_stream):
    model, diary, ends = make_lgm(), Teachers(), []
    keep = lambda boundary: ends.append([w.numpy() for w in boundary.model.student.weights])
    model.fit_stream(tiny_stream(tasks=3), 3, callbacks=[diary], boundary_callbacks=[keep])
    for index in (1, 2):
        assert len(diary.seen[index]) == 3
        for weights in diary.seen[index]:
            for teacher, student in zip(weights, ends[index - 1], strict=True):
                np.testing.assert_array_equal(teacher, student)
    moved = [not np.array_equal(a, b) for a, b in zip(ends[0], ends[1])]
    assert sum(not m for m in moved) == 1  # all but the number of categories


def test_the_optimizer_starts_anew_and_the_student_goes_on():
    model = _at(make_lgm(), 0)
    data = np.random.default_rng(0).integers(0, 256, (8, 1, 8, 8, 3), dtype=np.uint8)
    model.train_step(tf.constant(data))
    rate, before = float(model.student_optimizer.learning_rate), model.student.get_weights()
    assert any(np.abs(v.numpy()).max() > 0 for v in model.student_optimizer.variables[2:])
    model.task_index.assign(1)
    model.begin_task()
    assert float(model.student_optimizer.learning_rate) == rate
    assert int(model.student_optimizer.iterations) == 0
    assert all(np.abs(v.numpy()).max() == 0 for v in model.student_optimizer.variables[2:])
    for a, b in zip(before, model.student.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_temperature_falls_from_1_to_a_half_and_stays():
    values = [float(lgm.temperature(tf.constant(s, tf.int64), 400)) for s in (0, 100, 200, 400, 4000)]
    np.testing.assert_allclose(values, [1, 0.5**0.25, 0.5**0.5, 0.5, 0.5], rtol=1e-6)


def test_gumbel_numbers_are_the_quantiles_of_normal_ones():
    noise = np.float32([-8, -3, -0.5, 0, 1, 4, 6, 8])
    expected = _gumbel(noise)
    # Below 5 the CDF p itself is rounded, to two steps of 2^-24 at most; log(-log p) magnifies that by 1 / -log p.
    slack = np.where(noise < 5, 2**-23 * np.exp(expected), 0)
    apart = np.abs(lgm.gumbel(noise) - expected)
    assert (apart < 1e-5 * np.abs(expected) + slack).all(), apart


def test_categories_grow_by_one_a_task_up_to_the_most_and_twice_is_once():
    model = make_lgm(categories=3, grow=True)
    assert int(model.student.active) == 1
    for task, (student, teacher) in enumerate([(1, 1), (2, 1), (3, 2), (3, 3), (3, 3)]):
        model.task_index.assign(task)
        for _ in range(2):
            model.begin_task()
            assert (int(model.student.active), int(model.teacher.active)) == (student, teacher)
    # Between two tasks what was learnt counts, not what comes next.
    model.task_index.assign(1)
    model.begin_task()
    model.task_index.assign(2)
    assert int(model.student.active) == 2


@pytest.mark.program
def test_memory_does_not_grow_with_the_tasks(tiny_stream):
    model = make_lgm(grow=True)
    shapes = lambda: [tuple(w.shape) for w in [*model.weights, *model.student_optimizer.variables]]
    before = shapes()
    model.fit_stream(tiny_stream(tasks=5), 2)
    assert shapes() == before
    assert len(model._train_functions) == 2 and int(model.task_index.numpy()) == 5


@pytest.mark.campaign("workers")
def test_two_replicas_equal_one_over_two_boundaries(tiny_stream):
    models = []
    for strategy in (tf.distribute.get_strategy(), MIRRORED):
        with strategy.scope():
            models.append(make_lgm(grow=True))
        models[-1].fit_stream(tiny_stream(tasks=3), 3)  # in task 3 the replicas' replayed rows differ
    # While one category is in use the gradient of the logits is rounding, of which Adam makes steps of up to 1e-3.
    for a, b in zip(*(model.weights for model in models), strict=True):
        atol = 1e-3 if "logits" in a.path else 1e-4
        np.testing.assert_allclose(a.numpy(), b.numpy(), atol=atol, err_msg=a.path)


def _gradients_stream(tmp_path):
    """Task 1: images that brighten to the right or to the left; task 2: downwards or upwards."""
    ramp, specs = np.linspace(-1, 1, 8), []
    for i, pattern in enumerate((np.tile(ramp, (8, 1)), np.tile(ramp, (8, 1)).T)):
        draw = np.random.default_rng(i)
        slope = draw.choice([-1, 1], 240) * draw.uniform(0.5, 1, 240)
        images = 127.5 + 100 * slope[:, None, None, None] * pattern[None, :, :, None]
        images = np.uint8(images + draw.normal(0, 3, (240, 8, 8, 3)))
        np.savez(tmp_path / f"g{i}.npz", train_images=images[:200], test_images=images[200:])
        specs.append(f"npz:{tmp_path / f'g{i}.npz'}")
    return streams.TaskStream(specs, image_shape=(8, 8, 3), batch_size=16)


@pytest.mark.program
def test_a_short_training_learns_both_tasks(tmp_path):
    model, stream = make_lgm(anneal_steps=200, categories=4), _gradients_stream(tmp_path)
    model.fit_stream(stream, 300)
    rows = list(model.evaluate_stream(stream).values())
    assert all(row["nlog"] < 0.5 * row["mean_image_nlog"] for row in rows), rows


def test_settings_rebuild_the_same_networks():
    recipe = presets.Recipe(latent_law="uniform", replay_share="paper", student_optimizer="adam(0.002)")
    model = make_lgm(3, recipe, categories=5, grow=True)
    again = lgm.LGM.from_settings(model.get_settings())
    assert again.settings == model.settings and again.recipe == model.recipe
    assert model.latent_law.noise == model.recipe.latent_law == "normal" and model.recipe.domain_dim == 0
    assert model.recipe.replay_share == "balanced"
    assert float(again.student_optimizer.learning_rate) == pytest.approx(0.002)
    for a, b in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    own = lgm.LGM(linear_vae(draw_params(0)), linear_vae(draw_params(0), "teacher"), settings=LGMSettings(K))
    with pytest.raises(ValueError, match="from_builder"):
        own.get_settings()


def test_it_is_not_built_without_its_student():
    with pytest.raises(ValueError, match="student is False"):
        lgm.LGM.from_architecture(TINY, student=False)
