"""A model without networks, so that the tests of this folder take no time."""

import tensorflow as tf

from ltgans_tf.methods import lifelong


class Counting(lifelong.LifelongModel):
    """Its one weight gets the global step added in each step, and noise, so that no step can be left out or doubled."""

    student = None

    def __init__(self, in_step=None):
        super().__init__()
        self.total = self.add_weight(name="total", shape=(300,), initializer="zeros")
        self.in_step = in_step or (lambda: None)
        self.built = True
        self.compile(optimizer=None, jit_compile=False)

    def train_step(self, data):
        self.in_step()  # while the step is traced
        self.total.assign_add(self.noise(1, 1, 300)[0] + tf.cast(self.global_step.value, tf.float32))
        self.end_step({"count/loss": self.total[0]})
        return {"count/loss": self.total[0]}

    def get_settings(self):
        return {"method": "counting"}
