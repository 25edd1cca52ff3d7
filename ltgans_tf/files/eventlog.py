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
    """Like `writer`, but first removes earlier files whose names end in `name`; for data written all at once."""
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
      path: path of metrics.jsonl. A crash may leave the last line unfinished; that line is removed too.
      folder: folder of the event files. One more event file tells a running TensorBoard to drop the points too.
      step: global step of the state that the run resumes from.

    Raises:
      ValueError: a line of metrics.jsonl is damaged; the files are then unchanged.
    """
    if os.path.exists(path):
        kept = [line for point, line in metrics_log.lines(path) if int(point["step"]) <= step]
        with atomic.writing(path) as file:
            file.writelines(kept)
    for remains in glob.glob(os.path.join(glob.escape(folder), ".tmp-events.out.tfevents.*")):
        os.remove(remains)  # a killed `cut` leaves such a file, and TensorBoard would read it too
    files = sorted(glob.glob(os.path.join(glob.escape(folder), "events.out.tfevents.*")))
    for file in files:
        _cut_events(file, step)
    if files:
        session = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
        start = event_pb2.Event(wall_time=time.time(), step=step + 1, session_log=session)
        version = event_pb2.Event(wall_time=time.time(), file_version="brain.Event:2")
        # TensorBoard reads files in the order of their names; "-" sorts this one before the host names of
        # this second's files.
        name = f"events.out.tfevents.{int(time.time()):010d}.-.{os.getpid()}.resume"
        # TensorBoard takes the first START as the beginning of the run; the second one makes it drop points.
        _write_events(
            os.path.join(folder, name), [each.SerializeToString() for each in (version, start, start)]
        )


def _cut_events(file, step):
    """Rewrites an event file without points after `step` and without an unfinished record, if it has either."""
    records, later = [], False
    try:
        for record in tf.data.TFRecordDataset(file).as_numpy_iterator():
            if event_pb2.Event.FromString(record).step <= step:
                records.append(record)
            else:
                later = True
    except tf.errors.DataLossError:
        later = True  # a crash truncated the last record; the earlier ones are whole
    if later:
        staging = os.path.join(os.path.dirname(file), f".tmp-{os.path.basename(file)}")
        _write_events(staging, records)
        atomic.publish(staging, file)


def _write_events(path, records):
    with tf.io.TFRecordWriter(path) as out:
        for record in records:
            out.write(record)
