"""Folders of image files: which files belong to a split, their classes, and which are broken."""

import itertools
import os
import zlib
from concurrent import futures

import numpy as np

from ltgans_tf.data import sources, specs

# A folder with more files than this is decoded as it is read, not when it is opened.
IN_MEMORY_FILES = 5_000
_PORTION = 64  # files that a thread looks at in one go


def list_files(root, split):
    """Lists the image files of a split, sorted, and their labels (the index of the class subfolder)."""
    entries = {e for e in os.listdir(root) if os.path.isdir(os.path.join(root, e))}
    own_folders = set(specs.SPLITS) <= entries
    prefix = os.path.join(root, "")
    names = sorted(path.removeprefix(prefix) for path in specs.image_files(root))
    names = [n for n in names if not own_folders or n.startswith(split + os.sep)]
    classes = _class_names(root, own_folders)
    if not own_folders:
        names = [n for n in names if (is_test(n) == (split == "test"))]
    depth = 1 if own_folders else 0
    if not classes or any(n.count(os.sep) <= depth for n in names):
        return names, None  # images beside the subfolders, so these are no classes
    index = {c: i for i, c in enumerate(classes)}
    return names, np.array([index[n.split(os.sep)[depth]] for n in names], np.int64)


def _class_names(root, own_folders):
    """Names of the class subfolders (of train and test together), in order."""
    bases = [os.path.join(root, s) for s in specs.SPLITS] if own_folders else [root]
    return sorted(
        {e.name for base in bases for e in os.scandir(base) if e.is_dir() and not e.name.startswith(".")}
    )


def is_test(name):
    """A tenth of a folder's images, chosen by their relative path, so that it stays when files are added."""
    return zlib.crc32(os.fsencode(name.replace(os.sep, "/"))) % 10 == 0


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


def without_broken(root, names, labels, skip_broken):
    """Finds the broken files of a folder.

    Without skip_broken only files that look broken are decoded, so that a large folder opens quickly; damage
    in the middle of a file is then met, and the file named, when it is read. With skip_broken every file is.

    Returns:
        The names and the labels of the others, and the number of broken files.

    Raises:
        ValueError: naming the first broken file, unless skip_broken.
    """

    def is_broken(name):
        path = os.path.join(root, name)
        if not skip_broken and _looks_whole(path):
            return False
        try:
            sources.decode_file(path)
        except ValueError:
            if not skip_broken:
                raise
            return True
        return False

    # A future for each file would cost as much as the look at it.
    portions = [names[i : i + _PORTION] for i in range(0, len(names), _PORTION)]
    with futures.ThreadPoolExecutor(_threads()) as pool:
        found = pool.map(lambda portion: [is_broken(name) for name in portion], portions)
        good = [i for i, broken in enumerate(itertools.chain.from_iterable(found)) if not broken]
    if not good:
        raise ValueError(f"Every image of the folder {root!r} is broken; put readable images there.")
    return [names[i] for i in good], None if labels is None else labels[good], len(names) - len(good)


def into_memory(source):
    """Decodes a small folder once, in parallel; returns a sources.ArraySource."""
    return sources.ArraySource(
        sources.images_of(source, np.arange(len(source))), source.labels, source.skipped
    )


def _threads():
    return max(2, os.cpu_count() or 2)
