"""One worker of a run of tiny networks on several; `multi_worker_test` starts it, with TF_CONFIG set.

    python -m tests.one_worker METHOD STEPS TASKS OUT WORKDIR [kill|stop|spoil|swell|other STEP]

It trains on the sets in OUT and writes its weights to OUT/worker_<i>.npz. After the STEP given it dies by
SIGKILL, asks for a stop, as on a signal, or, unless it has gone back before, has weights that are NaN or
so large that the next loss is not finite. With "other" it has other images.
"""

import functools
import glob
import json
import os
import signal
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np
import tensorflow as tf

from ltgans_tf.data import sources, streams
from ltgans_tf.methods import registry
from ltgans_tf.settings import presets
from ltgans_tf.training import callbacks, distribution
from tests.tiny import TINY


def _after(on_step, last, act):
    """The callback that every worker has, with `act(model)` after step `last`."""

    def after(self, step, task_step, logs):
        if step == last:
            act(self.model)
        on_step(self, step, task_step, logs)

    return after


def _kill(_):
    os.kill(os.getpid(), signal.SIGKILL)


def _stop(model):
    model.stop_requested = True


def _times(factor, model):
    if not int(model.noise_stream.numpy()):
        weight = model.critic.trainable_variables[0]
        weight.assign(weight * factor)


def main(method, steps, tasks, out, workdir, what=None, step=None):
    tf.config.experimental.enable_op_determinism()
    strategy = distribution.strategy("multi_worker" if os.environ.get("TF_CONFIG") else "one")
    index = json.loads(os.environ.get("TF_CONFIG") or '{"task": {"index": 0}}')["task"]["index"]
    stream = streams.TaskStream(
        [f"npz:{path}" for path in sorted(glob.glob(f"{out}/set*.npz"))[: int(tasks)]],
        image_shape=(8, 8, 3),
        batch_size=8,
    )
    with strategy.scope():
        recipe = presets.Recipe(student_optimizer="adam(0.001)", ema=0.9)
        model = registry.method_class(method).from_architecture(TINY, 3, True, recipe)
        model.compile()
    if what is not None:
        spoil, swell = (functools.partial(_times, factor) for factor in (np.nan, 1e30))
        act = {"kill": _kill, "stop": _stop, "spoil": spoil, "swell": swell, "other": lambda _: None}[what]
        if what == "other":
            task = stream.tasks[0]
            task._sources["train"] = sources.ArraySource(255 - task.train_images(), None)
        callbacks.SaveCheckpoints.on_step = _after(callbacks.SaveCheckpoints.on_step, int(step), act)
    try:
        finished = model.fit_stream(
            stream,
            int(steps),
            workdir or None,
            callbacks.default_callbacks(workdir or None, log_every=3),
            boundary_callbacks=[],
            checkpoint_every=2,
            on_nonfinite="rollback" if workdir else "stop",
        )
    except (ValueError, OSError) as error:
        print(f"error: {error}", flush=True)
        os._exit(2)
    state = [*model.weights, *(v for optimizer in model.optimizers for v in optimizer.variables)]
    np.savez(f"{out}/worker_{index}.npz", *[v.numpy() for v in state])
    step = int(model.global_step.numpy())
    print(f"worker {index} {'finished' if finished else 'stopped'} at step {step}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
