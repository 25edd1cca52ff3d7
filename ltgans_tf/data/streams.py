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

# Seed that selects the images that a limit keeps; constant, so that all runs are scored on the same ones.
_SUBSET_SEED = 0
# Batches that are prepared while a step runs.
PREFETCH = 4
_log = logging.getLogger(__name__)


class TaskStream:
    """Data sets that arrive one after another.

    Nothing is read until a task's images are requested; a task's `release` frees them again.

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
            seed: an integer from 0 on that determines the order of the images.
            fit: how images of other proportions are fitted: 'crop', 'pad' or 'stretch'.
            data_dir: a folder whose `<name>.npz` replaces the data set of that name, or None.
            skip_broken_images: whether to leave out broken files of folders instead of raising.
            unchecked: how many tasks, from the first on, may have lost their data. Their specs are parsed, but their
                paths are not checked, so that a run can go on after the data of the tasks that it has learnt is
                gone. Requesting images that are gone raises a ValueError.
            upright: whether to apply the rotation that a camera noted in an image file.
            split_by: what determines the test split of a folder without subfolders for it: 'contents' of its files,
                or 'path', the rule of earlier versions; see `folders.Folder`.
            tuning: whether to hold out a tenth of each training split and use it as the test split, to choose
                settings on. The real test split is then never read. The choice depends on the image itself, so
                that no task trains on an image that another task holds out.
            horizontal_flips: whether `batches` also gives the mirror image of each training image, once per epoch;
                an epoch is then twice as long.

        For each folder from which something is left out, one warning goes to the log `ltgans_tf`.

        Raises:
            ValueError: an argument is wrong; one sentence says what was received and what to do.
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
        """Returns the settings that a resumed run must share with the run before, as a JSON-ready dict."""
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

    Members that need images raise a ValueError if these are gone; one sentence says what is missing.

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
        """Returns the task's training images, without end, in an order that is a function of (seed, task, step).

        Each epoch is one permutation of all images and so has each image exactly once; a batch may span the
        end of an epoch. With B the batch size and n the updates, element [i, c] of step t is the image at
        position t*B*n + c*B + i of that order.

        Args:
            start_step: the step to begin with; a resumed run goes on as if it had never stopped.
            updates_per_step: n, the batches that one step takes (one per critic update).
            rows: slice of the wanted rows of a batch; no others are read.

        Returns:
            A tf.data.Dataset of uint8 [batch_size, updates_per_step, height, width, channels], or with
            only the wanted rows; the batch is the first dimension, because tf.distribute splits that one.
        """
        return steps_of([self], self.images_at, start_step, self._batch_size, updates_per_step, rows)

    def images_at(self, positions):
        """Returns the training images at `positions`, int64 [m], of the order of `batches`: uint8 [m, h, w, c]."""
        source = self._source("train")
        count = len(source)
        if not self.horizontal_flips:
            return source.gather(_shuffled(positions, count, self._seed, self.index))
        # Places from `count` on are the mirror images.
        places = _shuffled(positions, 2 * count, self._seed, self.index)
        shown = source.gather(places % count)
        return tf.where((places >= count)[:, None, None, None], shown[:, :, ::-1], shown)

    @property
    def in_memory(self):
        """Whether the training images are in memory, so that reading them costs next to nothing."""
        return isinstance(self._source("train"), sources.ArraySource)

    def train_images(self, limit=None):
        """Returns all training images, or a fixed choice of `limit` of them: uint8 [n, h, w, c]."""
        return self._images("train", limit)

    def train_labels(self, limit=None):
        """Returns the labels of train_images(limit), int64 [n], or None if a part has none."""
        return self._labels("train", limit)

    def test_images(self, limit=None):
        """Returns all test images, or a choice of `limit` of them, the same for every seed: uint8 [n, h, w, c]."""
        return self._images("test", limit)

    def test_labels(self, limit=None):
        """Returns the labels of test_images(limit), int64 [n], or None if a part has none."""
        return self._labels("test", limit)

    def test_factors(self, limit=None):
        """Returns the known factors of test_images(limit), such as the view: {name: int64 or float64 [n]}.

        These are the numeric arrays of an .npz besides its images and labels: `test_<name>` of shape [n], or each
        column of one of shape [n, m] with m above 1, as <name>.0, <name>.1, ... Only factors that all parts have are
        returned; {} for other sources.
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
        """The number of broken files left out of the training images."""
        return self._source("train").skipped

    @property
    def is_open(self):
        """Whether training images were requested since the last `release`."""
        return "train" in self._sources

    @property
    def fingerprint(self):
        """A text that changes with the training images; a resumed run compares it."""
        return self._source("train").fingerprint

    @property
    def test_fingerprint(self):
        """A text that changes with the test images."""
        return self._source("test").fingerprint

    def raise_if_broken(self):
        """Raises a ValueError that names the broken files among those read last."""
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
        """Returns the training split without the held-out tenth, or for 'test' that tenth."""
        whole = self._read("train")
        held_out = whole.tuning
        if not held_out.any() or held_out.all():
            raise ValueError(
                f"{len(held_out)} training images of task {self.name!r} are too few to hold out a tenth for tuning;"
                " use a few hundred images, or turn tuning off."
            )
        return sources.choose(whole, held_out if split == "test" else ~held_out)

    def _images(self, split, limit):
        source = self._source(split)
        return sources.images_of(source, subset(len(source), limit))

    def _labels(self, split, limit):
        source = self._source(split)
        return None if source.labels is None else source.labels[subset(len(source), limit)]


def steps_of(tasks, images_at, start_step, batch_size, updates_per_step, rows=slice(None)):
    """Returns the images of each step, in an endless order of the images of one or more tasks.

    Args:
        tasks: the `Task`s that the images belong to.
        images_at: function of places in that order, int64 [m], to images, uint8 [m, height, width, channels].
        start_step, batch_size, updates_per_step, rows: as in `Task.batches`.

    Returns:
        A tf.data.Dataset like that of `Task.batches`.
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
    # The thread of autotuning delays the end of a `fit` by up to half a minute.
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
    # tf.random.experimental.index_shuffle takes only one seed; a batch that spans two epochs needs two.
    return tf.raw_ops.RandomIndexShuffle(
        index=positions % count,
        seed=keys,
        max_index=tf.fill(tf.shape(positions), tf.constant(count - 1, tf.int64)),
        rounds=8,
    )


def subset(count, limit):
    """Returns the indices, sorted int64, of a fixed choice of at most `limit` of `count` images.

    The choice for a smaller limit is part of the choice for a larger one.
    """
    if limit is None or limit >= count:
        return np.arange(count)
    limit = _checked_integer("limit", limit, 1)
    return np.sort(np.random.default_rng(_SUBSET_SEED).permutation(count)[:limit])


def task_names(parsed):
    """Returns short names for the tasks of parsed specs, no two alike."""
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
