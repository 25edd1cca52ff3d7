"""The BUILD files, the lock file and pyproject.toml, held to the imports and to requirements.txt."""

import collections
import functools
import graphlib
import os
import re
import tomllib
from importlib import metadata

import pytest
from packaging import requirements

from tests import build_files, source_imports

# The distribution that a module from elsewhere comes in, where its name differs.
DISTRIBUTIONS = {
    "PIL": "pillow",
    "absl": "absl-py",
    "google": "protobuf",
    "grpc": "grpcio",
    "importlib_resources": "importlib-resources",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "tensorflow_datasets": "tensorflow-datasets",
    "tensorflow_probability": "tensorflow-probability",
    "tensorflow_serving": "tensorflow-serving-api",
}
# What a module from elsewhere imports without declaring it, or is told to in pyproject.toml.
UNDECLARED = {
    "pytest": ["pytest-timeout"],
    "tensorflow_datasets": ["importlib-resources"],
    "tensorflow_probability": ["setuptools", "tensorflow", "tf-keras"],
}
PROGRAM_FOLDERS = ("benchmarks/", "export/", "trainers/")
SOURCES = source_imports.source_files()
TESTS = [path for path in SOURCES if path.endswith("_test.py")]
TARGETS = build_files.read()
OWNERS = {path: target.label for target in TARGETS.values() for path in target.files}

# The face of the library looks a name up when it is used, which needs the whole library; what
# imports a package, and with it the face, does not.
FACE = "ltgans_tf/__init__.py"
LIBRARY = "//ltgans_tf:ltgans_tf"


def _expected_deps(target):
    """Returns the deps that `target` should have: a dict from each to a file that needs it.

    Test files share theirs: what is from here with those of their folder, the rest with all.
    """
    if target.rule == "py_test":
        folder = os.path.dirname(target.files[0])
        deps = {dep: path for path in TESTS for dep in _needs(path) if dep.startswith("@")}
        deps |= {dep: path for path in TESTS if os.path.dirname(path) == folder for dep in _needs(path)}
        return {_owner("tests/conftest.py"): target.files[0], **deps}
    files = {*target.files, FACE} if target.label == LIBRARY else {*target.files} - {FACE}
    return {dep: path for path in sorted(files) for dep in _needs(path) - {target.label}}


@functools.cache
def _needs(path):
    """Returns the labels that the file at `path` needs: a set."""
    own, foreign = source_imports.dependencies(path)
    labels = {LIBRARY if name == "ltgans_tf" else _owner(_path(name)) for name in own}
    if path.startswith("ltgans_tf/") and path != FACE:
        labels.add(_owner(FACE))
    distributions = {DISTRIBUTIONS.get(name, name) for name in foreign}
    for name in foreign:
        distributions.update(UNDECLARED.get(name, ()))
    if re.search(r"\btf\.summary\b", (source_imports.ROOT / path).read_text(encoding="utf-8")):
        distributions.add("tensorboard")
    return labels | {build_files.PACKAGE + name for name in distributions}


def _owner(path):
    """Returns the label of the target that the file at `path` is in."""
    return OWNERS.get(path, f"a target of {path}")


def _path(module):
    """Returns the path of a module of this repository."""
    if source_imports.folder_of(module) in source_imports.INSIDE:
        module = module.removeprefix("ltgans_tf.")
    paths = [f"{module.replace('.', '/')}{end}" for end in (".py", "/__init__.py")]
    return next((path for path in paths if path in SOURCES), paths[0])


def _requirements(name):
    """Returns the requirements in the file `name` by normalised distribution name."""
    text = (source_imports.ROOT / name).read_text(encoding="utf-8")
    lines = (line.partition("#")[0].partition("\\")[0].strip() for line in text.splitlines())
    return _by_name(line for line in lines if not line.startswith(("--hash", "-r ")))


def _by_name(lines):
    parsed = (requirements.Requirement(line) for line in lines if line)
    return {parsed.name.lower().replace("_", "-"): parsed for parsed in parsed}


def test_every_file_is_in_one_target():
    counts = collections.Counter(path for target in TARGETS.values() for path in target.files)
    assert not (left := set(SOURCES) - counts.keys()), f"in no target: {sorted(left)}"
    assert not (gone := counts.keys() - set(SOURCES)), f"in a target, but no file: {sorted(gone)}"
    assert not (twice := [path for path, count in counts.items() if count > 1]), f"in two targets: {twice}"


def test_every_module_that_is_imported_is_a_file():
    modules = {source_imports.module_name(path) for path in SOURCES}
    wrong = []
    for path in SOURCES:
        wrong += [f"{path} imports {name}" for name in source_imports.dependencies(path)[0] - modules]
    assert not wrong


def test_deps_are_what_the_files_import():
    wrong = set()
    for target in TARGETS.values():
        if target.rule not in ("py_library", "py_test"):
            continue
        deps, expected = target.labels("deps"), _expected_deps(target)
        is_test = target.rule == "py_test"
        name = f"{os.path.dirname(target.files[0])}/*_test.py" if is_test else target.label
        wrong |= {f"{name} lacks {dep} ({expected[dep]} needs it)" for dep in expected.keys() - set(deps)}
        wrong |= {f"{name} has {dep}, which no file imports" for dep in set(deps) - expected.keys()}
        wrong |= {f"{name} has {dep} twice" for dep in deps if deps.count(dep) > 1}
    assert not wrong, "\n".join(sorted(wrong))


def test_every_label_names_a_target():
    wrong = []
    for target in TARGETS.values():
        labels = target.labels("actual", "data", "deps", "srcs", "tests")
        missing = {label for label in labels if label.startswith("//")} - TARGETS.keys()
        wrong += [f"{target.label} names {label}" for label in sorted(missing)]
    assert not wrong


def test_no_target_needs_itself():
    graph = {target.label: target.labels("deps") for target in TARGETS.values()}
    graphlib.TopologicalSorter(graph).prepare()  # CycleError names the cycle


def test_library_is_whole():
    seen, left = set(), {TARGETS["//:library"].labels("actual")[0]}
    while left:
        seen |= left
        deps = {dep for label in left for dep in TARGETS[label].labels("deps")}
        left = {dep for dep in deps if dep.startswith("//")} - seen
    files = {path for label in seen for path in TARGETS[label].files}
    assert files == {path for path in SOURCES if path.startswith("ltgans_tf/")}


def test_every_program_has_its_binary():
    programs = {
        source_imports.module_name(path).removesuffix(".__main__"): _owner(path)
        for path in SOURCES
        if path.startswith(PROGRAM_FOLDERS) and source_imports.is_program(path)
    }
    binaries = [target for target in TARGETS.values() if target.rule == "py_binary"]
    made = {target.attributes["main_module"]: target for target in binaries}
    assert not (left := programs.keys() - made.keys()), f"no py_binary for {sorted(left)}"
    assert not (idle := made.keys() - programs.keys()), f"a py_binary, but no program: {sorted(idle)}"
    for module, target in made.items():
        assert target.label == f"//{source_imports.folder_of(module)}:{module.rpartition('.')[2]}"
        assert target.labels("deps") == [programs[module]], target.label
    named = [
        label for part in TARGETS["//:programs"].labels("srcs") for label in TARGETS[part].labels("srcs")
    ]
    assert sorted(named) == sorted(target.label for target in binaries)


def test_every_test_file_is_run_by_pytest():
    made = {target.files[0]: target for target in TARGETS.values() if target.rule == "py_test"}
    assert made.keys() == set(TESTS)
    for path, target in made.items():
        assert target.files == target.attributes["args"] == [path], target.label
        assert target.attributes["main_module"] == "tests.pytest_main", target.label
        assert target.labels("data") == ["//:pyproject.toml"], target.label  # pytest's settings


def test_every_package_that_is_imported_is_required_and_pinned():
    wanted = {
        dep.removeprefix(build_files.PACKAGE)
        for target in TARGETS.values()
        for dep in target.labels("deps")
        if dep.startswith(build_files.PACKAGE)
    }
    assert not (left := wanted - _requirements("requirements-lock.txt").keys()), f"not pinned: {left}"
    extra = {"grpcio", "tensorflow-serving-api"}  # of the extra "serving"
    assert not (left := wanted - extra - _requirements("requirements.txt").keys()), f"not required: {left}"


def test_lock_file_keeps_to_the_requirements():
    locked = _requirements("requirements-lock.txt")
    for name, wanted in _requirements("requirements.txt").items():
        (pin,) = locked[name].specifier
        assert pin.operator == "==" and wanted.specifier.contains(pin.version), str(wanted)


def test_every_file_of_the_lock_has_its_hash():
    text = (source_imports.ROOT / "requirements-lock.txt").read_text(encoding="utf-8")
    body = "".join(line for line in text.splitlines(True) if not line.startswith("#"))
    entries = body.replace("\\\n", " ").splitlines()
    assert len(entries) == len(_requirements("requirements-lock.txt"))
    for entry in entries:
        name, *hashes = entry.split()
        assert "==" in name and hashes and all(re.fullmatch("--hash=sha256:[0-9a-f]{64}", h) for h in hashes)


def test_every_locked_package_has_its_licence_listed():
    text = (source_imports.ROOT / "docs" / "licences.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \|$", text, re.MULTILINE)
    listed = [(name.partition(" (")[0], licence) for licence, names in rows[1:] for name in names.split(", ")]
    licences = dict(listed)
    assert len(licences) == len(listed)
    assert licences.keys() == _requirements("requirements-lock.txt").keys()
    stated = {
        name: metadata.metadata(name)["License-Expression"]
        for name in licences
        if any(metadata.distributions(name=name))
    }
    assert sum(map(bool, stated.values())) > 10
    for name, licence in stated.items():
        assert licence in (None, licences[name]), name


def test_every_requirement_is_bounded_above():
    for wanted in _requirements("requirements.txt").values():
        assert any(bound.operator in ("==", "<", "~=") for bound in wanted.specifier), str(wanted)


def test_wheel_asks_for_the_same_versions():
    text = (source_imports.ROOT / "pyproject.toml").read_text(encoding="utf-8")
    project = tomllib.loads(text)["project"]
    extras = [
        line
        for name, lines in project["optional-dependencies"].items()
        if name not in ("serving", "explore", "exits")
        for line in lines
        if not line.startswith("ltgans_tf[")
    ]
    everything = _requirements("requirements.txt")
    for name, wanted in _by_name(project["dependencies"] + extras).items():
        assert wanted.specifier == everything[name].specifier, str(wanted)
    missing = everything.keys() - _by_name(project["dependencies"] + extras).keys()
    assert not missing, f"in requirements.txt alone: {sorted(missing)}"


@pytest.mark.parametrize("name", ["explore", "exits"])
def test_extra_asks_for_what_its_environment_has(name):
    text = (source_imports.ROOT / "pyproject.toml").read_text(encoding="utf-8")
    extra = tomllib.loads(text)["project"]["optional-dependencies"][name]
    assert _by_name(extra) == _requirements(f"requirements-{name}.txt")
