"""Sectors of the latents: which part of N(0, I) the past is drawn with, and which the new task.

The angle of a latent's first two numbers is uniform and independent of all else. The first part of
that circle, as large as the share of the past, belongs to what the Teacher knows: there the
Assistant is to draw what the Teacher draws for the latents that fill its whole circle. The rest
belongs to the new task. Turning the angle leaves the radius alone, so the law stays N(0, I), and
after task k the domains lie in k sectors side by side, each as large as its share.
"""

import math

import tensorflow as tf


def angle(latents):
    """Where on the circle latents lie: [B, Z] -> [B], uniform in [0, 1) for N(0, I)."""
    return tf.math.floormod(tf.atan2(latents[:, 1], latents[:, 0]) / (2 * math.pi), 1.0)


def squeeze(latents, known, share):
    """Moves latents into the sector of the past or into that of the new task.

    Args:
      latents: [B, Z], Z at least 2.
      known: bool [B], whether a row goes to the past.
      share: scalar in [0, 1], the part of the circle that is the past's.

    Returns:
      [B, Z]; of N(0, I) given its sector where `latents` are of N(0, I).
    """
    at = angle(latents)
    turned = tf.where(known, at * share, share + at * (1.0 - share)) * (2 * math.pi)
    radius = tf.norm(latents[:, :2], axis=1)
    pair = tf.stack([radius * tf.cos(turned), radius * tf.sin(turned)], axis=1)
    return tf.concat([pair, latents[:, 2:]], axis=1)
