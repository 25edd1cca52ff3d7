"""Recipes with domain codes, and the latents that they give."""

import numpy as np

from ltgans_tf.networks import domain_codes

CODES = {"domain_dim": 4, "domain_length": 1.5}


DISTILLED = {"distillation": 0.3, **CODES}


def codes_of(domains):
    return 1.5 * domain_codes.code_book(4)[domains].astype(np.float32)


def taught_by(model, past):
    """Latents of the Teacher at the first step, and its images of them."""
    latents = np.concatenate([codes_of(np.arange(8) % past), model.noise(0, 8, 4)], 1)
    return latents, model.teacher_images(latents, model.roles(past)).numpy()
