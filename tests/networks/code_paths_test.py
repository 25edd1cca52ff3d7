"""Paths through codes, held against angles and lengths that are known, and KLs in closed form."""

import numpy as np
import pytest

from ltgans_tf.networks import code_paths


@pytest.mark.parametrize("kind", code_paths.KINDS)
def test_a_path_begins_and_ends_at_its_codes_to_the_bit(kind):
    a, b = np.random.default_rng(0).normal(size=(2, 7)).astype(np.float32)
    path = code_paths.interpolate(a, b, 10, kind)
    assert path.shape == (10, 7) and path.dtype == np.float32
    np.testing.assert_array_equal(path[0], a)
    np.testing.assert_array_equal(path[-1], b)


def test_a_linear_path_goes_in_equal_steps():
    path = code_paths.interpolate([0.0, 4.0], [8.0, 0.0], 5)
    np.testing.assert_array_equal(path, [[0, 4], [2, 3], [4, 2], [6, 1], [8, 0]])


def test_a_spherical_path_turns_and_lengthens_at_constant_rates():
    # From length 2 at 0 degrees to length 5 at 120 degrees.
    end = 5 * np.array([np.cos(np.pi * 2 / 3), np.sin(np.pi * 2 / 3)])
    path = code_paths.interpolate([2.0, 0.0], end, 7, "spherical")
    angles = np.degrees(np.arctan2(path[:, 1], path[:, 0]))
    np.testing.assert_allclose(angles, [0, 20, 40, 60, 80, 100, 120], atol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(path, axis=1), [2, 2.5, 3, 3.5, 4, 4.5, 5], rtol=1e-6)


def test_a_spherical_path_stays_in_the_plane_of_its_ends():
    a, b = np.random.default_rng(1).normal(size=(2, 64))
    path = code_paths.interpolate(a, b, 10, "spherical")
    assert np.linalg.matrix_rank(np.vstack([path, [a, b]]), tol=1e-4) == 2
    # A straight line between two such codes cuts the corner: its middle is shorter than either end.
    assert np.linalg.norm(code_paths.interpolate(a, b, 3)[1]) < 0.9 * np.linalg.norm(path, axis=1).min()


@pytest.mark.parametrize("b", [[3.0, 6.0], [-1.0, -2.0], [0.0, 0.0], [1.0, 2.0 + 1e-9]])
def test_without_an_angle_between_the_codes_a_spherical_path_is_the_line(b):
    path = code_paths.interpolate([1.0, 2.0], b, 5, "spherical")
    np.testing.assert_allclose(path, code_paths.interpolate([1.0, 2.0], b, 5), atol=1e-6)
    assert np.isfinite(path).all()


def test_a_small_angle_is_still_an_arc():
    angle = 1e-4
    path = code_paths.interpolate([1.0, 0.0], [np.cos(angle), np.sin(angle)], 3, "spherical")
    np.testing.assert_allclose(path[1], [np.cos(angle / 2), np.sin(angle / 2)], rtol=1e-6)


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (([1.0], [1.0, 2.0]), r"shapes \(1,\) and \(2,\)"),
        (([[1.0]], [[2.0]]), r"shapes \(1, 1\)"),
        (([1.0], [2.0], 1), "steps is 1"),
        (([1.0], [2.0], 3, "cubic"), "kind is 'cubic'; it must be one of linear, spherical"),
    ],
)
def test_paths_that_make_no_sense_are_refused(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        code_paths.interpolate(*arguments)


def test_a_traversal_changes_one_variable_alone():
    codes = code_paths.traverse([0.5, -1.0, 2.0], 1, [-3, 0, 3])
    np.testing.assert_array_equal(codes, np.float32([[0.5, -3, 2], [0.5, 0, 2], [0.5, 3, 2]]))
    assert codes.dtype == np.float32


@pytest.mark.parametrize("unit", [-1, 3])
def test_a_unit_that_is_not_there_is_refused(unit):
    with pytest.raises(ValueError, match=f"unit is {unit}; a code of 3 numbers has the units 0 to 2"):
        code_paths.traverse(np.zeros(3), unit, [0.0])
    with pytest.raises(ValueError, match=r"shape \(1, 3\)"):
        code_paths.traverse(np.zeros([1, 3]), 0, [0.0])


def test_kl_of_a_unit_is_that_of_two_gaussians():
    # KL(N(m, s) || N(0, 1)): m of 2 alone gives 2 nats, s of e gives (e^2 - 1) / 2 - 1.
    mean = [[2.0, 0.0, 0.0], [2.0, 0.0, 1.0]]
    stddev = [[1.0, np.e, 1.0], [1.0, np.e, 1.0]]
    np.testing.assert_allclose(code_paths.unit_kl(mean, stddev), [2.0, (np.e**2 - 3) / 2, 0.25], rtol=1e-12)


def test_kl_of_a_unit_agrees_with_tensorflow_probability():
    import tensorflow_probability as tfp

    draw = np.random.default_rng(3)
    mean, stddev = draw.normal(size=(20, 6)), draw.uniform(0.1, 2.0, (20, 6))
    expected = tfp.distributions.Normal(mean, stddev).kl_divergence(
        tfp.distributions.Normal(np.float64(0), np.float64(1))
    )
    np.testing.assert_allclose(code_paths.unit_kl(mean, stddev), np.mean(expected, axis=0), rtol=1e-9)


def test_the_units_with_the_most_kl_come_first():
    mean = np.sqrt(2 * np.array([[0.0, 3.0, 1.0, 3.0, 2.0]]))  # KLs 0, 3, 1, 3, 2
    units, kls = code_paths.most_informative_units(mean, np.ones_like(mean), 4)
    assert units.tolist() == [1, 3, 4, 2]
    np.testing.assert_allclose(kls, [3, 3, 2, 1])


def test_counts_and_posteriors_that_do_not_fit_are_refused():
    ones = np.ones([2, 3])
    for count in (0, 4):
        with pytest.raises(ValueError, match=f"count is {count}; codes of 3 numbers have 1 to 3"):
            code_paths.most_informative_units(ones, ones, count)
    for mean, stddev in ((ones, ones[:, :2]), (ones[:0], ones[:0]), (ones[0], ones[0])):
        with pytest.raises(ValueError, match=r"must be \[N, D\] with N of at least 1"):
            code_paths.unit_kl(mean, stddev)
