"""flags.txt of a run, and where the run lies."""

import pytest

from ltgans_tf.trainers import flagfile


@pytest.fixture
def moved(tmp_path):
    """The folder of a run whose flags.txt names another place."""
    folder = tmp_path / "new place"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    flagfile.write(folder, {"workdir": tmp_path / "old", "tasks": "digits"})
    return folder


@pytest.mark.parametrize("form", [["--flagfile={}"], ["--flagfile", "{}"], ["--workdir=x", "-flagfile={}"]])
def test_flags_of_a_run_that_was_moved_are_refused(moved, form):
    file = moved / "flags.txt"
    words = [word.format(file) for word in form]
    with pytest.raises(ValueError, match="was moved or copied") as error:
        flagfile.check_place(words, str(moved.parent / "old"))
    assert f"'--flagfile={file}' '--workdir={moved}'" in str(error.value)


def test_the_words_that_go_on_name_the_workdir_where_flags_txt_does_not(moved):
    assert flagfile.words(moved) == [f"--flagfile={moved}/flags.txt", f"--workdir={moved}"]
    flagfile.write(moved, {"workdir": f"{moved}/"})
    assert flagfile.words(moved) == [f"--flagfile={moved}/flags.txt"]
    assert flagfile.words(moved / "none") == []


def test_a_workdir_after_the_flagfile_decides(moved):
    file, old = moved / "flags.txt", str(moved.parent / "old")
    flagfile.check_place([f"--flagfile={file}", f"--workdir={old}"], old)
    flagfile.check_place([f"--flagfile={file}"], str(moved))
    flagfile.check_place(["--", f"--flagfile={file}"], old)
    (moved / "config.json").unlink()  # settings alone, of no run
    flagfile.check_place([f"--flagfile={file}"], old)
