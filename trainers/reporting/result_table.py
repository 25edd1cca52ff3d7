"""The numbers of an experiment over its seeds: mean, spread, ratios; pure functions of the rows of scores."""

import math

import numpy as np

from ltgans_tf.evaluation import scores
from ltgans_tf.settings import experiment_runs, experiments
from ltgans_tf.trainers.reporting import paired, run_groups

_OURS = "ltgan"
_LIKE = "nlog"  # stands in for scores that `run_groups.not_comparable` does not check


def table(view, members, labels=()):
    """Makes one table of an experiment.

    Args:
      view: one of the experiment's views.
      members: {label: {seed: `runs.Run`}} of the finished runs.
      labels: labels of the tasks; () for their names.

    Returns:
      {'score', 'of', 'columns': names, 'rows': {label: {'cells': one for each column, 'ratios':
      {name: spread}, 'paper_ratio'}}, 'beside': cells of the baselines, 'curves': {label: one
      spread for each task}}. A cell is a result of `run_groups.spread`, or None.
      If the runs were measured in different ways: {'score', 'of', 'not_comparable': the reason}.
    """
    every = [run for each in members.values() for run in each.values()]
    barred = run_groups.not_comparable(every)
    asked = view.score.partition("_seed")[0]
    asked = asked if asked in scores.shown("compared") else _LIKE
    about = {"score": view.score, "of": view.of}
    if asked in barred:
        return {**about, "not_comparable": barred[asked]}
    rows = {
        label: {
            "cells": _spreads([_numbers(run, view) for run in each.values()]),
            "ratios": ratios(view, members, label),
            "paper_ratio": paper_ratio(view, label),
        }
        for label, each in members.items()
    }
    return {
        **about,
        "columns": _columns(view, labels or every[0].tasks),
        "rows": rows,
        "beside": _spreads([_beside(run, view) for run in every]),
        "curves": {
            label: _spreads([_curve(run, view) for run in each.values()]) for label, each in members.items()
        },
    }


def _columns(view, tasks):
    if view.of == "union":
        return [f"after {task}" for task in tasks]
    return [*(tasks[:-1] if view.of == "rise" else tasks), "average"]


def _spreads(rows):
    return [run_groups.spread(values) for values in zip(*rows)]


def _numbers(run, view):
    """Returns one number for each column, None if it is absent."""
    if view.of == "union":
        return [row.union.get(view.score) for row in run.rows]
    if view.score not in run.matrices:
        return [None] * len(_columns(view, run.tasks))
    matrix = run.matrices[view.score]
    if view.of == "rise":
        new = np.diag(matrix.values)[:-1]
        rises = 100.0 * (matrix.final[:-1] - new) / new
        return [*rises, float(np.mean(rises))]
    return [*matrix.final, matrix.final_average()]


def _beside(run, view):
    """Returns the baseline of each number: that of the mean image, or of real images in place of generated ones."""
    if view.of == "union":
        return [scores.SCORES[view.score].beside(row.union) for row in run.rows]
    if view.of == "rise":
        return [None] * len(_columns(view, run.tasks))
    found = run.beside(view.score)
    values = [found.get(task) for task in run.tasks]
    there = [value for value in values if value is not None]
    return [*values, float(np.mean(there)) if there else None]


def _curve(run, view):
    """Returns, after each task, the mean over the tasks learnt so far, or the number of all together."""
    if view.of == "union":
        return _numbers(run, view)
    if view.of == "rise" or view.score not in run.matrices:
        return [None] * len(run.tasks)
    values = run.matrices[view.score].values
    return [float(np.nanmean(row)) if np.isfinite(row).any() else None for row in values]


def ratios(view, members, label):
    """Returns the ratios of one row to others in the last column, seed by seed: {name: spread}, if there is any.

    'bound' is method / joint, 'replay' is method / replay, 'peers' is method / (the better of CURL and LGM), and
    'excess' is (method - joint) / (the better of CURL and LGM - joint): 0 if the method equals joint training, and 1 if
    it equals the better of these two. There is no ratio if a lower score is not better, in a view of 'rise', or if the
    denominator is not positive.
    """
    if scores.SCORES[view.score].better != "lower" or view.of == "rise":
        return {}
    found = {"bound": [], "replay": [], "peers": [], "excess": []}
    for seed, run in members[label].items():
        own = _numbers(run, view)[-1]
        bound = _of_seed(view, members, experiments.BOUND, seed)
        peers = [_of_seed(view, members, peer, seed) for peer in experiment_runs.PEERS]
        peer = min(peers) if all(value is not None for value in peers) else None
        found["bound"].append(_ratio(own, bound))
        found["replay"].append(_ratio(own, _of_seed(view, members, experiments.PLAIN, seed)))
        found["peers"].append(_ratio(own, peer))
        both = own is not None and bound is not None and peer is not None
        found["excess"].append(_ratio(own - bound, peer - bound) if both else None)
    spreads = {name: run_groups.spread(values) for name, values in found.items()}
    return {name: spread for name, spread in spreads.items() if spread}


def _of_seed(view, members, label, seed):
    run = members.get(label, {}).get(seed)
    value = _numbers(run, view)[-1] if run else None
    return None if value is None or math.isnan(value) else value


def _ratio(above, below):
    return None if above is None or below is None or below <= 0 else above / below


def paper_ratio(view, label):
    """Returns the paper's number of a row over that of the better of CURL and LGM, in the last column, or None."""
    peers = [headline(view, peer) for peer in experiment_runs.PEERS if peer in view.paper]
    own = headline(view, label)
    return own / min(peers) if peers and own is not None else None


def headline(view, label):
    """Returns the paper's number for the last column: its average, or the number after the last task."""
    numbers = view.paper.get(label)
    if not numbers:
        return None
    return sum(numbers) / len(numbers) if view.of == "tasks" else numbers[-1]


def shares(members):
    """Returns the domains' shares of the generated images after the last task: {label: {task: spread or None}}."""
    return {
        label: {
            task: run_groups.spread([run.last.scores[task].get("share") for run in each.values()])
            for task in next(iter(each.values())).tasks
        }
        for label, each in members.items()
    }


def end(members):
    """Returns the scores of every method after the last task, {label: {score: spread}}, that may be compared.

    The number is that of all tasks together if there is one, else the average over the tasks. Distances come first.
    """
    names = sorted(scores.shown("end"), key=lambda name: scores.SCORES[name].part != "distances")
    every = [run for each in members.values() for run in each.values()]
    barred = run_groups.not_comparable(every)
    found = {
        label: {name: run_groups.spread([_at_the_end(run, name) for run in each.values()]) for name in names}
        for label, each in members.items()
    }
    shown = [name for name in names if name not in barred and any(each[name] for each in found.values())]
    return {label: {name: each[name] for name in shown} for label, each in found.items()}


def _at_the_end(run, name):
    if name in run.union:
        return run.union[name]
    return run.matrices[name].final_average() if name in run.matrices else None


def claims(experiment, members):
    """Returns the ratios of `ltgan` to its rivals in the endpoints, seed by seed, with Holm's correction over all.

    Returns:
      list of dicts: 'score', 'of', 'over', 'check' and the result of `paired.claims`; rivals without runs are left out.
      A check claims nothing: it is the same ratio for FCD with the extractor of another seed.
    """
    checked = [experiments.View(f"fcd_seed{seed}", "union") for seed in scores.EXTRACTOR_SEEDS]
    checks = [
        {**pair, "check": True, "holm": None, "holds": None}
        for pair in _pairs(checked, experiment.rivals, members)
        if pair["seeds"] and experiment.endpoints
    ]
    made = paired.claims(_pairs(experiment.endpoints, experiment.rivals, members))
    return [*({**pair, "check": False} for pair in made), *checks]


def _pairs(views, rivals, members):
    return [
        {"score": view.score, "of": view.of, "over": rival, **_pair(view, members, rival)}
        for view in views
        for rival in rivals
        if rival in members and _OURS in members and "not_comparable" not in table(view, members)
    ]


def _pair(view, members, rival):
    own, others = (
        {seed: _of_seed(view, members, label, seed) for seed in members[label]} for label in (_OURS, rival)
    )
    return paired.ratio(own, others)
