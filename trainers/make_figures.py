"""Makes the figures of a run: Fig. 2 and 3 of the paper, what was forgotten, scores and training.

  ltgans figures --workdir=runs/demo
  ltgans figures --workdir=runs/demo --only=fig3_traversal --codes=3,17 --out=pictures

They go to the run's figures/, or with --out to that folder. What cannot be made, because a task's
data is gone or there is no Student, is left out and named.
"""

import os
import re
import textwrap

from absl import flags

from ltgans_tf import trainers
from ltgans_tf.export import path_flags, program
from ltgans_tf.files import paths
from ltgans_tf.trainers import flagfile


def main(argv):
    """Makes the figures that the flags ask for, and says where they are."""
    del argv
    given = flags.FLAGS
    units = None if given.codes is None else _units(given.codes)
    print(make_figures(given.workdir, given.out, given.data_dir, given.only, given.seed, units, given.method))


def make_figures(workdir, out=None, data_dir=None, only=None, seed=0, units=None, method=None):
    """Writes the figures of the run in `workdir`.

    Args:
      workdir: folder of the run.
      out: folder to write to; None for figures/ in the workdir.
      data_dir: folder whose <name>.npz files stand for data sets; None for that of the training.
      only: names of figures; None for all.
      seed: chooses the images that are shown.
      units: latent variables of fig3_traversal; None for those with the most KL.
      method: see `loading.load`.

    Returns:
      some lines that say what was written where, what was left out and why, and what comes next.

    Raises:
      ValueError: no run, nothing learnt, unknown names, or nothing that could be made.
    """
    _check(workdir, out)
    trainers.import_tensorflow()
    from ltgans_tf import loading
    from ltgans_tf.figures import run_figures

    if only is not None:
        run_figures.check_names(only)
    model = loading.load(workdir, method)
    trained, told = flagfile.read(workdir), {}
    tasks = loading.load_stream(
        workdir, data_dir or trained.get("data_dir"), trained.get("skip_broken_images") == "True"
    ).tasks
    try:
        domains_fn = _domains_fn(workdir, [task.name for task in tasks], int(model.task_index.numpy()))
    except ValueError as error:
        domains_fn, told["domains of generated images"] = None, str(error)
    pictures, left_out = run_figures.figures_of_run(model, tasks, workdir, domains_fn, seed, only, units)
    left_out |= {part: reason for part, reason in told.items() if part in left_out}
    if not pictures:
        raise ValueError(f"no figure could be made: {' '.join(dict.fromkeys(left_out.values()))}")
    folder = os.path.join(workdir, "figures") if out is None else out
    run_figures.save(folder, pictures)
    return _ending(workdir, folder, pictures, left_out)


def _units(texts):
    if wrong := [text for text in texts if not re.fullmatch("[0-9]{1,9}", text.strip())]:
        raise ValueError(
            f"--codes has {wrong[0]!r}; give numbers of latent variables, from 0 on, such as 3,17."
        )
    return [int(text) for text in texts]


def _check(workdir, out):
    if not os.path.isdir(workdir):
        raise ValueError(f"there is no folder {workdir}; --workdir names a run.")
    if not os.path.isfile(os.path.join(workdir, "config.json")):
        raise ValueError(f"{workdir} is no workdir of a run: it has no config.json.")
    if out is not None:
        paths.ending(out, (), folder=True)
    if out is not None and os.path.isfile(out):
        raise ValueError(f"--out={out} is a file; give a folder.")


def _domains_fn(workdir, names, learnt):
    """Returns a function that assigns images to tasks by the extractor of the run's scores; None without extractor.

    Args:
      workdir: folder of the run.
      names: names of all its tasks.
      learnt: number of tasks learnt.

    Raises:
      ValueError: the extractor cannot be read, or does not know all tasks that are learnt.
    """
    path = os.path.join(workdir, "eval", "extractor.npz")
    if not os.path.isfile(path):
        return None
    import numpy as np

    from ltgans_tf.evaluation import features

    extractor = features.load(path)
    known = extractor.domain_names
    if strange := [name for name in known if name not in names]:
        raise ValueError(f"{path} knows the domain {strange[0]!r}, which is no task of this run.")
    # The extractor would assign images of a domain that it does not know to another domain.
    if missing := [name for name in names[:learnt] if name not in known]:
        raise ValueError(f"{path} does not know the domain {missing[0]!r}.")
    places = np.array([names.index(name) for name in known])
    return lambda images: places[extractor.domains(images)]


def _ending(workdir, folder, pictures, left_out):
    files = f"{len(pictures)} PNG file{'s' * (len(pictures) > 1)}"
    names = textwrap.wrap(", ".join(pictures), 96)
    lines = [f"pictures:   {folder}/ ({files})", *(f"  {line}" for line in names)]
    if left_out:
        together = {}
        for name, reason in left_out.items():
            together.setdefault(reason, []).append(name)
        lines += ["left out:", *(f"  {', '.join(names)}: {reason}" for reason, names in together.items())]
    report = path_flags.command("ltgans report", f"--workdir={workdir}")
    return "\n".join([*lines, "next:", f"  {report}"])


if __name__ == "__main__":
    path_flags.define_path("workdir", None, "The run.", required=True)
    path_flags.define_path("out", None, "Folder to write to, in place of the run's figures/.")
    path_flags.define_path("data_dir", None, "Folder whose <name>.npz files stand for data sets.")
    flags.DEFINE_list(
        "only", None, "Figures to make, such as fig3_traversal or matrix_elbo; the main ones if left out."
    )
    program.define_seed(0, "Chooses the images that are shown.")
    flags.DEFINE_list("codes", None, "Latent variables of fig3_traversal; by default those with the most KL.")
    trainers.define_method()
    trainers.run(main)
