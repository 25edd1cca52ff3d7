"""Writes files and folders so that a crash leaves the old one or the new one, never a part."""

import contextlib
import json
import os


@contextlib.contextmanager
def writing(path, staging=None):
    """Opens a new file that replaces `path` once it is written and synced to the disk.

    Args:
        path: the file's final name; its folder is made if it does not exist.
        staging: the file's name while it is written, in the same folder; None for `<path>.tmp`.

    Yields:
        a binary file.

    Raises:
        OSError: writing failed; `staging` is removed, and `path` is unchanged unless only the sync of its folder failed.
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
    """Writes a text file in UTF-8; see `writing`."""
    with writing(path) as file:
        file.write(text.encode())


def write_json(path, value):
    """Writes a JSON file; see `writing`."""
    write_text(path, json.dumps(value, indent=1) + "\n")


def publish(staging, path):
    """Syncs a staged file, or a folder and everything in it, and then renames it to `path` in the same folder.

    Raises:
        OSError: the disk failed, or `path` is a folder that is not empty; `staging` stays.
    """
    if os.path.isfile(staging):
        sync(staging)
    for folder, _, names in os.walk(staging, topdown=False):
        for each in [*(os.path.join(folder, name) for name in names), folder]:
            sync(each)
    os.rename(staging, path)
    sync(os.path.dirname(path) or ".")


def sync(path):
    """Waits until the content of a file, or the list of names in a folder, is on the disk (fsync)."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
