"""ltgans_tf: Lifelong Twin GANs on TensorFlow and Keras 3.

```python
import ltgans_tf as lt

stream = lt.TaskStream(["digits", "glyphs", "textures"], image_shape=(32, 32, 3), batch_size=32)
model = lt.TwinGAN.from_architecture("small32")
model.compile()
model.fit_stream(stream, steps_per_task=2000, workdir="runs/mine")
images = model.sample(64, seed=0)
```

Names are looked up when they are first used, so that `import ltgans_tf` does not wait for
TensorFlow.
"""

import importlib

from ltgans_tf.provenance import VERSION as __version__  # noqa: F401

_HOMES = {
    "Evaluator": "evaluation",
    "LifelongModel": "lifelong",
    "NonFiniteError": "lifelong",
    "Recipe": "presets",
    "Student": "student",
    "TaskStream": "streams",
    "TwinGAN": "twin_gan",
    "load": "loading",
    "score_matrix": "scores",
}

__all__ = sorted(_HOMES)


def __getattr__(name):
    if name in _HOMES:
        return getattr(importlib.import_module(f"ltgans_tf.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'ltgans_tf' has no attribute {name!r}")


def __dir__():
    return [*globals(), *_HOMES]
