"""The messages of `ltgans train` after each task and at its end."""

import glob
import os
import time

from ltgans_tf.evaluation import distances, scores
from ltgans_tf.export import path_flags, versions
from ltgans_tf.trainers import processes

_SURE = 0.9  # domain accuracy of an extractor


def boundary(task, found):
    """Returns the scores of `found`, the `row.Row` after `task`, in one line; after task 1, further lines explain them."""
    known = [scores.SCORES[name] for name in scores.shown("line")]
    parts = [line for score in known if (line := _of_tasks(score, found.scores))]
    parts += [_of_all(score, found.union) for score in known if score.name in found.union]
    parts += _too_few(known, found)
    if task.index == 0 and found.extractor:
        parts += _extractor(found.extractor)
    left_out = f"; {task.skipped} broken image{'s' * (task.skipped > 1)} left out" if task.skipped else ""
    seconds = sum(found.seconds.values())
    place = " on held-out training images" if found.tuning else ""
    return (
        f"after task {task.index + 1} ({task.name}), measured{place} in {seconds:.0f} s: "
        + "; ".join(parts)
        + left_out
        + (_legend(known, found.scores[task.name]) if task.index == 0 else "")
    )


def _legend(known, own):
    """Explains the scores of the line: one line for each that this task has."""
    return "".join(
        f"\n  {score.label}: {score.about} {score.better.capitalize()} is better."
        for score in known
        if score.name in own
    )


def _of_tasks(score, found):
    """Returns a score of each task that has it, in words; '' if none has it."""
    told = [f"{task} {own[score.name]:.{score.digits}f}" for task, own in found.items() if score.name in own]
    return f"{score.label} {', '.join(told)}" if told else ""


def _of_all(score, union):
    """Returns a score of all tasks together and its baseline, in words."""
    beside = score.beside(union)
    told = "" if beside is None else f" ({score.baseline.line} {beside:.{score.digits}f})"
    return f"{score.label} of all {union[score.name]:.{score.digits}f}{told}"


def _too_few(known, found):
    """Names scores that the new task or all together lack because of too few images, and how many are needed."""
    of_reason = {}
    for place, absent in ((found.task, found.absent.get(found.task, {})), ("all", found.union_absent)):
        for score in known:
            reason = absent.get(score.name, absent.get(score.part, ""))
            if distances.TOO_FEW in reason:
                of_reason.setdefault((score.label, reason), []).append(place)
    return [
        f"no {label} of {' and of '.join(places)}, as {reason.removesuffix('.').replace(';', ',')}"
        for (label, reason), places in of_reason.items()
    ]


def _extractor(about):
    """Says how far the features of the distances can be trusted: list of at most one str."""
    accuracy = about.get("domain_accuracy")
    if accuracy is None:
        return []
    unsure = " (scores of single domains are unsure)" if accuracy < _SURE else ""
    return [f"the extractor recognises the domain of {accuracy:.1%} of the test images{unsure}"]


class Clock:
    """Records begin and end of the training in each task."""

    def __init__(self):
        self._spans = []

    def begin(self, _=None):
        self._spans.append([time.monotonic()] * 2)

    def end(self, _=None):
        self._spans[-1][1] = time.monotonic()

    def times(self, say):
        """Returns how the time was spent, and the peak memory of the process, as text.

        Args:
          say: the `log.Lines` of the run.
        """
        total = time.monotonic() - say.begin
        peak = processes.peak_memory()
        if say.first_step is None:
            return f"time: {total:.0f} s, no step was taken; peak memory {peak:.2f} GiB"
        training = sum(end - begin for begin, end in self._spans) - (say.first_step - self._spans[0][0])
        start_up = say.first_step - say.begin
        return (
            f"time: {total:.0f} s: start-up to the first step {start_up:.0f} s, training"
            f" {training:.0f} s, boundaries {total - training - start_up:.0f} s; peak memory"
            f" {peak:.2f} GiB"
        )


def stopped(workdir, command):
    """Says that the run was stopped, whether its state is saved, and which command continues it."""
    saved = glob.glob(os.path.join(glob.escape(workdir), "checkpoints", "task_*"))
    return f"stopped, {'state saved' if saved else 'nothing to save yet'}; to go on:\n  {command}"


def done(workdir, base, student):
    """Says where the results of a run are, and what to do next.

    Args:
      workdir: folder of the run.
      base: folder of its exports, or None if none were made.
      student: bool, whether it has a Student.
    """
    of_it = f"--workdir={workdir}"
    commands = [
        *(path_flags.command(f"ltgans {name}", of_it) for name in ("evaluate", "figures", "report")),
        path_flags.command("ltgans sample", of_it, "--count=1000", f"--out={workdir}/samples.npz"),
        *[path_flags.command("ltgans encode", of_it, "--images=YOUR_FOLDER", f"--out={workdir}/codes.npz")]
        * student,
        path_flags.command(
            "python -m tensorboard.main", f"--logdir={workdir}/tensorboard", "--samples_per_plugin=images=200"
        ),
    ]
    lines = [
        "done",
        f"pictures:   {workdir}/figures/stream.png (after each task, the same latents)",
        f"            {workdir}/samples/ (grids of each task)",
        f"models:     {_models(workdir, base, student)}",
        "next:",
        *(f"  {command}" for command in commands),
    ]
    return "\n".join(lines)


def _models(workdir, base, student):
    """Says which exported models are served."""
    if base is None:
        return (
            f"none exported (--nopush); {path_flags.command('ltgans push', f'--workdir={workdir}')} does it"
        )
    version = versions.read_latest(base).get("version")
    if version is None:
        return (
            f"none is served from {base}; {path_flags.command('ltgans release', f'--base={base}')} tells more"
        )
    encoder = f" and {base}/encoder/{version}" if student else ""
    return f"{base}/generator/{version}{encoder} (SavedModels)"
