"""The wheel in an environment of its own, outside the checkout: what it installs, and its command."""

import json
import os
import pathlib
import resource
import shutil
import subprocess
import sys
import sysconfig
import zipfile

import pytest

from ltgans_tf.files import provenance
from tests import artefacts, source_imports

SOURCES = ("pyproject.toml", "README.md", "LICENSE", "ltgans_tf", "trainers", "export")
pytestmark = pytest.mark.program


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built without a network from a copy of the sources."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in SOURCES:
        source = source_imports.ROOT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, folder / name)
    build = "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir=made"
    done = _run(sys.executable, "-m", "pip", "wheel", *build, ".", cwd=folder)
    if "No module named pip" in done.stderr:
        pytest.skip("this Python has no pip")
    assert done.returncode == 0, done.stdout + done.stderr
    (made,) = (folder / "made").glob("*.whl")
    return made


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The folder of programs of an environment that has the wheel and, by a path, what it depends on."""
    venv = tmp_path_factory.mktemp("installed") / "venv"
    _check(sys.executable, "-m", "venv", "--without-pip", venv, cwd=venv.parent)
    pip = [sys.executable, "-m", "pip", "--python", venv / "bin" / "python"]
    _check(*pip, "install", "--no-deps", "--no-index", wheel, cwd=venv.parent)
    # A path in a .pth file, whose own .pth files, an editable installation say, Python does not read.
    (_site_packages(venv) / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return venv / "bin"


def _site_packages(venv):
    (folder,) = venv.glob("lib/python3.*/site-packages")
    return folder


def _run(*command, cwd):
    """Runs a command in `cwd`, where nothing puts the checkout on Python's path."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def _check(*command, cwd):
    """Returns what a command prints, and fails if that fails."""
    done = _run(*command, cwd=cwd)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_wheel_has_one_package_and_all_its_files(wheel):
    with zipfile.ZipFile(wheel) as file:
        names = [pathlib.PurePosixPath(name) for name in file.namelist()]
    assert {name.parts[0].partition("-")[0] for name in names} == {"ltgans_tf"}
    folders = ("ltgans_tf/", "export/", "trainers/")
    sources = [path for path in source_imports.source_files() if path.startswith(folders)]
    expected = {path if path.startswith("ltgans_tf/") else f"ltgans_tf/{path}" for path in sources}
    assert {str(name) for name in names if name.suffix == ".py"} == expected


def test_an_installation_has_no_other_package(installed):
    there = {path.name.partition("-")[0] for path in _site_packages(installed.parent).iterdir()}
    assert there <= {"ltgans_tf", "dependencies.pth", "__pycache__"}


def test_help_takes_less_than_a_second(installed, tmp_path):
    for words in (["--help"], ["train", "--help"], ["serve-kit", "--help"]):
        begin = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert "ltgans" in _check(installed / "ltgans", *words, cwd=tmp_path)
        end = resource.getrusage(resource.RUSAGE_CHILDREN)
        # Processor time, which other processes of the machine do not change.
        assert end.ru_utime + end.ru_stime - begin.ru_utime - begin.ru_stime < 1, words


def test_a_run_in_another_folder_is_trained_exported_tried_and_served(installed, tmp_path):
    ltgans = installed / "ltgans"
    (spec,) = artefacts.sets(tmp_path, 1)
    (tmp_path / "numpy.py").write_text("raise ImportError('a file of the present folder')\n")
    (tmp_path / "their_idea.py").write_text(
        "from ltgans_tf import methods\n\n\nclass Theirs(methods.TwinGAN):\n    pass\n"
    )
    tried = [flag for flag in artefacts.SMALL if flag != "--nopush_validate"]
    flags = [*tried, f"--tasks={spec}", "--method=their_idea:Theirs", "--workdir=run", "--seed=1"]
    said = _check(ltgans, "train", *flags, cwd=tmp_path)
    assert "next:\n  ltgans evaluate --workdir=run\n" in said
    assert (tmp_path / "run" / "exports" / "latest.json").exists(), said
    assert _check(ltgans, "release", "--base=run/exports", cwd=tmp_path)
    _check(ltgans, "serve-kit", "--base=run/exports", cwd=tmp_path)
    environment = json.loads((tmp_path / "run" / "environment.json").read_text())
    assert environment["command"][1:3] == [str(ltgans), "train"]


def test_records_tell_the_same_code_from_a_wheel_and_no_commit(installed, tmp_path):
    program = "from ltgans_tf.files import provenance; print(provenance.code(), provenance.commit())"
    assert _check(installed / "python", "-c", program, cwd=tmp_path) == f"{provenance.code()} None\n"
