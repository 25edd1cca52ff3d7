"""Charts of scores, as pictures: uint8 [h, w, 3].

Their common style is in chart_style.py. The colour map of heat maps is cividis (Nunez et al. 2018), which looks
the same with any kind of colour vision.
"""

import math

import numpy as np

from ltgans_tf.figures import chart_style

_DASHED = 4  # most baselines that are drawn one by one; of more, only their range is


def heat_map(matrix):
    """Draws the matrix R[i][j] of one score with its numbers: task j, after task i.

    Darker is worse, whether lower or higher is better for the score; if neither is, darker is higher. An absent
    score is a dash.

    Args:
      matrix: a `matrix.Matrix`.

    Returns:
      uint8 [h, w, 3].
    """
    score, values, count = matrix.score, matrix.values, len(matrix.tasks)
    size = min(1.0, max(0.62, 6.0 / count))
    figure = chart_style.blank(max(4.6, 2.1 + size * count), 1.9 + 0.62 * size * count)
    axes = figure.add_subplot()
    low, high = _span(values)
    colours = _heat_colours(score.better)
    for i in range(count):
        for j in range(i + 1):
            share = (values[i, j] - low) / (high - low)
            there = math.isfinite(values[i, j])
            colour = colours(share) if there else (0.95, 0.95, 0.95, 1.0)
            _cell(axes, i, j, colour, f"{values[i, j]:.{score.digits}f}" if there else "-", count)
    axes.set(xlim=(-0.5, count - 0.5), ylim=(count - 0.5, -0.5))
    names = chart_style.short_names(matrix.tasks, 18)
    axes.set_xticks(range(count), names, **chart_style.tilt(names, size * 12))
    axes.set_yticks(range(count), [f"after {name}" for name in names])
    axes.set_xlabel("score of", color=chart_style.GREY)
    axes.set_aspect(0.62, anchor="NW")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    darker = "darker is worse" if score.better else "darker is higher"
    chart_style.title(figure, _headline(score), ", ".join([*_summary(matrix), darker]))
    return chart_style.pixels(figure)


def forgetting_curves(matrix, beside=None):
    """Draws a score of each task over the boundaries, from the end of that task on.

    Args:
      matrix: a `matrix.Matrix`.
      beside: the baseline of the score (see `scores.Score.baseline`): one number, or {task: number} for some
        of the tasks. It is drawn dashed, or as a range if there are many numbers; if it lies so far off that
        it would flatten the curves, it is only written in words.

    Returns:
      uint8 [h, w, 3].
    """
    score, values, count = matrix.score, matrix.values, len(matrix.tasks)
    figure = chart_style.blank(chart_style.WIDTH, max(3.6, 1.6 + 0.26 * count))
    axes = figure.add_subplot()
    names, ends = chart_style.short_names(matrix.tasks, 18), []
    for j, name in enumerate(names):
        there = np.flatnonzero(np.isfinite(values[:, j]))
        if there.size:
            axes.plot(
                there,
                values[there, j],
                color=chart_style.colour_of(j),
                marker=chart_style.marker_of(j),
                markersize=5,
                linewidth=1.8,
                clip_on=False,
            )
            value = values[there[-1], j]
            ends.append((there[-1], value, f"{name}  {value:.{score.digits}f}", j))
    if not ends:
        raise ValueError(f"{score.name} has no value after any task; evaluate the run first.")
    below = _draw_beside(axes, matrix, beside)
    axes.set_xticks(range(count), names, **chart_style.tilt(names, 70 / count))
    axes.set_xlim(-0.15, count - 0.95)
    axes.set_xlabel("after learning", color=chart_style.GREY)
    axes.margins(y=0.08)
    chart_style.open_sides(axes)
    chart_style.title(figure, _headline(score), below)
    chart_style.label_ends(figure, axes, ends)
    return chart_style.pixels(figure)


def domain_mix(rows):
    """Draws the domains' shares of the generated images after each task, against the wanted 1/k.

    Args:
      rows: list of `row.Row`, one after each task.

    Returns:
      uint8 [h, w, 3]. A row without shares has no bar. Images of no learnt domain, or of one whose share is absent,
      are grey.

    Raises:
      ValueError: no row has the share of a domain.
    """
    tasks = rows[-1].tasks
    shares = [[row.scores.get(task, {}).get("share") for task in tasks] for row in rows]
    if not any(value is not None for row in shares for value in row):
        raise ValueError("no row of scores has the shares of the domains; they need an extractor.")
    figure = chart_style.blank(chart_style.WIDTH, 1.5 + 0.42 * len(rows))
    axes = figure.add_subplot()
    for y, (row, values) in enumerate(zip(rows, shares)):
        left = 0.0
        for j, value in enumerate(values):
            if value is not None:
                axes.barh(
                    y, value, 0.62, left, color=chart_style.colour_of(j), edgecolor="white", linewidth=0.8
                )
                _write_share(axes, left, value, y, chart_style.colour_of(j))
                left += value
        if left > 0.0:
            axes.barh(y, max(0.0, 1.0 - left), 0.62, left, color=chart_style.PALE)
            wanted = np.arange(1, row.after_task + 1) / (row.after_task + 1)
            for above in (-0.42, 0.31):  # above and below the bar, so that they cross no number
                axes.vlines(wanted, y + above, y + above + 0.11, color=chart_style.INK, linewidth=1.6)
    axes.set_yticks(
        range(len(rows)),
        [f"after {name}" for name in chart_style.short_names([row.task for row in rows], 22)],
    )
    axes.set(ylim=(len(rows) - 0.45, -0.55), xlim=(0, 1))
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1.0], ["0", "25%", "50%", "75%", "100%"])
    chart_style.open_sides(axes, "bottom")
    axes.tick_params(axis="y", length=0)
    chart_style.title(
        figure,
        "Domains of the generated images",
        "ticks at a bar: equal shares, as wanted; grey: of no domain learnt, or of one whose share is absent",
    )
    _key(figure, tasks)
    return chart_style.pixels(figure)


def comparison(title, values, better, digits=None):
    """Draws one score of several runs or methods: each seed as a dot, their mean as a vertical line.

    Args:
      title: what is compared.
      values: {label: numbers}, one number for each seed; NaN and None are left out.
      better: 'lower', 'higher' or ''.
      digits: decimals of the means; None for 4 significant digits.

    Returns:
      uint8 [h, w, 3].
    """
    if not values:
        raise ValueError(f"there is nothing to compare in {title!r}; give one label or more.")
    figure = chart_style.blank(chart_style.WIDTH, 1.25 + 0.4 * len(values))
    axes = figure.add_subplot()
    for y, numbers in enumerate(values.values()):
        numbers = np.array(_numbers(numbers))
        if numbers.size:
            mean = numbers.mean()
            axes.plot(
                numbers, np.full(len(numbers), y), "o", color=chart_style.COLOURS[0], alpha=0.6, markersize=7
            )
            axes.vlines(mean, y - 0.3, y + 0.3, color=chart_style.INK, linewidth=2.0)
            text = f"{mean:.4g}" if digits is None else f"{mean:.{digits}f}"
        else:
            text = "absent"
        axes.text(
            1.02,
            y,
            text,
            transform=axes.get_yaxis_transform(),
            va="center",
            color=chart_style.INK,
            fontsize=10,
        )
    axes.set_yticks(range(len(values)), chart_style.short_names(list(values), 34))
    axes.set_ylim(len(values) - 0.5, -0.5)
    low, high = _span(np.array([n for numbers in values.values() for n in _numbers(numbers)]))
    axes.set_xlim(low - 0.06 * (high - low), high + 0.06 * (high - low))
    chart_style.open_sides(axes, "bottom")
    axes.hlines(
        range(len(values)),
        0,
        1,
        transform=axes.get_yaxis_transform(),
        color=chart_style.PALE,
        linewidth=0.6,
        zorder=0.5,
    )
    axes.tick_params(axis="y", length=0)
    direction = f"{better} is better; " if better else ""
    chart_style.title(
        figure, chart_style.plain(title), f"{direction}dots: seeds, line and number: their mean"
    )
    return chart_style.pixels(figure)


def _numbers(numbers):
    return [float(number) for number in numbers if number is not None and math.isfinite(number)]


def _headline(score):
    return f"{score.label}, {score.better} is better" if score.better else score.label


def _summary(matrix):
    """Returns the final average and the mean forgetting in words, as far as they exist."""
    digits, found = matrix.score.digits, {"final average": matrix.final_average()}
    if matrix.score.better and len(matrix.tasks) > 1:
        found["mean forgetting"] = matrix.mean_forgetting()
    return [f"{name} {value:.{digits}f}" for name, value in found.items() if math.isfinite(value)]


def _span(values):
    """Returns the range to show; at least a tenth of the values' size, so that noise looks small."""
    there = values[np.isfinite(values)]
    if not there.size:
        return 0.0, 1.0
    low, high = there.min(), there.max()
    least = 0.1 * max(abs(low), abs(high)) or 1.0
    if high - low < least:
        low, high = (low + high - least) / 2, (low + high + least) / 2
    return low, high


def _heat_colours(better):
    """Returns the colour map, from [0, 1] to RGBA, that is dark at the worse end."""
    from matplotlib import colormaps

    cividis = colormaps["cividis"]
    return cividis if better == "higher" else cividis.reversed()


def _cell(axes, i, j, colour, text, count):
    x, y = [j - 0.5, j + 0.5, j + 0.5, j - 0.5], [i - 0.5, i - 0.5, i + 0.5, i + 0.5]
    axes.fill(x, y, facecolor=colour, edgecolor="white", linewidth=2)
    size = 11 if count <= 5 else 9
    axes.text(j, i, text, ha="center", va="center", color=chart_style.contrast(colour), fontsize=size)


def _draw_beside(axes, matrix, beside):
    """Draws the baseline if it lies near the curves; returns a description of it."""
    if beside is None:
        return ""
    per_task = beside if isinstance(beside, dict) else {}
    numbers = list(per_task.values()) or [beside]
    score, there = matrix.score, matrix.values[np.isfinite(matrix.values)]
    name = score.baseline.chart
    low, high = there.min(), there.max()
    room = 1.5 * max(high - low, 0.1 * max(abs(low), abs(high)))
    if not all(low - room <= number <= high + room for number in numbers):
        ends = [f"{number:.{score.digits}f}" for number in (min(numbers), max(numbers))]
        return f"{name}: {' to '.join(dict.fromkeys(ends))}, off this chart"
    dashed, last = {"linewidth": 1.1, "linestyle": (0, (4, 3))}, len(matrix.tasks) - 1
    if len(numbers) > _DASHED:
        axes.axhspan(min(numbers), max(numbers), color=chart_style.PALE, linewidth=0)
        return f"grey band: {name}"
    if not per_task:
        axes.axhline(beside, color=chart_style.GREY, **dashed)
    for j, task in enumerate(matrix.tasks):
        if task in per_task:
            axes.plot([j - 0.1, last + 0.05], [per_task[task]] * 2, color=chart_style.colour_of(j), **dashed)
    return f"dashed: {name}"


def _write_share(axes, left, value, y, colour):
    if value >= 0.06:
        axes.text(
            left + value / 2,
            y,
            f"{value:.0%}",
            ha="center",
            va="center",
            color=chart_style.contrast(colour),
            fontsize=9,
        )


def _key(figure, names):
    """Adds a legend of colours and names below the chart."""
    from matplotlib.patches import Patch

    names = chart_style.short_names(names, 26)
    handles = [Patch(color=chart_style.colour_of(j), label=name) for j, name in enumerate(names)]
    # In letters: the chart is 100 wide, and each name needs 9 more.
    most = max(1, 100 // (max(len(name) for name in names) + 9))
    columns = math.ceil(len(names) / math.ceil(len(names) / most))
    figure.legend(
        # Matplotlib fills column by column.
        handles=[handle for first in range(columns) for handle in handles[first::columns]],
        loc="outside lower left",
        ncols=columns,
        frameon=False,
        fontsize=9,
        labelcolor=chart_style.INK,
    )
