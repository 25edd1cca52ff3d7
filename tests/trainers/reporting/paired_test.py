"""Ratios over paired seeds and Holm's correction, against closed forms and published numbers."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from ltgans_tf.trainers.reporting import paired

LOGS = (-0.9, -0.5, -0.4, -0.45, -0.6, -0.2)


def _pair(logs, first=0):
    """Two methods whose ratios have these logarithms."""
    others = {seed: 2.0 + seed for seed in range(first, first + len(logs))}
    return {seed: others[seed] * math.exp(log) for seed, log in zip(others, logs)}, others


def test_a_ratio_is_the_geometric_mean_with_the_t_test_of_its_logarithms():
    found = paired.ratio(*_pair(LOGS))
    mean, sd = np.mean(LOGS), np.std(LOGS, ddof=1)
    assert found["ratio"] == pytest.approx(math.exp(mean)) and found["seeds"] == list(range(6))
    assert found["values"] == pytest.approx(np.exp(LOGS).tolist())
    t = mean / (sd / math.sqrt(6))
    assert found["p"] == pytest.approx(2 * stats.t.sf(abs(t), 5))
    assert paired.ratio(*_pair(LOGS)) == found


def test_the_interval_is_that_of_all_resamples():
    """BCa by hand: of the 6^6 resamples, all of them counted, with the jackknife's acceleration."""
    found = paired.ratio(*_pair(LOGS))
    means = np.sort(np.mean(list(itertools.product(LOGS, repeat=6)), axis=1))
    mean = np.mean(LOGS)
    below = (np.sum(means < mean - 1e-12) + np.sum(means <= mean + 1e-12)) / (2 * len(means))
    apart = mean - np.array([np.mean(np.delete(LOGS, i)) for i in range(6)])
    apart -= apart.mean()
    shift, bend = stats.norm.ppf(below), np.sum(apart**3) / (6 * np.sum(apart**2) ** 1.5)
    for end, z in (("low", -1.96), ("high", 1.96)):
        place = stats.norm.cdf(shift + (shift + z) / (1 - bend * (shift + z)))
        assert math.log(found[end]) == pytest.approx(np.quantile(means, place), abs=0.02)
    assert found["low"] < found["ratio"] < found["high"] < 1


def test_only_seeds_with_both_numbers_are_paired():
    own, others = _pair(LOGS)
    own[1], others[2] = None, 0.0
    del others[3]
    found = paired.ratio(own, others)
    assert found["seeds"] == [0, 4, 5] and len(found["values"]) == 3
    one = paired.ratio({7: 3.0}, {7: 6.0})
    assert one == {"seeds": [7], "values": [0.5], "ratio": 0.5, "low": None, "high": None, "p": None}
    assert paired.ratio({0: 1.0}, {1: 1.0})["ratio"] is None
    same = paired.ratio(*_pair([math.log(0.5)] * 6))
    assert (same["low"], same["high"], same["p"]) == (same["ratio"], same["ratio"], 0.0)
    assert paired.ratio(*_pair([0.0] * 6))["p"] == 1.0


def test_holm_multiplies_by_the_number_of_claims_left():
    # 4 x 0.01, 3 x 0.02, 2 x 0.03, and 0.04 below the one before it.
    assert paired.holm([0.01, 0.02, 0.03, 0.04]) == pytest.approx([0.04, 0.06, 0.06, 0.06])
    assert paired.holm([0.04, 0.005, 0.03]) == pytest.approx([0.06, 0.015, 0.06])
    assert paired.holm([0.7, 0.6]) == [1.0, 1.0] and paired.holm([]) == []


def test_a_claim_holds_after_the_correction_alone():
    clear = paired.ratio(*_pair(LOGS))
    near = paired.ratio(*_pair([-0.1, -0.3, -0.02, -0.2, 0.02, -0.15]))
    assert near["high"] < 1 and 0.025 < near["p"] < 0.05  # alone it would be one
    few = paired.ratio(*_pair(LOGS[:5]))
    found = paired.claims([near, few, clear])
    assert [each["holds"] for each in found] == [True, None, True]
    assert found[0]["holm"] == near["p"] and found[2]["holm"] == 2 * clear["p"] and found[1]["holm"] is None
    found = paired.claims([near, near, clear])
    assert [each["holds"] for each in found] == [False, False, True]
