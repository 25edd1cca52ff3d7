"""Scores of what a model has kept: likelihood, distances, codes, memorisation, forgetting.

| name | what it is |
|---|---|
| `Evaluator`, `EvaluatorSettings` | scores every task so far; training never sees the data that it keeps |
| `Row` | the scores of one evaluation, and their file |
| `score_matrix`, `Matrix` | R[i][j] of a workdir: forgetting, backward transfer, final average |
| `Extractor`, `Inception` | feature functions: a classifier of the real images; Inception from a file |
| `Moments`, `moments`, `frechet_distance`, `kernel_distance` | distances of two sets of features |
| `manifold_scores` | precision, recall, density, coverage |
| `nlog`, `iwae`, `bits_per_dim` | likelihood of a Student |
| `knn_accuracy`, `mutual_information_gap` | how well codes tell classes and factors apart |
| `memorisation` | whether images are copies of training images |
"""

from ltgans_tf import _lazy

__getattr__, __dir__, __all__ = _lazy.face(
    __name__,
    {
        "Evaluator": "evaluation",
        "EvaluatorSettings": "evaluator_settings",
        "Extractor": "features",
        "Inception": "inception",
        "Matrix": "matrix",
        "Moments": "metrics",
        "Row": "row",
        "bits_per_dim": "likelihood",
        "frechet_distance": "metrics",
        "iwae": "likelihood",
        "kernel_distance": "metrics",
        "knn_accuracy": "representations",
        "manifold_scores": "metrics",
        "memorisation": "memorisation",
        "moments": "metrics",
        "mutual_information_gap": "representations",
        "nlog": "likelihood",
        "score_matrix": "scores",
    },
)
