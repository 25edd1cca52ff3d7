"""Pushes generator and encoder to where TensorFlow Serving looks for new versions.

Each half is staged beside its place and renamed in one move, encoder first, then generator, then
latest.json: a server never sees a part of a model, and who reads latest.json never half a pair.

  python -m export.push --workdir=runs/demo --base=models

pushes the state that a run ended with; `trainers.train` pushes at each boundary by itself.
"""

import collections
import datetime
import os
import shutil
import uuid

from absl import flags

import ltgans_tf
from export import program, versions

FORMAT_VERSION = 1

Task = collections.namedtuple("Task", ["index", "name"])


class BoundaryExport:
    """Boundary callback that pushes what was learnt so far.

    Args:
      base: folder to push to; None for `exports` in the workdir.
    """

    def __init__(self, base=None):
        self.base = base

    def __call__(self, model, stream, task, workdir):
        if workdir is None:
            raise ValueError(
                "exports belong to a run; give fit_stream a workdir, or leave BoundaryExport out."
            )
        push(
            model,
            task,
            self.base or os.path.join(workdir, "exports"),
            {"run_id": run_id(workdir), "image_shape": list(stream.image_shape), "fit": stream.fit},
        )


def push(model, task, base, info):
    """Pushes the generator and, where there is one, the Student under one new version.

    The same task of the same run is pushed once: a second call returns the version of the first,
    and completes a pair that a crash left by half.

    Args:
      model: a `LifelongModel` that has learnt `task` to its end.
      task: has the `index` and `name` of the task learnt last.
      base: folder that holds `generator/` and `encoder/`; made if it does not exist.
      info: dict with 'run_id', 'image_shape' and 'fit'; all of it goes into export_info.json.

    Returns:
      the version, an int: seconds since 1970, or one more than the last.

    Raises:
      OSError: it could not be written; what was there before is as it was.
    """
    kinds = [kind for kind in versions.KINDS if kind == "generator" or model.student is not None]
    with versions.lock(base):
        latest = versions.read_latest(base)
        # Drawn before remains are removed: a server may have loaded a half, whose number is spent.
        version = versions.pushed_version(base, info["run_id"], task.index) or versions.new_version(base)
        versions.remove_remains(base, keep=version)
        missing = [kind for kind in kinds if not os.path.exists(versions.place(base, kind, version))]
        if missing:
            about = {
                **_describe(model, task, info),
                "version": version,
                "pair": kinds,
                "parent_version": _parent(latest, info),
            }
            for kind in missing:
                _push_half(model, kind, base, {"kind": kind, **about})
        if version > latest.get("version", 0):
            versions.write_latest(
                base,
                {
                    "version": version,
                    "run_id": info["run_id"],
                    "task_index": task.index,
                    "task_name": task.name,
                    **{kind: f"{kind}/{version}" for kind in kinds},
                },
            )
    return version


def run_id(workdir):
    """Returns the id of the run in `workdir`, which is drawn when it is first asked for."""
    path = os.path.join(workdir, "exports", "run_id")
    if not os.path.exists(path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        versions.write_json(path, str(uuid.uuid4()))
    with open(path, encoding="utf-8") as f:
        return f.read().strip().strip('"')


def push_workdir(workdir, base=None):
    """Pushes the state that a run ended with; see `push`.

    Args:
      workdir: folder of a run that is not in the middle of a task.
      base: folder to push to; None for `exports` in the workdir.

    Raises:
      ValueError: nothing to export is there, or the run is in the middle of a task.
    """
    if not os.path.isfile(os.path.join(workdir, "config.json")):
        raise ValueError(
            f"{workdir} is no workdir of a run (it has no config.json); give the one that"
            " trainers.train wrote."
        )
    program.import_tensorflow()
    from ltgans_tf import checkpoints, loading

    model = loading.load(workdir)
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
        {"run_id": run_id(workdir), "image_shape": stream["image_shape"], "fit": stream["fit"]},
    )


def _push_half(model, kind, base, about):
    import tensorflow as tf

    from export import signatures

    staging = os.path.join(base, kind, f".tmp-{about['version']}-{os.getpid()}")
    try:
        os.makedirs(os.path.dirname(os.path.join(staging, versions.INFO)))
        versions.write_json(os.path.join(staging, versions.INFO), about)
        if kind == "generator":
            signatures.save_generator(model, staging)
        else:
            signatures.save_encoder(model, about["image_shape"], about["fit"], staging)
        versions.put_in_place(staging, base, kind, about["version"])
    except (OSError, tf.errors.OpError) as error:
        shutil.rmtree(staging, ignore_errors=True)
        raise OSError(
            f"could not push the {kind} to {base}: {str(error).splitlines()[0]}; see to the"
            " disk there and run the same command again."
        ) from error


def _describe(model, task, info):
    """What both halves say about themselves."""
    import keras
    import tensorflow as tf
    import tensorflow_probability as tfp

    return {
        **info,
        "format_version": FORMAT_VERSION,
        "task_index": task.index,
        "task_name": task.name,
        "step": int(model.global_step.numpy()),
        "identity": model.latest_identity,
        "latent_dim": model.latent_dim,
        "latent_law": model.latent_law,
        "code_dim": None if model.student is None else model.student.code_dim,
        "settings": model.get_settings(),
        "created": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "packages": {
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
            "tensorflow_probability": tfp.__version__,
            "ltgans_tf": ltgans_tf.__version__,
        },
    }


def _parent(latest, info):
    """The version that this run pushed before, or None where the latest is another run's."""
    return latest.get("version") if latest.get("run_id") == info["run_id"] else None


def main(argv):
    """Pushes what the flags name and says where it went."""
    del argv
    base = flags.FLAGS.base or os.path.join(flags.FLAGS.workdir, "exports")
    version = push_workdir(flags.FLAGS.workdir, base)
    print(
        f"Pushed version {version} to {base}. Look at it with: python -m trainers.sample"
        f" --workdir={base} --count=64 --out=samples.png"
    )


if __name__ == "__main__":
    # Not at the top, because trainers.train imports this file and has a --workdir of its own.
    flags.DEFINE_string("workdir", None, "Folder of a run.", required=True)
    flags.DEFINE_string(
        "base", None, "Folder that holds generator/ and encoder/; by default `exports` in the workdir."
    )
    program.run(main)
