"""From one part of a task spec to its uint8 images.

`load` gives a source: something with a length, labels, a fingerprint and `gather(indices)`, which runs inside
tf.data. Small sets lie in memory, already fitted to the wanted shape (ArraySource); folders and large sets
stay on disk and are decoded as they are asked for (FileSource, RecordSource).
"""

from concurrent import futures
import functools
import hashlib
import os
import socket
import threading
import zlib

import numpy as np
import tensorflow as tf

from ltgans_tf import images
from ltgans_tf import specs
from ltgans_tf.specs import DATASETS  # pylint: disable=unused-import

# A set of TensorFlow Datasets whose fitted images take more bytes than this is read from disk.
MEMORY_LIMIT_BYTES = 2 << 30
# A folder with more files than this is decoded as it is read, not when it is opened.
FOLDER_IN_MEMORY_FILES = 5_000
LOOKUP_SECONDS = 3.0
DOWNLOAD_HOST = "storage.googleapis.com"
_FIT_CHUNK = 1024


def load(part, split, image_shape, fit="crop", data_dir=None, skip_broken_images=False):
    """Opens one split of one part of a task.

    Args:
        part: a specs.Part, or a text with one part.
        split: 'train' or 'test'.
        image_shape: (height, width, channels) of the images that are wanted.
        fit: 'crop', 'pad' or 'stretch'; see images.fit_image.
        data_dir: a folder whose `<name>.npz` stands for a named set that is not built in, or None.
        skip_broken_images: leave broken image files of a folder out, and count them, instead of raising.

    Returns:
        A source: `len(source)`; `source.gather(indices)`, int64 [n] to uint8 [n, *image_shape], in a graph;
        `source.labels`, int64 [len] or None; `source.fingerprint`, a text that changes with the content;
        `source.skipped`, the number of files left out.

    Raises:
        ValueError: with one sentence on what is missing or wrong and what to do.
    """
    if isinstance(part, str):
        part = specs.check(part, data_dir).parts[0]
    if split not in specs.SPLITS:
        raise ValueError(f"split must be 'train' or 'test', got {split!r}.")
    shape = tuple(image_shape)
    if part.source == "folder":
        return _load_folder(part, split, shape, fit, skip_broken_images)
    npz = part.path_or_name if part.source == "npz" else None
    if part.source == "name":
        npz = specs.npz_for_name(part.path_or_name, data_dir)
        if not npz and part.path_or_name not in specs.DATASETS:
            specs.check(str(part), data_dir)
    if npz:
        raw, labels = _read_npz(os.path.expanduser(npz), split, _stamp(npz))
        return _array_source(part, raw, labels, shape, fit)
    if part.source == "name" and specs.DATASETS[part.path_or_name].kind == "builtin":
        from ltgans_tf import builtin  # pylint: disable=import-outside-toplevel
        raw, labels = builtin.load(part.path_or_name, split)
        return _array_source(part, raw, labels, shape, fit)
    return _load_tfds(part, split, shape, fit)


# Sources.


class ArraySource:
    """Images in memory: uint8 [n, h, w, c], already of the wanted shape."""

    def __init__(self, array, labels, skipped=0):
        self.array = array
        self.labels = labels
        self.skipped = skipped

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

    def gather(self, indices):
        return tf.gather(self._tensor, indices)


class FileSource:
    """Image files, read and decoded as they are asked for; only their paths are in memory."""

    def __init__(self, root, names, labels, prepare, image_shape, skipped=0):
        self.root = root
        self.prepare = prepare
        self._names = names
        self._shape = image_shape
        self.labels = labels
        self.skipped = skipped

    def __len__(self):
        return len(self._names)

    def path(self, index):
        return os.path.join(self.root, self._names[index])

    @functools.cached_property
    def _paths(self):
        with tf.init_scope(), tf.device("/CPU:0"):
            return tf.constant([self.path(i) for i in range(len(self))])

    @functools.cached_property
    def fingerprint(self):
        sizes = (os.path.getsize(self.path(i)) for i in range(len(self)))
        return _digest(f"{n}\0{size}" for n, size in zip(self._names, sizes))

    def gather(self, indices):
        def one(path):
            image = tf.numpy_function(_decode_file, [path], tf.uint8, stateful=False)
            return self.prepare(tf.ensure_shape(image, [None, None, 3]))
        return tf.map_fn(one, tf.gather(self._paths, indices),
                         fn_output_signature=tf.TensorSpec(self._shape, tf.uint8))


class RecordSource:
    """Records of TensorFlow Datasets in a format with random access."""

    skipped = 0

    def __init__(self, records, kept, labels, name, prepare, image_shape):
        self._records = records
        self._kept = kept
        self._name = name
        self._prepare = prepare
        self._shape = image_shape
        self.labels = labels

    def __len__(self):
        return len(self._kept)

    @functools.cached_property
    def fingerprint(self):
        return _digest([self._name, str(self._kept.shape), hashlib.sha256(self._kept.tobytes()).hexdigest()])

    def gather(self, indices):
        def read(chosen):
            return np.array([r["image"] for r in self._records.__getitems__(self._kept[chosen].tolist())], object)

        def one(data):
            return self._prepare(images.decode(data, 3))
        data = tf.ensure_shape(tf.numpy_function(read, [indices], tf.string, stateful=False), [None])
        return tf.map_fn(one, data, fn_output_signature=tf.TensorSpec(self._shape, tf.uint8))


class _Concatenation:
    """Several sources one after another, where not all of them lie in memory."""

    def __init__(self, sources):
        self._sources = sources
        self._ends = np.cumsum([len(s) for s in sources])
        self.labels = _joined_labels(sources)
        self.skipped = sum(s.skipped for s in sources)

    def __len__(self):
        return int(self._ends[-1])

    @property
    def fingerprint(self):
        return _digest(s.fingerprint for s in self._sources)

    def gather(self, indices):
        which = tf.searchsorted(tf.constant(self._ends, tf.int64), indices, side="right", out_type=tf.int32)
        places = tf.dynamic_partition(tf.range(tf.size(indices)), which, len(self._sources))
        starts = np.concatenate([[0], self._ends[:-1]])
        found = [source.gather(tf.gather(indices, place) - start)
                 for source, place, start in zip(self._sources, places, starts)]
        return tf.dynamic_stitch(places, found)


def concatenate(sources):
    """Joins sources in their order; labels are None unless all of them have labels."""
    if len(sources) == 1:
        return sources[0]
    if all(isinstance(s, ArraySource) for s in sources):
        return ArraySource(np.concatenate([s.array for s in sources]), _joined_labels(sources),
                           sum(s.skipped for s in sources))
    return _Concatenation(sources)


def _joined_labels(sources):
    return np.concatenate([s.labels for s in sources]) if all(s.labels is not None for s in sources) else None


def _digest(lines):
    digest = hashlib.sha256()
    for line in lines:
        digest.update(line.encode() + b"\n")
    return digest.hexdigest()


# Arrays.


def _prepare(part, image_shape, fit):
    """Returns the function from raw uint8 images to images of image_shape: channels, polarity, size."""
    def prepare(raw):
        raw = images.to_channels(raw, image_shape[-1])
        return images.fit_image(255 - raw if part.invert else raw, image_shape, fit)
    return prepare


def _array_source(part, raw, labels, image_shape, fit):
    kept = _kept(part, labels, len(raw))
    prepare = _prepare(part, image_shape, fit)
    fitted = np.empty((len(kept),) + image_shape, np.uint8)
    try:
        with tf.device("/CPU:0"):
            for start in range(0, len(kept), _FIT_CHUNK):
                chosen = kept[start:start + _FIT_CHUNK]
                fitted[start:start + len(chosen)] = prepare(tf.constant(raw[chosen])).numpy()
    except ValueError as error:
        raise ValueError(f"{part}: {error}") from error
    return ArraySource(fitted, None if labels is None else labels[kept])


def _kept(part, labels, count):
    """Returns the indices of the images whose class is chosen."""
    if part.classes is None:
        return np.arange(count)
    if labels is None:
        raise ValueError(f"{part} chooses classes, but these images have no labels; leave the '@' out.")
    kept = np.flatnonzero(np.isin(labels, part.classes))
    if not kept.size:
        present = specs.format_classes(np.unique(labels).tolist())
        raise ValueError(f"{part} chooses no image; the classes there are {present}.")
    return kept


def _stamp(path):
    info = os.stat(os.path.expanduser(path))
    return info.st_mtime_ns, info.st_size


@functools.lru_cache(maxsize=4)
def _read_npz(path, split, stamp):
    """Reads one split; `stamp` (time and size of the file) keeps the cache honest."""
    del stamp
    try:
        with np.load(path, allow_pickle=False) as file:
            name = f"{split}_images"
            if name not in file.files:
                raise ValueError(f"{path} has no array {name!r}, it has {', '.join(file.files)}; "
                                 "save uint8 'train_images' and 'test_images'.")
            raw = file[name]
            labels = file[f"{split}_labels"] if f"{split}_labels" in file.files else None
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path} cannot be read as .npz ({error}); save it with numpy.savez.") from error
    return _checked_arrays(path, split, raw, labels)


def _checked_arrays(path, split, raw, labels):
    if raw.ndim == 3:
        raw = raw[..., np.newaxis]
    if raw.dtype != np.uint8 or raw.ndim != 4 or raw.shape[-1] not in (1, 3, 4) or not len(raw):
        raise ValueError(f"{split}_images of {path} must be uint8 [n, h, w] or [n, h, w, c] with 1, 3 or 4 channels "
                         f"and n > 0, got {raw.dtype} {list(raw.shape)}.")
    if labels is not None:
        labels = np.squeeze(labels)
        if labels.shape != (len(raw),) or labels.dtype.kind not in "iu":
            raise ValueError(f"{split}_labels of {path} must be {len(raw)} integers, "
                             f"got {labels.dtype} {list(labels.shape)}.")
        labels = labels.astype(np.int64)
    return raw, labels


# Folders.


def _load_folder(part, split, image_shape, fit, skip_broken):
    root = os.path.expanduser(part.path_or_name)
    specs.check(str(part))
    names, labels = _list_folder(root, split)
    if not names:
        raise ValueError(f"The folder {root!r} has no image in its {split} split; "
                         "add images, or give it subfolders 'train' and 'test'.")
    kept = _kept(part, labels, len(names))
    names, labels = [names[i] for i in kept], None if labels is None else labels[kept]
    names, labels, skipped = _without_broken(root, names, labels, skip_broken)
    source = FileSource(root, names, labels, _prepare(part, image_shape, fit), image_shape, skipped)
    if len(source) > FOLDER_IN_MEMORY_FILES:
        return source
    return _into_memory(source, skip_broken)


def _list_folder(root, split):
    """Lists the image files of a split, sorted, and their labels (the index of the class subfolder)."""
    entries = {e for e in os.listdir(root) if os.path.isdir(os.path.join(root, e))}
    own_folders = set(specs.SPLITS) <= entries
    base = split if own_folders else ""
    names = []
    for folder, folders, files in os.walk(os.path.join(root, base), followlinks=True):
        folders.sort()
        names += [os.path.relpath(os.path.join(folder, f), root) for f in files
                  if f.lower().endswith(specs.IMAGE_SUFFIXES)]
    names.sort()
    classes = _class_names(root, own_folders)
    if not own_folders:
        names = [n for n in names if (_is_test(n) == (split == "test"))]
    if not classes:
        return names, None
    depth = 1 if own_folders else 0
    index = {c: i for i, c in enumerate(classes)}
    names = [n for n in names if n.split(os.sep)[depth] in index]
    return names, np.array([index[n.split(os.sep)[depth]] for n in names], np.int64)


def _class_names(root, own_folders):
    """Names of the class subfolders (of train and test together), in order."""
    bases = [os.path.join(root, s) for s in specs.SPLITS] if own_folders else [root]
    return sorted({e.name for base in bases for e in os.scandir(base) if e.is_dir() and not e.name.startswith(".")})


def _is_test(name):
    """A tenth of a folder's images, chosen by their relative path, so that it stays when files are added."""
    return zlib.crc32(name.replace(os.sep, "/").encode()) % 10 == 0


_ENDS = {b"\x89PNG": b"IEND\xaeB`\x82", b"\xff\xd8\xff": b"\xff\xd9", b"GIF8": b";"}


def _looks_whole(path):
    """Reads a few bytes at both ends of an image file: a quick look that finds most broken files."""
    with open(path, "rb") as file:
        head = file.read(16)
        size = file.seek(0, os.SEEK_END)
        file.seek(max(size - 16, 0))
        tail = file.read()
    if head[:4] == b"RIFF":
        return head[8:12] == b"WEBP" and int.from_bytes(head[4:8], "little") + 8 <= size
    return any(head.startswith(magic) and tail.rstrip(b"\0").endswith(end) for magic, end in _ENDS.items())


def _without_broken(root, names, labels, skip_broken):
    broken = set()
    for i, name in enumerate(names):
        path = os.path.join(root, name)
        if _looks_whole(path):
            continue
        try:
            _decode_file(path)
        except ValueError:
            if not skip_broken:
                raise
            broken.add(i)
    if len(broken) == len(names):
        raise ValueError(f"Every image of the folder {root!r} is broken; put readable images there.")
    good = [i for i in range(len(names)) if i not in broken]
    return [names[i] for i in good], None if labels is None else labels[good], len(broken)


def _decode_file(path):
    """Reads one file to uint8 [h, w, 3], or raises a ValueError that names it."""
    path = os.fsdecode(path)
    try:
        with tf.device("/CPU:0"):
            image = images.decode(tf.io.read_file(path), 3).numpy()
    except (tf.errors.OpError, tf.errors.InvalidArgumentError) as error:
        raise ValueError(f"{path} is broken or not an image; remove it, "
                         "or leave such files out with skip_broken_images.") from error
    if min(image.shape[:2]) < images.MIN_SIDE:
        raise ValueError(f"{path} has {image.shape[0]}x{image.shape[1]} pixels, fewer than {images.MIN_SIDE} on a side; "
                         "remove it, or leave such files out with skip_broken_images.")
    return image


def _into_memory(source, skip_broken):
    """Decodes a small folder once, in parallel."""
    good, arrays = [], []

    @tf.function(input_signature=[tf.TensorSpec([None, None, 3], tf.uint8)])
    def prepare(image):
        return source.prepare(image)

    def one(index):
        try:
            return prepare(_decode_file(source.path(index))).numpy()
        except ValueError:
            if not skip_broken:
                raise
            return None
    with futures.ThreadPoolExecutor(max(2, os.cpu_count() or 2)) as pool:
        for index, array in enumerate(pool.map(one, range(len(source)))):
            if array is not None:
                good.append(index)
                arrays.append(array)
    if not arrays:
        raise ValueError(f"Every image of the folder {source.root!r} is broken; put readable images there.")
    labels = None if source.labels is None else source.labels[good]
    return ArraySource(np.stack(arrays), labels, source.skipped + len(source) - len(good))


# TensorFlow Datasets.


def _load_tfds(part, split, image_shape, fit):
    import tensorflow_datasets as tfds  # pylint: disable=import-outside-toplevel
    dataset = specs.DATASETS.get(part.path_or_name) if part.source == "name" else None
    name = dataset.tfds_name if dataset else part.path_or_name
    _require_network_or_data(tfds, name)
    try:
        builder = tfds.builder(name)
    except (tfds.core.registered.DatasetNotFoundError, ValueError) as error:
        raise ValueError(f"TensorFlow Datasets has no data set {name!r}; see its catalogue for the name.") from error
    features = builder.info.features
    if "image" not in features:
        raise ValueError(f"The data set {name!r} has no feature 'image', it has {', '.join(features)}; choose another.")
    tfds_split = dataset.splits[specs.SPLITS.index(split)] if dataset else _tfds_split(builder, split)
    has_labels = hasattr(features.get("label"), "num_classes")
    count = builder.info.splits[tfds_split].num_examples if builder.info.splits else 0
    prepare = _prepare(part, image_shape, fit)
    if count * np.prod(image_shape) > MEMORY_LIMIT_BYTES and part.classes is None:
        return _tfds_records(tfds, name, tfds_split, part, has_labels, prepare, image_shape)
    return _tfds_in_memory(tfds, name, tfds_split, part, has_labels, prepare)


def _tfds_split(builder, split):
    """The official split of a set that DATASETS does not list; a tenth of 'train' where it has no other."""
    splits = list(builder.info.splits)
    if split == "train":
        return "train" if set(splits) & {"test", "validation"} else "train[:90%]"
    return next((s for s in ("test", "validation") if s in splits), "train[90%:]")


def _require_network_or_data(tfds, name):
    """Raises within seconds where a set would have to be downloaded and cannot be."""
    folder = os.path.join(os.path.expanduser(os.environ.get("TFDS_DATA_DIR", tfds.core.constants.DATA_DIR)),
                          name.split(":")[0])
    if os.path.isdir(folder) or _can_look_up(DOWNLOAD_HOST):
        return
    raise ValueError(f"The data set {name!r} is not prepared in {folder!r} and there is no network to download it; "
                     "prepare it on a machine with a network and copy that folder, or give --data_dir a folder "
                     f"with {name.split('/')[0]}.npz.")


def _can_look_up(host):
    """Whether the host's name can be looked up within LOOKUP_SECONDS."""
    found = []

    def look_up():
        try:
            found.append(socket.getaddrinfo(host, 443))
        except OSError:
            return
    thread = threading.Thread(target=look_up, daemon=True)
    thread.start()
    thread.join(LOOKUP_SECONDS)
    return bool(found)


def _tfds_in_memory(tfds, name, split, part, has_labels, prepare):
    # Each image is fitted as it is read: the raw images of a set together may be many times larger.
    dataset = tfds.load(name, split=split)
    if has_labels and part.classes is not None:
        classes = tf.constant(part.classes, tf.int64)
        dataset = dataset.filter(lambda example: tf.reduce_any(tf.equal(example["label"], classes)))
    elif part.classes is not None:
        _kept(part, None, 0)

    def pick(example):
        return prepare(example["image"]), example["label"] if has_labels else tf.constant(0, tf.int64)
    batches = list(dataset.map(pick, num_parallel_calls=tf.data.AUTOTUNE).batch(_FIT_CHUNK).as_numpy_iterator())
    if not batches:
        known = specs.format_classes(range(tfds.builder(name).info.features["label"].num_classes))
        raise ValueError(f"{part} chooses no image; the classes there are {known}.")
    labels = np.concatenate([b[1] for b in batches]) if has_labels else None
    return ArraySource(np.concatenate([b[0] for b in batches]), labels)


def _tfds_records(tfds, name, split, part, has_labels, prepare, image_shape):
    builder = tfds.builder(name, file_format="array_record")
    builder.download_and_prepare()
    skip = {"image": tfds.decode.SkipDecoding()}
    records = builder.as_data_source(split=split, decoders=skip)
    return RecordSource(records, np.arange(len(records)), None, f"{name}:{builder.version}:{split}",
                        prepare, image_shape)
