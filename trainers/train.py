"""Trains Lifelong Twin GANs, or a method they are compared with, on image sets one after another.

  ltgans train --preset=demo --workdir=runs/demo
  ltgans train --preset=demo --tasks=folder:cats,folder:dogs --workdir=runs/pets
  ltgans train --preset=demo --method=replay --workdir=runs/demo_replay

Settings come from --preset (the experiment) and --recipe (the method), then from the command
line in its order, flagfiles expanded in place. Flags of a single method begin with its name:
--lgm_categories, --curl_components. The same command on the same workdir resumes the run.
"""

import contextlib
import dataclasses
import os
import signal
import sys

from absl import flags

from ltgans_tf import trainers
from ltgans_tf.export import class_flags, continuation, path_flags, push
from ltgans_tf.files import user_cache
from ltgans_tf.methods import registry
from ltgans_tf.settings import architectures, presets
from ltgans_tf.trainers import (
    devices,
    environment,
    estimate,
    flag_help,
    flagfile,
    former_run,
    import_tensorflow,
    log,
    run,
    setting_flags,
    stopping,
    task_flag,
    tracking,
    training_messages,
)
from ltgans_tf.trainers.reporting import phrases

_OTHERS = set(flags.FLAGS)  # flags that are not of this program
flags.DEFINE_string("preset", "demo", f"The experiment: {', '.join(presets.PRESETS)}.")
flags.DEFINE_string(
    "method",
    "ltgan",
    f"What is trained: {', '.join(registry.METHODS)}, or MODULE:CLASS for a LifelongModel of your own.",
)
path_flags.define_path("workdir", None, "Folder of the run; made if it does not exist.", required=True)
flags.DEFINE_enum("resume", "auto", ["auto", "never", "must"], "Whether to go on with a run.")
flags.DEFINE_integer("stop_after_task", None, "Stop after the task of this number, from 1 on.", lower_bound=1)
flags.DEFINE_bool("verify_checkpoint", False, "Print what of the workdir is damaged; train nothing.")
flags.DEFINE_bool("dry_run", False, "Print settings, plan and an estimate; train nothing.")
path_flags.define_path("data_dir", None, "Folder whose <name>.npz files stand for data sets.")
flags.DEFINE_bool("skip_broken_images", False, "Leave out images that cannot be read.")
flags.DEFINE_bool(
    "tuning",
    False,
    "Hold out a tenth of each task's training part and score on it; the test part is not read. To choose settings.",
)
flags.DEFINE_bool(
    "accept_changed_data",
    False,
    "Go on in the middle of a task whose training images have changed since it was begun.",
)
flags.DEFINE_bool(
    "upright",
    None,
    "Turn photographs as their camera noted (EXIF orientation); by default as the run there, in a new run yes.",
)
path_flags.define_path(
    "extractor_path", None, "File with an extractor, as eval/extractor.npz of another run."
)
flags.DEFINE_list(
    "extractor_seed",
    [],
    "Seeds of further extractors, 1, 2 or both: FCD and KCD of all tasks together on their features too.",
)
path_flags.define_path("inception_path", None, "File with an Inception network (.pb or .h5): FID beside FCD.")
flags.DEFINE_string("inception_sha256", None, "Expected sha256 of that file.")
devices.define_flags()
flags.DEFINE_enum(
    "on_nonfinite",
    "stop",
    ["stop", "rollback"],
    "When a loss, gradient or weight becomes NaN or Inf: stop, or go back to the last good checkpoint with other"
    " noise, at most three times in a run.",
)
flags.DEFINE_enum("tracker", None, ["mlflow"], "What gets the run beside TensorBoard; see docs/runs.md.")
flags.DEFINE_list("profile_steps", None, "First and last step that TensorBoard gets a profile of: 100,110.")
path_flags.define_path(
    "init_from",
    None,
    "Workdir or folder of exports to go on from, in a new workdir, with --tasks after its own.",
)
flags.DEFINE_bool("push", True, "Whether generator and encoder are exported after each task.")
path_flags.define_path("push_base", None, "Folder to push exports to; by default `exports` in the workdir.")
setting_flags.define()
FLAGS = flags.FLAGS
# Flags of a single call, which flags.txt leaves out.
_ONCE = {
    "accept_changed_data",
    "dry_run",
    "image_size",
    "init_from",
    "profile_steps",
    "resume",
    "stop_after_task",
    "verify_checkpoint",
}
PROGRAM = set(FLAGS) - _OTHERS
_KEPT = sorted(PROGRAM - _ONCE)
_KERNEL_SUBSETS = 10  # at a boundary; ltgans evaluate takes more
_PAST_TASKS = 10  # past tasks measured in full at a boundary; ltgans evaluate measures all


def main(_):
    stopping.on_signals(_leave)
    flagfile.check_place(sys.argv[1:], FLAGS.workdir)
    if FLAGS.verify_checkpoint:
        return _verify()
    if FLAGS.init_from is not None:
        former_run.take_over(FLAGS)
    preset, recipe, settings = resolve()
    task_flag.check(preset.tasks[former_run.tasks_before(FLAGS.workdir, FLAGS.init_from) :], FLAGS.data_dir)
    if FLAGS.dry_run:
        print(plan(preset, recipe, settings))
        return 0
    return _train(preset, recipe, settings)


def _help():
    """Returns the text of --help; settings have the values that follow from the other flags of the command."""
    return flag_help.text(PROGRAM, __doc__, setting_flags.values(*resolve()))


def _verify():
    """Prints what is whole and what is damaged; returns the exit status: 0, or 2 if something is damaged."""
    import_tensorflow()
    from ltgans_tf.training import verification

    found = verification.verify(FLAGS.workdir)
    for name, reason in found.items():
        print(f"damaged: {name}: {reason}" if reason else f"whole:   {name}")
    return 2 if any(found.values()) else 0


def _leave(number, _):
    """Ends at once, because there is nothing to save before the model is built."""
    with contextlib.suppress(OSError):  # the terminal may be gone
        os.write(1, f"{_not_begun()}\n".encode(errors="backslashreplace"))
    os._exit(128 + number)  # an exception would have to pass through TensorFlow's imports


def _not_begun():
    return f"stopped before the run had begun; to go on:\n  {_command()}"


def _command():
    """Returns the command that continues this run: with its flagfile or, before that is written, the same command."""
    given = flagfile.words(FLAGS.workdir) or sys.argv[1:]
    return path_flags.command("ltgans train", *given)


def resolve():
    """Resolves preset, recipe and the method's own settings, which the command line overrides.

    With --data_dir and without --tasks the tasks are the preset's for a data folder.

    Returns:
      (Preset, Recipe, an instance of a class of SETTINGS or None).
    """
    devices.check()
    _profiled()
    setting_flags.of_push()
    trainers.extractor_seeds(FLAGS.extractor_seed)
    registry.check_method(FLAGS.method)
    preset = presets.preset(FLAGS.preset)
    changes = setting_flags.of_preset()
    preset = dataclasses.replace(preset, **{"tasks": preset.tasks_with(FLAGS.data_dir), **changes})
    architectures.architecture(preset.architecture)
    recipe = presets.recipe(preset.recipe, preset.architecture, FLAGS.method)
    recipe = dataclasses.replace(recipe, **class_flags.given(presets.Recipe))
    presets.check_method(recipe, FLAGS.method)
    return preset, recipe, setting_flags.of_method()


def plan(preset, recipe, settings):
    """Returns what a run would do, as text: settings, tasks, an estimate of the time."""
    values = {**setting_flags.values(preset, recipe, settings), "workdir": FLAGS.workdir}
    lines = [f"  {name}: {value}" for name, value in values.items() if name not in ("preset", "tasks")]
    tasks = [f"  task {i + 1}: {spec}" for i, spec in enumerate(preset.tasks)]
    duration = estimate.duration(FLAGS.workdir, preset)
    return "\n".join(["settings", *lines, "tasks", *tasks, duration])


def _train(preset, recipe, settings):
    """Trains; returns the exit status: 0, or 128 + the number of the signal that stopped the run."""
    tracker = tracking.Mlflow(FLAGS.workdir) if FLAGS.tracker else tracking.Off()
    say = log.Lines(FLAGS.workdir)
    log.say_warnings(say)
    tf = import_tensorflow()
    import keras

    from ltgans_tf.training import boundaries, distribution

    strategy = devices.strategy(say, _not_begun())
    chief = distribution.is_chief(strategy)
    if FLAGS.init_from is not None and chief and not former_run.started(FLAGS.workdir):
        learnt = len(continuation.learnt_specs(FLAGS.init_from))
        continuation.start(FLAGS.init_from, FLAGS.workdir, preset.tasks[learnt:])
    say(environment.devices(tf) + devices.text(strategy))
    keras.utils.set_random_seed(preset.seed)
    if FLAGS.deterministic:
        tf.config.experimental.enable_op_determinism()
    stream = _stream(preset)
    with strategy.scope():
        model = _model(preset, recipe, settings, tf)
    recipe = presets.Recipe(**model.get_settings()["recipe"])
    for note in _notes(recipe, model.student is not None):
        say(f"note: {note}")
    evaluator = _evaluator(preset, say)
    signals = stopping.ask(model)
    clock = training_messages.Clock()

    def begin(_):  # when training begins; not for a finished run
        _write_flags(preset, recipe, settings)
        environment.write(FLAGS.workdir, keras, tf)
        say.keep()
        clock.begin()

    finished = model.fit_stream(
        stream,
        preset.steps_per_task,
        FLAGS.workdir,
        [
            keras.callbacks.LambdaCallback(on_train_begin=begin, on_train_end=clock.end),
            *_watchers(preset, say, stream),
            keras.callbacks.LambdaCallback(
                on_train_begin=tracker.begin,
                on_train_batch_end=tracker.step,
                needs_model=lambda *_: False,  # the tracker reads files
            ),
        ],
        [
            boundaries.BoundarySamples(),
            boundaries.BoundaryScores(evaluator),
            tracker.boundary,
            *([push.BoundaryExport(FLAGS.push_base, setting_flags.of_push(), say)] if FLAGS.push else []),
            lambda boundary: say(training_messages.boundary(boundary.task, boundary.row)),
        ],
        preset.checkpoint_every,
        None if FLAGS.stop_after_task is None else FLAGS.stop_after_task - 1,
        FLAGS.resume,
        FLAGS.on_nonfinite,
        FLAGS.accept_changed_data,
    )
    tracker.end(finished)
    if chief:
        say(clock.times(say))
        say(_ending(finished, model.student is not None))
    stopping.on_signals(signal.SIG_IGN)  # a signal while Python exits would change the exit status
    return (
        0 if finished else 128 + (signals or [signal.SIGTERM])[-1]
    )  # another worker may have got the signal


def _stream(preset):
    from ltgans_tf.data import streams

    side = architectures.architecture(preset.architecture).image_size
    return streams.TaskStream(
        preset.tasks,
        (side, side, preset.channels),
        preset.batch_size,
        preset.seed,
        preset.fit,
        FLAGS.data_dir,
        FLAGS.skip_broken_images,
        min(former_run.tasks_before(FLAGS.workdir, FLAGS.init_from), len(preset.tasks)),
        tuning=FLAGS.tuning,
        horizontal_flips=preset.horizontal_flips,
        **former_run.reading(FLAGS.workdir, FLAGS.init_from, FLAGS.upright),
    )


def _model(preset, recipe, settings, tf):
    """Returns the compiled model; call it in the strategy's scope."""
    model = registry.method_class(FLAGS.method).from_architecture(
        preset.architecture,
        preset.channels,
        preset.student,
        recipe,
        preset.seed,
        **({"settings": settings} if settings else {}),
    )
    model.compile(jit_compile=devices.jit_compile(tf), steps_per_execution=FLAGS.steps_per_execution)
    return model


def _notes(recipe, student):
    """Yields sentences that a user should know about the model's recipe and the lines of progress."""
    if FLAGS.tuning:
        yield phrases.TUNING
    if overruled := setting_flags.overruled(recipe):
        yield f"{FLAGS.method} has its own {overruled}, whatever the flags say."
    if FLAGS.method == "ltgan" and (recipe.critic_heads, recipe.first_learners) == (1, 2):
        yield (
            "one critic head is Eq. 1 as written; the twins then share out the modes of the"
            " first task, and what the Teacher lacks does not come back (docs/method.md)."
        )
    yield f"{phrases.PROGRESS} {phrases.PROGRESS_STUDENT if student else ''}".strip()


def _evaluator(preset, say):
    from ltgans_tf.evaluation import evaluation, features, inception

    path = FLAGS.inception_path
    return evaluation.Evaluator(
        preset.protocol,
        samples=preset.eval_samples,
        test_images=preset.eval_images,
        iwae_images=preset.eval_iwae_images,
        kernel_subsets=_KERNEL_SUBSETS,
        past_tasks=_PAST_TASKS,
        max_seconds=preset.max_eval_seconds or None,
        extractor=features.load(FLAGS.extractor_path) if FLAGS.extractor_path else None,
        inception=inception.Inception(path, FLAGS.inception_sha256) if path else None,
        extractor_images=preset.extractor_images,
        extractor_seeds=trainers.extractor_seeds(FLAGS.extractor_seed),
        seed=preset.seed,
        cache=user_cache.folder(),
        about={"preset": FLAGS.preset, "recipe": preset.recipe},
        progress=say.passing,
    )


def _watchers(preset, say, stream):
    """Returns Keras callbacks: logs, grids of samples, the line of progress and, if asked for, a profile."""
    from ltgans_tf.training import callbacks, first_task

    steps = _profiled()
    scored = first_task.FirstTask(stream, preset.seed) if preset.score_first_task else None
    return [
        *callbacks.default_callbacks(FLAGS.workdir, preset.log_every, preset.sample_every, scored),
        callbacks.Progress(say.progress, len(preset.tasks), preset.steps_per_task),
        *([callbacks.Profile(FLAGS.workdir, *steps)] if steps else []),
    ]


def _profiled():
    """Returns (first, last) of --profile_steps, or None."""
    if FLAGS.profile_steps is None:
        return None
    try:
        first, last = (int(step) for step in FLAGS.profile_steps)
        if 1 <= first <= last:
            return first, last
    except ValueError:
        pass
    raise ValueError(
        f"--profile_steps is {','.join(FLAGS.profile_steps)!r}; give the first and the last step, as 100,110."
    )


def _write_flags(preset, recipe, settings):
    """Writes flags.txt, which repeats the run: all settings as resolved, and every other flag that has a value."""
    values = {
        name: flag.serializer.serialize(flag.value) if isinstance(flag.value, list) else flag.value
        for name, flag in ((name, FLAGS[name]) for name in _KEPT)
        if flag.value is not None
    }
    values |= setting_flags.values(preset, recipe, settings)
    flagfile.write(FLAGS.workdir, {**values, "tasks": task_flag.join(preset.tasks)})


def _ending(finished, student):
    """Returns what the run leaves and what to do next, as text."""
    if not finished:
        return training_messages.stopped(FLAGS.workdir, _command())
    base = (FLAGS.push_base or os.path.join(FLAGS.workdir, "exports")) if FLAGS.push else None
    return training_messages.done(FLAGS.workdir, base, student)


if __name__ == "__main__":
    run(main, _help)
