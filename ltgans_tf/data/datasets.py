"""Loads the uint8 images of one part of a task spec.

`load` returns a source: an object with a length, labels, a fingerprint and `gather(indices)`, which runs inside
tf.data. Small sets are held in memory, already fitted to the wanted shape (ArraySource); large folders and large
sets stay on disk and are decoded on demand (FileSource, RecordSource).
"""

import dataclasses
import os
import socket
import threading

import numpy as np
import tensorflow as tf

from ltgans_tf.data import catalogue, folders, images, listing, npz_files, sources, specs
from ltgans_tf.files import paths

# A set of TensorFlow Datasets whose fitted images take more bytes than this is read from disk.
MEMORY_LIMIT_BYTES = 2 << 30
LOOKUP_SECONDS = 3.0
DOWNLOAD_HOST = "storage.googleapis.com"
_FIT_CHUNK = 1024


def load(
    part,
    split,
    image_shape,
    fit="crop",
    data_dir=None,
    skip_broken_images=False,
    upright=True,
    split_by="contents",
    handed=None,
):
    """Opens one split of one part of a task.

    Args:
        part: a specs.Part, or a text with one part.
        split: 'train' or 'test'.
        image_shape: (height, width, channels) of the wanted images.
        fit: 'crop', 'pad' or 'stretch'; see images.fit_image.
        data_dir: a folder, or None. Its file `<name>.npz` replaces a named set that is not built in; its folder
            `<name>` holds a set that is obtained by hand.
        skip_broken_images: whether to leave out and count the broken image files of a folder, instead of raising.
        upright: whether to apply the rotation that a camera noted in an image file.
        split_by: what determines the test split of a folder without subfolders for it; see `folders.Folder`.
        handed: {'memory:NAME': `memory.Handed`}, images that a program passed in.

    Returns:
        A source: `len(source)`; `source.gather(indices)`, int64 [n] to uint8 [n, *image_shape], in a graph;
        `source.labels`, int64 [len] or None; `source.factors`, {name: int64 or float64 [len]}, the other
        numeric arrays of an .npz; `source.fingerprint`, a text that changes with the images;
        `source.skipped`, the number of files left out.

    Raises:
        ValueError: with one sentence on what is missing or wrong and what to do.
    """
    if isinstance(part, str):
        part = specs.check(part, data_dir).parts[0]
    if split not in catalogue.SPLITS:
        raise ValueError(f"split must be 'train' or 'test', got {split!r}.")
    shape = tuple(image_shape)
    if part.source == "folder":
        return _load_folder(part, split, shape, fit, skip_broken_images, upright, split_by)
    if part.source == "memory":
        if str(part) not in (handed or {}):
            specs.check(str(part))
        return handed[str(part)].source(split, _prepare(part, shape, fit), shape)
    npz = part.path_or_name if part.source == "npz" else None
    if part.source == "name":
        npz = specs.npz_for_name(part.path_or_name, data_dir)
        if not npz and part.path_or_name not in catalogue.DATASETS:
            specs.check(str(part), data_dir)
        if not npz and catalogue.DATASETS[part.path_or_name].kind == "manual":
            folder = specs.folder_for_name(part.path_or_name, data_dir)
            if not folder:
                specs.check(str(part), data_dir)
            part = dataclasses.replace(part, source="folder", path_or_name=folder)
            return _load_folder(part, split, shape, fit, skip_broken_images, upright, split_by)
    if npz:
        raw, labels, factors = npz_files.read(paths.local(npz), split)
        return _array_source(part, raw, labels, shape, fit, factors)
    if part.source == "name" and catalogue.DATASETS[part.path_or_name].kind == "builtin":
        from ltgans_tf.data import builtin

        raw, labels = builtin.load(part.path_or_name, split)
        return _array_source(part, raw, labels, shape, fit, {})
    return _load_tfds(part, split, shape, fit, upright)


def missing(part, data_dir=None):
    """Returns which file or folder is missing to open a part, as a text; None if nothing seems to be missing.

    This does not check sets that come with a package or from TensorFlow Datasets; `load` does.
    """
    path = paths.local(part.path_or_name)
    if part.source == "npz" and not os.path.isfile(path):
        return path
    if part.source == "folder" and not os.path.isdir(path):
        return path
    if part.source == "folder" and not listing.scan(path, splits=False).files:
        return f"{path}{os.sep}*"
    if part.source != "name" or specs.npz_for_name(part.path_or_name, data_dir):
        return None
    if part.path_or_name not in catalogue.DATASETS:
        return f"{part.path_or_name}.npz (data_dir is {data_dir})"
    by_hand = catalogue.DATASETS[part.path_or_name].kind == "manual"
    if by_hand and not specs.folder_for_name(part.path_or_name, data_dir):
        return f"{part.path_or_name} (data_dir is {data_dir})"
    return None


def _prepare(part, image_shape, fit):
    """Returns the function from raw uint8 images to images of image_shape: channels, polarity, size."""

    def prepare(raw):
        raw = images.to_channels(raw, image_shape[-1])
        return images.fit_image(255 - raw if part.invert else raw, image_shape, fit)

    return prepare


def fitted_chunks(raw, places, prepare, image_shape):
    """Prepares the images of `raw` at `places`, int [m], about a thousand at a time: uint8 [m, *image_shape]."""
    fitted = np.empty((len(places),) + image_shape, np.uint8)
    with tf.device("/CPU:0"):
        for start in range(0, len(places), _FIT_CHUNK):
            chosen = places[start : start + _FIT_CHUNK]
            fitted[start : start + len(chosen)] = prepare(tf.constant(raw[chosen])).numpy()
    return fitted


def _array_source(part, raw, labels, image_shape, fit, factors):
    kept = _kept(part, labels, len(raw))
    try:
        fitted = fitted_chunks(raw, kept, _prepare(part, image_shape, fit), image_shape)
    except ValueError as error:
        raise ValueError(f"{part}: {error}") from error
    return sources.ArraySource(
        fitted,
        None if labels is None else labels[kept],
        factors={name: values[kept] for name, values in factors.items()},
    )


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


def _load_folder(part, split, image_shape, fit, skip_broken, upright, split_by):
    root = paths.local(part.path_or_name)
    specs.check(f"folder:{part.path_or_name}")
    folder = folders.Folder(root, split_by)
    kept = _kept(part, folder.labels, len(folder.names))
    own = kept[folder.is_test[kept] == (split == "test")]
    if not own.size:
        raise ValueError(
            f"The folder {root!r} has no image in its {split} split; "
            "add images, or give it subfolders 'train' and 'test'."
        )
    both = own if part.split else kept  # report broken files of the other split too
    good = folder.without_broken(own, skip_broken, both)
    source = sources.FileSource(
        root,
        [folder.names[i] for i in good],
        [folder.keys[i] for i in good],
        None if folder.labels is None else folder.labels[good],
        _prepare(part, image_shape, fit),
        image_shape,
        upright,
        len(own) - len(good),
    )
    if len(source) > folders.IN_MEMORY_FILES:
        return source
    try:
        return folders.into_memory(source)
    except ValueError:
        folder.raise_broken(both)
        raise


def _load_tfds(part, split, image_shape, fit, upright):
    import tensorflow_datasets as tfds  # pylint: disable=import-outside-toplevel

    dataset = catalogue.DATASETS.get(part.path_or_name) if part.source == "name" else None
    name = dataset.tfds_name if dataset else part.path_or_name
    _require_network_or_data(tfds, name)
    try:
        builder = tfds.builder(name)
    except (tfds.core.registered.DatasetNotFoundError, ValueError) as error:
        raise ValueError(
            f"TensorFlow Datasets has no data set {name!r}; see its catalogue for the name."
        ) from error
    features = builder.info.features
    if "image" not in features:
        raise ValueError(
            f"The data set {name!r} has no feature 'image', it has {', '.join(features)}; choose another."
        )
    tfds_split = dataset.splits[catalogue.SPLITS.index(split)] if dataset else _tfds_split(builder, split)
    has_labels = "label" in features and hasattr(features["label"], "num_classes")
    prepare = _prepare(part, image_shape, fit)
    if _num_images(dataset, builder, split, tfds_split) * np.prod(image_shape) > MEMORY_LIMIT_BYTES:
        return _tfds_records(tfds, name, tfds_split, part, has_labels, prepare, image_shape, upright)
    return _tfds_in_memory(tfds, name, tfds_split, part, has_labels, prepare)


def _tfds_split(builder, split):
    """Returns the official split of a set that DATASETS does not list; if it has only 'train', a tenth is for tests."""
    splits = list(builder.info.splits)
    if split == "train":
        return "train" if set(splits) & {"test", "validation"} else "train[:90%]"
    return next((s for s in ("test", "validation") if s in splits), "train[90%:]")


def _num_images(dataset, builder, split, tfds_split):
    """Returns how many images a split has; 0 if that is unknown before the set is prepared."""
    if dataset:
        return dataset.num_train if split == "train" else dataset.num_test
    return builder.info.splits[tfds_split].num_examples if builder.info.splits else 0


def _require_network_or_data(tfds, name):
    """Raises a ValueError within seconds if a set is not prepared and cannot be downloaded."""
    folder = os.path.join(
        paths.local(os.environ.get("TFDS_DATA_DIR", tfds.core.constants.DATA_DIR)), name.split(":")[0]
    )
    if os.path.isdir(folder) or _can_look_up(DOWNLOAD_HOST):
        return
    raise ValueError(
        f"The data set {name!r} is not prepared in {folder!r} and there is no network to download it; "
        "prepare it on a machine with a network and copy that folder, or give --data_dir a folder "
        f"with {name.split('/')[0]}.npz."
    )


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
    # Each image is fitted as it is read, because all raw images together may be many times larger.
    dataset = tfds.load(name, split=split)
    if has_labels and part.classes is not None:
        classes = tf.constant(part.classes, tf.int64)
        dataset = dataset.filter(lambda example: tf.reduce_any(tf.equal(example["label"], classes)))
    elif part.classes is not None:
        _kept(part, None, 0)

    def pick(example):
        return prepare(example["image"]), example["label"] if has_labels else tf.constant(0, tf.int64)

    batches = list(
        dataset.map(pick, num_parallel_calls=tf.data.AUTOTUNE).batch(_FIT_CHUNK).as_numpy_iterator()
    )
    if not batches:
        known = specs.format_classes(range(tfds.builder(name).info.features["label"].num_classes))
        raise ValueError(f"{part} chooses no image; the classes there are {known}.")
    labels = np.concatenate([b[1] for b in batches]) if has_labels else None
    return sources.ArraySource(np.concatenate([b[0] for b in batches]), labels)


def _tfds_records(tfds, name, split, part, has_labels, prepare, image_shape, upright):
    try:
        builder = tfds.builder(name, file_format="array_record")
        builder.download_and_prepare()
    except ValueError as error:
        raise ValueError(
            f"{name!r} is larger than {MEMORY_LIMIT_BYTES >> 20} MiB and so is read in random order from "
            "disk, which needs the format array_record; prepare it anew with "
            f"'tfds build {name} --file_format=array_record' or convert it with 'tfds convert_format' "
            f"(TensorFlow Datasets says: {error})."
        ) from error
    records = builder.as_data_source(split=split, decoders={"image": tfds.decode.SkipDecoding()})
    labels = None
    if has_labels:
        labels = np.fromiter((records[i]["label"] for i in range(len(records))), np.int64, len(records))
    kept = _kept(part, labels, len(records))
    return sources.RecordSource(
        records,
        kept,
        None if labels is None else labels[kept],
        f"{name}:{builder.version}:{split}",
        prepare,
        image_shape,
        upright,
    )
