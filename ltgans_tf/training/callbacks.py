"""Keras callbacks of a run: checkpoints, metrics, TensorBoard, sample grids, progress."""

import json
import os
import time

import keras
import numpy as np
import tensorflow as tf

from ltgans_tf.data import images
from ltgans_tf.figures import sheets
from ltgans_tf.files import eventlog
from ltgans_tf.training import checkpoints, distribution, divergence

GRID_LATENTS = 64  # number of fixed latents in a grid
GRID_SEED = 0  # their seed, the same in the whole run


def default_callbacks(workdir, log_every=50, sample_every=500, measure=None):
    """Returns the callbacks that `fit_stream` uses when none are given; [] without a workdir."""
    if workdir is None:
        return []
    return [LogMetrics(workdir, log_every, measure), SampleGrids(workdir, sample_every)]


class TensorLogs(keras.callbacks.CallbackList):
    """A list of callbacks that passes the logs of a step on as tensors.

    Keras' own list turns logs into floats in every step, so that every step waits for the device. This list also says
    how many steps one call may take: up to the next step after which a callback needs the model. A callback without
    the method `needs_model` of `StepCallback` needs the model after every step, if it has hooks for steps at all.

    Args:
      steps: how many steps `fit` takes.
    """

    def on_train_begin(self, logs=None):
        self._before = [int(counter.numpy()) for counter in (self.model.global_step, self.model.task_step)]
        self.model.step_calls.begin()
        super().on_train_begin(logs)

    def on_train_batch_begin(self, batch, logs=None):
        if not self.model.step_calls.ahead:
            self.model.step_calls.free = self._free(batch)
        super().on_train_batch_begin(batch, logs)

    def _free(self, batch):
        """Returns how many steps one call may take, beginning with step `batch` of this `fit`."""
        most = min(self.model.step_calls.most, self.params["steps"] - batch)
        for count in range(1, most):
            done = [before + batch + count for before in self._before]
            if any(_needs_model(callback, *done) for callback in self.callbacks):
                return count
        return most

    def on_train_batch_end(self, batch, logs=None):
        self.model.keep_steps()  # before any callback writes about the step
        logs = distribution.unpacked(logs)
        for callback in self.callbacks:
            callback.on_train_batch_end(batch, logs)


def _needs_model(callback, step, task_step):
    """Whether `callback` must see the model as it is after that step, see `StepCallback.needs_model`."""
    if hasattr(callback, "needs_model"):
        return callback.needs_model(step, task_step)
    hooks = ("on_batch_begin", "on_batch_end", "on_train_batch_begin", "on_train_batch_end")
    return any(
        getattr(getattr(callback, hook), "__func__", None) is not getattr(keras.callbacks.Callback, hook)
        for hook in hooks
    )


class StepCallback(keras.callbacks.Callback):
    """Counts global steps on the host, so that no step waits for a counter from the device.

    After `on_train_begin`, `moved` says whether the run continues from another step than the last one that
    this callback saw. It is True at the beginning of the run and after a rollback.
    """

    def __init__(self):
        super().__init__()
        self._reached = None

    def on_train_begin(self, logs=None):
        self._before = int(self.model.global_step.numpy())
        self._before_task = int(self.model.task_step.numpy())
        self.moved = self._before != self._reached

    def on_train_batch_end(self, batch, logs=None):
        self._reached = self._before + batch + 1
        self.on_step(self._reached, self._before_task + batch + 1, logs)

    def on_step(self, step, task_step, logs):
        """Called after each step with the steps done in the run and in the task, and the logs (tensors or float32)."""

    def needs_model(self, step, task_step):
        """Whether `on_step` for this step needs the model as it is after this step.

        If not, the model may have taken further steps by then, if steps_per_execution is above 1.
        """
        del step, task_step
        return True


class SaveCheckpoints(StepCallback):
    """Saves a checkpoint at multiples of `every` steps, and stops training if `model.stop_requested` is set."""

    def __init__(self, run, every):
        super().__init__()
        self.run, self.every = run, every

    def on_train_begin(self, logs=None):
        super().on_train_begin(logs)
        # Workers must stop after the same step, and asking all of them takes a moment.
        self._ask_every = 1 if distribution.workers(self.model.distribute_strategy) == 1 else 10

    def needs_model(self, step, task_step):
        return step % self.every == 0

    def on_step(self, step, task_step, logs):
        if self.model.step_calls.ahead:
            return
        if step % self._ask_every == 0 and self.model.stop_agreed():
            self.model.stop_training = True  # fit_stream saves afterwards
        elif self.needs_model(step, task_step):
            self.run.save(self.model)


class StopNonFinite(StepCallback):
    """Raises NonFiniteError, at step 1 and at multiples of `every`, if a watched value was not finite."""

    def __init__(self, every=50):
        super().__init__()
        self.every = every

    def needs_model(self, step, task_step):
        return step == 1 or step % self.every == 0

    def on_step(self, step, task_step, logs):
        if self.needs_model(step, task_step):
            self.model.raise_if_nonfinite()


def of_other_workers(callbacks):
    """Returns the callbacks for workers other than the chief, which stop at the same step as its `callbacks`."""
    return [StopNonFinite(callback.every) for callback in callbacks if isinstance(callback, LogMetrics)]


class LogMetrics(StopNonFinite):
    """Writes mean scalars to metrics.jsonl and TensorBoard, by global step.

    It writes points at step 1 and at multiples of `every`. At the start and after a rollback it removes
    from both all points after the state from which the run continues, so no point appears twice. It also
    raises NonFiniteError if a watched value was not finite, and warns of losses that show divergence.

    Args:
      workdir: folder of the run.
      every: steps between points.
      measure: function of the model that returns further scalars of a point, {name: float}; None for none.
    """

    def __init__(self, workdir, every=50, measure=None):
        super().__init__(every)
        self.workdir = workdir
        self._measure = measure or (lambda model: {})
        self.path = os.path.join(workdir, "metrics.jsonl")
        self.folder = os.path.join(workdir, "tensorboard")
        self._writer = None
        self._pending = []
        self._signs = divergence.Signs()

    def on_train_begin(self, logs=None):
        super().on_train_begin(logs)
        if self.moved:
            if self._writer is not None:
                self._writer.close()
            eventlog.cut(self.path, self.folder, self._before)
            self._writer = eventlog.writer(self.folder, "scalars")
            eventlog.write_settings(self.folder, checkpoints.read_config(self.workdir))
        self._pending, self._since = [], time.monotonic()

    def on_step(self, step, task_step, logs):
        self._pending.append(logs)
        if not self.needs_model(step, task_step):
            return
        super().on_step(step, task_step, logs)
        point = {
            name: float(np.mean([float(logs[name]) for logs in self._pending])) for name in self._pending[-1]
        }
        self._signs.of_losses(self.model.task, step, point, self.model.task.image_shape)
        now = time.monotonic()
        point["speed/steps_per_second"] = len(self._pending) / max(now - self._since, 1e-9)
        point |= self._measure(self.model)
        self._pending, self._since = [], time.monotonic()
        record = {
            "step": step,
            "task_index": self.model.task.index,
            "task": self.model.task.name,
            "task_step": task_step,
            **point,
        }
        with open(self.path, "a", encoding="utf-8") as f:
            f.write(json.dumps(record) + "\n")
        with self._writer.as_default():
            for name, value in point.items():
                tf.summary.scalar(name, value, step)
        self._writer.flush()


class SampleGrids(StepCallback):
    """Saves grids of samples, of new images and of reconstructions, as PNG files and in TensorBoard.

    samples/task_00/reals.png has images of the current task. step_000500.png has the Teacher's images
    (generator 0 in the first task) on the left and the Assistant's on the right, for equal latents.
    reconstructions.png has new images and, below each row, their reconstructions by the Student. The first
    grids come at step 100 of the run, then at multiples of `every` in each task. TensorBoard's
    generator/spread is the `divergence.spread` of a generator's images, the smallest in the grid.
    """

    def __init__(self, workdir, every=500):
        super().__init__()
        self.workdir, self.every = workdir, every
        self._writer = None
        self._signs = divergence.Signs()

    def on_train_begin(self, logs=None):
        super().on_train_begin(logs)
        if self.moved:  # the event file that it wrote to has been cut
            if self._writer is not None:
                self._writer.close()
            self._writer = eventlog.writer(os.path.join(self.workdir, "tensorboard"), "images")
        self._latents = self.model.progress_latents(GRID_LATENTS, GRID_SEED)
        self._reals = self.model.task.train_images(32)
        self._save("reals.png", sheets.grid(self._reals))

    def needs_model(self, step, task_step):
        return step == 100 or task_step % self.every == 0

    def on_step(self, step, task_step, logs):
        if not self.needs_model(step, task_step):
            return
        made = [images.to_uint8(batch).numpy() for batch in self.model.progress_samples(self._latents)]
        grids = [sheets.grid(batch) for batch in made]
        self._look(min(divergence.spread(batch, self._reals) for batch in made), step)
        self._show("samples/progress", f"step_{task_step:06d}.png", sheets.side_by_side(grids), step)
        if getattr(self.model, "student", None) is not None:
            columns = min(8, len(self._reals))  # a task may have only a few images
            shown = self._reals[: len(self._reals) // columns * columns]
            rebuilt = images.to_uint8(self.model.student(images.normalize(shown), training=False)).numpy()
            lines = [part.reshape(-1, columns, *shown.shape[1:]) for part in (shown, rebuilt)]
            rows = np.stack(lines, axis=1).reshape(-1, *shown.shape[1:])
            self._show("samples/reconstructions", "reconstructions.png", sheets.grid(rows, columns), step)

    def _look(self, spread, step):
        self._signs.of_images(self.model.task, step, spread)
        with self._writer.as_default():
            tf.summary.scalar("generator/spread", spread, step)

    def _show(self, tag, name, picture, step):
        self._save(name, picture)
        with self._writer.as_default():
            tf.summary.image(tag, picture[None], step)
        self._writer.flush()

    def _save(self, name, picture):
        folder = os.path.join(self.workdir, "samples", f"task_{self.model.task.index:02d}")
        sheets.save_png(os.path.join(folder, name), picture, zoom=2)


class Profile(StepCallback):
    """Writes a profile of some steps to tensorboard/plugins/profile.

    Args:
      workdir: folder of the run.
      first, last: steps of the run, from 1 on.
    """

    def __init__(self, workdir, first, last):
        super().__init__()
        self.folder, self.first, self.last = os.path.join(workdir, "tensorboard"), first, last
        self._running = False

    def needs_model(self, step, task_step):
        return step in (self.first - 1, self.last)  # a call of several steps is profiled as a whole

    def on_train_batch_begin(self, batch, logs=None):
        if self._before + batch + 1 == self.first:
            tf.profiler.experimental.start(self.folder)
            self._running = True

    def on_step(self, step, task_step, logs):
        if step == self.last:
            self._stop()

    def on_train_end(self, logs=None):
        self._stop()  # if the task ends before step `last`

    def _stop(self):
        if self._running:
            tf.profiler.experimental.stop()
            self._running = False


class Progress(StepCallback):
    """Writes lines of progress: task, step, speed, losses and the time left.

    After the first pause between tasks (scores, export, the first step) the time left includes the later pauses,
    from the mean so far and the growth per task between the first and the last. Before that it covers only training.

    Args:
      write: called with each line's text; at most once in `seconds`.
      tasks: number of tasks of the run.
      steps_per_task: steps in each.
      seconds: least time between two lines.
    """

    def __init__(self, write, tasks, steps_per_task, seconds=1.0):
        super().__init__()
        self.write, self.seconds = write, seconds
        self.tasks, self.steps_per_task = tasks, steps_per_task
        self._ended, self._pauses = None, {}

    def on_train_begin(self, logs=None):
        super().on_train_begin(logs)
        self._marks = []

    def needs_model(self, step, task_step):
        return False

    def on_step(self, step, task_step, logs):
        now = time.monotonic()
        last = task_step == self.steps_per_task
        if task_step == 1 and self._ended and self._ended[0] == step - 1:
            self._pauses.setdefault(self.model.task.index, now - self._ended[1])  # not again after a rollback
        if last:
            self._ended = step, now
        if self._marks and now - self._marks[-1][0] < self.seconds and not last:
            return
        self._marks = [*self._marks[-20:], (now, step)]
        (begin, first), (end, newest) = self._marks[0], self._marks[-1]
        task = self.model.task
        text = f"task {task.index + 1}/{self.tasks} {task.name}  step {task_step}/{self.steps_per_task}"
        if newest > first:
            speed = (newest - first) / max(end - begin, 1e-9)
            steps_left = (self.tasks - task.index) * self.steps_per_task - task_step
            left = steps_left / speed + self._pauses_left(task.index)
            of = "left" if self._pauses else "of training left"
            text += f"  {speed:.1f} steps/s  {_clock(left)} {of}"
        shown = {"critic/wasserstein": "W", "student/loss": "student"}
        text += "".join(f"  {label} {float(logs[name]):.2f}" for name, label in shown.items() if name in logs)
        self.write(text)

    def _pauses_left(self, task_index):
        """Estimates the seconds of the pauses after this and later tasks from earlier pauses; 0 without any."""
        if not self._pauses:
            return 0.0
        seconds = list(self._pauses.values())
        growth = max(0.0, (seconds[-1] - seconds[0]) / max(1, len(seconds) - 1))
        coming = np.arange(task_index + 1, self.tasks + 1) - np.mean(list(self._pauses))
        return float(np.sum(np.mean(seconds) + growth * coming))


def _clock(seconds):
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
