"""Fixtures of many tests. Nothing here waits for TensorFlow, which what hands tests to others never needs."""

import functools
import os

import pytest

import ltgans_tf  # noqa: F401, which sets what TensorFlow reads from the environment
from tests import artefacts, campaigns, programs


def pytest_configure(config):
    """Makes two logical CPUs, for the tests of tf.distribute, before any test initialises the devices."""
    if getattr(config.option, "dist", "no") != "no":
        return  # this process only hands tests to its workers
    import tensorflow as tf

    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
    )


@pytest.hookimpl(tryfirst=True)  # before -m chooses by marks
def pytest_collection_modifyitems(items):
    """Gives the mark `changed` to the tests of campaigns whose files have changed since they passed."""
    changed = set(campaigns.changed())
    for item in items:
        if mark := item.get_closest_marker("campaign"):
            (name,) = mark.args
            if name not in campaigns.GUARDED:
                raise pytest.UsageError(f"{item.nodeid}: GUARDED in tests/campaigns.py has no {name!r}")
            if name in changed:
                item.add_marker("changed")


def pytest_collection_finish(session):
    """Lets programs start with their imports done where more than refusals are to be run."""
    programs.imported = any(map(_runs_programs, session.items))


def _runs_programs(item):
    return bool(item.get_closest_marker("program") or item.get_closest_marker("campaign"))


@pytest.fixture(scope="session", autouse=True)
def _cache(tmp_path_factory):
    """A cache of trained extractors that is this session's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session", autouse=True)
def _no_default_scores():
    """Scores after each task take longer than what most tests learn; the others ask for them."""
    from ltgans_tf.training import boundaries

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(boundaries, "default_callbacks", lambda workdir: [])
        yield


@pytest.fixture(scope="session")
def trained_by_program(tmp_path_factory):
    """`artefacts.trained` in a folder of the whole test run: trained_by_program("ltgan")."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base
    return functools.partial(artefacts.trained, shared)


@pytest.fixture
def tiny_stream(tmp_path):
    """`tiny.make_stream` in the folder of the test: tiny_stream(tasks=3, batch_size=8)."""
    from tests import tiny

    return functools.partial(tiny.make_stream, tmp_path)


@pytest.fixture
def tiny_model():
    """`tiny.make_model`: tiny_model(n_critic=2, student=False)."""
    from tests import tiny

    return tiny.make_model
