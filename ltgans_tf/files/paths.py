"""Checks and expands paths that users give, and checks the endings of files to write."""

import os
import re

# No line of a settings file can hold these: control characters, line ends, bytes that are not UTF-8.
UNWRITABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
# gs://, s3://, https:// and the like; one slash is enough, because pathlib reduces the two to one.
_ELSEWHERE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")
# Endings that mark a path as a file: photo.jpg is never meant as a folder.
_FILES = tuple(
    ".png .jpg .jpeg .gif .webp .bmp .tif .tiff .avif .heic .npz .npy .json .html .htm .pdf .svg .zip .tar .gz .tgz"
    " .csv .txt .h5 .pb .keras .onnx .tflite".split()
)


def local(path):
    """Expands and checks a path on this machine.

    Args:
      path: str, bytes or os.PathLike; `~` and `~name` at its beginning stand for home folders.

    Returns:
      str.

    Raises:
      ValueError: the path is empty, has characters that settings files cannot hold, begins with `~/` although
        the user has no home folder, or is the address of a bucket or a web page.
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
            f"{text} is not on this machine, and this package reads and writes only local files; copy it to a"
            " local folder, or mount it and give the path there."
        )
    expanded = os.path.expanduser(text)
    if expanded == text and (text + "/").startswith("~/"):
        raise ValueError(f"{text}: this user has no home folder (HOME is not set); give the whole path.")
    return expanded


def tidy(path):
    """Removes doubled and trailing slashes and `.` parts: './cats//' -> 'cats'; `~` and `..` stay."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    found = "/" * path.startswith("/") + "/".join(parts) or "."
    return f"./{found}" if found.startswith("~") != path.startswith("~") or _ELSEWHERE.match(found) else found


def ending(path, allowed, folder=False):
    """Returns the ending of a file to write, and checks that it is allowed.

    Args:
      path: the file; its ending may be in upper case.
      allowed: tuple of endings in lower case, such as ('.png', '.npz').
      folder: whether `path` may also name a folder, that is, have none of the known endings of files.

    Returns:
      one of `allowed`, or '' for a folder.

    Raises:
      ValueError: the ending is not allowed.
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
    """Returns the names in `folder` that are numbers, ascending: list of int, [] if there is no such folder.

    Skips names that `str(int)` would not write, such as '007' and '\N{SUPERSCRIPT TWO}'.
    """
    names = os.listdir(folder) if os.path.isdir(folder) else []
    return sorted(int(name) for name in names if re.fullmatch(r"0|[1-9][0-9]{0,17}", name))
