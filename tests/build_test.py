"""BUILD, the lock file and pyproject.toml, held to the imports and to requirements.txt."""

import ast
import re
import tomllib
from importlib import metadata

import pytest
import source_imports
from packaging import requirements

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
# What a module from elsewhere imports without declaring it.
UNDECLARED = {
    "tensorflow_datasets": ["importlib-resources"],
    "tensorflow_probability": ["setuptools", "tensorflow", "tf-keras"],
}
# Imported where they are installed and done without elsewhere: in no requirement.
OPTIONAL = set()
MAIN = "tests/pytest_main.py"
SOURCES = source_imports.source_files()
TESTS = [path for path in SOURCES if path.endswith("_test.py")]


def target_name(path):
    """Returns the name of the target of the file at `path`: its path, a package's its folder."""
    return path.removesuffix(".py").removesuffix("/__init__")


def expected_deps(path):
    """Returns the deps that the file at `path` needs, as BUILD writes them."""
    own, foreign = source_imports.dependencies(path)
    deps = {":" + name.replace(".", "/") for name in own}
    distributions = {DISTRIBUTIONS.get(name, name) for name in foreign - OPTIONAL}
    for name in foreign:
        distributions.update(UNDECLARED.get(name, ()))
    if re.search(r"\btf\.summary\b", (source_imports.ROOT / path).read_text(encoding="utf-8")):
        distributions.add("tensorboard")
    if path in TESTS:
        distributions.update(("pytest", "pytest-timeout"))
        if "tests/conftest.py" in SOURCES:
            deps.add(":tests/conftest")
    return deps | {f'requirement("{name}")' for name in distributions}


def expected_rule(path):
    """Returns the rule that the file at `path` is built with."""
    if path in TESTS:
        return "py_test"
    return "py_binary" if source_imports.is_program(path) else "py_library"


def _targets():
    """Returns the Python targets in BUILD as dicts of their attributes, by name."""
    tree = ast.parse((source_imports.ROOT / "BUILD").read_text(encoding="utf-8"))
    calls = [
        node.value for node in tree.body if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
    ]
    targets = {}
    for call in calls:
        if call.func.id.startswith("py_"):
            target = {keyword.arg: _value(keyword.value) for keyword in call.keywords}
            assert target["name"] not in targets, f"BUILD has {target['name']} twice"
            targets[target["name"]] = {"rule": call.func.id, **target}
    return targets


def _value(node):
    """Returns a literal as Python, lists item by item, and anything else as its text."""
    if isinstance(node, ast.List):
        return [_value(item) for item in node.elts]
    if isinstance(node, ast.Constant):
        return node.value
    return ast.unparse(node).replace("'", '"')


def _requirements(name):
    """Returns the requirements in the file `name` by normalised distribution name."""
    text = (source_imports.ROOT / name).read_text(encoding="utf-8")
    lines = (line.partition("#")[0].partition("\\")[0].strip() for line in text.splitlines())
    return _by_name(line for line in lines if not line.startswith("--hash"))


def _by_name(lines):
    parsed = (requirements.Requirement(line) for line in lines if line)
    return {parsed.name.lower().replace("_", "-"): parsed for parsed in parsed}


@pytest.mark.parametrize("path", [path for path in SOURCES if path != MAIN])
def test_target_equals_the_imports(path):
    target = _targets().get(target_name(path))
    assert target is not None, f"{path} has no target in BUILD"
    assert target["rule"] == expected_rule(path)
    assert set(target["srcs"]) == ({path, MAIN} if path in TESTS else {path})
    deps = target.get("deps", [])
    assert len(deps) == len(set(deps))
    missing, idle = expected_deps(path) - set(deps), set(deps) - expected_deps(path)
    assert not missing and not idle, f"deps of {path}: missing {missing}, not imported {idle}"
    if path in TESTS:
        assert target["main"] == MAIN and target["args"] == [path]
    elif target["rule"] == "py_binary":
        assert target["main"] == path


def test_every_target_has_its_file():
    expected = {target_name(path) for path in SOURCES if path != MAIN}
    assert _targets().keys() == expected


def test_every_label_names_a_target():
    targets = _targets()
    labels = {dep[1:] for target in targets.values() for dep in target.get("deps", []) if dep.startswith(":")}
    assert labels <= targets.keys()


def test_every_package_that_is_imported_is_required_and_pinned():
    wanted = {
        dep[len('requirement("') : -2]
        for target in _targets().values()
        for dep in target.get("deps", [])
        if dep.startswith("requirement")
    }
    assert wanted <= _requirements("requirements-lock.txt").keys()
    extra = {"grpcio", "tensorflow-serving-api"}  # of the extra "serving"
    assert wanted - extra <= _requirements("requirements.txt").keys()


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
        if name != "serving"
        for line in lines
        if not line.startswith("ltgans_tf[")
    ]
    everything = _requirements("requirements.txt")
    for name, wanted in _by_name(project["dependencies"] + extras).items():
        assert wanted.specifier == everything[name].specifier, str(wanted)
    missing = everything.keys() - _by_name(project["dependencies"] + extras).keys()
    assert not missing, f"in requirements.txt alone: {sorted(missing)}"
