"""The loop over the tasks of a stream: steps, checkpoints, callbacks after tasks, stops and rollbacks."""

import contextlib
import gc

import keras
import tensorflow as tf

from ltgans_tf.training import boundaries, data_changes, distribution, nonfinite, workdirs
from ltgans_tf.training import callbacks as callbacks_lib


class StopRequested(BaseException):
    """Raised to abort work on a stop request; a BaseException, so that `except Exception` misses it."""


class Loop:
    """Trains a model on a stream; arguments as for `LifelongModel.fit_stream`.

    Args:
      model: a `LifelongModel`.
      callbacks: a list; for workers other than the chief, only those that they may call.
    """

    def __init__(
        self,
        model,
        stream,
        steps_per_task,
        callbacks,
        boundary_callbacks=(),
        accept_changed_data=False,
    ):
        self._model = model
        self._stream = stream
        self._steps = steps_per_task
        self._callbacks = callbacks
        self._boundary_callbacks = boundary_callbacks
        self._accept = accept_changed_data
        self._strategy = model.distribute_strategy

    def run(
        self,
        workdir=None,
        checkpoint_every=500,
        stop_after_task=None,
        resume="auto",
        on_nonfinite="stop",
    ):
        """Learns the rest of the tasks; returns and raises what `fit_stream` does."""
        model = self._model
        last = len(self._stream.tasks) - 1 if stop_after_task is None else stop_after_task
        settings = {
            "model": {} if workdir is None else model.get_settings(),  # a user's own networks have none
            "stream": self._stream.get_settings(),
            "steps_per_task": int(self._steps),
        }
        how = [checkpoint_every, stop_after_task, resume, on_nonfinite, self._accept]
        common = data_changes.settings_of(model, {**settings, "how": how})
        chief = distribution.is_chief(self._strategy)
        with distribution.all_workers(self._strategy):
            distribution.check_alike(self._strategy, common)  # before anything is read or written
            with (
                workdirs.open_workdir(workdir, settings, resume, chief) as run,
                contextlib.ExitStack() as after,
            ):
                gc.collect()
                gc.freeze()  # gc.collect at each boundary then skips TensorFlow: saves a third of a second
                after.callback(gc.unfreeze)
                saver = callbacks_lib.SaveCheckpoints(run, checkpoint_every)
                self._callbacks = [*self._callbacks, saver]
                return self._run_in(run, last, on_nonfinite)

    def _run_in(self, run, last, on_nonfinite):
        """Starts or resumes in an open workdir; returns and raises what `run` does."""
        model = self._model
        run.restore(model)
        self._check_all_begin_alike(run.path)
        if on_nonfinite == "rollback" and run.is_new():
            run.save(model)
        if not int(model.global_step.numpy()):
            for callback in self._boundary_callbacks:
                if hasattr(callback, "prepare"):
                    with contextlib.suppress(StopRequested), model.breaking_off():
                        callback.prepare(self._stream, run.path)
            if model.stop_agreed():
                return False
        while True:
            try:
                return self._learn_up_to(last, run)
            except nonfinite.NonFiniteError as error:
                if on_nonfinite == "stop":
                    raise nonfinite.NonFiniteError(f"{error}; {run.last_checkpoint()}.") from error
                nonfinite.go_back(model, run, error)
                self._check_all_begin_alike(run.path)

    def _check_all_begin_alike(self, workdir):
        """Raises a ValueError if the workers have not restored the same state."""
        step = int(self._model.global_step.numpy())
        steps = distribution.total(self._strategy, step)
        if steps != step * distribution.workers(self._strategy):
            raise ValueError(
                f"this worker begins at step {step} and another one does not; give all of them one workdir, on"
                f" storage that they share (here it is {workdir!r})."
            )

    def _learn_up_to(self, last, run):
        """Learns the remaining tasks up to the one at `last`; returns False if a stop was requested before the end."""
        model, tasks = self._model, self._stream.tasks
        for task in tasks[: last + 1]:
            due = task.index >= int(model.task_index.numpy())
            if due:
                run.clear_boundary(task)  # its note is of a state that has been lost
                try:
                    finished = self.learn(task)
                except StopRequested:  # before the first step since the last checkpoint
                    return False
                run.save(model)
                if not finished:
                    return False
            if due or not run.boundary_done(task):
                boundary = boundaries.Boundary(model, self._stream, task, run.path)
                for callback in self._boundary_callbacks:
                    with contextlib.suppress(StopRequested), model.breaking_off():
                        callback(boundary)
                    if model.stop_requested:
                        break
                else:
                    run.mark_boundary(task)
            if model.stop_agreed():  # here the other workers wait for the chief
                return False
            for seen in tasks:
                seen.release()  # data read for this task, and for the scores of earlier tasks
            gc.collect()  # the graphs of a task's data and exports are reference cycles, tens of MB
        return True

    def learn(self, task):
        """Learns the rest of one task; returns False if a stop was requested before its end."""
        model = self._model
        model.task = task
        done = begun = int(model.task_step.numpy())
        if done == 0:
            model.begin_task()
        for model.phase, end in enumerate(model.phases(task.index, self._steps)):
            if done < end and not self._take_steps(task, done, end, done == begun):
                return False
            done = max(done, end)
        model.raise_if_nonfinite()
        model.finish_task()
        model.task_index.assign_add(1)
        model.task_step.assign(0)
        return True

    def _take_steps(self, task, done, end, first):
        """Takes the steps of one phase, from `done` to `end`; returns False if a stop was requested before its end.

        `first` says whether a checkpoint has every step before these.
        """
        model, stream = self._model, self._stream
        rows = distribution.own_rows(self._strategy, stream.batch_size)
        batches = model.batches(stream, task, done, rows)
        data_changes.note(model, task, stream.tasks, self._accept)
        alone = distribution.workers(self._strategy) == 1
        batches = batches.take(end - done) if alone else distribution.as_elements(batches, stream.batch_size)
        try:
            # Only without other workers, which would wait for this one.
            with model.breaking_off() if alone and first else contextlib.nullcontext():
                keras.Model.fit(
                    model,
                    batches,
                    steps_per_epoch=end - done,
                    shuffle=False,
                    verbose=0,
                    callbacks=callbacks_lib.TensorLogs(
                        self._callbacks, add_history=True, model=model, steps=end - done
                    ),
                )
        except tf.errors.InvalidArgumentError:
            for read in stream.tasks:
                read.raise_if_broken()
            raise
        model.raise_if_nonfinite()
        return int(model.task_step.numpy()) >= end
