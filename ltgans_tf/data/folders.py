"""Folders of image files: which files belong to a split, their classes, and which are broken."""

import hashlib
import itertools
import os
import zlib
from concurrent import futures

import numpy as np

from ltgans_tf.data import listing, sources

SPLIT_BY = ("contents", "path")
# A folder with more files than this is decoded as it is read, not when it is opened.
IN_MEMORY_FILES = 5_000
_PORTION = 64  # files that a thread looks at in one go
_END = 1 << 16  # bytes at each end of a file that its key covers


class Folder:
    """The images of a folder, both splits, none of them decoded yet.

    Attributes:
        root: the folder.
        names: names of the images relative to the folder, sorted.
        labels: int64 [n], the index of each image's class subfolder in the sorted list of the class subfolders of
            both splits; None if there are no subfolders, or images lie beside them, so that they are no classes.
        is_test: bool [n], which images are in the test split.
        keys: for each image a text that depends only on its contents; see `key_of`.
    """

    def __init__(self, root, split_by="contents"):
        """Lists the folder and reads both ends of each file.

        Args:
            root: path of a folder.
            split_by: what selects the tenth of the images that is the test split, in a folder without subfolders for
                its splits. With 'contents' (of a file) the split stays the same when files are added or files and
                folders are renamed, and copies of an image share a split. 'path' is the rule of earlier versions.

        Raises:
            ValueError: see `listing.scan`; or a file cannot be read.
        """
        found = listing.scan(root)
        self.root, self.names = root, list(found.files)
        self.labels = _labels(found)
        looked = _in_threads(lambda name: look(os.path.join(root, name)), self.names)
        self.keys = [key for key, _ in looked]
        self._whole = [whole for _, whole in looked]
        if found.splits:
            tests = (name.startswith(f"{found.splits['test']}{os.sep}") for name in self.names)
        elif split_by == "path":
            tests = map(is_test_path, self.names)
        else:
            tests = map(is_test_key, self.keys)
        self.is_test = np.fromiter(tests, bool, len(self.names))

    def without_broken(self, chosen, skip_broken, both=None):
        """Leaves out broken files, or raises an error that names them.

        Without `skip_broken` this decodes only files that look broken, so that a large folder opens quickly. An
        error then reports damage in the middle of a file when that file is read. With `skip_broken` this decodes
        every file.

        Args:
            chosen: int [n], indices of the wanted images.
            skip_broken: whether to leave out broken images.
            both: int [m], indices of the images of both splits, to be checked instead of `chosen` so that one
                message names all broken files; None for `chosen`.

        Returns:
            The indices of `chosen` that are not known to be broken.

        Raises:
            ValueError: naming the broken files, unless skip_broken; or if all are broken.
        """
        if not skip_broken:
            looked = chosen if both is None else both
            self.raise_broken([i for i in looked if not self._whole[i]])
            return chosen
        reasons = _in_threads(self._damage, chosen)
        good = np.array([i for i, reason in zip(chosen, reasons) if not reason], np.int64)
        if not good.size:
            raise ValueError(f"Every image of the folder {self.root!r} is broken; put readable images there.")
        return good

    def raise_broken(self, places):
        """Decodes the images at `places`; raises one ValueError that names all broken ones."""
        reasons = _in_threads(self._damage, places)
        found = [(self.path(i), reason) for i, reason in zip(places, reasons) if reason]
        if found:
            raise ValueError(sources.broken(found))

    def path(self, place):
        return os.path.join(self.root, self.names[place])

    def _damage(self, place):
        return sources.damage(self.path(place))


def _labels(found):
    """Returns each image's index among the class subfolders of both splits, int64 [n]; None if these are no classes."""
    tops = [f"{folder}{os.sep}" for folder in found.splits.values()] if found.splits else [""]
    inside = [name.removeprefix(top) for top in tops for name in found.folders if name.startswith(top)]
    index = {name: i for i, name in enumerate(sorted({name for name in inside if os.sep not in name}))}
    depth = 1 if found.splits else 0
    if not index or any(name.count(os.sep) <= depth for name in found.files):
        return None
    return np.array([index[name.split(os.sep)[depth]] for name in found.files], np.int64)


def is_test_path(name):
    """Whether an image is in the tenth for tests, decided by its path relative to the folder."""
    return zlib.crc32(os.fsencode(name.replace(os.sep, "/"))) % 10 == 0


def is_test_key(key):
    """Whether an image is in the tenth for tests, decided by its `key_of`."""
    return int(key, 16) % 10 == 0


def key_of(size, head, tail):
    """Returns a key that identifies the contents of a file: 32 hexadecimal digits.

    Args:
        size: bytes of the file.
        head, tail: its first and its last 64 KiB. The bytes between them in a larger file are ignored.
    """
    return hashlib.blake2b(b"%d " % size + head + tail, digest_size=16).hexdigest()


def look(path):
    """Reads both ends of an image file; returns (its key, whether it looks whole), False for most broken files."""
    try:
        with open(path, "rb") as file:
            head = file.read(_END)
            size = file.seek(0, os.SEEK_END)
            file.seek(max(size - _END, len(head)))
            tail = file.read()
    except OSError as error:
        raise ValueError(
            f"{path} cannot be read ({error.strerror}); make it readable, or move it away."
        ) from error
    return key_of(size, head, tail), _looks_whole(size, head, tail or head)


_ENDS = {b"\x89PNG": b"IEND\xaeB`\x82", b"\xff\xd8\xff": b"\xff\xd9", b"GIF8": b";"}


def _looks_whole(size, head, tail):
    """Whether a file ends like a whole one; False for TIFF and BMP, which have to be decoded to tell."""
    if head[:4] == b"RIFF":
        return head[8:12] == b"WEBP" and int.from_bytes(head[4:8], "little") + 8 <= size
    if head[4:8] == b"ftyp":
        return _boxes_end(head) == size
    tail = tail[-16:].rstrip(b"\0")
    return any(head.startswith(magic) and tail.endswith(end) for magic, end in _ENDS.items())


def _boxes_end(head):
    """Returns where the boxes of an AVIF file end, as far as its first bytes tell."""
    place = 0
    while place + 8 <= len(head) and (length := int.from_bytes(head[place : place + 4], "big")) >= 8:
        place += length
    return place


def into_memory(source):
    """Decodes a small folder once, in parallel; returns a sources.ArraySource."""
    return sources.ArraySource(
        sources.images_of(source, np.arange(len(source))), source.labels, source.skipped
    )


def _in_threads(function, items):
    """Returns [function(item) for each item], by threads; one future per file would cost as much as the call."""
    portions = [items[i : i + _PORTION] for i in range(0, len(items), _PORTION)]
    with futures.ThreadPoolExecutor(max(2, os.cpu_count() or 2)) as pool:
        found = pool.map(lambda portion: [function(item) for item in portion], portions)
        return list(itertools.chain.from_iterable(found))
