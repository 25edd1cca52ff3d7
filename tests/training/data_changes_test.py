"""A run goes on with the images that it began with, or says that it does not."""

import types

import numpy as np
import pytest

from ltgans_tf.evaluation import evaluation, references, row, task_images
from ltgans_tf.training import boundaries, checkpoints, data_changes
from tests.tiny import make_model, make_stream


class _Model:
    """What `note` asks of a model."""

    distribute_strategy = None

    def __init__(self, done, **data_read):
        self.data_read = data_read
        self.task_step = types.SimpleNamespace(numpy=lambda: done)


def _task(name, fingerprint, is_open=True):
    return types.SimpleNamespace(name=name, fingerprint=fingerprint, is_open=is_open)


def test_images_that_changed_in_the_middle_of_a_task_are_refused(caplog):
    cats, model = _task("cats", "new"), _Model(5, cats=["old"])
    with pytest.raises(
        ValueError, match="training images of task 'cats' are not .*go on with accept_changed_data"
    ):
        data_changes.note(model, cats, [cats])
    assert model.data_read == {"cats": ["old"]} and not caplog.records
    data_changes.note(model, cats, [cats], accept=True)
    assert model.data_read == {"cats": ["old", "new"]} and "'cats'" in caplog.text
    data_changes.note(model, cats, [cats])
    assert model.data_read == {"cats": ["old", "new"]}


def test_a_task_that_begins_anew_may_have_other_images():
    cats, model = _task("cats", "new"), _Model(0, cats=["old"])
    data_changes.note(model, cats, [cats])
    assert model.data_read == {"cats": ["new"]}


def test_images_of_an_earlier_task_that_are_learnt_from_again_are_warned_of(caplog):
    """As by `joint`, which is an upper bound."""
    cats, dogs, model = _task("cats", "new"), _task("dogs", "dogs"), _Model(5, cats=["old"], dogs=["dogs"])
    unread = types.SimpleNamespace(name="later", is_open=False)
    data_changes.note(model, dogs, [cats, dogs, unread])
    assert model.data_read == {"cats": ["old", "new"], "dogs": ["dogs"]} and "'cats'" in caplog.text


def _task_images(task, kept=None):
    images = np.zeros((2, 4, 4, 3), np.uint8)
    task = types.SimpleNamespace(
        name=task,
        index=0,
        test_images=lambda most: images,
        test_labels=lambda most: None,
        test_factors=lambda most: {},
        train_images=lambda most: images,
        num_train=2,
        num_test=2,
        fingerprint="train",
        test_fingerprint="test",
    )
    reference = references.Reference(task.name, {}, kept) if kept is not None else None
    return task_images.TaskImages(task, 2, 2, True, reference, False)


def test_a_row_notes_what_changed():
    assert _task_images("cats", {"test_fingerprint": "test"}).changes(["train"]) == []
    assert _task_images("cats").changes([]) == []
    (note,) = _task_images("cats").changes(["other"])
    assert "training images of cats are not those that it was learnt from" in note
    (note,) = _task_images("cats", {"test_fingerprint": "other"}).changes(["train"])
    assert "test images of cats are not those of its first row" in note
    (note,) = _task_images("cats").changes(["other", "train"])
    assert "changed while it was learnt" in note


@pytest.mark.program
def test_a_run_whose_images_change_is_refused_or_notes_it(tmp_path):
    stream, workdir = make_stream(tmp_path, tasks=2), str(tmp_path / "run")
    scores = boundaries.BoundaryScores(evaluation.Evaluator(parts=("likelihood", "distances"), samples=20))

    def learn(model, stream, steps=4, **options):
        return model.fit_stream(stream, steps, workdir, [], [scores], checkpoint_every=2, **options)

    def change(index, split):
        path = tmp_path / f"set{index}.npz"
        with np.load(path) as stored:
            arrays = {name: stored[name] for name in stored.files}
        arrays[f"{split}_images"] = 255 - arrays[f"{split}_images"]
        np.savez(path, **arrays)

    learn(make_model(), stream, stop_after_task=0)
    change(0, "train")
    change(0, "test")
    again = make_model()
    original = again.raise_if_nonfinite

    def stop(*arguments, **options):
        original(*arguments, **options)
        if int(again.task_index.numpy()) == 1 and int(again.task_step.numpy()) == 2:
            again.stop_requested = True

    again.raise_if_nonfinite = stop
    assert not learn(again, make_stream(tmp_path, tasks=2))
    assert again.data_read["set1.npz"] == [make_stream(tmp_path, tasks=2).tasks[1].fingerprint]
    change(1, "train")
    before = sorted(checkpoints.checkpoints(workdir))
    with pytest.raises(ValueError, match="task 'set1.npz' are not those that it was begun with"):
        learn(make_model(), make_stream(tmp_path, tasks=2))
    assert sorted(checkpoints.checkpoints(workdir)) == before
    assert learn(make_model(), make_stream(tmp_path, tasks=2), accept_changed_data=True)
    notes = row.read_rows(workdir)[-1].notes
    assert [note.split(" of ")[0] for note in notes] == [
        "The training images",
        "The test images",
        "The training images",
    ]
    assert "set1.npz changed while it was learnt" in notes[-1]
