"""Compares runs of one stream: which belong together, which scores are comparable, mean and spread over seeds."""

import collections
import json
import math
import os

import numpy as np

from ltgans_tf.evaluation import matrix, scores
from ltgans_tf.trainers.reporting import phrases, runs

_NAMED = ("method", "recipe", "preset")
# Settings of the evaluation, apart from the data, that shift a score, by the part that measures the score.
_SHIFTS = {"iwae": ("iwae_k", "iwae_images"), "distances": ("samples", "test_images")}


def read(workdirs):
    """Reads runs, each only up to the last task that all of them have learnt.

    Args:
      workdirs: list of folders.

    Returns:
      list of `runs.Run`.

    Raises:
      ValueError: fewer than two runs, a run given twice, a run without rows or settings, or
        runs of different tasks.
    """
    if len(workdirs) < 2:
        raise ValueError(f"--workdirs names {phrases.count(workdirs, 'run')}; give two or more, as a,b.")
    if len({os.path.realpath(workdir) for workdir in workdirs}) < len(workdirs):
        raise ValueError(f"--workdirs={','.join(workdirs)} names one run twice; give each run once.")
    found = [runs.Run(workdir) for workdir in workdirs]
    last = min(run.last.after_task for run in found)
    for run in found:
        if not run.config:
            raise ValueError(f"{run.workdir} has no config.json, so its settings are not known; restore it.")
        if last not in [row.after_task for row in run.rows]:
            raise ValueError(f"{run.workdir} has no scores after task {last + 1}; evaluate that run again.")
    found = [run.up_to(last) for run in found]
    for run in found[1:]:
        if run.tasks != found[0].tasks:
            raise ValueError(
                f"{run.workdir} has learnt {', '.join(run.tasks)} and {found[0].workdir}"
                f" {', '.join(found[0].tasks)}; compare runs of the same tasks in the same order."
            )
    return found


def settings(run):
    """Returns the settings of a run as a flat dict without seeds: {'model.recipe.ema': 0.99, ...}."""
    named = {key: run.about[key] for key in _NAMED if key in run.about}
    parts = {key: run.config.get(key) for key in ("model", "stream", "steps_per_task")}
    found = {**named, **flat(parts)}
    # `named` has the method already.
    return {key: item for key, item in found.items() if last_name(key) != "seed" and key != "model.method"}


def flat(tree, before=""):
    """Flattens nested dicts: {'model.recipe.ema': 0.99, ...}."""
    found = {}
    for key, item in tree.items():
        found |= flat(item, f"{before}{key}.") if isinstance(item, dict) else {before + key: item}
    return found


def last_name(key):
    """'model.recipe.ema' -> 'ema'."""
    return key.rpartition(".")[2]


def differing(members):
    """Returns the names of the settings that differ between runs; method, recipe and preset come first."""
    found = [settings(run) for run in members]
    keys = dict.fromkeys([*_NAMED, *[key for each in found for key in each]])
    return [key for key in keys if len({json.dumps(each.get(key)) for each in found}) > 1]


def group(members, labels=()):
    """Sorts runs into groups of equal settings, in which only the seed differs, and names them.

    Args:
      members: list of `runs.Run`.
      labels: list of 'workdir=label', each for the group of this workdir, which is a path as given
        or the last part of it. The other groups are named by as few settings as tell them apart.

    Returns:
      {label: list of runs.Run, by seed}.

    Raises:
      ValueError: a label whose workdir fits no run or several groups, or one label for two groups.
    """
    found = collections.defaultdict(list)
    for run in members:
        found[json.dumps(settings(run), sort_keys=True)].append(run)
    groups = [sorted(each, key=lambda run: str(run.about.get("seed")).zfill(9)) for each in found.values()]
    names = _short_names([each[0] for each in groups])
    for item in labels:
        place, label = _given(groups, item)
        names[place] = label
    if twice := [name for name, count in collections.Counter(names).items() if count > 1]:
        raise ValueError(f"two groups are called {twice[0]!r}; tell them apart with --labels=workdir=label.")
    return dict(zip(names, groups))


def _short_names(firsts):
    """Returns a name for each group: the method, or the settings that are needed to tell the groups apart."""
    keys, names = [], [str(run.about.get("method", run.name)) for run in firsts]
    for key in differing(firsts):
        tried = [_named(run, [*keys, key]) for run in firsts]
        if not keys or len(set(tried)) > len(set(names)):
            keys, names = [*keys, key], tried
    return names


def _named(run, keys):
    found = settings(run)
    words = [("" if key in _NAMED else f"{last_name(key)} ") + phrases.value(found.get(key)) for key in keys]
    return ", ".join(words)


def _given(groups, item):
    """Returns (index of the group, its label) for 'workdir=label'."""
    workdir, _, label = item.partition("=")
    found = [i for i, each in enumerate(groups) if workdir in {n for r in each for n in (r.workdir, r.name)}]
    if len(found) != 1 or not label:
        raise ValueError(f"--labels has {item!r}; write WORKDIR=LABEL with one of --workdirs.")
    return found[0], label


def not_comparable(members):
    """Returns the scores that were measured in different ways in these runs: {name: the reason}."""
    barred = {}
    for name in scores.shown("compared"):
        having = [run for run in members if name in run.matrices or name in run.union]
        for what, ask in _ways(name).items():
            found = {run.workdir: ask(run) for run in having}
            if len({item for item in found.values() if item is not None}) > 1:
                told = [f"{str(item)[:12]} in {workdir}" for workdir, item in found.items()]
                barred[name] = f"{what} differ ({', '.join(told)})"
                break
    return barred


def _ways(name):
    """Returns what a score depends on apart from the model: {words: function of a run}."""
    part, by_inception = scores.SCORES[name].part, name.startswith(("fid", "kid"))
    ways = {"the test images": _data}
    if part in scores.ON_FEATURES:
        ways["the extractors"] = lambda run: (
            (run.last.inception if by_inception else run.last.extractor) or {}
        ).get("sha256")
    for key in _SHIFTS.get(part, ()):
        ways[f"the {key}"] = lambda run, key=key: run.last.settings.get(key)
    return ways


def _data(run):
    """Returns the hashes of the test images, or of the data, of all tasks; None if one is missing."""
    found = [facts.get("test_sha256", facts.get("fingerprint")) for facts in run.last.data.values()]
    return None if None in found or not found else " ".join(str(item)[:12] for item in found)


def summarise(groups, barred=()):
    """Computes mean and spread over the seeds of each group.

    Args:
      groups: {label: list of runs.Run}.
      barred: names of scores that must not be compared.

    Returns:
      {label: {'seeds', 'workdirs', 'scores': {name: {'final_average', 'forgetting',
      'backward_transfer', 'beside'}}, 'union': {name: {'value', 'beside'}}}}, ready for JSON. Each
      measure is a result of `spread`, or None if no run has it; 'beside' is the baseline of the
      score in the last row.
    """
    return {label: _summary(members, barred) for label, members in groups.items()}


def _summary(members, barred):
    names = [name for name in scores.shown("compared") if name not in barred]
    return {
        "seeds": [run.about.get("seed") for run in members],
        "workdirs": [run.workdir for run in members],
        "scores": {n: _measures(members, n) for n in names if any(n in run.matrices for run in members)},
        "union": {n: _union(members, n) for n in names if any(n in run.union for run in members)},
    }


def _measures(members, name):
    ask = {
        "final_average": matrix.Matrix.final_average,
        "forgetting": matrix.Matrix.mean_forgetting,
        "backward_transfer": matrix.Matrix.backward_transfer,
    }
    matrices = [run.matrices.get(name) for run in members]
    beside = [list(run.beside(name).values()) for run in members]
    return {
        **{key: spread([m and measure(m) for m in matrices]) for key, measure in ask.items()},
        "beside": spread([np.mean(values) if values else None for values in beside]),
    }


def _union(members, name):
    return {
        "value": spread([run.union.get(name) for run in members]),
        "beside": spread([scores.SCORES[name].beside(run.union) for run in members]),
    }


def spread(values):
    """Computes mean and spread of one number for each seed; None and NaN stand for seeds without it.

    Returns:
      {'values': as given, NaN as None, 'mean', 'sd': sample standard deviation (n - 1) or None for
      one number, 'min', 'max'}, or None if there is no number.
    """
    values = [None if value is None or math.isnan(value) else float(value) for value in values]
    there = np.array([value for value in values if value is not None], np.float64)
    if not there.size:
        return None
    return {
        "values": values,
        "mean": float(there.mean()),
        "sd": float(there.std(ddof=1)) if there.size > 1 else None,
        "min": float(there.min()),
        "max": float(there.max()),
    }
