"""What an evaluator keeps of a task once its data is gone: moments and a few numbers, of fixed size.

eval/references/task_00.npz. No image can be got back from it: a mean and a covariance of features
under each extractor, counts, and the NLOG that the Student had when the task was new.
"""

import dataclasses
import json
import os
import zipfile

import numpy as np

from ltgans_tf.evaluation import metrics
from ltgans_tf.files import atomic

_FORMAT_VERSION = 1
# Scores of a task when it was new that a reference keeps.
NUMBERS = ("nlog", "mean_image_nlog", "share_reconstructed")
_RIDGE = 0.01  # of the mean variance; features after a ReLU may have columns without any


class Damaged(ValueError):
    """A reference cannot be read."""


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
    """Writes the reference of the task at `index`, in one move."""
    arrays = {}
    for sha256, pair in reference.moments.items():
        for part, found in zip(("test", "train"), pair):
            if found is not None:
                arrays[f"{sha256}_{part}_count"] = np.int64(found.count)
                arrays[f"{sha256}_{part}_mean"] = found.mean
                arrays[f"{sha256}_{part}_root"] = found.root
    description = {
        "format_version": _FORMAT_VERSION,
        "task": reference.task,
        "extractors": list(reference.moments),
        "numbers": reference.numbers,
    }
    path = path_of(workdir, index)
    with atomic.writing(path) as f:
        np.savez(f, description=json.dumps(description), **arrays)


def load(workdir, index):
    """The `Reference` of the task at `index`; None where none was written.

    Raises:
      Damaged, ValueError: see `read`.
    """
    path = path_of(workdir, index)
    return read(path) if os.path.isfile(path) else None


def read(path):
    """The `Reference` that a file holds.

    Raises:
      Damaged: it is damaged.
      ValueError: it is of another format version.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            description = json.loads(str(file["description"]))
            arrays = {name: file[name] for name in file.files if name != "description"}
        version = description["format_version"]
        reference = _described(description, arrays) if version == _FORMAT_VERSION else None
    except (OSError, ValueError, KeyError, TypeError, EOFError, RecursionError, zipfile.BadZipFile) as error:
        raise Damaged(f"{path} is damaged ({error}).") from error
    if reference is None:
        raise ValueError(
            f"{path} has format version {version}, this ltgans_tf reads {_FORMAT_VERSION}; use the ltgans_tf"
            " that wrote it."
        )
    return reference


def _described(description, arrays):
    """The reference of a file's description; a KeyError, TypeError or ValueError where it is none."""
    moments = {
        sha256: tuple(_moments(arrays, f"{sha256}_{part}") for part in ("test", "train"))
        for sha256 in description["extractors"]
    }
    return Reference(description["task"], moments, dict(description["numbers"]))


def likeliest(features, members):
    """Which of several Gaussians each row of features most likely comes from.

    Stands in for a domain classifier where none could be trained, because the domains were not
    known before the first task. The covariances get 1 % of the mean variance on their diagonals.

    Args:
      features: float [N, D].
      members: `metrics.Moments` of each domain, at least one.

    Returns:
      int64 [N], places in `members`.
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
    """Where the reference of the task at `index` stands."""
    return os.path.join(workdir, "eval", "references", f"task_{index:02d}.npz")
