"""The targets that the BUILD files make.

Their language is a subset of Python, so each file is run, with stand-ins that record the rules
that it calls.
"""

import dataclasses
import types

from tests import source_imports

BUILT_IN_RULES = ("alias", "filegroup", "test_suite")
LOADED_RULES = ("py_binary", "py_library", "py_test")
PACKAGE = "@pypi//"  # what the labels of packages from elsewhere begin with


@dataclasses.dataclass(frozen=True)
class Target:
    """A target: its label in full, its rule, and the rule's attributes."""

    label: str
    rule: str
    attributes: dict

    def labels(self, *names):
        """Returns the labels in the attributes called `names`, in full: a list."""
        package = self.label.partition(":")[0]
        return [
            full_label(text, package)
            for name in names
            for text in as_list(self.attributes.get(name, []))
            if not text.endswith(".py")
        ]

    @property
    def files(self):
        """The paths of its Python files, relative to the root."""
        folder = self.label[2:].partition(":")[0]
        names = [name for name in self.attributes.get("srcs", []) if name.endswith(".py")]
        return [f"{folder}/{name}" if folder else name for name in names]


def as_list(value):
    """Returns `value` if it is a list, and else a list of it alone."""
    return value if isinstance(value, list) else [value]


def full_label(text, package):
    """Returns the label `text`, as written in the BUILD file of `package`, with package and name."""
    if text.startswith("@"):
        return text
    if not text.startswith("//"):
        return f"{package}:{text.removeprefix(':')}"
    return text if ":" in text else f"{text}:{text.rpartition('/')[2]}"


def read():
    """Returns the targets of all BUILD files: a dict by label."""
    paths = [source_imports.ROOT / "BUILD"]
    for folder in source_imports.FOLDERS:
        paths += sorted((source_imports.ROOT / folder).rglob("BUILD"))
    targets = {}
    for path in paths:
        _Reader(path.parent, targets).run(path)
    return targets


class _Reader:
    """Runs the BUILD file in `folder` and adds its targets to `targets`."""

    def __init__(self, folder, targets):
        self._folder, self._targets = folder, targets
        self._name = folder.relative_to(source_imports.ROOT).as_posix().removeprefix(".")
        built_in = {rule: self._recorder(rule) for rule in BUILT_IN_RULES}
        native = types.SimpleNamespace(glob=self._glob, package_name=lambda: self._name, **built_in)
        self._built_in = {
            "exports_files": lambda names: [self._add("file", {"name": name}) for name in names],
            "glob": self._glob,
            "native": native,
            "package": lambda **_: None,
            **built_in,
        }
        self._loaded = {
            "requirement": lambda name: PACKAGE + name,
            **{rule: self._recorder(rule) for rule in LOADED_RULES},
        }

    def run(self, path):
        """Runs the file at `path` and returns the names that it defines."""
        names = dict(self._built_in)
        names["load"] = lambda source, *wanted: names.update(self._load(source, wanted))
        exec(compile(path.read_text(encoding="utf-8"), path, "exec"), names)
        return names

    def _load(self, source, wanted):
        """Returns the names `wanted` from a .bzl file, or their stand-ins if it is not of this repository."""
        defined = self._loaded
        if not source.startswith("@"):
            folder, _, name = full_label(source, f"//{self._name}")[2:].partition(":")
            defined = self.run(source_imports.ROOT / folder / name)
        return {name: defined[name] for name in wanted}

    def _recorder(self, rule):
        return lambda **attributes: self._add(rule, attributes)

    def _add(self, rule, attributes):
        label = f"//{self._name}:{attributes['name']}"
        assert label not in self._targets, f"{label} is defined twice"
        self._targets[label] = Target(label, rule, attributes)

    def _glob(self, include, exclude=()):
        """Returns paths as Bazel does: none below another BUILD file, and at least one."""
        left_out = {path for pattern in exclude for path in self._folder.glob(pattern)}
        found = {path for pattern in include for path in self._folder.glob(pattern)} - left_out
        names = [path.relative_to(self._folder).as_posix() for path in sorted(found) if self._is_own(path)]
        assert names, f"//{self._name}: glob({include}) finds nothing"
        return names

    def _is_own(self, path):
        """Returns whether no folder between `path` and this one has a BUILD file of its own."""
        below = path.relative_to(self._folder).parents
        return not any((self._folder / folder / "BUILD").exists() for folder in list(below)[:-1])
