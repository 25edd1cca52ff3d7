"""Scores by name, and the matrix R[i][j]: what is left of task j after task i.

Each boundary writes one row, eval/task_00/scores.json; `score_matrix` sets the rows of a run
below each other and needs neither a model nor data.
"""

import dataclasses
import os
import re

import numpy as np

from ltgans_tf.files import jsonfiles

FORMAT_VERSION = 2
_FILE = "scores.json"


@dataclasses.dataclass(frozen=True)
class Score:
    """What is known of a score before it is measured.

    Attributes:
      label: how tables and figures call it.
      better: 'lower', 'higher', or '' where neither is (a share, say).
      digits: decimals worth showing.
      about: what it is, in one sentence.
      beside: name of the score that it is to be read with, or None: what real images get in its
        place (the floor of a distance), or what a model gets that has learnt nothing.
    """

    label: str
    better: str
    digits: int
    about: str
    beside: str | None = None


def _distance(name, letters, network):
    frechet, kernel = f"F{letters}", f"K{letters}"
    return {
        frechet.lower() + name: Score(
            frechet + name.replace("_keras", "-Keras").replace("_seed", ", extractor "),
            "lower",
            2,
            f"Frechet distance of generated to test images on the features of {network}.",
            f"{frechet.lower()}{name}_floor",
        ),
        kernel.lower() + name: Score(
            kernel + name.replace("_keras", "-Keras").replace("_seed", ", extractor "),
            "lower",
            4,
            f"Unbiased cubic kernel distance on the features of {network}, mean over subsets.",
            f"{kernel.lower()}{name}_floor",
        ),
    }


# Of the extractors beside the one of seed 0, on the same images.
EXTRACTOR_SEEDS = (1, 2)

SCORES = {
    "nlog": Score("NLOG", "lower", 1, "SSE + KL per image, code = posterior mean (nats).", "mean_image_nlog"),
    "nlog_sampled": Score(
        "NLOG, sampled", "lower", 1, "SSE + KL per image, code drawn from q(z|x) (nats).", "mean_image_nlog"
    ),
    "iwae": Score(
        "IWAE", "lower", 1, "Importance-weighted bound in the units of NLOG (nats).", "mean_image_nlog"
    ),
    "elbo": Score("ELBO", "higher", 1, "Evidence lower bound of N(x_hat, I/2), in nats."),
    "bits_per_dim": Score("bits/dim", "lower", 3, "Negative ELBO in bits per dimension of 8-bit data."),
    "iwae_bits_per_dim": Score("IWAE bits/dim", "lower", 3, "IWAE in bits per dimension of 8-bit data."),
    "sse": Score("SSE", "lower", 1, "Squared error per image in [-1, 1], code = posterior mean."),
    "kl": Score("KL", "", 1, "KL(q(z|x) || p(z)) per image (nats)."),
    "mse": Score("MSE", "lower", 4, "Squared error per pixel and channel in [-1, 1]."),
    "active_units": Score("active units", "", 0, "Codes whose posterior mean varies by over 0.01."),
    **_distance("", "CD", "a classifier of the real training images"),
    **{
        name: score
        for seed in EXTRACTOR_SEEDS
        for name, score in _distance(
            f"_seed{seed}", "CD", f"a classifier of the same images, trained from seed {seed}"
        ).items()
    },
    **_distance("", "ID", "the Inception network of 2015"),
    **_distance("_keras", "ID", "Keras' InceptionV3"),
    "fcd_drawn": Score(
        "FCD, drawn",
        "lower",
        2,
        "FCD of images that the domain's code draws to its test images.",
        "fcd_drawn_floor",
    ),
    "kcd_drawn": Score(
        "KCD, drawn",
        "lower",
        4,
        "KCD of images that the domain's code draws to its test images.",
        "kcd_drawn_floor",
    ),
    "precision": Score(
        "precision", "higher", 3, "Share of generated images within the real manifold.", "precision_floor"
    ),
    "recall": Score(
        "recall", "higher", 3, "Share of real images within the generated manifold.", "recall_floor"
    ),
    "density": Score(
        "density", "higher", 3, "Real neighbourhoods that a generated image lies in, over k.", "density_floor"
    ),
    "coverage": Score(
        "coverage", "higher", 3, "Share of real neighbourhoods with a generated image.", "coverage_floor"
    ),
    "share": Score(
        "share",
        "",
        3,
        "Share of the generated images that the classifier calls this domain; 1/k is wanted. Where the Student"
        " decodes the images, absent unless it calls 0.8 of the reconstructions of the domain's test images so, too.",
        "share_reconstructed",
    ),
    "components": Score("components", "", 0, "Components of CURL's mixture in use."),
    "knn": Score("k-NN accuracy", "higher", 3, "k-nearest-neighbour accuracy on posterior means.", "chance"),
    "probe": Score(
        "linear probe", "higher", 3, "Accuracy of a linear classifier of posterior means.", "chance"
    ),
    "purity": Score("purity", "higher", 3, "Purity of k-means clusters of posterior means.", "chance"),
    "mig": Score("MIG", "higher", 3, "Mutual information gap, mean over the known factors."),
    "smoothness": Score(
        "roughest step", "lower", 2, "Largest perceptual step of an interpolation over its mean step."
    ),
    "copies": Score(
        "copies", "lower", 3, "Share nearer to a training image than 99 % of held-out images; 0.01 is chance."
    ),
    "nearest_ratio": Score(
        "nearest ratio", "", 3, "Median distance to the nearest training image over that of held-out images."
    ),
}


class Matrix:
    """R[i][j] of one score: of task j, after task i.

    Attributes:
      name: key in SCORES.
      tasks: names of the K tasks learnt.
      values: float64 [K, K]; NaN above the diagonal and where a score is absent.
    """

    def __init__(self, name, tasks, values):
        self.name = name
        self.tasks = list(tasks)
        self.values = np.asarray(values, np.float64)
        if self.values.shape != (len(self.tasks), len(self.tasks)):
            raise ValueError(
                f"values have shape {self.values.shape}; with {len(self.tasks)} tasks it must be square of"
                " that size."
            )

    @property
    def final(self):
        """The last row, float64 [K]: what is left of each task at the end."""
        return self.values[-1]

    def final_average(self):
        """Mean over j of R[K][j], over the tasks whose score is there; NaN where none is."""
        return _mean(self.final)

    def forgetting(self):
        """What was lost of each task but the last: float64 [K - 1], positive = lost.

        The best that the task had after any earlier task, less what it has at the end, so that
        f_j = max over j <= i < K of R[i][j] - R[K][j] for a score of which higher is better
        (Chaudhry et al. 2018) and R[K][j] - min R[i][j] where lower is.
        """
        sign, last = self._sign(), len(self.tasks) - 1
        best = [_max(sign * self.values[j:last, j]) for j in range(last)]
        return np.array(best) - sign * self.final[:last]

    def mean_forgetting(self):
        """Mean of `forgetting` over the tasks for which it is there; NaN for one task."""
        return _mean(self.forgetting())

    def backward_transfer(self):
        """Mean over j < K of R[K][j] - R[j][j], signed so that positive = got better.

        Lopez-Paz and Ranzato 2017, for scores of which lower is better with the opposite sign.
        """
        last = len(self.tasks) - 1
        return _mean(self._sign() * (self.final[:last] - np.diag(self.values)[:last]))

    def _sign(self):
        better = SCORES[self.name].better
        if not better:
            raise ValueError(
                f"{self.name!r} is neither better high nor low, so it has no forgetting; ask for its values."
            )
        return 1.0 if better == "higher" else -1.0


def score_matrix(workdir):
    """Assembles the matrix of each score from the rows that the boundaries wrote.

    Args:
      workdir: folder of a run, or a list of its rows as `read_rows` gives them.

    Returns:
      {name of the score: Matrix}, for all of SCORES that some row has, in their order.

    Raises:
      ValueError: no row is there, or one is of another format version.
    """
    rows = read_rows(workdir) if isinstance(workdir, (str, os.PathLike)) else workdir
    tasks = list(rows[-1]["scores"])
    matrices = {}
    for name in SCORES:
        values = np.full([len(tasks)] * 2, np.nan)
        for row in rows:
            for j, task in enumerate(tasks[: row["after_task"] + 1]):
                value = row["scores"].get(task, {}).get(name)
                values[row["after_task"], j] = np.nan if value is None else value
        if not np.isnan(values).all():
            matrices[name] = Matrix(name, tasks, values)
    return matrices


def read_rows(workdir):
    """The rows of a run, in the order of the tasks: list of dicts as eval/task_00/scores.json has them.

    Raises:
      ValueError: no row is there, or one is of another format version.
    """
    folder = os.path.join(workdir, "eval")
    names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    paths = [os.path.join(folder, name, _FILE) for name in names if re.fullmatch(r"task_\d+", name)]
    rows = [read_row(path) for path in paths if os.path.isfile(path)]
    if not rows:
        raise ValueError(
            f"{workdir} has no scores (eval/task_00/{_FILE}); train there first, or name the workdir of a run."
        )
    return sorted(rows, key=lambda row: row["after_task"])


def row_path(workdir, task_index):
    """Where the row after the task at `task_index` stands."""
    return os.path.join(workdir, "eval", f"task_{task_index:02d}", _FILE)


def read_row(path):
    """The row that a file holds; a ValueError where it is damaged or of another format version."""
    try:
        row = jsonfiles.read_object(path)
    except ValueError as error:
        raise ValueError(f"{error} Or evaluate the run again.") from error
    version = row.get("format_version", 1)
    if version != FORMAT_VERSION:
        raise ValueError(
            f"{path} has format version {version}, this ltgans_tf reads {FORMAT_VERSION}; evaluate the run"
            " again, or use the ltgans_tf that wrote it."
        )
    if not _is_row(row):
        raise ValueError(
            f"{path} is damaged (after_task and scores are not those of a row); restore it from a backup. Or"
            " evaluate the run again."
        )
    return row


def _is_row(row):
    """Whether there are scores, numbers or None, of as many tasks as were learnt."""
    index, found = row.get("after_task"), row.get("scores")
    if type(index) is not int or index < 0 or not isinstance(found, dict) or len(found) != index + 1:
        return False
    groups = [*found.values(), row.get("union", {})]
    return all(isinstance(group, dict) for group in groups) and all(
        value is None or type(value) in (int, float) for group in groups for value in group.values()
    )


def _mean(values):
    values = values[~np.isnan(values)]
    return float(values.mean()) if values.size else float("nan")


def _max(values):
    values = values[~np.isnan(values)]
    return values.max() if values.size else np.nan
