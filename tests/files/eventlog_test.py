"""Cutting the logs of a run back to the state that it goes on from."""

import glob
import os

import pytest
import tensorflow as tf
from tensorboard.backend.event_processing import plugin_event_accumulator
from tensorboard.compat.proto import event_pb2

from ltgans_tf.files import eventlog


@pytest.fixture(name="folder")
def _folder(tmp_path):
    return str(tmp_path / "tensor[board]")


def _write(folder, name, steps, tag="a/b", begin=None):
    """Writes scalars whose value is their step; `begin` dates the file, as if written then."""
    before = set(glob.glob(os.path.join(glob.escape(folder), "*")))
    writer = eventlog.writer(folder, name)
    with writer.as_default():
        for step in steps:
            tf.summary.scalar(tag, float(step), step)
    writer.close()
    (file,) = set(glob.glob(os.path.join(glob.escape(folder), "*"))) - before
    if begin is not None:
        renamed = os.path.join(folder, f"events.out.tfevents.{begin}")
        os.rename(file, renamed)
        return renamed
    return file


def _on_disk(folder):
    """(tag, step) of every value in every event file."""
    return sorted(
        (value.tag, event.step)
        for file in glob.glob(os.path.join(glob.escape(folder), "*"))
        for event in map(event_pb2.Event.FromString, tf.data.TFRecordDataset(file).as_numpy_iterator())
        for value in event.summary.value
    )


def _tensorboard(folder):
    """What TensorBoard reads a run with, keeping all points."""
    return plugin_event_accumulator.EventAccumulator(folder, tensor_size_guidance={"scalars": 0})


def _shown(accumulator, tag="a/b"):
    """Steps of a tag that TensorBoard shows."""
    accumulator.Reload()
    return [event.step for event in accumulator.Tensors(tag)]


def test_points_after_the_step_are_removed_from_every_file(folder, tmp_path):
    _write(folder, "scalars", [1, 2, 3, 4, 5])
    _write(folder, "images", [3, 4], tag="c/d")
    eventlog.cut(str(tmp_path / "none.jsonl"), folder, 3)
    assert _on_disk(folder) == [("a/b", 1), ("a/b", 2), ("a/b", 3), ("c/d", 3)]
    assert not [name for name in os.listdir(folder) if name.startswith(".tmp")]
    assert not (tmp_path / "none.jsonl").exists()


def test_a_file_without_later_points_is_left_as_it_is(folder, tmp_path):
    file = _write(folder, "scalars", [1, 2])
    before = os.stat(file)
    eventlog.cut(str(tmp_path / "none.jsonl"), folder, 2)
    after = os.stat(file)
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_a_record_that_a_crash_cut_off_is_removed(folder, tmp_path):
    file = _write(folder, "scalars", [1, 2, 3])
    with open(file, "r+b") as f:
        f.truncate(os.path.getsize(file) - 5)
    eventlog.cut(str(tmp_path / "none.jsonl"), folder, 9)
    assert _on_disk(folder) == [("a/b", 1), ("a/b", 2)]


def test_lines_after_the_step_and_a_cut_off_last_line_are_removed(folder, tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1}\n{"step": 5}\n{"step": 10}\n{"step": 4')
    eventlog.cut(str(path), folder, 5)
    assert path.read_text() == '{"step": 1}\n{"step": 5}\n'
    assert os.listdir(tmp_path) == ["metrics.jsonl"]  # nothing made where there were no events


def test_cutting_to_step_0_leaves_nothing(folder, tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1}\n')
    _write(folder, "scalars", [1])
    eventlog.cut(str(path), folder, 0)
    assert path.read_text() == "" and _on_disk(folder) == []


def test_a_running_tensorboard_drops_the_points_too(folder, tmp_path):
    _write(folder, "scalars", [1, 2, 3, 4], begin="1000000000.host.1.0.scalars")
    accumulator = _tensorboard(folder)
    assert _shown(accumulator) == [1, 2, 3, 4]
    eventlog.cut(str(tmp_path / "none.jsonl"), folder, 2)
    assert _shown(accumulator) == [1, 2]
    _write(folder, "scalars", [3, 4, 5])
    assert _shown(accumulator) == [1, 2, 3, 4, 5]


def test_new_points_are_shown_whatever_the_name_of_the_host(folder, tmp_path):
    """The order to drop points must be read before a file of the same second from any host."""
    _write(folder, "scalars", [1, 2, 3, 4], begin="1000000000.host.1.0.scalars")
    eventlog.cut(str(tmp_path / "none.jsonl"), folder, 2)
    (resume,) = glob.glob(os.path.join(glob.escape(folder), "*.resume"))
    second = os.path.basename(resume).split(".")[3]
    _write(folder, "scalars", [3, 4], begin=f"{second}.0a1b.1.0.scalars")
    assert _shown(_tensorboard(folder)) == [1, 2, 3, 4]


def test_what_is_written_in_one_go_replaces_its_earlier_files_alone(folder):
    for value in (1.0, 2.0):
        for name in ("eval_00", "eval_01"):
            with eventlog.once(folder, name).as_default():
                tf.summary.scalar(f"eval/{name}", value, 7)
    assert _on_disk(folder) == [("eval/eval_00", 7), ("eval/eval_01", 7)]
    accumulator = _tensorboard(folder)
    accumulator.Reload()
    (event,) = accumulator.Tensors("eval/eval_00")
    assert tf.make_ndarray(event.tensor_proto) == 2.0
