"""The user's cache of files that can be made again: the folder ltgans_tf in $XDG_CACHE_HOME or in ~/.cache."""

import logging
import os

from ltgans_tf.files import paths

_log = logging.getLogger(__name__)


def folder():
    """Returns the cache folder, which need not exist; None, with a warning, if there is no place for it."""
    try:
        return os.path.join(paths.local(os.environ.get("XDG_CACHE_HOME") or "~/.cache"), "ltgans_tf")
    except ValueError as error:
        _log.warning("There is no cache: %s", error)
        return None


def read(path, load, what):
    """Reads a file of the cache.

    Args:
      path: the file.
      load: called with the path; it may raise a ValueError.
      what: name, for warnings, of what has to be made again without the file.

    Returns:
      what `load` returns; None if the file is missing or, with a warning, cannot be used.
    """
    try:
        owner = os.stat(path).st_uid
    except FileNotFoundError:
        return None
    except OSError as error:
        _log.warning("The cache cannot be read: %s; %s is made again.", error, what)
        return None
    if owner not in (0, os.getuid()):
        _log.warning("%s in the cache is another user's; %s is made again.", path, what)
        return None
    try:
        return load(path)
    except ValueError as error:
        _log.warning("A cached file cannot be used: %s; %s is made again.", str(error).rstrip("."), what)
        return None


def keep(path, save, what):
    """Calls `save(path)`; if that raises an OSError, logs a warning that names `what` instead."""
    try:
        save(path)
    except OSError as error:
        _log.warning("%s could not be kept in the cache: %s.", what.capitalize(), error)
