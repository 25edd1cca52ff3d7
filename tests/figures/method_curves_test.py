"""The chart of methods over tasks: what is drawn, and what is not there."""

import numpy as np
import pytest

from ltgans_tf.figures import chart_style, method_curves

TASKS = ["digits", "glyphs"]


def _has(pixels, colour):
    wanted = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return bool((pixels == wanted).all(-1).any())


def test_each_method_has_its_colour_and_a_missing_number_no_point():
    values = {"ltgan": [[1.0, 2.0], [2.0, 3.0]], "replay": [[None], [float("nan")]], "joint": [[3.0], [1.0]]}
    pixels = method_curves.method_curves("NLOG", "", TASKS, values)
    assert pixels.dtype == np.uint8 and pixels.ndim == 3
    assert _has(pixels, chart_style.COLOURS[0]) and _has(pixels, chart_style.COLOURS[2])
    assert not _has(pixels, chart_style.COLOURS[1])


def test_the_spread_of_several_seeds_is_seen():
    one = method_curves.method_curves("a", "", TASKS, {"ltgan": [[1.0], [2.0]], "b": [[0.0], [4.0]]})
    seeds = {"ltgan": [[0.5, 1.5], [1.5, 2.5]], "b": [[0.0], [4.0]]}
    wide = method_curves.method_curves("a", "", TASKS, seeds)
    tinted = [((np.int64(p) - 255 != 0).any(-1)).sum() for p in (one, wide)]
    assert tinted[1] > 1.2 * tinted[0]


def test_nothing_to_draw_is_refused():
    with pytest.raises(ValueError, match="no number to draw"):
        method_curves.method_curves("NLOG", "", TASKS, {"ltgan": [[None], []]})


def test_curves_over_steps_have_their_colours_a_band_of_seeds_and_the_tasks():
    def drawn(seeds, tasks):
        values = {"ltgan": {50: seeds, 100: [2.0]}, "replay": {}, "joint": {50: [3.0], 100: [1.0]}}
        return method_curves.curves_over_steps("ELBO", "", tasks, values)

    one = drawn([1.0], {"digits": 0})
    assert _has(one, chart_style.COLOURS[0]) and not _has(one, chart_style.COLOURS[1])
    assert _has(one, chart_style.COLOURS[2])
    for other in (drawn([0.0, 2.0], {"digits": 0}), drawn([1.0], {"digits": 0, "glyphs": 70})):
        assert (one[-200:] != other[-200:]).any()
    with pytest.raises(ValueError, match="no number to draw"):
        method_curves.curves_over_steps("ELBO", "", {"digits": 0}, {"ltgan": {50: [None]}})
