"""ltgans_tf: Lifelong Twin GANs on TensorFlow and Keras 3.

```python
import ltgans_tf as lt

stream = lt.TaskStream(["digits", "letters", "signs"], image_shape=(32, 32, 3), batch_size=32)
model = lt.TwinGAN.from_architecture("small32")
model.compile()
model.fit_stream(stream, steps_per_task=2000, workdir="runs/mine")
images = model.sample(64, seed=0)
letters = model.sample(64, seed=0, domain="letters")
```

Research builds on `networks`, `data`, `evaluation` and `methods`: the names that `dir` lists for them are public.
The other packages, and names that begin with _, are internal.

Names are looked up on first use, so that `import ltgans_tf` does not wait for TensorFlow.

This module sets two environment variables that TensorFlow reads on import, unless they are already set:

- TF_CPP_MIN_LOG_LEVEL=3 hides harmless notes and errors (about a missing GPU, or a graph that TensorFlow cannot
  rewrite). Exceptions are raised as usual.
- TF_ENABLE_ONEDNN_OPTS=1 makes TensorFlow use the library oneDNN on every x86 processor. By default TensorFlow 2.21
  does not use it on an AMD EPYC, for example, where a step without it takes 1.5 times as long (docs/benchmarks.md).
"""

import os
import platform

from ltgans_tf import _checkout, _lazy

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
if platform.machine() in ("x86_64", "AMD64"):
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

_HOMES = {
    "Evaluator": "evaluation",
    "LifelongModel": "methods",
    "NonFiniteError": "training.nonfinite",
    "Recipe": "settings.presets",
    "Student": "networks",
    "TaskStream": "data",
    "TwinGAN": "methods",
    "data": "data",
    "evaluation": "evaluation",
    "load": "loading",
    "methods": "methods",
    "networks": "networks",
    "score_matrix": "evaluation",
}

_checkout.extend_imports()
_find, __dir__, __all__ = _lazy.face(__name__, _HOMES)


def __getattr__(name):
    if name == "__version__":
        from ltgans_tf.files import provenance

        return provenance.VERSION
    return _find(name)
