"""Identifies the running code, for the records of a run."""

import glob
import hashlib
import inspect
import os
import subprocess

VERSION = "0.1.0"
_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# Folders of the programs in an installed wheel; a checkout has them beside the library.
_PROGRAMS = tuple(os.path.join(_PACKAGE, name, "") for name in ("trainers", "export"))


def code(cls=None):
    """Returns a hash of the library's code, or of the file that defines a class: 16 hexadecimal digits.

    Returns '' for a class that no file defines.
    """
    if cls is None:
        paths = sorted(glob.glob(os.path.join(glob.escape(_PACKAGE), "**", "*.py"), recursive=True))
        paths = [path for path in paths if not path.startswith(_PROGRAMS)]
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
    """Returns the commit of this checkout, with a + if files differ from it; None without git or a checkout."""
    if os.path.isdir(_PROGRAMS[0]):
        return None  # the package is installed; a git repository around it is unrelated
    try:
        ran = subprocess.run(
            ["git", "-C", _PACKAGE, "describe", "--always", "--abbrev=12", "--dirty=+", "--exclude=*"],
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return ran.stdout.strip()
