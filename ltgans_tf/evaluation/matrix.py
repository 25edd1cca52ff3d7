"""The matrix R[i][j] of a score: its value for task j after task i is learnt."""

import numpy as np


class Matrix:
    """R[i][j] of one score: for task j, after task i is learnt.

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
        """The last row, float64 [K]: the score of each task at the end."""
        return self.values[-1]

    def final_average(self):
        """Returns the mean over j of R[K][j], over the tasks that have the score; NaN if none has it."""
        return _mean(self.final)

    def forgetting(self):
        """Returns how much of each task but the last was forgotten: float64 [K - 1], positive = forgotten.

        This is the difference between the task's best earlier score and its score at the end:
        f_j = max over j <= i < K of R[i][j] - R[K][j] if higher is better (Chaudhry et al. 2018), and
        R[K][j] - min R[i][j] if lower is better.
        """
        sign, last = self._sign(), len(self.tasks) - 1
        best = [_max(sign * self.values[j:last, j]) for j in range(last)]
        return np.array(best) - sign * self.final[:last]

    def mean_forgetting(self):
        """Returns the mean of `forgetting` over the tasks that have it; NaN for one task."""
        return _mean(self.forgetting())

    def backward_transfer(self):
        """Returns the mean over j < K of R[K][j] - R[j][j], signed so that positive = got better.

        This follows Lopez-Paz and Ranzato 2017, with the opposite sign for scores where lower is better.
        """
        last = len(self.tasks) - 1
        return _mean(self._sign() * (self.final[:last] - np.diag(self.values)[:last]))

    def _sign(self):
        if not self.score.better:
            raise ValueError(
                f"{self.score.name!r} has no better direction, so forgetting is undefined; use its values."
            )
        return 1.0 if self.score.better == "higher" else -1.0


def _mean(values):
    values = values[~np.isnan(values)]
    return float(values.mean()) if values.size else float("nan")


def _max(values):
    values = values[~np.isnan(values)]
    return values.max() if values.size else np.nan
