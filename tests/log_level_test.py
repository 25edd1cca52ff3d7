"""What TensorFlow prints beside the library: nothing that looks like a crash, and every exception."""

import contextlib
import os
import platform
import subprocess
import sys

import pytest

from ltgans_tf import _import_notes
from tests import source_imports


def _python(program, **variables):
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=source_imports.ROOT,
        env={**environment, **variables},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize(("given", "held"), [({}, "3"), ({"TF_CPP_MIN_LOG_LEVEL": "0"}, "0")])
def test_the_log_level_of_tensorflow_is_set_unless_the_user_has(given, held):
    done = _python("import ltgans_tf, os; print(os.environ['TF_CPP_MIN_LOG_LEVEL'])", **given)
    assert (done.stdout, done.stderr) == (f"{held}\n", "")


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="oneDNN is asked for on x86 alone")
@pytest.mark.parametrize(("given", "held"), [({}, "1"), ({"TF_ENABLE_ONEDNN_OPTS": "0"}, "0")])
def test_onednn_computes_unless_the_user_wants_it_not(given, held, monkeypatch):
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS")
    done = _python("import ltgans_tf, os; print(os.environ['TF_ENABLE_ONEDNN_OPTS'])", **given)
    assert (done.stdout, done.stderr) == (f"{held}\n", "")


@pytest.mark.program
def test_errors_of_cpp_code_are_hidden_and_exceptions_are_not():
    graph = "tf.io.decode_image(b'no image')"
    done = _python(f"import ltgans_tf, tensorflow as tf; tf.config.list_physical_devices(); {graph}")
    assert done.returncode == 1 and "InvalidArgumentError" in done.stderr
    assert not [line for line in done.stderr.splitlines() if line.startswith(("E0", "W0"))]


@pytest.mark.program
def test_the_import_of_tensorflow_through_the_library_prints_nothing_of_its_own():
    done = _python("import ltgans_tf as lt; lt.TwinGAN; import sys; print('tensorflow' in sys.modules)")
    assert (done.stdout, done.stderr) == ("True\n", "")


def _printed(inside, capfd, monkeypatch, level="3"):
    """What reaches the descriptor of stderr of lines that `inside` writes where TensorFlow would be imported."""
    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", level)
    with contextlib.suppress(ImportError), _import_notes.hidden():
        inside()
    return capfd.readouterr().err


NOTES = (
    "WARNING: All log messages before absl::InitializeLog() is called are written to STDERR\n"
    "I0000 00:00:1.2    3 cudart_stub.cc:31] Could not find cuda drivers on your machine, GPU will not be used.\n"
    "2026-01-02 03:04:05.678901: I tensorflow/core/util/port.cc:153] oneDNN custom operations are on.\n"
)


def test_other_lines_of_an_import_are_printed(capfd, monkeypatch):
    def write():
        os.write(2, f"one\n{NOTES}two".encode())
        print("of Python", file=sys.__stderr__)

    assert _printed(write, capfd, monkeypatch) == "one\ntwoof Python\n"


def test_all_lines_are_printed_where_the_import_fails_or_the_user_wants_them(capfd, monkeypatch):
    def fail():
        os.write(2, NOTES.encode())
        raise ImportError

    assert _printed(fail, capfd, monkeypatch) == NOTES
    assert _printed(lambda: os.write(2, NOTES.encode()), capfd, monkeypatch, level="0") == NOTES
