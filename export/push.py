"""Pushes generator and encoder to where TensorFlow Serving looks for new versions.

A version is staged beside its place, tried in a process of its own, judged by its scores, and
renamed: encoder, generator, then latest.json and models.config. A server never sees a part of a
model, who reads latest.json never half a pair, and nobody a model that has forgotten.

  python -m export.push --workdir=runs/demo --base=models

pushes the state that a run ended with; `trainers.train` pushes at each boundary by itself.
"""

import collections
import os
import shutil

from absl import flags, logging

from export import continuation, desired, path_flags, program, rebuild, release, staging, validation, versions
from export.terms import Terms, define_flags, from_flags
from ltgans_tf.evaluation import row as rows
from ltgans_tf.files import paths, run_ids

Task = collections.namedtuple("Task", ["index", "name"])


class BoundaryExport:
    """Boundary callback that pushes what was learnt so far, or says why it does not.

    Args:
      base: folder to push to; None for `exports` in the workdir.
      terms: `Terms`.
      say: called with a sentence where a version is refused; None for a warning in the log.
    """

    def __init__(self, base=None, terms=Terms(), say=None):
        self.base = None if base is None else paths.local(base)
        self.terms = terms
        self.say = say or logging.warning

    def __call__(self, model, stream, task, workdir):
        if workdir is None:
            raise ValueError(
                "exports belong to a run; give fit_stream a workdir, or leave BoundaryExport out."
            )
        about = {"run_id": run_ids.keep(workdir), **_prepared(stream.get_settings())}
        base = self.base or os.path.join(workdir, "exports")
        try:
            push(model, task, base, about, self.terms, _measured(workdir, task.index), workdir)
        except validation.NotBlessed as error:
            self.say(f"not pushed: {error}")


def _prepared(settings):
    """How a stream prepares its images, of its settings: what an encoder has to do too."""
    return {name: settings[name] for name in ("image_shape", "fit", "upright")}


def push(model, task, base, info, terms=Terms(), row=None, workdir=None):
    """Pushes the generator and, where there is one, the Student under one new version.

    The same state of the same run is pushed once: a second call returns the version of the first,
    and completes a pair that a crash left by half. Another state is another version, also where its run
    and task are the same, as in a copied workdir.

    Args:
      model: a `LifelongModel` that has learnt `task` to its end.
      task: has the `index` and `name` of the task learnt last.
      base: folder that holds `generator/` and `encoder/`; made if it does not exist.
      info: dict with 'run_id', 'image_shape', 'fit' and 'upright'; all of it goes into export_info.json.
      terms: `Terms`.
      row: the `row.Row` after `task`, or None where nothing was measured.
      workdir: folder of the run, for the bundle to go on from (`continuation`); None for none.

    Returns:
      the version, an int: seconds since 1970, or one more than the last.

    Raises:
      validation.NotBlessed: it was refused; the reason is also in `refused/` of `base`.
      ValueError: what is served there has other halves, or latest.json does not name all versions.
      OSError: it could not be written. In both cases what was there before is as it was.
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
        # Drawn before remains are removed: a server may have loaded a half, whose number is spent.
        version = versions.pushed_version(base, info["run_id"], task.index, state)
        version = version or versions.new_version(base)
        versions.remove_remains(base, keep=version)
        if any(pair["version"] == version for pair in latest.get("pairs", [])):
            release.prune(base, terms.keep)  # which a push that died may not have come to
            return version
        if "version" in latest and (served := [kind for kind in versions.KINDS if kind in latest]) != kinds:
            raise ValueError(
                f"{base} serves {' and '.join(served)} and this model has {' and '.join(kinds)}, which is not"
                " the same; push it to a folder of its own."
            )
        missing = [kind for kind in kinds if not os.path.exists(versions.place(base, kind, version))]
        about = {
            **staging.describe(model, task, info, row),
            "version": version,
            "state_sha256": state,
            "pair": kinds,
            "parent_version": _parent(latest, info),
        }
        staged = {kind: os.path.join(base, kind, f".tmp-{version}") for kind in missing}
        try:
            staging.stage(model, base, about, staged, terms, _served(base, latest, terms))
            staging.written("version", base, lambda: release.begin(base, version))
            for kind, folder in staged.items():
                staging.written(
                    kind, base, lambda f=folder, k=kind: versions.put_in_place(f, base, k, version)
                )
        except validation.NotBlessed as error:
            _refuse(base, about, error)
            raise
        finally:
            for folder in staged.values():
                shutil.rmtree(folder, ignore_errors=True)
        pair = {
            "version": version,
            "run_id": info["run_id"],
            "task_index": task.index,
            "task_name": task.name,
            **{kind: f"{kind}/{version}" for kind in kinds},
        }
        if workdir is not None:
            pair[continuation.FOLDER] = staging.written(
                continuation.FOLDER,
                base,
                lambda: continuation.write(workdir, base, version, task.index + 1),
            )
        release.add(base, pair, stable=terms.policy != "manual", loaded=loaded)
        release.prune(base, terms.keep)
    return version


def _measured(workdir, task_index):
    """The `row.Row` that a run has after a task, or None."""
    path = rows.row_path(workdir, task_index)
    return rows.Row.load(path) if os.path.isfile(path) else None


def push_workdir(workdir, base=None, terms=Terms(), method=None):
    """Pushes the state that a run ended with; see `push`.

    Args:
      workdir: folder of a run that is not in the middle of a task.
      base: folder to push to; None for `exports` in the workdir.
      terms: `Terms`.
      method: see `loading.load`.

    Raises:
      validation.NotBlessed: see `push`.
      ValueError: nothing to export is there, or the run is in the middle of a task.
    """
    if not os.path.isfile(os.path.join(workdir, "config.json")):
        raise ValueError(
            f"{workdir} is no workdir of a run (it has no config.json); give the one that"
            " trainers.train wrote."
        )
    program.import_tensorflow()
    from ltgans_tf import loading
    from ltgans_tf.training import checkpoints

    model = loading.load(workdir, method)
    stream = checkpoints.read_config(workdir)["stream"]
    learnt, step = int(model.task_index.numpy()), int(model.task_step.numpy())
    if step or not learnt:
        raise ValueError(
            f"{workdir} stands at step {step} of its task {learnt + 1}; a model is pushed"
            " once a task is learnt to its end, so let the run go on first."
        )
    return push(
        model,
        Task(learnt - 1, stream["specs"][learnt - 1]),
        base or os.path.join(workdir, "exports"),
        {"run_id": run_ids.keep(workdir), **_prepared(stream)},
        terms,
        _measured(workdir, learnt - 1),
        workdir,
    )


def _refuse(base, about, error):
    """Leaves a note of a version that was refused; of the same task of the same run there is one."""
    os.makedirs(os.path.join(base, "refused"), exist_ok=True)
    name = f"{about['run_id']}_task_{about['task_index']:02d}.json"
    kept = ("run_id", "task_index", "task_name", "step", "created", "scores", "parent_version")
    note = {"reason": str(error), **{key: about[key] for key in kept}}
    versions.write_json(os.path.join(base, "refused", name), note)


def _served(base, latest, terms):
    """The scores of the served version, {} where it has none; None where nothing is served."""
    if "version" not in latest:
        return None
    info = versions.read_info(base, "generator", latest["version"])
    if not info and terms.policy != "always":
        raise ValueError(
            f"{base} serves version {latest['version']}, which is not there, so nothing can be compared with"
            " it; restore it, or name another one: python -m export.release --base=... --stable=VERSION."
        )
    return info.get("scores") or {}


def _parent(latest, info):
    """The version that this run pushed before, or None where the latest is another run's."""
    return latest.get("version") if latest.get("run_id") == info["run_id"] else None


def main(_):
    """Pushes what the flags name and says where it went; exit status 3 where it is refused."""
    given = flags.FLAGS
    base = given.base or os.path.join(given.workdir, "exports")
    try:
        version = push_workdir(given.workdir, base, from_flags(), given.method)
    except validation.NotBlessed as error:
        print(f"not pushed: {error}")
        return 3
    print(f"Pushed version {version} to {base}")
    if given.policy == "manual":
        words = f"--base={base}", f"--stable={version}"
        print("to serve it:\n  " + path_flags.command("python -m export.release", *words))
    sample = f"--workdir={base}", "--count=64", "--out=samples.png"
    print("next:\n  " + path_flags.command("python -m trainers.sample", *sample))
    print("  " + path_flags.command("python -m export.kit", f"--base={base}"))
    return 0


if __name__ == "__main__":
    # Not at the top, because trainers.train imports this file and has a --workdir of its own.
    path_flags.define_path("workdir", None, "Folder of a run.", required=True)
    path_flags.define_path(
        "base", None, "Folder that holds generator/ and encoder/; by default `exports` in the workdir."
    )
    define_flags()
    program.define_method()
    program.run(main)
