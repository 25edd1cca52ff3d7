"""Scores of the Student on the first task during training, as the curves of the paper's Fig. 4 b."""

import logging

from ltgans_tf.data import images
from ltgans_tf.evaluation import likelihood
from ltgans_tf.files import metrics_log

IMAGES = 500  # test images that are looked at, at most
_log = logging.getLogger(__name__)


class FirstTask:
    """Measures ELBO and squared error of test images of a stream's first task.

    Args:
      stream: a `TaskStream`; under `tuning` its test images are held-out training images.
      seed: int, of the codes drawn.
    """

    def __init__(self, stream, seed=0):
        self._task, self._seed = stream.tasks[0], seed
        self._images, self._graphs = None, {}

    def __call__(self, model):
        """The scores of a model's Student, with the weights that it has in this step.

        Returns:
          {'first_task/elbo': in nats, 'first_task/sse': in [-1, 1]}, means per image; {} if the images cannot be read,
          which a warning says once.

        Raises:
          ValueError: the model has no Student.
        """
        if model.student is None:
            raise ValueError("score_first_task is True and the model has no Student; leave it out.")
        if self._images is None:
            self._images = self._read(model.task)
        if not len(self._images):
            return {}
        found = likelihood.nlog(model.student, self._images, seed=self._seed, graphs=self._graphs)
        return {name: found[score] for name, score in metrics_log.FIRST_TASK.items()}

    def _read(self, present):
        try:
            return images.normalize(self._task.test_images(IMAGES))
        except ValueError as error:
            _log.warning("The first task is not scored during training: %s", error)
            return ()
        finally:
            if self._task is not present:
                self._task.release()
