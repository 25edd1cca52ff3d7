"""Places the replicas of a run: on one device, on several devices of one machine, or on several machines.

All of it uses `tf.distribute`. On several machines each process of a run is a worker; the first worker is
the chief, and only the chief writes.
"""

import contextlib
import ctypes
import hashlib
import logging
import os
import shutil
import threading
import time

import tensorflow as tf

from ltgans_tf.training import rendezvous

_log = logging.getLogger(__name__)
_TELL_EVERY = 30  # seconds
NAMES = ("one", "mirrored", "multi_worker")
# Errors of a collective operation when a worker that takes part in it dies.
_LOST = (
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.InternalError,
    tf.errors.UnavailableError,
)
# Options of glibc's malloc.h: bytes to keep at the end of the heap, and the size from which it asks the kernel.
_KEPT = {-2: 2**28, -3: 2**25}  # M_TOP_PAD, M_MMAP_THRESHOLD at its greatest


class WorkerLostError(ConnectionError):
    """Another worker of this run is gone, so that no step can be taken."""


def strategy(name="one", replicas=None):
    """Makes the strategy in whose scope a model is built; call it before TensorFlow has done anything else.

    Args:
      name: 'one' device (a GPU if there is one), 'mirrored' over the devices of this machine, or
        'multi_worker' over the machines that TF_CONFIG or SLURM names.
      replicas: how many devices 'mirrored' takes; None for all GPUs. A machine without GPUs is split into
        this many logical CPUs, for tests only: they are no faster than one.

    Returns:
      a tf.distribute.Strategy.

    Raises:
      ValueError: there are no such devices, or no cluster is named.
      ConnectionError: this worker could not join the others; its port may be in use.
    """
    if name not in NAMES:
        raise ValueError(f"distribution is {name!r}; it must be one of {', '.join(NAMES)}.")
    if replicas is not None and name != "mirrored":
        raise ValueError(
            f"replicas is {replicas}, which belongs to distribution 'mirrored' and not to {name!r}."
        )
    if name == "one":
        return tf.distribute.get_strategy()
    if name == "mirrored":
        return tf.distribute.MirroredStrategy(_devices(replicas))
    cluster = _cluster()
    _keep_freed_memory()
    try:
        return tf.distribute.MultiWorkerMirroredStrategy(cluster)
    except tf.errors.OpError as error:
        own = cluster.cluster_spec().job_tasks(cluster.task_type)[cluster.task_id]
        raise ConnectionError(
            f"worker {cluster.task_id} could not join the others as {own} ({str(error).splitlines()[0][:200]}); is its"
            " port in use by an earlier run, and do the others run?"
        ) from error


def await_workers():
    """Waits until all workers that TF_CONFIG or SLURM names have reached this point.

    Call it before `strategy`, which waits for them in C code that no signal interrupts.

    Raises:
      ValueError: no cluster is named.
      ConnectionError: the port of this worker is taken.
    """
    cluster = _cluster()
    jobs = cluster.cluster_spec().as_dict()
    own = jobs[cluster.task_type][cluster.task_id]
    addresses = [*jobs.get("chief", []), *jobs.get("worker", [])]
    if own not in addresses:
        raise ValueError(f"this process is a {cluster.task_type!r}; a run has a chief and workers alone.")
    rendezvous.await_others(addresses, addresses.index(own))


@contextlib.contextmanager
def _telling(what):
    """Warns every half minute during a wait for the other workers to `what`."""
    over, begin = threading.Event(), time.monotonic()

    def tell():
        while not over.wait(_TELL_EVERY):
            _log.warning(
                "this worker has waited %.0f s for the others to %s.", time.monotonic() - begin, what
            )

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield
    finally:
        over.set()
        teller.join()


def _keep_freed_memory():
    """Makes the C library, if it is glibc, keep the memory that one step frees for the next step.

    With several workers TensorFlow 2.21 reads data through an operation that makes glibc return blocks above 128 kB
    at once (generator_dataset_op.cc). Each step then gets the memory of its tensors page by page again: 6,400 page
    faults in a step of small32.
    """
    if mallopt := getattr(ctypes.CDLL(None), "mallopt", None):
        for option, size in _KEPT.items():
            mallopt(option, size)


def _devices(replicas):
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        if replicas is not None and replicas > len(gpus):
            raise ValueError(
                f"replicas is {replicas} and this machine has {len(gpus)} GPUs; give at most that."
            )
        return [f"GPU:{i}" for i in range(replicas or len(gpus))]
    if replicas is None:
        raise ValueError(
            "distribution 'mirrored' found no GPU; use 'one', or give the number of replicas to try it on"
            " logical CPUs."
        )
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * replicas
    )
    return [f"CPU:{i}" for i in range(replicas)]


def _cluster():
    """Returns the resolver that knows all workers, and which of them this process is."""
    if os.environ.get("TF_CONFIG"):
        try:
            resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver()
            tasks = resolver.cluster_spec().as_dict()[resolver.task_type]
            if not 0 <= resolver.task_id < len(tasks):
                raise ValueError(f"there is no {resolver.task_type} {resolver.task_id}")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(
                f"TF_CONFIG names no cluster of workers ({error}); see docs/distributed.md for one that does."
            ) from error
        return resolver
    if os.environ.get("SLURM_PROCID"):
        # Without GPUs the resolver would have 0 GPUs per task and fail, so it is given more than it will count.
        gpus = {} if shutil.which("nvidia-smi") else {"gpus_per_node": 1024, "gpus_per_task": 1}
        resolver = tf.distribute.cluster_resolver.SlurmClusterResolver(auto_set_gpu=not gpus, **gpus)
        resolver.cluster_spec()  # which also finds the place of this process
        return resolver
    raise ValueError(
        "distribution 'multi_worker' found neither TF_CONFIG nor a SLURM job; see docs/distributed.md for how"
        " to start its workers."
    )


def workers(strategy):
    """Number of processes that take part."""
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return 1
    cluster = strategy.cluster_resolver.cluster_spec().as_dict()
    return len(cluster.get("chief", [])) + len(cluster.get("worker", []))


def place(strategy):
    """Index of this process among the workers; 0 is the chief."""
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return 0
    resolver = strategy.cluster_resolver
    before = resolver.cluster_spec().as_dict().get("chief", []) if resolver.task_type == "worker" else []
    return len(before) + resolver.task_id


def own_rows(strategy, batch_size):
    """The rows of a batch that the replicas of this process take: a slice.

    tf.data's own sharding gives the replicas of a worker rows that are not adjacent. With several replicas a
    step would then not equal that of one device.
    """
    own = batch_size // workers(strategy)
    return slice(place(strategy) * own, (place(strategy) + 1) * own)


def as_elements(own_batches, batch_size):
    """Returns the dataset that `fit` takes on one of several workers.

    `fit` cuts an element into one part for each replica of all workers. A step takes one part for each replica
    of this worker. So an element holds the worker's own rows of as many steps as there are workers.

    Args:
      own_batches: an endless tf.data.Dataset of the worker's rows of one batch after another.
      batch_size: rows of a batch, over all workers together.

    Returns:
      an endless tf.data.Dataset.
    """
    elements = own_batches.unbatch().batch(batch_size, drop_remainder=True)
    # If a dataset may end, shapes are not static in a step of several workers.
    return elements.apply(tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY))


def packed(report):
    """Packs what a step on one of several workers returns into one tensor, for `unpacked`.

    Keras takes the mean over the workers of each tensor that a step returns, along axis 0, with two exchanges
    per tensor; so it gets only one tensor.

    Args:
      report: dict of float32 scalars whose names have no comma.

    Returns:
      {the names, a comma before each: float32 [1, number of scalars]}.
    """
    return {"".join(f",{name}" for name in report): tf.stack(list(report.values()))[None]}


def unpacked(logs):
    """Returns the dict of scalars that was `packed`, from Keras' mean of it; other logs are returned unchanged."""
    found = {}
    for name, value in (logs or {}).items():
        found |= dict(zip(name.split(",")[1:], tf.unstack(value))) if "," in name else {name: value}
    return found


def is_chief(strategy):
    """Whether this process is the one that writes; True if there is no other."""
    return place(strategy) == 0


def total(strategy, number):
    """Returns the sum of a number over all workers, which must all call this at the same point.

    A worker that comes first waits for the others.

    Args:
      strategy: of this process.
      number: an int or a bool.

    Returns:
      int.
    """
    if workers(strategy) == 1:
        return int(number)
    replicas = strategy.num_replicas_in_sync // workers(strategy)
    with _telling("come to the same point"):
        return int(_total(strategy, tf.constant(int(number), tf.int64))) // replicas


@tf.function
def _total(strategy, number):
    votes = strategy.run(lambda: tf.identity(number))
    return strategy.reduce(tf.distribute.ReduceOp.SUM, votes, axis=None)


def check_alike(strategy, facts):
    """Raises a ValueError in all workers if they differ in a fact; all must call this at the same point.

    Args:
      strategy: of this process.
      facts: {what: text}, the same names in the same order in all workers.
    """
    count = workers(strategy)
    if count == 1:
        return
    different = []
    for what, text in facts.items():
        number = int(hashlib.sha256(text.encode()).hexdigest()[:12], 16)
        if total(strategy, total(strategy, number) != number * count):
            different.append(what)
    if different:
        raise ValueError(
            f"the workers of this run differ in: {', '.join(different)}; start all of them with the same command,"
            " code and data."
        )


@contextlib.contextmanager
def all_workers(strategy):
    """Wraps code that needs all workers: an error because one is gone becomes a WorkerLostError."""
    try:
        yield
    except _LOST as error:
        if workers(strategy) == 1:
            raise
        raise WorkerLostError(
            "another worker of this run is gone, so this one ends too; the last checkpoint is safe: start all"
            f" workers again to continue from it ({str(error).splitlines()[0][:200]})."
        ) from error
