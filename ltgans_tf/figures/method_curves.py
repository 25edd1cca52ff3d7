"""Charts of several methods over the tasks or the steps: the mean over seeds as a line, their range as a band."""

import math

import numpy as np

from ltgans_tf.figures import chart_style


def method_curves(title, below, tasks, values, digits=1):
    """Draws one line for each method.

    Args:
      title, below: the chart's title and a smaller line under it.
      tasks: names of the K tasks.
      values: {label: K lists with one number for each seed}; NaN and None are left out.
      digits: decimals of the numbers at the ends.

    Returns:
      uint8 [h, w, 3].

    Raises:
      ValueError: there is no number at all.
    """
    names = chart_style.short_names(tasks, 18)

    def set_x(axes):
        axes.set_xticks(range(len(tasks)), names, **chart_style.tilt(names, 70 / len(tasks)))
        axes.set_xlim(-0.15, len(tasks) - 0.95)
        axes.set_xlabel("after learning", color=chart_style.GREY)

    points = {label: dict(enumerate(each)) for label, each in values.items()}
    return _chart(title, below, points, digits, set_x, markersize=5)


def curves_over_steps(title, below, tasks, values, digits=1):
    """Draws one line for each method over the steps of training.

    Args:
      title, below: see `method_curves`.
      tasks: {name of a task: its first step}; they are marked.
      values: {label: {step: list with one number for each seed}}.
      digits: decimals of the numbers at the ends.

    Returns:
      uint8 [h, w, 3].

    Raises:
      ValueError: there is no number at all.
    """
    names = chart_style.short_names(list(tasks), 18)

    def set_x(axes):
        axes.set_xlim(0, max(max(each, default=1) for each in values.values()))
        axes.set_xlabel("step", color=chart_style.GREY)
        for name, first in zip(names, tasks.values()):
            axes.axvline(first, color=chart_style.GREY, linewidth=0.8, linestyle=(0, (4, 3)))
            place = (first, 1.0)
            style = {"color": chart_style.GREY, "fontsize": 9, "va": "bottom"}
            axes.text(*place, f" {name}", transform=axes.get_xaxis_transform(), **style)

    return _chart(title, below, values, digits, set_x, markersize=0)


def _chart(title, below, values, digits, set_x, markersize):
    figure = chart_style.blank(chart_style.WIDTH, max(3.6, 1.8 + 0.26 * len(values)))
    axes, ends = figure.add_subplot(), []
    for j, (label, points) in enumerate(values.items()):
        there = {x: numbers for x, each in points.items() if (numbers := _numbers(each))}
        if there:
            means = _draw(axes, there, j, markersize)
            x = max(there)
            ends.append((x, means[-1], f"{chart_style.plain(label)}  {means[-1]:.{digits}f}", j))
    if not ends:
        raise ValueError(f"{title!r} has no number to draw; evaluate the runs first.")
    set_x(axes)
    chart_style.open_sides(axes)
    chart_style.title(figure, chart_style.plain(title), chart_style.plain(below))
    chart_style.label_ends(figure, axes, ends)
    return chart_style.pixels(figure)


def _draw(axes, there, j, markersize):
    """Draws a line, and a band if some point has several seeds; returns the means."""
    places, colour = list(there), chart_style.colour_of(j)
    means = [float(np.mean(numbers)) for numbers in there.values()]
    axes.plot(
        places, means, color=colour, marker=chart_style.marker_of(j), markersize=markersize, linewidth=1.8
    )
    if any(len(numbers) > 1 for numbers in there.values()):
        low, high = zip(*((min(numbers), max(numbers)) for numbers in there.values()))
        # A band over one task has no area, so bars show the spread.
        axes.fill_between(places, low, high, color=colour, alpha=0.18, linewidth=0)
        if markersize:
            axes.vlines(places, low, high, color=colour, linewidth=1.0, alpha=0.6)
    return means


def _numbers(given):
    return [float(number) for number in given if number is not None and math.isfinite(number)]
