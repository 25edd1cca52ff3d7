"""Scores of a Student on the test images of one task: likelihood, codes, paths between codes."""

import contextlib

import tensorflow as tf

from ltgans_tf.data import images
from ltgans_tf.evaluation import distances, likelihood, representations

_PAIRS = 32  # of codes to interpolate between


class StudentScores:
    """Measures a Student as it is now.

    Each method takes a `task_images.TaskImages`, returns {score: number}, and raises `distances.Absent` if
    there are no scores.

    Args:
      student: of the model, or None.
      settings: `evaluator_settings.EvaluatorSettings`.
      extractor: `features.Extractor` that steps are measured on; None if `smoothness` is not requested.
      graphs: see `likelihood.nlog`; None for a dict of this object.
      out_of_turn: names of the tasks for whose likelihood no codes are drawn.
    """

    def __init__(self, student, settings, extractor, graphs=None, out_of_turn=()):
        self._given, self._settings, self._extractor = student, settings, extractor
        self._graphs = {} if graphs is None else graphs
        self._out_of_turn = out_of_turn

    def likelihood(self, task):
        """See `likelihood.nlog`."""
        test = images.normalize(task.test())
        sampled = task.name not in self._out_of_turn
        return likelihood.nlog(
            self._student(), test, seed=self._settings.seed, graphs=self._graphs, sampled=sampled
        )

    def iwae(self, task):
        """See `likelihood.iwae`."""
        if not self._settings.iwae_images:
            raise distances.Absent("It was not asked for: iwae_images is 0.")
        test = images.normalize(task.test(self._settings.iwae_images))
        k, seed = self._settings.iwae_k, self._settings.seed
        return likelihood.iwae(self._student(), test, k, seed=seed, graphs=self._graphs)

    def representation(self, task):
        """See `representations.scores` and, for known factors, `representations.mutual_information_gap`."""
        codes = self._codes(task)
        labels, factors, found = task.test_labels(), task.test_factors(), {}
        if labels is None and not factors:
            raise distances.Absent("Its images have neither labels nor known factors.")
        with _absent_where_undefined():
            if factors:
                found["mig"] = representations.mutual_information_gap(codes, factors)["mig"]
            if labels is not None:
                found |= representations.scores(codes, labels, self._settings.seed)
        return found

    def smoothness(self, task):
        """See `representations.interpolation_smoothness`."""
        codes = self._codes(task, 2 * _PAIRS)
        half = len(codes) // 2
        if not half:
            raise distances.Absent("There is one test image; an interpolation needs two.")
        with _absent_where_undefined():
            rough = representations.interpolation_smoothness(
                lambda rows: self._student().decode(tf.convert_to_tensor(rows, tf.float32)),
                self._extractor.features,
                codes[:half],
                codes[half : 2 * half],
            )
        return {"smoothness": rough}

    def _codes(self, task, limit=None):
        return likelihood.codes(self._student(), images.normalize(task.test(limit)), graphs=self._graphs)

    def _student(self):
        if self._given is None:
            raise distances.Absent("The model has no Student.")
        return self._given


@contextlib.contextmanager
def _absent_where_undefined():
    """Makes scores absent if the data leave them undefined: a task of one class, factors that never vary."""
    try:
        yield
    except ValueError as error:
        raise distances.Absent(str(error)) from error
