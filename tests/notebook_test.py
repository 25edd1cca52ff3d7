"""docs/notebook.md: its code runs with fewer steps, and, where jupytext is installed, the notebook as it stands."""

import importlib.util
import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from tests import source_imports

needs_jupytext = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("jupytext", "nbclient", "ipykernel")),
    reason="jupytext, nbclient or ipykernel is not installed (requirements-notebook.txt)",
)


def _text():
    """The notebook with fewer steps."""
    text = (source_imports.ROOT / "docs" / "notebook.md").read_text(encoding="utf-8")
    text, replaced = re.subn(r"(SHAPE, STEPS = .*), \d+\n", r"\1, 2\n", text)
    assert replaced == 1
    return text


def _run(*arguments, cwd, **variables):
    ours = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"}
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env={**ours, "PYTHONPATH": str(source_imports.ROOT), **variables},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _check_picture(folder):
    picture = np.asarray(Image.open(folder / "notebook_run" / "remembered.png").convert("L"))
    assert min(picture.shape) > 300 and picture.std() > 30  # not blank


@pytest.mark.program
def test_the_code_of_the_notebook_runs_from_an_empty_folder(tmp_path):
    code = "".join(re.findall(r"^```python\n(.*?)^```$", _text(), re.DOTALL | re.MULTILINE))
    *_, last = code.splitlines()
    (tmp_path / "cells.py").write_text(f"{code}\nprint('loaded the same:', {last})\n")
    assert "loaded the same: True" in _run("cells.py", cwd=tmp_path, MPLBACKEND="Agg")
    _check_picture(tmp_path)


@needs_jupytext
@pytest.mark.program
def test_the_notebook_is_executed_with_its_picture(tmp_path):
    _run("-m", "docs.run_notebook", "made.ipynb", cwd=tmp_path)
    cells = json.loads((tmp_path / "made.ipynb").read_text())["cells"]
    outputs = [output for cell in cells if cell["cell_type"] == "code" for output in cell["outputs"]]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert "".join(outputs[-1]["data"]["text/plain"]) == "True"
    _check_picture(tmp_path)
