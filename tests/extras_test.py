"""The tests of what needs packages beyond requirements.txt, each in the environment that `make` sets up for it.

An environment takes minutes and 3 GB, so these are campaigns: they run where their files have changed.
"""

import os
import subprocess
import sys
import warnings

import pytest
import source_imports

ROOT = source_imports.ROOT
pytestmark = pytest.mark.timeout(3000)


def _run(*command):
    """Runs a command in the checkout as a person does: without what pytest and make set for their children."""
    ours = ("PYTEST_", "MAKE", "MFLAGS", "XDG_CACHE_HOME")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def _make(*words):
    """Calls make; skips the test where that fails and pip reaches no packages at all."""
    done = _run("make", f"PYTHON={sys.executable}", *words)
    if done.returncode:
        asked = "--dry-run", "--ignore-installed", "--no-deps", "--retries=0", "absl-py"
        if _run(sys.executable, "-m", "pip", "install", *asked).returncode:
            pytest.skip(f"pip reaches no package index, which make {' '.join(words)} needs")
    assert not done.returncode, done.stdout[-4000:] + done.stderr[-4000:]


@pytest.mark.parametrize(
    "name, files",
    [
        pytest.param(name, files.split(), id=name, marks=pytest.mark.campaign(name))
        for name, files in {
            "exits": "tests/export/plain_networks_test.py tests/trainers/export_files_test.py"
            " tests/trainers/tracking_test.py",
            "explore": "tests/trainers/explore_test.py tests/trainers/explored_test.py",
            "notebook": "tests/notebook_test.py",
        }.items()
    ],
)
def test_files_that_need_an_extra_pass_with_it(name, files):
    python = f".venv-{name}/bin/python"
    _make(f"VENV=.venv-{name}", f"REQUIREMENTS=requirements-{name}.txt", f".venv-{name}/bin/ltgans")
    done = _run(python, "-m", "pytest", "-m", "", "-rs", "-p", "no:cacheprovider", *files)
    assert not done.returncode, done.stdout + done.stderr
    skipped = [line for line in done.stdout.splitlines() if line.startswith("SKIPPED")]
    assert "requirements-" not in "".join(skipped), skipped  # what the environment is for is in it
    for line in skipped:
        warnings.warn(line, stacklevel=1)


@pytest.mark.campaign("docs")
def test_the_site_is_built_without_a_broken_link():
    _make("docs")
