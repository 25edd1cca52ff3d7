"""The table of scores: all that is known about each score before it is measured.

All code that measures, draws, prints and compares scores reads this table. To add a score, write its function in
the file that measures its part, and add its line to the table. `score_matrix` combines the rows of a run into
matrices and needs neither a model nor data.
"""

import dataclasses
import os

import numpy as np

from ltgans_tf.evaluation import matrix, row

# The parts of an evaluation, in the order in which they are measured.
PARTS = ("likelihood", "distances", "representation", "smoothness", "iwae", "audit")
# The scores and parts that a push needs of every domain; always measured, even for tasks out of turn.
JUDGED = frozenset({"likelihood", "share", "fcd", "fcd_drawn"})
ON_FEATURES = frozenset({"distances", "smoothness", "audit"})  # parts that need an extractor
# Seeds of the extractors besides the one of seed 0, which are trained on the same images.
EXTRACTOR_SEEDS = (1, 2)
# Places where scores are shown, each place in the order of the table.
PLACES = {
    "line": "what ltgans train says after each task",
    "terminal": "the table of ltgans evaluate",
    "lost": "what ltgans evaluate says was lost, and the curves of ltgans figures",
    "matrix": "the heat maps of ltgans figures",
    "verdict": "the sentences that reports and comparisons begin with; of the distances only the first that was measured",
    "report": "the scores of each task in a report",
    "compared": "the tables of ltgans compare, and in a report the heat maps and what was lost",
    "dots": "the charts of ltgans compare",
    "mix": "what is shown beside the shares of the domains",
    "end": "what ltgans reproduce says of each method after the last task",
}


@dataclasses.dataclass(frozen=True)
class Baseline:
    """The number to compare a score with.

    Attributes:
      name: key of the number in a row of scores.
      short, line, chart: its name beside a score, at the head of a line of a table, and in a chart.
    """

    name: str
    short: str
    line: str
    chart: str


@dataclasses.dataclass(frozen=True)
class Score:
    """What is known about a score before it is measured.

    Attributes:
      part: the one of PARTS that measures it; '' for scores that a model reports itself.
      name: its key in rows of scores.
      label: its name in tables and figures.
      better: 'lower', 'higher', or '' if neither is better (such as a share).
      digits: decimals to show.
      about: what it is, in one sentence.
      shown: the names of PLACES where it is shown, separated by blanks.
      baseline: the score of real images, for example, or of a model that has learnt nothing; None for none.
    """

    part: str
    name: str
    label: str
    better: str
    digits: int
    about: str
    shown: str = ""
    baseline: Baseline | None = None

    def beside(self, found):
        """Returns the value of the baseline among the scores `found`; None if it is missing."""
        return None if self.baseline is None else found.get(self.baseline.name)


def _floor(name):
    return Baseline(f"{name}_floor", "floor", "real images", "real images in place of generated ones")


_MEAN_IMAGE = Baseline("mean_image_nlog", *["mean image"] * 3)
_CHANCE = Baseline("chance", *["chance"] * 3)
_CALLED = Baseline("share_reconstructed", *["reconstructions"] * 3)


def _bound(name, label, about, shown):
    return name, label, "lower", 1, about, shown, _MEAN_IMAGE


def _frechet(name, label, network, shown):
    about = f"Frechet distance of generated to test images on the features of {network}."
    return name, label, "lower", 2, about, shown, _floor(name)


def _kernel(name, label, network, shown=""):
    about = f"Unbiased cubic kernel distance on the features of {network}, mean over subsets."
    return name, label, "lower", 4, about, shown, _floor(name)


def _drawn(label, digits, shown):
    name, about = f"{label.lower()}_drawn", "images that the domain's code draws to its test images."
    return name, f"{label}, drawn", "lower", digits, f"{label} of {about}", shown, _floor(name)


def _manifold(name, about, shown):
    return name, name, "higher", 3, about, shown, _floor(name)


def _accuracy(name, label, about, shown=""):
    return name, label, "higher", 3, f"{about} posterior means.", shown, _CHANCE


_CLASSIFIER, _KERAS = "a classifier of the real training images", "Keras' InceptionV3"
_2015 = "the Inception network of 2015"
_OF_SEED = {seed: f"a classifier of the same images, trained from seed {seed}" for seed in EXTRACTOR_SEEDS}
_BITS = "in bits per dimension of 8-bit data."
_TABLES = "terminal report compared end"
_FIRST = "terminal lost matrix verdict report compared dots"

# The scores of each part: name, label, better, digits, about, shown, baseline.
_TABLE = {
    "likelihood": (
        _bound(
            "nlog",
            "NLOG",
            "Squared error of a test image rebuilt from the mean of its code, plus the KL of that code (nats).",
            f"line {_FIRST} end",
        ),
        _bound(
            "nlog_sampled",
            "NLOG, sampled",
            "Squared error of a test image rebuilt from a code drawn from q(z|x), plus the KL of that code (nats).",
            _TABLES,
        ),
        ("elbo", "ELBO", "higher", 1, "Evidence lower bound of N(x_hat, I/2), in nats."),
        ("bits_per_dim", "bits/dim", "lower", 3, f"Negative ELBO {_BITS}"),
        ("sse", "SSE", "lower", 1, "Squared error per image in [-1, 1], code = posterior mean."),
        ("kl", "KL", "", 1, "KL(q(z|x) || p(z)) per image (nats)."),
        ("mse", "MSE", "lower", 4, "Squared error per pixel and channel in [-1, 1]."),
        ("active_units", "active units", "", 0, "Codes whose posterior mean varies by over 0.01."),
    ),
    "iwae": (
        _bound("iwae", "IWAE", "Importance-weighted bound in the units of NLOG (nats).", f"matrix {_TABLES}"),
        ("iwae_bits_per_dim", "IWAE bits/dim", "lower", 3, f"IWAE {_BITS}"),
    ),
    "distances": (
        _frechet("fcd", "FCD", _CLASSIFIER, f"line {_FIRST} end"),
        *(_frechet(f"fcd_seed{n}", f"FCD, extractor {n}", of, "terminal") for n, of in _OF_SEED.items()),
        _drawn("FCD", 2, f"lost matrix {_TABLES}"),
        _frechet("fid", "FID", _2015, _FIRST),
        _frechet("fid_keras", "FID-Keras", _KERAS, _FIRST),
        _kernel("kcd", "KCD", _CLASSIFIER, "matrix compared end"),
        *(_kernel(f"kcd_seed{n}", f"KCD, extractor {n}", of) for n, of in _OF_SEED.items()),
        _drawn("KCD", 4, "compared"),
        _kernel("kid", "KID", _2015, "compared"),
        _kernel("kid_keras", "KID-Keras", _KERAS, "compared"),
        _manifold("precision", "Share of generated images within the real manifold.", f"matrix {_TABLES}"),
        _manifold("recall", "Share of real images within the generated manifold.", f"matrix {_TABLES}"),
        _manifold("density", "Real neighbourhoods that a generated image lies in, over k.", _TABLES),
        _manifold("coverage", "Share of real neighbourhoods with a generated image.", _TABLES),
        (
            *("share", "share", "", 3),
            "Share of the generated images that the classifier calls this domain; 1/k is wanted. Where the Student"
            " decodes the images, absent unless it calls 0.8 of the reconstructions of the domain's test images so, too.",
            *("terminal matrix report", _CALLED),
        ),
        (
            *("mix_entropy", "mix entropy", "higher", 3, "Entropy of the shares over its most; 1 is even."),
            "compared dots mix",
        ),
        (
            "mix_gap",
            "mix gap",
            "lower",
            3,
            "Largest difference of a share from the even one.",
            "compared mix",
        ),
    ),
    "": (("components", "components", "", 0, "Components of CURL's mixture in use.", "terminal end"),),
    "representation": (
        _accuracy(
            *("knn", "k-NN accuracy", "k-nearest-neighbour accuracy on"),
            "terminal lost matrix report compared dots",
        ),
        _accuracy("probe", "linear probe", "Accuracy of a linear classifier of"),
        _accuracy("purity", "purity", "Purity of k-means clusters of"),
        ("mig", "MIG", "higher", 3, "Mutual information gap, mean over the known factors.", "matrix"),
    ),
    "smoothness": (
        (
            *("smoothness", "roughest step", "lower", 2),
            "Largest perceptual step of an interpolation over its mean step.",
        ),
    ),
    "audit": (
        (
            *("copies", "copies", "lower", 3),
            "Share nearer to a training image than 99 % of held-out images; 0.01 is chance.",
            "terminal",
        ),
        (
            *("nearest_ratio", "nearest ratio", "", 3),
            "Median distance to the nearest training image over that of held-out images.",
        ),
    ),
}
SCORES = {line[0]: Score(part, *line) for part, lines in _TABLE.items() for line in lines}


def shown(place):
    """Returns the names of the scores that one of PLACES shows, in the order of the table: list of str."""
    return [name for name, score in SCORES.items() if place in score.shown.split()]


def of_part(part):
    """Returns the names of the scores that one of PARTS measures, in the order of the table: list of str."""
    return [name for name, score in SCORES.items() if score.part == part]


def score_matrix(workdir):
    """Assembles the matrix of each score from the rows that the boundaries wrote.

    Args:
      workdir: folder of a run, or a list of its rows as `row.read_rows` gives them.

    Returns:
      {name of the score: `matrix.Matrix`}, for all of SCORES that some row has, in their order.

    Raises:
      ValueError: no row is there, or one is damaged or of another format version.
    """
    rows = row.read_rows(workdir) if isinstance(workdir, (str, os.PathLike)) else workdir
    tasks = rows[-1].tasks
    matrices = {}
    for name, score in SCORES.items():
        values = np.full([len(tasks)] * 2, np.nan)
        for one in rows:
            for j, task in enumerate(tasks[: one.after_task + 1]):
                value = one.scores.get(task, {}).get(name)
                values[one.after_task, j] = np.nan if value is None else value
        if not np.isnan(values).all():
            matrices[name] = matrix.Matrix(score, tasks, values)
    return matrices
