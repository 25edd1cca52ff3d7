"""One replica and two (two logical CPUs) take the same steps, and data and noise are shared out."""

import ctypes
import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf

from ltgans_tf.methods import twin_gan
from ltgans_tf.settings import presets
from ltgans_tf.training import distribution
from tests import source_imports
from tests.mirrored import MIRRORED
from tests.tiny import TINY


def test_a_worker_that_waits_for_the_others_says_so_again_and_again(monkeypatch, caplog):
    monkeypatch.setattr(distribution, "_TELL_EVERY", 0.02)
    with distribution._telling("start"):
        time.sleep(0.2)
    told = [record.getMessage() for record in caplog.records]
    assert len(told) >= 2 and all("this worker has waited" in line and "to start." in line for line in told)
    with distribution._telling("start"):
        pass
    assert len(caplog.records) == len(told)


def _trained(stream, replicas, steps=5, tasks=2, **recipe):
    strategy = MIRRORED if replicas == 2 else tf.distribute.get_strategy()
    with strategy.scope():
        model = twin_gan.TwinGAN.from_architecture(TINY, 3, True, presets.Recipe(**recipe))
        model.compile()
    model.fit_stream(stream, steps, stop_after_task=tasks - 1)
    return model


# Of 3 replayed rows in 8 the two halves have other rows, so each replica must know which are its own.
@pytest.mark.program
@pytest.mark.parametrize(
    "recipe",
    [
        pytest.param({}, marks=pytest.mark.campaign("workers")),
        {
            **{"n_critic": 2, "ema": 0.9, "student_replay": "share", "replay_share": "0.375"},
            **{"student_ema": 0.9, "student_distillation": 0.3},
        },
        pytest.param({"distillation": 0.3, "domain_dim": 4}, marks=pytest.mark.campaign("workers")),
    ],
)
def test_two_replicas_equal_one_over_two_tasks_and_a_role_swap(tiny_stream, recipe):
    one, two = (_trained(tiny_stream(tasks=2), replicas, **recipe) for replicas in (1, 2))
    assert int(one.task_index.numpy()) == int(two.task_index.numpy()) == 2
    assert int(two.global_step.numpy()) == 10
    for a, b in zip(one.weights, two.weights, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), atol=1e-6, err_msg=a.path)


@pytest.mark.program
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


@pytest.mark.program
def test_replicas_share_out_the_past_domains_of_one_batch(tiny_model):
    with MIRRORED.scope():
        two = twin_gan.TwinGAN.from_architecture(TINY, recipe=presets.Recipe(domain_dim=4))
    one = tiny_model(domain_dim=4)
    for model in (one, two):
        model.task_index.assign(3)
        model.task_step.assign(5)
        model.global_rows = 8
    shares = MIRRORED.run(lambda: two._past_domains(0, 4)).values
    np.testing.assert_array_equal(np.concatenate([s.numpy() for s in shares]), one._past_domains(0, 8))


@pytest.mark.program
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


def test_a_layout_that_cannot_be_had_is_refused_in_a_sentence(monkeypatch):
    for name in ("TF_CONFIG", "SLURM_PROCID"):
        monkeypatch.delenv(name, raising=False)
    for arguments, sentence in (
        (("two",), "distribution is 'two'; it must be one of one, mirrored, multi_worker"),
        (("one", 2), "replicas is 2, which belongs to distribution 'mirrored'"),
        (("mirrored",), "found no GPU; use 'one', or give the number of replicas"),
        (("multi_worker",), "neither TF_CONFIG nor a SLURM job; see docs/distributed.md"),
    ):
        with pytest.raises(ValueError, match=sentence):
            distribution.strategy(*arguments)


@pytest.mark.parametrize(
    "text",
    [
        "no json",
        "[]",
        "{}",
        json.dumps({"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}),
        json.dumps({"cluster": {"worker": ["a:1"]}, "task": {"type": "chief", "index": 0}}),
    ],
)
def test_a_broken_tf_config_is_refused_in_a_sentence(text, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(ValueError, match="TF_CONFIG names no cluster of workers .*distributed.md"):
        distribution.strategy("multi_worker")


def test_slurm_names_the_workers_with_and_without_gpus(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    for name, value in {
        "PROCID": "3",
        "STEP_NUM_TASKS": "4",
        "STEP_NODELIST": "node[1-2]",
        "STEP_TASKS_PER_NODE": "2(x2)",
    }.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    for smi in (None, "/usr/bin/nvidia-smi"):
        monkeypatch.setattr(distribution.shutil, "which", lambda name, smi=smi: smi)
        if smi:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
            module = sys.modules[tf.distribute.cluster_resolver.SlurmClusterResolver.__module__]
            monkeypatch.setattr(module, "get_num_gpus", lambda: 4)
        found = distribution._cluster()
        workers = ["node1:8888", "node1:8889", "node2:8888", "node2:8889"]
        assert found.cluster_spec().as_dict() == {"worker": workers}
        assert (found.task_type, found.task_id) == ("worker", 3)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "2,3"  # its half of the GPUs of its node


def test_one_process_is_its_own_chief_and_agrees_with_itself():
    for strategy in (tf.distribute.get_strategy(), MIRRORED):
        assert distribution.is_chief(strategy) and distribution.workers(strategy) == 1
        assert distribution.total(strategy, 7) == 7
        assert range(8)[distribution.own_rows(strategy, 8)] == range(8)


def test_workers_take_neighbouring_rows_and_elements_of_as_many_steps_as_there_are_workers(monkeypatch):
    monkeypatch.setattr(distribution, "workers", lambda strategy: 2)
    own = []
    for place in (0, 1):
        monkeypatch.setattr(distribution, "place", lambda strategy: place)
        own.append(range(8)[distribution.own_rows(MIRRORED, 8)])
    assert own == [range(0, 4), range(4, 8)]
    steps = tf.data.Dataset.range(10).map(lambda step: 100 * step + tf.range(4, dtype=tf.int64))
    elements = distribution.as_elements(steps, 8)
    assert elements.element_spec.shape == [8] and elements.cardinality() == tf.data.INFINITE_CARDINALITY
    np.testing.assert_array_equal(next(iter(elements)), [0, 1, 2, 3, 100, 101, 102, 103])


def test_keras_gets_the_scalars_of_a_step_of_several_workers_as_one_tensor(tiny_model, monkeypatch):
    monkeypatch.setattr(distribution, "workers", lambda strategy: 2)
    packed = tiny_model().end_step(
        {"a/loss": tf.constant(1.5), "b": tf.constant(-2.0)}, {"c": tf.constant(3)}
    )
    (value,) = packed.values()
    assert value.shape == (1, 3)
    means = {name: tf.reduce_mean(value, axis=0) for name, value in packed.items()}  # as Keras does
    read = distribution.unpacked(means | {"own": tf.constant(4.0)})
    assert {name: float(value) for name, value in read.items()} == {
        "a/loss": 1.5,
        "b": -2.0,
        "c": 3.0,
        "own": 4.0,
    }
    assert distribution.unpacked(None) == {}


_FAULTS = """
import ctypes, resource, sys
import numpy as np
from ltgans_tf.training import distribution
if sys.argv[1] == "kept":
    distribution._keep_freed_memory()
ctypes.CDLL(None).mallopt(-1, 128 * 1024)  # as TensorFlow's generator_dataset_op.cc does: M_TRIM_THRESHOLD
for _ in range(10):
    np.ones(2**18)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    np.ones(2**18)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.program
@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="the C library is not glibc")
def test_a_worker_keeps_the_memory_that_a_step_frees():
    def faults(how):
        command = [sys.executable, "-c", _FAULTS, how]
        return int(
            subprocess.run(
                command, cwd=source_imports.ROOT, capture_output=True, text=True, check=True
            ).stdout
        )

    assert faults("kept") < 100 < 10 * 2**21 / 4096 / 2 < faults("as it was")


def test_an_error_of_a_collective_is_told_as_such_among_several_workers_alone(monkeypatch):
    with pytest.raises(tf.errors.UnavailableError), distribution.all_workers(MIRRORED):
        raise tf.errors.UnavailableError(None, None, "gone")
    monkeypatch.setattr(distribution, "workers", lambda strategy: 2)
    with pytest.raises(
        distribution.WorkerLostError, match=r"another worker .* start all workers again .*gone"
    ):
        with distribution.all_workers(MIRRORED):
            raise tf.errors.UnavailableError(None, None, "gone")


@pytest.mark.parametrize("others", [["a"], ["a", "b", "a"], ["b", "b", "b"], ["b", "c"]])
def test_workers_that_differ_are_told_in_what(monkeypatch, others):
    """Each of the workers in turn is this process; of the others what they would ask for is known."""
    all_alike = {"code": "same", "settings": others}
    for own in range(len(others)):
        numbers = []

        def total(strategy, number):
            del strategy
            if isinstance(number, bool):  # whether the sum is not that of equal workers
                return sum(n * len(others) != sum(numbers[-1]) for n in numbers[-1])
            texts = others if len(numbers) % 2 else ["same"] * len(others)
            numbers.append([int(distribution.hashlib.sha256(t.encode()).hexdigest()[:12], 16) for t in texts])
            assert number == numbers[-1][own]
            return sum(numbers[-1])

        monkeypatch.setattr(distribution, "workers", lambda strategy: len(others))
        monkeypatch.setattr(distribution, "total", total)
        facts = {"code": all_alike["code"], "settings": others[own]}
        if len(set(others)) == 1:
            distribution.check_alike(None, facts)
        else:
            with pytest.raises(ValueError, match="the workers of this run differ in: settings; start all"):
                distribution.check_alike(None, facts)
