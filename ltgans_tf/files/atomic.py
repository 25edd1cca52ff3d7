"""Files that are there in full or not at all, whenever the machine stops."""

import contextlib
import os


@contextlib.contextmanager
def writing(path, staging=None):
    """Opens a file that takes the place of another one once it is written and synced.

    Args:
        path: what it will be called; its folder is made where it is not there.
        staging: what it is called until then; None for `<path>.tmp`.

    Yields:
        a binary file.

    Raises:
        OSError: it could not be written; what was there before is as it was.
    """
    folder = os.path.dirname(path) or "."
    os.makedirs(folder, exist_ok=True)
    staging = staging or f"{path}.tmp"
    try:
        with open(staging, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.rename(staging, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.remove(staging)
        raise
    sync(folder)


def write_text(path, text):
    """Writes a text file in UTF-8: see `writing`."""
    with writing(path) as file:
        file.write(text.encode())


def sync(path):
    """Has the disk hold a file, or the names in a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
