"""The command `ltgans`: what it starts, what it says of a wrong name, and that it is quick."""

import re
import subprocess
import sys

import pytest

from ltgans_tf.trainers import command
from tests import programs, source_imports

NAME = "ltgans_tf.trainers.command"
NO_COMMANDS = {NAME, "ltgans_tf.export.check", "ltgans_tf.export.trial"}  # itself, and what exports start


@pytest.fixture
def said(monkeypatch, capsys):
    """Returns a function that gives (status, stdout, stderr) of `ltgans` with some words."""

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["ltgans", *words])
        return command.main(), *capsys.readouterr()

    return run


def test_every_program_has_its_name():
    files = [path for path in source_imports.source_files() if path.startswith(("export/", "trainers/"))]
    there = [source_imports.module_name(path) for path in files if source_imports.is_program(path)]
    modules = {name.removesuffix(".__main__") for name in there} - NO_COMMANDS
    assert sorted(modules) == sorted(module for module, _ in command.PROGRAMS.values())


def test_every_command_that_a_file_names_is_there():
    for path in source_imports.source_files():
        if path.startswith(("benchmarks/", "tests/")):
            continue
        text = (source_imports.ROOT / path).read_text(encoding="utf-8")
        for name in re.findall(r"\bltgans ([a-z-]+)", text):
            assert name in command.PROGRAMS, f"{path}: ltgans {name}"


@pytest.mark.parametrize("words", [(), ("--help",), ("help",)])
def test_help_lists_every_command(said, words):
    status, out, err = said(*words)
    assert (status, err) == (0, "")
    listed = re.findall(r"^  (\S+)  ", out, re.MULTILINE)
    assert listed == list(command.PROGRAMS)


def test_an_unknown_command_gets_the_nearest_names(said):
    status, out, err = said("trian", "--workdir=x")
    assert (status, out) == (2, "")
    assert err.startswith("error: unknown command 'trian'; did you mean train? There are train, sample,")
    assert err.count("\n") == 1


def test_version_is_that_of_the_package(said):
    assert said("--version") == (0, "ltgans_tf 0.1.0\n", "")


def test_help_waits_for_no_package_but_that_of_flags():
    program = f"import sys\nfrom {NAME} import main\nmain()\nprint(*sorted(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=source_imports.ROOT, capture_output=True, text=True, check=True
    )
    loaded = {name.partition(".")[0] for name in done.stdout.splitlines()[-1].split()}
    assert not loaded & {"numpy", "PIL", "tensorflow", "keras", "scipy"}


@pytest.mark.parametrize("words", [(NAME,), ("ltgans_tf.trainers.sample", "--help")])
def test_a_pager_that_is_left_before_the_end_is_no_error(words):
    name, *rest = words
    done = subprocess.Popen(
        [sys.executable, "-m", name, *rest],
        cwd=source_imports.ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    done.stdout.close()
    assert done.stderr.read() == "" and done.wait() == 0


def test_a_program_reads_the_flags_after_its_name():
    done = programs.run(NAME, "sample", "--count=many", "--workdir=x", "--out=y")
    assert done.returncode == 2 and "flag --count=many" in done.stderr
    done = programs.run(NAME, "train", "--dry_run", "--preset=smoke", "--workdir=/nowhere/x")
    assert done.returncode == 0 and "steps_per_task: " in done.stdout, done.stderr
