"""Long tests that run when what they guard has changed: `pytest -m "not campaign or changed"`.

    python -m tests.campaigns          prints which campaigns have changed
    python -m tests.campaigns --run    runs every test and notes what has passed

A campaign is a set of tests with the mark `campaign(name)`. campaigns.json holds a hash of the files that
each one guards, as they were when all of its tests last passed. Comments and docstrings do not count.
"""

import ast
import hashlib
import io
import json
import subprocess
import sys
import tokenize

from tests import source_imports

# What each campaign guards: folders and files, its own tests among them.
GUARDED = {
    "crashes": "export ltgans_tf/data ltgans_tf/files ltgans_tf/methods ltgans_tf/training tests/faults"
    " tests/hostile/fault_checks.py tests/hostile/faults.py tests/hostile/watched_run.py"
    " tests/methods/resume_test.py tests/trainers/reproduce_test.py trainers",
    "docs": "docs mkdocs.yml requirements-docs.txt tests/extras_test.py",
    "exits": "export/plain_networks.py export/standalone.py requirements-exits.txt requirements.txt"
    " tests/export/plain_networks_test.py tests/extras_test.py tests/trainers/export_files_test.py"
    " tests/trainers/tracking_test.py trainers/reporting/card.py trainers/export_files.py trainers/tracking.py",
    "explore": "requirements-explore.txt requirements.txt tests/extras_test.py tests/trainers/explore_test.py"
    " tests/trainers/explored_test.py trainers/explore.py trainers/explored.py trainers/reporting/html_page.py",
    "graphs": "ltgans_tf/methods ltgans_tf/networks ltgans_tf/settings tests/methods",
    "measurements": "benchmarks ltgans_tf/methods ltgans_tf/networks tests/benchmarks",
    "notebook": "docs/notebook.md docs/run_notebook.py requirements-notebook.txt requirements.txt"
    " tests/extras_test.py tests/notebook_test.py",
    "paper": "ltgans_tf/evaluation/inception.py ltgans_tf/methods ltgans_tf/networks ltgans_tf/settings"
    " tests/evaluation/inception_test.py tests/settings",
    "workers": "ltgans_tf/data/streams.py ltgans_tf/methods ltgans_tf/networks ltgans_tf/training tests/methods"
    " tests/one_worker.py tests/training",
}
# Those that run in an environment of their own, .venv-NAME, and skip themselves where pip cannot make it.
EXTRAS = ("docs", "exits", "explore", "notebook")
# And what all of them are run with.
SHARED = "tests/artefacts.py tests/conftest.py tests/mirrored.py tests/programs.py tests/tiny.py"
RECORD = source_imports.ROOT / "tests" / "campaigns.json"


def fingerprint(guarded):
    """Returns a hash of all Python files and pages at the paths in the string `guarded`, and of SHARED."""
    digest = hashlib.sha256()
    for path in [*guarded.split(), *SHARED.split()]:
        place = source_imports.ROOT / path
        inside = (file for file in place.rglob("*.*") if file.suffix in (".md", ".py"))
        for file in [place] if place.is_file() else sorted(inside):
            digest.update(f"{file.relative_to(source_imports.ROOT).as_posix()}\0".encode())
            text = file.read_text(encoding="utf-8")
            digest.update((code(text) if file.suffix == ".py" else text).encode() + b"\0")
    return digest.hexdigest()


def code(text):
    """Returns the lines of a Python file without comments, docstrings and blank lines."""
    lines = text.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            lines[token.start[0] - 1] = lines[token.start[0] - 1][: token.start[1]]
    for node in ast.walk(ast.parse(text)):
        if (
            isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef))
            and ast.get_docstring(node) is not None
        ):
            docstring = node.body[0]
            lines[docstring.lineno - 1 : docstring.end_lineno] = [""] * (
                docstring.end_lineno - docstring.lineno + 1
            )
    return "\n".join(line.rstrip() for line in lines if line.strip())


def changed():
    """Returns the names of the campaigns whose files are not those of their last full pass."""
    passed = json.loads(RECORD.read_text(encoding="utf-8"))
    return [name for name, guarded in GUARDED.items() if passed.get(name) != fingerprint(guarded)]


def run_all():
    """Runs every test and, where all pass, writes what the files were when they began; returns the status.

    An extra whose environment could not be made was skipped, so it stays to be run.
    """
    passed = {name: fingerprint(guarded) for name, guarded in GUARDED.items()}
    status = subprocess.call([sys.executable, "-m", "pytest", "-n", "2", "--dist=worksteal", "-m", ""])
    for name in EXTRAS:
        if not (source_imports.ROOT / f".venv-{name}" / ".installed").exists():
            del passed[name]
    if not status:
        RECORD.write_text(json.dumps(passed, indent=1) + "\n", encoding="utf-8")
    return status


if __name__ == "__main__":
    if sys.argv[1:] == ["--run"]:
        sys.exit(run_all())
    print("changed:", " ".join(changed()) or "none")
