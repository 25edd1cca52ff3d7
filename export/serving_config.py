"""The files that TensorFlow Serving reads, as text; nothing is written here.

models_config        which versions are served, and which of them is called stable or canary
batching_config      how requests are run together
monitoring_config    metrics for Prometheus
"""

import json

METRICS = "/monitoring/prometheus/metrics"


def models_config(versions, labels, root="/models"):
    """Returns a ModelServerConfig in text: one model a kind, with its versions and labels.

    The server checks labels before it loads, and refuses the whole file for one label in use that
    moves to a version which is not loaded yet: add a version in one file, move a label in the next.

    Args:
      versions: dict from kind ("generator", "encoder") to the versions to serve, ints.
      labels: dict with 'stable', a version, and 'canary', another one or None; for all kinds.
      root: folder of the kinds, as the server sees it.

    Raises:
      ValueError: a kind has no versions, or not one that a label names.
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

    Without a word on padding and allowed sizes: images, latents and codes have one shape each, and
    the exports take batches of any size.

    Args:
      max_batch_size: rows of the largest request; a larger one is refused.
      max_execution_batch_size: rows that are run at once; larger requests are split.
      batch_timeout_micros: how long a request waits for others, in microseconds.
      num_batch_threads: batches that are run side by side.
      max_enqueued_batches: batches that may wait in a queue.

    Raises:
      ValueError: a number that the server could not work with.
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
# A request of more rows than are run at once is split, where the server's default is to refuse it.
enable_large_batch_splitting {{ value: true }}
# Rows that are run at once, which bounds the memory that a run takes.
max_execution_batch_size {{ value: {max_execution_batch_size} }}
# A lone request waits so long for others; a millisecond is where the batching guide starts.
batch_timeout_micros {{ value: {batch_timeout_micros} }}
# Batches that are run side by side: set it to the cores of the server.
num_batch_threads {{ value: {num_batch_threads} }}
# When so many wait, requests are refused at once, so that no queue grows without end.
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
