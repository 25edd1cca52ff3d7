"""The flags of `ltgans train` that spread a run over devices and machines."""

import contextlib

from absl import flags

from ltgans_tf.trainers import stopping

flags.disclaim_key_flags()  # --help lists them with the program that defines them
FLAGS = flags.FLAGS
_LONGEST_JOIN = 120.0  # seconds


def define_flags():
    """Defines the flags of this module."""
    flags.DEFINE_bool("deterministic", True, "Make every operation give the same bits again.")
    flags.DEFINE_enum(
        "distribution",
        "one",
        ["one", "mirrored", "multi_worker"],
        "Where the replicas are: on one device, on the GPUs of this machine, or on the machines that TF_CONFIG or"
        " SLURM names, each of which runs this command.",
    )
    flags.DEFINE_integer(
        "replicas",
        None,
        "Devices that --distribution=mirrored takes; by default all GPUs. Without GPUs: logical CPUs.",
        lower_bound=1,
    )
    flags.DEFINE_bool(
        "jit_compile",
        None,
        "Whether XLA compiles the passes of a step and their gradients. Needs one machine and --nodeterministic; None"
        " = yes if these hold and there is a GPU. Slower on CPU.",
    )
    flags.DEFINE_integer(
        "steps_per_execution",
        None,
        "How many steps one call of a graph takes at most, where no log, sample or checkpoint comes between them; None ="
        " 50 on a GPU and 1 elsewhere. It changes no weight.",
        lower_bound=1,
    )


def check():
    """Raises a ValueError if the flags combine settings that are not known to work together."""
    if FLAGS.jit_compile and FLAGS.distribution == "multi_worker":
        raise ValueError(
            "--jit_compile with --distribution=multi_worker: XLA has been tried on the devices of one machine alone; leave"
            " one of them out."
        )
    if (FLAGS.steps_per_execution or 1) > 1 and FLAGS.distribution == "multi_worker":
        raise ValueError(
            f"--steps_per_execution={FLAGS.steps_per_execution} with --distribution=multi_worker: several workers take"
            " steps one by one, so that all of them stop at the same one; leave it out."
        )
    if FLAGS.jit_compile and FLAGS.deterministic:
        raise ValueError(
            "--jit_compile needs --nodeterministic: two runs with XLA are not known to be equal bit by bit."
        )


def strategy(say, not_begun):
    """Returns the strategy of --distribution; one of several workers first waits for the others.

    Args:
      say: called with a line of text.
      not_begun: what to say if the workers cannot be joined.
    """
    from ltgans_tf.training import distribution

    joining = contextlib.nullcontext()
    if FLAGS.distribution == "multi_worker":
        say("waiting for the other workers to start")
        distribution.await_workers()
        # All workers could just be reached, so this takes a second unless one dies meanwhile.
        waiting = "this worker has waited {:.0f} s for the others to join; one of them may have died"
        joining = stopping.ended_at_once(waiting, not_begun, _LONGEST_JOIN)
    with joining:
        return distribution.strategy(FLAGS.distribution, FLAGS.replicas)


def jit_compile(tf):
    """Whether XLA compiles: the value of the flag, or else whether there is a GPU and the other flags allow it."""
    if FLAGS.jit_compile is None:
        allowed = FLAGS.distribution != "multi_worker" and not FLAGS.deterministic
        return allowed and bool(tf.config.list_physical_devices("GPU"))
    return FLAGS.jit_compile


def text(chosen):
    """Returns how the strategy `chosen` spreads a run, as text to append to its devices; '' on one device."""
    from ltgans_tf.training import distribution

    if FLAGS.distribution == "one":
        return ""
    found = f"; {FLAGS.distribution} over {chosen.num_replicas_in_sync} replicas"
    if (count := distribution.workers(chosen)) > 1:
        place = distribution.place(chosen)
        found += f", worker {place + 1} of {count}" + (
            ", whose first one tells the progress" if place else ""
        )
    return found
