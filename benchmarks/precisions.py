"""Measures the train step in each precision, with and without XLA, against the plain step in float32.

  python -m benchmarks.precisions --architecture=paper32 --batch_size=64 --n_critic=5 --out=precisions.json

The step of a later task (replay, distillation, Student) as the one compiled graph that `fit` calls,
`benchmarks/plain.py` in float32 beside it, and a float32 matrix product. All of them take turns in every repeat.
"""

import dataclasses

from absl import flags

import benchmarks
from benchmarks import step
from ltgans_tf.trainers import run

_PLAIN, _GEMM = "plain float32", "GEMM float32"


def main(_):
    given = flags.FLAGS
    arch, recipe = step.set_up()
    batches = step.digits(arch, 3, given.batch_size, given.n_critic + 1)
    results = {"conditions": benchmarks.conditions()} | measure(
        arch, recipe, batches, given.precisions, given.xla, given.repeats, given.seconds, given.warm_up
    )
    benchmarks.publish(results, report(results))


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
      JSON-ready dict: 'ms', for each candidate a `benchmarks.summary` of milliseconds;
      'new_images' of a step; 'gemm_gflops', the speed of the matrix product.
    """
    from benchmarks import plain
    from ltgans_tf.methods import twin_gan

    def candidate(method, precision, jit_compile):
        chosen = dataclasses.replace(recipe, precision=precision)
        model = step.model_at(method, arch, chosen, batches, True, step.LATER, jit_compile)
        return step.compiled_step(model, batches)

    candidates = {_PLAIN: candidate(plain.PlainTwinGAN, "float32", False)}
    for precision in precisions:
        candidates[precision] = candidate(twin_gan.TwinGAN, precision, False)
        if xla:
            candidates[f"{precision}, XLA"] = candidate(twin_gan.TwinGAN, precision, True)
    candidates[_GEMM], gemm_flops = step.gemm()
    times = step.in_turns(candidates, repeats, seconds, warm_up)
    return {
        "new_images": recipe.n_critic * batches.shape[1],
        "gemm_gflops": gemm_flops / times[_GEMM]["median"] * 1e-6,
        "ms": times,
    }


def report(results):
    """The table of `measure`'s results, as text."""
    times, rows = results["ms"], []
    for name, ms in times.items():
        row = [name, f"{ms['median']:.2f}", f"{ms['min']:.2f} to {ms['max']:.2f}"]
        if name == _GEMM:
            rows.append([*row, "", ""])
            continue
        images = f"{1e3 * results['new_images'] / ms['median']:.0f}"
        rows.append([*row, images, f"{times[_PLAIN]['median'] / ms['median']:.2f}"])
    columns = ["ms (median)", "min to max", "new images/s", "plain/this"]
    speed = f"\nThe matrix product: {results['gemm_gflops']:.0f} GFLOP/s."
    return benchmarks.table(["step of task 2 on", *columns], rows) + speed


if __name__ == "__main__":
    step.define_flags()
    flags.DEFINE_list("precisions", ["float32", "mixed_bfloat16", "mixed_float16"], "What to measure.")
    flags.DEFINE_bool("xla", True, "Whether each is also compiled by XLA.")
    flags.DEFINE_float("warm_up", 2.5, "Seconds that each candidate runs before.", 0.0)
    benchmarks.define_output()
    run(main)
