"""What an evaluator holds of a task: images where it may and can read them, else a reference."""

import hashlib

import numpy as np

from ltgans_tf import distances

_ABOUT = ("test_images", "test_sha256", "train_images", "fingerprint")


class Holding:
    """What the protocol lets the evaluator hold of one task; raises `distances.Absent` for anything else.

    Args:
      task: a `streams.Task`.
      most: test images that are read, at most.
      may_read: whether its images may be read, as far as they can be reached.
      reference: the `references.Reference` of the task, or None.
    """

    def __init__(self, task, most, may_read, reference):
        self.task, self.name = task, task.name
        self.reference = reference
        self._most, self._may_read = most, may_read
        self._test = None

    def test(self, limit=None):
        """uint8 [N, H, W, C], at most `limit` test images, or the evaluator's number of them."""
        if limit is not None and limit < self._most:
            return self._read(self.task.test_images, limit)
        if self._test is None:
            self._test = self._read(self.task.test_images, self._most)
        return self._test

    def test_labels(self):
        """Ints [N], the labels of `test()`, or None."""
        return self._read(self.task.test_labels, self._most)

    def test_factors(self):
        """{name: [N]}, the known factors of `test()`."""
        return self._read(self.task.test_factors, self._most)

    def train(self, limit):
        """uint8 [N, H, W, C], at most `limit` training images."""
        return self._read(self.task.train_images, limit)

    def can_read(self):
        """Whether test images may and can be read."""
        try:
            self.test()
        except distances.Absent:
            return False
        return True

    def about(self):
        """Counts and hashes of the data, JSON-ready; of the reference where it cannot be read."""
        if not self.can_read():
            kept = {} if self.reference is None else self.reference.numbers
            return {name: kept[name] for name in _ABOUT if name in kept}
        found = {
            "test_images": len(self.test()),
            "test_sha256": hashlib.sha256(np.ascontiguousarray(self.test())).hexdigest(),
        }
        try:
            return {**found, "train_images": self.task.num_train, "fingerprint": self.task.fingerprint}
        except ValueError:  # the training part alone is gone
            return found

    def _read(self, read, limit):
        if not self._may_read:
            told = ""
            if self.reference is not None and "nlog" in self.reference.numbers:
                told = f"; its NLOG was {self.reference.numbers['nlog']:.1f} when it was new"
            raise distances.Absent(f"A production run keeps no image of a past task{told}.")
        try:
            return read(limit)
        except ValueError as error:
            raise distances.Absent(str(error)) from error
