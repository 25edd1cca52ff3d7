"""The style of charts: their canvas, colours, titles and labels.

Matplotlib draws on a canvas of its own: no pyplot, no state outside the figure. The colours are
Okabe and Ito's, which people with any kind of colour vision can tell apart (Color Universal
Design, 2008).
"""

import numpy as np

from ltgans_tf.figures import lettering

WIDTH = 8.0  # inches, of a chart whose width does not depend on its content
INK, GREY, PALE = "#222222", "#666666", "#d5d5d5"
# Okabe and Ito's colours, with grey for black and without yellow, which is too pale on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#999999")
_MARKERS = "os^DvPX"
_DPI = 150


def blank(width, height):
    """Returns an empty figure of this size in inches, with Matplotlib's constrained layout."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ValueError(
            f"charts need Matplotlib, which cannot be imported ({error}): pip install matplotlib."
        ) from error
    figure = Figure((width, height), _DPI, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def pixels(figure):
    """Renders a figure: uint8 [h, w, 3]."""
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3].copy()


def open_sides(axes, *sides):
    """Shows only the left and bottom axes, or those at `sides`."""
    for side, spine in axes.spines.items():
        spine.set_visible(side in (sides or ("left", "bottom")))
        spine.set_color(GREY)
    axes.tick_params(colors=GREY, labelcolor=INK, labelsize=9)


def title(figure, text, below=""):
    """Adds a title and a smaller line below it, both at the left edge."""
    figure.suptitle(f"{text}\n" if below else text, x=0.01, ha="left", fontsize=12, color=INK)
    # The layout makes room for the title's two lines; text of another size has to be placed by hand.
    figure.text(0.01, 1 - 0.3 / figure.get_figheight(), below, va="top", fontsize=9, color=GREY)


def contrast(colour):
    """Returns black or white, whichever has more contrast on `colour` by WCAG's relative luminance."""
    from matplotlib.colors import to_rgb

    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour))
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return "black" if (luminance + 0.05) ** 2 > 1.05 * 0.05 else "white"


def label_ends(figure, axes, ends):
    """Writes texts at the ends of curves without overlap; `ends` is [(x, y, text, task index)]."""
    figure.canvas.draw()  # drawing settles limits and sizes
    box, ends = axes.get_window_extent(), sorted(ends, key=lambda end: end[1])
    wanted = [(axes.transData.transform((x, y))[1] - box.y0) / box.height for x, y, _, _ in ends]
    places = spread(wanted, 0.17 * _DPI / box.height)
    for (x, y, text, j), place in zip(ends, places):
        axes.annotate(
            text,
            (x, y),
            (1.05, place),
            textcoords="axes fraction",
            va="center",
            fontsize=9,
            color=INK,
            arrowprops={
                "arrowstyle": "-",
                "color": colour_of(j),
                "linewidth": 0.8,
                "shrinkA": 2,
                "shrinkB": 4,
                "relpos": (0, 0.5),
            },
            annotation_clip=False,
        )


def spread(wanted, least):
    """Moves ascending places apart to distances of at least `least`, with the smallest sum of squared moves.

    This is isotonic regression by pooling: places that are too close are spread around their mean.

    Args:
      wanted: numbers, in ascending order.
      least: the distance that neighbours must have.

    Returns:
      list of floats of the same length.
    """
    pools = []  # [mean of the places without the distances, how many places]
    for i, place in enumerate(wanted):
        pools.append([place - i * least, 1])
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            (mean, count), (above, more) = pools[-2:]
            pools[-2:] = [[(mean * count + above * more) / (count + more), count + more]]
    flat = [mean for mean, count in pools for _ in range(count)]
    return [place + i * least for i, place in enumerate(flat)]


def tilt(names, letters):
    """Returns how to rotate the tick labels of an axis that has room for `letters` letters each."""
    if max(len(name) for name in names) <= letters:
        return {}
    return {"rotation": 30, "ha": "right", "rotation_mode": "anchor"}


def colour_of(j):
    """Returns the colour of task j; darker ones from the eighth task on."""
    from matplotlib.colors import to_hex, to_rgb

    mixed = np.array(to_rgb(COLOURS[j % len(COLOURS)]))
    return to_hex(mixed) if j < len(COLOURS) else to_hex(0.55 * mixed)


def marker_of(j):
    """Returns the marker of task j; colour and marker together repeat from the 57th task on."""
    return _MARKERS[(j + j // len(COLOURS)) % len(_MARKERS)]


def short_names(names, most):
    """Returns `lettering.short_names`, escaped for Matplotlib."""
    return [plain(name) for name in lettering.short_names(names, most)]


def plain(text):
    """Escapes `text` for Matplotlib, which reads text between two $ as a formula."""
    return text.replace("$", r"\$")
