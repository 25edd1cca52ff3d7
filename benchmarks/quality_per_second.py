"""Measures how soon a run draws well: FCD against wall time on the first task of the demo.

  python -m benchmarks.quality_per_second --seconds=15,25,45,90 --seeds=3 --out=quality.json

Trains `small32` on the digits and stops the clock for each measurement: time is that of the steps, with
their tracing and with the data, without the start of Python. FCD is that of `ltgans evaluate`, on a
classifier that is trained once, of 2,000 samples against the test images.
"""

import dataclasses
import time

from absl import flags

import benchmarks
from ltgans_tf.settings import presets
from ltgans_tf.trainers import import_tensorflow, run

_SAMPLES = 2000


def main(_):
    given = flags.FLAGS
    seconds = sorted(float(text) for text in given.seconds)
    if not seconds or seconds[0] <= 0:
        raise ValueError(f"--seconds is {','.join(given.seconds)!r}; give times above 0, as 15,25,45.")
    preset = presets.preset("demo")
    recipe = presets.recipe(given.recipe, preset.architecture)
    if given.n_critic:
        recipe = dataclasses.replace(recipe, n_critic=given.n_critic)
    recipe = dataclasses.replace(recipe, precision=given.precision)
    tf = import_tensorflow()
    tf.config.experimental.enable_op_determinism()
    conditions = benchmarks.conditions()
    measure_fcd = _fcd(preset)
    results = {
        "conditions": conditions,
        "settings": {
            "preset": "demo",
            "task": preset.tasks[0],
            "student": given.student,
            **dataclasses.asdict(recipe),
        },
        "runs": [
            measure(preset, recipe, seed, seconds, given.student, measure_fcd) for seed in range(given.seeds)
        ],
    }
    benchmarks.publish(results, report(results["runs"]))


def measure(preset, recipe, seed, seconds, student, measure_fcd):
    """Trains one model, with a measurement whenever so many seconds of training have passed.

    Returns:
      JSON-ready list of {'seconds', 'steps', 'fcd'}.
    """
    from ltgans_tf.data import streams
    from ltgans_tf.methods import twin_gan
    from ltgans_tf.settings import architectures
    from ltgans_tf.training import callbacks

    side = architectures.architecture(preset.architecture).image_size
    stream = streams.TaskStream(
        preset.tasks[:1], (side, side, preset.channels), preset.batch_size, seed, preset.fit
    )
    model = twin_gan.TwinGAN.from_architecture(preset.architecture, preset.channels, student, recipe, seed)
    model.compile()
    points, clock = [], {"spent": 0.0}

    class Measure(callbacks.StepCallback):
        def on_train_begin(self, logs=None):
            super().on_train_begin(logs)
            clock["since"] = begin

        def on_step(self, step, task_step, logs):
            float(logs["critic/loss"])  # waits for the step
            spent = clock["spent"] + time.perf_counter() - clock["since"]
            if spent < seconds[len(points)]:
                return
            points.append({"seconds": spent, "steps": step, "fcd": measure_fcd(model)})
            clock.update(spent=spent, since=time.perf_counter())
            if len(points) == len(seconds):
                self.model.stop_requested = True

    stream.tasks[0].train_images(1)  # reads the set, which is no training
    begin = time.perf_counter()
    model.fit_stream(stream, 1_000_000, callbacks=[Measure()])
    return points


def report(runs):
    """The table of several `measure`s: one row a time, mean and extremes over the seeds."""
    rows = []
    for points in zip(*runs):
        fcds = [point["fcd"] for point in points]
        rows.append(
            [
                f"{sum(p['seconds'] for p in points) / len(points):.1f}",
                f"{min(p['steps'] for p in points)} to {max(p['steps'] for p in points)}",
                f"{sum(fcds) / len(fcds):.2f}",
                f"{min(fcds):.2f} to {max(fcds):.2f}",
            ]
        )
    return benchmarks.table(["seconds", "steps", "FCD, mean", "least to most"], rows)


def _fcd(preset):
    """A function model -> FCD of its samples to the test images of the first task.

    While a task is learnt the moving average of the learner's weights stands for its generator.
    """
    from ltgans_tf.data import images, streams
    from ltgans_tf.evaluation import features, metrics
    from ltgans_tf.settings import architectures

    side = architectures.architecture(preset.architecture).image_size
    (task,) = streams.TaskStream(
        preset.tasks[:1], (side, side, preset.channels), preset.batch_size, 0, preset.fit
    ).tasks
    digits = features.Domain(task.name, task.train_images(), task.train_labels())
    extractor = features.train([digits], cache=features.cache_folder())
    features_of = lambda pictures: metrics.features_of(
        lambda batch: extractor.features(images.normalize(batch)), pictures
    )
    real = features_of(task.test_images())

    def fcd(model):
        drawn = images.to_uint8(model.progress_samples(model.latents(_SAMPLES, 1))[-1]).numpy()
        return metrics.frechet_distance(real, features_of(drawn))

    return fcd


if __name__ == "__main__":
    flags.DEFINE_list("seconds", ["15", "25", "45", "90"], "Seconds of training after which to measure.")
    flags.DEFINE_string("recipe", "recommended", "The method's settings, paper or recommended.")
    flags.DEFINE_integer("n_critic", None, "Critic updates per step; those of the recipe by default.", 1)
    flags.DEFINE_string("precision", "float32", "Arithmetic of the hidden layers.")
    flags.DEFINE_bool("student", True, "Whether a Student is trained in step.")
    flags.DEFINE_integer("seeds", 3, "How many seeds, from 0 on.", 1)
    benchmarks.define_output()
    run(main)
