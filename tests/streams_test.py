"""The order of a stream: endless, shuffled, resumable, and a function of nothing but seed, task and step."""

import numpy as np
import pytest
import tensorflow as tf

from ltgans_tf import streams


@pytest.fixture(name="data_dir")
def _data_dir(tmp_path):
    """Sets whose images carry their own number: every pixel of image i is i."""
    for name, count in (("ten", 10), ("fifty", 50), ("one", 1)):
        numbers = np.broadcast_to(np.arange(count, dtype=np.uint8)[:, None, None], (count, 8, 8))
        np.savez(
            tmp_path / f"{name}.npz",
            train_images=numbers,
            test_images=numbers[::-1],
            train_labels=np.arange(count) // 5,
            test_labels=np.arange(count)[::-1] // 5,
        )
    return tmp_path


def _stream(specs, data_dir, **options):
    options = {"image_shape": (8, 8, 1), "batch_size": 4, **options}
    return streams.TaskStream(specs, data_dir=data_dir, **options)


def _numbers(dataset, steps):
    """int [steps, B, n]: which image is where."""
    return np.stack([element[:, :, 0, 0, 0] for element in dataset.take(steps).as_numpy_iterator()])


def test_element_has_batch_first_and_uint8(data_dir):
    dataset = _stream(["ten"], data_dir, image_shape=(8, 8, 3)).tasks[0].batches(updates_per_step=3)
    assert dataset.element_spec == tf.TensorSpec((4, 3, 8, 8, 3), tf.uint8)


def test_each_epoch_is_a_permutation_across_batches(data_dir):
    order = _numbers(_stream(["ten"], data_dir).tasks[0].batches(), 25).ravel().reshape(10, 10)
    np.testing.assert_array_equal(np.sort(order, axis=1), np.broadcast_to(np.arange(10), (10, 10)))
    assert len({tuple(epoch) for epoch in order}) == 10


def test_layout_of_critic_updates_follows_the_order(data_dir):
    task = _stream(["fifty"], data_dir).tasks[0]
    flat = _numbers(task.batches(), 12).ravel()
    stacked = _numbers(task.batches(updates_per_step=3), 4)
    np.testing.assert_array_equal(stacked.transpose(0, 2, 1).ravel(), flat)


def test_resume_goes_on_where_it_stopped(data_dir):
    task = _stream(["ten"], data_dir).tasks[0]
    whole = _numbers(task.batches(0, 2), 9)
    np.testing.assert_array_equal(_numbers(task.batches(5, 2), 4), whole[5:])


def test_order_depends_on_seed_and_task_alone(data_dir):
    def order(seed, index):
        return _numbers(_stream(["fifty", "fifty"], data_dir, seed=seed).tasks[index].batches(), 12).tolist()

    assert order(1, 0) == order(1, 0)
    assert order(1, 0) != order(2, 0)
    assert order(1, 0) != order(1, 1)
    assert order(1, 2 - 1) != order(2, 0)


def test_first_positions_are_spread_over_the_data(data_dir):
    first = np.concatenate(
        [_numbers(_stream(["fifty"], data_dir, seed=s).tasks[0].batches(), 2).ravel() for s in range(20)]
    )
    assert abs(first.mean() - 24.5) < 6 and len(set(first)) > 40


def test_one_image_is_enough_for_a_batch(data_dir):
    assert _numbers(_stream(["one"], data_dir).tasks[0].batches(3), 2).shape == (2, 4, 1)


def test_parts_are_joined_and_restricted_to_their_split(data_dir):
    task = _stream(["ten@0?train+fifty@9?train+ten?test"], data_dir).tasks[0]
    assert sorted(task.train_images()[:, 0, 0, 0]) == [0, 1, 2, 3, 4, 45, 46, 47, 48, 49]
    assert task.num_train == 10 and task.num_test == 10
    np.testing.assert_array_equal(task.test_labels(), task.test_images()[:, 0, 0, 0] // 5)


def test_limit_takes_the_same_images_whatever_the_seed(data_dir):
    few = [_stream(["fifty"], data_dir, seed=s).tasks[0] for s in (0, 1)]
    np.testing.assert_array_equal(few[0].test_images(7), few[1].test_images(7))
    assert len(np.unique(few[0].test_images(7)[:, 0, 0, 0])) == 7
    np.testing.assert_array_equal(few[0].test_labels(7), few[0].test_images(7)[:, 0, 0, 0] // 5)
    assert len(few[0].test_images(1000)) == 50


def test_nothing_is_read_before_it_is_asked_for(data_dir):
    stream = _stream(["ten"], data_dir)
    (data_dir / "ten.npz").write_bytes(b"broken")
    with pytest.raises(ValueError, match="ten.npz"):
        stream.tasks[0].batches()


def test_released_task_reads_the_same_again(data_dir):
    task = _stream(["ten"], data_dir).tasks[0]
    before, fingerprint = _numbers(task.batches(), 3), task.fingerprint
    task.release()
    np.testing.assert_array_equal(_numbers(task.batches(), 3), before)
    assert task.fingerprint == fingerprint


def test_fingerprint_tells_data_apart(data_dir):
    stream = _stream(["ten", "fifty", "ten@0", "ten?invert"], data_dir)
    assert len({task.fingerprint for task in stream.tasks}) == 4


def test_names_are_unique_and_fit_for_files(data_dir):
    stream = _stream(["ten", "ten", "ten@0-1?invert", f"npz:{data_dir}/fifty.npz"], data_dir)
    names = [task.name for task in stream.tasks]
    assert names == ["ten", "ten-2", "ten_0-1_invert", "fifty.npz"] and len(stream) == 4


def test_replicas_share_a_batch(data_dir):
    devices = tf.config.list_logical_devices("CPU")
    strategy = tf.distribute.MirroredStrategy([device.name for device in devices])
    dataset = strategy.experimental_distribute_dataset(_stream(["fifty"], data_dir).tasks[0].batches(2, 3))
    parts = strategy.experimental_local_results(next(iter(dataset)))
    together = tf.concat(parts, 0).numpy()[:, :, 0, 0, 0]
    np.testing.assert_array_equal(
        together, _numbers(_stream(["fifty"], data_dir).tasks[0].batches(2, 3), 1)[0]
    )


@pytest.mark.parametrize(
    "options, word",
    [
        ({"batch_size": 0}, "batch_size"),
        ({"batch_size": 2.0}, "batch_size"),
        ({"batch_size": True}, "batch_size"),
        ({"seed": -1}, "seed"),
        ({"fit": "squeeze"}, "fit"),
        ({"image_shape": (32, 32, 2)}, "image_shape"),
        ({"image_shape": (32, 32)}, "image_shape"),
        ({"image_shape": (2, 32, 3)}, "image_shape"),
    ],
)
def test_wrong_arguments_are_refused(options, word, data_dir):
    with pytest.raises(ValueError, match=word):
        _stream(["ten"], data_dir, **options)


@pytest.mark.parametrize("specs", [[], "ten", ["tem"]])
def test_wrong_specs_are_refused(specs, data_dir):
    with pytest.raises(ValueError):
        _stream(specs, data_dir)
