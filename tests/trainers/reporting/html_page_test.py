"""The building blocks of a page: escaping, pictures inside, nothing from elsewhere."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from ltgans_tf.trainers.reporting import html_page

HOSTILE = "</title><img src=x onerror=\"alert('1')\">&amp;"


def _unpacked(written):
    """The picture in the only <img> of `written`: uint8 [h, w, 3]."""
    (data,) = re.findall(r'src="data:image/png;base64,([^"]+)"', written)
    with Image.open(io.BytesIO(base64.b64decode(data, validate=True))) as image:
        return np.asarray(image)


def test_tag_escapes_text_and_attributes_but_not_markup():
    written = html_page.tag("p", HOSTILE, html_page.tag("em", "b"), id=HOSTILE)
    escaped = "&lt;/title&gt;&lt;img src=x onerror=&quot;alert(&#x27;1&#x27;)&quot;&gt;&amp;amp;"
    assert written == f'<p id="{escaped}">{escaped}<em>b</em></p>\n'


def test_tag_writes_names_that_python_has_no_words_for_and_leaves_none_out():
    assert html_page.tag("td", class_="a", aria_label="b", id=None) == '<td class="a" aria-label="b"></td>\n'
    assert html_page.tag("p", None, False, ["1", ["2"]]) == "<p>12</p>\n"


def test_sum_of_markup_and_text_is_text_again():
    assert html_page.tag("p", html_page.tag("b", "x") + "<i>").count("&lt;") == 3


def test_table_names_rows_and_columns():
    written = html_page.table(["", "a"], [["first", "1"]], HOSTILE)
    assert '<th scope="col">a</th>' in written and '<th scope="row">first</th>' in written
    assert "<td>1</td>" in written and "<img" not in written


def test_picture_is_inside_pixel_by_pixel_at_its_size():
    pixels = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)
    written = html_page.picture(pixels, "noise", density=1.5)
    np.testing.assert_array_equal(_unpacked(written), pixels)
    assert 'width="6" height="4"' in written and 'alt="noise"' in written
    np.testing.assert_array_equal(_unpacked(html_page.picture(html_page.png(pixels), "noise")), pixels)


@pytest.mark.parametrize("spoil", (lambda data: data[: len(data) // 2], lambda data: b"no picture"))
def test_picture_that_is_no_whole_png_is_refused(spoil):
    data = spoil(html_page.png(np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)))
    with pytest.raises(ValueError, match=f"a picture of {len(data)} bytes is no whole PNG file"):
        html_page.picture(data, "noise")


def test_document_lists_its_sections_and_leaves_empty_ones_out():
    sections = [html_page.Section("one", "First", ["text"]), html_page.Section("two", "Second", [None, []])]
    written = html_page.document(HOSTILE, ["lead"], sections)
    assert written.startswith("<!doctype html>\n<html")
    assert '<a href="#one">First</a>' in written and '<section id="one">' in written
    assert "Second" not in written and "two" not in written
    assert "<title>&lt;/title&gt;" in written


def test_document_forbids_all_that_is_not_inside():
    policy = "default-src &#x27;none&#x27;; img-src data:; style-src &#x27;unsafe-inline&#x27;"
    assert f'http-equiv="Content-Security-Policy" content="{policy}"' in html_page.document("", [], [])
    assert not re.search(r"@import|url\(", html_page.document("", [], []))
