"""Paths as people write them, made into paths of this machine; and the endings of the files to write."""

import os
import re

# What no line of a settings file can hold: control characters, line ends, bytes of a name that are no UTF-8.
UNWRITABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
# gs://, s3://, https:// and the like, also after pathlib has made one slash of two.
_ELSEWHERE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")
# Endings that name a kind of file: nobody means a folder by photo.jpg.
_FILES = tuple(
    ".png .jpg .jpeg .gif .webp .bmp .tif .tiff .avif .heic .npz .npy .json .html .htm .pdf .svg .zip .tar .gz .tgz"
    " .csv .txt .h5 .pb .keras".split()
)


def local(path):
    """The path that the file system is asked for.

    Args:
      path: str, bytes or os.PathLike; `~` and `~name` at its beginning stand for home folders.

    Returns:
      str.

    Raises:
      ValueError: it is empty, has characters that settings files cannot hold, begins with `~/` where the
        user has no home folder, or names a bucket or an address.
    """
    text = os.fsdecode(path)
    if not text:
        raise ValueError("the path is empty; name a file or a folder.")
    if UNWRITABLE.search(text):
        raise ValueError(
            f"the path {text!r} has characters that settings files cannot hold in a line; rename the file or"
            " folder, or give a link to it."
        )
    if _ELSEWHERE.match(text):
        raise ValueError(
            f"{text} is not on this machine, and this package reads and writes local files alone; copy it to a"
            " local folder, or mount it and give the path there."
        )
    expanded = os.path.expanduser(text)
    if expanded == text and (text + "/").startswith("~/"):
        raise ValueError(f"{text}: this user has no home folder (HOME is not set); give the whole path.")
    return expanded


def tidy(path):
    """A path without doubled and trailing slashes and `.` parts: './cats//' -> 'cats'; `~` and `..` stay."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    found = "/" * path.startswith("/") + "/".join(parts) or "."
    return f"./{found}" if found.startswith("~") != path.startswith("~") or _ELSEWHERE.match(found) else found


def ending(path, allowed, folder=False):
    """Which of the allowed endings the name of a file to write has, whatever its case.

    Args:
      path: the file.
      allowed: tuple of endings in lower case, such as ('.png', '.npz').
      folder: whether it may also be a folder: a name without an ending of files.

    Returns:
      one of `allowed`, or '' for a folder.

    Raises:
      ValueError: another ending.
    """
    lower = path.lower()
    for each in allowed:
        if lower.endswith(each):
            return each
    if folder and not lower.endswith(_FILES):
        return ""
    wanted = [f"end in {' or '.join(allowed)}"] * bool(allowed) + ["name a folder"] * folder
    raise ValueError(f"--out is {path}; it must {', or '.join(wanted)}.")


def numbered(folder):
    """The numbers that name folders or files in `folder`, ascending: list of int, [] where it is not there.

    Only names as `str` writes a number count: neither '007' nor '\N{SUPERSCRIPT TWO}'.
    """
    names = os.listdir(folder) if os.path.isdir(folder) else []
    return sorted(int(name) for name in names if re.fullmatch(r"0|[1-9][0-9]{0,17}", name))
