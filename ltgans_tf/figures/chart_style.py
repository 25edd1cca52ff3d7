"""How charts look: their canvas, colours, titles and labels.

Matplotlib draws on a canvas of its own: no pyplot, no state outside the figure. The colours are
Okabe and Ito's, which people with any kind of colour vision can tell apart (Color Universal
Design, 2008).
"""

import numpy as np

from ltgans_tf.figures import lettering

WIDTH = 8.0  # inches, of a chart whose size does not follow from what it shows
INK, GREY, PALE = "#222222", "#666666", "#d5d5d5"
# Okabe and Ito's colours, with grey for black and without yellow, which is too pale on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#999999")
_MARKERS = "os^DvPX"
_DPI = 150


def blank(width, height):
    """An empty figure of that many inches, in Matplotlib's constrained layout."""
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
    """What a figure shows: uint8 [h, w, 3]."""
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3].copy()


def open_sides(axes, *sides):
    """Leaves the axes at the left and below alone, or those at `sides`."""
    for side, spine in axes.spines.items():
        spine.set_visible(side in (sides or ("left", "bottom")))
        spine.set_color(GREY)
    axes.tick_params(colors=GREY, labelcolor=INK, labelsize=9)


def title(figure, text, below=""):
    """A title and a smaller line below it, both at the left edge."""
    figure.suptitle(f"{text}\n" if below else text, x=0.01, ha="left", fontsize=12, color=INK)
    # The layout makes room for the title's two lines; text of another size has to be put there by hand.
    figure.text(0.01, 1 - 0.3 / figure.get_figheight(), below, va="top", fontsize=9, color=GREY)


def contrast(colour):
    """Black or white, whichever has more contrast on `colour` by WCAG's relative luminance."""
    from matplotlib.colors import to_rgb

    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour))
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return "black" if (luminance + 0.05) ** 2 > 1.05 * 0.05 else "white"


def label_ends(figure, axes, ends):
    """Writes texts at the ends of curves, apart from each other: [(x, y, text, task index)]."""
    figure.canvas.draw()  # limits and sizes are settled in it
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
    """Moves rising places apart to distances of at least `least`, with the smallest sum of squared moves.

    Isotonic regression by pooling: places that would come too near share out around their mean.

    Args:
      wanted: numbers, in rising order.
      least: the distance that neighbours must have.

    Returns:
      list of floats of the same length.
    """
    pools = []  # [mean of what is left without the distances, how many]
    for i, place in enumerate(wanted):
        pools.append([place - i * least, 1])
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            (mean, count), (above, more) = pools[-2:]
            pools[-2:] = [[(mean * count + above * more) / (count + more), count + more]]
    flat = [mean for mean, count in pools for _ in range(count)]
    return [place + i * least for i, place in enumerate(flat)]


def tilt(names, letters):
    """How to turn the labels of ticks on an axis that has room for so many letters each."""
    if max(len(name) for name in names) <= letters:
        return {}
    return {"rotation": 30, "ha": "right", "rotation_mode": "anchor"}


def colour_of(j):
    """The colour of task j; from the eighth on darker ones."""
    from matplotlib.colors import to_hex, to_rgb

    mixed = np.array(to_rgb(COLOURS[j % len(COLOURS)]))
    return to_hex(mixed) if j < len(COLOURS) else to_hex(0.55 * mixed)


def marker_of(j):
    """The marker of task j; colour and marker together repeat from the 50th task on."""
    return _MARKERS[(j + j // len(COLOURS)) % len(_MARKERS)]


def short_names(names, most):
    """`lettering.short_names`, fit for Matplotlib."""
    return [plain(name) for name in lettering.short_names(names, most)]


def plain(text):
    """`text` escaped for Matplotlib, which reads text between two $ as a formula."""
    return text.replace("$", r"\$")
