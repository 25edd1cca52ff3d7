"""What TensorBoard's event files of a run hold."""

import collections
import glob
import os

import tensorflow as tf
from tensorboard.compat.proto import event_pb2


def points_of(workdir):
    """How often each (tag, step) stands in the event files."""
    return collections.Counter(
        (value.tag, event.step)
        for file in glob.glob(os.path.join(workdir, "tensorboard", "*"))
        for event in map(event_pb2.Event.FromString, tf.data.TFRecordDataset(file).as_numpy_iterator())
        for value in event.summary.value
    )
