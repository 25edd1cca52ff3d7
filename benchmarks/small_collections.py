"""Measures from how many training images on DiffAugment or mirror images help: one task, with and without.

  python -m benchmarks.small_collections --data_dir=DIR --set=fashion_mnist --out=small.json

A task is the first images of the set's training part. Scores are taken on the last images of the same part, which are
held out, and on the features of a classifier of the images between them, so that the set's test part is not read. One
generator learns, with the recipe `recommended` otherwise and without a Student.
"""

import dataclasses
import os
import tempfile
import time

from absl import flags

import benchmarks
from ltgans_tf.export import path_flags
from ltgans_tf.settings import presets
from ltgans_tf.trainers import import_tensorflow, run

_SETTINGS = ("set", "steps", "batch_size", "held_out", "horizontal_flips", "seed")
_SCORES = ("fcd", "fcd_floor", "recall", "copies", "nearest_ratio", "generated_nearer")


def main(_):
    given = flags.FLAGS
    import_tensorflow()
    results = {
        "conditions": benchmarks.conditions(),
        "settings": {name: given[name].value for name in _SETTINGS},
        "rows": [],
    }
    with tempfile.TemporaryDirectory() as folder:
        counts = [int(count) for count in given.counts]
        extractor = cut(os.path.join(given.data_dir, f"{given.set}.npz"), folder, counts, given.held_out)
        for count in counts:
            for policy in given.policy:
                row = measure(os.path.join(folder, f"{count}.npz"), policy, extractor)
                results["rows"].append({"images": count, "diffaugment": policy, **row})
                benchmarks.write(given.out, results)  # of what is done, should the rest not come
    benchmarks.publish(results, report(results))


def cut(path, folder, counts, held_out):
    """Writes a set of each size into `folder`, as SIZE.npz, all with the same held-out images.

    Returns:
      a `features.Extractor` of the training images that are in none of them.

    Raises:
      ValueError: fewer images than that takes.
    """
    import numpy as np

    from ltgans_tf.data import streams
    from ltgans_tf.evaluation import features

    with np.load(path, allow_pickle=False) as file:
        shown, labels = file["train_images"], file["train_labels"]
    first, last = max(counts), len(shown) - held_out
    if last <= first:
        raise ValueError(
            f"{path} has {len(shown)} training images, and {first} and {held_out} held-out ones leave none for the"
            " classifier; give smaller --counts or --held_out."
        )
    parts = {f"{count}.npz": slice(count) for count in counts} | {"between.npz": slice(first, last)}
    for name, part in parts.items():
        np.savez(
            os.path.join(folder, name),
            train_images=shown[part],
            train_labels=labels[part],
            test_images=shown[last:],
            test_labels=labels[last:],
        )
    (task,) = streams.TaskStream([f"npz:{folder}/between.npz"]).tasks
    return features.train([features.Domain("between", task.train_images(), task.train_labels())])


def measure(path, policy, extractor):
    """Learns the task at `path`; returns its scores and seconds: JSON-ready dict."""
    from ltgans_tf.data import streams
    from ltgans_tf.evaluation import evaluation
    from ltgans_tf.methods import twin_gan

    given, began = flags.FLAGS, time.monotonic()
    stream = streams.TaskStream(
        [f"npz:{path}"],
        batch_size=given.batch_size,
        seed=given.seed,
        horizontal_flips=given.horizontal_flips,
    )
    recipe = presets.recipe("recommended", given.architecture)
    recipe = dataclasses.replace(recipe, diffaugment=policy, first_learners=1)
    model = twin_gan.TwinGAN.from_architecture(given.architecture, 3, False, recipe, given.seed)
    model.compile()
    model.fit_stream(stream, given.steps, callbacks=[], boundary_callbacks=[])
    evaluator = evaluation.Evaluator(
        samples=given.held_out, kernel_subsets=1, parts=("distances", "audit"), extractor=extractor
    )
    row = evaluator.evaluate(model, stream)
    found = {**row.scores[row.task], **row.union}
    return {name: found[name] for name in _SCORES} | {"seconds": time.monotonic() - began}


def report(results):
    """The table of the results, as text."""
    rows = [
        [row["images"], row["diffaugment"], *(f"{row[name]:.3f}" for name in _SCORES)]
        for row in results["rows"]
    ]
    return benchmarks.table(["images", "diffaugment", *_SCORES], rows)


if __name__ == "__main__":
    path_flags.define_path("data_dir", None, "Folder with the set as <name>.npz.", required=True)
    flags.DEFINE_string("set", "fashion_mnist", "Name of the set.")
    flags.DEFINE_list("counts", ["100", "300", "1000", "3000"], "Training images.")
    flags.DEFINE_multi_string(
        "policy",
        ["none", ",".join(presets.AUGMENTATIONS)],
        "A run's --diffaugment; may be given several times.",
    )
    flags.DEFINE_boolean("horizontal_flips", False, "Show training images as their mirror images too.")
    flags.DEFINE_string("architecture", "small32", "Networks.")
    flags.DEFINE_integer("steps", 1500, "Steps of each run.", lower_bound=1)
    flags.DEFINE_integer("batch_size", 16, "Images in a critic update.", lower_bound=1)
    flags.DEFINE_integer("held_out", 1500, "Held-out images, and generated ones.", lower_bound=700)
    flags.DEFINE_integer("seed", 0, "Seed of weights, data order and noise.")
    benchmarks.define_output()
    run(main)
