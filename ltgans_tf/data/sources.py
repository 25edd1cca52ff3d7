"""Where images come from once a spec is opened: memory, image files, or records on disk.

A source has a length, labels (int64 [n] or None), factors ({name: int64 or float64 [n]}, what else is
known of each image), a fingerprint, a count of files left out (`skipped`), `gather(indices)`, int64 [n]
to uint8 [n, height, width, channels], which runs inside tf.data, `raise_if_broken()`, which names the file
that an error of `gather` came from, and `tuning`, bool [n]: a tenth of the images, chosen by what each is and not
by its place, so that an image is in the tenth of every set that has it.
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
    """Image files, read and decoded as they are asked for; only their paths are in memory."""

    def __init__(self, root, names, keys, labels, prepare, image_shape, upright=True, skipped=0):
        self.root = root
        self.prepare = prepare
        self._names, self._keys = names, keys
        self._shape, self._upright = image_shape, upright
        self.labels = labels
        self.skipped = skipped
        self.factors = {}
        # More calls than can be under way at a time.
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
        # Decoding is the graph's, in which no Python holds up another file. Its errors do not name the file, so
        # what was asked for is kept for `raise_if_broken`.
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
        """Raises a ValueError that names the broken ones of the files that were read last."""
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
    """Several sources one after another, where not all of them lie in memory."""

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
    """Some images of a source that does not lie in memory: those at `places`, int64 [n]."""

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
    """The source of the images for which bool [n] `chosen` is True."""
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
    """bool [n]: which of the bytes-like items are in the tenth that their contents choose."""
    return np.fromiter((zlib.crc32(item) % 10 == 3 for item in items), bool)


def images_of(source, indices):
    """uint8 [n, h, w, c]: the images at some places, int64 [n], read in parallel.

    Raises:
        ValueError: naming a file that is broken.
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
    """Joins sources in their order; labels and factors are those that all of them have."""
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
    """The factors of the first source that all others have too."""
    names = [name for name in sources[0].factors if all(name in s.factors for s in sources)]
    return {name: np.concatenate([s.factors[name] for s in sources]) for name in names}


def _digest(lines):
    digest = hashlib.sha256()
    for line in lines:
        digest.update(os.fsencode(line) + b"\n")
    return digest.hexdigest()


def _read_any(path):
    """string scalar, a path -> what `images.decode` reads, also of a file that Pillow reads."""
    by_pillow = tf.strings.regex_full_match(tf.strings.lower(path), pillow_files.PATTERN)
    return tf.cond(
        by_pillow,
        lambda: tf.ensure_shape(tf.numpy_function(pillow_files.as_png, [path], tf.string), []),
        lambda: tf.io.read_file(path),
    )


def damage(path):
    """Why an image file can't be used, in a few words; '' if it can."""
    try:
        decode(path)
    except ValueError as error:
        return str(error)
    return ""


def broken(found, most=100):
    """The sentence about broken files.

    Args:
        found: list of (path, reason), at least one.
        most: files that are named.
    """
    remedy = "leave such files out with --skip_broken_images (in Python: skip_broken_images=True)."
    if len(found) == 1:
        return f"{found[0][0]} {found[0][1]}; remove it, or {remedy}"
    more = f"; and {len(found) - most} more" if len(found) > most else ""
    told = "; ".join(f"{path} {reason}" for path, reason in found[:most])
    return f"{len(found)} files cannot be used: {told}{more}. Remove them, or {remedy}"


def decode(path, upright=True):
    """Reads one file.

    Args:
        path: of the file.
        upright: whether the rotation that a camera noted is applied.

    Returns:
        uint8 [h, w, 3].

    Raises:
        ValueError: it is broken or too small; its text goes on with a sentence that begins with the path.
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
