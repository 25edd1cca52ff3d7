"""Measures training from a folder that is too large to be read at once.

  python -m benchmarks.streaming --images=100000 --steps=300 --out=streaming.json

Makes a folder of so many JPEG files of 48x48 pixels (or takes the one that --folder names), then trains
`small32` on it: seconds from the opening of the stream to the first batch, how much of the time the step
waits for images, and how far resident memory rises above that of the networks at work. Memory is read from
/proc, so on Linux only.
"""

import os
import tempfile
import time

from absl import flags

import benchmarks
from ltgans_tf.export import path_flags
from ltgans_tf.settings import presets
from ltgans_tf.trainers import import_tensorflow, run

_SIDE = 48
_PER_FOLDER = 1000
_WARM_UP = 20  # steps, on one batch in memory, with which the networks get their memory


def main(_):
    given = flags.FLAGS
    tf = import_tensorflow()
    tf.config.experimental.enable_op_determinism()
    conditions = benchmarks.conditions()
    with tempfile.TemporaryDirectory() as made:
        folder = given.folder
        if folder is None:
            folder = os.path.join(made, "images")
            make_folder(folder, given.images)
        results = measure(folder, given.batch_size, given.steps)
    settings = {"images": given.images, "batch_size": given.batch_size}
    benchmarks.publish({"conditions": conditions, "settings": settings, **results}, report(results))


def make_folder(folder, count):
    """Writes `count` different JPEG files, a thousand to a subfolder."""
    import numpy as np
    import tensorflow as tf

    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (count, 6, 6, 3), dtype=np.uint8)
    for first in range(0, count, _PER_FOLDER):
        place = os.path.join(folder, f"{first // _PER_FOLDER:04d}")
        os.makedirs(place)
        images = tf.image.resize(coarse[first : first + _PER_FOLDER], (_SIDE, _SIDE))
        for i, image in enumerate(tf.cast(images, tf.uint8)):
            tf.io.write_file(os.path.join(place, f"{first + i:06d}.jpg"), tf.io.encode_jpeg(image))


def measure(folder, batch_size, steps, architecture="small32"):
    """Trains a new `TwinGAN` of that architecture on `folder` for so many steps.

    Returns:
      JSON-ready dict: 'first_batch_s', 'step_ms' and 'wait_ms' (medians), 'wait_share' of all steps
      together, 'memory_mb' of the networks at work and 'risen_mb' at a third of the steps and at the end.
    """
    import numpy as np

    from ltgans_tf.data import streams
    from ltgans_tf.methods import twin_gan

    recipe = presets.recipe("recommended", "small32")
    model = twin_gan.TwinGAN.from_architecture(architecture, recipe=recipe)
    model.compile()
    step, count = model.make_train_function(), model.new_batches(0)
    still = np.zeros((batch_size, count, *model.image_shape), np.uint8)
    for _ in range(_WARM_UP):
        float(step(iter([still]))["critic/loss"])
    before = benchmarks.resident_mb()
    begin = time.perf_counter()
    (task,) = streams.TaskStream([f"folder:{folder}"], model.image_shape, batch_size).tasks
    batches = iter(task.batches(0, count))
    batch = next(batches)
    first = time.perf_counter() - begin
    waits, times, risen = [], [], []
    for i in range(steps):
        begin = time.perf_counter()
        float(step(iter([batch]))["critic/loss"])
        stepped = time.perf_counter()
        batch = next(batches)
        waits.append(time.perf_counter() - stepped)
        times.append(stepped - begin)
        if i + 1 in (max(1, steps // 3), steps):
            risen.append(benchmarks.resident_mb() - before)
    return {
        "first_batch_s": first,
        "step_ms": 1e3 * float(np.median(times)),
        "wait_ms": 1e3 * float(np.median(waits)),
        "wait_share": sum(waits) / (sum(waits) + sum(times)),
        "memory_mb": before,
        "risen_mb": risen,
    }


def report(results):
    """The results of `measure` as text."""
    risen = " and ".join(f"{value:.0f} MB" for value in results["risen_mb"])
    return (
        f"first batch after {results['first_batch_s']:.1f} s\n"
        f"step {results['step_ms']:.1f} ms, wait for images {results['wait_ms']:.2f} ms (medians);"
        f" {results['wait_share']:.1%} of the time is waited\n"
        f"memory {results['memory_mb']:.0f} MB, risen by {risen} at a third of the steps and at the end"
    )


if __name__ == "__main__":
    flags.DEFINE_integer("images", 100_000, "Files of the folder that is made.", 1)
    path_flags.define_path("folder", None, "A folder of images to take in place of a new one.")
    flags.DEFINE_integer("batch_size", 32, "Images per critic update.", 1)
    flags.DEFINE_integer("steps", 300, "Steps to measure.", 1)
    benchmarks.define_output()
    run(main)
