"""Fixtures of the tests of benchmarks."""

import pytest
from tensorflow.python.framework import config


@pytest.fixture(autouse=True)
def _operations_as_before():
    """A benchmark makes operations deterministic where training does; the next test begins without."""
    yield
    config.disable_op_determinism()
