"""What several tests share: tiny networks and a stream that needs no data but its own."""

import functools
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pytest
import tensorflow as tf

# Two logical CPUs, before any test initialises the devices: for the tests of tf.distribute.
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)

from export import push
from ltgans_tf.data import streams
from ltgans_tf.methods import twin_gan
from ltgans_tf.settings import architectures, presets
from tests import artefacts, campaigns

TINY = architectures.Architecture("tiny8", 8, 4, 3, (2, 8), ((8, 2), (4, 2)), (8, 16))

# Exports without the process that tries them, which takes seconds, and whatever the scores say.
UNTRIED = push.Terms("always", validate=False)


@pytest.hookimpl(tryfirst=True)  # before -m chooses by marks
def pytest_collection_modifyitems(items):
    """Gives the mark `changed` to the tests of campaigns whose files have changed since they passed."""
    changed = set(campaigns.changed())
    for item in items:
        if (mark := item.get_closest_marker("campaign")) and mark.args[0] in changed:
            item.add_marker("changed")
        if mark and mark.args[0] not in campaigns.GUARDED:
            raise pytest.UsageError(f"{item.nodeid}: GUARDED in tests/campaigns.py has no {mark.args[0]!r}")


@pytest.fixture(scope="session", autouse=True)
def _cache(tmp_path_factory):
    """A cache of trained extractors that is this session's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def trained_by_program(tmp_path_factory):
    """`artefacts.trained` in a folder of the whole test run: trained_by_program("ltgan")."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base
    return functools.partial(artefacts.trained, shared)


def make_stream(folder, tasks=3, batch_size=8, seed=0):
    """A stream of small random image sets, which it writes into `folder` where they are not there yet."""
    specs = []
    for i in range(tasks):
        path = folder / f"set{i}.npz"
        if not path.exists():
            draw = np.random.default_rng(i)
            low, high = 30 * i, 30 * i + 80
            np.savez(
                path,
                train_images=draw.integers(low, high, (40, 8, 8, 3), dtype=np.uint8),
                test_images=draw.integers(low, high, (12, 8, 8, 3), dtype=np.uint8),
            )
        specs.append(f"npz:{path}")
    return streams.TaskStream(specs, image_shape=(8, 8, 3), batch_size=batch_size, seed=seed)


def make_model(student=True, seed=0, **recipe):
    """A compiled TwinGAN of tiny networks; fields of the recipe by name, such as n_critic=2."""
    recipe = presets.Recipe(**{"student_optimizer": "adam(0.001)", **recipe})
    model = twin_gan.TwinGAN.from_architecture(TINY, 3, student, recipe, seed)
    model.compile()
    return model


@pytest.fixture
def tiny_stream(tmp_path):
    """`make_stream` in the folder of the test: tiny_stream(tasks=3, batch_size=8)."""
    return functools.partial(make_stream, tmp_path)


@pytest.fixture
def tiny_model():
    """`make_model`: tiny_model(n_critic=2, student=False)."""
    return make_model
