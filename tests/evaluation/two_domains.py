"""Two small tasks, and a model that replays their images: what the tests of the evaluator measure."""

import numpy as np
import tensorflow as tf

from ltgans_tf.data import images
from ltgans_tf.evaluation import evaluation
from ltgans_tf.networks import sampling

COUNT = 700  # test images of each task, enough for a covariance of 64 features
SIDE = 8


def shown(task, count, seed):
    """Task 0 is dark with a bright half, the left or the right; task 1 is bright with a dark one."""
    draw = np.random.default_rng([seed, task])
    labels = draw.integers(0, 2, count)
    made = draw.normal(60, 20, (count, SIDE, SIDE, 3))
    for image, label in zip(made, labels):
        image[:, label * 4 : label * 4 + 4] += draw.uniform(60, 100)
    return np.clip(255 - made if task else made, 0, 255).astype(np.uint8), labels


class Model:
    """Replays real images with a little noise: a domain that is asked for, `shares` of each, or each in turn."""

    method = "replay of real images"
    latent_law = sampling.LatentLaw(noise_dim=2, domain_dim=2)
    images_are_decoded = False
    wrong = 0.0  # share of the images that a code draws of the other domain

    def __init__(self, student, shares=None, task_index=2):
        self.student, self.shares = student, shares
        self.task_index, self.global_step = tf.Variable(task_index), tf.Variable(10 * task_index)
        self.seed = 4

    def sample(self, count, seed, domain=None):
        draw = np.random.default_rng(seed)
        parts = [shown(task, count, [seed, 77])[0] for task in range(2)]
        domains = np.arange(count) % self.task_index.numpy() if domain is None else np.full(count, domain - 1)
        by_code = (domains == 1) ^ (draw.random(count) < self.wrong)
        chosen = by_code if domain or not self.shares else draw.random(count) < self.shares[1]
        made = np.where(chosen[:, None, None, None], parts[1], parts[0])
        return images.normalize(made) + draw.normal(0, 0.05, made.shape).astype(np.float32)


def evaluator(extractor=None, **settings):
    settings = {"samples": 1500, "iwae_k": 2, "iwae_images": 4, "kernel_subsets": 2, **settings}
    return evaluation.Evaluator(extractor=extractor, **settings)
