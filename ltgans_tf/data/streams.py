"""The stream: the ordered tasks of an experiment and the endless, resumable order of each task's images."""

import functools
import logging
import os
import re

import numpy as np
import tensorflow as tf

from ltgans_tf.data import datasets, folders, images, memory, sources
from ltgans_tf.data import specs as specs_lib
from ltgans_tf.data.specs import check, parse
from ltgans_tf.files import paths

# Which test images a limit keeps; a constant, so that all runs are scored on the same ones.
_SUBSET_SEED = 0
# Batches that are made ready while a step is taken.
PREFETCH = 4
_log = logging.getLogger(__name__)


class TaskStream:
    """Data sets that arrive one after another.

    Nothing is read until a task's images are asked for, and each task can be dropped again with `release`.

    >>> stream = TaskStream(["digits", "glyphs"], batch_size=32)     # doctest: +SKIP
    >>> next(iter(stream.tasks[0].batches())).shape                  # doctest: +SKIP
    TensorShape([32, 1, 32, 32, 3])

    Attributes:
        tasks: a list of Task.
        image_shape, batch_size, seed: as given.
    """

    def __init__(
        self,
        specs,
        image_shape=(32, 32, 3),
        batch_size=32,
        seed=0,
        fit="crop",
        data_dir=None,
        skip_broken_images=False,
        unchecked=0,
        upright=True,
        split_by="contents",
        tuning=False,
        horizontal_flips=False,
    ):
        """Checks the specs by name and path; reads no data.

        Args:
            specs: the tasks in their order: a list of task specs (the grammar is in specs.py) and of pairs (name,
                data) with images of your own, uint8 arrays or datasets; or a dict {name: data}. See `memory.Handed`.
            image_shape: (height, width, channels) of all images; 1 or 3 channels.
            batch_size: images in a batch, over all replicas together.
            seed: what the order of the images follows from, an integer from 0 on.
            fit: how images of other proportions are fitted: 'crop', 'pad' or 'stretch'.
            data_dir: a folder whose `<name>.npz` stands for a named data set, or None.
            skip_broken_images: leave broken files of folders out instead of raising.
            unchecked: so many tasks from the first on may have lost their data: their specs are parsed
                and their paths not looked at, so that a run can go on once the data of the tasks that
                it has learnt is gone. Asking such a task for its images raises a ValueError.
            upright: whether the rotation that a camera noted in an image file is applied.
            split_by: what chooses the test split of a folder without subfolders for it: 'contents' of
                its files, or 'path', as runs of earlier versions have it; see `folders.Folder`.
            tuning: whether a tenth of each training part is held out and serves as the test part,
                which is then never read: settings are chosen on it. What an image is chooses the tenth, so
                that no task trains on an image that another one holds out.
            horizontal_flips: whether `batches` has each training image as its mirror image too, once in an epoch,
                which then is twice as long.

        What is left out of folders is told by a warning in the log `ltgans_tf`, one for each folder.

        Raises:
            ValueError: if an argument is wrong; one sentence says what was received and what to do.
        """
        self.image_shape = _checked_shape(image_shape)
        self.batch_size = _checked_integer("batch_size", batch_size, 1)
        self.seed = _checked_integer("seed", seed, 0)
        if fit not in images.FITS:
            raise ValueError(f"fit must be one of {', '.join(images.FITS)}, got {fit!r}.")
        self.fit = fit
        if split_by not in folders.SPLIT_BY:
            raise ValueError(f"split_by must be one of {', '.join(folders.SPLIT_BY)}, got {split_by!r}.")
        self.upright, self.split_by, self.tuning = bool(upright), split_by, bool(tuning)
        self.horizontal_flips = bool(horizontal_flips)
        if not isinstance(specs, (list, tuple, dict)) or not specs:
            got = repr(specs) if isinstance(specs, (str, list, tuple, dict)) else type(specs).__name__
            raise ValueError(
                f"A stream needs a list of one or more tasks such as ['mnist', ('cats', images)], got {got}."
            )
        specs, handed = memory.named(specs)
        data_dir = None if data_dir is None else paths.local(data_dir)
        load = functools.partial(
            datasets.load,
            image_shape=self.image_shape,
            fit=fit,
            data_dir=data_dir,
            skip_broken_images=skip_broken_images,
            upright=self.upright,
            split_by=split_by,
            handed=handed,
        )
        unchecked = _checked_unchecked(unchecked, len(specs))
        parsed = [parse(spec) for spec in specs[:unchecked]]
        parsed += [parse(spec) if spec in handed else check(spec, data_dir) for spec in specs[unchecked:]]
        self.tasks = [
            Task(i, name, spec, load, self.batch_size, self.seed, self.tuning, self.horizontal_flips)
            for i, (name, spec) in enumerate(zip(task_names(parsed), parsed))
        ]
        for told in specs_lib.left_out(parsed[unchecked:], data_dir):
            _log.warning("%s", told)

    def __len__(self):
        return len(self.tasks)

    def get_settings(self):
        """What a resumed run must have in common with the run before, as a JSON-ready dict."""
        return {
            "specs": [task.spec.text for task in self.tasks],
            "image_shape": list(self.image_shape),
            "batch_size": self.batch_size,
            "seed": self.seed,
            "fit": self.fit,
            "upright": self.upright,
            "split_by": self.split_by,
            "tuning": self.tuning,
            "horizontal_flips": self.horizontal_flips,
        }


class Task:
    """One data set of a stream.

    What needs images that are not there any more raises a ValueError: one sentence, on what is missing.

    Attributes:
        index: its place in the stream, from 0 on.
        name: short, unique in the stream and fit for a file name.
        spec: its specs.TaskSpec.
        image_shape: (height, width, channels) of its images.
        tuning, horizontal_flips: see `TaskStream`.
    """

    def __init__(self, index, name, spec, load, batch_size, seed, tuning=False, horizontal_flips=False):
        self.index = index
        self.name = name
        self.spec = spec
        self.image_shape = load.keywords["image_shape"]
        self._load = load
        self._batch_size = batch_size
        self._seed = seed
        self.tuning = tuning
        self.horizontal_flips = horizontal_flips
        self._sources = {}

    def batches(self, start_step=0, updates_per_step=1, rows=slice(None)):
        """The task's training images, without end, in an order that is a function of (seed, task, step).

        Each epoch is one permutation of all images, so each image comes exactly once in it; epochs run on
        across batches. With B the batch size and n the updates, element [i, c] of step t is the image at
        position t*B*n + c*B + i of that order.

        Args:
            start_step: the step to begin with; a resumed run goes on as if it had never stopped.
            updates_per_step: n, the batches that one step takes (one per critic update).
            rows: a slice, which rows of a batch are wanted; no others are read.

        Returns:
            A tf.data.Dataset of uint8 [batch_size, updates_per_step, height, width, channels], or with as
            many rows as are wanted; the batch comes first, so that tf.distribute splits it.
        """
        return steps_of([self], self.images_at, start_step, self._batch_size, updates_per_step, rows)

    def images_at(self, positions):
        """uint8 [m, h, w, c]: the training images at places, int64 [m], of the endless order of `batches`."""
        source = self._source("train")
        count = len(source)
        if not self.horizontal_flips:
            return source.gather(_shuffled(positions, count, self._seed, self.index))
        # As if the mirror images stood after the others.
        places = _shuffled(positions, 2 * count, self._seed, self.index)
        shown = source.gather(places % count)
        return tf.where((places >= count)[:, None, None, None], shown[:, :, ::-1], shown)

    @property
    def in_memory(self):
        """Whether the training images are in memory, so that reading them costs next to nothing."""
        return isinstance(self._source("train"), sources.ArraySource)

    def train_images(self, limit=None):
        """uint8 [n, h, w, c]: all training images, or the same `limit` of them each time."""
        return self._images("train", limit)

    def train_labels(self, limit=None):
        """int64 [n], the labels of train_images(limit), or None where a part has none."""
        return self._labels("train", limit)

    def test_images(self, limit=None):
        """uint8 [n, h, w, c]: all test images, or the same `limit` of them each time, whatever the seed."""
        return self._images("test", limit)

    def test_labels(self, limit=None):
        """int64 [n], the labels of test_images(limit), or None where a part has none."""
        return self._labels("test", limit)

    def test_factors(self, limit=None):
        """{name: int64 or float64 [n]}: what else is known of each of test_images(limit), views for example.

        These are the numeric arrays beside the images and labels of an .npz (`test_<name>`, [n]; of [n, m]
        with m above 1 each column, as <name>.0, <name>.1, ...), as far as all parts have them. {} for other
        sources.
        """
        source = self._source("test")
        chosen = subset(len(source), limit)
        return {name: values[chosen] for name, values in source.factors.items()}

    @property
    def num_train(self):
        return len(self._source("train"))

    @property
    def num_test(self):
        return len(self._source("test"))

    @property
    def skipped(self):
        """Broken files that were left out of the training images."""
        return self._source("train").skipped

    @property
    def is_open(self):
        """Whether training images were asked for since the last `release`."""
        return "train" in self._sources

    @property
    def fingerprint(self):
        """A text that changes with the training images: what a resumed run compares."""
        return self._source("train").fingerprint

    @property
    def test_fingerprint(self):
        """A text that changes with the test images."""
        return self._source("test").fingerprint

    def raise_if_broken(self):
        """Raises a ValueError that names the broken files among those that were read last."""
        for source in self._sources.values():
            source.raise_if_broken()

    def release(self):
        """Frees the images; they are read again when they are needed."""
        self._sources.clear()

    def _source(self, split):
        if split not in self._sources:
            self._sources[split] = self._of_tuning(split) if self.tuning else self._read(split)
        return self._sources[split]

    def _read(self, split):
        parts = [p for p in self.spec.parts if p.split in (None, split)]
        for part in parts:
            if gone := datasets.missing(part, self._load.keywords["data_dir"]):
                raise ValueError(
                    f"{gone} is not there any more; put it back to read the images of task {self.name!r}."
                )
        return sources.concatenate([self._load(p, split) for p in parts])

    def _of_tuning(self, split):
        """The training part without a tenth, or that tenth."""
        whole = self._read("train")
        held_out = whole.tuning
        if not held_out.any() or held_out.all():
            raise ValueError(
                f"{len(held_out)} training images of task {self.name!r} are too few to hold a tenth out for tuning;"
                " give it some hundred, or leave tuning out."
            )
        return sources.choose(whole, held_out if split == "test" else ~held_out)

    def _images(self, split, limit):
        source = self._source(split)
        return sources.images_of(source, subset(len(source), limit))

    def _labels(self, split, limit):
        source = self._source(split)
        return None if source.labels is None else source.labels[subset(len(source), limit)]


def steps_of(tasks, images_at, start_step, batch_size, updates_per_step, rows=slice(None)):
    """The images of one step after another, in some endless order of the images of one task or more.

    Args:
        tasks: the `Task`s whose images they are.
        images_at: int64 [m], places in that order, to uint8 [m, height, width, channels].
        start_step, batch_size, updates_per_step, rows: as in `Task.batches`.

    Returns:
        A tf.data.Dataset as that of `Task.batches`.
    """
    start = _checked_integer("start_step", start_step, 0)
    updates = _checked_integer("updates_per_step", updates_per_step, 1)
    wanted = range(batch_size)[rows]
    image_shape = tasks[0].image_shape

    def step_images(step):
        row = tf.range(wanted.start, wanted.stop, wanted.step, tf.int64)[:, tf.newaxis]
        column = tf.range(updates, dtype=tf.int64)[tf.newaxis, :]
        positions = step * (batch_size * updates) + column * batch_size + row
        return tf.reshape(images_at(tf.reshape(positions, [-1])), (len(wanted), updates) + image_shape)

    in_memory = all(task.in_memory for task in tasks)
    dataset = tf.data.Dataset.range(start, np.iinfo(np.int64).max)
    dataset = dataset.map(step_images, num_parallel_calls=None if in_memory else os.cpu_count())
    options = tf.data.Options()
    options.deterministic = True
    # Its thread holds up the end of a `fit` for up to half a minute.
    options.autotune.enabled = False
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    return dataset.with_options(options).prefetch(PREFETCH)


def _shuffled(positions, count, seed, task_index):
    """Maps positions of the endless order to indices of images; one permutation per epoch."""
    epochs = positions // count
    keys = tf.stack(
        [tf.fill(tf.shape(epochs), tf.constant(value, tf.int64)) for value in (seed, task_index)] + [epochs],
        axis=1,
    )
    # tf.random.experimental.index_shuffle takes one seed alone; a batch that crosses epochs needs two.
    return tf.raw_ops.RandomIndexShuffle(
        index=positions % count,
        seed=keys,
        max_index=tf.fill(tf.shape(positions), tf.constant(count - 1, tf.int64)),
        rounds=8,
    )


def subset(count, limit):
    """int64, sorted: the places, of `count`, of the images that are taken where at most `limit` are asked for.

    A smaller limit takes some of those that a larger one takes.
    """
    if limit is None or limit >= count:
        return np.arange(count)
    limit = _checked_integer("limit", limit, 1)
    return np.sort(np.random.default_rng(_SUBSET_SEED).permutation(count)[:limit])


def task_names(parsed):
    """Short names for the tasks of parsed specs, each used once."""
    names = []
    for spec in parsed:
        parts = [
            f"{os.path.basename(os.path.normpath(p.path_or_name))}{str(p).partition(p.path_or_name)[2]}"
            if p.source in ("folder", "npz", "memory")
            else str(p)
            for p in spec.parts
        ]
        base = re.sub(r"[^\w.+-]+", "_", "+".join(parts)).strip("_")[:60]
        name, number = base, 2
        while name in names:
            name, number = f"{base}-{number}", number + 1
        names.append(name)
    return names


def _checked_integer(name, value, least):
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise ValueError(f"{name} must be an integer from {least} on, got {value!r}.")
    return int(value)


def _checked_unchecked(unchecked, count):
    if _checked_integer("unchecked", unchecked, 0) > count:
        raise ValueError(f"unchecked is {unchecked}, but the stream has {count} tasks; give at most {count}.")
    return unchecked


def _checked_shape(image_shape):
    shape = tuple(image_shape)
    if (
        len(shape) != 3
        or any(not isinstance(n, (int, np.integer)) or n < images.MIN_SIDE for n in shape[:2])
        or shape[2] not in (1, 3)
    ):
        raise ValueError(
            "image_shape must be (height, width, channels) with 1 or 3 channels and sides of "
            f"{images.MIN_SIDE} or more, got {image_shape!r}."
        )
    return tuple(int(n) for n in shape)
