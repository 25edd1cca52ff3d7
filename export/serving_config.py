"""The configuration files of TensorFlow Serving, as text.

models_config        the served versions, and which of them are labelled stable and canary
batching_config      how the server batches requests
monitoring_config    metrics for Prometheus
"""

import json

METRICS = "/monitoring/prometheus/metrics"


def models_config(versions, labels, root="/models"):
    """Returns a ModelServerConfig in text: one model for each kind, with its versions and labels.

    The server checks labels before it loads versions. It refuses the whole file if a label in use moves to a
    version that is not loaded yet: add the version in one file, and move the label in the next.

    Args:
      versions: {kind ("generator", "encoder"): versions to serve, ints}.
      labels: {'stable': a version, 'canary': another one or None}, for all kinds.
      root: folder of the kinds, as the server sees it.

    Raises:
      ValueError: there are no kinds, no stable version, or a kind lacks a version that has a label.
    """
    if not versions:
        raise ValueError("there are no versions to serve; push a run first.")
    named = {label: version for label, version in labels.items() if version is not None}
    if "stable" not in named:
        raise ValueError(f"no version is labelled stable in {labels}; name one of the versions to serve.")
    for kind, served in versions.items():
        _check_labels(kind, served, named)
    models = [_model(kind, sorted(served), named, f"{root}/{kind}") for kind, served in versions.items()]
    return "model_config_list {\n" + "".join(models) + "}\n"


def batching_config(
    max_batch_size=1024,
    max_execution_batch_size=64,
    batch_timeout_micros=1000,
    num_batch_threads=4,
    max_enqueued_batches=100,
):
    """Returns BatchingParameters in text.

    They set neither padding nor allowed sizes: images, latents and codes have one shape each, and
    the exports take batches of any size.

    Args:
      max_batch_size: rows of the largest request; the server refuses a larger one.
      max_execution_batch_size: most rows of one run; the server splits larger requests.
      batch_timeout_micros: how long a request waits for others, in microseconds.
      num_batch_threads: batches that run side by side.
      max_enqueued_batches: batches that may wait in a queue.

    Raises:
      ValueError: a number is out of range.
    """
    counts = (max_batch_size, max_execution_batch_size, num_batch_threads, max_enqueued_batches)
    if min(counts) < 1 or batch_timeout_micros < 0:
        raise ValueError(
            f"sizes and counts are {counts} and the timeout {batch_timeout_micros}; give at least 1 and 0."
        )
    if max_execution_batch_size > max_batch_size:
        raise ValueError(
            f"max_execution_batch_size is {max_execution_batch_size}, above max_batch_size"
            f" {max_batch_size}; give at most that."
        )
    return f"""\
# The largest request, in rows: enough for a page of samples. A larger one is refused.
max_batch_size {{ value: {max_batch_size} }}
# The server splits a request of more rows than are run at once. By default it would refuse it.
enable_large_batch_splitting {{ value: true }}
# Most rows of one run, which bounds its memory.
max_execution_batch_size {{ value: {max_execution_batch_size} }}
# How long a lone request waits for others. The batching guide suggests a millisecond to start with.
batch_timeout_micros {{ value: {batch_timeout_micros} }}
# Batches that run side by side: set it to the number of the server's cores.
num_batch_threads {{ value: {num_batch_threads} }}
# When so many batches wait, the server refuses further requests at once, so that no queue grows without end.
max_enqueued_batches {{ value: {max_enqueued_batches} }}
"""


def monitoring_config():
    """Returns a MonitoringConfig in text: metrics for Prometheus at METRICS on the REST port."""
    return f'prometheus_config {{\n  enable: true\n  path: "{METRICS}"\n}}\n'


def _check_labels(kind, served, labels):
    if not served:
        raise ValueError(f"there are no versions of the {kind} to serve; push one, or leave the kind out.")
    for label, version in labels.items():
        if version not in served:
            raise ValueError(
                f"the label {label} names version {version}, which is not among those of the {kind}"
                f" to serve, {sorted(served)}; add it there, or name one of them."
            )


def _model(kind, served, labels, folder):
    """One `config` of a ModelServerConfig."""
    lines = [f"name: {json.dumps(kind)}", f"base_path: {json.dumps(folder, ensure_ascii=False)}"]
    lines += ['model_platform: "tensorflow"', "model_version_policy {", "  specific {"]
    lines += [f"    versions: {version}" for version in served]
    lines += ["  }", "}"]
    lines += [
        f"version_labels {{ key: {json.dumps(label)} value: {version} }}" for label, version in labels.items()
    ]
    return "  config {\n" + "".join(f"    {line}\n" for line in lines) + "  }\n"
