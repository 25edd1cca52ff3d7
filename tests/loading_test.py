"""Whose code a workdir may run: that of this package, and a method that the caller has named."""

import json
import sys

import pytest

from ltgans_tf import loading
from tests import programs

MINE = """
import pathlib
pathlib.Path(__file__).with_name("was run").touch()
"""


@pytest.fixture
def workdir(tmp_path, monkeypatch):
    """A workdir of somebody else, whose method leaves a mark where it is imported."""
    (tmp_path / "their_idea.py").write_text(MINE)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield _workdir(tmp_path / "run", "their_idea:Theirs")
    sys.modules.pop("their_idea", None)


def _workdir(folder, method):
    folder.mkdir()
    config = {"format_version": 2, "model": {"method": method}, "stream": {"specs": ["digits"]}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "flags.txt").write_text(f"--method={method}\n--preset=smoke\n")
    checkpoint = folder / "checkpoints" / "task_001_step_000000001"
    checkpoint.mkdir(parents=True)
    manifest = {"format_version": 2, "task_index": 1, "task_step": 0, "global_step": 1, "files": {}}
    (checkpoint / "manifest.json").write_text(json.dumps(manifest))
    return folder


def test_a_method_from_elsewhere_is_imported_only_where_the_caller_names_it(workdir):
    for named in (None, "ltgan", "their_idea:Another"):
        with pytest.raises(
            ValueError, match="'their_idea:Theirs', which is no part of .*name it if you trust it"
        ):
            loading.load(str(workdir), named)
    assert not (workdir.parent / "was run").exists()
    with pytest.raises(ValueError, match="their_idea has no class Theirs"):
        loading.load(str(workdir), "their_idea:Theirs")
    assert (workdir.parent / "was run").exists()


def test_another_method_than_the_caller_has_named_is_not_loaded(tmp_path):
    with pytest.raises(ValueError, match="the method 'replay' and not with 'ltgan'; name that, or none"):
        loading.load(str(_workdir(tmp_path / "run", "replay")), "ltgan")


@pytest.mark.parametrize(
    "program, flags",
    [
        ("ltgans_tf.trainers.sample", ["--out={}/out"]),
        ("ltgans_tf.trainers.encode", ["--out={}/out.npz", "--images={}/images"]),
        ("ltgans_tf.trainers.evaluate", []),
        ("ltgans_tf.trainers.make_figures", []),
        ("ltgans_tf.export.push", []),
    ],
)
@pytest.mark.program
def test_no_program_runs_the_code_of_a_workdir_unasked(tmp_path, program, flags):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.png").write_bytes(b"")
    workdir = _workdir(tmp_path / "run", "tests.tiny:Nothing")
    flags = [f"--workdir={workdir}", *(flag.format(tmp_path) for flag in flags)]
    done = programs.run(program, *flags)
    assert done.returncode == 2 and "--method=tests.tiny:Nothing" in done.stderr, done.stderr
    done = programs.run(program, *flags, "--method=tests.tiny:Nothing")
    assert done.returncode == 2 and "tests.tiny has no class Nothing" in done.stderr, done.stderr


def test_going_on_runs_no_code_unasked(workdir):
    flags = [f"--init_from={workdir}", "--tasks=glyphs", f"--workdir={workdir.parent}/on", "--dry_run"]
    done = programs.run("ltgans_tf.trainers.train", *flags)
    assert done.returncode == 2 and "name it if you trust it: --method=their_idea:Theirs" in done.stderr
    done = programs.run("ltgans_tf.trainers.train", *flags, "--method=their_idea:Theirs")
    assert done.returncode == 0 and "method: their_idea:Theirs" in done.stdout, done.stderr
    assert not (workdir.parent / "was run").exists()
