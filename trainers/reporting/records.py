"""The records of runs in a results file, so that no run is lost with the machine that made it."""

import json
import os

from ltgans_tf.evaluation import row, scores
from ltgans_tf.files import metrics_log
from ltgans_tf.trainers.reporting import runs

_ABOUT = ("format_version", "after_task", "task", "step", "protocol", "tuning", "about", "settings", "data")
_DIGITS = 6  # significant digits of a score


def of(job, experiment):
    """Returns the record of a finished job, JSON-ready.

    It has all scores of `scores.SCORES` in the last row, and the scores of the experiment's tables and endpoints in
    earlier rows. It includes their baselines, but no reasons and times.

    Args:
      job: a `jobs.Job`.
      experiment: the `experiments.Experiment` of the job.
    """
    run = runs.Run(job.workdir)
    shown = _with_beside(view.score for view in (*experiment.tables, *experiment.endpoints))
    rows = [_row(one, shown) for one in run.rows[:-1]]
    return {
        "label": job.label,
        "seed": job.seed,
        "flags": _flags(job),
        "seconds": job.seconds,
        "steps_per_task": run.config.get("steps_per_task"),
        **_during(run),
        "rows": [*rows, _row(run.last, _with_beside(scores.SCORES))],
    }


def _during(run):
    """What points of training have of the first task: {'during': {'step': list, name: list}}, or {}."""
    names = metrics_log.FIRST_TASK
    points = [point for point in run.records if all(name in point for name in names)]
    if not points:
        return {}
    found = {name: [float(f"{point[name]:.{_DIGITS}g}") for point in points] for name in names}
    return {"during": {"step": [point["step"] for point in points], **found}}


def _flags(job):
    """Returns the flags that identify a job: all but the place of its data."""
    return [flag for flag in job.flags if not flag.startswith("--data_dir=")]


def _with_beside(names):
    names = set(names)
    baselines = [scores.SCORES[name].baseline for name in names]
    return {*names, *(beside.name for beside in baselines if beside), *scores.shown("mix")}


def _row(one, names):
    found = one.as_json()
    extractors = {
        key: about for key, about in found.items() if key.startswith(("extractor", "inception")) and about
    }
    return {
        **{key: found[key] for key in _ABOUT},
        **{
            key: {k: about.get(k) for k in ("sha256", "domain_accuracy")} for key, about in extractors.items()
        },
        "scores": {task: _numbers(own, names) for task, own in one.scores.items()},
        "union": _numbers(one.union, names),
    }


def _numbers(found, names):
    return {
        name: value if type(value) is int else float(f"{value:.{_DIGITS}g}")
        for name, value in found.items()
        if name in names and value is not None
    }


def read(paths, planned):
    """Reads the records of jobs.

    Args:
      paths: paths of results files; missing files are skipped, and earlier files take precedence over later ones.
      planned: list of `jobs.Job`.

    Returns:
      {(label, seed): record}, also of runs that are not planned.

    Raises:
      ValueError: a file that cannot be read, or a record of a planned run that had other flags.
    """
    found = {}
    for path in filter(os.path.isfile, reversed(paths)):
        with open(path, encoding="utf-8") as f:
            try:
                kept = json.load(f).get("runs", [])
                found |= {(record["label"], record["seed"]): record for record in kept}
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                raise ValueError(f"{path} is damaged ({error!r}); restore it, or move it away.") from error
    for job in planned:
        record = found.get((job.label, job.seed))
        if record and record["flags"] != _flags(job):
            raise ValueError(
                f"the results have {job.name} with {' '.join(record['flags'])}, and it would now have"
                f" {' '.join(_flags(job))}; give another --out, and another --results."
            )
    return found


def as_runs(kept, folder):
    """Returns the runs of a list of records: {label: {seed: `runs.Run`}}, in their order."""
    found = {}
    for record in kept:
        workdir = os.path.join(folder, record["label"], f"seed_{record['seed']}")
        rows = [row.Row.from_json(one) for one in record["rows"]]
        found.setdefault(record["label"], {})[record["seed"]] = runs.Run(workdir, rows)
    return found


def as_json(facts, kept):
    """Returns the text of a results file: `facts`, then one record per line."""
    head = json.dumps(facts, indent=1, allow_nan=False).removesuffix("\n}")
    lines = ",\n".join(f"  {json.dumps(record, allow_nan=False)}" for record in kept)
    return f'{head},\n "runs": [\n{lines}\n ]\n}}\n'
