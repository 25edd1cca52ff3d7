"""Reads the images, labels and factors of an .npz file, which may be damaged or hostile."""

import functools
import lzma
import os
import re
import tokenize
import zipfile
import zlib

import numpy as np

# An .npz member that is larger than this and compressed by more than this ratio is no set of images.
_BOMB_BYTES, _BOMB_RATIO = 1 << 28, 100
# Exceptions of numpy and zipfile for damaged or malicious files: NotImplementedError and RuntimeError for unknown
# kinds of zip, those after them for headers of arrays.
_UNREADABLE = (
    *(OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, zlib.error, lzma.LZMAError),
    *(NotImplementedError, RuntimeError, OverflowError, SyntaxError, TypeError, MemoryError),
    tokenize.TokenError,
)


def read(path, split):
    """Reads one split of a file; keeps the last four results in memory.

    Args:
        path: the file.
        split: 'train' or 'test'.

    Returns:
        (images, labels, factors): uint8 [n, h, w, c]; int64 [n] or None; {name: int64 or float64 [n]}, the other
        numeric arrays.

    Raises:
        ValueError: the file is damaged, or has no images of the split.
    """
    info = os.stat(path)
    return _read(path, split, (info.st_mtime_ns, info.st_size))


@functools.lru_cache(maxsize=4)
def _read(path, split, stamp):
    """Reads one split; `stamp` (time and size of the file) makes the cache notice a changed file."""
    del stamp
    try:
        with zipfile.ZipFile(path):
            file = np.load(path, allow_pickle=False)
        with file:
            _refuse_bombs(path, file.zip)
            arrays = {
                name: file[name] for name in (f"{split}_images", f"{split}_labels") if name in file.files
            }
            present = ", ".join(file.files)
            factors = _read_factors(file, split, np.shape(arrays.get(f"{split}_images", 0))[:1])
    except _UNREADABLE as error:
        raise ValueError(f"{path} cannot be read as .npz ({error}); save it with numpy.savez.") from error
    if f"{split}_images" not in arrays:
        raise ValueError(
            f"{path} has no array '{split}_images', it has {present}; "
            "save uint8 'train_images' and 'test_images'."
        )
    raw, labels = checked_arrays(
        f"of {path}", arrays[f"{split}_images"], arrays.get(f"{split}_labels"), f"{split}_"
    )
    return raw, labels, factors


def _refuse_bombs(path, archive):
    """Raises a ValueError if a member would unpack to over half the memory, or by a ratio that images never reach."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for info in archive.infolist():
        packed = max(info.compress_size, 1)
        if info.file_size > memory // 2 or (
            info.file_size > _BOMB_BYTES and info.file_size > _BOMB_RATIO * packed
        ):
            raise ValueError(f"its {info.filename} of {packed} bytes unpacks to {info.file_size}")


def _read_factors(file, split, count):
    """Returns the other arrays of a split, tables by column: {name: int64 or float64 [n]} with `count` = (n,)."""
    factors = {}
    for member in file.zip.namelist():
        match = re.fullmatch(rf"{split}_(.+)\.npy", member)
        if not match or match.group(1) in ("images", "labels") or not _is_factor(file, member, count):
            continue
        values = file[member]
        values = values.astype(np.float64 if values.dtype.kind == "f" else np.int64)
        columns = values.T if values.ndim == 2 else values[np.newaxis]
        for i, column in enumerate(columns):
            factors[match.group(1) + (f".{i}" if len(columns) > 1 else "")] = column
    return factors


def _is_factor(file, member, count):
    """Whether an array is [n] or [n, m] of real numbers; reads only its header, since the array may be large."""
    with file.zip.open(member) as data:
        if np.lib.format.read_magic(data) != (1, 0):
            return False  # later versions are for arrays of records
        shape, _, dtype = np.lib.format.read_array_header_1_0(data)
    return len(shape) in (1, 2) and shape[:1] == count and dtype.kind in "iufb"


def checked_arrays(of, raw, labels=None, part=""):
    """Returns (uint8 [n, h, w, c], int64 [n] or None), or raises a ValueError that is worded with `part` and `of`."""
    if raw.ndim == 3:
        raw = raw[..., np.newaxis]
    if raw.dtype != np.uint8 or raw.ndim != 4 or raw.shape[-1] not in (1, 3, 4) or not len(raw):
        floats = (
            "; of images in [0, 1] make (255 * images).round().astype('uint8')"
            if raw.dtype.kind == "f"
            else ""
        )
        raise ValueError(
            f"{part}images {of} must be uint8 [n, h, w] or [n, h, w, c] with 1, 3 or 4 channels "
            f"and n > 0, got {raw.dtype} {list(raw.shape)}{floats}."
        )
    if labels is not None:
        labels = labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels
        if labels.shape != (len(raw),) or labels.dtype.kind not in "iu":
            raise ValueError(
                f"{part}labels {of} must be {len(raw)} integers, got {labels.dtype} {list(labels.shape)}."
            )
        labels = labels.astype(np.int64)
    return raw, labels
