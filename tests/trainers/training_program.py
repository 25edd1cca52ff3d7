"""Runs `ltgans train` and other programs."""

from tests import programs


def run_program(*flags, module="ltgans_tf.trainers.train", **settings):
    return programs.run(module, *flags, **settings)


def refused_sentence(*flags, **settings):
    """Runs with bad input; returns its one sentence."""
    done = run_program(*flags, **settings)
    assert done.returncode == 2, (done.returncode, done.stderr[-500:])
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: "), done.stderr[-1000:]
    return lines[0]
