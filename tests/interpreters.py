"""The unit tests and the programs on the other Pythons of this machine, each in an environment of its own.

python -m tests.interpreters          prints which there are
python -m tests.interpreters --run    runs `make test` on each and prints how it ended
"""

import glob
import os
import shutil
import subprocess
import sys

MINORS = (11, 12, 13)  # of Python 3, as pyproject.toml has them
TESTS = "-m 'not campaign'"


def found(minor):
    """Returns the path of a Python 3.`minor` that starts, on PATH or of pyenv, or None."""
    versions = os.path.join(os.environ.get("PYENV_ROOT", os.path.expanduser("~/.pyenv")), "versions")
    of_pyenv = glob.glob(os.path.join(glob.escape(versions), f"3.{minor}.*", "bin", "python"))
    for path in (shutil.which(f"python3.{minor}"), *sorted(of_pyenv)):
        # A shim of pyenv stands on PATH for versions too that are not switched on; then it fails.
        if (
            path
            and not subprocess.run([path, "-c", "import venv"], capture_output=True, check=False).returncode
        ):
            return path
    return None


def run_all():
    """Runs the tests on every Python but this one; returns the status."""
    lines, status = [], 0
    for minor in MINORS:
        if minor == sys.version_info.minor:
            continue
        if not (path := found(minor)):
            lines.append(f"Python 3.{minor}: none on this machine")
            continue
        settings = f"PYTHON={path}", f"VENV=.venv-3.{minor}", f"PYTEST_ARGS={TESTS}"
        failed = subprocess.call(["make", "test", *settings])
        status = status or failed
        lines.append(f"Python 3.{minor}: {'failed' if failed else 'passed'} ({path})")
    print("\n".join(lines))
    return status


if __name__ == "__main__":
    if sys.argv[1:] == ["--run"]:
        sys.exit(run_all())
    for each in MINORS:
        print(f"3.{each}:", found(each) or "none")
