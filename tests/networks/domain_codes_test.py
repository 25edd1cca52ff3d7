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
