"""What several tests share: tiny networks and a stream that needs no data but its own."""

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

TINY = architectures.Architecture("tiny8", 8, 4, 3, (2, 8), ((8, 2), (4, 2)), (8, 16))

# Exports without the process that tries them, which takes seconds, and whatever the scores say.
UNTRIED = push.Terms("always", validate=False)


@pytest.fixture(scope="session", autouse=True)
def _cache(tmp_path_factory):
    """A cache of trained extractors that is this session's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def tiny_stream(tmp_path):
    """Makes a stream of small random image sets: tiny_stream(tasks=3, batch_size=8)."""

    def make(tasks=3, batch_size=8, seed=0):
        specs = []
        for i in range(tasks):
            path = tmp_path / f"set{i}.npz"
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

    return make


@pytest.fixture
def tiny_model():
    """Makes a compiled TwinGAN of tiny networks: tiny_model(n_critic=2, student=False)."""

    def make(student=True, seed=0, **recipe):
        recipe = presets.Recipe(**{"student_optimizer": "adam(0.001)", **recipe})
        model = twin_gan.TwinGAN.from_architecture(TINY, 3, student, recipe, seed)
        model.compile()
        return model

    return make
