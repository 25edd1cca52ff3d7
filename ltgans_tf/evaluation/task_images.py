"""What an evaluator holds of a task: images if it may and can read them, else a reference."""

import functools
import hashlib
import logging

import numpy as np

from ltgans_tf.data import streams
from ltgans_tf.evaluation import distances

_log = logging.getLogger(__name__)
_ABOUT = ("test_images", "test_sha256", "test_fingerprint", "train_images", "fingerprint")


class TaskImages:
    """What the protocol lets the evaluator hold of one task; raises `distances.Absent` for anything else.

    Each split of the task is read once, and of a past task only the requested images are kept, because all
    images of all tasks together may not fit into memory.

    Args:
      task: a `streams.Task`.
      most, most_training: how many test and training images are requested, at most.
      may_read: whether the protocol allows reading its images.
      reference: the `references.Reference` of the task, or None.
      past: whether the task is a past one, which frees its images after they are read.
      lost: why there is no reference of a past task; '' if there is one, or if none is needed yet.
    """

    def __init__(self, task, most, most_training, may_read, reference, past, lost=""):
        self.task, self.name, self.index = task, task.name, task.index
        self.reference, self.lost = reference, lost
        self._most, self._most_training = most, most_training
        self._may_read, self._past = may_read, past

    def test(self, limit=None):
        """Returns at most `limit` test images, or for None the evaluator's number of them: uint8 [N, H, W, C]."""
        found = self._test
        return _within(found["images"], found["count"], self._most, limit)

    def test_labels(self):
        """Returns the labels of `test()`, ints [N], or None."""
        return self._test["labels"]

    def test_factors(self):
        """Returns the known factors of `test()`: {name: [N]}."""
        return self._test["factors"]

    def train(self, limit):
        """Returns at most `limit` training images: uint8 [N, H, W, C]."""
        found = self._train
        return _within(found["images"], found["count"], self._most_training, limit)

    def can_read(self):
        """Whether test images may and can be read."""
        try:
            self.test()
        except distances.Absent:
            return False
        return True

    def about(self):
        """Returns counts and hashes of the data, JSON-ready; those in the reference if the data cannot be read."""
        if not self.can_read():
            kept = {} if self.reference is None else self.reference.numbers
            return {name: kept[name] for name in _ABOUT if name in kept}
        found = {
            "test_images": len(self.test()),
            "test_sha256": hashlib.sha256(np.ascontiguousarray(self.test())).hexdigest(),
            "test_fingerprint": self._test["fingerprint"],
        }
        try:
            return {**found, "train_images": self._train["count"], "fingerprint": self._train["fingerprint"]}
        except distances.Absent:  # only the training split is gone
            return found

    def changes(self, learnt_from):
        """Returns sentences on how the task's images differ from those in training and in its first row.

        Args:
          learnt_from: list of the fingerprints of the training images that the model learnt the task from; []
            if they are not known.
        """
        now, found = self.about(), []
        if len(learnt_from) > 1:
            found.append(f"The training images of {self.name} changed while it was learnt.")
        if learnt_from and now.get("fingerprint", learnt_from[-1]) != learnt_from[-1]:
            found.append(
                f"The training images of {self.name} are not those that it was learnt from; the floors of its"
                " distances and the audit compare with other images."
            )
        then = self.reference.numbers.get("test_fingerprint") if self.reference else None
        if then and now.get("test_fingerprint", then) != then:
            found.append(
                f"The test images of {self.name} are not those of its first row, so its scores here and there do"
                " not tell what was forgotten."
            )
        return found

    @functools.cached_property
    def _test(self):
        return self._read(
            lambda: {
                "images": self.task.test_images(self._most),
                "labels": self.task.test_labels(self._most),
                "factors": self.task.test_factors(self._most),
                "count": self.task.num_test,
                "fingerprint": self.task.test_fingerprint,
            }
        )

    @functools.cached_property
    def _train(self):
        return self._read(
            lambda: {
                "images": self.task.train_images(self._most_training),
                "count": self.task.num_train,
                "fingerprint": self.task.fingerprint,
            }
        )

    def _read(self, read):
        if not self._may_read:
            told = ""
            if self.reference is not None and "nlog" in self.reference.numbers:
                told = f"; its NLOG was {self.reference.numbers['nlog']:.1f} when it was new"
            if self.lost:
                told = f", and {self.lost}"
            raise distances.Absent(f"A production run keeps no image of a past task{told}.")
        try:
            return read()
        except ValueError as error:
            raise distances.Absent(str(error)) from error
        finally:
            if self._past:
                self.task.release()


def notes(held, data_read):
    """Returns and logs the `changes` of several tasks; `data_read` is {name of a task: its `learnt_from`}."""
    found = [note for one in held for note in one.changes(data_read.get(one.name, []))]
    for note in found:
        _log.warning("%s", note)
    return found


def _within(kept, count, most, limit):
    """Returns the images for `limit`, out of `kept`, the images for `most`, of a task of `count` images."""
    if limit is None or limit >= len(kept):
        return kept
    return kept[np.searchsorted(streams.subset(count, most), streams.subset(count, limit))]
