"""Compares our distances with those of torch-fidelity and prdc on one fixed set of features.

  pip install torch==2.13.0 torch-fidelity prdc absl-py
  python -m benchmarks.metric_references --out=references.json

In an environment of its own, which needs no TensorFlow. The features are drawn by NumPy: correlated
columns after a ReLU, those of the second set with another mean and correlation. The kernel
distance is compared on all rows, and on the subsets that torch-fidelity draws. Prints a Markdown
table; the exit status is 1 where two numbers differ by more than --tolerance of the reference.
"""

import contextlib
import importlib
import io
import platform
import sys
from importlib import metadata

import numpy as np
from absl import flags

import benchmarks
from ltgans_tf.evaluation import metrics
from ltgans_tf.export import path_flags
from ltgans_tf.files import provenance
from ltgans_tf.trainers import run

INSTALL = "pip install torch-fidelity prdc torch==2.13.0 absl-py"
_MODULES = ("torch", "torch_fidelity.metric_fid", "torch_fidelity.metric_kid", "torch_fidelity.metric_prc")
_PACKAGES = ("numpy", "torch", "torch-fidelity", "prdc")
_K = 5
_SETTINGS = ("rows", "columns", "seed", "subset_size", "subsets")


def main(_):
    given = flags.FLAGS
    if given.subset_size > given.rows:
        raise ValueError(f"--subset_size={given.subset_size} is more than --rows={given.rows}; give less.")
    torch_fidelity, prdc = references()
    real, fake = features(given.rows, given.columns, given.seed)
    rows = [
        *against_torch_fidelity(torch_fidelity, real, fake, given.subset_size, given.subsets, given.seed),
        *against_prdc(prdc, real, fake),
    ]
    print(report(rows))
    results = {
        "conditions": {
            "command": " ".join(["python", "-m", "benchmarks.metric_references", *sys.argv[1:]]),
            "python": platform.python_version(),
            "packages": {name: metadata.version(name) for name in _PACKAGES},
            "commit": provenance.commit(),
        },
        "settings": {name: given[name].value for name in _SETTINGS},
        "rows": [{**row, "difference": difference(row)} for row in rows],
    }
    benchmarks.write(given.out, results)
    return 0 if agree(rows, given.tolerance) else 1


def references():
    """The modules ([torch, metric_fid, metric_kid, metric_prc of torch-fidelity], prdc)."""
    try:
        return [importlib.import_module(name) for name in _MODULES], importlib.import_module("prdc")
    except (ImportError, RuntimeError) as error:  # the latter by a torchvision that does not fit torch
        raise ValueError(
            f"torch-fidelity and prdc, which the distances are compared with, cannot be imported ({error});"
            f" {INSTALL} in a scratch environment, with a torchvision that was built for this torch (see"
            " docs/evaluation.md)."
        ) from error


def features(count, columns, seed):
    """Two sets of features that overlap in part: float64 [2, count, columns]."""
    draw = np.random.default_rng(seed)
    mix, turn = draw.standard_normal((2, columns, columns)) / np.sqrt(columns)
    real = draw.standard_normal((count, columns)) @ mix
    fake = draw.standard_normal((count, columns)) @ (0.9 * mix + 0.2 * turn) + 0.1
    return np.maximum([real, fake], 0)


def against_torch_fidelity(modules, real, fake, size, subsets, seed):
    """Frechet and kernel distance, precision and recall: list of rows, see `report`."""
    torch, fid, kid, prc = modules
    tensors = torch.from_numpy(real), torch.from_numpy(fake)

    def kernel(count, of):
        return kid.kid_features_to_metric(
            *tensors, kid_subsets=count, kid_subset_size=of, rng_seed=seed, verbose=False
        )

    statistics = [fid.fid_features_to_statistics(tensor) for tensor in tensors]
    frechet = fid.fid_statistics_to_metric(*statistics, False)["frechet_inception_distance"]
    whole, parts = kernel(1, len(real)), kernel(subsets, size)
    theirs = prc.prc_features_to_metric(*tensors[::-1], prc_neighborhood=_K, verbose=False)

    # Ours draws other subsets, so it gets each of torch-fidelity's as a set of its own.
    draw = np.random.RandomState(seed)
    indices = [[draw.choice(len(s), size, replace=False) for s in (real, fake)] for _ in range(subsets)]
    values = np.array([metrics.kernel_distance(real[i], fake[j])[0] for i, j in indices])
    scores = metrics.manifold_scores(real, fake, _K)
    mean, deviation = "kernel_inception_distance_mean", "kernel_inception_distance_std"
    some = f"{subsets} subsets of {size}"
    pairs = {
        "Frechet distance": (metrics.frechet_distance(real, fake), frechet),
        "kernel distance, all rows": (metrics.kernel_distance(real, fake, len(real))[0], whole[mean]),
        f"kernel distance, {some}": (values.mean(), parts[mean]),
        f"its standard deviation, {some}": (values.std(), parts[deviation]),
        "precision": (scores["precision"], theirs["precision"]),
        "recall": (scores["recall"], theirs["recall"]),
    }
    package = f"torch-fidelity {metadata.version('torch-fidelity')}, torch {metadata.version('torch')}"
    return _table_rows(pairs, package)


def against_prdc(prdc, real, fake):
    """Precision, recall, density and coverage: list of rows, see `report`."""
    with contextlib.redirect_stdout(io.StringIO()):  # it prints the numbers of rows
        theirs = prdc.compute_prdc(real, fake, _K)
    scores = metrics.manifold_scores(real, fake, _K)
    return _table_rows(
        {name: (scores[name], theirs[name]) for name in scores}, f"prdc {metadata.version('prdc')}"
    )


def difference(row):
    """Of ours from the reference, relative to the reference or, where that is 0, to ours."""
    ours, reference = row["ours"], row["reference"]
    return abs(ours - reference) / (abs(reference) or abs(ours) or 1.0)


def agree(rows, tolerance):
    """Whether no row differs by more than `tolerance`, nor is a number missing."""
    return all(difference(row) <= tolerance for row in rows)


def report(rows):
    """Rows of 'measure', 'ours', 'reference' and 'package' as a Markdown table."""
    lines = ["| measure | ours | reference | relative difference | package |", "|---|---|---|---|---|"]
    for row in rows:
        numbers = f"{row['ours']:.10g} | {row['reference']:.10g} | {difference(row):.1e}"
        lines.append(f"| {row['measure']} | {numbers} | {row['package']} |")
    return "\n".join(lines)


def _table_rows(pairs, package):
    return [
        {"measure": measure, "ours": float(ours), "reference": float(reference), "package": package}
        for measure, (ours, reference) in pairs.items()
    ]


if __name__ == "__main__":
    flags.DEFINE_integer("rows", 5000, "Rows of each set.", 10)
    flags.DEFINE_integer("columns", 64, "Columns of both sets.", 1)
    flags.DEFINE_integer("seed", 0, "Of the features and of torch-fidelity's subsets.", 0)
    flags.DEFINE_integer("subsets", 100, "Subsets of the kernel distance.", 2)
    flags.DEFINE_integer("subset_size", 1000, "Rows of a subset.", 2)
    flags.DEFINE_float("tolerance", 1e-4, "Largest relative difference.", 0.0)
    path_flags.define_path("out", None, "JSON file to write.")
    run(main)
