"""Handles a number that stops being finite: the state is not saved, and the run may be rolled back."""

import itertools
import logging

import tensorflow as tf

from ltgans_tf.training import checkpoints, distribution

MOST_ROLLBACKS = 3  # in a run
_log = logging.getLogger("ltgans_tf")


class NonFiniteError(ArithmeticError):
    """A loss, a gradient or a weight stopped being finite."""


def check_choice(on_nonfinite, workdir):
    """Raises a ValueError if `on_nonfinite` is unknown, or is 'rollback' without a workdir."""
    if on_nonfinite not in ("stop", "rollback"):
        raise ValueError(f"on_nonfinite is {on_nonfinite!r}; it must be 'stop' or 'rollback'.")
    if on_nonfinite == "rollback" and workdir is None:
        raise ValueError(
            "on_nonfinite is 'rollback' and there is no workdir, so no checkpoint to go back to; give a workdir."
        )


def check_weights(model):
    """Raises NonFiniteError if a weight of `model` or of its optimizers is NaN or Inf.

    All workers must call this together; if one of them has such a weight, all raise.
    """
    slots = itertools.chain.from_iterable(optimizer.variables for optimizer in model.optimizers)
    bad = [
        variable.path for variable in itertools.chain(model.weights, slots) if not _is_finite(variable.value)
    ]
    if distribution.total(model.distribute_strategy, bool(bad)):
        step = int(model.global_step.numpy())
        weight = f"weight {bad[0]}" if bad else "a weight of another worker"
        raise NonFiniteError(f"{weight} stopped being finite by global step {step}")


def _is_finite(value):
    return not value.dtype.is_floating or bool(tf.reduce_all(tf.math.is_finite(value)))


def go_back(model, run, error):
    """Restores `model` from the last good checkpoint, with a noise stream that it has not used yet.

    The number of the noise stream is the number of rollbacks; later checkpoints keep it. A run that dies before
    the next checkpoint resumes from the same one, meets the same numbers and is rolled back again.

    Args:
      model: a `LifelongModel`.
      run: the `workdirs.Workdir` of its run.
      error: the NonFiniteError that causes the rollback.

    Raises:
      NonFiniteError: the run has been rolled back `MOST_ROLLBACKS` times already.
    """
    rollback = int(model.noise_stream.numpy()) + 1
    if rollback > MOST_ROLLBACKS:
        raise NonFiniteError(
            f"{error}, after {MOST_ROLLBACKS} rollbacks, so other noise is no help; lower the learning rates;"
            f" {run.last_checkpoint()}."
        ) from error
    checkpoints.restore_newest(run.path, model)
    model.noise_stream.assign(rollback)
    step = int(model.global_step.numpy())
    _log.warning(
        "%s; going back to step %d with other noise (rollback %d of at most %d).",
        error,
        step,
        rollback,
        MOST_ROLLBACKS,
    )
