"""A model that is one number, for tests of the loop around it."""

import tensorflow as tf

from ltgans_tf.methods import lifelong


class Walk(lifelong.LifelongModel):
    """Has a `place`, on which the pictures of its progress depend; a subclass writes `train_step`."""

    watched = ("walk loss",)
    student = None

    def __init__(self):
        super().__init__(seed=3)
        self.place = self.add_weight(
            shape=(), trainable=False, name="place", initializer="zeros", aggregation="only_first_replica"
        )
        self.built = True

    def get_settings(self):
        return {"method": "walk"}

    def progress_latents(self, count, seed=0):
        return tf.zeros([count, 1])

    def progress_samples(self, latents):
        return [tf.zeros([len(latents), 8, 8, 3]) + self.place.value / 100]
