"""Several train steps in one call of a graph, where nobody needs the model between them."""

import collections
import time

import tensorflow as tf

from ltgans_tf.training import distribution

_ON_A_GPU = 50  # steps, by default
_LONGEST = 0.5  # seconds of a call, about; a signal is answered after it


def most_steps(asked, strategy, eagerly):
    """How many steps a call may take.

    Args:
      asked: what `compile` got as steps_per_execution; None for the default of the device.
      strategy: over which the model is spread.
      eagerly: whether steps run without a graph.

    Raises:
      ValueError: it is no number from 1 on, or more than 1 where steps are taken one by one.
    """
    if asked is not None and (asked < 1 or asked != int(asked)):
        raise ValueError(f"steps_per_execution is {asked!r}; give a whole number, 1 or more.")
    single = None
    if eagerly:
        single = "run_eagerly takes them one by one"
    elif distribution.workers(strategy) > 1:
        single = "several workers take them one by one, so that all of them stop at the same one"
    if single and (asked or 1) > 1:
        raise ValueError(f"steps_per_execution is {asked} and {single}; leave it out.")
    if asked is None:
        return 1 if single or not tf.config.list_physical_devices("GPU") else _ON_A_GPU
    return int(asked)


class StepCalls:
    """Takes steps of a model some at a time, and hands out their logs one by one, as `fit` asks for them.

    How many are taken at a time changes no bit of a weight.

    Args:
      most: steps of a call at most, from `most_steps`.

    Attributes:
      free: how many steps may be taken next, before a callback needs the model; `callbacks.TensorLogs` sets it.
    """

    def __init__(self, most=1):
        self.most = most
        self.begin()

    def begin(self):
        """Forgets what was not handed out, and how fast steps are: the next one may need a new trace."""
        self.free = self._affordable = 1
        self._logs = collections.deque()

    @property
    def ahead(self):
        """How many steps the model has taken that `fit` does not know of yet."""
        return len(self._logs)

    def train_function(self, model):
        """What `fit` calls for each step in place of Keras' own function."""
        names = []

        @tf.function(autograph=False)
        def take(iterator, count):
            strategy = model.distribute_strategy

            def step(i, taken):
                report = strategy.run(model.train_step, args=(iterator.get_next(),))
                if strategy.num_replicas_in_sync > 1:  # each has them all
                    report = {
                        name: tf.reduce_mean(strategy.experimental_local_results(value), axis=0)
                        for name, value in report.items()
                    }
                names[:] = report
                row = tf.stack([tf.cast(value, tf.float32) for value in report.values()])
                return i + 1, taken.write(i, row)

            state = 0, tf.TensorArray(tf.float32, count)
            # Steps follow each other: what one assigns the next one reads.
            return tf.while_loop(lambda i, _: i < count, step, state, parallel_iterations=1)[1].stack()

        def train(iterator):
            if not self._logs:
                count, begin = min(self.free, self._affordable), time.monotonic()
                rows = take(iterator, tf.constant(count)).numpy()  # waits for the last step
                self._affordable = max(1, int(count * _LONGEST / (time.monotonic() - begin)))
                self._logs.extend(dict(zip(names, row)) for row in rows)
            return self._logs.popleft()

        return train
