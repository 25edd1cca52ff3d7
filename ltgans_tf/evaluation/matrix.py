"""The matrix R[i][j] of a score: what is left of task j after task i."""

import numpy as np


class Matrix:
    """R[i][j] of one score: of task j, after task i.

    Attributes:
      score: its `scores.Score`.
      tasks: names of the K tasks learnt.
      values: float64 [K, K]; NaN above the diagonal and where a score is absent.
    """

    def __init__(self, score, tasks, values):
        self.score = score
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
        if not self.score.better:
            raise ValueError(
                f"{self.score.name!r} is neither better high nor low, so it has no forgetting; ask for its values."
            )
        return 1.0 if self.score.better == "higher" else -1.0


def _mean(values):
    values = values[~np.isnan(values)]
    return float(values.mean()) if values.size else float("nan")


def _max(values):
    values = values[~np.isnan(values)]
    return values.max() if values.size else np.nan
