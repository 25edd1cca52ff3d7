"""Judges by the scores whether a version may be served: it must not have forgotten, and must have learnt.

The judgement needs no data of earlier tasks. It compares the row of scores after the last task
(`eval/task_NN/scores.json`) with the row in the export_info.json of the served version. The names are TFX's:
BLESSED and NOT_BLESSED.
"""

import math
import sys

BLESSED, NOT_BLESSED = "BLESSED", "NOT_BLESSED"
# Scores of which lower is better, each with its name and a power. FCD is a squared distance: near its floor it
# doubles while the images hardly change.
COMPARED = {"nlog": ("NLOG", 1), "fcd": ("FCD", 2), "fcd_drawn": ("FCD by code", 2)}
_SURE = 0.9  # domain accuracy of the extractor from which on shares of the generated images count
_LEAST_SHARE = 0.25  # of 1/k


def summary(row):
    """The part of a `row.Row` that a version keeps: dict, JSON-ready."""
    extractor = row.extractor or {}
    kept = (*COMPARED, "share", "mean_image_nlog")
    return {
        "after_task": row.after_task,
        "task": row.task,
        "protocol": row.protocol,
        **({"tuning": True} if row.tuning else {}),
        "extractor": extractor.get("sha256"),
        "domain_accuracy": extractor.get("domain_accuracy"),
        "tasks": {
            task: {name: found[name] for name in kept if name in found} for task, found in row.scores.items()
        },
    }


def reasons(new, served, max_regression):
    """Returns the reasons against serving a version: list of sentences, empty for a blessed one.

    Args:
      new: `summary` of its row, or None if nothing was measured.
      served: the summary of the served version, {} if it has no scores; None if nothing is served.
      max_regression: how much worse a score of an earlier domain may be, as a fraction of the served version's:
        0.5 allows an NLOG of 150 after 100, and an FCD of 2.25 after 1.
    """
    if new is None:
        return ["it has no scores; evaluate the run at its boundary, or push with the policy 'always'."]
    if new.get("tuning"):
        return [
            "its scores are of held-out training images (--tuning); train it without, or push with the policy 'always'."
        ]
    found = _floor(new)
    if served == {}:
        found.append(
            "the served version has no scores to compare with; serve one that has, or push with the policy 'always'."
        )
    for task in (served or {"tasks": {}})["tasks"]:
        if task not in new["tasks"]:
            found.append(f"the served version knows {task}, which this one has no scores of.")
        else:
            found += _regressions(task, new, served, max_regression)
    return found


def _floor(new):
    """Reasons of the version alone: the new domain is no better than the mean image, or a domain is missing."""
    found, task = [], new["task"]
    own = new["tasks"].get(task, {})
    if "nlog" in own and "mean_image_nlog" in own and not own["nlog"] < own["mean_image_nlog"]:
        found.append(
            f"the NLOG of the new {task} is {own['nlog']:.1f}, no better than the mean image's"
            f" {own['mean_image_nlog']:.1f}."
        )
    if (new["domain_accuracy"] or 0.0) >= _SURE:
        least = _LEAST_SHARE / len(new["tasks"])
        found += [
            f"{scores['share']:.1%} of the generated images are {name}; at least {least:.1%} should be."
            for name, scores in new["tasks"].items()
            if "share" in scores and scores["share"] < least
        ]
    return found


def _regressions(task, new, served, max_regression):
    now, before = new["tasks"][task], served["tasks"][task]
    names = [name for name in COMPARED if name in now and name in before]
    if new["extractor"] != served["extractor"]:  # other features have another scale
        names = [name for name in names if not name.startswith("fcd")]
    if not names:
        return [f"no score of {task} can be compared with the served version's."]
    # `**` raises where a float overflows; a product does not.
    factors = {name: math.prod([1 + max_regression] * COMPARED[name][1]) for name in names}
    worst = {name: min(factors[name], sys.float_info.max) * before[name] for name in names}
    return [
        f"the {COMPARED[name][0]} of {task} is {now[name]:.4g}, the served version's {before[name]:.4g}; at most"
        f" {worst[name]:.4g} is allowed."
        for name in names
        if not now[name] <= worst[name]
    ]
