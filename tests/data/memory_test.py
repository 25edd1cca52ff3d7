"""Arrays and datasets as tasks: what is read, how it is split, that a shuffle changes nothing, what is refused."""

import numpy as np
import pytest
import tensorflow as tf

from ltgans_tf.data import datasets, streams
from ltgans_tf.methods import twin_gan
from ltgans_tf.settings import presets
from tests.tiny import TINY

SHAPE = (8, 8, 3)


def _images(count=100, seed=0, side=8, channels=3):
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, channels), dtype=np.uint8)


def _stream(*tasks, **settings):
    return streams.TaskStream(list(tasks), SHAPE, 4, **settings)


def _set(images):
    return {image.tobytes() for image in images}


def test_an_array_is_a_task_of_which_a_tenth_is_the_test_part():
    images = _images()
    task = _stream(("cats", images)).tasks[0]
    train, test = task.train_images(), task.test_images()
    assert task.name == "cats" and task.spec.text == "memory:cats"
    assert _set(train) | _set(test) == _set(images) and not _set(train) & _set(test)
    assert 2 <= len(test) <= 25 and task.train_labels() is None
    assert next(iter(task.batches())).shape == (4, 1, *SHAPE)


def test_order_and_split_follow_from_the_images_and_not_from_their_places():
    images, labels = _images(), np.arange(100) % 7
    order = np.random.default_rng(1).permutation(100)
    one = _stream(("a", (images, labels))).tasks[0]
    two = _stream(("a", (images[order], labels[order]))).tasks[0]
    for part in ("train", "test"):
        np.testing.assert_array_equal(*(getattr(task, f"{part}_images")() for task in (one, two)))
        np.testing.assert_array_equal(*(getattr(task, f"{part}_labels")() for task in (one, two)))
    assert one.fingerprint == two.fingerprint
    label_of = {image.tobytes(): label for image, label in zip(images, labels)}
    assert [label_of[image.tobytes()] for image in one.train_images()] == one.train_labels().tolist()
    changed = images.copy()
    changed[0] ^= 1
    assert _stream(("a", changed)).tasks[0].fingerprint != one.fingerprint


@pytest.mark.parametrize("batch", [None, 7])
def test_a_dataset_is_the_task_of_its_images_however_it_shuffles(batch):
    images, labels = _images(), np.arange(100) % 7
    dataset = tf.data.Dataset.from_tensor_slices((images, labels)).shuffle(100, seed=3)
    dataset = dataset if batch is None else dataset.batch(batch)
    task, same = _stream(("a", dataset)).tasks[0], _stream(("a", (images, labels))).tasks[0]
    np.testing.assert_array_equal(task.train_images(), same.train_images())
    np.testing.assert_array_equal(task.train_labels(), same.train_labels())
    assert task.fingerprint == same.fingerprint and task.test_fingerprint == same.test_fingerprint


def test_images_are_brought_to_the_shape_of_the_stream():
    grey = _images(10, side=16, channels=1)
    for given in (grey, grey[..., 0], tf.data.Dataset.from_tensor_slices(grey)):
        made = _stream(("a", given)).tasks[0].train_images()
        assert made.shape[1:] == SHAPE and made.dtype == np.uint8
        assert (made[..., 0] == made[..., 2]).all()


def test_a_dict_and_a_list_with_specs_are_streams_too():
    arrays = {"one": _images(10), "two": _images(10, 1)}
    assert [task.name for task in streams.TaskStream(arrays, SHAPE, 4).tasks] == ["one", "two"]
    mixed = _stream("digits", ("mine", arrays["one"]))
    assert [task.name for task in mixed.tasks] == ["digits", "mine"]
    assert mixed.get_settings()["specs"] == ["digits", "memory:mine"]


@pytest.mark.parametrize(
    "task, sentence",
    [
        (
            ("a", np.zeros((4, 8, 8, 3), np.float32)),
            r"got float32 \[4, 8, 8, 3\]; of images in \[0, 1\] make",
        ),
        (
            ("a", np.zeros((4, 8, 8, 2), np.uint8)),
            r"with 1, 3 or 4 channels and n > 0, got uint8 \[4, 8, 8, 2\]",
        ),
        (("a", np.zeros((0, 8, 8, 3), np.uint8)), r"n > 0, got uint8 \[0, 8, 8, 3\]"),
        (("a", (_images(4), [0, 1])), "labels of task 'a' must be 4 integers"),
        (("a", 5), "Task 'a' is int; give a uint8 array"),
        (("a/b", _images(4)), "letters, digits, '_', '.' and '-', got 'a/b'"),
        ((5, _images(4)), "got 5"),
        ("memory:a", r"pass them again, as the pair \('a', images\)"),
    ],
)
def test_what_is_no_task_is_refused_at_once(task, sentence):
    with pytest.raises(ValueError, match=sentence):
        _stream(task)


def test_two_tasks_of_one_name_are_refused():
    with pytest.raises(ValueError, match="Two tasks have the name 'a'"):
        _stream(("a", _images(4)), ("a", _images(4, 1)))


def test_images_without_a_name_are_refused():
    for tasks in ([_images(4), _images(4)], [tf.data.Dataset.from_tensor_slices(_images(4))]):
        with pytest.raises(ValueError, match="A task of the stream is .*; images need a name: give {'cats'"):
            _stream(*tasks)
    with pytest.raises(ValueError, match="A stream needs a list of one or more tasks .* got ndarray"):
        streams.TaskStream(_images(4), (8, 8, 3), 2)


def test_what_a_dataset_turns_out_to_be_is_told(monkeypatch):
    monkeypatch.setattr(datasets, "MEMORY_LIMIT_BYTES", 50 * 8 * 8 * 3)
    large = tf.data.Dataset.from_tensor_slices(_images(60))
    with pytest.raises(ValueError, match="has more than 0 MiB of images; .*does it repeat without end"):
        _stream(("a", large)).tasks[0].train_images()
    with pytest.raises(ValueError, match="The dataset of task 'a' repeats without end; leave its repeat"):
        _stream(("a", large.repeat())).tasks[0].train_images()
    by_name = large.map(lambda image: {"image": image})
    with pytest.raises(ValueError, match=r"has elements of type dict; give images or \(image, label\)"):
        _stream(("a", by_name)).tasks[0].train_images()
    floats = tf.data.Dataset.from_tensor_slices(np.zeros((3, 8, 8, 3), np.float32))
    with pytest.raises(ValueError, match="must be uint8"):
        _stream(("a", floats)).tasks[0].train_images()
    with pytest.raises(ValueError, match="The dataset of task 'a' is empty"):
        _stream(("a", tf.data.Dataset.from_tensor_slices(_images(2)).take(0))).tasks[0].train_images()
    with pytest.raises(ValueError, match="has one image; give two or more"):
        _stream(("a", _images(1))).tasks[0].train_images()


@pytest.mark.program
def test_a_run_goes_on_with_arrays_and_without_those_that_are_learnt(tmp_path):
    first, second = _images(40), _images(40, 1)

    def learn(tasks, unchecked=0):
        stream = streams.TaskStream(tasks, (8, 8, 3), 4, unchecked=unchecked)
        model = twin_gan.TwinGAN.from_architecture(TINY, recipe=presets.Recipe(domain_dim=4), student=False)
        model.compile()
        model.fit_stream(
            stream, 2, str(tmp_path / "run"), callbacks=[], stop_after_task=None if unchecked else 0
        )
        return model

    learn([("one", first), ("two", second)])
    model = learn(["memory:one", ("two", second)], unchecked=1)
    assert int(model.global_step.numpy()) == 4 and model.domain_names == ["one", "two"]
    with pytest.raises(ValueError, match=r"pass them again, as the pair \('one', images\)"):
        _stream("memory:one", ("two", second), unchecked=1).tasks[0].train_images()
