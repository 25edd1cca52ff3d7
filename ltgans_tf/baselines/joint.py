"""The upper bound: one generator and a Student on the real images of all tasks so far."""

import tensorflow as tf

from ltgans_tf import streams
from ltgans_tf.baselines import replay

# Positions of a task's endless order are so many steps apart in two tasks of the stream.
_STRETCH = 1 << 32


class Joint(replay.Finetune):
    """Real images of tasks 1..k at every task k, uniform over the tasks; breaks the rules on purpose.

    Weights and number of updates are those of `Finetune`; only the data differ, so that the distance
    to it is what remembering is worth. All data of the stream must stay readable.
    """

    method = "joint"

    def batches(self, stream, task, start_step):
        """Batches that every task up to `task` has an equal share of: see `shared_batches`."""
        seen = stream.tasks[: task.index + 1]
        return shared_batches(seen, start_step, stream.batch_size, self.new_batches(task.index))


def shared_batches(tasks, start_step, batch_size, updates):
    """Batches of several tasks, whose rows take turns.

    With B the batch size and n the updates of a step, element [i, c] of step t stands at position
    p = t*B*n + c*B + i, and is image p // k of the order of task p % k: after any number of rows the
    shares of two tasks differ by one image at most, and they are spread over the rows, so over the
    replicas, evenly. Each task's order is that of `Task.batches`, in each k from another place on, so
    that a task that was seen is not seen by the same first images again. All follows from (seed, k, t).

    Args:
      tasks: list of k `Task`s.
      start_step: the step to begin with.
      batch_size, updates: B and n.

    Returns:
      a tf.data.Dataset of uint8 [B, n, H, W, C], without end.
    """
    count = len(tasks)
    # Of each task one element of its own is taken, cut to rows and dealt out over `count` steps.
    block, within = divmod(start_step, count)
    place = (count - 1) * _STRETCH + block
    sources = tf.data.Dataset.zip(tuple(task.batches(place, updates) for task in tasks))

    def deal(*elements):
        image_shape = elements[0].shape[2:]
        in_order = [
            tf.reshape(tf.transpose(images, [1, 0, 2, 3, 4]), [-1, *image_shape]) for images in elements
        ]
        steps = tf.reshape(tf.stack(in_order, axis=1), [count, updates, batch_size, *image_shape])
        return tf.transpose(steps, [0, 2, 1, 3, 4, 5])

    return sources.map(deal).unbatch().skip(within).prefetch(streams.PREFETCH)
