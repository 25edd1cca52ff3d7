"""Pictures: each image in its place, white between them, and PNG files that read back."""

import os

import numpy as np
import pytest
from PIL import Image

from ltgans_tf.figures import lettering, sheets


def _images(count, height=3, width=5, channels=3):
    """No pixel is white, so that white can only be padding."""
    draw = np.random.default_rng(0)
    return draw.integers(0, 255, (count, height, width, channels), dtype=np.uint8)


@pytest.mark.parametrize("pad", [0, 1, 2])
def test_a_grid_places_image_i_at_its_row_and_column(pad):
    images = _images(7)
    picture = sheets.grid(images, columns=3, pad=pad)
    assert picture.dtype == np.uint8
    assert picture.shape == (3 * (3 + pad) - pad, 3 * (5 + pad) - pad, 3)
    expected = np.full_like(picture, 255)
    for i in range(7):
        for y in range(3):
            for x in range(5):
                expected[i // 3 * (3 + pad) + y, i % 3 * (5 + pad) + x] = images[i, y, x]
    np.testing.assert_array_equal(picture, expected)


def test_grey_images_become_rgb():
    grey = _images(4, channels=1)
    picture = sheets.grid(grey, columns=2)
    np.testing.assert_array_equal(picture[:3, :5], np.repeat(grey[0], 3, axis=-1))
    np.testing.assert_array_equal(picture, sheets.grid(np.repeat(grey, 3, axis=-1), columns=2))


@pytest.mark.parametrize(
    "images",
    [
        _images(4) / 255.0,
        _images(4)[0],
        _images(4)[:0],
        _images(4, channels=2),
        _images(4, channels=4),
    ],
)
def test_images_that_make_no_grid_are_refused(images):
    with pytest.raises(ValueError, match=r"images are (uint8|float64) \(.*must be uint8 \[N, H, W, C\]"):
        sheets.grid(images)


def test_pictures_stand_side_by_side_with_white_between():
    first, second = _images(2, 4, 6)
    both = sheets.side_by_side([first, second], gap=3)
    np.testing.assert_array_equal(both[:, :6], first)
    np.testing.assert_array_equal(both[:, 6:9], np.full((4, 3, 3), 255))
    np.testing.assert_array_equal(both[:, 9:], second)


def test_a_stream_sheet_stacks_one_captioned_strip_per_boundary():
    rows = [_images(9), _images(9)[::-1]]
    sheet = sheets.stream_sheet(rows, 4, ["after task 1", "after task 2"])
    strip = sheets.grid(rows[0][:8], columns=4)  # the ninth image would begin a line of its own
    height = strip.shape[0] + 14
    assert sheet.shape == (2 * height + 8, strip.shape[1], 3)
    for i, images in enumerate(rows):
        top = i * (height + 8)
        np.testing.assert_array_equal(sheet[top + 14 : top + height], sheets.grid(images[:8], columns=4))
        assert (sheet[top : top + 14] < 128).any()  # the caption is written there
    assert (sheet[height : height + 8] == 255).all()


def test_a_stream_sheet_takes_fewer_images_than_columns():
    images = _images(5, 40, 40)
    sheet = sheets.stream_sheet([images], 16, ["after task 1"])
    np.testing.assert_array_equal(sheet[14:], sheets.grid(images, columns=5))


@pytest.mark.parametrize("zoom", [1, 3])
def test_a_png_reads_back_with_every_pixel_zoomed(tmp_path, zoom):
    picture = _images(1)[0]
    path = tmp_path / "new" / "folder" / "picture.png"
    sheets.save_png(str(path), picture, zoom=zoom)
    with Image.open(path) as image:
        assert image.format == "PNG"
        np.testing.assert_array_equal(np.asarray(image), picture.repeat(zoom, 0).repeat(zoom, 1))
    assert os.listdir(path.parent) == ["picture.png"]


def test_a_png_appears_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "picture.png"
    first, second = _images(2)
    sheets.save_png(str(path), first)
    real = Image.Image.save

    def break_off(self, file, **kwargs):
        real(self, file, **kwargs)
        file.truncate(10)
        raise OSError("no space left")

    monkeypatch.setattr(Image.Image, "save", break_off)
    with pytest.raises(OSError):
        sheets.save_png(str(path), second)
    with Image.open(path) as image:
        np.testing.assert_array_equal(np.asarray(image), first)


def _ink(picture):
    """Where something is drawn that is neither white nor a hairline."""
    return (picture < 200).any(axis=-1)


def _holds(picture, image):
    """How often `image` (already enlarged) stands in `picture`, pixel for pixel."""
    if image.shape[-1] == 1:
        image = np.repeat(image, 3, axis=-1)
    height, width = image.shape[:2]
    corner = (picture[: -height + 1 or None, : -width + 1 or None] == image[0, 0]).all(axis=-1)
    return [(y, x) for y, x in np.argwhere(corner) if (picture[y : y + height, x : x + width] == image).all()]


def _place(picture, image, zoom=8):
    places = _holds(picture, image.repeat(zoom, 0).repeat(zoom, 1))
    assert len(places) == 1, places
    return places[0]


def test_a_stream_sheet_with_zoom_has_each_pixel_larger_and_letters_to_match():
    rows = [_images(8), _images(8)[::-1]]
    small = sheets.stream_sheet(rows, 4, ["after task 1", "after task 2"])
    large = sheets.stream_sheet(rows, 4, ["after task 1", "after task 2"], zoom=3)
    assert large.shape == (3 * small.shape[0], 3 * small.shape[1], 3)
    np.testing.assert_array_equal(large[3 * 14 : 3 * 22], small[14:22].repeat(3, 0).repeat(3, 1))
    assert np.flatnonzero(_ink(large[: 3 * 14]).any(axis=1)).max() > 15  # letters of 30 pixels, not 10


def test_a_domain_sheet_has_its_lines_in_order_and_images_side_by_side():
    real, rebuilt, made = _images(9, 8, 8).reshape(3, 3, 8, 8, 3)
    sheet = sheets.domains_sheet(
        {"digits": {"real": real, "reconstructed": rebuilt}, "glyphs": {"generated": made[:2]}}
    )
    lines = [[_place(sheet, image) for image in line] for line in (real, rebuilt, made[:2])]
    for line in lines:
        assert len({y for y, _ in line}) == 1
        assert np.diff([x for _, x in line]).tolist() == [66] * (len(line) - 1)
    tops = [line[0][0] for line in lines]
    assert tops == sorted(tops) and len(set(tops)) == 3
    left = min(x for line in lines for _, x in line)
    for top in tops:  # its label stands beside each line
        assert _ink(sheet[top : top + 64, : left - 4]).any()
    assert _ink(sheet[: tops[0] - 4]).any() and _ink(sheet[tops[1] + 68 : tops[2] - 4]).any()  # headings


def test_white_images_have_a_border():
    sheet = sheets.domains_sheet({"glyphs": {"real": np.full([2, 8, 8, 1], 255, np.uint8)}})
    assert ((sheet == 222).all(axis=-1).sum(axis=1) > 120).sum() == 4  # 2 pixels above, 2 below


def test_an_interpolation_sheet_parts_real_images_from_decoded_ones():
    images = _images(12, 8, 8)
    sheet = sheets.interpolation_sheet([("digits", "glyphs", "linear", images)])
    places = [_place(sheet, image) for image in images]
    gaps = np.diff([x for _, x in places])
    assert len({y for y, _ in places}) == 1 and gaps[1:-1].tolist() == [66] * 9
    assert gaps[0] == gaps[-1] > 66


def test_lines_between_the_same_ends_stand_together():
    images = _images(6, 8, 8).reshape(2, 3, 8, 8, 3)
    more = 254 - images
    lines = [
        ("a", "a", "linear", images[0]),
        ("a", "a", "spherical", images[1]),
        ("a", "b", "linear", more[0]),
    ]
    sheet = sheets.interpolation_sheet(lines)
    tops = [_place(sheet, line[0])[0] for line in (images[0], images[1], more[0])]
    assert np.diff(tops).tolist() == [68, 80]


def test_a_domain_sheet_of_nothing_is_refused():
    with pytest.raises(ValueError, match="there is no image of any domain to show"):
        sheets.domains_sheet({})


def test_a_traversal_sheet_begins_with_the_image_and_has_one_line_per_variable():
    start, first, second = _images(2, 8, 8), _images(8, 8, 8)[2:5], _images(8, 8, 8)[5:]
    lines = {"variable 4\nKL 2.0 nats": first, "variable 1\nKL 1.0 nats": second}
    sheet = sheets.traversal_sheet([("from an image of digits", start, lines)], [-3, 0, 3])
    places = np.array([[_place(sheet, image) for image in line] for line in (first, second)])
    begin = _place(sheet, start[0])
    assert begin[0] < places[0, 0, 0] < places[1, 0, 0]
    assert (places[0, :, 1] == places[1, :, 1]).all() and begin[1] == places[0, 0, 1]
    above = sheet[begin[0] + 68 : places[0, 0, 0] - 2]  # the values, in the middle of their columns
    for x in places[0, :, 1]:
        columns = np.flatnonzero(_ink(above[:, x : x + 64]).any(axis=0))
        assert abs((columns.min() + columns.max()) / 2 - 32) < 3


def _boundaries(domains):
    """Images whose red is their task and whose green is their latent, and that many domains."""
    samples = np.full([len(domains), len(domains[0]), 8, 8, 3], 90, np.uint8)
    for i in range(len(domains)):
        samples[i, :, ..., 0] = 10 * (i + 1)
        samples[i, :, ..., 1] = np.arange(len(domains[0]))[:, None, None]
    return list(samples)


def _large(image):
    return image.repeat(8, 0).repeat(8, 1)


def test_a_line_of_each_domain_is_shown_or_the_first_lines():
    images, domains = _images(40), np.repeat(np.arange(10), 4)
    for arguments, places, across in (
        ({"columns": 4, "lines": 2}, range(8), 4),
        ({"domains": domains, "columns": 1, "most": 4}, [0, 12, 24, 36], 1),  # of domains 0, 3, 6 and 9
        ({"domains": domains, "most": 1}, range(4), 4),  # which have no 16 images each
    ):
        found, columns = sheets.shown(images, **arguments)
        np.testing.assert_array_equal(found, images[list(places)])
        assert columns == across


def test_boundaries_with_other_numbers_of_a_domain_are_shown_in_lines_of_one_length():
    early, late = _images(6), _images(6)
    rows, columns = sheets.shown_alike([(early, np.repeat([0, 1], 3)), (late, np.repeat([0, 1, 2], 2))])
    assert columns == 2
    np.testing.assert_array_equal(rows[0], early[[0, 1, 3, 4]])
    np.testing.assert_array_equal(rows[1], late)


def test_a_kept_sheet_has_the_latents_of_a_domain_in_one_row():
    samples = [_images(3, 8, 8), 254 - _images(6, 8, 8)]
    domains = [np.zeros(3, int), np.array([0, 0, 0, 1, 1, 1])]
    sheet = sheets.kept_sheet(samples, domains, ["a", "b"], shape=(1, 2))
    (top, left), (again, right), (below, column) = (
        _place(sheet, image) for image in (samples[0][0], samples[1][0], samples[1][3])
    )
    assert top == again < below and left < right == column
    assert not _holds(sheet, _large(samples[1][5]))  # the third of its domain


def test_a_forgetting_sheet_follows_latents_that_gave_the_domain_when_it_was_learnt():
    pairs = np.arange(12) // 2
    domains = [np.zeros(12, int), pairs % 2, np.array([1, 0, 2])[pairs % 3]]
    samples = _boundaries(domains)
    sheet = sheets.forgetting_sheet(samples, ["a", "b", "c"], domains, shape=(1, 2))
    # The first two latents of domain 0 after task 0, of domain 1 after task 1, of domain 2 after task 2.
    tops, lefts = [], []
    for j, (first, second) in enumerate([(0, 1), (2, 3), (4, 5)]):
        places = [[_place(sheet, samples[i][latent]) for latent in (first, second)] for i in range(j, 3)]
        assert len({y for row in places for y, _ in row}) == 1  # one row for all three tasks
        assert all(right - left == 66 for (_, left), (_, right) in places)
        tops.append(places[0][0][0])
        lefts.append([left for (_, left), _ in places])
    assert tops == sorted(tops) and len(set(tops)) == 3
    assert lefts[0][1:] == lefts[1] and lefts[1][1:] == lefts[2]  # a column for each task
    assert lefts[0] == sorted(lefts[0]) and len(set(lefts[0])) == 3
    assert not any(_holds(sheet, _large(samples[i][6])) for i in range(3))  # the third of its domain


def test_cells_before_a_domain_was_learnt_are_pale():
    domains = [np.zeros(4, int), np.array([0, 1, 1, 0])]
    samples = _boundaries(domains)
    sheet = sheets.forgetting_sheet(samples, ["a", "b"], domains, shape=(1, 2))
    pale = 255 - (255 - samples[0]) // 4
    assert _holds(sheet, _large(pale[1])) and _holds(sheet, _large(pale[2]))
    assert _holds(sheet, _large(samples[1][1])) and not _holds(sheet, _large(samples[0][2]))


def test_each_cell_tells_the_share_of_its_domain(monkeypatch):
    told = []
    noted = sheets._noted
    monkeypatch.setattr(sheets, "_noted", lambda block, text: told.append(text) or noted(block, text))
    domains = [np.zeros(4, int), np.array([0, 1, 0, 0])]
    sheets.forgetting_sheet(_boundaries(domains), ["a", "b"], domains)
    assert told == ["100% (100% wanted)", "75% (50% wanted)", "", "25% (50% wanted)"]


def test_a_domain_that_no_latent_gave_has_blank_cells():
    domains = [np.zeros(4, int), np.zeros(4, int)]
    sheet = sheets.forgetting_sheet(_boundaries(domains), ["a", "b"], domains, shape=(1, 2))
    full = sheets.forgetting_sheet(_boundaries(domains), ["a", "b"], [domains[0], 1 - domains[1]], (1, 2))
    assert sheet.shape == full.shape


def test_without_domains_the_rows_of_a_forgetting_sheet_are_latents_in_their_order():
    samples = _boundaries([np.zeros(6, int)] * 2)
    sheet = sheets.forgetting_sheet(samples, ["a", "b"], shape=(1, 2))
    for i in range(2):
        tops = [_holds(sheet, _large(samples[i][latent]))[0][0] for latent in range(6)]
        assert tops[0] == tops[1] < tops[2] == tops[3] < tops[4] == tops[5]
    with pytest.raises(ValueError, match="each of the 2 tasks needs one array, and all arrays one shape"):
        sheets.forgetting_sheet([samples[0], samples[1][:3]], ["a", "b"])


@pytest.mark.parametrize("side, zoom", [(8, 8), (28, 2), (32, 2), (64, 1), (100, 1)])
def test_sheets_enlarge_images_to_about_64_pixels(side, zoom):
    images = _images(2, side, side)
    sheet = sheets.domains_sheet({"a": {"real": images}})
    _place(sheet, images[0], zoom)


def test_a_label_of_more_lines_than_a_low_image_has_room_for_is_whole():
    images = _images(3, 40, 40)
    sheet = sheets.interpolation_sheet([("glyphs", "glyphs", "spherical", images)] * 2)
    y, x = min(_holds(sheet, images[0]))
    rows = _ink(sheet[:, : x - 4]).any(axis=1)
    starts = np.flatnonzero(rows[1:] & ~rows[:-1])
    assert len(starts) == 6  # three lines of text, twice, with white between all


def test_text_loses_its_middle_where_it_is_too_wide_or_long():
    assert lettering.middle_out("abcdefghij", 10) == "abcdefghij"
    assert lettering.middle_out("abcdefghij", 7) == "abc…hij"
    assert lettering.middle_out("abcdefghij", 6) == "abc…ij"
    assert lettering.shorten("digits", 200) == "digits"
    short = lettering.shorten("photographs_of_cats", 80)
    first, last = short.split("…")
    assert "photographs_of_cats".startswith(first) and "photographs_of_cats".endswith(last) and last
    assert lettering.font(15).getlength(short) <= 80


def test_short_names_stay_apart():
    assert lettering.short_names(["digits", "glyphs"], 6) == ["digits", "glyphs"]
    cities = [f"photographs_of_{town}_in_winter" for town in ("Rome", "Oslo")]
    assert lettering.short_names(cities, 12) == ["…Rome…", "…Oslo…"]
    assert lettering.short_names(["a" * 19, "a" * 20], 8) == ["1: aa…a", "2: aa…a"]
    assert lettering.short_names(["quite_another_name", "digits"], 9) == ["quit…name", "digits"]
    twenty = [f"{letter}{'m' * 40}{i:02d}" for i, letter in enumerate("abcdefghijklmnopqrst")]
    short = lettering.short_names(twenty, 10)
    assert len(set(short)) == 20 and all(len(name) <= 10 for name in short)
