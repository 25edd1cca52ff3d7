"""Writes and reads .npz files of arrays and a JSON description, without pickle."""

import json
import zipfile

import numpy as np

from ltgans_tf.files import atomic, jsonfiles

_WRONG = (OSError, ValueError, KeyError, TypeError, EOFError, RecursionError, zipfile.BadZipFile)


def write(path, version, description, arrays, staging=None):
    """Writes a file atomically.

    Args:
      path: the file's name.
      version: the file's format version, an int.
      description: JSON-ready dict.
      arrays: {name: array}.
      staging: see `atomic.writing`.
    """
    with atomic.writing(path, staging) as file:
        text = json.dumps({"format_version": version, **description})
        np.savez(file, description=text, **arrays)


def read(path, version, made):
    """Reads a file and returns `made(description, arrays)`, which may raise a ValueError, KeyError or TypeError.

    Raises:
      jsonfiles.Damaged: the file cannot be read, or its content is damaged; `__cause__` tells how.
      ValueError: the file has another format version.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            description = json.loads(str(file["description"]))
            arrays = {name: file[name] for name in file.files if name != "description"}
        found = description["format_version"]
        if found == version:
            return made(description, arrays)
    except _WRONG as error:
        raise jsonfiles.damaged(path, error) from error
    raise jsonfiles.other_version(path, found, version)
