"""Where images come from once a spec is opened: memory, image files, or records on disk.

A source has a length and these members:

- `labels`, int64 [n] or None
- `factors`, {name: int64 or float64 [n]}: other known numbers of each image
- `fingerprint`, a text that changes with the images
- `skipped`, the number of files left out
- `gather(indices)`, which maps int64 [n] to uint8 [n, height, width, channels] and runs inside tf.data
- `raise_if_broken()`, which raises an error that names the file that made `gather` fail
- `tuning`, bool [n]: a tenth of the images. The image itself decides (of records, the number in the data set), not its
  place in the source, so that an image is in the tenth of every source that has it. Only sources of a whole set have it.
"""

import collections
import functools
import hashlib
import os
import zlib

import numpy as np
import tensorflow as tf

from ltgans_tf.data import images, pillow_files


class ArraySource:
    """Images in memory: uint8 [n, h, w, c], already of the wanted shape."""

    def __init__(self, array, labels, skipped=0, factors=None):
        self.array = array
        self.labels = labels
        self.skipped = skipped
        self.factors = factors or {}

    def __len__(self):
        return len(self.array)

    @functools.cached_property
    def _tensor(self):
        with tf.init_scope(), tf.device("/CPU:0"):
            return tf.constant(self.array)

    @functools.cached_property
    def fingerprint(self):
        digest = hashlib.sha256(repr(self.array.shape).encode())
        digest.update(np.ascontiguousarray(self.array))
        return digest.hexdigest()

    @property
    def tuning(self):
        return _tenth(self.array)

    def gather(self, indices):
        return tf.gather(self._tensor, indices)

    def raise_if_broken(self):
        """Does nothing: images in memory cannot be broken."""


class FileSource:
    """Image files, read and decoded on demand; only their paths are in memory."""

    def __init__(self, root, names, keys, labels, prepare, image_shape, upright=True, skipped=0):
        self.root = root
        self.prepare = prepare
        self._names, self._keys = names, keys
        self._shape, self._upright = image_shape, upright
        self.labels = labels
        self.skipped = skipped
        self.factors = {}
        # Holds more calls than can run at the same time.
        self._asked_last = collections.deque(maxlen=16 + 2 * (os.cpu_count() or 1))

    def __len__(self):
        return len(self._names)

    def path(self, index):
        return os.path.join(self.root, self._names[index])

    @functools.cached_property
    def _paths(self):
        with tf.init_scope(), tf.device("/CPU:0"):
            return tf.constant([os.fsencode(self.path(i)) for i in range(len(self))])

    @functools.cached_property
    def fingerprint(self):
        return _digest(self._keys)

    @property
    def tuning(self):
        return _tenth(map(str.encode, self._keys))

    def gather(self, indices):
        # The graph decodes, so that Python does not block other files. Its errors do not name the file, so the
        # indices are kept for `raise_if_broken`.
        asked = tf.numpy_function(self._remember, [indices], tf.int64, stateful=False)
        paths = tf.gather(self._paths, tf.ensure_shape(asked, indices.shape))
        read = _read_any if any(map(pillow_files.reads, self._names)) else tf.io.read_file
        return tf.map_fn(
            lambda path: self.prepare(images.decode(read(path), 3, self._upright)),
            paths,
            fn_output_signature=tf.TensorSpec(self._shape, tf.uint8),
        )

    def _remember(self, indices):
        self._asked_last.append(indices)
        return indices

    def raise_if_broken(self):
        """Raises a ValueError that names the broken files among those read last."""
        asked = np.unique(np.concatenate([*self._asked_last, []])).astype(int)
        found = [(self.path(i), reason) for i in asked if (reason := damage(self.path(i)))]
        if found:
            raise ValueError(broken(found))


class RecordSource:
    """Records of TensorFlow Datasets in a format with random access."""

    skipped = 0

    def __init__(self, records, kept, labels, name, prepare, image_shape, upright=True):
        self._records = records
        self._kept = kept
        self._name = name
        self._prepare = prepare
        self._shape, self._upright = image_shape, upright
        self.labels = labels
        self.factors = {}

    def __len__(self):
        return len(self._kept)

    @functools.cached_property
    def fingerprint(self):
        return _digest([self._name, str(self._kept.shape), hashlib.sha256(self._kept.tobytes()).hexdigest()])

    @property
    def tuning(self):
        return _tenth(b"%d" % place for place in self._kept)

    def gather(self, indices):
        def read(chosen):
            return np.array([self._records[i]["image"] for i in self._kept[chosen].tolist()], object)

        def one(data):
            return self._prepare(images.decode(data, 3, self._upright))

        data = tf.ensure_shape(tf.numpy_function(read, [indices], tf.string, stateful=False), [None])
        return tf.map_fn(one, data, fn_output_signature=tf.TensorSpec(self._shape, tf.uint8))

    def raise_if_broken(self):
        """Does nothing: no file of the user is read."""


class _Concatenation:
    """Several sources joined in order, not all of which are in memory."""

    def __init__(self, sources):
        self._sources = sources
        self._ends = np.cumsum([len(s) for s in sources])
        self.labels = _joined_labels(sources)
        self.skipped = sum(s.skipped for s in sources)
        self.factors = _joined_factors(sources)

    def __len__(self):
        return int(self._ends[-1])

    @property
    def fingerprint(self):
        return _digest(s.fingerprint for s in self._sources)

    @property
    def tuning(self):
        return np.concatenate([s.tuning for s in self._sources])

    def gather(self, indices):
        which = tf.searchsorted(tf.constant(self._ends, tf.int64), indices, side="right", out_type=tf.int32)
        places = tf.dynamic_partition(tf.range(tf.size(indices)), which, len(self._sources))
        starts = np.concatenate([[0], self._ends[:-1]])
        found = [
            source.gather(tf.gather(indices, place) - start)
            for source, place, start in zip(self._sources, places, starts)
        ]
        return tf.dynamic_stitch(places, found)

    def raise_if_broken(self):
        for source in self._sources:
            source.raise_if_broken()


class _Chosen:
    """The images at `places`, int64 [n], of a source that is not in memory."""

    def __init__(self, source, places):
        self._source, self._places = source, places
        self.labels = None if source.labels is None else source.labels[places]
        self.factors = {name: values[places] for name, values in source.factors.items()}
        self.skipped = source.skipped

    def __len__(self):
        return len(self._places)

    @property
    def fingerprint(self):
        return _digest([self._source.fingerprint, hashlib.sha256(self._places.tobytes()).hexdigest()])

    def gather(self, indices):
        return self._source.gather(tf.gather(tf.constant(self._places), indices))

    def raise_if_broken(self):
        self._source.raise_if_broken()


def choose(source, chosen):
    """Returns a source of the images for which `chosen`, bool [n], is True."""
    places = np.flatnonzero(chosen)
    if not isinstance(source, ArraySource):
        return _Chosen(source, places)
    return ArraySource(
        source.array[places],
        None if source.labels is None else source.labels[places],
        source.skipped,
        {name: values[places] for name, values in source.factors.items()},
    )


def _tenth(items):
    """Returns bool [n]: which of the bytes-like items are in the tenth that their contents select."""
    return np.fromiter((zlib.crc32(item) % 10 == 3 for item in items), bool)


def images_of(source, indices):
    """Reads the images at `indices`, int64 [n], in parallel: uint8 [n, h, w, c].

    Raises:
        ValueError: a file is broken; the message names it.
    """
    if isinstance(source, ArraySource):
        return source.array[indices]
    chunks = tf.data.Dataset.from_tensor_slices(indices).batch(64).map(source.gather, os.cpu_count())
    try:
        return np.concatenate(list(chunks.as_numpy_iterator()))
    except tf.errors.InvalidArgumentError:
        source.raise_if_broken()
        raise


def concatenate(sources):
    """Joins sources in order; keeps the labels and the factors that all of them have."""
    if len(sources) == 1:
        return sources[0]
    if all(isinstance(s, ArraySource) for s in sources):
        return ArraySource(
            np.concatenate([s.array for s in sources]),
            _joined_labels(sources),
            sum(s.skipped for s in sources),
            _joined_factors(sources),
        )
    return _Concatenation(sources)


def _joined_labels(sources):
    return np.concatenate([s.labels for s in sources]) if all(s.labels is not None for s in sources) else None


def _joined_factors(sources):
    """Joins the factors that all sources have."""
    names = [name for name in sources[0].factors if all(name in s.factors for s in sources)]
    return {name: np.concatenate([s.factors[name] for s in sources]) for name in names}


def _digest(lines):
    digest = hashlib.sha256()
    for line in lines:
        digest.update(os.fsencode(line) + b"\n")
    return digest.hexdigest()


def _read_any(path):
    """Reads the file at a path, string scalar, to bytes for `images.decode`; a file for Pillow is converted."""
    by_pillow = tf.strings.regex_full_match(tf.strings.lower(path), pillow_files.PATTERN)
    return tf.cond(
        by_pillow,
        lambda: tf.ensure_shape(tf.numpy_function(pillow_files.as_png, [path], tf.string), []),
        lambda: tf.io.read_file(path),
    )


def damage(path):
    """Returns why an image file cannot be used, in a few words; '' if it can."""
    try:
        decode(path)
    except ValueError as error:
        return str(error)
    return ""


def broken(found, most=100):
    """Returns the error message about broken files.

    Args:
        found: list of (path, reason), at least one.
        most: how many files to name at most.
    """
    remedy = "leave such files out with --skip_broken_images (in Python: skip_broken_images=True)."
    if len(found) == 1:
        return f"{found[0][0]} {found[0][1]}; remove it, or {remedy}"
    more = f"; and {len(found) - most} more" if len(found) > most else ""
    told = "; ".join(f"{path} {reason}" for path, reason in found[:most])
    return f"{len(found)} files cannot be used: {told}{more}. Remove them, or {remedy}"


def decode(path, upright=True):
    """Reads and decodes one file.

    Args:
        path: path of the file.
        upright: whether to apply the rotation that a camera noted.

    Returns:
        uint8 [h, w, 3].

    Raises:
        ValueError: the file is broken or too small; the message continues a sentence that begins with the path.
    """
    try:
        with tf.device("/CPU:0"):
            name = os.fsencode(path)
            data = pillow_files.as_png(name) if pillow_files.reads(path) else tf.io.read_file(name)
            image = images.decode(data, 3, upright).numpy()
    except (ValueError, tf.errors.OpError) as error:
        raise ValueError("is broken or not an image") from error
    if min(image.shape[:2]) < images.MIN_SIDE:
        raise ValueError(
            f"has {image.shape[0]}x{image.shape[1]} pixels, fewer than {images.MIN_SIDE} on a side"
        )
    return image
