"""What every method of METHODS keeps to: fit, sample, save, resume, load, export, distribute, evaluate."""

import importlib.util
import itertools
import json
import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from ltgans_tf import exported, loading
from ltgans_tf.data import images, streams
from ltgans_tf.evaluation import evaluation
from ltgans_tf.export import push
from ltgans_tf.methods import curl_mixture, lgm, registry, twin_gan
from ltgans_tf.methods.lifelong import NonFiniteError
from ltgans_tf.networks import losses
from ltgans_tf.settings import presets
from ltgans_tf.training import callbacks, checkpoints
from tests import source_imports
from tests.tiny import TINY, UNTRIED

pytestmark = pytest.mark.program

tfd = tfp.distributions
STEPS, STOPPED = 2, 3  # steps of a task; the step of the run after which its workdir is copied


def _missing(method):
    module = registry.METHODS[method].path.partition(":")[0]
    return (
        importlib.util.find_spec(f"ltgans_tf.methods.{module}") is None
        and f"{method} is in METHODS, but {module} is not there"
    )


CODES = {"domain_dim": 4, "distillation": 0.02, "warm_start": 1.0}


def _model(method, student=True, **changes):
    own = CODES if method == "ltgan" else {}
    recipe = presets.Recipe(
        **{"student_optimizer": "adam(0.001)", "ema": 0.5, "student_ema": 0.5, **own, **changes}
    )
    model = registry.method_class(method).from_architecture(TINY, 3, student, recipe, seed=1)
    model.compile()
    return model


def _stream(folder, tasks=3):
    specs = []
    for i in range(tasks):
        path, draw = os.path.join(folder, f"set{i}.npz"), np.random.default_rng(i)
        if not os.path.exists(path):
            pictures = draw.integers(60 * i, 60 * i + 80, (2, 20, 8, 8, 3), dtype=np.uint8)
            np.savez(path, train_images=pictures[0], test_images=pictures[1])
        specs.append(f"npz:{path}")
    return streams.TaskStream(specs, (8, 8, 3), batch_size=8, seed=1)


def _state(model):
    slots = [v.numpy() for optimizer in model.optimizers for v in optimizer.variables]
    return [*(np.array(w) for w in model.get_weights()), *slots]


def _frozen(model):
    """Weights that the present task must not touch; those of teachers that do not learn."""
    roles = model.roles(model.task.index)
    frozen = [model.generators[i] for i in roles.teachers if i not in roles.learners]
    return [w.numpy() for network in frozen for w in network.weights]


class Watch(callbacks.StepCallback):
    """Keeps what a run reports and what its workdir was when it might have been killed."""

    def __init__(self, folder):
        super().__init__()
        self.folder, self.logs, self.before, self.ends = folder, [], {}, []

    def on_train_begin(self, logs=None):
        super().on_train_begin(logs)
        if isinstance(self.model, twin_gan.TwinGAN):
            self.before[self.model.task.index] = _frozen(self.model)

    def on_step(self, step, task_step, logs):
        self.logs.append({name: float(value) for name, value in logs.items()})
        if step == STOPPED + 1:  # the checkpoint of this step is not there yet
            shutil.copytree(os.path.join(self.folder, "run"), os.path.join(self.folder, "killed"))

    def boundary(self, boundary):
        frozen = _frozen(boundary.model) if isinstance(boundary.model, twin_gan.TwinGAN) else None
        self.ends.append((_state(boundary.model), frozen))


@pytest.fixture(scope="module", params=registry.METHODS)
def run(request, tmp_path_factory):
    """A run of three tasks, made once for each method and only read: (model, folder, watch)."""
    if reason := _missing(request.param):
        pytest.skip(reason)
    folder = str(tmp_path_factory.mktemp(request.param))
    model, watch = _model(request.param), Watch(folder)
    assert model.fit_stream(
        _stream(folder), STEPS, os.path.join(folder, "run"), [watch], [watch.boundary], checkpoint_every=1
    )
    return model, folder, watch


@pytest.fixture(scope="module")
def exports(run, tmp_path_factory):
    """A folder with the export of the run."""
    base, info = (
        tmp_path_factory.mktemp("exports"),
        {"run_id": "run", "image_shape": [8, 8, 3], "fit": "crop"},
    )
    push.push(run[0], push.Task(2, "last"), base, info, UNTRIED)
    return base


def test_every_step_reports_finite_values_in_groups(run):
    model, _, watch = run
    assert (int(model.task_index.numpy()), int(model.global_step.numpy())) == (3, 3 * STEPS)
    assert len(watch.logs) == 3 * STEPS
    for logs in watch.logs:
        assert logs and all(np.isfinite(value) for value in logs.values())
        assert {name.partition("/")[0] for name in logs} <= {"critic", "generator", "student"}
    assert model.watched and (model.nonfinite_steps.numpy() == -1).all()
    assert len(model._train_functions) <= 3


def test_every_task_moves_the_weights_and_none_adds_one(run):
    _, _, watch = run
    states = [state for state, _ in watch.ends]
    shapes = [[(value.shape, value.dtype) for value in state] for state in states]
    assert shapes[0] == shapes[1] == shapes[2]
    for before, after in zip(states, states[1:]):
        assert any((a != b).any() for a, b in zip(before, after))


def test_what_is_frozen_keeps_every_bit_during_a_task(run):
    model, _, watch = run
    if not isinstance(model, twin_gan.TwinGAN):
        pytest.skip("what a method without generators freezes is for its own test to know")
    for index, (_, after) in enumerate(watch.ends):
        for a, b in zip(watch.before[index], after, strict=True):
            np.testing.assert_array_equal(a, b)
    teaches = model.method not in ("finetune", "joint", "joint_twins")
    assert [bool(frozen) for _, frozen in watch.ends] == [False, teaches, teaches]


def test_a_sample_follows_from_its_seed_whatever_the_batch(run):
    model, _, _ = run
    images = model.sample(7, seed=3)
    assert images.shape == (7, *model.image_shape) and images.dtype == tf.float32
    assert np.abs(images).max() <= 1 and model.image_shape == (8, 8, 3)
    np.testing.assert_array_equal(model.sample(7, seed=3), images)
    np.testing.assert_allclose(model.sample(7, seed=3, batch_size=2), images, atol=1e-6)
    np.testing.assert_allclose(model.sample(9, seed=3)[:7], images, atol=1e-6)
    assert np.abs(model.sample(7, seed=4) - images).max() > 1e-4
    latents = model.latents(7, 3)
    assert latents.shape == (7, model.latent_dim)
    np.testing.assert_allclose(tf.function(model.generate)(latents), images, atol=1e-6)
    for batch in model.progress_samples(latents):
        assert batch.shape == images.shape and np.abs(batch).max() <= 1


def test_a_domain_is_drawn_by_its_name_or_refused_in_a_sentence(run, exports):
    model, folder, _ = run
    for each in (model, loading.load(os.path.join(folder, "run")), exported.load(exports)):
        assert each.domains == [f"set{i}.npz" for i in range(3)]
        if not model.latent_law.domain_dim:
            with pytest.raises(ValueError, match="domain is 'set1.npz', and .* no domain codes"):
                each.sample(2, domain="set1.npz")
            continue
        images = each.sample(6, 3).numpy()
        second = each.sample(6, 3, "set1.npz").numpy()
        np.testing.assert_allclose(images[1::3], second[1::3], atol=1e-6)
        np.testing.assert_array_equal(each.sample(6, 3, 2), second)


def test_a_run_that_was_cut_off_ends_with_the_bits_of_one_that_was_not(run, tmp_path):
    _, folder, watch = run
    workdir = shutil.copytree(os.path.join(folder, "killed"), tmp_path / "killed")
    again, steps = loading.load(str(workdir)), []
    assert int(again.global_step.numpy()) == STOPPED and int(again.task_step.numpy()) == 1
    spy = callbacks.StepCallback()
    spy.on_step = lambda step, task_step, logs: steps.append(step)
    assert again.fit_stream(_stream(folder), STEPS, str(workdir), [spy], stop_after_task=1)
    assert steps == [STOPPED + 1]
    for a, b in zip(_state(again), watch.ends[1][0], strict=True):
        np.testing.assert_array_equal(a, b)


def test_settings_rebuild_the_model_and_its_workdir_loads_it(run):
    model, folder, _ = run
    settings = json.loads(json.dumps(model.get_settings()))
    assert settings["method"] == model.method and registry.method_class(model.method) is type(model)
    fresh, loaded = type(model).from_settings(settings), loading.load(os.path.join(folder, "run"))
    assert type(fresh) is type(loaded) is type(model)
    assert fresh.get_settings() == loaded.get_settings() == model.get_settings()
    for a, b in zip(_state(fresh), _state(_model(model.method)), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(loaded.sample(3, 5), model.sample(3, 5))


def test_an_export_draws_and_encodes_as_the_model_does(run, exports):
    model, _, _ = run
    loaded, images = exported.load(exports), model.sample(5, 7)
    assert loaded.info["settings"]["method"] == model.method
    np.testing.assert_allclose(loaded.sample(5, 7), images, atol=1e-6)
    posterior, expected = loaded.student.encode(images), model.student.encode(images)
    np.testing.assert_allclose(posterior.mean(), expected.mean(), atol=1e-5)
    np.testing.assert_allclose(posterior.stddev(), expected.stddev(), atol=1e-5)
    codes = posterior.mean()
    np.testing.assert_allclose(loaded.student.decode(codes), model.student.decode(codes), atol=1e-6)


def test_the_likelihood_of_every_task_is_measured(run):
    model, folder, _ = run
    row = evaluation.Evaluator(parts=("likelihood",)).evaluate(model, _stream(folder))
    assert row.about["method"] == model.method and not any(row.absent.values())
    for name, found in row.scores.items():
        images = np.float32(np.load(os.path.join(folder, name))["test_images"]) / 127.5 - 1
        sse, kl = (np.float64(terms) for terms in model.student.elbo_terms(images))
        assert sse.shape == kl.shape == (20,) and (kl >= 0).all()
        rebuilt = np.float64(model.student(images))
        np.testing.assert_allclose(sse, ((images - rebuilt) ** 2).sum((1, 2, 3)), rtol=1e-4)
        assert np.isfinite(found["nlog"]) and found["nlog"] > 0
    assert len(row.scores) == 3


@pytest.mark.campaign("workers")
def test_two_replicas_take_the_steps_of_one_and_save_score_and_export_as_one(run, tmp_path):
    from tests.mirrored import MIRRORED

    model, folder, watch = run
    with MIRRORED.scope():
        two = _model(model.method)
    workdir = str(tmp_path / "two")
    two.fit_stream(_stream(folder), STEPS, workdir, [], stop_after_task=1)
    # Measured by what training changed: Adam turns the rounding of a gradient near zero into a part of a step.
    begun = itertools.chain(_model(model.method).get_weights(), itertools.repeat(0))  # optimizers keep 0 then
    both = zip(_state(two), watch.ends[1][0], strict=True)
    for i, ((a, b), start) in enumerate(zip(both, begun)):
        assert np.linalg.norm(a - b) <= 1e-3 * np.linalg.norm(b - start), i
    alone = _model(model.method)  # on one device
    checkpoints.restore_newest(workdir, alone)
    for a, b in zip(_state(two), _state(alone), strict=True):
        np.testing.assert_array_equal(a, b)
    evaluator = evaluation.Evaluator(parts=("likelihood",))
    rows = [evaluator.evaluate(each, _stream(folder)).scores for each in (two, alone)]
    for name, found in rows[0].items():
        assert found["nlog"] == pytest.approx(rows[1][name]["nlog"], rel=1e-6)
    info = {"run_id": "run", "image_shape": [8, 8, 3], "fit": "crop"}
    push.push(two, push.Task(1, "second"), str(tmp_path / "exports"), info, UNTRIED)
    loaded = exported.load(str(tmp_path / "exports"))
    images = alone.sample(5, 7)
    np.testing.assert_allclose(loaded.sample(5, 7), images, atol=1e-6)
    expected = alone.student.encode(images).mean()
    np.testing.assert_allclose(loaded.student.encode(images).mean(), expected, atol=1e-5)


# Where a number of a step comes from: the images, and each loss and gradient.
SOURCES = [
    (images, "normalize"),
    (losses, "critic_loss"),
    (losses, "gradient_penalty"),
    (losses, "generator_loss"),
    (losses, "sum_squared_error"),
    (losses, "negative_elbo"),
    (losses, "gradients"),
    (lgm, "categorical_kl"),
    (curl_mixture, "kl_of_components"),
    (tfd, "kl_divergence"),
]
POISONS = {"times NaN": lambda value: value * np.nan, "plus Inf": lambda value: value + np.inf}


def _spoil(patch, source, call=None, poison=None):
    """Lets one call of a function end in NaN or Inf, of a list the last one; returns the list of all calls."""
    function, calls = getattr(*source), []

    def spoilt(*args, **kwargs):
        found = function(*args, **kwargs)
        calls.append(source)
        if len(calls) - 1 != call:
            return found
        return [*found[:-1], poison(found[-1])] if isinstance(found, list) else poison(found)

    patch.setattr(*source, spoilt)
    return calls


@pytest.mark.parametrize("method", registry.METHODS)
def test_no_number_that_is_not_finite_gets_past_a_step(method, monkeypatch):
    """Each call of each source in a step of the second task, spoilt alone; two updates of a critic."""
    if reason := _missing(method):
        pytest.skip(reason)
    model = _model(method, n_critic=2)
    model.task_index.assign(1)
    model.begin_task()
    model.traced_task, state = 1, [np.array(w) for w in model.get_weights()]
    draw = np.random.default_rng(0)
    batch = tf.constant(draw.integers(0, 256, (4, model.new_batches(1), 8, 8, 3), dtype=np.uint8))

    def step(*spoilt):
        model.set_weights(state)
        model.reset_optimizers()
        with monkeypatch.context() as patch:
            calls = [_spoil(patch, source, *spoilt[1:]) for source in spoilt[:1] or SOURCES]
            model.train_step(batch)
        return calls

    places = [(source, i) for calls in step() for i, source in enumerate(calls)]
    model.raise_if_nonfinite(weights=True)
    assert len(places) > 5
    for (source, call), poison in itertools.product(places, POISONS):
        step(source, call, POISONS[poison])
        with pytest.raises(NonFiniteError) as stopped:
            model.raise_if_nonfinite()
            pytest.fail(f"{poison} in call {call} of {source[1]} went unnoticed")
        said = r"(critic|generator|student) (loss|gradient) stopped being finite at global step 1$"
        assert re.match(said, str(stopped.value))


MINE = """
import json
from ltgans_tf.methods.twin_gan import TwinGAN

class Mine(TwinGAN):
    "Says hello in the logs, and is Eq. 2 else."

NOTHING = 1
"""


def test_a_class_of_ones_own_is_a_method_without_a_line_in_the_package(tmp_path):
    (tmp_path / "my_idea.py").write_text(MINE)
    (tmp_path / "broken.py").write_text("import nowhere_at_all")
    environment = {**os.environ, "PYTHONPATH": str(source_imports.ROOT)}

    def train(method, *flags):
        command = [
            sys.executable,
            "-m",
            "ltgans_tf.trainers.train",
            "--preset=smoke",
            f"--method={method}",
            *flags,
        ]
        return subprocess.run(
            [*command, "--workdir=run"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
            env=environment,
        )

    planned = train("my_idea:Mine", "--dry_run")
    assert planned.returncode == 0 and "\n  method: my_idea:Mine\n" in planned.stdout
    assert "estimate: none yet" in planned.stdout
    for method, sentence in (
        ("my_ideas:Mine", "there is no module 'my_ideas'; start from the folder that has it"),
        ("my_idea:NOTHING", "my_idea has no class NOTHING with from_architecture, from_settings, fit_stream"),
        ("my_idea:Missing", "my_idea has no class Missing with from_architecture"),
        ("my idea:Mine", "unknown method 'my idea:Mine'"),
    ):
        done = train(method)
        assert done.returncode == 2 and sentence in done.stderr.strip().splitlines()[-1], done.stderr
        assert "Traceback" not in done.stderr and not (tmp_path / "run" / "checkpoints").exists()
    # A mistake in the file itself is shown with its place.
    done = train("broken:Mine")
    assert done.returncode == 1 and "ModuleNotFoundError: No module named 'nowhere_at_all'" in done.stderr
