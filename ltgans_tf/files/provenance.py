"""Where the running code comes from, for records that have to be read later."""

import glob
import hashlib
import inspect
import os
import subprocess

VERSION = "0.1.0"


def code(cls=None):
    """A hash of the code of this package, or of the file that a class is defined in: 16 hexadecimal digits.

    '' for a class that is in no file.
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
    """The commit of this checkout, with a + where files differ from it; None without git."""
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
