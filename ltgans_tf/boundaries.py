"""What is kept behind each task: samples of the fixed latents and a row of scores.

Each is a boundary callback, called as f(model, stream, task, workdir) by `fit_stream`; any of
them may be called again behind a crash, and does the same again.
"""

import glob
import json
import os

import numpy as np
import tensorflow as tf

from ltgans_tf import callbacks, checkpoints, eventlog, figures, images

_LARGEST = 1_000_000  # bytes of images in one boundary file


class BoundarySamples:
    """Stores what the latest teacher makes of the fixed latents, and shows it.

    boundary/task_00.npz has uint8 `images` [N, H, W, C] (at most 1 MB; the same latents in
    every task), samples/task_00/boundary.png their grid, figures/stream.png one strip for each
    task learnt so far, the same latents below each other.
    """

    def __call__(self, model, stream, task, workdir):
        size = int(np.prod(model.image_shape))
        made = images.to_uint8(model.sample(min(256, _LARGEST // size), callbacks.GRID_SEED)).numpy()
        folder = os.path.join(workdir, "boundary")
        os.makedirs(folder, exist_ok=True)
        staging = os.path.join(folder, f".tmp-{task.index:02d}.npz")
        np.savez(staging, images=made, latents_seed=callbacks.GRID_SEED, task=task.name)
        os.replace(staging, os.path.join(folder, f"task_{task.index:02d}.npz"))

        picture = figures.grid(made[: callbacks.GRID_LATENTS])
        place = os.path.join(workdir, "samples", f"task_{task.index:02d}", "boundary.png")
        figures.save_png(place, picture, zoom=2)
        step = int(model.global_step.numpy())
        tag = f"boundary/task_{task.index:02d}"
        with eventlog.once(os.path.join(workdir, "tensorboard"), f"boundary_{task.index:02d}").as_default():
            tf.summary.image(tag, picture[None], step)
        self._stream_sheet(stream, workdir)

    def _stream_sheet(self, stream, workdir):
        rows, labels = [], []
        for path in sorted(glob.glob(os.path.join(glob.escape(workdir), "boundary", "task_*.npz"))):
            with np.load(path) as stored:
                rows.append(stored["images"][:48])
                labels.append(f"after task {len(rows)} ({stored['task']})")
        figures.save_png(
            os.path.join(workdir, "figures", "stream.png"), figures.stream_sheet(rows, labels), zoom=2
        )


class BoundaryScores:
    """Writes the row of scores behind a task: eval/task_00/scores.json and TensorBoard.

    Args:
      limit: at most so many test images of each task. Where a domain's data has to be gone,
        leave this callback out.
    """

    def __init__(self, limit=None):
        self.limit = limit

    def __call__(self, model, stream, task, workdir):
        scores = model.evaluate_stream(stream, self.limit)
        step = int(model.global_step.numpy())
        folder = os.path.join(workdir, "eval", f"task_{task.index:02d}")
        os.makedirs(folder, exist_ok=True)
        row = {
            "after_task": task.index,
            "task": task.name,
            "step": step,
            "protocol": "test parts kept, posterior mean, images in [-1, 1]",
            "scores": scores,
        }
        checkpoints.write_atomically(os.path.join(folder, "scores.json"), json.dumps(row, indent=1) + "\n")
        with eventlog.once(os.path.join(workdir, "tensorboard"), f"eval_{task.index:02d}").as_default():
            for i, (name, score) in enumerate(scores.items()):
                tf.summary.scalar(f"eval/nlog/task_{i:02d}_{name}", score["nlog"], step)
