"""A model that learns nothing and whose losses are known."""

import numpy as np
import tensorflow as tf

from ltgans_tf.methods import lifelong


class Ramp(lifelong.LifelongModel):
    """Learns nothing; its loss at global step t is t, so that every mean is known."""

    watched = ("ramp loss",)
    student = None

    def __init__(self, nan_at=-1):
        super().__init__()
        self.nan_at, self.built, self.grids = nan_at, True, []
        self.compile(optimizer=None, jit_compile=False)

    def train_step(self, data):
        step = tf.cast(self.global_step.value, tf.float32) + 1
        self.end_step({"ramp/loss": tf.where(step == self.nan_at, np.nan, step)})
        return {"ramp/loss": step, "ramp/square": step * step}

    def get_settings(self):
        return {"method": "ramp"}

    def progress_latents(self, count, seed=0):
        return tf.random.stateless_normal([count, 2], [seed, 0])

    def progress_samples(self, latents):
        self.grids.append(np.array(latents))
        flat = tf.ones([1, 8, 8, 3])
        return [flat * tf.tanh(latents[:, i, None, None, None]) for i in (0, 1)]
