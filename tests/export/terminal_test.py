"""What becomes of a program whose terminal is gone."""

import os
import subprocess
import sys
import time

from tests import source_imports

BEGIN = "import sys; from ltgans_tf.export import terminal; terminal.never_fail()\n"


def _python(program, **settings):
    settings = {"cwd": source_imports.ROOT, "stderr": subprocess.PIPE, **settings}
    return subprocess.Popen([sys.executable, "-c", BEGIN + program], text=True, **settings)


def _ended(process):
    _, errors = process.communicate(timeout=30)
    return process.returncode, errors


def test_a_pipe_that_is_closed_does_not_end_the_work(tmp_path):
    process = _python(
        f"for i in range(20000): print('line', i, flush=i % 2)\nopen('{tmp_path}/after', 'w').close()",
        stdout=subprocess.PIPE,
    )
    assert process.stdout.readline() == "line 0\n"
    process.stdout.close()
    assert process.wait(30) == 0 and process.stderr.read() == ""
    assert (tmp_path / "after").exists()


def test_a_full_disk_behind_the_output_does_not_end_the_work(tmp_path):
    with open("/dev/full", "w") as full:
        process = _python(
            f"print('a', flush=True)\nprint('b', file=sys.stderr)\nopen('{tmp_path}/after', 'w').close()",
            stdout=full,
            stderr=full,
        )
        assert process.wait(30) == 0
    assert (tmp_path / "after").exists()


def test_descriptors_that_are_closed_at_the_start_are_nobody_elses(tmp_path):
    program = (
        f"f = open('{tmp_path}/data', 'w'); assert f.fileno() > 2, f.fileno()\n"
        "print('lost'); sys.stdout.isatty(); import os; os.write(2, b'note')"
    )
    command = [sys.executable, "-c", BEGIN + program]
    close = "import os, sys; os.closerange(0, 3); os.execv(sys.executable, sys.argv[1:])"
    done = subprocess.run([sys.executable, "-c", close, *command], cwd=source_imports.ROOT)
    assert done.returncode == 0
    assert (tmp_path / "data").read_text() == ""


def test_letters_that_a_terminal_lacks_are_written_as_escapes():
    process = _python(
        "print('30 \\N{DEGREE SIGN}')", stdout=subprocess.PIPE, env={"PYTHONIOENCODING": "ascii"}
    )
    out, errors = process.communicate(timeout=30)
    assert (process.returncode, out, errors) == (0, "30 \\xb0\n", "")


def test_a_pipe_that_does_not_block_gets_every_line():
    ears, mouth = os.pipe()
    os.set_blocking(mouth, False)
    process = _python("print('x' * 300_000, flush=True)", stdout=mouth)
    os.close(mouth)
    time.sleep(0.2)  # the pipe is full by now
    with open(ears) as file:
        assert file.read() == "x" * 300_000 + "\n"
    assert _ended(process)[0] == 0
