"""Curves of training, as pictures: one panel for each scalar of metrics.jsonl."""

import numpy as np

from ltgans_tf.figures import chart_style

_PANELS = {
    "critic/wasserstein": "critic: distance",
    "critic/penalty": "critic: penalty",
    "generator/loss": "generator: loss",
    "student/sse": "Student: squared error",
    "student/kl": "Student: KL (nats)",
    "first_task/elbo": "test images of the first task: ELBO (nats)",
    "first_task/sse": "test images of the first task: squared error",
    "speed/steps_per_second": "steps per second",
}


def training_curves(records, names=None):
    """Draws scalars of the training over global steps, one panel each, with the tasks marked.

    A panel is logarithmic if all values are positive and the middle 98 % of them span more than a factor of ten.
    Otherwise it shows the middle 98 % of the values and cuts off the others.

    Args:
      records: list of dicts, the lines of metrics.jsonl: 'step', 'task_index', 'task' and scalars.
      names: the scalars to draw; None for those of _PANELS that are there, or for all if none of them is.

    Returns:
      uint8 [h, w, 3].
    """
    if not records:
        raise ValueError("metrics.jsonl has no record yet; train some more steps.")
    there = {name: None for record in records for name in record if "/" in name}
    names = list(names or [name for name in _PANELS if name in there] or there)
    if missing := [name for name in names if name not in there]:
        raise ValueError(f"no record has {missing[0]!r}; those that are there are {', '.join(there)}.")
    tasks = _tasks(records)
    figure = chart_style.blank(chart_style.WIDTH, 0.9 + 1.25 * len(names))
    ratios = [0.12, *[1.0] * len(names)]
    head, *panels = figure.subplots(len(ratios), 1, sharex=True, height_ratios=ratios)
    for axes, name in zip(panels, names):
        points = [(record["step"], record[name]) for record in records if name in record]
        steps, values = np.array(points, np.float64).T
        axes.plot(steps, values, color=chart_style.COLOURS[0], linewidth=1.2)
        _fit_scale(axes, values)
        axes.set_title(_PANELS.get(name, name), loc="left", fontsize=9, color=chart_style.INK, pad=3)
        for begin, _, _ in tasks[1:]:
            axes.axvline(begin, color=chart_style.GREY, linewidth=0.8, linestyle=(0, (4, 3)))
        chart_style.open_sides(axes)
    panels[-1].set_xlabel("step", color=chart_style.GREY)
    length = max(records[-1]["step"], 1)
    panels[-1].set_xlim(0, length)
    _name_tasks(head, tasks, length)
    return chart_style.pixels(figure)


def _tasks(records):
    """[(begin, end, name)] of the tasks in global steps; a task begins where the one before ends."""
    firsts = {}
    for record in records:
        firsts.setdefault(record["task_index"], record)
    begins = [record["step"] - record.get("task_step", 0) for record in firsts.values()]
    ends = [*begins[1:], records[-1]["step"]]
    return [(begin, end, record["task"]) for begin, end, record in zip(begins, ends, firsts.values())]


def _name_tasks(axes, tasks, length):
    """Writes each task's name above its span; slants all names if one does not fit."""
    axes.axis("off")
    names = chart_style.short_names([name for _, _, name in tasks], 22)
    fits = all(len(name) <= 95 * (end - begin) / length for (begin, end, _), name in zip(tasks, names))
    for (begin, end, _), name in zip(tasks, names):
        style = {"ha": "center"} if fits else {"rotation": 30, "ha": "left", "rotation_mode": "anchor"}
        axes.text((begin + end) / 2, 0.0, name, va="bottom", color=chart_style.INK, fontsize=9, **style)


def _fit_scale(axes, values):
    values = values[np.isfinite(values)]
    if not values.size:
        return
    low, high = np.percentile(values, [1, 99])
    if values.min() > 0 and high > 10 * low:
        axes.set_yscale("log")
        return
    room = 0.08 * (high - low) or 0.05 * abs(high) or 1.0
    axes.set_ylim(low - room, high + room)
