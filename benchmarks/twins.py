"""Measures what each twin alone has learnt in task 1, with one critic head, with two, and without a twin.

  python -m benchmarks.twins --steps=1200 --seeds=3 --tasks=digits --out=twins.json

Eq. 1 as written has one head, which sees only the sum over both twins; task 2 replays from one of
them alone. FCD is the Frechet distance on 64 features of a classifier of the real training
images, against the test part, lower is better; 'mixture' has half of its samples from each twin,
and 'floor' is real training images against the test part. A class is missing where it has less
than 2 % of the samples. The Student is off.
"""

import dataclasses
import statistics
import time

from absl import flags

import benchmarks
from ltgans_tf.export import path_flags
from ltgans_tf.settings import architectures, presets
from ltgans_tf.trainers import import_tensorflow, run

_EPOCHS = 8  # of the classifier
_MISSING = 0.02  # share of samples
_SOURCES = ("twin 0", "twin 1", "mixture")
# What is trained, by the critic's heads; with none there is one generator, as in `replay`.
_ARMS = {0: "one generator", 1: "1 head", 2: "2 heads"}


def main(_):
    given = flags.FLAGS
    arch = architectures.architecture(given.architecture)
    tf = import_tensorflow()
    if given.threads:
        tf.config.threading.set_intra_op_parallelism_threads(given.threads)
        tf.config.threading.set_inter_op_parallelism_threads(given.threads)
    import keras

    from ltgans_tf.data import streams

    conditions = benchmarks.conditions()
    keras.utils.set_random_seed(0)
    tf.config.experimental.enable_op_determinism()
    side = arch.image_size
    stream = streams.TaskStream([given.tasks], (side, side, 3), given.batch_size, data_dir=given.data_dir)
    judge = Judge(stream.tasks[0], given.samples)
    print(
        f"classifier: accuracy {judge.accuracy:.3f} on the test part; floor: FCD"
        f" {judge.floor:.2f} with {judge.count} samples",
        flush=True,
    )
    rows = []
    for seed in range(given.seeds):
        for heads in _ARMS:
            rows.append(measure(arch, heads, seed, given.steps, stream, judge))
            print(line(rows[-1]), flush=True)
    results = {
        "conditions": conditions,
        "settings": {
            "architecture": arch.name,
            "task": given.tasks,
            "steps": given.steps,
            "batch_size": given.batch_size,
            "seeds": given.seeds,
            "samples": judge.count,
            "threads": given.threads,
        },
        "classifier_accuracy": judge.accuracy,
        "floor": judge.floor,
        "rows": rows,
    }
    print(report(results))
    benchmarks.write(given.out, results)


class Judge:
    """A classifier of a task's real images, and what its features tell of samples.

    Args:
      task: a `streams.Task` with labels.
      samples: samples per distance; at most as many as there are test images.

    Attributes:
      count: samples per distance.
      accuracy: of the classifier on the test part.
      floor: FCD of `count` training images to the test part.
    """

    def __init__(self, task, samples):
        from ltgans_tf.data import images
        from ltgans_tf.evaluation import features

        train, labels = task.train_images(), task.train_labels()
        if labels is None:
            raise ValueError(
                f"{task.name} has no labels, which the classifier is trained on; give"
                " --tasks a data set with labels."
            )
        self.count = min(samples, task.num_test, task.num_train)
        test = images.normalize(task.test_images(self.count))
        self.classifier = features.train([features.Domain(task.name, train, labels)], epochs=_EPOCHS)
        self.num_classes = len(self.classifier.class_table)
        tests = features.Domain(task.name, task.test_images(self.count), task.test_labels(self.count))
        self.accuracy = self.classifier.check([tests])["class_accuracy"]
        self._test_features = self._features(test)
        self.floor = self.fcd(images.normalize(task.train_images(self.count)))

    def _features(self, samples):
        from ltgans_tf.evaluation import metrics

        return metrics.features_of(self.classifier.features, samples)

    def fcd(self, samples):
        """FCD of float [count, H, W, C] in [-1, 1] to the test part."""
        from ltgans_tf.evaluation import metrics

        return metrics.frechet_distance(self._test_features, self._features(samples))

    def shares(self, samples):
        """Share of each class among `samples` as the classifier sees them: list of floats."""
        import numpy as np

        counts = np.bincount(self.classifier.classes(samples), minlength=self.num_classes)
        return [float(count) / len(samples) for count in counts]


def measure(arch, heads, seed, steps, stream, judge):
    """Trains task 1 and scores each twin and their mixture, or the one generator: JSON-ready dict.

    `heads` is a key of _ARMS.
    """
    import tensorflow as tf

    from ltgans_tf.methods import registry

    # Distillation, which needs two heads, does nothing in task 1.
    recipe = presets.recipe("recommended", arch.name)
    recipe = dataclasses.replace(recipe, distillation=0.0, critic_heads=heads or 1)
    method = registry.method_class("ltgan" if heads else "finetune")
    model = method.from_architecture(arch, stream.image_shape[-1], False, recipe, seed)
    model.compile()
    begin = time.monotonic()
    model.fit_stream(stream, steps, stop_after_task=0)
    seconds = time.monotonic() - begin
    latents = model.latents(judge.count, seed=1)
    twins = [model.sample_from(generator, latents) for generator in model.generators]
    half = judge.count // 2
    mixture = [tf.concat([twins[0][:half], twins[1][half:]], 0)] if heads else []
    sets = dict(zip(_SOURCES, [*twins, *mixture]))
    row = {"heads": heads, "seed": seed, "seconds": seconds}
    for name, samples in sets.items():
        shares = judge.shares(samples)
        row[name] = {
            "fcd": judge.fcd(samples),
            "shares": shares,
            "missing": [i for i, share in enumerate(shares) if share < _MISSING],
        }
    return row


def line(row):
    """One run's scores in a line."""
    scores = "; ".join(
        f"{name} FCD {row[name]['fcd']:.1f}, missing {row[name]['missing'] or 'none'}"
        for name in _SOURCES
        if name in row
    )
    return f"{_ARMS[row['heads']]}, seed {row['seed']} ({row['seconds']:.0f} s): {scores}"


def report(results):
    """Mean over seeds and the spread, by heads: text."""
    rows = []
    for heads, arm in _ARMS.items():
        runs = [row for row in results["rows"] if row["heads"] == heads]
        for name in [name for name in _SOURCES if all(name in row for row in runs)]:
            fcd = [row[name]["fcd"] for row in runs]
            missing = [len(row[name]["missing"]) for row in runs]
            smallest = [min(row[name]["shares"]) for row in runs]
            rows.append(
                [
                    f"{arm}, {name}" if heads else arm,
                    f"{statistics.mean(fcd):.1f}",
                    f"{min(fcd):.1f} to {max(fcd):.1f}",
                    f"{statistics.mean(missing):.1f}",
                    f"{statistics.mean(smallest):.3f}",
                ]
            )
    rows.append(["real images (floor)", f"{results['floor']:.2f}", "", "", ""])
    return benchmarks.table(["task 1", "FCD (mean)", "min to max", "missing classes", "smallest share"], rows)


if __name__ == "__main__":
    flags.DEFINE_integer("steps", 1200, "Steps of each run.", 1)
    flags.DEFINE_integer("seeds", 3, "Runs with each number of heads, with seeds 0, 1, ...", 1)
    flags.DEFINE_string("tasks", "digits", "One task spec with labels.")
    flags.DEFINE_string("architecture", "small32", "Networks, a name of ARCHITECTURES.")
    flags.DEFINE_integer("batch_size", 32, "Images per critic update.", 1)
    flags.DEFINE_integer("samples", 1000, "Samples per distance.", 2)
    flags.DEFINE_integer("threads", 0, "Threads of TensorFlow; 0 lets it choose.", 0)
    path_flags.define_path("data_dir", None, "Folder whose <name>.npz files stand for data sets.")
    path_flags.define_path("out", None, "JSON file to write.")
    run(main)
