"""Reads JSON files that may be damaged, or that a newer version of this package may have written."""

import json
import os


class Damaged(ValueError):
    """A file does not hold what was written to it."""


def read_object(path, newest=None, oldest=1, **fields):
    """Reads a file that holds a JSON object.

    Args:
        path: the file.
        newest: the newest format version that the caller reads; None for a file without a version. A file
            that has no 'format_version' counts as version 1.
        oldest: the oldest format version that the caller reads.
        **fields: the type that each value must have, such as stream=dict.

    Returns:
        dict.

    Raises:
        Damaged: the file holds no JSON object, or a field is missing or of another type.
        ValueError: the file's format version is unknown.
        OSError: the file cannot be read.
    """
    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
    except (ValueError, RecursionError) as error:
        raise damaged(path, error) from error
    if not isinstance(found, dict):
        raise damaged(path, f"it holds a {type(found).__name__}")
    if newest is not None:
        check_version(found.get("format_version", 1), newest, path, oldest)
    for name, kind in fields.items():
        if not isinstance(found.get(name), kind):
            raise damaged(path, f"it has no {name} of type {kind.__name__}")
    return found


def read_if_there(path, newest=None, **fields):
    """Reads a JSON object as `read_object` does; {} if there is no such file."""
    return read_object(path, newest, **fields) if os.path.isfile(path) else {}


def check_version(version, newest, path, oldest=1):
    """Raises a ValueError if the format version of `path` is not a whole number from `oldest` to `newest`."""
    if not isinstance(version, int) or not oldest <= version <= newest:
        raise other_version(path, version, newest if oldest == newest else f"up to {newest}")


def other_version(path, version, read):
    """Returns the exception for a file whose format version is not among those that the text `read` names."""
    return ValueError(
        f"{path} has format version {version}, this ltgans_tf reads {read}; use the ltgans_tf that wrote it."
    )


def damaged(path, reason):
    """Returns the exception for a damaged file; its message gives the reason and the remedy."""
    return Damaged(f"{path} is damaged ({reason}); restore it from a backup.")
