"""Who may import whom: the tables below, held against the imports of every file."""

import ast
import graphlib
import pathlib
import statistics
import subprocess
import sys

import pytest
import source_imports

# Each package of ltgans_tf and the packages that its files may import, itself aside. A row names
# rows above it alone. "top" is the modules beside the packages.
PACKAGES = {
    "files": "",
    "networks": "files",
    "data": "files",
    "settings": "data files",
    "evaluation": "data files networks",
    "figures": "data evaluation files networks",
    "training": "data evaluation figures files settings",
    "methods": "data evaluation files networks settings training",
    "top": "data files methods networks settings training",
}

# Each folder and the folders that it may import, itself aside.
FOLDERS = {
    "ltgans_tf": "",
    "export": "ltgans_tf",
    "trainers": "export ltgans_tf",
    "benchmarks": "export ltgans_tf trainers",
    "tests": "benchmarks export ltgans_tf trainers",
}

# What programs read before they have to wait for TensorFlow; these wait for neither SciPy nor scikit-learn.
WITHOUT_TENSORFLOW = """
    ltgans_tf ltgans_tf.data ltgans_tf.evaluation ltgans_tf.methods ltgans_tf.networks
    ltgans_tf.data.specs
    ltgans_tf.evaluation.memorisation ltgans_tf.evaluation.metrics ltgans_tf.evaluation.references
    ltgans_tf.evaluation.matrix ltgans_tf.evaluation.representations ltgans_tf.evaluation.row
    ltgans_tf.evaluation.scores
    ltgans_tf.figures.charts ltgans_tf.figures.method_curves ltgans_tf.figures.training_curves
    ltgans_tf.files.array_files ltgans_tf.files.atomic ltgans_tf.files.jsonfiles ltgans_tf.files.keras_config ltgans_tf.files.metrics_log
    ltgans_tf.files.near_names ltgans_tf.files.paths ltgans_tf.files.provenance ltgans_tf.files.user_cache
    ltgans_tf.methods.lakd ltgans_tf.methods.registry
    ltgans_tf.settings.architectures ltgans_tf.settings.experiment_runs ltgans_tf.settings.experiments
    ltgans_tf.settings.method_table
    ltgans_tf.settings.preset_table ltgans_tf.settings.presets
    ltgans_tf.settings.seeds ltgans_tf.settings.upgrades
""".split()
FACE = {"ltgans_tf", "ltgans_tf._checkout", "ltgans_tf._import_notes", "ltgans_tf._lazy"}
RUN_WHAT_THEY_READ = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "code", "runpy"}
SAY_NOTHING = {"utils", "util", "common", "helpers", "helper", "misc"}

SOURCES = source_imports.source_files()


def _package(module):
    """Returns the row of PACKAGES that a module of ltgans_tf stands in."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in PACKAGES else "top"


def _has_row(module):
    """Returns whether a module of the library stands in a row: all but its face and what that imports."""
    return source_imports.folder_of(module) == "ltgans_tf" and module not in FACE


def _edges():
    """Returns the modules that each module imports, as a dict of sets."""
    return {source_imports.module_name(path): source_imports.dependencies(path)[0] for path in SOURCES}


def _is_face(module):
    """Returns whether a module only looks names of its package up, when they are first used."""
    return module == "ltgans_tf" or module.removeprefix("ltgans_tf.") in PACKAGES


def test_packages_import_only_what_their_rows_allow():
    wrong = []
    for module, imported in _edges().items():
        if not _has_row(module):
            continue
        row = _package(module)
        allowed = {row, *PACKAGES[row].split()}
        for name in imported:
            if _has_row(name) and _package(name) not in allowed:
                wrong.append(f"{module} imports {name}")
    assert not wrong, f"not allowed by PACKAGES in tests/layering_test.py: {wrong}"


def test_rows_name_rows_above_them_and_nothing_idle():
    edges = _edges()
    above = set()
    for row, allowed in PACKAGES.items():
        assert set(allowed.split()) <= above, f"the row of {row} names one below it"
        above.add(row)
        used = {
            _package(name)
            for module, imported in edges.items()
            if _has_row(module) and _package(module) == row
            for name in imported
            if _has_row(name)
        }
        assert used - {row} == set(allowed.split()), f"the row of {row} is not what it imports"


def test_folders_import_only_folders_below_them():
    wrong = []
    for path in SOURCES:
        folder = path.partition("/")[0]
        own, _ = source_imports.dependencies(path)
        extra = {source_imports.folder_of(name) for name in own} - {folder, *FOLDERS[folder].split()}
        wrong += [f"{path} imports from {name}" for name in extra]
    assert not wrong


def test_library_knows_no_flags():
    library = [path for path in SOURCES if path.startswith("ltgans_tf/")]
    wrong = [path for path in library if "absl" in source_imports.dependencies(path)[1]]
    assert not wrong, f"flags belong in trainers/ and export/: {wrong}"


def test_no_module_waits_for_itself():
    edges = {module: imported for module, imported in _edges().items() if not _is_face(module)}
    graphlib.TopologicalSorter(edges).prepare()  # CycleError names the cycle


def test_no_file_has_a_name_that_says_nothing():
    named = [path for path in SOURCES if pathlib.Path(path).stem in SAY_NOTHING]
    assert not named, f"name these for what they hold: {named}"


def test_nothing_unpickles_or_evaluates_text():
    for path in SOURCES:
        if path.startswith("tests/"):
            continue
        own = {"runpy"} if path == "trainers/command.py" else set()  # it starts programs of its own table
        assert not (RUN_WHAT_THEY_READ - own) & source_imports.imported_names(path), path
        for node in ast.walk(source_imports.parse(path)):
            if not isinstance(node, ast.Call):
                continue
            called = ast.unparse(node.func)
            assert called not in ("eval", "exec", "compile", "__import__"), f"{path}:{node.lineno}"
            if called == "np.load":
                assert "allow_pickle=False" in ast.unparse(node), f"{path}:{node.lineno}"
            assert "safe_mode=False" not in ast.unparse(node), f"{path}:{node.lineno}"


def test_imports_do_not_wait_for_tensorflow():
    program = (
        "import importlib, sys\n"
        "for name in sys.argv[1:]:\n"
        "    importlib.import_module(name)\n"
        "    if waited := sorted({'tensorflow', 'keras', 'scipy', 'sklearn'} & sys.modules.keys()):\n"
        "        sys.exit(f'{name} imports {waited}')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *WITHOUT_TENSORFLOW],
        cwd=source_imports.ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.program
def test_public_names_are_those_that_dir_shows():
    program = (
        "import ltgans_tf as lt\n"
        "faces = [lt, lt.data, lt.evaluation, lt.methods, lt.networks]\n"
        "for face in faces:\n"
        "    assert dir(face) == sorted(face.__all__), face\n"
        "    for name in dir(face):\n"
        "        assert getattr(face, name).__doc__, name\n"
        "        assert f'`{name}`' in face.__doc__ or face is lt, name\n"
        "assert lt.__version__\n"
        "try:\n"
        "    lt.nothing\n"
        "except AttributeError as error:\n"
        "    assert 'nothing' in str(error)\n"
        "else:\n"
        "    raise SystemExit('lt.nothing is something')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=source_imports.ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_files_are_short():
    """At most 400 lines each, half of them at most 130."""
    lengths = {
        path: len((source_imports.ROOT / path).read_text("utf-8").splitlines())
        for path in source_imports.source_files()
    }
    assert not (long := {path: length for path, length in lengths.items() if length > 400}), long
    assert statistics.median(lengths.values()) <= 130
