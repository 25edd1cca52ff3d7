"""What TensorFlow prints beside the library: nothing that looks like a crash, and every exception."""

import os
import subprocess
import sys

import pytest

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


@pytest.mark.program
def test_errors_of_cpp_code_are_hidden_and_exceptions_are_not():
    graph = "tf.io.decode_image(b'no image')"
    done = _python(f"import ltgans_tf, tensorflow as tf; tf.config.list_physical_devices(); {graph}")
    assert done.returncode == 1 and "InvalidArgumentError" in done.stderr
    assert not [line for line in done.stderr.splitlines() if line.startswith(("E0", "W0"))]
