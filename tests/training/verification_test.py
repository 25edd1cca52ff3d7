"""Every file of a workdir is in its verification: damage of each kind is named, and what is missing too."""

import pathlib
import shutil

import pytest

from ltgans_tf.training import verification

pytestmark = pytest.mark.program
# One file of each kind, and a word of what is said of it once it is cut to half of its length.
KINDS = {
    "boundary/task_00.npz": "is damaged",
    "config.json": "is damaged",
    "environment.json": "is damaged",
    "eval/extractor.npz": "is no extractor",
    "eval/references/task_00.npz": "is damaged",
    "eval/task_00/scores.json": "is damaged",
    "figures/stream.png": "is no picture",
    "newest_checkpoint.txt": "names no checkpoint",
}
NEEDED = [
    "boundary/task_00.npz",
    "eval/extractor.npz",
    "eval/references/task_00.npz",
    "eval/task_00/scores.json",
]


@pytest.fixture(name="workdir")
def _workdir(trained_by_program, tmp_path):
    return pathlib.Path(shutil.copytree(trained_by_program("ltgan").workdir, tmp_path / "run"))


def test_every_file_of_a_run_is_whole(workdir):
    found = verification.verify(str(workdir))
    assert not any(found.values()), found
    files = {str(path.relative_to(workdir)) for path in workdir.rglob("*") if path.is_file()}
    told = [name for name in files if name in found or any(name.startswith(f"{folder}/") for folder in found)]
    assert {name for name in files - set(told) if not pathlib.Path(name).name.startswith(".")} == set()


def test_damage_of_each_kind_of_file_is_named(workdir):
    for name in KINDS:
        content = (workdir / name).read_bytes()
        (workdir / name).write_bytes(content[: len(content) // 2])
    found = {name: reason for name, reason in verification.verify(str(workdir)).items() if reason}
    assert found.keys() == KINDS.keys()
    assert all(KINDS[name] in reason for name, reason in found.items()), found


def test_what_a_finished_task_needs_is_missed(workdir):
    tasks = len(list((workdir / "boundary").glob("*.done")))
    assert tasks > 1
    for name in NEEDED:
        (workdir / name).unlink()
    found = {name: reason for name, reason in verification.verify(str(workdir)).items() if reason}
    assert found == dict.fromkeys(NEEDED, "it is missing")
