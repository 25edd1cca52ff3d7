"""Images that a program passes in as a task: arrays, or a TensorFlow dataset."""

import hashlib
import re
import zlib

import numpy as np
import tensorflow as tf

from ltgans_tf.data import datasets, npz_files, sources

_NAME = re.compile(r"[A-Za-z0-9][\w.-]*")


def named(tasks):
    """Separates a list of tasks into specs and images.

    Args:
        tasks: a list of task specs (str) and of pairs (name, data); or a dict {name: data}. For data see `Handed`.

    Returns:
        (a list of task specs, with `memory:NAME` for each pair; {that spec: `Handed`}).

    Raises:
        ValueError: a name is not allowed or appears twice, or data are of an unknown kind.
    """
    specs, handed = [], {}
    for task in tasks.items() if isinstance(tasks, dict) else tasks:
        if isinstance(task, tuple) and len(task) == 2:
            name, data = task
            if not isinstance(name, str) or not _NAME.fullmatch(name):
                raise ValueError(f"A task's name is letters, digits, '_', '.' and '-', got {name!r}.")
            task = f"memory:{name}"
            if task in handed:
                raise ValueError(f"Two tasks have the name {name!r}; give each one of its own.")
            handed[task] = Handed(name, data)
        elif not isinstance(task, str):
            raise ValueError(
                f"A task of the stream is {type(task).__name__}; images need a name: give {{'cats': images}}."
            )
        specs.append(task)
    return specs, handed


class Handed:
    """The images that a program passed in for one task.

    They are read on the first request, fitted to one shape and kept as uint8. Their order, and the tenth that is the
    test split, depend only on their contents, so that a dataset that shuffles gives the same task each time.

    Args:
        name: name of the task.
        data: uint8 [n, h, w] or [n, h, w, c] with 1, 3 or 4 channels; a pair of these and integer labels [n]; or a
            `tf.data.Dataset` of images or of (image, label), in batches or one by one.
    """

    def __init__(self, name, data):
        self.name = name
        self._data = data
        self._read = {}  # by split
        if not isinstance(data, tf.data.Dataset):
            pair = data if isinstance(data, tuple) else (data, None)
            if len(pair) != 2 or not hasattr(pair[0], "shape"):
                raise ValueError(
                    f"Task {name!r} is {type(data).__name__}; give a uint8 array [n, h, w, c], a pair of such an array"
                    " and its labels, or a tf.data.Dataset of images."
                )
            self._data = _checked(name, *pair)

    def source(self, split, prepare, image_shape):
        """Returns the `ArraySource` of a split; the first call determines the shape of the images.

        Args:
            split: 'train' or 'test'.
            prepare: TensorFlow function of uint8 [n, h, w, c] or [h, w, c] that fits these images to `image_shape`.
            image_shape: (height, width, channels).
        """
        if not self._read:
            batches = self._of_dataset if isinstance(self._data, tf.data.Dataset) else self._of_arrays
            images, labels = batches(prepare, image_shape)
            self._read = _parts(self.name, images, labels)
        return self._read[split]

    def _of_arrays(self, prepare, image_shape):
        images, labels = self._data
        return datasets.fitted_chunks(images, np.arange(len(images)), prepare, image_shape), labels

    def _of_dataset(self, prepare, image_shape):
        if self._data.cardinality() == tf.data.INFINITE_CARDINALITY:
            raise ValueError(
                f"The dataset of task {self.name!r} repeats without end; leave its repeat() out."
            )
        images, labels, most = [], [], datasets.MEMORY_LIMIT_BYTES // int(np.prod(image_shape))
        for element in self._data:
            image, label = element if isinstance(element, tuple) and len(element) == 2 else (element, None)
            if not tf.is_tensor(image):
                raise ValueError(
                    f"The dataset of task {self.name!r} has elements of type {type(element).__name__}; give images or"
                    " (image, label): dataset.map(lambda element: element['image']), for example."
                )
            batch = image[tf.newaxis] if len(image.shape) == 3 else image
            label = None if label is None else np.reshape(label, [-1])
            batch, label = _checked(self.name, batch.numpy(), label)
            images.append(prepare(tf.constant(batch)).numpy())
            labels.append(label)
            most -= len(batch)
            if most < 0:
                raise ValueError(
                    f"The dataset of task {self.name!r} has more than {datasets.MEMORY_LIMIT_BYTES >> 20} MiB of images; give fewer (does"
                    " it repeat without end?), or write them into a folder and give folder:PATH."
                )
        if not images:
            raise ValueError(f"The dataset of task {self.name!r} is empty; give one with images.")
        return np.concatenate(images), None if labels[0] is None else np.concatenate(labels)


def _checked(name, images, labels):
    labels = None if labels is None else np.asarray(labels)
    return npz_files.checked_arrays(f"of task {name!r}", np.asarray(images), labels)


def _parts(name, images, labels):
    """Returns {'train', 'test': ArraySource}, in the order of the images' digests; a tenth is the test split."""
    if len(images) < 2:
        raise ValueError(f"Task {name!r} has one image; give two or more, one of which is its test part.")
    digests = [hashlib.sha256(image).digest() for image in images]
    keys = list(zip(digests, [0] * len(images) if labels is None else labels.tolist()))
    order = np.array(sorted(range(len(images)), key=keys.__getitem__))
    images, labels = images[order], None if labels is None else labels[order]
    is_test = np.fromiter((zlib.crc32(digests[i]) % 10 == 7 for i in order), bool)
    if not is_test.any() or is_test.all():
        is_test = np.arange(len(images)) == 0
    return {
        split: sources.ArraySource(images[chosen], None if labels is None else labels[chosen])
        for split, chosen in (("train", ~is_test), ("test", is_test))
    }
