"""Names of scores and formats of numbers, as reports and comparisons write them."""

import math

from ltgans_tf.evaluation import scores

# Meaning of the three numbers that sum up a matrix; they are signed the same way for all scores.
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
# Shown with all scores of a run with --tuning.
TUNING = "the scores are on a tenth of the training images that was held out for tuning (--tuning), not on test images."
# Explains the numbers in the line of progress.
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
    """Formats a number with `digits` decimals and a true minus sign; a dash for None and NaN."""
    if value is None or math.isnan(value):
        return ABSENT
    written = f"{value:.{digits}f}"
    return (written.lstrip("-") if float(written) == 0 else written).replace("-", "\N{MINUS SIGN}")


def score(name, value):
    """Formats the value of a score with the number of digits in SCORES."""
    return number(value, scores.SCORES[name].digits)


def beside(name, value):
    """Formats the baseline of a score, such as 'floor 3.9'; '' if there is no value."""
    if value is None:
        return ""
    return f"{scores.SCORES[name].baseline.short} {score(name, value)}"


def label(name):
    """Returns the name of a score in tables and figures."""
    return scores.SCORES[name].label


def heading(name):
    """Returns the label of a score with an arrow that says which way is better."""
    return label(name) + _ARROWS[scores.SCORES[name].better]


def value(item):
    """Returns a setting, read from JSON, in words."""
    if isinstance(item, bool):
        return "yes" if item else "no"
    if isinstance(item, dict):
        return ", ".join(f"{key} {value(inner)}" for key, inner in item.items())
    if isinstance(item, list):
        return ", ".join(f"({value(inner)})" if isinstance(inner, list) else value(inner) for inner in item)
    return str(item)


def count(items, word):
    """Counts items in words: '1 task', '2 tasks'."""
    return f"{len(items)} {word}{'s' * (len(items) != 1)}"


def stream(tasks):
    """Lists the tasks in order; if there are more than five, the first two and the last."""
    arrow = " \N{RIGHTWARDS ARROW} "
    return arrow.join(tasks if len(tasks) <= 5 else [*tasks[:2], "\N{HORIZONTAL ELLIPSIS}", tasks[-1]])


def several(names):
    """Lists names in words: 'a', 'a and b', 'a, b and c', 'a, b and 2 more'."""
    shown = names if len(names) <= 3 else [*names[:2], f"{len(names) - 2} more"]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
