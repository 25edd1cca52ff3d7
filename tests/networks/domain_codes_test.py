"""Domain codes: the same numbers everywhere, far apart, and none that depends on how many there are."""

import numpy as np
import pytest

from ltgans_tf.networks import domain_codes


def _least_angle(dimensions, count):
    book = domain_codes.code_book(dimensions, count)
    cosines = book @ book.T - 2 * np.eye(count)
    return np.degrees(np.arccos(np.clip(cosines.max(), -1, 1)))


def test_the_first_codes_are_the_axes_forwards_and_then_backwards():
    book = domain_codes.code_book(4, 8)
    np.testing.assert_array_equal(book, np.concatenate([np.eye(4), -np.eye(4)]))


def test_later_codes_are_golden_values():
    code = domain_codes.code_book(4, 12)[11]
    # SHAKE-256 of "domain 11" begins with these bytes.
    raw = np.array([193, 243, 108, 64]) - 127.5
    np.testing.assert_allclose(code, raw / np.linalg.norm(raw), rtol=1e-15)
    np.testing.assert_allclose(
        code, [0.44116997699352, 0.777940951797733, -0.131340680173643, -0.427699138001351], rtol=1e-12
    )


@pytest.mark.parametrize("dimensions", [8, 32])
def test_codes_are_unit_vectors_that_follow_from_their_number_alone(dimensions):
    book = domain_codes.code_book(dimensions)
    assert book.shape == (domain_codes.MOST_DOMAINS, dimensions)
    np.testing.assert_allclose(np.linalg.norm(book, axis=1), 1, rtol=1e-12)
    np.testing.assert_array_equal(book[:100], domain_codes.code_book(dimensions, 100))
    assert len(np.unique(book, axis=0)) == len(book)


@pytest.mark.parametrize(
    "dimensions, angles",
    [(8, (90, 34, 20)), (16, (90, 57, 39)), (32, (90, 90, 53)), (64, (90, 90, 70))],
)
def test_the_least_angles_are_those_of_the_table(dimensions, angles):
    found = [round(_least_angle(dimensions, count)) for count in (10, 50, 200)]
    assert found == list(angles)
    assert f"| {dimensions} | {' | '.join(map(str, found))} |" in domain_codes.__doc__


LEARNT, PLANNED = ["digits", "glyphs", "7"], ["textures", "cats"]


@pytest.mark.parametrize(
    "domain, index", [("digits", 0), (1, 0), ("2", 1), (np.int64(3), 2), ("7", 2), ("glyphs", 1)]
)
def test_a_domain_goes_by_its_name_or_by_its_number_from_1(domain, index):
    assert domain_codes.domain_index(domain, LEARNT, PLANNED) == index


@pytest.mark.parametrize(
    "domain, sentence",
    [
        ("glyph", "unknown domain 'glyph'; did you mean glyphs? There are 1 (digits), 2 (glyphs), 3 (7)."),
        ("zzz", "unknown domain 'zzz'; there are 1 (digits), 2 (glyphs), 3 (7)."),
        (0, "unknown domain 0; there are 1 (digits), 2 (glyphs), 3 (7)."),
        (6, "unknown domain 6; there are 1 (digits), 2 (glyphs), 3 (7)."),
        (-1, "unknown domain -1; there are"),
        (1.0, "unknown domain 1.0; there are"),
        (4, "domain 'textures' is not learnt yet; those learnt are 1 (digits), 2 (glyphs), 3 (7)."),
        ("cats", "domain 'cats' is not learnt yet; those learnt are"),
    ],
)
def test_other_domains_are_refused_in_one_sentence(domain, sentence):
    with pytest.raises(ValueError) as refusal:
        domain_codes.domain_index(domain, LEARNT, PLANNED)
    assert str(refusal.value).startswith(sentence)


def test_a_sentence_names_at_most_twenty_domains():
    with pytest.raises(ValueError, match=r"20 \(19\) and so on up to 30\.$"):
        domain_codes.domain_index("none", [str(i) for i in range(30)])
