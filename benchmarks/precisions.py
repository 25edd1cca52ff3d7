"""Measures the train step in each precision, with and without XLA, against the plain step in float32.

  python -m benchmarks.precisions --architecture=paper32 --batch_size=64 --n_critic=5 --out=precisions.json

The step of a later task (replay, distillation, Student) as the one compiled graph that `fit` calls, and
`benchmarks/plain.py` in float32 beside it. All of them take turns in every repeat.
"""

import dataclasses

from absl import flags

import benchmarks
from benchmarks import step
from ltgans_tf import architectures, presets
from trainers import import_tensorflow, run

_PLAIN = "plain float32"


def main(_):
    given = flags.FLAGS
    arch = architectures.architecture(given.architecture)
    recipe = dataclasses.replace(presets.recipe(given.recipe, arch.name), n_critic=given.n_critic)
    tf = import_tensorflow()
    if given.deterministic:
        tf.config.experimental.enable_op_determinism()
    batches = step.digits(arch, 3, given.batch_size, given.n_critic + 1)
    times = measure(
        arch, recipe, batches, given.precisions, given.xla, given.repeats, given.seconds, given.warm_up
    )
    new_images = given.n_critic * given.batch_size
    results = {"conditions": benchmarks.conditions(), "new_images_per_step": new_images, "ms": times}
    benchmarks.publish(results, report(times, new_images))


def measure(arch, recipe, batches, precisions, xla=True, repeats=7, seconds=0.5, warm_up=2.5):
    """Measures the step in each of `precisions`, and the plain one, in turns.

    Args:
      arch: an `architectures.Architecture`.
      recipe: a `presets.Recipe`; its precision is not used.
      batches: uint8 [N, B, n_critic + 1, H, W, C], N batches to take in turn.
      precisions: values of the recipe's precision.
      xla: whether each is also compiled by XLA.
      repeats: how often each candidate has its turn.
      seconds: how long a turn takes, about.
      warm_up: seconds that each candidate runs before.

    Returns:
      dict: name of the candidate -> `benchmarks.summary` of milliseconds per step.
    """
    from benchmarks import plain
    from ltgans_tf import twin_gan

    def candidate(method, precision, jit_compile):
        chosen = dataclasses.replace(recipe, precision=precision)
        model = step.model_at(method, arch, chosen, batches, True, step.LATER, jit_compile)
        return step.compiled_step(model, batches)

    candidates = {_PLAIN: candidate(plain.PlainTwinGAN, "float32", False)}
    for precision in precisions:
        candidates[precision] = candidate(twin_gan.TwinGAN, precision, False)
        if xla:
            candidates[f"{precision}, XLA"] = candidate(twin_gan.TwinGAN, precision, True)
    return step.in_turns(candidates, repeats, seconds, warm_up)


def report(times, new_images):
    """The table of `measure`'s times, as text; the last column is the plain step's time over that row's."""
    rows = [
        [
            name,
            f"{ms['median']:.2f}",
            f"{ms['min']:.2f} to {ms['max']:.2f}",
            f"{1e3 * new_images / ms['median']:.0f}",
            f"{times[_PLAIN]['median'] / ms['median']:.2f}",
        ]
        for name, ms in times.items()
    ]
    header = ["step of task 2 on", "ms (median)", "min to max", "new images/s", "plain/this"]
    return benchmarks.table(header, rows)


if __name__ == "__main__":
    flags.DEFINE_string("architecture", "small32", "Networks, a name of ARCHITECTURES.")
    flags.DEFINE_string("recipe", "recommended", "The method's settings, paper or recommended.")
    flags.DEFINE_list("precisions", ["float32", "mixed_bfloat16", "mixed_float16"], "What to measure.")
    flags.DEFINE_bool("xla", True, "Whether each is also compiled by XLA.")
    flags.DEFINE_integer("batch_size", 32, "Images per critic update.", 1)
    flags.DEFINE_integer("n_critic", 1, "Critic updates per step.", 1)
    flags.DEFINE_bool("deterministic", True, "Whether operations are deterministic, as in train.")
    flags.DEFINE_integer("repeats", 7, "Turns of each candidate.", 1)
    flags.DEFINE_float("seconds", 0.5, "How long a turn takes.", 0.0)
    flags.DEFINE_float("warm_up", 2.5, "Seconds that each candidate runs before.", 0.0)
    benchmarks.define_output()
    run(main)
