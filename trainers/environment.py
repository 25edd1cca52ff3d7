"""Records what a run ran on: its devices, and environment.json of the workdir."""

import os
import platform
import sys

from ltgans_tf.export import environment_variables
from ltgans_tf.files import atomic
from ltgans_tf.trainers import processes


def devices(tf):
    """Returns the devices that TensorFlow found, as text."""
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        names = [tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name) for gpu in gpus]
        return f"devices: {len(gpus)} GPU ({', '.join(names)})"
    text = f"devices: CPU, {len(processes.cores())} cores"
    if os.path.exists("/proc/driver/nvidia/version"):
        text += (
            "; an NVIDIA driver is there but TensorFlow finds no usable GPU: install"
            " requirements-gpu.txt (tensorflow[and-cuda]) and see docs/installation.md"
        )
    return text


def write(workdir, keras, tf):
    """Writes environment.json: the command, the versions, the devices and the variables that matter."""
    environment = {
        "command": sys.orig_argv,
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "platform": platform.platform(),
        "devices": devices(tf),
        "variables": environment_variables.noted(),
    }
    atomic.write_json(os.path.join(workdir, "environment.json"), environment)
