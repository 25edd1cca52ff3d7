"""Boundary callbacks, which keep samples of fixed latents and a row of scores after each task.

`fit_stream` calls each with a `Boundary`. After a crash it may call one again, which then does the same again.
"""

import dataclasses
import logging
import math
import os
import zipfile

import numpy as np
import tensorflow as tf

from ltgans_tf.data import images
from ltgans_tf.evaluation import evaluation, scores
from ltgans_tf.evaluation import row as rows
from ltgans_tf.figures import sheets
from ltgans_tf.files import atomic, eventlog
from ltgans_tf.training import callbacks

_log = logging.getLogger(__name__)
_GROUP = "after_each_task"  # group of TensorBoard's tags; sorts before the groups of the losses
_LARGEST = 1_000_000  # bytes of images in one boundary file


@dataclasses.dataclass
class Boundary:
    """The argument that each boundary callback of a task gets, and in which it passes data to the later ones.

    Attributes:
      model: the `LifelongModel`, which has learnt the task to its end.
      stream: the `TaskStream`.
      task: the `Task` learnt last.
      workdir: folder of the run, or None.
      row: the `row.Row` that `BoundaryScores` measured after this task; None before it ran, or without it.
    """

    model: object
    stream: object
    task: object
    workdir: str | None
    row: rows.Row | None = None


def default_callbacks(workdir):
    """Returns the default boundary callbacks of `fit_stream`: samples and quick scores; none without a workdir."""
    return [] if workdir is None else [BoundarySamples(), BoundaryScores()]


class BoundarySamples:
    """Stores and shows the images that the latest teacher makes of fixed latents.

    boundary/task_00.npz has uint8 `images` [N, H, W, C] (at most 1 MB). With domain codes it has equally many
    images of each domain learnt, in order, and `domains` [N]; without codes it has N images of all domains.
    The latents are the same in every task. samples/task_00/boundary.png is a grid of these images, and
    figures/stream.png has one strip for each task learnt so far. Both have a row for each domain.
    """

    def __call__(self, boundary):
        model, stream, task, workdir = boundary.model, boundary.stream, boundary.task, boundary.workdir
        made, domains = _fixed(model, len(stream))
        folder = os.path.join(workdir, "boundary")
        told = {} if domains is None else {"domains": domains}
        with atomic.writing(os.path.join(folder, f"task_{task.index:02d}.npz")) as file:
            np.savez(file, images=made, latents_seed=callbacks.GRID_SEED, task=task.name, **told)

        picture = sheets.grid(*sheets.shown(made, domains, 8, callbacks.GRID_LATENTS // 8))
        place = os.path.join(workdir, "samples", f"task_{task.index:02d}", "boundary.png")
        sheets.save_png(place, picture, zoom=2)
        step = int(model.global_step.numpy())
        with eventlog.once(os.path.join(workdir, "tensorboard"), f"boundary_{task.index:02d}").as_default():
            tf.summary.image(f"{_GROUP}/samples", picture[None], step)
        self._stream_sheet(stream, workdir)

    def _stream_sheet(self, stream, workdir):
        made, labels = [], []
        for task in stream.tasks:
            path = os.path.join(workdir, "boundary", f"task_{task.index:02d}.npz")
            if not os.path.isfile(path):
                continue
            try:
                shown, domains, name = read_samples(path)
            except ValueError as error:
                _log.warning("%s The sheet of the stream goes without it.", error)
                continue
            made.append((shown, domains))
            labels.append(f"after task {task.index + 1} ({name})")
        sheet = sheets.stream_sheet(*sheets.shown_alike(made), labels)
        sheets.save_png(os.path.join(workdir, "figures", "stream.png"), sheet, zoom=2)


def read_samples(path):
    """Reads the samples of a boundary: (uint8 images [N, H, W, C], domains int [N] or None, name of the task).

    Raises:
      ValueError: the file is damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            return stored["images"], stored.get("domains"), str(stored["task"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} is damaged ({error}).") from error


def _fixed(model, tasks):
    """Images of the fixed latents, uint8 [N, H, W, C], and their domains, int [N], or None without codes."""
    count = min(256, _LARGEST // int(np.prod(model.image_shape)))
    if not model.latent_law.domain_dim:
        return images.to_uint8(model.sample(count, callbacks.GRID_SEED)).numpy(), None
    # The number per domain does not depend on how many are learnt, so the latents are the same in every task.
    each, learnt = max(1, count // tasks), len(model.domains)
    made = [model.sample(each, callbacks.GRID_SEED, domain + 1) for domain in range(learnt)]
    return images.to_uint8(tf.concat(made, axis=0)).numpy(), np.repeat(np.arange(learnt), each)


class BoundaryScores:
    """Writes the row of scores after a task: eval/task_00/scores.json and TensorBoard.

    Args:
      evaluator: an `evaluation.Evaluator`; None for a quick one with 1,280 samples and at most 500 test images per
        task, which also prints a line when it measures.
    """

    def __init__(self, evaluator=None):
        self._say = print if evaluator is None else (lambda text: None)
        self.evaluator = evaluator or evaluation.Evaluator(
            samples=1280, test_images=500, iwae_images=0, extractor_images=2000
        )

    def prepare(self, stream, workdir):
        """Prepares the evaluator's extractor before the first task."""
        self._say("training the classifier that distances are measured on")
        self.evaluator.prepare(stream, workdir)

    def __call__(self, boundary):
        self._say(f"measuring what the model draws and encodes after {boundary.task.name}")
        boundary.row = self.evaluator.evaluate(boundary.model, boundary.stream, boundary.workdir)
        keep_row(boundary.workdir, boundary.row)


def keep_row(workdir, row):
    """Writes a `row.Row` to its place in the workdir, and shows in TensorBoard how well tasks are remembered.

    TensorBoard has a few tags, however many tasks there are; scores.json and figures have every score.
    """
    row.save(rows.row_path(workdir, row.after_task))
    name = f"eval_{row.after_task:02d}"
    with eventlog.once(os.path.join(workdir, "tensorboard"), name).as_default():
        _show_kept(workdir, row)


def _show_kept(workdir, row):
    """Writes the tags of `_GROUP` at the row's step: forgetting, the distance of all tasks together, and a table."""
    try:
        found = [one for one in rows.read_rows(workdir) if one.after_task <= row.after_task]
    except ValueError as error:
        _log.warning("%s TensorBoard goes without what is kept after %s.", error, row.task)
        return
    known = scores.score_matrix(found)
    matrices = [known[name] for name in scores.shown("lost") if name in known]
    for matrix in matrices:
        lost = matrix.mean_forgetting()
        if math.isfinite(lost):
            about = "Mean over the earlier tasks of how much worse each is than at its best."
            tf.summary.scalar(f"{_GROUP}/forgotten_{matrix.score.name}", lost, row.step, about)
    for name in scores.shown("line"):
        if name in row.union:
            about = scores.SCORES[name].about
            tf.summary.scalar(f"{_GROUP}/{name}_of_all", row.union[name], row.step, about)
    if matrices:
        tf.summary.text(f"{_GROUP}/kept", _table(matrices), row.step)


def _table(matrices):
    """Returns a Markdown table of each task's scores, at the end of the task and now."""
    heads = [f"{matrix.score.label}, {matrix.score.better} is better" for matrix in matrices]
    lines = [["task", *heads], ["---"] * (len(heads) + 1)]
    for j, task in enumerate(matrices[0].tasks):
        pairs = [(m.score.digits, m.values[j, j], m.final[j]) for m in matrices]
        told = [f"{new:.{digits}f}, now {now:.{digits}f}" for digits, new, now in pairs]
        lines.append([f"{j + 1} {task}".replace("|", "\\|"), *(text.replace("nan", "-") for text in told)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
