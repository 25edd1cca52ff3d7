"""How the report and the comparison call scores, and how they write numbers."""

import math

from ltgans_tf.evaluation import scores

# What the three numbers mean that sum a matrix up, signed the same way for all scores.
MEASURES = {
    "final_average": ("Final average", "Mean over the tasks of the score after the last task."),
    "forgetting": (
        "Forgetting",
        "The best that a task had after any earlier task, less what it has at the end, signed so that"
        " positive = lost; mean over all tasks but the last (Chaudhry et al. 2018).",
    ),
    "backward_transfer": (
        "Backward transfer",
        "The score at the end less that right after the task was learnt, signed so that positive = got"
        " better; mean over all tasks but the last (Lopez-Paz and Ranzato 2017).",
    ),
}
ABSENT = "\N{EN DASH}"
# Said wherever scores of a run with --tuning are shown.
TUNING = "the scores are on a tenth of the training images that was held out for tuning (--tuning), not on test images."
# What the numbers in the line of progress are.
PROGRESS = (
    "below, W is the critic's estimate of how far generated images are from real ones; it should come near 0."
)
PROGRESS_STUDENT = "student is the Student's loss for each image; it should fall."
_ARROWS = {
    "lower": "\N{NO-BREAK SPACE}\N{DOWNWARDS ARROW}",
    "higher": "\N{NO-BREAK SPACE}\N{UPWARDS ARROW}",
    "": "",
}


def number(value, digits):
    """A number with so many decimals and a true minus sign; a dash for None and NaN."""
    if value is None or math.isnan(value):
        return ABSENT
    written = f"{value:.{digits}f}"
    return (written.lstrip("-") if float(written) == 0 else written).replace("-", "\N{MINUS SIGN}")


def score(name, value):
    """The value of a score with the digits that SCORES gives it."""
    return number(value, scores.SCORES[name].digits)


def beside(name, value):
    """What a score is to be read with, such as 'floor 3.9'; '' where there is no value."""
    if value is None:
        return ""
    return f"{scores.SCORES[name].baseline.short} {score(name, value)}"


def label(name):
    """How tables and figures call a score."""
    return scores.SCORES[name].label


def heading(name):
    """The label of a score with an arrow that says which way is better."""
    return label(name) + _ARROWS[scores.SCORES[name].better]


def value(item):
    """A setting, read from JSON, in words."""
    if isinstance(item, bool):
        return "yes" if item else "no"
    if isinstance(item, dict):
        return ", ".join(f"{key} {value(inner)}" for key, inner in item.items())
    if isinstance(item, list):
        return ", ".join(f"({value(inner)})" if isinstance(inner, list) else value(inner) for inner in item)
    return str(item)


def count(items, word):
    """'1 task', '2 tasks'."""
    return f"{len(items)} {word}{'s' * (len(items) != 1)}"


def stream(tasks):
    """The tasks in their order; of more than five the first two and the last."""
    arrow = " \N{RIGHTWARDS ARROW} "
    return arrow.join(tasks if len(tasks) <= 5 else [*tasks[:2], "\N{HORIZONTAL ELLIPSIS}", tasks[-1]])


def several(names):
    """'a', 'a and b', 'a, b and c', 'a, b and 2 more'."""
    shown = names if len(names) <= 3 else [*names[:2], f"{len(names) - 2} more"]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
