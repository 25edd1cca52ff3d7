"""Where the running code comes from, for records that have to be read later."""

import os
import subprocess

VERSION = "0.1.0"


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
