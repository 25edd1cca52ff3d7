"""The upper bound: one generator and a Student on the real images of all tasks so far."""

import tensorflow as tf

from ltgans_tf.data import streams
from ltgans_tf.methods import replay, twin_step

# With k tasks, reading starts at step (k - 1) * _STRETCH of each task's endless order.
_STRETCH = 1 << 32


class Joint(replay.Finetune):
    """Learns task k from the real images of tasks 1..k, uniform over the tasks; breaks the rules on purpose.

    Initial weights and number of updates are those of `Finetune`. Only the data differ, so the
    difference in scores is the value of remembering. All data of the stream must stay readable.
    """

    method = "joint"

    def batches(self, stream, task, start_step, rows=slice(None)):
        """Returns batches with an equal share of every task up to `task`, see `shared_batches`."""
        seen = stream.tasks[: task.index + 1]
        return shared_batches(seen, start_step, stream.batch_size, self.new_batches(task.index), rows)

    def _domains(self, i, rows):
        """Returns the domain of each row's real image, in the order of `shared_batches`."""
        step = tf.cast(self.task_step.value, tf.int64)
        batch = step * self.new_batches(self.traced_task) + tf.cast(i, tf.int64)
        position = batch * self.global_rows + self._global_row(rows)
        return twin_step.remainder(position, self.task_index.value + 1)


def shared_batches(tasks, start_step, batch_size, updates, rows=slice(None)):
    """Returns batches whose rows come from several tasks in turn.

    Let B be the batch size and n the updates of a step. Element [i, c] of step t has position
    p = t*B*n + c*B + i, and is image p // k of the order of task p % k. After any number of rows the
    shares of two tasks differ by at most one image, and each task is spread evenly over the rows, so
    over the replicas. Each task's order is that of `Task.batches`. Its start depends on k, so that a
    further task does not show the same first images again. The batches depend only on (seed, k, t).

    Args:
      tasks: list of k `Task`s.
      start_step: the step to begin with.
      batch_size, updates: B and n.
      rows: a slice, the wanted rows of a batch; no others are read.

    Returns:
      an endless tf.data.Dataset of uint8 [B, n, H, W, C], or with the wanted rows only.
    """
    count = len(tasks)
    first = (count - 1) * _STRETCH * batch_size * updates

    def images_at(positions):
        turns = tf.cast(positions % count, tf.int32)
        own = tf.dynamic_partition(first + positions // count, turns, count)
        places = tf.dynamic_partition(tf.range(tf.size(positions)), turns, count)
        return tf.dynamic_stitch(places, [task.images_at(o) for task, o in zip(tasks, own)])

    return streams.steps_of(tasks, images_at, start_step, batch_size, updates, rows)
