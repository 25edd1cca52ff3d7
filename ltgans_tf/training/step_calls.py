"""Takes several train steps in one call of a graph, if no callback needs the model between them."""

import collections
import time

import tensorflow as tf

from ltgans_tf.training import distribution

_ON_A_GPU = 50  # steps, by default
_LONGEST = 0.5  # seconds that a call takes at most, about; Python handles a signal after the call


def most_steps(asked, strategy, eagerly):
    """Returns the most steps that a call may take.

    Args:
      asked: what `compile` got as steps_per_execution; None for the default of the device.
      strategy: the strategy of the model.
      eagerly: whether steps run without a graph.

    Raises:
      ValueError: `asked` is not a whole number from 1 on, or it is above 1 and steps are taken one by one.
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
    """Takes several steps of a model per call, and hands out their logs one by one, as `fit` asks for them.

    The number of steps per call changes no bit of a weight.

    Args:
      most: the most steps of a call, from `most_steps`.

    Attributes:
      free: how many steps may be taken before a callback needs the model; `callbacks.TensorLogs` sets it.
    """

    def __init__(self, most=1):
        self.most = most
        self.begin()

    def begin(self):
        """Forgets logs that were not handed out and the measured speed: the next step may need a new trace."""
        self.free = self._affordable = 1
        self._logs = collections.deque()

    @property
    def ahead(self):
        """Number of steps that the model has taken and whose logs `fit` has not got yet."""
        return len(self._logs)

    def train_function(self, model):
        """Returns the function that `fit` calls for each step in place of Keras' own."""
        names = []

        @tf.function(autograph=False)
        def take(iterator, count):
            strategy = model.distribute_strategy

            def step(i, taken):
                report = strategy.run(model.train_step, args=(iterator.get_next(),))
                if strategy.num_replicas_in_sync > 1:  # all replicas have the same values
                    report = {
                        name: tf.reduce_mean(strategy.experimental_local_results(value), axis=0)
                        for name, value in report.items()
                    }
                names[:] = report
                row = tf.stack([tf.cast(value, tf.float32) for value in report.values()])
                return i + 1, taken.write(i, row)

            state = 0, tf.TensorArray(tf.float32, count)
            # Steps run one after another: each reads what the previous one assigned.
            return tf.while_loop(lambda i, _: i < count, step, state, parallel_iterations=1)[1].stack()

        def train(iterator):
            if not self._logs:
                count, begin = min(self.free, self._affordable), time.monotonic()
                rows = take(iterator, tf.constant(count)).numpy()  # waits for the last step
                self._affordable = max(1, int(count * _LONGEST / (time.monotonic() - begin)))
                self._logs.extend(dict(zip(names, row)) for row in rows)
            return self._logs.popleft()

        return train
