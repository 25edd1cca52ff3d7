"""Sectors of the latents: where rows go, that the law stays, and that they nest from task to task."""

import numpy as np
import tensorflow as tf

from ltgans_tf.networks import sampling, sectors


def _latents(count=20_000, law="circle"):
    return sampling.draw_latents(count, 5, law, seed=3)


def test_angle_is_the_place_on_the_circle():
    latents = np.float32([[1, 0, 9], [0, 2, 9], [-3, 0, 9], [0, -1, 9], [1, -1e-3, 9]])
    np.testing.assert_allclose(
        sectors.angle(latents), [0, 0.25, 0.5, 0.75, 1 - 1e-3 / (2 * np.pi)], atol=1e-6
    )
    places = np.sort(sectors.angle(_latents()).numpy())
    assert np.abs(places - np.linspace(0, 1, len(places))).max() < 0.02


def test_the_past_fills_its_sector_and_the_new_task_the_rest():
    latents = _latents()
    known = tf.constant(np.arange(len(latents)) % 3 > 0)
    before, squeezed = sectors.angle(latents).numpy(), sectors.squeeze(latents, known, 0.75)
    after = sectors.angle(squeezed).numpy()
    np.testing.assert_allclose(after[known], 0.75 * before[known], atol=1e-5)
    np.testing.assert_allclose(after[~known.numpy()], 0.75 + 0.25 * before[~known.numpy()], atol=1e-5)


def test_radius_and_the_other_numbers_stay():
    for law in ("circle", "normal"):
        latents = _latents(50, law).numpy()
        squeezed = sectors.squeeze(latents, tf.constant([True, False] * 25), 0.4).numpy()
        np.testing.assert_array_equal(squeezed[:, 2:], latents[:, 2:])
        np.testing.assert_allclose(
            np.hypot(*squeezed[:, :2].T), np.hypot(*latents[:, :2].T), rtol=1e-5, atol=1e-6
        )


def test_rows_in_the_shares_of_the_sectors_have_the_law_again():
    latents = _latents()
    known = tf.constant(np.random.default_rng(0).uniform(size=len(latents)) < 0.75)
    places = np.sort(sectors.angle(sectors.squeeze(latents, known, 0.75)).numpy())
    assert np.abs(places - np.linspace(0, 1, len(places))).max() < 0.02


def test_after_k_tasks_each_has_a_kth_of_the_circle_in_the_order_of_the_stream():
    latents, task = _latents(4000), np.arange(4000) % 4
    for k in range(1, 4):  # what task k+1 makes of the latents of the tasks before
        latents = sectors.squeeze(latents, tf.constant(task < k), k / (k + 1))
        latents = tf.where((task > k)[:, None], _latents(4000), latents)
    np.testing.assert_array_equal(np.floor(4 * sectors.angle(latents).numpy() - 1e-6 * (task > 0)), task)
