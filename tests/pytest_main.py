"""The main module of every py_test: runs pytest on the files that it is given."""

import os
import sys

import pytest


def main(arguments):
    """Returns pytest's exit code for `arguments`; Bazel's variables become its options."""
    arguments = ["-p", "no:cacheprovider", "-m", "not campaign", *arguments]
    if report := os.environ.get("XML_OUTPUT_FILE"):
        arguments.append(f"--junitxml={report}")
    if chosen := os.environ.get("TESTBRIDGE_TEST_ONLY"):
        arguments.append(f"-k={chosen}")
    status = pytest.main(arguments)
    return 0 if status == pytest.ExitCode.NO_TESTS_COLLECTED else status  # a file of campaigns alone


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
