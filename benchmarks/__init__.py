"""The programs that measure: `python -m benchmarks.<name>`; see docs/benchmarks.md."""

import json
import os
import platform
import statistics
import sys

from ltgans_tf import provenance


def conditions():
    """What a number has to be read with: command, versions, processor, commit; JSON-ready dict."""
    import keras
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    return {
        "command": " ".join(["python", "-m", f"benchmarks.{_program()}", *sys.argv[1:]]),
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)),
        "gpus": [tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name) for gpu in gpus],
        "commit": provenance.commit(),
    }


def summary(values):
    """Median, least and greatest of some numbers, and the numbers: JSON-ready dict."""
    values = [float(value) for value in values]
    return {"median": statistics.median(values), "min": min(values), "max": max(values), "values": values}


def write(path, results):
    """Writes `results` (JSON-ready) to the file `path`; None writes nothing."""
    if path is None:
        return
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        json.dump(results, f, indent=1)
        f.write("\n")


def table(header, rows):
    """Columns of text, the first one left-aligned, the others to the right: one string."""
    lines = [[str(cell) for cell in row] for row in (header, *rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    return "\n".join(
        "  ".join(
            [line[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:]))]
        )
        for line in lines
    )


def _program():
    return os.path.splitext(os.path.basename(sys.argv[0]))[0]


def _cpu():
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as f:
            return next(line.partition(":")[2].strip() for line in f if line.startswith("model name"))
    except (OSError, StopIteration):  # not Linux, or a processor that is not named there
        return platform.processor()
