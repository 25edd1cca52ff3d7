"""How programs begin and end: variables from outside, exhausted memory, flagfiles that are none."""

import os
import random
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from absl import flags

from ltgans_tf.export import environment_variables, program
from ltgans_tf.trainers import train  # noqa: F401, defines the flags of the largest program
from tests import programs, source_imports


@pytest.fixture
def environment(monkeypatch):
    """The variables of this process, which are as before after the test."""
    for name in list(os.environ):
        monkeypatch.setenv(name, os.environ[name])
    return monkeypatch


def test_what_other_programs_are_set_up_for_does_not_reach_ours(environment):
    environment.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    environment.setenv("KERAS_MAX_EPOCHS", "1")
    environment.setenv("KERAS_BACKEND", "jax")
    environment.setenv("no_proxy", "intranet")
    environment.delenv("no_grpc_proxy", raising=False)
    environment_variables.pin()
    assert os.environ["MPLBACKEND"] == "agg" and os.environ["KERAS_BACKEND"] == "tensorflow"
    assert "KERAS_MAX_EPOCHS" not in os.environ
    assert os.environ["no_grpc_proxy"] == "intranet,localhost,127.0.0.1,::1"
    os.environ.pop("MPLBACKEND"), os.environ.pop("KERAS_BACKEND"), os.environ.pop("KERAS_HOME")


@pytest.mark.program
def test_keras_json_is_not_read(tmp_path):
    (tmp_path / "keras.json").write_text('{"floatx": "float16", "image_data_format": "channels_first"}')
    code = (
        "from ltgans_tf.export import environment_variables; environment_variables.pin()\n"
        "from ltgans_tf.files import keras_config; keras_config.check()\n"
        "import matplotlib"
    )
    given = {"KERAS_HOME": str(tmp_path), "KERAS_BACKEND": "jax", "MPLBACKEND": "module://nowhere"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=source_imports.ROOT,
        env={**os.environ, **given},
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr[-500:]


def test_threads_that_are_no_number_are_refused_by_name(environment):
    for text in ("two", "-1", "", "\N{SUPERSCRIPT TWO}"):
        environment.setenv("TF_NUM_INTRAOP_THREADS", text)
        with pytest.raises(ValueError, match="TF_NUM_INTRAOP_THREADS is "):
            environment_variables.check()
    environment.setenv("TF_NUM_INTRAOP_THREADS", "2")
    environment_variables.check()
    assert environment_variables.noted()["TF_NUM_INTRAOP_THREADS"] == "2"


def test_exhausted_memory_is_one_sentence(capsys):
    def full():
        np.empty(2**60, np.uint8)

    for error in (
        MemoryError(),
        tf.errors.ResourceExhaustedError(None, None, "OOM when allocating\ntensor"),
        tf.errors.UnknownError(None, None, "MemoryError: Unable to allocate 5 GiB"),
    ):
        assert program._is_of_memory(error)
        assert program._sentence(error).startswith("the memory is exhausted (")
        assert "\n" not in program._sentence(error)
    with pytest.raises(MemoryError) as caught:
        full()
    assert "Unable to allocate 1.00 EiB" in program._sentence(caught.value)
    assert not program._is_of_memory(KeyError("x"))


def test_without_a_folder_for_temporary_files_the_remedy_is_told(monkeypatch):
    def none():
        raise FileNotFoundError(2, "No usable temporary directory found in ['/tmp']")

    monkeypatch.setattr("tempfile.gettempdir", none)
    with pytest.raises(ValueError, match="No usable temporary directory .*; let TMPDIR name one"):
        program.import_tensorflow()


@pytest.mark.program
def test_what_tensorflow_probability_has_of_experiments_is_not_imported():
    code = (
        "import sys\nfrom ltgans_tf.export import program\nprogram.import_tensorflow()\n"
        "import tensorflow_probability as tfp\nprint(float(tfp.distributions.Normal(2.0, 1.0).mean()))\n"
        "assert 'tensorflow_probability.python.experimental.mcmc' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=source_imports.ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "2.0\n"), done.stderr


@pytest.mark.parametrize("seed", ["-1", "4294967296", "9" * 30])
def test_a_seed_that_no_generator_takes_is_named(seed):
    done = programs.run("ltgans_tf.trainers.train", "--workdir=x", f"--seed={seed}", "--dry_run")
    assert done.returncode == 2 and f"seed is {seed}; " in done.stderr and done.stderr.count("\n") == 1


def _parsed(argv, capsys):
    """(exit status or None, what was said) of the flags of ltgans train."""
    try:
        program._parse(["train", *argv])
        status = None
    except SystemExit as leave:
        status = leave.code
    flags.FLAGS.unparse_flags()
    return status, capsys.readouterr().err


def test_a_flagfile_that_is_none_is_one_sentence(tmp_path, capsys):
    for path in ("/bin/ls", tmp_path, tmp_path / "none"):
        status, said = _parsed([f"--flagfile={path}"], capsys)
        assert status == 2 and said.startswith("error: ") and said.count("\n") == 1, said
        assert "a flagfile cannot be read" in said and str(path) in said or path == "/bin/ls"
    assert "a flagfile cannot be read" in _parsed(["--flagfile=/bin/ls"], capsys)[1]


def test_a_flagfile_without_end_is_refused_at_once(tmp_path, capsys):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/zero")
    (tmp_path / "nested.txt").write_text(f"--seed=1\n--flagfile={tmp_path}/link\n")
    with open(tmp_path / "large.txt", "wb") as file:
        file.truncate(1 << 40)
    for words, what in (
        (["--flagfile=/dev/zero"], "/dev/zero is a device"),
        (["--workdir=x", "-flagfile", f"{tmp_path}/pipe"], "pipe is a device or a pipe"),
        ([f"--flagfile={tmp_path}/nested.txt"], "link is a device"),
        ([f"--flagfile={tmp_path}/large.txt"], "large.txt is larger than 1 MiB"),
    ):
        status, said = _parsed(words, capsys)
        assert status == 2 and said.startswith("error: ") and said.count("\n") == 1 and what in said, said
    (tmp_path / "circle.txt").write_text(f"--flagfile={tmp_path}/circle.txt\n--seed=3\n")
    assert _parsed([f"--flagfile={tmp_path}/circle.txt", "--workdir=x"], capsys)[0] is None


def test_random_flagfiles_are_read_or_refused_in_one_sentence(tmp_path, capsys):
    """500 flagfiles of bytes, of words, and of real flags with values at random."""
    draw, taken, refused = random.Random(0), 0, 0
    names = [
        name for name in flags.FLAGS if name not in ("flagfile", "help", "helpfull", "helpshort", "helpxml")
    ]
    words = [
        "--",
        "-",
        "=",
        "#",
        "//",
        '"',
        "'",
        ",",
        "\\",
        "\n",
        " ",
        "no",
        "1",
        "-1",
        "1e400",
        "nan",
        "\0",
        "~",
    ]
    words += ["--flagfile=", "digits", "folder:", "gs://", "\N{SUPERSCRIPT TWO}", "\ufeff", "9" * 5000]
    file = tmp_path / "flags.txt"
    for i in range(500):
        lines = []
        for _ in range(draw.randint(0, 4)):
            text = "".join(draw.choices(words, k=draw.randint(0, 4)))
            lines.append(f"--{draw.choice(names)}={text}" if i % 3 else text)
        content = "\n".join(lines).encode()
        if i % 10 == 0:
            content = draw.randbytes(60)
        file.write_bytes(content)
        status, said = _parsed([f"--flagfile={file}", "--workdir=x"], capsys)
        assert status in (None, 0, 2), (status, content)
        assert "Traceback" not in said
        taken, refused = taken + (status is None), refused + (status == 2)
    assert taken > 20 and refused > 200
