"""Sets, checks and records the environment variables that affect a program."""

import os

_LOCAL = "localhost,127.0.0.1,::1"
# The user's keras.json is for other programs and must not change the training. The variables of _DROPPED could end
# the training early.
_PINNED = {"KERAS_HOME": os.devnull, "KERAS_BACKEND": "tensorflow", "MPLBACKEND": "agg"}
_DROPPED = ("KERAS_MAX_EPOCHS", "KERAS_MAX_STEPS_PER_EPOCH", "KERAS_NNX_ENABLED")
_THREADS = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
# These may change the bits or the speed of a run, so environment.json records them.
_NOTED = (
    *_THREADS,
    *("OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES", "NVIDIA_TF32_OVERRIDE", "TF_CONFIG", "TF_DETERMINISTIC_OPS"),
    *("TF_CUDNN_DETERMINISTIC", "TF_ENABLE_ONEDNN_OPTS", "TF_FORCE_GPU_ALLOW_GROWTH", "TF_GPU_ALLOCATOR"),
    *("TF_USE_LEGACY_KERAS", "TF_XLA_FLAGS", "XLA_FLAGS"),
)


def pin():
    """Sets the variables that must be the same for all users; call it before TensorFlow is imported.

    Keras runs on TensorFlow with its own defaults, whatever keras.json says. Matplotlib gets a backend that writes files,
    as the backend that a notebook sets works only there. gRPC uses no proxy to reach this machine.
    """
    os.environ.update(_PINNED)
    for name in _DROPPED:
        os.environ.pop(name, None)
    spared = os.environ.get("no_grpc_proxy") or os.environ.get("no_proxy") or os.environ.get("NO_PROXY")
    os.environ["no_grpc_proxy"] = f"{spared},{_LOCAL}" if spared else _LOCAL


def check():
    """Refuses numbers of threads that TensorFlow would silently misread.

    Raises:
      ValueError: a number is wrong; the message names the variable and its value.
    """
    for name in _THREADS:
        text = os.environ.get(name, "0")
        if not (text.isascii() and text.isdecimal() and len(text) < 6):
            raise ValueError(
                f"{name} is {text!r}; it must be a number of threads, 0 for all cores. Or unset it."
            )


def noted():
    """Returns the variables that are set and may change the bits or the speed of a run: dict."""
    return {name: os.environ[name] for name in _NOTED if name in os.environ}
