"""Writes TensorBoard's event files, and cuts both logs of a run back to the step that it resumes from."""

import glob
import json
import os
import time

import tensorflow as tf
from tensorboard.compat.proto import event_pb2
from tensorboard.plugins.hparams import api as hparams

from ltgans_tf.files import atomic, metrics_log


def writer(folder, name):
    """Returns a TensorBoard writer for a new event file in `folder` whose name ends in `name`."""
    return tf.summary.create_file_writer(folder, filename_suffix=f".{name}")


def once(folder, name):
    """Like `writer`, but removes the earlier files of that name; for what is written in one go."""
    for file in glob.glob(os.path.join(glob.escape(folder), f"events.out.tfevents.*.{name}")):
        os.remove(file)
    return writer(folder, name)


def write_settings(folder, settings):
    """Writes a run's settings (a JSON-ready dict) for TensorBoard, as text and as hparams."""
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


def cut(path, folder, step):
    """Removes all points after global step `step` from metrics.jsonl and the event files.

    Args:
      path: of metrics.jsonl. A last line that a crash left unfinished is removed too.
      folder: of the event files. A further file tells a running TensorBoard to drop the points as well.
      step: global step of the state that the run resumes from.

    Raises:
      ValueError: a line of metrics.jsonl is damaged; the files are then as they were.
    """
    if os.path.exists(path):
        kept = [line for point, line in metrics_log.lines(path) if int(point["step"]) <= step]
        with atomic.writing(path) as file:
            file.writelines(kept)
    for remains in glob.glob(os.path.join(glob.escape(folder), ".tmp-events.out.tfevents.*")):
        os.remove(remains)  # a cut that was killed left it, and TensorBoard would read it too
    files = sorted(glob.glob(os.path.join(glob.escape(folder), "events.out.tfevents.*")))
    for file in files:
        _cut_events(file, step)
    if files:
        session = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
        start = event_pb2.Event(wall_time=time.time(), step=step + 1, session_log=session)
        version = event_pb2.Event(wall_time=time.time(), file_version="brain.Event:2")
        # TensorBoard reads files by name; "-" sorts it before the host names of this second's files.
        name = f"events.out.tfevents.{int(time.time()):010d}.-.{os.getpid()}.resume"
        # TensorBoard takes the first start for the beginning of the run, and drops points at the second.
        _write_events(
            os.path.join(folder, name), [each.SerializeToString() for each in (version, start, start)]
        )


def _cut_events(file, step):
    """Rewrites an event file without its later points, if it has any, and without a record left unfinished."""
    records, later = [], False
    try:
        for record in tf.data.TFRecordDataset(file).as_numpy_iterator():
            if event_pb2.Event.FromString(record).step <= step:
                records.append(record)
            else:
                later = True
    except tf.errors.DataLossError:
        later = True  # a crash cut the last record off; those before it are whole
    if later:
        staging = os.path.join(os.path.dirname(file), f".tmp-{os.path.basename(file)}")
        _write_events(staging, records)
        atomic.publish(staging, file)


def _write_events(path, records):
    with tf.io.TFRecordWriter(path) as out:
        for record in records:
            out.write(record)
