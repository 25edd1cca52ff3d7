"""Tiny networks, and streams that need no data but their own."""

import numpy as np

from ltgans_tf.data import streams
from ltgans_tf.export import push
from ltgans_tf.methods import twin_gan
from ltgans_tf.settings import architectures, presets

# By its name it has the recipe of paper32, whose steps have five critic updates.
TINY = architectures.Architecture("paper8", 8, 4, 3, (2, 8), ((8, 2), (4, 2)), (8, 16))

# Exports without the process that tries them, which takes seconds, and whatever the scores say.
UNTRIED = push.PushSettings("always", validate=False)


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
