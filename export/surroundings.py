"""The variables of a user's environment that reach into a program: pinned, refused, or written down."""

import os

_LOCAL = "localhost,127.0.0.1,::1"
# Of Keras: the user's keras.json, for other programs, must not change what is trained; nor must these cut a run short.
_PINNED = {"KERAS_HOME": os.devnull, "KERAS_BACKEND": "tensorflow", "MPLBACKEND": "agg"}
_DROPPED = ("KERAS_MAX_EPOCHS", "KERAS_MAX_STEPS_PER_EPOCH", "KERAS_NNX_ENABLED")
_THREADS = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
# What may change the bits or the speed of a run, and so is written down with it.
_NOTED = (
    *_THREADS,
    *("OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES", "NVIDIA_TF32_OVERRIDE", "TF_CONFIG", "TF_DETERMINISTIC_OPS"),
    *("TF_CUDNN_DETERMINISTIC", "TF_ENABLE_ONEDNN_OPTS", "TF_FORCE_GPU_ALLOW_GROWTH", "TF_GPU_ALLOCATOR"),
    *("TF_USE_LEGACY_KERAS", "TF_XLA_FLAGS", "XLA_FLAGS"),
)


def pin():
    """Sets what the programs need to be the same for everybody; to be called before TensorFlow is imported.

    Keras is that of TensorFlow with its own defaults, whatever keras.json says. Matplotlib writes files: a
    notebook's MPLBACKEND may name what only a notebook has. gRPC asks no proxy for this machine.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.update(_PINNED)
    for name in _DROPPED:
        os.environ.pop(name, None)
    spared = os.environ.get("no_grpc_proxy") or os.environ.get("no_proxy") or os.environ.get("NO_PROXY")
    os.environ["no_grpc_proxy"] = f"{spared},{_LOCAL}" if spared else _LOCAL


def check():
    """Refuses variables that TensorFlow would take for another number without a word.

    Raises:
      ValueError: naming one of them.
    """
    for name in _THREADS:
        text = os.environ.get(name, "0")
        if not (text.isascii() and text.isdecimal() and len(text) < 6):
            raise ValueError(
                f"{name} is {text!r}; it must be a number of threads, 0 for all cores. Or unset it."
            )


def noted():
    """Those variables that may change the bits or the speed of a run, as they are set: dict."""
    return {name: os.environ[name] for name in _NOTED if name in os.environ}
