"""References: what an evaluator keeps of a task after its data is gone, moments and a few numbers of fixed size.

The file is eval/references/task_00.npz. It holds a mean and a covariance of features under each extractor,
counts, and the NLOG that the Student had when the task was new. No image can be recovered from it.
"""

import dataclasses
import os

import numpy as np

from ltgans_tf.evaluation import metrics
from ltgans_tf.files import array_files

_FORMAT_VERSION = 1
# Scores that a reference keeps from the time when its task was new.
NUMBERS = ("nlog", "mean_image_nlog", "share_reconstructed")
_RIDGE = 0.01  # of the mean variance; features after a ReLU may have columns without variance


@dataclasses.dataclass(frozen=True, eq=False)
class Reference:
    """What is kept of one task.

    Attributes:
      task: its name.
      moments: {sha256 of an extractor: (test, train)}, the `metrics.Moments` of the features of
        test images, and of training images for the floor (or None).
      numbers: JSON-ready dict, such as 'nlog', 'mean_image_nlog', 'test_images'.
    """

    task: str
    moments: dict
    numbers: dict


def save(workdir, index, reference):
    """Writes the reference of the task at `index` atomically."""
    arrays = {}
    for sha256, pair in reference.moments.items():
        for part, found in zip(("test", "train"), pair):
            if found is not None:
                arrays[f"{sha256}_{part}_count"] = np.int64(found.count)
                arrays[f"{sha256}_{part}_mean"] = found.mean
                arrays[f"{sha256}_{part}_root"] = found.root
    description = {
        "task": reference.task,
        "extractors": list(reference.moments),
        "numbers": reference.numbers,
    }
    array_files.write(path_of(workdir, index), _FORMAT_VERSION, description, arrays)


def load(workdir, index):
    """Returns the `Reference` of the task at `index`; None if none was written.

    Raises:
      jsonfiles.Damaged, ValueError: see `array_files.read`.
    """
    path = path_of(workdir, index)
    return read(path) if os.path.isfile(path) else None


def read(path):
    """Returns the `Reference` that a file holds.

    Raises:
      jsonfiles.Damaged, ValueError: see `array_files.read`.
    """
    return array_files.read(path, _FORMAT_VERSION, _described)


def _described(description, arrays):
    moments = {
        sha256: tuple(_moments(arrays, f"{sha256}_{part}") for part in ("test", "train"))
        for sha256 in description["extractors"]
    }
    return Reference(description["task"], moments, dict(description["numbers"]))


def likeliest(features, members):
    """Finds which of several Gaussians each row of features most likely comes from.

    This replaces a domain classifier if none could be trained because the domains were not known before the
    first task. 1 % of the mean variance is added to the diagonals of the covariances.

    Args:
      features: float [N, D].
      members: `metrics.Moments` of each domain, at least one.

    Returns:
      int64 [N], indices of `members`.
    """
    rows = np.asarray(features, np.float64)
    ridge = _RIDGE * np.mean([np.square(m.root).sum() / len(m.mean) for m in members])
    scores = []
    for member in members:
        factor = np.linalg.cholesky(member.covariance + (ridge + 1e-12) * np.eye(len(member.mean)))
        whitened = np.linalg.solve(factor, (rows - member.mean).T)
        scores.append(-0.5 * np.square(whitened).sum(axis=0) - np.log(np.diag(factor)).sum())
    return np.argmax(scores, axis=0)


def _moments(arrays, prefix):
    if f"{prefix}_count" not in arrays:
        return None
    count, mean, root = (arrays[f"{prefix}_{name}"] for name in ("count", "mean", "root"))
    return metrics.Moments(int(count), mean, root)


def path_of(workdir, index):
    """Returns the path of the reference of the task at `index`."""
    return os.path.join(workdir, "eval", "references", f"task_{index:02d}.npz")
