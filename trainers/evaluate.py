"""Measures what the model of a run has kept, and compares it with the scores after earlier tasks.

  ltgans evaluate --workdir=runs/demo
  ltgans evaluate --workdir=runs/demo --inception_path=classify_image_graph_def.pb

The new row, with more samples, replaces the row that training wrote after the last task. Earlier
rows stay as they are, because their models are gone.
"""

import dataclasses
import math
import os
import sys
import time

from absl import flags

from ltgans_tf import trainers
from ltgans_tf.evaluation import row, scores
from ltgans_tf.export import path_flags, program
from ltgans_tf.files import user_cache
from ltgans_tf.trainers import flagfile
from ltgans_tf.trainers.reporting import phrases


def main(argv):
    """Evaluates what the flags ask for and prints a table."""
    del argv
    given = flags.FLAGS
    begin = time.monotonic()
    found = evaluate(
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
    print("\n".join([*_table(found), *_reasons(found), *forgotten(given.workdir)]))
    if found.tuning:
        print(f"no test scores: {phrases.TUNING}")
    print(f"measured in {time.monotonic() - begin:.0f} s by the {found.protocol} protocol")
    print(_ending(given.workdir, found))


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
      seed: int, the seed of all draws; None for that of the run.
      deterministic: whether all operations of this process are deterministic, so that an extractor
        that is trained here equals one that `ltgans train` trained.
      method: see `loading.load`.
      settings: fields of `evaluator_settings.EvaluatorSettings`.

    Returns:
      the `row.Row`.

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
    from ltgans_tf.evaluation import evaluation, inception
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
    before = row.read_rows(workdir)[-1] if os.path.isfile(row.row_path(workdir, 0)) else None
    about = before.about if before else {}
    evaluator = evaluation.Evaluator(
        protocol or (before and before.protocol) or None,
        inception=None if inception_path is None else inception.Inception(inception_path, inception_sha256),
        cache=user_cache.folder(),
        about={name: about.get(name, trained.get(name)) for name in ("preset", "recipe")},
        progress=_Progress(),
        seed=model.seed if seed is None else seed,
        **settings,
    )
    found = _with_kept(evaluator.evaluate(model, stream, workdir), before)
    boundaries.keep_row(workdir, found)
    return found


def _with_kept(now, before):
    """Adds the scores that an earlier row of the same state has and the new row lacks, as data may be gone.

    Args:
      now, before: the new `row.Row`, and the earlier one or None.

    Returns:
      `row.Row`, with `kept` set if something was added.
    """
    if before is None or before.step != now.step:
        return now
    new = {**now.scores, "": now.union}
    old = {**before.scores, "": before.union}
    missing = {of: {n: v for n, v in old.get(of, {}).items() if n not in found} for of, found in new.items()}
    names = {of: sorted(found) for of, found in missing.items() if found}
    if not names:
        return now
    scores_of = {of: found | missing[of] for of, found in new.items()}
    absent = {
        of: {name: reason for name, reason in reasons.items() if name not in missing[of]}
        for of, reasons in {**now.absent, "": now.union_absent}.items()
    }
    return dataclasses.replace(
        now,
        union=scores_of.pop(""),
        scores=scores_of,
        union_absent=absent.pop(""),
        absent=absent,
        kept={"settings": before.settings, "scores": names},
    )


def _check_between_tasks(workdir, model):
    task, step = int(model.task_index.numpy()), int(model.task_step.numpy())
    if step or not task:
        raise ValueError(
            f"{workdir} is at step {step} of task {task + 1}; evaluate it between two tasks, so let the training"
            " go on to the end of this one."
        )


class _Progress:
    """Shows progress: on a terminal in one line, else as a new line at most every 10 s."""

    def __init__(self):
        self._begin, self._last = time.monotonic(), -10.0

    def __call__(self, text):
        seconds = time.monotonic() - self._begin
        if sys.stderr.isatty():
            print(f"\r{seconds:4.0f} s  {text:<90}", end="", file=sys.stderr, flush=True)
        elif seconds - self._last >= 10:
            self._last = seconds
            print(f"{seconds:4.0f} s  {text}", file=sys.stderr, flush=True)


def _table(found):
    """Returns the scores of each task and of all together, with baselines in brackets: list of lines."""
    groups = {**found.scores, "all together": found.union}
    known = [scores.SCORES[name] for name in scores.shown("terminal")]
    known = [score for score in known if any(score.name in own for own in groups.values())]
    lines = [["", *(score.label for score in known)]]
    lines += [[task, *(_cell(score, own) for score in known)] for task, own in groups.items()]
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    text = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in lines]
    return ["", *text, "in brackets: real images in place of generated ones; the mean image for NLOG"]


def _cell(score, own):
    if score.name not in own:
        return "-"
    text, beside = f"{own[score.name]:.{score.digits}f}", score.beside(own)
    return text if beside is None else f"{text} ({beside:.{score.digits}f})"


def _reasons(found):
    """Lists the scores that an earlier row supplied, and the absent ones, each reason once: list of lines."""
    together = {}
    for task, reasons in [*found.absent.items(), ("all together", found.union_absent)]:
        for name, reason in reasons.items():
            together.setdefault(reason, {}).setdefault(task, []).append(name)
    kept = [
        f"kept from before: {', '.join(names)} of {task or 'all together'}"
        for task, names in (found.kept or {"scores": {}})["scores"].items()
    ]
    return kept + [
        "absent: "
        + "; ".join(f"{', '.join(names)} of {task}" for task, names in tasks.items())
        + f": {reason}"
        for reason, tasks in together.items()
    ]


def forgotten(workdir):
    """Says what was forgotten since each task was new, from the rows of all boundaries: list of lines."""
    lines = []
    matrices = scores.score_matrix(workdir)
    for name in (name for name in scores.shown("lost") if name in matrices):
        one, score = matrices[name], scores.SCORES[name]
        found = {
            "final average": one.final_average(),
            "forgetting": one.mean_forgetting(),
            "backward transfer": one.backward_transfer(),
        }
        told = [f"{what} {value:.{score.digits}f}" for what, value in found.items() if math.isfinite(value)]
        there = sum(math.isfinite(value) for value in one.final)
        if told and there < len(one.tasks):
            told[0] += f" ({there} of {len(one.tasks)} tasks)"
        lines.append(f"{score.label}: {', '.join(told)}")
    return lines


def _ending(workdir, found):
    path = row.row_path(workdir, found.after_task)
    after = [path_flags.command(f"ltgans {name}", f"--workdir={workdir}") for name in ("figures", "report")]
    return "\n  ".join([f"all scores: {path}\nnext:", *after])


if __name__ == "__main__":
    path_flags.define_path("workdir", None, "The run.", required=True)
    path_flags.define_path("data_dir", None, "Folder whose <name>.npz files stand for data sets.")
    flags.DEFINE_enum("protocol", None, ["research", "production"], "By default that of the run.")
    path_flags.define_path(
        "inception_path", None, "File with an Inception network (.pb or .h5): FID beside FCD."
    )
    flags.DEFINE_list("extractor_seed", [], "Seeds of further extractors, 1, 2 or both.")
    flags.DEFINE_string("inception_sha256", None, "Expected sha256 of that file.")
    flags.DEFINE_integer("samples", 5000, "Generated images for the distances.", 1)
    flags.DEFINE_integer("test_images", 2000, "At most so many test images of each task.", 1)
    flags.DEFINE_integer("iwae_k", 64, "Importance samples of the IWAE bound.", 1)
    flags.DEFINE_integer("iwae_images", 500, "Test images of each task for it; 0 leaves it out.", 0)
    flags.DEFINE_integer("max_eval_seconds", 0, "No part is begun after this time; 0 = no limit.", 0)
    flags.DEFINE_list("parts", None, "Parts to measure, such as likelihood,distances; all if left out.")
    program.define_seed(None, "Of the generated images and all draws; by default that of the run.")
    trainers.define_method()
    trainers.run(main)
