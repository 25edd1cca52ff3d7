"""Pushes generator and encoder to where TensorFlow Serving looks for new versions.

A push judges a version by its scores, stages it beside its place, tries it in a separate process, and renames
it: encoder, generator, then latest.json and models.config. So a server never sees a part of a model, readers
of latest.json never see half a pair, and a model that has forgotten is never served.

  ltgans push --workdir=runs/demo --base=models

pushes the last state of a run; `ltgans train` pushes at each boundary by itself.
"""

import collections
import os
import shutil

from absl import flags, logging

from ltgans_tf.evaluation import row as rows
from ltgans_tf.export import (
    class_flags,
    continuation,
    desired,
    judge,
    path_flags,
    program,
    rebuild,
    release,
    staging,
    versions,
)
from ltgans_tf.export.push_settings import PushSettings
from ltgans_tf.files import atomic, paths, run_ids

_PATIENCE = 20.0  # seconds to wait, so that the start of training need not share the cores
Task = collections.namedtuple("Task", ["index", "name"])


class BoundaryExport:
    """Boundary callback that pushes the model, or says why the version is refused; must come after `BoundaryScores`.

    Args:
      base: folder to push to; None for `exports` in the workdir.
      settings: `PushSettings`.
      say: function that is called with the sentence on a refused version; None to log it as a warning.
    """

    def __init__(self, base=None, settings=PushSettings(), say=None):
        self.base = None if base is None else paths.local(base)
        self.settings = settings
        self.say = say or logging.warning
        self._trials = judge.Trials()

    def prepare(self, stream, workdir):
        """Starts the process of the trials, which imports TensorFlow while the first task is learnt."""
        if self.settings.validate:
            self._trials.prepare(_PATIENCE)

    def __call__(self, boundary):
        task, workdir = boundary.task, boundary.workdir
        if workdir is None:
            raise ValueError(
                "exports belong to a run; give fit_stream a workdir, or leave BoundaryExport out."
            )
        about = {"run_id": run_ids.keep(workdir), **prepared(boundary.stream.get_settings())}
        base = self.base or os.path.join(workdir, "exports")
        try:
            push(boundary.model, task, base, about, self.settings, boundary.row, workdir, self._trials)
        except judge.NotBlessed as error:
            self.say(f"not pushed: {error}")
        if task.index == len(boundary.stream) - 1:
            self._trials.close()


def prepared(settings):
    """Returns the settings by which a stream prepares its images; an encoder must use the same."""
    return {name: settings[name] for name in ("image_shape", "fit", "upright")}


def push(model, task, base, info, settings=PushSettings(), row=None, workdir=None, trials=None):
    """Pushes the generator and, if there is one, the Student under one new version.

    The same state of the same run is pushed once: a second call returns the version of the first,
    and completes a pair if a crash left half of it. Another state gets another version, even for the same run
    and task, as in a copied workdir.

    Args:
      model: a `LifelongModel` that has learnt `task` to its end.
      task: has the `index` and `name` of the task learnt last.
      base: folder that holds `generator/` and `encoder/`; made if it does not exist.
      info: dict with 'run_id', 'image_shape', 'fit' and 'upright'; all of it goes into export_info.json.
      settings: `PushSettings`.
      row: the `row.Row` after `task`, or None if nothing was measured.
      workdir: folder of the run, for its bundle (see continuation.py); None to write no bundle.
      trials: `judge.Trials` that several pushes share; None for new ones.

    Returns:
      the version, an int: seconds since 1970, or one more than the last.

    Raises:
      judge.NotBlessed: the version was refused; `refused/` in `base` keeps the reason.
      ValueError: the served version has different halves, or latest.json does not name all versions.
      OSError: a file could not be written. None of these errors changes the served version.
    """
    base = paths.local(base)
    kinds = [kind for kind in versions.KINDS if kind == "generator" or model.student is not None]
    state = staging.state_sha256(model)
    with versions.lock(base):
        latest = versions.read_latest(base)
        rebuild.check(base, latest)
        loaded = desired.remembered(base).versions
        if desired.reconcile(base):
            logging.warning("models.config of %s was not what latest.json says; it was written anew.", base)
        # Before the remains are removed: a server may have loaded a half, so its number must not be used again.
        version = versions.pushed_version(base, info["run_id"], task.index, state)
        version = version or versions.new_version(base)
        versions.remove_remains(base, keep=version)
        if any(pair["version"] == version for pair in latest.get("pairs", [])):
            release.prune(base, settings.keep)  # in case the earlier push died before it pruned
            return version
        if "version" in latest and (served := versions.kinds(latest)) != kinds:
            raise ValueError(
                f"{base} serves {' and '.join(served)} and this model has {' and '.join(kinds)}, which is not"
                " the same; push it to a folder of its own."
            )
        about = {
            **staging.describe(model, task, info, row),
            "version": version,
            "state_sha256": state,
            "pair": kinds,
            "parent_version": _parent(latest, info),
        }
        _put_in_place(model, base, about, settings, _served(base, latest, settings), trials)
        places = kinds
        if workdir is not None:
            places = [*kinds, continuation.FOLDER]
            staging.written(
                continuation.FOLDER,
                base,
                lambda: continuation.write(workdir, base, version, task.index + 1),
            )
        learnt = {**info, "task_index": task.index, "task_name": task.name}
        release.add(base, versions.entry(version, places, learnt), settings.policy != "manual", loaded)
        release.prune(base, settings.keep)
    return version


def _put_in_place(model, base, about, settings, served, trials):
    """Judges and tries the missing halves of a version, then renames them to their places; see `staging.stage`."""
    version = about["version"]
    missing = [kind for kind in about["pair"] if not os.path.exists(versions.place(base, kind, version))]
    staged = {kind: os.path.join(base, kind, f".tmp-{version}") for kind in missing}
    try:
        staging.stage(model, base, about, staged, settings, served, trials)
        staging.written("version", base, lambda: release.begin(base, version))
        for kind, folder in staged.items():
            place = versions.place(base, kind, version)
            staging.written(kind, base, lambda f=folder, p=place: atomic.publish(f, p))
    except judge.NotBlessed as error:
        _refuse(base, about, error)
        raise
    finally:
        for folder in staged.values():
            shutil.rmtree(folder, ignore_errors=True)


def _measured(workdir, task_index):
    """Returns the `row.Row` of a run after a task, or None."""
    path = rows.row_path(workdir, task_index)
    return rows.Row.load(path) if os.path.isfile(path) else None


def push_workdir(workdir, base=None, settings=PushSettings(), method=None):
    """Pushes the last state of a run; see `push`.

    Args:
      workdir: folder of a run that is between two tasks or at its end.
      base: folder to push to; None for `exports` in the workdir.
      settings: `PushSettings`.
      method: see `loading.load`.

    Raises:
      judge.NotBlessed: see `push`.
      ValueError: see `load_finished`.
    """
    model, stream, task = load_finished(workdir, method)
    return push(
        model,
        task,
        base or os.path.join(workdir, "exports"),
        {"run_id": run_ids.keep(workdir), **prepared(stream)},
        settings,
        _measured(workdir, task.index),
        workdir,
    )


def load_finished(workdir, method=None):
    """Loads a run that is between two tasks or at its end; takes the arguments of `loading.load`.

    Returns:
      (the `LifelongModel`, the settings of its stream, the `Task` learnt last).

    Raises:
      ValueError: there is no run, or it is in the middle of a task.
    """
    if not os.path.isfile(os.path.join(workdir, "config.json")):
        raise ValueError(
            f"{workdir} is no workdir of a run (it has no config.json); give the one that ltgans train wrote."
        )
    program.import_tensorflow()
    from ltgans_tf import loading
    from ltgans_tf.training import checkpoints

    model = loading.load(workdir, method)
    stream = checkpoints.read_config(workdir)["stream"]
    learnt, step = int(model.task_index.numpy()), int(model.task_step.numpy())
    if step or not learnt:
        raise ValueError(
            f"{workdir} is at step {step} of task {learnt + 1}; a model can be exported only after a task is"
            " finished, so let the run go on first."
        )
    return model, stream, Task(learnt - 1, stream["specs"][learnt - 1])


def _refuse(base, about, error):
    """Writes a note on a refused version, in place of an earlier note on the same task of the same run."""
    name = f"{about['run_id']}_task_{about['task_index']:02d}.json"
    kept = ("run_id", "task_index", "task_name", "step", "created", "scores", "parent_version")
    note = {"reason": str(error), **{key: about[key] for key in kept}}
    atomic.write_json(os.path.join(base, "refused", name), note)


def _served(base, latest, settings):
    """Returns the scores of the served version, {} if it has none; None if nothing is served."""
    if "version" not in latest:
        return None
    info = versions.read_info(base, "generator", latest["version"])
    if not info and settings.policy != "always":
        raise ValueError(
            f"{base} serves version {latest['version']}, but its folder is missing, so no scores can be compared;"
            " restore it, or select another: ltgans release --base=... --stable=VERSION."
        )
    return info.get("scores") or {}


def _parent(latest, info):
    """Returns the served version if this run has pushed it, else None."""
    return latest.get("version") if latest.get("run_id") == info["run_id"] else None


def main(_):
    """Pushes the run that the flags name and prints where it is; the exit status is 3 for a refused version."""
    given = flags.FLAGS
    base = given.base or os.path.join(given.workdir, "exports")
    try:
        version = push_workdir(given.workdir, base, class_flags.made(PushSettings), given.method)
    except judge.NotBlessed as error:
        print(f"not pushed: {error}")
        return 3
    print(f"Pushed version {version} to {base}")
    if given.policy == "manual":
        words = f"--base={base}", f"--stable={version}"
        print("to serve it:\n  " + path_flags.command("ltgans release", *words))
    sample = f"--workdir={base}", "--count=64", "--out=samples.png"
    print("next:\n  " + path_flags.command("ltgans sample", *sample))
    print("  " + path_flags.command("ltgans serve-kit", f"--base={base}"))
    return 0


if __name__ == "__main__":
    # Not at the top: ltgans train imports this file and has a --workdir of its own.
    path_flags.define_path("workdir", None, "Folder of a run.", required=True)
    path_flags.define_path(
        "base", None, "Folder that holds generator/ and encoder/; by default `exports` in the workdir."
    )
    class_flags.define(PushSettings)
    program.define_method()
    program.run(main)
