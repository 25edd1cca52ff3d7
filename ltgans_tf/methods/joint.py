"""The upper bound: one generator and a Student on the real images of all tasks so far."""

import tensorflow as tf

from ltgans_tf.data import streams
from ltgans_tf.methods import replay, twin_step

# So many steps lie between the places where a task's endless order begins with one task and with one more.
_STRETCH = 1 << 32


class Joint(replay.Finetune):
    """Real images of tasks 1..k at every task k, uniform over the tasks; breaks the rules on purpose.

    Weights and number of updates are those of `Finetune`; only the data differ, so that the distance
    to it is what remembering is worth. All data of the stream must stay readable.
    """

    method = "joint"

    def batches(self, stream, task, start_step, rows=slice(None)):
        """Batches that every task up to `task` has an equal share of: see `shared_batches`."""
        seen = stream.tasks[: task.index + 1]
        return shared_batches(seen, start_step, stream.batch_size, self.new_batches(task.index), rows)

    def _domains(self, i, rows):
        """The domain of each row's real image, as `shared_batches` has them."""
        step = tf.cast(self.task_step.value, tf.int64)
        batch = step * self.new_batches(self.traced_task) + tf.cast(i, tf.int64)
        position = batch * self.global_rows + self._global_row(rows)
        return twin_step.remainder(position, self.task_index.value + 1)


def shared_batches(tasks, start_step, batch_size, updates, rows=slice(None)):
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
      rows: a slice, which rows of a batch are wanted; no others are read.

    Returns:
      a tf.data.Dataset of uint8 [B, n, H, W, C], or with as many rows as are wanted, without end.
    """
    count = len(tasks)
    first = (count - 1) * _STRETCH * batch_size * updates

    def images_at(positions):
        turns = tf.cast(positions % count, tf.int32)
        own = tf.dynamic_partition(first + positions // count, turns, count)
        places = tf.dynamic_partition(tf.range(tf.size(positions)), turns, count)
        return tf.dynamic_stitch(places, [task.images_at(o) for task, o in zip(tasks, own)])

    return streams.steps_of(tasks, images_at, start_step, batch_size, updates, rows)
