"""The memorisation audit against hand-computed numbers and plain NumPy."""

import tracemalloc

import numpy as np
import pytest

from ltgans_tf.evaluation import memorisation


def _pixels(rows, columns, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (rows, columns), dtype=np.uint8)


def _column(*values):
    return np.array(values, np.float64)[:, None]


def _by_definition(rows, training):
    """Distances and places of the nearest in whole numbers, or in float64."""
    kind = np.int64 if rows.dtype == np.uint8 else np.float64
    squares = np.square(rows.astype(kind)[:, None] - training.astype(kind)[None]).sum(axis=-1)
    return np.sqrt(squares.min(axis=1)), squares.argmin(axis=1)


def test_nearest_by_hand():
    training = np.array([[0, 0], [255, 255], [3, 4], [0, 0]], np.uint8)
    rows = np.array([[0, 0], [3, 4], [255, 0], [6, 8], [0, 9]], np.uint8)
    distances, places = memorisation.nearest(rows, training)
    np.testing.assert_allclose(distances, [0, 0, np.sqrt(252**2 + 4**2), 5, np.sqrt(34)], rtol=1e-15)
    np.testing.assert_array_equal(places, [0, 2, 2, 2, 2])
    assert distances.dtype == np.float64 and places.dtype == np.int64


@pytest.mark.parametrize("columns", [3, 1024, 3072])
@pytest.mark.parametrize("chunk", [1, 7, 1000])
def test_nearest_pixels_agree_with_whole_numbers(columns, chunk):
    rows, training = _pixels(25, columns), _pixels(40, columns, seed=1)
    training[30] = training[4] = rows[11]
    distances, places = memorisation.nearest(rows, training, chunk)
    expected = _by_definition(rows, training)
    np.testing.assert_array_equal(distances, expected[0])
    np.testing.assert_array_equal(places, expected[1])
    assert distances[11] == 0 and places[11] == 4


@pytest.mark.parametrize("base", [_pixels(1, 3072) // 128 * 253 + 1, np.zeros((1, 3072), np.uint8)])
def test_nearest_pixels_are_told_apart_by_one_level(base):
    """Near copies of one image of 3,072 pixels, whose sums are above what a float32 counts."""
    draw = np.random.default_rng(0)
    rows, training = (base + (draw.random((n, 3072)) < 0.01) for n in (30, 50))
    rows, training = rows.astype(np.uint8), training.astype(np.uint8)
    expected = _by_definition(rows, training)
    for sign in (np.uint8(0), np.uint8(255)):  # as they are, and as negatives
        distances, places = memorisation.nearest(rows ^ sign, training ^ sign)
        np.testing.assert_array_equal(distances, expected[0])
        np.testing.assert_array_equal(places, expected[1])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("chunk", [1, 6, 1000])
def test_nearest_of_floats_agree_with_float64(dtype, chunk):
    draw = np.random.default_rng(0)
    rows, training = (draw.uniform(-1, 1, (n, 20)).astype(dtype) for n in (15, 31))
    distances, places = memorisation.nearest(rows, training, chunk)
    expected = _by_definition(rows, training)
    np.testing.assert_allclose(distances, expected[0], rtol=1e-12)
    np.testing.assert_array_equal(places, expected[1])


def test_nearest_of_floats_far_from_zero():
    """Steps of a float32 at 2^16; their squares are lost there even in a float64."""
    draw = np.random.default_rng(0)
    rows, training = draw.integers(0, 3, (20, 600)), draw.integers(0, 3, (30, 600))
    distances, places = memorisation.nearest(
        *((2**16 + x / 128).astype(np.float32) for x in (rows, training))
    )
    expected = _by_definition(rows, training)
    np.testing.assert_allclose(distances * 128, expected[0], rtol=1e-12)
    np.testing.assert_array_equal(places, expected[1])


def test_nearest_keeps_small_distances_of_floats():
    training = np.random.default_rng(0).uniform(-1, 1, (9, 500)) + 1e3
    rows = training[::-1].copy()
    rows[2, 5] += 2**-20
    distances, places = memorisation.nearest(rows, training)
    np.testing.assert_array_equal(places, np.arange(9)[::-1])
    assert distances[2] == 2**-20 and np.count_nonzero(distances) == 1


def test_nearest_reads_a_memory_map(tmp_path):
    np.save(tmp_path / "rows.npy", _pixels(20, 12))
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r", allow_pickle=False)
    np.testing.assert_array_equal(memorisation.nearest(mapped, mapped, chunk=6)[1], np.arange(20))


@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_memory_is_that_of_a_chunk(kind):
    """All pairs of these rows would fill 5 MB, and all rows in float64 2.6 MB."""
    rows, training = (_pixels(800, 200, seed).astype(kind) for seed in (0, 1))
    tracemalloc.start()
    try:
        memorisation.nearest(rows, training, chunk=32)
        assert tracemalloc.get_traced_memory()[1] < 0.6e6
    finally:
        tracemalloc.stop()


def test_memorisation_by_hand():
    """99 held-out rows at distances 1 to 99 from the only training row."""
    scores = memorisation.memorisation(
        generated=_column(0, 1, 25, 60.5, 200), held_out=_column(*range(99, 0, -1)), training=_column(0)
    )
    # Medians are 25 and 50. At most the least of the held-out ones, 1, are two of five. Nearer
    # than the 99 held-out rows are 99, 98 and a tie, 74 and a tie, 39 and 0 of them.
    wins = 99 + 98.5 + 74.5 + 39 + 0
    assert scores == pytest.approx(
        {"nearest_ratio": 0.5, "copies": 0.4, "generated_nearer": wins / (5 * 99)}, abs=1e-12
    )


def test_the_quantile_is_between_the_least_two_rows():
    """Of 149 rows at 1 to 149 the 1 % quantile is number 1.5."""
    held_out, training = _column(*range(1, 150)), _column(0)
    for distance, share in ((1.4, 1.0), (1.6, 0.0)):
        scores = memorisation.memorisation(_column(distance), held_out, training)
        assert scores["copies"] == share


def test_copies_are_found():
    training, held_out, made = _pixels(50, 40), _pixels(120, 40, seed=1), _pixels(40, 40, seed=2)
    made[:30] = training[:30]
    scores = memorisation.memorisation(made, held_out, training)
    assert scores["nearest_ratio"] == 0 and 0.75 <= scores["copies"] <= 0.8
    assert 0.8 < scores["generated_nearer"] < 0.95


def test_rows_of_the_same_law_are_at_chance():
    draw = np.random.default_rng(0)
    training, held_out, made = (draw.standard_normal((n, 6)) for n in (500, 4000, 4000))
    scores = memorisation.memorisation(made, held_out, training)
    assert scores["nearest_ratio"] == pytest.approx(1, abs=0.03)
    # The share of 4000 rows and the quantile of 4000 others vary alike: four deviations of both together.
    assert scores["copies"] == pytest.approx(0.01, abs=4 * np.sqrt(2 * 0.01 * 0.99 / 4000))
    assert scores["generated_nearer"] == pytest.approx(0.5, abs=0.02)


def test_the_chance_of_a_copy_is_one_percent_for_few_held_out_rows():
    """The mean over many draws of 99 rows; a quantile without Weibull's positions gives 2 %."""
    draw, shares, training = np.random.default_rng(0), [], np.zeros((1, 1))
    for _ in range(300):
        held_out, made = draw.uniform(0, 1, (99, 1)), draw.uniform(0, 1, (1000, 1))
        shares.append(memorisation.memorisation(made, held_out, training)["copies"])
    assert (
        np.mean(shares) == pytest.approx(0.01, abs=3 * np.std(shares) / np.sqrt(300))
        and np.mean(shares) < 0.013
    )


def test_memorisation_does_not_depend_on_the_chunk():
    parts = _pixels(30, 10), _pixels(110, 10, seed=1), _pixels(45, 10, seed=2)
    whole = memorisation.memorisation(*parts)
    for chunk in (1, 13, 45):
        assert memorisation.memorisation(*parts, chunk) == whole


@pytest.mark.parametrize(
    "rows, training, sentence",
    [
        (3.0, np.zeros((2, 3)), r"rows have shape \(\); they must be \[N, P\] with N and P of at least 1"),
        (np.zeros((0, 3)), np.zeros((2, 3)), r"rows have shape \(0, 3\)"),
        (np.zeros((2, 0)), np.zeros((2, 0)), r"rows have shape \(2, 0\)"),
        (np.zeros((2, 3)), np.zeros((2, 1, 3)), r"training rows have shape \(2, 1, 3\)"),
        (np.zeros((2, 3)), np.zeros((0, 3)), r"training rows have shape \(0, 3\)"),
        (
            np.zeros((2, 3)),
            np.zeros((2, 4)),
            "rows are float64 with 3 columns and training rows float64 with 4; .* equally wide",
        ),
        (
            np.zeros((2, 3)),
            np.zeros((2, 3), np.uint8),
            "training rows uint8 with 3; give both as uint8 or both",
        ),
        (np.zeros((2, 3), int), np.zeros((2, 3), int), "rows are int64 with 3 columns"),
        (np.full((2, 3), np.nan), np.zeros((2, 3)), "some rows are not finite; look at what made them"),
        (np.zeros((2, 3)), np.array([[0, 1, np.inf]]), "some training rows are not finite"),
    ],
)
def test_rows_that_cannot_be_compared_are_refused(rows, training, sentence):
    with pytest.raises(ValueError, match=sentence):
        memorisation.nearest(rows, training)


@pytest.mark.parametrize("chunk", [0, -5])
def test_a_chunk_of_nothing_is_refused(chunk):
    with pytest.raises(ValueError, match=f"chunk is {chunk}; compare at least 1 row at a time"):
        memorisation.nearest(np.zeros((2, 3)), np.zeros((2, 3)), chunk)


def test_too_few_held_out_rows_are_refused():
    with pytest.raises(ValueError, match="there are 98 held-out rows; give at least 99"):
        memorisation.memorisation(_pixels(5, 3), _pixels(98, 3, seed=1), _pixels(9, 3, seed=2))


def test_held_out_rows_that_were_trained_on_are_refused():
    training, held_out = _pixels(100, 30), _pixels(100, 30, seed=1)
    held_out[:49] = training[:49]
    assert memorisation.memorisation(held_out, held_out, training)["nearest_ratio"] == 1
    held_out[:51] = training[:51]
    with pytest.raises(
        ValueError, match="51% of the held-out rows are training rows; hold out rows that are not"
    ):
        memorisation.memorisation(held_out, held_out, training)


def test_distances_of_held_out_rows_are_kept_for_these_rows_alone(monkeypatch):
    draw, searched = np.random.default_rng(0), []
    made, held_out, training = (draw.normal(size=(n, 5)) for n in (30, 120, 200))
    whole, kept = memorisation.memorisation(made, held_out, training), {}
    nearest = memorisation.nearest
    monkeypatch.setattr(
        memorisation, "nearest", lambda rows, *rest: searched.append(len(rows)) or nearest(rows, *rest)
    )
    for _ in range(2):
        assert memorisation.memorisation(made, held_out, training, kept=kept) == whole
    assert searched == [120, 30, 30]
    memorisation.memorisation(made, held_out, training + 1e-9, kept=kept)
    memorisation.memorisation(made, held_out[1:], training, kept=kept)
    assert searched[3:] == [120, 30, 119, 30]
