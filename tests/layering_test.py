"""Who may import whom: the table below, held against the imports of every file."""

import ast
import graphlib
import pathlib
import subprocess
import sys

import pytest
import source_imports

# Each module of ltgans_tf and the modules of it that it may import. A new module gets a row, and
# a new edge its place in a row, on purpose: read the table from the top and ask whether the edge
# points up.
LIBRARY = {
    "architectures": "",
    "checkpoints": "jsonfiles upgrades",
    "distribution": "",
    "divergence": "",
    "figures": "",
    "headers": "",
    "images": "headers",
    "jsonfiles": "",
    "lakd": "",
    "likelihood": "",
    "losses": "",
    "memorisation": "",
    "metrics": "",
    "nonfinite": "checkpoints distribution",
    "provenance": "",
    "scores": "jsonfiles",
    "specs": "",
    "walks": "",
    "features": "images",
    "inception": "images",
    "preset_table": "specs",
    "presets": "architectures preset_table specs",
    "experiments": "",
    "networks": "architectures",
    "builtin": "specs",
    "sources": "images",
    "folders": "sources specs",
    "datasets": "builtin folders images sources specs",
    "streams": "datasets images sources specs",
    "sampling": "",
    "sectors": "",
    "exported": "jsonfiles sampling upgrades",
    "upgrades": "architectures baselines.settings presets",
    "eventlog": "",
    "verification": "checkpoints eventlog",
    "canvas": "figures",
    "charts": "canvas scores",
    "method_curves": "canvas",
    "gallery": "charts eventlog figures images scores walks",
    "representations": "walks",
    "references": "metrics",
    "distances": "metrics",
    "holdings": "distances streams",
    "comparison": "distances images memorisation metrics references",
    "evaluation": "comparison distances features holdings images likelihood provenance references"
    " representations scores",
    "callbacks": "checkpoints distribution divergence eventlog figures images metrics",
    "boundaries": "callbacks checkpoints evaluation eventlog figures images scores",
    "lifelong": "boundaries callbacks checkpoints distribution evaluation images nonfinite presets sampling"
    " streams",
    "student": "images losses networks",
    "twin_gan": "architectures images lakd lifelong losses networks presets sampling sectors student",
    "baselines": "baselines.curl baselines.joint baselines.joint_twins baselines.lgm baselines.replay twin_gan",
    "baselines.curl": "architectures baselines.curl_mixture baselines.settings images lifelong losses networks"
    " presets sampling",
    "baselines.curl_mixture": "losses networks",
    "baselines.joint": "baselines.replay streams",
    "baselines.joint_twins": "lakd twin_gan",
    "baselines.lgm": "architectures baselines.settings images lifelong losses networks presets",
    "baselines.replay": "lakd twin_gan",
    "baselines.settings": "",
    "loading": "baselines checkpoints exported streams",
}

# Each folder and the folders that it may import, itself aside.
FOLDERS = {
    "ltgans_tf": "",
    "export": "ltgans_tf",
    "trainers": "export ltgans_tf",
    "benchmarks": "export ltgans_tf trainers",
    "tests": "benchmarks export ltgans_tf trainers",
}

WITHOUT_TENSORFLOW = (
    "architectures",
    "baselines",
    "baselines.settings",
    "charts",
    "experiments",
    "jsonfiles",
    "lakd",
    "memorisation",
    "method_curves",
    "metrics",
    "preset_table",
    "presets",
    "provenance",
    "references",
    "scores",
    "specs",
    "upgrades",
)
RUN_WHAT_THEY_READ = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "code", "runpy"}
SAY_NOTHING = {"utils", "util", "common", "helpers", "helper", "misc"}

SOURCES = source_imports.source_files()
LIBRARY_SOURCES = [path for path in SOURCES if path.startswith("ltgans_tf/")]
MODULES = [path for path in LIBRARY_SOURCES if path != "ltgans_tf/__init__.py"]


def _row(path):
    return source_imports.module_name(path).removeprefix("ltgans_tf.")


@pytest.mark.parametrize("path", MODULES)
def test_module_imports_only_what_its_row_allows(path):
    assert _row(path) in LIBRARY, (
        f"{path} has no row in LIBRARY of tests/layering_test.py: add one that says what it may import."
    )
    own, _ = source_imports.dependencies(path)
    inside = {name.removeprefix("ltgans_tf.") for name in own if name.startswith("ltgans_tf")}
    extra = inside - set(LIBRARY[_row(path)].split())
    assert not extra, f"{path} imports {sorted(extra)}, which its row in LIBRARY does not allow."


def test_every_row_has_its_module():
    missing = LIBRARY.keys() - {_row(path) for path in MODULES}
    assert not missing, f"rows of LIBRARY without a module: {sorted(missing)}"


@pytest.mark.parametrize("path", SOURCES)
def test_folder_imports_only_folders_below_it(path):
    folder = path.partition("/")[0]
    own, _ = source_imports.dependencies(path)
    extra = {name.partition(".")[0] for name in own} - {folder, *FOLDERS[folder].split()}
    assert not extra, f"{path} imports from {sorted(extra)}; {folder}/ must not."


@pytest.mark.parametrize("path", LIBRARY_SOURCES)
def test_library_knows_no_flags(path):
    _, foreign = source_imports.dependencies(path)
    assert "absl" not in foreign, f"{path} imports absl: flags belong in trainers/ and export/."


def test_no_module_waits_for_itself():
    edges = {source_imports.module_name(path): source_imports.dependencies(path)[0] for path in SOURCES}
    graphlib.TopologicalSorter(edges).prepare()  # CycleError names the cycle


def test_no_file_has_a_name_that_says_nothing():
    named = [path for path in SOURCES if pathlib.Path(path).stem in SAY_NOTHING]
    assert not named, f"name these for what they hold: {named}"


@pytest.mark.parametrize("path", [path for path in SOURCES if not path.startswith("tests/")])
def test_nothing_unpickles_or_evaluates_text(path):
    assert not RUN_WHAT_THEY_READ & source_imports.imported_names(path)
    for node in ast.walk(source_imports.parse(path)):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        assert called not in ("eval", "exec", "compile", "__import__"), f"{path}:{node.lineno}"
        if called == "np.load":
            assert "allow_pickle=False" in ast.unparse(node), f"{path}:{node.lineno}"
        assert "safe_mode=False" not in ast.unparse(node), f"{path}:{node.lineno}"


@pytest.mark.parametrize("module", WITHOUT_TENSORFLOW)
def test_import_does_not_wait_for_tensorflow(module):
    program = (
        f"import sys, ltgans_tf.{module}\nprint(*sorted({{'tensorflow', 'keras'}} & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=source_imports.ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not done.stdout.strip(), f"ltgans_tf.{module} imports {done.stdout.strip()}"
