"""Scores of the first task during training: of which images, with which weights, and without images."""

import json

import pytest

from ltgans_tf.data import images
from ltgans_tf.evaluation import likelihood
from ltgans_tf.training import callbacks, first_task
from tests.tiny import make_model, make_stream


def _expected(model, stream, seed=0):
    found = likelihood.nlog(model.student, images.normalize(stream.tasks[0].test_images()), seed=seed)
    return {"first_task/elbo": found["elbo"], "first_task/sse": found["sse"]}


@pytest.mark.program
def test_points_have_the_scores_of_the_first_task_with_the_weights_of_their_step(tmp_path):
    stream, model, workdir = make_stream(tmp_path, tasks=2), make_model(), tmp_path / "run"
    before = _expected(model, stream)
    scored = first_task.FirstTask(stream)
    watchers = callbacks.default_callbacks(str(workdir), log_every=2, measure=scored)
    model.fit_stream(stream, 4, str(workdir), watchers, [])
    points = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    assert [point["step"] for point in points] == [1, 2, 4, 6, 8]
    found = [{name: point[name] for name in before} for point in points]
    assert found[-1] == pytest.approx(_expected(model, stream), rel=1e-5)
    assert len({values["first_task/elbo"] for values in [*found, before]}) == 6  # it changes with the weights


def test_the_images_are_those_of_the_first_task_whatever_is_learnt_and_are_read_once(tmp_path):
    stream, model = make_stream(tmp_path, tasks=2), make_model()
    model.task, scored = stream.tasks[1], first_task.FirstTask(stream, seed=3)
    assert scored(model) == pytest.approx(_expected(model, stream, seed=3), rel=1e-6)
    (tmp_path / "set0.npz").unlink()
    stream.tasks[0].release()
    assert len(scored(model)) == 2


def test_images_that_are_gone_are_told_once_and_stop_nothing(tmp_path, caplog):
    stream, model = make_stream(tmp_path, tasks=2), make_model()
    model.task, scored = stream.tasks[1], first_task.FirstTask(stream)
    (tmp_path / "set0.npz").unlink()
    assert scored(model) == scored(model) == {}
    assert (
        caplog.text.count("The first task is not scored during training: ") == 1 and "set0.npz" in caplog.text
    )


def test_a_model_without_a_student_is_refused(tmp_path):
    with pytest.raises(ValueError, match="the model has no Student; leave it out"):
        first_task.FirstTask(make_stream(tmp_path, tasks=1))(make_model(student=False))
