"""Claims over paired seeds: ratios with bootstrap intervals, and Holm's correction over all claims."""

import numpy as np

LEVEL = 0.05
SEEDS = 6  # paired seeds that a claim needs
_RESAMPLES = 9999


def ratio(own, others):
    """Computes the ratio of two methods' numbers, seed by seed, on the logarithmic scale.

    The interval is the BCa bootstrap of the mean logarithm (Efron 1987) over the seeds; p is that of the two-sided
    paired t test of the logarithms against 0. With six seeds such an interval covers less than its nominal level, so a
    claim needs both.

    Args:
      own, others: {seed: positive number, or None}.

    Returns:
      {'seeds': those with both numbers, 'values': their ratios, 'ratio': the geometric mean, 'low', 'high': its
      95 % interval, 'p'}; the last three are None for fewer than two seeds, and 'ratio' is None without seeds.
    """
    from scipy import stats  # here, because its import is slow and not all callers need it

    seeds = [seed for seed in own if _positive(own[seed]) and _positive(others.get(seed))]
    logs = np.log([own[seed] / others[seed] for seed in seeds])
    found = {
        "seeds": seeds,
        "values": np.exp(logs).tolist(),
        "ratio": None,
        "low": None,
        "high": None,
        "p": None,
    }
    if not seeds:
        return found
    found["ratio"] = float(np.exp(logs.mean()))
    if len(seeds) < 2:
        return found
    if np.ptp(logs) < 1e-12:  # the bootstrap of equal numbers is one point, and so is its interval
        return found | {"low": found["ratio"], "high": found["ratio"], "p": float(abs(logs.mean()) < 1e-12)}
    interval = stats.bootstrap(
        (logs,), np.mean, n_resamples=_RESAMPLES, confidence_level=1 - LEVEL, rng=np.random.default_rng(0)
    ).confidence_interval
    found["low"], found["high"] = (float(np.exp(end)) for end in interval)
    found["p"] = float(stats.ttest_1samp(logs, 0.0).pvalue)
    return found


def _positive(value):
    return value is not None and value > 0


def holm(p_values):
    """Returns p values adjusted for all claims together, in their order (Holm 1979).

    The i-th smallest of m p values, with i from 0 on, is multiplied by m - i. The result is at most 1, and at least
    as large as those of the smaller p values.
    """
    adjusted, least = [0.0] * len(p_values), 0.0
    for i, place in enumerate(np.argsort(p_values, kind="stable")):
        least = max(least, min(1.0, (len(p_values) - i) * p_values[place]))
        adjusted[place] = least
    return adjusted


def claims(pairs):
    """Judges the claims of several ratios together.

    Args:
      pairs: list of dicts as `ratio` returns them.

    Returns:
      the list, with two keys added to each dict: 'holm', the adjusted p, and 'holds', whether the ratio differs from 1
      by both interval and adjusted p. Both are None for fewer than SEEDS paired seeds, which make no claim.
    """
    made = [pair for pair in pairs if len(pair["seeds"]) >= SEEDS]
    adjusted = iter(holm([pair["p"] for pair in made]))
    found = []
    for pair in pairs:
        p = next(adjusted) if len(pair["seeds"]) >= SEEDS else None
        apart = p is not None and not pair["low"] <= 1.0 <= pair["high"]
        found.append({**pair, "holm": p, "holds": None if p is None else bool(apart and p < LEVEL)})
    return found
