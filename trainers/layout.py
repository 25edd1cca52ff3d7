"""Over which devices and machines a run of `ltgans train` is spread, by its flags."""

import contextlib

from absl import flags

from ltgans_tf.trainers import stopping

FLAGS = flags.FLAGS
_LONGEST_JOIN = 120.0  # seconds


def check():
    """Raises a ValueError where the flags ask for what is not known to work together."""
    if FLAGS.jit_compile and FLAGS.distribution != "one":
        raise ValueError(
            f"--jit_compile with --distribution={FLAGS.distribution}: XLA has been tried on one device alone; leave one of"
            " them out."
        )
    if FLAGS.jit_compile and FLAGS.deterministic:
        raise ValueError(
            "--jit_compile needs --nodeterministic: of what XLA makes it is not known that two runs are equal bit by bit."
        )


def strategy(say, not_begun):
    """The strategy of --distribution; of several workers this one waits for the others first.

    Args:
      say: called with a line of text.
      not_begun: what to say if the workers cannot be joined.
    """
    from ltgans_tf.training import distribution

    joining = contextlib.nullcontext()
    if FLAGS.distribution == "multi_worker":
        say("waiting for the other workers to start")
        distribution.await_workers()
        # All of them have just been there, so that this takes a second unless one dies in it.
        waiting = "this worker has waited {:.0f} s for the others to join; one of them may have died"
        joining = stopping.ended_at_once(waiting, not_begun, _LONGEST_JOIN)
    with joining:
        return distribution.strategy(FLAGS.distribution, FLAGS.replicas)


def jit_compile(tf):
    """Whether XLA compiles: what the flag says, or else where it is of use and allowed."""
    if FLAGS.jit_compile is None:
        alone = FLAGS.distribution == "one" and not FLAGS.deterministic
        return alone and bool(tf.config.list_physical_devices("GPU"))
    return FLAGS.jit_compile


def text(chosen):
    """Over what a run with the strategy `chosen` is spread, to stand after its devices; '' on one device."""
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
