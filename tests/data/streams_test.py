"""The order of a stream: endless, shuffled, resumable, and a function of nothing but seed, task and step."""

import shutil

import numpy as np
import pytest
import tensorflow as tf

from ltgans_tf.data import streams
from ltgans_tf.methods import joint


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
            test_number=np.arange(count)[::-1],
            test_place=np.stack([np.arange(count), np.arange(count)[::-1] / 2], axis=1),
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


def test_rows_of_one_worker_are_those_of_the_batch_and_no_others_are_read(data_dir, monkeypatch):
    task = _stream(["ten"], data_dir).tasks[0]
    whole = _numbers(task.batches(0, 3), 5)
    asked, images_at = [], task.images_at
    monkeypatch.setattr(task, "images_at", lambda positions: asked.append(positions) or images_at(positions))
    dataset = task.batches(0, 3, slice(1, 3))
    assert dataset.element_spec == tf.TensorSpec((2, 3, 8, 8, 1), tf.uint8)
    np.testing.assert_array_equal(_numbers(dataset, 5), whole[:, 1:3])
    assert [positions.shape for positions in asked] == [[2 * 3]]


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


def test_with_flips_an_epoch_has_each_image_and_its_mirror_image_once(tmp_path):
    left = np.broadcast_to(np.arange(8, dtype=np.uint8) < 4, (10, 8, 8))  # bright on the left
    shown = np.where(left, np.arange(1, 11, dtype=np.uint8)[:, None, None], 0)
    np.savez(tmp_path / "halves.npz", train_images=shown, test_images=shown)
    task = _stream(["halves"], tmp_path, horizontal_flips=True).tasks[0]

    def seen(start, steps):
        elements = np.concatenate(list(task.batches(start).take(steps).as_numpy_iterator()))[:, 0, :, :, 0]
        assert (elements == elements[:, :1]).all()  # rows stay rows
        return [(int(row.max()), bool(row[0])) for row in elements[:, 0]]

    whole = seen(0, 20)
    epochs = [whole[start : start + 20] for start in range(0, 80, 20)]
    for epoch in epochs:
        assert sorted(epoch) == [(number, side) for number in range(1, 11) for side in (False, True)]
    assert epochs[0] != epochs[1]
    assert seen(7, 13) == whole[28:]  # a resumed run goes on with the same ones
    np.testing.assert_array_equal(np.sort(task.train_images()[:, 0, 0, 0]), np.arange(1, 11))


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


@pytest.mark.parametrize("limit", [None, 7])
@pytest.mark.parametrize("spec", ["fifty", "fifty@2,5-9", "ten@1+fifty?test"])
def test_factors_belong_to_the_images_of_the_same_limit(spec, limit, data_dir):
    task = _stream([spec], data_dir).tasks[0]
    images, factors = task.test_images(limit)[:, 0, 0, 0], task.test_factors(limit)
    assert set(factors) == {"number", "place.0", "place.1"}
    np.testing.assert_array_equal(factors["number"], images)
    np.testing.assert_array_equal(factors["place.1"], images / 2)
    if spec.startswith("fifty"):
        np.testing.assert_array_equal(factors["place.0"], 49 - images.astype(int))


def test_set_without_factors_has_none(data_dir):
    images = np.zeros((3, 8, 8), np.uint8)
    np.savez(data_dir / "plain.npz", train_images=images, test_images=images)
    stream = _stream(["plain", "plain+ten"], data_dir)
    assert [task.test_factors() for task in stream.tasks] == [{}, {}]


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


# Data that is gone.


def _folder_of(path, count=40):
    path.mkdir()
    for i in range(count):
        tf.io.write_file(f"{path}/{i}.png", tf.io.encode_png(np.full((8, 8, 1), i, np.uint8)))


def test_stream_is_built_without_the_data_of_its_first_tasks(data_dir):
    _folder_of(data_dir / "pictures")
    given = ["ten", f"folder:{data_dir}/pictures", f"npz:{data_dir}/one.npz", "fifty"]
    before = _stream(given, data_dir)
    settings = before.get_settings()
    (data_dir / "ten.npz").unlink()
    (data_dir / "one.npz").unlink()
    shutil.rmtree(data_dir / "pictures")
    after = _stream(given, data_dir, unchecked=3)
    assert [task.name for task in after.tasks] == [task.name for task in before.tasks]
    assert after.get_settings() == settings
    assert after.tasks[3].num_train == 50
    for n in range(3):
        with pytest.raises(ValueError, match=["'ten'", "pictures", "one.npz"][n]):
            _stream(given, data_dir, unchecked=n)


@pytest.mark.parametrize(
    "spec, gone",
    [
        ("npz:{0}/lost.npz", "{0}/lost.npz"),
        ("folder:{0}/lost@1", "{0}/lost"),
        ("lost", "lost.npz (data_dir is {0})"),
        ("ten+npz:{0}/lost.npz", "{0}/lost.npz"),
    ],
)
def test_task_says_which_data_is_gone(spec, gone, data_dir):
    task = _stream(["ten", spec.format(data_dir)], data_dir, unchecked=2).tasks[1]
    path, name = gone.format(data_dir), task.name
    sentence = f"{path} is not there any more; put it back to read the images of task '{name}'."
    asked = [
        task.batches,
        task.train_images,
        task.test_images,
        task.test_labels,
        task.test_factors,
        lambda: task.num_test,
        lambda: task.fingerprint,
    ]
    for ask in asked:
        with pytest.raises(ValueError) as error:
            ask()
        assert str(error.value) == sentence


def test_test_part_outlives_the_training_part(data_dir):
    _folder_of(data_dir / "old")
    spec = f"ten?test+folder:{data_dir}/old?train"
    assert _stream([spec], data_dir).tasks[0].num_train > 30
    shutil.rmtree(data_dir / "old")
    task = _stream([spec], data_dir, unchecked=1).tasks[0]
    assert len(task.test_images()) == 10
    with pytest.raises(ValueError, match="old is not there any more"):
        task.train_images()


def test_data_that_goes_during_a_run_is_missed_once_released(data_dir):
    task = _stream(["ten"], data_dir).tasks[0]
    before = task.test_images()
    (data_dir / "ten.npz").unlink()
    np.testing.assert_array_equal(task.test_images(), before)
    task.release()
    with pytest.raises(ValueError, match="ten.npz .* is not there any more"):
        task.test_images()
    np.savez(data_dir / "ten.npz", test_images=before)
    np.testing.assert_array_equal(task.test_images(), before)


@pytest.mark.parametrize(
    "unchecked, word", [(-1, "unchecked must be"), (True, "unchecked"), (2, "has 1 tasks")]
)
def test_wrong_count_of_unchecked_tasks_is_refused(unchecked, word, data_dir):
    with pytest.raises(ValueError, match=word):
        _stream(["ten"], data_dir, unchecked=unchecked)


def test_unchecked_spec_is_parsed(data_dir):
    with pytest.raises(ValueError, match="'a'"):
        _stream(["lost@a"], data_dir, unchecked=1)


def test_no_autotuning_thread_holds_up_the_end_of_a_task(data_dir):
    """With it the last line of `fit` waited up to half a minute on a busy core."""
    tasks = _stream(["ten", "ten"], data_dir).tasks
    for batches in (tasks[0].batches(), joint.shared_batches(tasks, 0, 4, 1)):
        assert batches.options().autotune.enabled is False


@pytest.fixture(name="pictures")
def _pictures(tmp_path):
    """Two sets that share images, and a folder of the same: every image is random, and so unlike all others."""
    draw = np.random.default_rng(0)
    shown = draw.integers(0, 256, (300, 8, 8, 1), dtype=np.uint8)
    labels = np.arange(300) % 3
    np.savez(
        tmp_path / "first.npz",
        train_images=shown[:200],
        train_labels=labels[:200],
        train_place=np.arange(200),
        test_images=np.zeros((5, 8, 8, 1), np.uint8),
    )
    np.savez(tmp_path / "second.npz", train_images=shown[100:], test_images=np.zeros((5, 8, 8, 1), np.uint8))
    return tmp_path


def _held(task):
    """(training images, images to score on), as sets of bytes."""
    return [{image.tobytes() for image in found} for found in (task.train_images(), task.test_images())]


def test_tuning_holds_a_tenth_out_which_no_task_trains_on(pictures):
    first, second = _stream(["first", "second"], pictures, tuning=True).tasks
    whole = {image.tobytes() for image in _stream(["first"], pictures).tasks[0].train_images()}
    (train, held_out), (other_train, other_held_out) = _held(first), _held(second)
    assert train | held_out == whole and not train & held_out and 10 <= len(held_out) <= 30
    assert not (train | other_train) & (held_out | other_held_out)  # a hundred images are in both
    assert held_out & other_held_out
    drawn = {image.tobytes() for image in first.images_at(tf.range(1000, dtype=tf.int64)).numpy()}
    assert drawn == train and (first.num_train, first.num_test) == (len(train), len(held_out))
    again = _stream(["first"], pictures, tuning=True, seed=5, batch_size=2).tasks[0]
    assert _held(again) == [train, held_out]
    np.testing.assert_array_equal(first.test_labels(), first.test_factors()["place"] % 3)
    assert (
        len({first.fingerprint, first.test_fingerprint, _stream(["first"], pictures).tasks[0].fingerprint})
        == 3
    )


def test_tuning_holds_out_by_the_contents_of_files_and_by_the_record(pictures, monkeypatch):
    from PIL import Image

    from ltgans_tf.data import folders, sources

    shown = np.load(pictures / "first.npz")["train_images"]
    for part in ("train", "test"):
        (pictures / "files" / part).mkdir(parents=True)
        for i, image in enumerate(shown[:120]):
            Image.fromarray(image[..., 0]).save(pictures / "files" / part / f"{i}.png")
    monkeypatch.setattr(folders, "IN_MEMORY_FILES", 1)  # decoded as they are asked for
    (task,) = _stream([f"folder:{pictures / 'files'}"], pictures, tuning=True).tasks
    train, held_out = _held(task)
    assert len(train) + len(held_out) == 120 and 5 <= len(held_out) <= 20 and not train & held_out
    drawn = {image.tobytes() for image in task.images_at(tf.range(300, dtype=tf.int64)).numpy()}
    assert drawn == train
    records = sources.RecordSource([], np.arange(50, 350), None, "set", None, (8, 8, 1))
    assert 20 <= records.tuning.sum() <= 40
    more = sources.RecordSource([], np.arange(100, 350), None, "set", None, (8, 8, 1))
    np.testing.assert_array_equal(records.tuning[50:], more.tuning)


def test_tuning_is_refused_where_there_is_no_tenth(data_dir):
    (task,) = _stream(["one"], data_dir, tuning=True).tasks
    with pytest.raises(ValueError, match="1 training images of task 'one' are too few to hold out a tenth"):
        task.train_images()
    assert _stream(["one"], data_dir).get_settings()["tuning"] is False
