"""What happens when a number stops being finite: the state is not saved, and the run may go back."""

import itertools
import logging

import tensorflow as tf

from ltgans_tf.training import checkpoints, distribution

MOST_ROLLBACKS = 3  # in a run
_log = logging.getLogger("ltgans_tf")


class NonFiniteError(ArithmeticError):
    """A loss, a gradient or a weight stopped being finite."""


def check_choice(on_nonfinite, workdir):
    """Refuses what `fit_stream` cannot do when a number stops being finite: ValueError."""
    if on_nonfinite not in ("stop", "rollback"):
        raise ValueError(f"on_nonfinite is {on_nonfinite!r}; it must be 'stop' or 'rollback'.")
    if on_nonfinite == "rollback" and workdir is None:
        raise ValueError(
            "on_nonfinite is 'rollback' and there is no workdir, so no checkpoint to go back to; give a workdir."
        )


def check_weights(model):
    """Raises NonFiniteError where a weight of `model` or of its optimizers is NaN or Inf.

    All workers ask together, and where it is in one of them all raise it.
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
    """Brings `model` to the last good checkpoint, with a stream of noise that it has not had yet.

    How often it did so is the number of the stream, which the checkpoints that follow keep. A run that dies
    before the next one goes on from the same checkpoint, meets the same numbers and comes here again.

    Args:
      model: a `LifelongModel`.
      run: the `workdirs.Workdir` of its run.
      error: the NonFiniteError that sends it back.

    Raises:
      NonFiniteError: it has gone back `MOST_ROLLBACKS` times already.
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
