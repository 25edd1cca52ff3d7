"""Measures what the model of a run has kept, and shows it beside what it had before.

  python -m trainers.evaluate --workdir=runs/demo
  python -m trainers.evaluate --workdir=runs/demo --inception_path=classify_image_graph_def.pb

Takes the place of the row that training wrote after the last task, with more samples. Earlier rows
stay as they are: the models that they tell of are gone.
"""

import math
import os
import sys
import time

from absl import flags

import trainers
from export import path_flags, program
from ltgans_tf.evaluation import scores
from trainers import flagfile, wording

_SHOWN = (
    *("nlog", "nlog_sampled", "iwae", "fcd", "fcd_seed1", "fcd_seed2", "fcd_drawn", "fid", "fid_keras"),
    *("precision", "recall", "density", "coverage", "share", "components", "knn", "copies"),
)
_MATRICES = ("nlog", "fcd", "fcd_drawn", "fid", "fid_keras", "knn")


def main(argv):
    """Evaluates what the flags ask for and prints a table."""
    del argv
    given = flags.FLAGS
    begin = time.monotonic()
    row = evaluate(
        given.workdir,
        given.data_dir,
        given.protocol,
        given.inception_path,
        given.inception_sha256,
        given.seed,
        deterministic=True,
        method=given.method,
        samples=given.samples,
        test_images=given.test_images,
        iwae_k=given.iwae_k,
        iwae_images=given.iwae_images,
        max_seconds=given.max_eval_seconds or None,
        extractor_seeds=trainers.extractor_seeds(given.extractor_seed),
        **({"parts": given.parts} if given.parts else {}),
    )
    print("\n".join([*_table(row), *_reasons(row), *forgotten(given.workdir)]))
    if row["tuning"]:
        print(f"no test scores: {wording.TUNING}")
    print(f"measured in {time.monotonic() - begin:.0f} s by the {row['protocol']} protocol")
    print(_ending(given.workdir, row))


def evaluate(
    workdir,
    data_dir=None,
    protocol=None,
    inception_path=None,
    inception_sha256=None,
    seed=None,
    deterministic=False,
    method=None,
    **settings,
):
    """Measures the newest state of a run and keeps the row in eval/ and TensorBoard.

    Args:
      workdir: folder of the run; the boundary after its last task must be done.
      data_dir: folder whose <name>.npz files stand for data sets; None for that of the training.
      protocol: 'research' or 'production'; None for that of the run.
      inception_path, inception_sha256: see `inception.Inception`; None for none.
      seed: int, of all draws; None for that of the run.
      deterministic: whether all operations of this process shall give the same bits again, so
        that an extractor that is trained here equals one that `trainers.train` trained.
      method: see `loading.load`.
      settings: further arguments of `evaluation.Evaluator`.

    Returns:
      the row; see `evaluation.Evaluator.evaluate`.

    Raises:
      ValueError: no run, one in the middle of a task or of another format version, a wrong sha256.
    """
    if not os.path.isdir(workdir):
        raise ValueError(f"there is no folder {workdir}; --workdir names a run.")
    tf = trainers.import_tensorflow()
    if deterministic:
        tf.config.experimental.enable_op_determinism()
        tf.random.set_seed(0)
    from ltgans_tf import loading
    from ltgans_tf.evaluation import evaluation, features, inception
    from ltgans_tf.training import boundaries, checkpoints

    checkpoints.read_config(workdir)
    if not checkpoints.checkpoints(workdir):
        raise ValueError(f"{workdir} has no checkpoint; train there first, or name the workdir of a run.")
    model = loading.load(workdir, method)
    _check_between_tasks(workdir, model)
    trained = flagfile.read(workdir)
    stream = loading.load_stream(
        workdir, data_dir or trained.get("data_dir"), trained.get("skip_broken_images") == "True"
    )
    before = scores.read_rows(workdir)[-1] if os.path.isfile(scores.row_path(workdir, 0)) else {}
    evaluator = evaluation.Evaluator(
        protocol or before.get("protocol", "research"),
        inception=None if inception_path is None else inception.Inception(inception_path, inception_sha256),
        cache=features.cache_folder(),
        about={name: before.get("about", {}).get(name, trained.get(name)) for name in ("preset", "recipe")},
        progress=_Progress(),
        seed=model.seed if seed is None else seed,
        **settings,
    )
    row = _with_kept(evaluator.evaluate(model, stream, workdir), before)
    boundaries.keep_row(workdir, row)
    return row


def _with_kept(row, before):
    """Adds what an earlier row of the same state has and this one lacks: its data may be gone by now.

    Returns:
      the row, with 'kept': the settings of the earlier row and {task, or '' for all: names of the
      scores that are from it}.
    """
    if before.get("step") != row["step"]:
        return row
    names = {}
    groups = [(task, row["scores"][task], before["scores"].get(task, {})) for task in row["scores"]]
    for task, new, old in [*groups, ("", row["union"], before["union"])]:
        missing = {name: value for name, value in old.items() if name not in new}
        new.update(missing)
        if missing:
            names[task] = sorted(missing)
    for task, reasons in [*row["absent"].items(), ("", row["union_absent"])]:
        for name in names.get(task, ()):
            reasons.pop(name, None)
    return {**row, "kept": {"settings": before["settings"], "scores": names}} if names else row


def _check_between_tasks(workdir, model):
    task, step = int(model.task_index.numpy()), int(model.task_step.numpy())
    if step or not task:
        raise ValueError(
            f"{workdir} is at step {step} of task {task + 1}; evaluate it between two tasks, so let the training"
            " go on to the end of this one."
        )


class _Progress:
    """One line on a terminal, else a line now and then."""

    def __init__(self):
        self._begin, self._last = time.monotonic(), -10.0

    def __call__(self, text):
        seconds = time.monotonic() - self._begin
        if sys.stderr.isatty():
            print(f"\r{seconds:4.0f} s  {text:<90}", end="", file=sys.stderr, flush=True)
        elif seconds - self._last >= 10:
            self._last = seconds
            print(f"{seconds:4.0f} s  {text}", file=sys.stderr, flush=True)


def _table(row):
    """The scores of each task and of all, with what stands beside each in brackets: list of lines."""
    names = [
        name for name in _SHOWN if any(name in found for found in [*row["scores"].values(), row["union"]])
    ]
    lines = [["", *(scores.SCORES[name].label for name in names)]]
    for task, found in [*row["scores"].items(), ("all together", row["union"])]:
        lines.append([task, *(_cell(name, found) for name in names)])
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    text = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in lines]
    return ["", *text, "in brackets: real images in place of generated ones; the mean image for NLOG"]


def _cell(name, found):
    if name not in found:
        return "-"
    score, beside = scores.SCORES[name], found.get(scores.SCORES[name].beside)
    text = f"{found[name]:.{score.digits}f}"
    return text if beside is None else f"{text} ({beside:.{score.digits}f})"


def _reasons(row):
    """What is of an earlier row, and what is absent, each reason once: list of lines."""
    together = {}
    for task, reasons in [*row["absent"].items(), ("all together", row["union_absent"])]:
        for name, reason in reasons.items():
            together.setdefault(reason, {}).setdefault(task, []).append(name)
    kept = [
        f"kept from before: {', '.join(names)} of {task or 'all together'}"
        for task, names in row.get("kept", {}).get("scores", {}).items()
    ]
    return kept + [
        "absent: "
        + "; ".join(f"{', '.join(names)} of {task}" for task, names in tasks.items())
        + f": {reason}"
        for reason, tasks in together.items()
    ]


def forgotten(workdir):
    """What was forgotten since each task was new, from the rows of all boundaries: list of lines."""
    lines = []
    matrices = scores.score_matrix(workdir)
    for name in (name for name in _MATRICES if name in matrices):
        matrix, score = matrices[name], scores.SCORES[name]
        found = {
            "final average": matrix.final_average(),
            "forgetting": matrix.mean_forgetting(),
            "backward transfer": matrix.backward_transfer(),
        }
        told = [f"{what} {value:.{score.digits}f}" for what, value in found.items() if math.isfinite(value)]
        there = sum(math.isfinite(value) for value in matrix.final)
        if told and there < len(matrix.tasks):
            told[0] += f" ({there} of {len(matrix.tasks)} tasks)"
        lines.append(f"{score.label}: {', '.join(told)}")
    return lines


def _ending(workdir, row):
    path = scores.row_path(workdir, row["after_task"])
    after = [
        path_flags.command(f"python -m trainers.{name}", f"--workdir={workdir}")
        for name in ("make_figures", "report")
    ]
    return "\n  ".join([f"all scores: {path}\nnext:", *after])


if __name__ == "__main__":
    path_flags.define_path("workdir", None, "The run.", required=True)
    path_flags.define_path("data_dir", None, "Folder whose <name>.npz files stand for data sets.")
    flags.DEFINE_enum("protocol", None, ["research", "production"], "By default that of the run.")
    path_flags.define_path(
        "inception_path", None, "File with an Inception network (.pb or .h5): FID beside FCD."
    )
    flags.DEFINE_list("extractor_seed", [], "Seeds of further extractors, 1, 2 or both.")
    flags.DEFINE_string("inception_sha256", None, "What the sha256 of that file must be.")
    flags.DEFINE_integer("samples", 5000, "Generated images for the distances.", 1)
    flags.DEFINE_integer("test_images", 2000, "At most so many test images of each task.", 1)
    flags.DEFINE_integer("iwae_k", 64, "Importance samples of the IWAE bound.", 1)
    flags.DEFINE_integer("iwae_images", 500, "Test images of each task for it; 0 leaves it out.", 0)
    flags.DEFINE_integer("max_eval_seconds", 0, "No part is begun after this time; 0 = no limit.", 0)
    flags.DEFINE_list("parts", None, "Parts to measure, such as likelihood,distances; all if left out.")
    program.define_seed(None, "Of the generated images and all draws; by default that of the run.")
    trainers.define_method()
    trainers.run(main)
