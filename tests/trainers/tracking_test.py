"""What mlflow gets of a run, in a store of its own on this disk: all of it once, also after a crash."""

import importlib
import importlib.util
import json
import os

import keras
import pytest

from ltgans_tf.evaluation import evaluation
from ltgans_tf.files import metrics_log
from ltgans_tf.methods import twin_gan
from ltgans_tf.settings import presets
from ltgans_tf.trainers import tracking
from ltgans_tf.training import boundaries, callbacks
from tests.tiny import TINY, make_stream


@pytest.fixture
def mlflow(monkeypatch):
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.delenv(name, raising=False)
    return pytest.importorskip("mlflow", reason="mlflow is not installed (requirements-exits.txt)")


class _Crash(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        if self.model.global_step.numpy() == 5:
            raise KeyboardInterrupt


def _train(workdir, stream, more=()):
    """Two tasks of four steps with a point after each, checkpoints after steps 2, 4 and so on."""
    tracker = tracking.Mlflow(workdir)
    model = twin_gan.TwinGAN.from_architecture(TINY, recipe=presets.Recipe(student_optimizer="adam(0.001)"))
    model.compile()
    watch = keras.callbacks.LambdaCallback(on_train_begin=tracker.begin, on_train_batch_end=tracker.step)
    scores = boundaries.BoundaryScores(evaluation.Evaluator(parts=("likelihood",)))
    finished = model.fit_stream(
        stream,
        4,
        workdir,
        [*callbacks.default_callbacks(workdir, log_every=1), watch, *more],
        [boundaries.BoundarySamples(), scores, tracker.boundary],
        checkpoint_every=2,
    )
    tracker.end(finished)


def _kept(mlflow, workdir, store=None):
    """(client, the one run of the store)."""
    client = mlflow.MlflowClient(store or f"sqlite:///{workdir}/mlflow.db")
    (run,) = client.search_runs([e.experiment_id for e in client.search_experiments()])
    return client, run


@pytest.mark.program
def test_a_run_goes_on_in_the_same_run_of_mlflow_after_a_crash(mlflow, tmp_path):
    workdir, stream = str(tmp_path / "run"), make_stream(tmp_path, tasks=2)
    with pytest.raises(KeyboardInterrupt):
        _train(workdir, stream, [_Crash()])
    client, run = _kept(mlflow, workdir)
    assert run.info.status == "RUNNING" and run.info.run_name == "run"
    assert [m.step for m in client.get_metric_history(run.info.run_id, "critic/wasserstein")] == [
        1,
        2,
        3,
        4,
        5,
    ]

    _train(workdir, stream)  # from step 4, so that step 5 is taken twice
    client, run = _kept(mlflow, workdir)
    assert run.info.status == "FINISHED"
    assert run.data.params["model.method"] == "ltgan" and run.data.params["steps_per_task"] == "4"
    points = metrics_log.read(os.path.join(workdir, metrics_log.NAME))
    for name in ("critic/wasserstein", "student/loss"):
        found = [(m.step, m.value) for m in client.get_metric_history(run.info.run_id, name)]
        assert found == [(point["step"], pytest.approx(point[name])) for point in points] and len(found) == 8
    for index in range(2):
        with open(os.path.join(workdir, f"eval/task_{index:02d}/scores.json"), encoding="utf-8") as file:
            row = json.load(file)
        for task, scores in row["scores"].items():
            sent = client.get_metric_history(run.info.run_id, f"scores/nlog/{task}")
            at = {m.step: m.value for m in sent}
            assert len(at) == len(sent) and at[row["step"]] == pytest.approx(scores["nlog"])
        (picture,) = client.list_artifacts(run.info.run_id, f"samples/task_{index:02d}")
        assert picture.path.endswith("boundary.png") and picture.file_size > 100


@pytest.mark.program
def test_what_could_not_be_sent_is_sent_later(mlflow, tmp_path, monkeypatch, caplog):
    workdir, stream = str(tmp_path / "run"), make_stream(tmp_path, tasks=1)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/elsewhere.db")
    client_class = importlib.import_module("mlflow").MlflowClient
    send, fails = client_class.log_batch, iter([False] * 3 + [True] * 2 + [False] * 50)

    def flaky(self, *args, **kwargs):
        if kwargs.get("metrics") and next(fails):
            raise mlflow.MlflowException("the store is away")
        return send(self, *args, **kwargs)

    monkeypatch.setattr(client_class, "log_batch", flaky)
    monkeypatch.chdir(tmp_path)  # mlflow puts the pictures of such a store there
    _train(workdir, stream)
    assert caplog.text.count("the store is away") == 2
    client, run = _kept(mlflow, workdir, f"sqlite:///{tmp_path}/elsewhere.db")
    assert [m.step for m in client.get_metric_history(run.info.run_id, "critic/wasserstein")] == [1, 2, 3, 4]
    assert not os.path.exists(os.path.join(workdir, "mlflow.db"))


@pytest.mark.program
def test_a_run_that_the_store_does_not_have_is_refused(mlflow, tmp_path):
    (tmp_path / "mlflow_run").write_text("0123456789abcdef0123456789abcdef\n")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(
        ValueError, match="^mlflow cannot keep this run: .*not found.*mlflow_run names the run; remove it"
    ):
        tracking.Mlflow(str(tmp_path)).begin()


@pytest.mark.program
def test_a_stop_in_the_first_task_ends_the_run_there(mlflow, tmp_path):
    (tmp_path / "config.json").write_text('{"steps_per_task": 4}')
    (tmp_path / "metrics.jsonl").write_text('{"step": 2, "critic/loss": 0.5}\n{"step": 3, "crit')
    tracker = tracking.Mlflow(str(tmp_path))
    tracker.begin()
    tracker.end(finished=False)
    client, run = _kept(mlflow, tmp_path)
    assert run.info.status == "KILLED" and run.data.metrics == {"critic/loss": 0.5}


def test_names_are_those_that_mlflow_allows():
    assert tracking._name("scores/nlog/cats&dogs (1)") == "scores/nlog/cats_dogs _1_"


def test_a_missing_mlflow_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r'^--tracker=mlflow needs mlflow: pip install "mlflow==3.17.\*"$'):
        tracking.Mlflow(str(tmp_path))
    assert not os.listdir(tmp_path)
