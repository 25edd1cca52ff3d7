"""Measures how long a boundary takes after some number of tasks: the scores by their parts, and the push.

  python -m benchmarks.boundaries --tasks=3,50 --out=boundaries.json

The stream repeats the data sets of the preset `smoke` and has its evaluation. Neither the model nor the extractor
is trained, because times do not depend on their weights. One evaluator and one process of trials serve all numbers
of tasks, as in a run; they always measure the boundary after task 1 first. Seconds are wall time. If other programs
use the cores, look at the processor seconds of this process instead; they do not include the trial's.
"""

import os
import tempfile
import time

from absl import flags

import benchmarks
from ltgans_tf.settings import architectures, presets
from ltgans_tf.trainers import import_tensorflow, run


def main(_):
    given = flags.FLAGS
    numbers = sorted({int(text) for text in given.tasks})
    if not numbers or numbers[0] < 1:
        raise ValueError(f"tasks are {','.join(given.tasks)!r}; give numbers from 1 on, as 3,50.")
    tf = import_tensorflow()
    import keras

    from ltgans_tf.data import streams
    from ltgans_tf.methods import twin_gan

    conditions = benchmarks.conditions()
    keras.utils.set_random_seed(0)
    tf.config.experimental.enable_op_determinism()  # as ltgans train does
    preset = presets.preset("smoke")
    arch = architectures.architecture(preset.architecture)
    specs = [preset.tasks[i % len(preset.tasks)] for i in range(numbers[-1] + 1)]
    stream = streams.TaskStream(specs, (arch.image_size, arch.image_size, 3), preset.batch_size)
    model = twin_gan.TwinGAN.from_architecture(arch, 3, True, preset.recipe)
    rows = measure(model, stream, numbers, preset, given.past_tasks or None)
    settings = {"preset": "smoke", "past_tasks": given.past_tasks}
    results = {"conditions": conditions, "settings": settings, "rows": rows}
    benchmarks.publish(results, report(results))


def measure(model, stream, numbers, preset, past_tasks):
    """Measures the boundary after each of `numbers` tasks.

    Args:
      model: a `TwinGAN`.
      stream: a `TaskStream` with more tasks than any of `numbers`, so that no measured task is its last one.
      numbers: numbers of tasks learnt, ascending.
      preset: a `presets.Preset`, whose evaluation is used.
      past_tasks: see `EvaluatorSettings`.

    Returns:
      a JSON-ready dict for each of the numbers: 'tasks', 'parts' {part: seconds}, and 'scores', 'scores_cpu', 'push',
      'push_cpu' in seconds.
    """
    from ltgans_tf.evaluation import evaluation
    from ltgans_tf.export import judge, push

    evaluator = evaluation.Evaluator(
        extractor=_extractor(stream),
        samples=preset.eval_samples,
        test_images=preset.eval_images,
        iwae_images=preset.eval_iwae_images,
        kernel_subsets=10,
        past_tasks=past_tasks,
    )
    model.domain_names = [task.name for task in stream.tasks]
    info = {"run_id": "benchmark", "image_shape": list(stream.image_shape), "fit": stream.fit}
    trials, settings, rows = judge.Trials(), push.PushSettings("always", max_latency=60.0), []
    with tempfile.TemporaryDirectory() as folder:
        for count in dict.fromkeys([1, *numbers]):
            model.task_index.assign(count)
            begin = time.perf_counter(), time.process_time()
            row = evaluator.evaluate(model, stream, os.path.join(folder, "run"))
            between = time.perf_counter(), time.process_time()
            task = push.Task(count - 1, row.task)
            push.push(model, task, os.path.join(folder, "exports"), info, settings, row, trials=trials)
            end = time.perf_counter(), time.process_time()
            rows.append(
                {
                    "tasks": count,
                    "parts": row.seconds,
                    "scores": between[0] - begin[0],
                    "scores_cpu": between[1] - begin[1],
                    "push": end[0] - between[0],
                    "push_cpu": end[1] - between[1],
                }
            )
    trials.close()
    return [row for row in rows if row["tasks"] in numbers]


def report(results):
    """The table of the results, as text."""
    parts = list(dict.fromkeys(part for row in results["rows"] for part in row["parts"]))
    names = ["scores", "scores_cpu", "push", "push_cpu"]
    lines = [
        [
            row["tasks"],
            *(f"{row['parts'].get(part, 0.0):.2f}" for part in parts),
            *(f"{row[name]:.2f}" for name in names),
        ]
        for row in results["rows"]
    ]
    return benchmarks.table(["seconds after task", *parts, *names], lines)


def _extractor(stream):
    """Returns an untrained `features.Extractor` with one class for each task of a stream."""
    from ltgans_tf.evaluation import extractor_network, features

    names = [task.name for task in stream.tasks]
    network, _ = extractor_network.build(stream.image_shape, len(names), 0, False)
    return features.Extractor(network, [(i, None) for i in range(len(names))], {"domains": names})


if __name__ == "__main__":
    flags.DEFINE_list("tasks", ["3", "50"], "Numbers of tasks learnt.")
    flags.DEFINE_integer(
        "past_tasks", 10, "Past tasks that are measured in full, as in ltgans train; 0 for all.", 0
    )
    benchmarks.define_output()
    run(main)
