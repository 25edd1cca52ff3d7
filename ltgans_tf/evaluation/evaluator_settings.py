"""The settings of an evaluator, each checked."""

import dataclasses

from ltgans_tf.evaluation import features, scores

PROTOCOLS = {
    "research": "The evaluator kept the test parts of all tasks, and one extractor that was made of real"
    " training images alone; the learner saw neither.",
    "production": "Of past tasks the evaluator kept a mean and a covariance of features, counts and the NLOG"
    " when they were new, and no image; the extractor was given or made of the first task alone.",
}
_LEAST = {
    **{"samples": 1, "test_images": 1, "iwae_k": 1, "iwae_images": 0},
    **{"kernel_subsets": 1, "extractor_images": 1, "past_tasks": 1},
}


@dataclasses.dataclass(frozen=True)
class EvaluatorSettings:
    """What an evaluation measures, and on how much data.

    Attributes:
      protocol: 'research' or 'production', see PROTOCOLS.
      samples: generated images for the distances.
      test_images: test images of each task, at most.
      iwae_k: importance samples of the IWAE bound.
      iwae_images: test images of each task for the bound; 0 leaves the bound out.
      kernel_subsets: subsets of the kernel distance.
      extractor_images: training images of each task that an extractor is trained on, at most.
      max_seconds: time limit; after it no further part begins, and the remaining scores are absent with
        this reason. None for no limit. Making the extractor does not count: see `Evaluator.prepare`.
      seed: seed of the generated images and of all draws; the extractor's seed is always 0.
      past_tasks: how many past tasks are measured in full at most, in turn (see `in_full`); the others get only
        the scores that a push compares, `scores.JUDGED`. None for all.
      parts: which of `scores.PARTS` to measure.
      extractor_seeds: of `scores.EXTRACTOR_SEEDS`: distances of all tasks together are also measured on the
        features of extractors of these seeds, to show how much depends on the one of seed 0.

    Raises:
      ValueError: a choice that does not exist, or a number that is too small.
    """

    protocol: str = "research"
    samples: int = 5000
    test_images: int = 2000
    iwae_k: int = 64
    iwae_images: int = 500
    kernel_subsets: int = 100
    extractor_images: int = features.MOST_IMAGES
    max_seconds: float | None = None
    seed: int = 0
    past_tasks: int | None = None
    parts: tuple = scores.PARTS
    extractor_seeds: tuple = ()

    def __post_init__(self):
        _check_choice("protocol", [self.protocol], PROTOCOLS)
        for name, choices in (("parts", scores.PARTS), ("extractor_seeds", scores.EXTRACTOR_SEEDS)):
            _check_choice(name, getattr(self, name), choices)
            object.__setattr__(self, name, tuple(getattr(self, name)))
        for name, least in _LEAST.items():
            if getattr(self, name) is not None and getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least {least}.")

    def in_full(self, index, learnt):
        """Whether the task at `index` is measured in full once `learnt` tasks are learnt.

        The newest task always is. The past tasks take turns: t is the smallest number of turns with at most
        `past_tasks` tasks each, and the row after task i has the past tasks whose index equals i modulo t.
        """
        past = learnt - 1
        turns = 1 if self.past_tasks is None else max(1, -(-past // self.past_tasks))
        return index == past or index % turns == past % turns

    def as_json(self):
        """Returns the settings as a row stores them: a dict without the protocol and the extractor seeds, which are
        elsewhere in the row, and without past_tasks, which changes no score."""
        found = {**dataclasses.asdict(self), "parts": list(self.parts)}
        return {
            name: found[name] for name in found if name not in ("protocol", "extractor_seeds", "past_tasks")
        }


def _check_choice(name, values, choices):
    for value in values:
        if value not in choices:
            raise ValueError(f"{name} is {value!r}; choose one of {', '.join(map(str, choices))}.")
