"""Signs of divergence while all numbers are still finite: each is told once per task, and none stops the run.

Each threshold lies far from what runs that learn have shown; docs/reliability.md has their figures.
"""

import logging
import math

import numpy as np

# No slope of the critic is to be above 1, so no two of its values further apart than two images can be.
_DIAMETERS = 10.0
# KL(q(z|x) || p(z)) bounds what codes tell of images: to tell two of them apart takes log 2 = 0.69 nats.
_LEAST_KL = 0.1
# Of the contrast between real images, which is about 60 of 255 levels: three of them.
_LEAST_SPREAD = 0.05
# Steps of a run before which a generator has not learnt yet to draw more than one image.
_FIRST_STEPS = 500
_log = logging.getLogger("ltgans_tf")


class Signs:
    """Writes a warning for each sign of divergence, the first time that a task shows it."""

    def __init__(self):
        self._told = set()

    def of_losses(self, task, step, losses, image_shape):
        """Looks at mean losses: a critic's that explodes, and codes that tell nothing.

        Args:
          task, step: the `Task` and the global step, for the line.
          losses: {name: float} as a step reports them; what is missing is not looked at.
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
        """Looks at the `spread` of one generator's images of different latents."""
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
    """How much generated images differ from each other, real ones being 1.

    Args:
      made, reals: uint8 [N, H, W, C] and [M, H, W, C].

    Returns:
      float, the ratio of the root mean squares of their deviations from their mean image; Inf where the
      real images are all the same.
    """
    made, reals = (np.sqrt(np.float64(batch).var(axis=0).mean()) for batch in (made, reals))
    return float(made / reals) if reals else math.inf
