"""Flags whose values are paths."""

import ast
import re
import shlex

import pytest
from absl import flags

from ltgans_tf.export import path_flags
from tests import programs, source_imports


@pytest.fixture
def given(monkeypatch):
    values = flags.FlagValues()
    path_flags.define_path("out", None, "", flag_values=values)
    path_flags.define_paths("workdirs", None, "", flag_values=values)
    monkeypatch.setenv("HOME", "/home/u")
    return values


def test_paths_are_made_local_and_may_hold_commas(given):
    given(["program", "--out=~/a,b", '--workdirs="~/a,b",c d'])
    assert given.out == "/home/u/a,b" and given.workdirs == ["/home/u/a,b", "c d"]
    assert given["workdirs"].serialize() == '--workdirs="/home/u/a,b",c d'
    again = path_flags.listed(given.workdirs)
    given(["program", f"--workdirs={again}"])
    assert given.workdirs == ["/home/u/a,b", "c d"]


def test_a_bucket_is_refused_by_the_flag(given):
    for word in ("--out=gs://b", "--workdirs=a,s3://b"):
        with pytest.raises(flags.IllegalFlagValueError, match="is not on this machine"):
            given(["program", word])


def test_a_command_can_be_pasted():
    line = path_flags.command("ltgans sample", "--workdir=a b", "--out='x'.png", "--count=1")
    assert shlex.split(line)[2:] == ["--workdir=a b", "--out='x'.png", "--count=1"]
    assert line.startswith("ltgans sample '--workdir=a b' ")


def test_every_flag_that_names_a_place_is_a_path():
    kinds = ("flags.DEFINE_string", "flags.DEFINE_list", "flags.DEFINE_multi_string")
    names = {"workdir", "workdirs", "out", "base", "images", "data_dir", "init_from", "folder", "json"}
    names |= {"torch_python"}
    wrong = []
    for path in source_imports.source_files():
        if not path.startswith(("benchmarks/", "export/", "trainers/")):
            continue
        for node in ast.walk(source_imports.parse(path)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in kinds:
                name = ast.literal_eval(node.args[0]) if isinstance(node.args[0], ast.Constant) else ""
                if name in names or name.endswith("_path"):
                    wrong.append(f"{path}:{node.lineno} --{name}")
    assert not wrong, f"define these with path_flags: {wrong}"


@pytest.mark.parametrize(
    "module, names",
    [
        ("ltgans_tf.trainers.train", "workdir tasks data_dir init_from push_base push_keep"),
        ("ltgans_tf.export.client", "authorization_file ca_file encode out seed"),
        ("ltgans_tf.export.push", "workdir base method keep"),
        ("benchmarks.step", "out docs"),
    ],
)
def test_help_lists_the_flags_that_helpers_define(module, names):
    said = programs.run(module, "--help").stdout
    assert [name for name in names.split() if not re.search(rf"^  --{name}\b", said, re.MULTILINE)] == []


@pytest.mark.parametrize(
    "module, words",
    [
        ("ltgans_tf.trainers.train", ["--workdir=gs://b/run"]),
        ("ltgans_tf.trainers.train", ["--workdir=run", "--tasks=folder:s3://b/cats"]),
        ("ltgans_tf.trainers.sample", ["--workdir=run", "--out=gs://b/x.png"]),
        ("ltgans_tf.export.push", ["--workdir=run", "--base=s3://b"]),
        ("benchmarks.step", ["--out=s3://b/x.json"]),
    ],
)
def test_programs_refuse_a_bucket_in_one_sentence(module, words, tmp_path):
    done = programs.run(module, *words, cwd=source_imports.ROOT)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert done.stderr.startswith("error: ") and "is not on this machine" in done.stderr
    assert done.stderr.count("\n") == 1
