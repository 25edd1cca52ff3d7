"""The benchmark programs, `python -m benchmarks.<name>`; see docs/benchmarks.md."""

import os
import platform
import re
import statistics
import sys

from absl import flags

from ltgans_tf.export import path_flags
from ltgans_tf.files import atomic, paths, provenance

flags.disclaim_key_flags()  # --help lists them with the program that defines them


def define_output():
    """Defines the flags --out and --docs, which say where results go."""
    path_flags.define_path("out", None, "JSON file to write.")
    flags.DEFINE_string("docs", None, "FILE#NAME: Markdown file whose block NAME gets the table.")


def publish(results, report):
    """Prints the report; writes results and report where --out and --docs say.

    Args:
      results: JSON-ready dict with the 'conditions' of `conditions`.
      report: the same results as text.

    Raises:
      ValueError: the Markdown file lacks the block that --docs names.
    """
    print(report)
    write(flags.FLAGS.out, results)
    if flags.FLAGS.docs is not None:
        path, _, name = flags.FLAGS.docs.partition("#")
        fill(paths.local(path), name, _described(results["conditions"], report))


def fill(path, name, text):
    """Puts `text` between the lines `<!-- begin NAME -->` and `<!-- end NAME -->` of a Markdown file.

    Raises:
      ValueError: the file has no such lines.
    """
    with open(path, encoding="utf-8") as f:
        document = f.read()
    begin, end = (f"<!-- {word} {name} -->" for word in ("begin", "end"))
    before, found, rest = document.partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise ValueError(
            f"{path} has no block from {begin} to {end}; write these two lines where it belongs."
        )
    atomic.write_text(path, f"{before}{begin}\n{text}\n{end}{after}")


def _described(about, report):
    """A Markdown block: the command, the report, and what it was measured on."""
    command = re.sub(r" --(out|docs)=\S+", "", about["command"])
    devices = ", ".join(about["gpus"]) or f"{about['cores']} cores of {about['cpu']}"
    versions = f"Python {about['python']}, TensorFlow {about['tensorflow']}, Keras {about['keras']}"
    if "torch" in about:
        versions += f", torch {about['torch']}"
    return f"```\n$ {command}\n{report}\n```\n\nCommit {about['commit']}; {devices}; {versions}."


def conditions():
    """Returns the conditions of a measurement: command, versions, processor, commit; JSON-ready dict."""
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


def resident_mb():
    """Resident memory of this process in MB (10^6 bytes); from /proc, so on Linux only."""
    with open("/proc/self/status", encoding="utf-8") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS")) * 1024e-6


def summary(values):
    """Returns median, minimum and maximum of some numbers, and the numbers: JSON-ready dict."""
    values = [float(value) for value in values]
    return {"median": statistics.median(values), "min": min(values), "max": max(values), "values": values}


def write(path, results):
    """Writes `results` (JSON-ready) to the file `path`, unless `path` is None."""
    if path is None:
        return
    atomic.write_json(path, results)


def table(header, rows):
    """Returns a text table as one string; the first column is left-aligned, the others right-aligned."""
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
    except (OSError, StopIteration):  # not Linux, or /proc/cpuinfo names no processor
        return platform.processor()
