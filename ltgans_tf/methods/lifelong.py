"""LifelongModel: the base of every method that learns a stream of tasks.

A method subclasses it and defines `train_step` (one step of the current task), `generate`, `latent_law` and, if it
has one, `student`. Counters, noise, the loop over tasks, checkpoints and evaluation come from here.
"""

import contextlib
import logging

import keras
import numpy as np
import tensorflow as tf

from ltgans_tf.evaluation import evaluation
from ltgans_tf.files import keras_config, paths
from ltgans_tf.methods import compiled_steps, keras_calls
from ltgans_tf.networks import sampling
from ltgans_tf.settings import seeds
from ltgans_tf.training import boundaries, distribution, loop, nonfinite
from ltgans_tf.training import callbacks as callbacks_lib

NonFiniteError = nonfinite.NonFiniteError
_log = logging.getLogger(__name__)
# Offset between the seeds of a step's noise in two noise streams; larger than the number of steps of a run.
_STREAM = 2**40


class LifelongModel(compiled_steps.CompiledSteps):
    """A Keras model that learns tasks one after another.

    Args:
      seed: int; it and the counters determine all noise (weights and data order have seeds of their own).

    Attributes:
      task_index: int64 weight. The task that is being learnt or, between two tasks, the next
        one; so it is also the number of finished tasks. Roles are derived from it.
      task_step: int64 weight, steps done in the current task.
      global_step: int64 weight, steps done in all tasks.
      noise_stream: int64 weight, how often the run was rolled back after a number that was not finite; each
        rollback changes the noise.
      optimizers: list of all optimizers, saved with the weights; a method fills it in `compile`.
      task: the `Task` that `fit_stream` is learning, or None.
      data_read: {task name: list of fingerprints of the training images that the task was learnt from, in
        order; more than one only if the images changed}; checkpoints keep it.
      domain_names: names of all tasks of its stream in order, learnt or not; [] if no stream is known.
      stop_requested: set it to True to leave `fit_stream` after the current step, with the state saved; with
        several workers, within the next ten steps. `request_stop` is quicker.
    """

    # The method's name in `methods.METHODS`; for other classes 'module:Class', by which a workdir finds the class.
    method = None
    # Names of the values that are checked for NaN and Inf in every step, without a host round trip.
    watched = ()
    # The method's `sampling.LatentLaw`.
    latent_law = None
    # Index in `phases` of the current steps; a constant in each compiled function.
    phase = 0
    # Whether `generate` decodes with the Student, so that images are as blurred as its reconstructions.
    images_are_decoded = False
    # Index of the generator that `generate` uses, if a method has several.
    latest_identity = None

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if "method" not in vars(cls):
            cls.method = f"{cls.__module__}:{cls.__qualname__}"

    def __init__(self, seed=0, name=None):
        keras_config.check()
        super().__init__(name=name)
        seeds.check(seed)
        self.seed = int(seed)
        self.task_index = self._counter("task_index")
        self.task_step = self._counter("task_step")
        self.global_step = self._counter("global_step")
        self.nonfinite_steps = self._counter("nonfinite_steps", (len(self.watched),), -1)
        self.noise_stream = self._counter("noise_stream")
        self.task = None
        self.domain_names = []
        self.data_read = {}
        self.optimizers = []
        self.stop_requested = False
        self._may_break_off = False

    def _counter(self, name, shape=(), value=0):
        return self.add_weight(
            name=name,
            shape=shape,
            dtype="int64",
            trainable=False,
            initializer=keras.initializers.Constant(value),
            aggregation="only_first_replica",
        )

    # What a method may override.

    def begin_task(self):
        """Called before the first step of a task, and again, from the same state, if the run restarts there."""

    def finish_task(self):
        """Called once after the last step of a task, before its boundary callbacks."""

    def check_stream(self, stream):
        """Raises a ValueError if the method cannot learn all tasks of `stream`."""

    def phases(self, task_index, steps):
        """Divides the steps of a task into phases, each with its own kind of step and train function.

        Returns:
          list of the steps at which the phases end, in order; the last one is `steps`. `phase` is the index in it.
        """
        del task_index
        return [steps]

    def new_batches(self, task_index):
        """How many batches of new images one step of the task at `task_index` takes."""
        del task_index
        return 1

    def batches(self, stream, task, start_step, rows=slice(None)):
        """Returns the endless images for the steps of `task`, from step `start_step` on.

        Only a method that is an upper bound may read tasks of `stream` other than the current one.

        Args:
          stream, task: a `TaskStream` and one of its tasks.
          start_step: the step to begin with.
          rows: a slice, the rows of a batch that this process takes.

        Returns:
          a tf.data.Dataset of uint8 [rows of the batch, new_batches(task.index), H, W, C].
        """
        return task.batches(start_step, self.new_batches(task.index), rows)

    def own_scores(self):
        """Returns the `scores.SCORES` that the method knows about itself, for all tasks together: {name: number}."""
        return {}

    def generate(self, latents):
        """Draws images with the most knowledgeable generator, in inference mode; also works inside a graph.

        Args:
          latents: float [B, latent_dim], as from `latents`.

        Returns:
          float [B, H, W, C] in [-1, 1].
        """
        raise NotImplementedError(f"{type(self).__name__} must define generate().")

    def get_settings(self):
        """Returns all that is needed to rebuild this model, a JSON-ready dict."""
        raise NotImplementedError(f"{type(self).__name__} must define get_settings().")

    @property
    def latent_dim(self):
        """Length of a latent."""
        return self.latent_law.latent_dim

    @property
    def domains(self):
        """Names of the domains learnt so far, in order; before the first boundary, the name of the first task."""
        learnt = max(int(self.task_index.numpy()), 1)
        return [
            *self.domain_names[:learnt],
            *(f"task {i + 1}" for i in range(len(self.domain_names), learnt)),
        ]

    def sample(self, count, seed=0, domain=None, batch_size=250):
        """Draws images with `generate`.

        Args:
          count: how many.
          seed: int; the same seed gives the same images, whatever the batch.
          domain: name of a domain, or its number counted from 1; None for all domains, which take turns by
            row if the latents have domain codes.
          batch_size: images per forward pass.

        Returns:
          float32 [count, H, W, C] in [-1, 1].

        Raises:
          ValueError: an unknown domain, one that is not learnt yet, or a model without domain codes.
        """
        return sampling.in_batches(self.generate, self.latents(count, seed, domain), batch_size)

    def latents(self, count, seed=0, domain=None):
        """Draws the latents of `sample`, float32 [count, latent_dim]; row i depends only on (seed, i, its domain)."""
        learnt = self.domains
        planned = self.domain_names[len(learnt) :]
        domains = self.latent_law.domains_of_rows(count, domain, learnt, planned)
        return self.latent_law.draw(count, seed, domains)

    def progress_latents(self, count, seed=0):
        """Draws latents [count, latent_dim] in blocks: one for each domain learnt, then one for the current task."""
        domains = int(self.task_index.numpy()) + 1
        return self.latent_law.draw(count, seed, np.arange(count) * domains // count)

    # Inside a step.

    def noise_seed(self, tag):
        """Returns this step's noise seed for a tag, int64 [2]; in noise stream 0 it is (seed and tag, global step)."""
        stream, step = (tf.cast(v.value, tf.int64) for v in (self.noise_stream, self.global_step))
        return tf.stack([self.seed * 1000 + tf.cast(tag, tf.int64), stream * _STREAM + step])

    def noise(self, tag, rows, width, draws=1, law="normal"):
        """Draws noise for this step: a pure function of (seed, noise stream, global step, tag), the same on any layout.

        Philox draws it for the global batch, and each replica takes its own rows. Do not call it in code that XLA
        compiles: XLA draws other numbers.

        Args:
          tag: int or int32 scalar in [0, 1000), one for each use within a step.
          rows: rows of this replica (static int), `draws` * the rows of its batch.
          width: numbers per row.
          draws: batches drawn at once; a replica takes its rows of each of them.
          law: 'normal' or 'uniform' as in `sampling.LatentLaw`, or 'unit' for uniform in [0, 1).

        Returns:
          float32 [rows, width], batch after batch.
        """
        replicas = self.distribute_strategy.num_replicas_in_sync
        key, counter = sampling.philox(self.noise_seed(tag))
        draw = tf.raw_ops.StatelessRandomNormalV2 if law == "normal" else tf.raw_ops.StatelessRandomUniformV2
        shape = [draws, replicas, rows // draws, width]
        values = draw(shape=shape, key=key, counter=counter, alg=sampling.PHILOX)
        if law == "uniform":
            values = values * 2.0 - 1.0
        if replicas > 1:
            values = values[:, tf.distribute.get_replica_context().replica_id_in_sync_group]
        return tf.reshape(values, [rows, width])

    def end_step(self, report, equal=(), unreported=()):
        """Counts the step, and notes the first step at which a watched value is not finite.

        Args:
          report: dict of scalars, this replica's share of each. The name "critic loss" in `watched` stands for
            the key "critic/loss"; a watched name without a key is not checked.
          equal: dict of further scalars, which are the same on all replicas.
          unreported: dict of this replica's shares of further values with the keys of `report`; the check adds
            them to the values of `report`, but they are not returned.

        Returns:
          dict of float32 scalars over all replicas, for `train_step` to return; on several workers
          packed, see `distribution.packed`.
        """
        context = tf.distribute.get_replica_context()
        unreported = dict(unreported)
        values = [*report.values(), *unreported.values()]
        values = tf.stack([tf.cast(value, tf.float32) for value in values])
        if context.num_replicas_in_sync > 1:
            values = context.all_reduce(tf.distribute.ReduceOp.SUM, values)
        values = tf.unstack(values)
        hidden = dict(zip(unreported, values[len(report) :]))
        report = dict(zip(report, values))
        names = [name.replace(" ", "/") for name in self.watched]
        watched = tf.stack([report.get(name, 0.0) + hidden.get(name, 0.0) for name in names])
        bad = tf.logical_not(tf.math.is_finite(watched))
        seen = self.nonfinite_steps.value
        self.nonfinite_steps.assign(
            tf.where(bad & (seen < 0), tf.cast(self.global_step.value, tf.int64), seen)
        )
        for counter in (self.task_step, self.global_step):
            counter.value.assign_add(1)
        report |= {name: tf.cast(value, tf.float32) for name, value in dict(equal).items()}
        return distribution.packed(report) if distribution.workers(self.distribute_strategy) > 1 else report

    # The lifelong loop.

    def fit_stream(
        self,
        stream,
        steps_per_task,
        workdir=None,
        callbacks=None,
        boundary_callbacks=None,
        checkpoint_every=500,
        stop_after_task=None,
        resume="auto",
        on_nonfinite="stop",
        accept_changed_data=False,
    ):
        """Learns the tasks of `stream` one after another; with a `workdir` it resumes by itself.

        With several workers, all of them call this with a shared workdir; only the chief writes there
        and calls callbacks.

        Args:
          stream: a `TaskStream`; `batches` reads the training part of its current task.
          steps_per_task: steps in each task.
          workdir: folder for checkpoints, metrics.jsonl, TensorBoard and samples, or None to
            keep nothing.
          callbacks: Keras callbacks. Their logs are tensors or, with several steps in a call, float32 numbers. None
            means `callbacks.default_callbacks(workdir)` and a line of progress every ten seconds.
          boundary_callbacks: functions f(boundary), called in order after each task with a `boundaries.Boundary`:
            model, stream, task, workdir, and the row of scores that an earlier callback measured. If the run dies
            during these calls, all are called again, so each must be repeatable. If one has a method `prepare`,
            prepare(stream, workdir) is called before the first step of the run. None means
            `boundaries.default_callbacks(workdir)`, samples and quick scores for `ltgans_tf.score_matrix`; []
            means none.
          checkpoint_every: steps between checkpoints.
          stop_after_task: index of a task after which to stop; None for the last.
          resume: 'auto' continues from the newest good checkpoint if there is one, 'must' refuses
            to start without a checkpoint, 'never' refuses a workdir that has one.
          on_nonfinite: 'stop', or 'rollback' to continue with other noise from the last good checkpoint or,
            if there is none yet, from the beginning; at most `nonfinite.MOST_ROLLBACKS` times in a run.
          accept_changed_data: whether a run that was stopped in the middle of a task may continue although
            the training images of that task have changed.

        Returns:
          True when all tasks asked for are learnt, False when `stop_requested` ended the run.

        Raises:
          ValueError: the workdir has other settings, is in use, or contradicts `resume` or `on_nonfinite`; training
            images changed in the middle of a task; workers have different settings, code or data.
          NonFiniteError: a loss, gradient or weight became NaN or Inf; no such state is saved.
          distribution.WorkerLostError: another worker is gone.
        """
        workdir = None if workdir is None else paths.local(workdir)
        keras_calls.check_stream(self, stream, steps_per_task)
        nonfinite.check_choice(on_nonfinite, workdir)
        self.check_stream(stream)
        self.domain_names = [task.name for task in stream.tasks]
        replicas = self.distribute_strategy.num_replicas_in_sync
        if stream.batch_size % replicas:
            raise ValueError(
                f"batch_size is {stream.batch_size}, which cannot be split over {replicas}"
                f" replicas; give a multiple of {replicas}."
            )
        if callbacks is None:
            progress = callbacks_lib.Progress(print, len(stream.tasks), steps_per_task, seconds=10.0)
            callbacks = [*callbacks_lib.default_callbacks(workdir), progress]
        keras_calls.check_callbacks(self, callbacks)
        if boundary_callbacks is None:
            boundary_callbacks = boundaries.default_callbacks(workdir)
        if not distribution.is_chief(self.distribute_strategy):
            callbacks, boundary_callbacks = callbacks_lib.of_other_workers(callbacks), []
        learning = loop.Loop(self, stream, steps_per_task, callbacks, boundary_callbacks, accept_changed_data)
        return learning.run(workdir, checkpoint_every, stop_after_task, resume, on_nonfinite)

    def request_stop(self):
        """Asks `fit_stream` to stop and return False; for signal handlers.

        The current step is finished and the state saved. Work that the next run repeats (`prepare`, boundary
        callbacks, tracing) is aborted at once.
        """
        self.stop_requested = True
        if self._may_break_off:
            raise loop.StopRequested

    @contextlib.contextmanager
    def breaking_off(self):
        """Marks work that a stop may abort: `request_stop` raises StopRequested in it until `keep_steps` is called."""
        self._may_break_off = True
        try:
            if self.stop_requested:
                raise loop.StopRequested
            yield
        except Exception as error:
            if not self.stop_requested:
                raise
            # TensorFlow's C code turns an exception that a signal handler raises into a SystemError.
            _log.warning("A stop broke off %s: %s.", type(error).__name__, error)
            raise loop.StopRequested from error
        finally:
            self._may_break_off = False

    def keep_steps(self):
        """Ends `breaking_off`: from here on there are steps that no checkpoint has."""
        self._may_break_off = False

    def stop_agreed(self):
        """Whether `stop_requested` is set in any worker; all workers must call this together."""
        return distribution.total(self.distribute_strategy, self.stop_requested) > 0

    def raise_if_nonfinite(self, weights=False):
        """Raises NonFiniteError, naming quantity and step, once `end_step` has seen NaN or Inf.

        Args:
          weights: whether weights and optimizers are checked too: a finite gradient may have made a weight
            infinite.
        """
        steps = self.nonfinite_steps.numpy()
        for step, name in sorted((s, n) for s, n in zip(steps, self.watched) if s >= 0):
            raise NonFiniteError(f"{name} stopped being finite at global step {step + 1}")
        if weights:
            nonfinite.check_weights(self)

    def evaluate_stream(self, stream, evaluator=None):
        """Measures the scores of each task learnt so far.

        Args:
          stream: a `TaskStream`, whose test parts are read.
          evaluator: an `evaluation.Evaluator`, whose `evaluate` returns the whole row with these
            numbers; None for the likelihood of the Student alone.

        Returns:
          {task name: {score: number}}; `scores.SCORES` says what each is.
        """
        evaluator = evaluator or evaluation.Evaluator(parts=("likelihood",))
        return evaluator.evaluate(self, stream).scores
