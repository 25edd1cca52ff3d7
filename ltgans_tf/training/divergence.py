"""Warns of signs of divergence while all numbers are still finite: once per sign and task; the run continues.

Each threshold is far from the values of runs that learn; docs/reliability.md has these values.
"""

import logging
import math

import numpy as np

# The critic's slope should be at most 1, so its values should differ no more than two images can. The limit is this
# many times that largest distance between two images.
_DIAMETERS = 10.0
# KL(q(z|x) || p(z)) bounds the information of codes about images; to distinguish two images takes log 2 = 0.69 nats.
_LEAST_KL = 0.1
# As a share of the spread of real images, which is about 60 of 255 levels: three levels.
_LEAST_SPREAD = 0.05
# Before this step of a run a generator may not have learnt yet to draw more than one image.
_FIRST_STEPS = 500
_log = logging.getLogger("ltgans_tf")


class Signs:
    """Writes a warning for each sign of divergence, the first time that a task shows it."""

    def __init__(self):
        self._told = set()

    def of_losses(self, task, step, losses, image_shape):
        """Checks mean losses for a critic's loss that explodes and for codes without information.

        Args:
          task, step: the `Task` and the global step, for the warning.
          losses: {name: float} as a step reports them; a missing loss is not checked.
          image_shape: (H, W, C) of images in [-1, 1].
        """
        most = _DIAMETERS * 2.0 * math.sqrt(math.prod(image_shape))
        loss, kl = abs(losses.get("critic/loss", 0.0)), losses.get("student/kl", math.inf)
        if loss > most:
            self._tell(
                task, step, f"the critic's loss explodes: critic/loss is {loss:.4g} in size, above {most:.4g}"
            )
        if kl < _LEAST_KL:
            self._tell(
                task,
                step,
                f"the Student's posterior collapsed: student/kl is {kl:.4g} nats, below {_LEAST_KL}",
            )

    def of_images(self, task, step, spread):
        """Checks the `spread` of one generator's images of different latents for a collapse."""
        if step >= _FIRST_STEPS and spread < _LEAST_SPREAD:
            self._tell(
                task,
                step,
                f"a generator collapsed to nearly one image: generator/spread is {spread:.4g}, below"
                f" {_LEAST_SPREAD}",
            )

    def _tell(self, task, step, sentence):
        sign = task.index, sentence.partition(":")[0]
        if sign not in self._told:
            self._told.add(sign)
            _log.warning("task %d, step %d: %s.", task.index + 1, step, sentence)


def spread(made, reals):
    """Returns how much generated images differ from each other, relative to real images.

    Args:
      made, reals: uint8 [N, H, W, C] and [M, H, W, C].

    Returns:
      float, the ratio of the root mean squares of the deviations from the mean image; Inf if all real
      images are the same.
    """
    made, reals = (np.sqrt(np.float64(batch).var(axis=0).mean()) for batch in (made, reals))
    return float(made / reals) if reals else math.inf
