"""Checks whether a run goes on with the images that it began with.

A model notes in `data_read` the fingerprints of the training images that it learnt each task from. The
checkpoints keep them, so that a resumed run can compare. A fingerprint covers the pixels of images in
memory; for a large folder, the size and both ends (64 KiB) of each file; for a large set of TensorFlow
Datasets, its name, version and the places of its records. It also depends on the order of the images.
"""

import json
import logging

import keras
import tensorflow as tf

from ltgans_tf.files import provenance
from ltgans_tf.training import distribution

_log = logging.getLogger(__name__)


def note(model, task, tasks, accept=False):
    """Compares the training images of the next steps with those noted before, and notes their fingerprints.

    Args:
      model: a `LifelongModel`, restored.
      task: the `Task` that the model is learning.
      tasks: all tasks of the stream; only those with open training images are compared.
      accept: whether `task` may continue with other images than it began with.

    Raises:
      ValueError: the images of `task` changed in the middle of it and `accept` is not set; or another worker has
        other images.
    """
    found = {read.name: read.fingerprint for read in tasks if read.is_open}
    distribution.check_alike(
        model.distribute_strategy,
        {f"the training images of {task.name}": json.dumps(found)},
    )
    if not int(model.task_step.numpy()):  # the task starts over, so earlier notes do not count
        model.data_read.pop(task.name, None)
    for name, fingerprint in found.items():
        known = model.data_read.setdefault(name, [fingerprint])
        if known[-1] == fingerprint:
            continue
        if name == task.name and not accept:
            raise ValueError(
                f"the training images of task {name!r} are not those that it was begun with (images were replaced,"
                " added, taken away or renamed); put them back, or go on with accept_changed_data, which the scores"
                " will note."
            )
        _log.warning("The training images of task %r are not those that it was begun with.", name)
        known.append(fingerprint)


def settings_of(model, settings):
    """Returns what all workers of a run must have in common, {what: text}, for `distribution.check_alike`."""
    versions = [provenance.code(), provenance.code(type(model)), tf.__version__, keras.__version__]
    return {"settings": json.dumps(settings, sort_keys=True), "code": " ".join(versions)}
