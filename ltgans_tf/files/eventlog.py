"""The two logs of a run, metrics.jsonl and TensorBoard's event files, and cutting them back."""

import glob
import json
import os
import time

import tensorflow as tf
from tensorboard.compat.proto import event_pb2
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.plugins.custom_scalar import summary as custom_scalar
from tensorboard.plugins.hparams import api as hparams

from ltgans_tf.files import atomic


def writer(folder, name):
    """Returns a TensorBoard writer for a new event file in `folder` whose name ends in `name`."""
    return tf.summary.create_file_writer(folder, filename_suffix=f".{name}")


def once(folder, name):
    """Like `writer`, for what is written in one go: earlier files of that name are replaced."""
    for file in glob.glob(os.path.join(glob.escape(folder), f"events.out.tfevents.*.{name}")):
        os.remove(file)
    return writer(folder, name)


def write_settings(folder, settings):
    """Shows a run's settings (a JSON-ready dict) in TensorBoard, as text and as hparams."""
    text = json.dumps(settings, indent=1)
    recipe = settings["model"].get("recipe", {})
    with once(folder, "settings").as_default():
        tf.summary.text("settings", "\n".join(f"    {line}" for line in text.splitlines()), 0)
        hparams.hparams(
            {
                **recipe,
                "steps_per_task": settings["steps_per_task"],
                "batch_size": settings["stream"]["batch_size"],
            }
        )


def write_charts(charts):
    """Lays out TensorBoard's custom scalars, to the default writer: {title: tags as a regular expression}."""
    layout = layout_pb2.Layout(
        category=[
            layout_pb2.Category(
                title="what is kept of each task",
                chart=[
                    layout_pb2.Chart(title=title, multiline=layout_pb2.MultilineChartContent(tag=[tags]))
                    for title, tags in charts.items()
                ],
            )
        ]
    )
    tf.summary.experimental.write_raw_pb(custom_scalar.pb(layout).SerializeToString(), 0)


def cut(path, folder, step):
    """Removes all points after global step `step` from metrics.jsonl and the event files.

    Args:
      path: of metrics.jsonl; a last line that a crash left in part is removed too, another one that
        cannot be read is a ValueError.
      folder: of the event files. Each is written anew without the later points, and a new file
        tells a TensorBoard that is running to drop them as well.
      step: global step of the state that the run goes on from.
    """
    if os.path.exists(path):
        _replace(path, b"".join(line for at, line in read_points(path) if at <= step))
    for remains in glob.glob(os.path.join(glob.escape(folder), ".tmp-events.out.tfevents.*")):
        os.remove(remains)  # of a cut that was killed; TensorBoard would read it too
    files = sorted(glob.glob(os.path.join(glob.escape(folder), "events.out.tfevents.*")))
    for file in files:
        _cut_events(file, step)
    if files:
        session = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
        start = event_pb2.Event(wall_time=time.time(), step=step + 1, session_log=session)
        version = event_pb2.Event(wall_time=time.time(), file_version="brain.Event:2")
        # TensorBoard reads files by name; "-" sorts it before the host names of this second's files.
        name = f"events.out.tfevents.{int(time.time()):010d}.-.{os.getpid()}.resume"
        with tf.io.TFRecordWriter(os.path.join(folder, name)) as out:
            out.write(version.SerializeToString())
            out.write(start.SerializeToString())
            out.write(start.SerializeToString())  # TensorBoard takes the first for a run's beginning


def read_points(path):
    """The whole lines of metrics.jsonl: list of (global step, line as bytes); ValueError for one that is damaged."""
    points = []
    with open(path, "rb") as f:
        for number, line in enumerate(f, 1):
            if not line.endswith(b"\n"):
                break  # the last one, of which a crash left a part
            try:
                points.append((int(json.loads(line)["step"]), line))
            except (ValueError, KeyError, TypeError) as error:
                raise ValueError(
                    f"{path} is damaged in line {number}; restore it from a backup, or remove that line, whose"
                    " points are then lost, and run the same command again."
                ) from error
    return points


def _cut_events(file, step):
    records, later = [], False
    try:
        for record in tf.data.TFRecordDataset(file):
            event = event_pb2.Event.FromString(record.numpy())
            if event.step <= step:
                records.append(record.numpy())
            else:
                later = True
    except tf.errors.DataLossError:
        later = True  # a crash left the last record in part; what is before it is whole
    if later:
        staging = os.path.join(os.path.dirname(file), f".tmp-{os.path.basename(file)}")
        with tf.io.TFRecordWriter(staging) as out:
            for record in records:
                out.write(record)
        os.replace(staging, file)


def _replace(path, content):
    with atomic.writing(path) as f:
        f.write(content)
