"""Charts: what is drawn where, read off the figures, and no text that is cut or covered."""

import itertools
import sys

import numpy as np
import pytest
from matplotlib import colors
from matplotlib.patches import Rectangle
from matplotlib.text import Text

from ltgans_tf.evaluation import matrix, row, scores
from ltgans_tf.figures import chart_style, charts, training_curves

LONG = [f"npz_photographs_of_{town}_taken_in_winter_{i}" for i, town in enumerate("abcdefghij")]


@pytest.fixture
def drawn(monkeypatch):
    """The figures that were drawn, in their order."""
    figures, pixels = [], chart_style.pixels
    monkeypatch.setattr(chart_style, "pixels", lambda figure: figures.append(figure) or pixels(figure))
    return figures


def _matrix(name, values, tasks=None):
    values = np.array(values, float)
    values[np.triu_indices(len(values), 1)] = np.nan
    return matrix.Matrix(scores.SCORES[name], tasks or [f"task{i}" for i in range(len(values))], values)


def _said(axes):
    """{(x, y): text} of the texts that stand in an axes."""
    return {tuple(text.get_position()): text.get_text() for text in axes.texts}


def _pixel(picture, axes, x, y):
    column, row = axes.transData.transform((x, y))
    return picture[picture.shape[0] - 1 - int(row), int(column)]


def _below(figure):
    """The smaller line below the title."""
    return figure.texts[1].get_text()


NLOG = [[100, 0, 0], [120, 80, 0], [150, 90, 110]]


def test_a_heat_map_has_each_number_in_its_cell_and_nothing_above_the_diagonal(drawn):
    picture = charts.heat_map(_matrix("nlog", NLOG))
    axes = drawn[0].axes[0]
    assert _said(axes) == {
        (0, 0): "100.0",
        (0, 1): "120.0",
        (1, 1): "80.0",
        (0, 2): "150.0",
        (1, 2): "90.0",
        (2, 2): "110.0",
    }
    for i, j in itertools.product(range(3), range(3)):
        white = (_pixel(picture, axes, j - 0.4, i - 0.4) == 255).all()
        assert white == (j > i), (i, j)
    assert [text.get_text() for text in axes.get_xticklabels()] == ["task0", "task1", "task2"]
    assert [text.get_text() for text in axes.get_yticklabels()] == [
        "after task0",
        "after task1",
        "after task2",
    ]
    assert picture.dtype == np.uint8 and picture.shape[2] == 3


@pytest.mark.parametrize(
    "name, dark, bright",
    [("nlog", (0, 2), (1, 1)), ("knn", (1, 1), (0, 2)), ("share", (0, 2), (1, 1))],
)
def test_darker_is_worse_or_higher(drawn, name, dark, bright):
    picture = charts.heat_map(_matrix(name, NLOG))
    axes = drawn[0].axes[0]
    shades = {(x, y): _pixel(picture, axes, x - 0.4, y - 0.4).sum() for x, y in _said(axes)}
    assert min(shades, key=shades.get) == dark and max(shades, key=shades.get) == bright
    below = _below(drawn[0])
    assert below.endswith("darker is higher" if name == "share" else "darker is worse")


def test_a_heat_map_tells_what_is_absent_and_sums_up(drawn):
    values = np.array(NLOG, float)
    values[1, 1] = np.nan
    picture = charts.heat_map(_matrix("nlog", values))
    axes = drawn[0].axes[0]
    assert _said(axes)[1, 1] == "-"
    np.testing.assert_array_equal(_pixel(picture, axes, 0.6, 0.6), [242] * 3)
    # (150 + 90 + 110) / 3, and of the first task 150 - 100; of the second there is no earlier value.
    title = drawn[0].get_suptitle().strip()
    assert title == "NLOG, lower is better"
    assert _below(drawn[0]) == "final average 116.7, mean forgetting 50.0, darker is worse"
    # A score that is absent everywhere still has a picture.
    charts.heat_map(_matrix("nlog", np.full([2, 2], np.nan)))
    assert set(_said(drawn[1].axes[0]).values()) == {"-"}


def test_small_differences_look_small():
    assert charts._span(np.array([100.0, 101.0, np.nan])) == pytest.approx((95.45, 105.55))
    assert charts._span(np.array([-50.0, 50.0])) == (-50.0, 50.0)
    assert charts._span(np.array([0.0])) == (-0.5, 0.5)
    assert charts._span(np.array([np.nan])) == (0.0, 1.0)


def test_numbers_have_enough_contrast_on_every_colour():
    for share, better in itertools.product(np.linspace(0, 1, 50), ("lower", "higher")):
        ground = charts._heat_colours(better)(share)
        bright, dark = sorted((_luminance(ground), _luminance(chart_style.contrast(ground))), reverse=True)
        assert (bright + 0.05) / (dark + 0.05) >= 4.5  # what WCAG asks of text


def _luminance(colour):
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colors.to_rgb(colour)]
    return np.dot([0.2126, 0.7152, 0.0722], linear)


def test_forty_nine_tasks_have_their_own_mark():
    marks = {(chart_style.colour_of(j % 14), chart_style.marker_of(j)) for j in range(14)}
    assert len(marks) == 14
    assert len({chart_style.marker_of(j) for j in range(7)}) == 7
    assert [chart_style.colour_of(j) for j in range(2)] == ["#0072b2", "#d55e00"]
    assert _luminance(chart_style.colour_of(7)) < _luminance(chart_style.colour_of(0))


def test_forgetting_curves_begin_where_the_task_was_learnt_and_leave_out_what_is_absent(drawn):
    values = np.array([[1, 0, 0, 0], [2, 5, 0, 0], [np.nan, 6, 8, 0], [4, 7, np.nan, 9]], float)
    charts.forgetting_curves(_matrix("nlog", values, ["a", "b", "c", "d"]))
    axes = drawn[0].axes[0]
    lines = [(line.get_xdata().tolist(), line.get_ydata().tolist()) for line in axes.lines]
    assert lines == [([0, 1, 3], [1, 2, 4]), ([1, 2, 3], [5, 6, 7]), ([2], [8]), ([3], [9])]
    ends = {text.get_text(): tuple(text.xy) for text in axes.texts}
    assert ends == {"a  4.0": (3, 4), "b  7.0": (3, 7), "c  8.0": (2, 8), "d  9.0": (3, 9)}
    assert [text.get_text() for text in axes.get_xticklabels()] == ["a", "b", "c", "d"]
    for text, line in zip(axes.texts, sorted(axes.lines, key=lambda line: line.get_ydata()[-1])):
        assert colors.same_color(text.arrow_patch.get_edgecolor(), line.get_color())


def test_the_baseline_is_dashed_where_it_is_near(drawn):
    matrix = _matrix("fcd", [[10, 0], [20, 12]], ["a", "b"])
    charts.forgetting_curves(matrix, {"a": 5.0, "b": 7.0})
    dashed = [line for line in drawn[0].axes[0].lines if line.is_dashed()]
    assert [(line.get_ydata()[0], line.get_color()) for line in dashed] == [
        (5.0, chart_style.colour_of(0)),
        (7.0, chart_style.colour_of(1)),
    ]
    assert _below(drawn[0]) == "dashed: real images in place of generated ones"
    charts.forgetting_curves(matrix, 6.0)
    assert [line.get_ydata()[0] for line in drawn[1].axes[0].lines if line.is_dashed()] == [6.0]


def test_a_baseline_far_off_is_told_in_words_and_many_are_a_band(drawn):
    matrix = _matrix("nlog", [[100, 0], [110, 100]], ["a", "b"])
    charts.forgetting_curves(matrix, {"a": 695.1, "b": 702.0})
    assert _below(drawn[0]) == "mean image: 695.1 to 702.0, off this chart"
    assert not any(line.is_dashed() for line in drawn[0].axes[0].lines)
    five = np.full([5, 5], 0.5) + np.arange(5)[:, None] / 10
    chance = {f"task{i}": 0.4 + i / 100 for i in range(5)}
    charts.forgetting_curves(_matrix("knn", five), chance)
    (band,) = [patch for patch in drawn[1].axes[0].patches if isinstance(patch, Rectangle)]
    assert (band.get_y(), band.get_y() + band.get_height()) == pytest.approx((0.4, 0.44))
    assert _below(drawn[1]) == "grey band: chance"


def test_curves_of_nothing_are_refused():
    with pytest.raises(ValueError, match="nlog has no value after any task; evaluate the run first"):
        charts.forgetting_curves(_matrix("nlog", np.full([2, 2], np.nan)))


def _records(lengths, names=None, **scalars):
    """A record every 10 steps; a scalar is a function of the global step."""
    records, step = [], 0
    for i, length in enumerate(lengths):
        for task_step in range(10, length + 1, 10):
            values = {name.replace("__", "/"): f(step + task_step) for name, f in scalars.items()}
            name = names[i] if names else f"task{i}"
            record = {"step": step + task_step, "task_index": i, "task": name, "task_step": task_step}
            records.append(record | values)
        step += length
    return records


def test_training_curves_have_a_panel_for_each_scalar_and_mark_the_tasks(drawn):
    records = _records([40, 60], student__sse=lambda s: 100.0 + s, speed__steps_per_second=lambda s: 2.0)
    del records[3]["student/sse"]
    training_curves.training_curves(records)
    head, *panels = drawn[0].axes
    assert [axes.get_title("left") for axes in panels] == ["Student: squared error", "steps per second"]
    steps = [10, 20, 30, 50, 60, 70, 80, 90, 100]
    np.testing.assert_array_equal(panels[0].lines[0].get_xdata(), steps)
    np.testing.assert_array_equal(panels[0].lines[0].get_ydata(), 100.0 + np.array(steps))
    for axes in panels:
        assert [line.get_xdata()[0] for line in axes.lines if line.is_dashed()] == [40]
        assert axes.get_xlim() == (0, 100)
    assert _said(head) == {(20, 0): "task0", (70, 0): "task1"}


def test_a_panel_is_logarithmic_where_it_has_to_be_and_cuts_outliers_elsewhere(drawn):
    records = _records([2000], a__fast=lambda s: 10.0 ** (s / 1000), a__slow=lambda s: 1 + s / 1000)
    for i, record in enumerate(records):
        record["a/outlier"] = 1e6 if i == 100 else i / len(records) - 0.5
    training_curves.training_curves(records)
    panels = {axes.get_title("left"): axes for axes in drawn[0].axes[1:]}
    assert [panels[f"a/{name}"].get_yscale() for name in ("fast", "slow", "outlier")] == [
        "log",
        "linear",
        "linear",
    ]
    low, high = panels["a/outlier"].get_ylim()
    assert -0.7 < low < -0.49 and 0.48 < high < 0.7


def test_training_curves_take_one_record_and_the_scalars_that_are_named(drawn):
    record = {"step": 0, "task_index": 0, "task": "a", "task_step": 0, "x/y": 1.0, "x/z": float("nan")}
    training_curves.training_curves([record], ["x/z", "x/y"])
    assert [axes.get_title("left") for axes in drawn[0].axes[1:]] == ["x/z", "x/y"]
    with pytest.raises(ValueError, match="no record has 'x/w'; those that are there are x/y, x/z"):
        training_curves.training_curves([record], ["x/w"])
    with pytest.raises(ValueError, match="metrics.jsonl has no record yet"):
        training_curves.training_curves([])


def _row(after, shares, task=None):
    found = {t: {} if s is None else {"share": s} for t, s in shares.items()}
    return row.Row(after_task=after, task=task or f"task{after}", scores=found)


def test_the_domain_mix_stacks_shares_beside_what_is_wanted(drawn):
    rows = [_row(0, {"task0": 1.0}), _row(1, {"task0": 0.5, "task1": 0.3})]
    rows.append(_row(2, dict.fromkeys(["task0", "task1", "task2"])))
    charts.domain_mix(rows)
    axes = drawn[0].axes[0]
    bars = [
        (bar.get_y() + bar.get_height() / 2, bar.get_x(), bar.get_width(), colors.to_hex(bar.get_facecolor()))
        for bar in axes.patches
        if bar.get_width() > 0
    ]
    first, second = chart_style.colour_of(0), chart_style.colour_of(1)
    assert [bar[3] for bar in bars] == [first, first, second, chart_style.PALE]
    np.testing.assert_allclose(
        [bar[:3] for bar in bars], [[0, 0, 1], [1, 0, 0.5], [1, 0.5, 0.3], [1, 0.8, 0.2]], atol=1e-12
    )
    assert sorted(_said(axes).values()) == ["100%", "30%", "50%"]
    wanted = [line[0].tolist() for marks in axes.collections for line in marks.get_segments()]
    assert {(x, round(y)) for x, y in wanted} == {(0.5, 1)}
    names = [text.get_text() for text in drawn[0].legends[0].get_texts()]
    assert names == ["task0", "task1", "task2"]
    with pytest.raises(ValueError, match="no row of scores has the shares of the domains"):
        charts.domain_mix(rows[2:])


def test_the_key_reads_line_by_line(drawn):
    shares = {f"domain_{letter}": 0.1 for letter in "abcdefghij"}
    charts.domain_mix([_row(9, shares)])
    drawn[0].canvas.draw()
    places = [text.get_window_extent() for text in drawn[0].legends[0].get_texts()]
    texts = [text.get_text() for text in drawn[0].legends[0].get_texts()]
    order = sorted(range(10), key=lambda i: (-round(places[i].y0), places[i].x0))
    assert [texts[i] for i in order] == list(shares)


def test_a_comparison_has_a_dot_for_each_seed_and_their_mean(drawn):
    values = {"ours": [1.0, 2.0, 6.0], "$x_1$ base": [5.0, float("nan"), None], "none": []}
    charts.comparison("NLOG, final", values, "lower", 1)
    axes = drawn[0].axes[0]
    dots = [(line.get_xdata().tolist(), line.get_ydata()[0]) for line in axes.lines]
    assert dots == [([1, 2, 6], 0), ([5], 1)]
    means = [marks.get_segments() for marks in axes.collections if len(marks.get_segments()) == 1]
    assert [(s[0][0, 0], s[0].mean(axis=0)[1]) for s in means] == [(3.0, 0.0), (5.0, 1.0)]
    assert [text.get_text() for text in axes.texts] == ["3.0", "5.0", "absent"]
    assert axes.get_yticklabels()[1].get_text() == r"\$x_1\$ base"
    assert _below(drawn[0]) == "lower is better; dots: seeds, line and number: their mean"
    charts.comparison("x", {"a": [0.123456]}, "")
    assert drawn[1].axes[0].texts[0].get_text() == "0.1235"
    with pytest.raises(ValueError, match="nothing to compare in 'x'"):
        charts.comparison("x", {}, "lower")


def _all_charts(tasks):
    count = len(tasks)
    values = 100 + 10.0 * np.abs(np.subtract.outer(np.arange(count), np.arange(count)))
    rows = [_row(i, dict.fromkeys(tasks[: i + 1], 1 / (i + 1)), tasks[i]) for i in range(count)]
    charts.heat_map(_matrix("nlog", 100 * values, tasks))
    charts.forgetting_curves(_matrix("nlog", values, tasks), dict.fromkeys(tasks, 95.0))
    charts.forgetting_curves(_matrix("nlog", np.full([count, count], 7.0), tasks))
    charts.domain_mix(rows)
    training_curves.training_curves(_records([50] * count, tasks, student__kl=lambda s: 50.0 + s % 7))
    charts.comparison("NLOG", {task: [1.0, 2.0] for task in tasks}, "lower")


@pytest.mark.parametrize("tasks", [["digits"], ["digits", "glyphs", "textures"], LONG[:3], LONG])
def test_no_text_is_cut_or_covers_another(drawn, monkeypatch, tasks):
    drawn_texts, draw = {}, Text.draw

    def record(self, *arguments):  # ticks outside the limits are texts too, but are not drawn
        if self.get_text().strip():
            drawn_texts.setdefault(self.figure, {})[self] = Text.get_window_extent(self)  # without arrows
        draw(self, *arguments)

    monkeypatch.setattr(Text, "draw", record)
    _all_charts(tasks)
    assert len(drawn) == len(drawn_texts) == 6
    for figure, texts in drawn_texts.items():
        width, height = figure.canvas.get_width_height()
        for text, box in texts.items():
            assert box.x0 >= -1 and box.y0 >= -1 and box.x1 <= width + 1 and box.y1 <= height + 1, text
        level = [
            box for text, box in texts.items() if text.get_rotation() == 0 and text is not figure._suptitle
        ]
        for one, other in itertools.combinations(level, 2):
            assert _overlap(one, other) <= 2


def _overlap(a, b):
    """The smaller side of what two boxes share, in pixels."""
    return min(min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0))


def test_places_move_apart_by_as_little_as_they_must():
    assert chart_style.spread([0.0, 1.0, 5.0], 1.0) == [0.0, 1.0, 5.0]
    assert chart_style.spread([2.0, 2.0], 1.0) == [1.5, 2.5]
    assert chart_style.spread([0.0, 0.0, 0.0, 10.0], 2.0) == [-2.0, 0.0, 2.0, 10.0]
    # 1 and 1.5 would take 0.75 and 1.75, which is too near to 2: all three share out around 1.5.
    assert chart_style.spread([1.0, 1.5, 2.0], 1.0) == [0.5, 1.5, 2.5]
    assert chart_style.spread([], 1.0) == []


def test_the_same_chart_twice_has_the_same_pixels():
    matrix = _matrix("nlog", NLOG)
    np.testing.assert_array_equal(charts.heat_map(matrix), charts.heat_map(matrix))


def test_without_matplotlib_a_chart_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ValueError, match=r"charts need Matplotlib.*pip install matplotlib\.$"):
        charts.heat_map(_matrix("nlog", NLOG))
