"""Identifies the running code, for the records of a run."""

import glob
import hashlib
import inspect
import os
import subprocess

VERSION = "0.1.0"


def code(cls=None):
    """A hash of the code of this package, or of the file that defines a class: 16 hexadecimal digits.

    It is '' for a class that no file defines.
    """
    if cls is None:
        folder = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        paths = sorted(glob.glob(os.path.join(glob.escape(folder), "**", "*.py"), recursive=True))
    else:
        try:
            paths = [inspect.getfile(cls)]
        except (OSError, TypeError):
            return ""
    digest = hashlib.sha256()
    for path in paths:
        with open(path, "rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]


def commit():
    """The commit of this checkout, with a + if files differ from it; None without git."""
    folder = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    try:
        ran = subprocess.run(
            ["git", "-C", folder, "describe", "--always", "--abbrev=12", "--dirty=+", "--exclude=*"],
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return ran.stdout.strip()
