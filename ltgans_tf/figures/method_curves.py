"""A chart of several methods over the tasks: the mean over seeds as a line, least to most as a band."""

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
      ValueError: no number at all.
    """
    figure = chart_style.blank(chart_style.WIDTH, max(3.6, 1.8 + 0.26 * len(values)))
    axes, ends = figure.add_subplot(), []
    for j, (label, points) in enumerate(values.items()):
        there = {x: numbers for x, each in enumerate(points) if (numbers := _numbers(each))}
        if there:
            means = _draw(axes, there, j)
            x = max(there)
            ends.append((x, means[-1], f"{chart_style.plain(label)}  {means[-1]:.{digits}f}", j))
    if not ends:
        raise ValueError(f"{title!r} has no number to draw; evaluate the runs first.")
    names = chart_style.short_names(tasks, 18)
    axes.set_xticks(range(len(tasks)), names, **chart_style.tilt(names, 70 / len(tasks)))
    axes.set_xlim(-0.15, len(tasks) - 0.95)
    axes.set_xlabel("after learning", color=chart_style.GREY)
    chart_style.open_sides(axes)
    chart_style.title(figure, chart_style.plain(title), chart_style.plain(below))
    chart_style.label_ends(figure, axes, ends)
    return chart_style.pixels(figure)


def _draw(axes, there, j):
    """Draws a line, and its band where some point has several seeds; returns the means."""
    places, colour = list(there), chart_style.colour_of(j)
    means = [float(np.mean(numbers)) for numbers in there.values()]
    axes.plot(places, means, color=colour, marker=chart_style.marker_of(j), markersize=5, linewidth=1.8)
    if any(len(numbers) > 1 for numbers in there.values()):
        low, high = zip(*((min(numbers), max(numbers)) for numbers in there.values()))
        # One task alone has no area: bars show its spread.
        axes.fill_between(places, low, high, color=colour, alpha=0.18, linewidth=0)
        axes.vlines(places, low, high, color=colour, linewidth=1.0, alpha=0.6)
    return means


def _numbers(given):
    return [float(number) for number in given if number is not None and math.isfinite(number)]
