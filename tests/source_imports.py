"""The repository's Python files and what each of them imports, read with `ast`.

A file depends on a module that it imports, at its top or inside a function, and on one that it
names in a string, as lazy imports and `python -m` do.
"""

import ast
import functools
import pathlib
import sys

ROOT = pathlib.Path(__file__).absolute().parents[1]
FOLDERS = ("ltgans_tf", "trainers", "export", "benchmarks", "tests")
INSIDE = {"export": "ltgans_tf.export", "trainers": "ltgans_tf.trainers"}  # the packages of two of them


@functools.cache
def source_files():
    """Returns the paths of all Python files in FOLDERS, relative to ROOT, sorted."""
    found = (path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
    return sorted(path.relative_to(ROOT).as_posix() for path in found)


def module_name(path):
    """Returns the dotted name of the file at `path`; a package's is that of its folder."""
    name = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    folder, dot, rest = name.partition(".")
    return INSIDE.get(folder, folder) + dot + rest


def folder_of(module):
    """Returns which of FOLDERS has the module of this dotted name."""
    first, second = [*module.split("."), ""][:2]
    return second if f"{first}.{second}" in INSIDE.values() else first


@functools.cache
def parse(path):
    """Returns the syntax tree of the file at `path`, relative to ROOT."""
    return ast.parse((ROOT / path).read_text(encoding="utf-8"), filename=path)


def is_program(path):
    """Returns whether the file at `path` runs something when it is the main file."""
    return any(isinstance(node, ast.If) and "__name__" in ast.unparse(node.test) for node in parse(path).body)


@functools.cache
def dependencies(path):
    """Returns what the file at `path` depends on.

    Returns:
      a pair of sets: dotted names of the repository's own modules, and top-level names of modules
      from elsewhere, without the standard library's.
    """
    modules = {module_name(source) for source in source_files()}
    own, foreign = set(), set()
    for name in _imported(path):
        parts = name.split(".")
        if parts[0] in FOLDERS:
            own.add(_longest_known(parts, modules))
        elif f"tests.{parts[0]}" in modules:  # pytest puts tests/ on the path
            own.add(f"tests.{parts[0]}")
        elif parts[0] not in sys.stdlib_module_names:
            foreign.add(parts[0])
    own |= _named_in_strings(path) & modules
    return own - {module_name(path)}, foreign


def imported_names(path):
    """Returns the top-level names of all modules that the file at `path` imports: a set."""
    return {name.partition(".")[0] for name in _imported(path)}


def _imported(path):
    """Yields a dotted name for everything that the file at `path` imports."""
    package = module_name(path).split(".")
    if not path.endswith("/__init__.py"):
        package = package[:-1]
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            source = [*above, *([node.module] if node.module else [])]
            yield from (".".join([*source, alias.name]) for alias in node.names)


def _longest_known(parts, modules):
    """Returns the longest start of `parts` that is in `modules`, or else all of it."""
    for end in range(len(parts), 0, -1):
        if ".".join(parts[:end]) in modules:
            return ".".join(parts[:end])
    return ".".join(parts)


def _named_in_strings(path):
    """Returns the strings in the file that look like modules; in a package, of its own too."""
    strings = {
        node.value.partition(":")[0]
        for node in ast.walk(parse(path))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    names = {text for text in strings if "." in text}
    if path.endswith("/__init__.py"):
        names |= {f"{module_name(path)}.{text}" for text in strings}
    return names
