"""Finds what `ltgans train` takes over from the run in its workdir, or from the run that --init_from names."""

import glob
import os

from ltgans_tf.data import specs
from ltgans_tf.export import continuation
from ltgans_tf.files import jsonfiles
from ltgans_tf.methods import registry
from ltgans_tf.settings import upgrades
from ltgans_tf.trainers import flagfile


def started(workdir):
    """Whether the workdir has a run already."""
    return os.path.isfile(os.path.join(workdir, "config.json"))


def tasks_before(workdir, init_from):
    """Returns how many tasks are finished, their boundaries included; the data of these may be gone."""
    if init_from is not None and not started(workdir):
        return len(continuation.learnt_specs(init_from))
    return len(glob.glob(os.path.join(glob.escape(workdir), "boundary", "task_*.done")))


def take_over(flag_values):
    """For --init_from: sets flags that are not given to those of the earlier run, and adds the new tasks to its tasks.

    Args:
      flag_values: the FlagValues of `ltgans train`, which are changed.

    Raises:
      ValueError: no new tasks, a workdir of other tasks, an unknown flag, or a method that the user must name.
    """
    if flag_values.tasks is None:
        raise ValueError(
            "--init_from needs --tasks: what is to be learnt next, as --tasks=folder:new_images."
        )
    folder, new = flag_values.workdir, [specs.tidied(text) for text in flag_values.tasks]
    if started(folder):  # the same command again
        learnt = _stream(folder).get("specs", [])
        if learnt[-len(new) :] != new:
            raise ValueError(
                f"workdir {folder!r} holds a run of the tasks {', '.join(learnt)}, which do not end in"
                f" {', '.join(new)}; give another workdir."
            )
        learnt = learnt[: -len(new)]
    else:
        folder = continuation.find(flag_values.init_from)
        learnt = continuation.learnt_specs(flag_values.init_from)
    for name, text in flagfile.read(folder).items():
        if name not in flag_values:
            raise ValueError(
                f"{folder}/flags.txt has --{name}, which this version does not know; use the newer ltgans_tf that"
                " wrote it, or take that line out."
            )
        flag = flag_values[name]
        if name == "method" and text not in registry.METHODS and not flag.present:
            raise ValueError(
                f"{folder} was trained with the method {text!r}, which is no part of this package; going on runs that"
                f" code, so name it if you trust it: --method={text}"
            )
        if name not in ("tasks", "workdir") and not flag.present:
            flag.parse(text)
    flag_values.tasks = (*learnt, *new)


def reading(workdir, init_from, upright):
    """Returns arguments of `TaskStream` that say how image files are read: as in the earlier run, if there is one.

    Args:
      workdir, init_from: the flags.
      upright: whether photographs are turned; None for the setting of the earlier run.
    """
    folder = workdir if started(workdir) else init_from and continuation.find(init_from)
    if not folder:
        return {} if upright is None else {"upright": upright}
    its = _stream(folder)
    return {"upright": its["upright"] if upright is None else upright, "split_by": its["split_by"]}


def _stream(folder):
    """Returns the stream settings of the run in `folder`, with those added that an old run lacks."""
    config = jsonfiles.read_object(os.path.join(folder, "config.json"), stream=dict)
    return upgrades.complete(config, folder)["stream"]
