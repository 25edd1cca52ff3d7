"""Paths through the codes of a Student: from one code to another, and along one latent variable."""

import numpy as np

KINDS = ("linear", "spherical")

# If the sine of the angle between two directions is below this, slerp divides one rounding error by another.
_LEAST_SINE = 1e-6


def interpolate(code_a, code_b, steps=10, kind="linear"):
    """Codes in equal steps from one code to another, both ends included (Fig. 2 C, D).

    'linear' is the straight line. 'spherical' turns the direction at a constant rate (slerp,
    Shoemake 1985) while the norm changes linearly, so that codes keep the length that N(0, I)
    gives them. If both codes have the same direction, or one is all zeros, there is no angle between
    them: the result is slerp's limit, the straight line. Opposite directions have no unique shortest
    arc: the result is again the straight line, which passes through zero.

    Args:
      code_a, code_b: [D] each, the ends.
      steps: number of codes, at least 2.
      kind: 'linear' or 'spherical'.

    Returns:
      float32 [steps, D]; the first row is `code_a`, the last `code_b`.

    Raises:
      ValueError: codes of different shapes, fewer than 2 steps, or an unknown kind.
    """
    a, b = np.float64(code_a), np.float64(code_b)
    if a.ndim != 1 or a.shape != b.shape:
        raise ValueError(f"the codes have shapes {a.shape} and {b.shape}; both must be [D] with the same D.")
    if steps < 2:
        raise ValueError(f"steps is {steps}; a path needs at least its two ends.")
    if kind not in KINDS:
        raise ValueError(f"kind is {kind!r}; it must be one of {', '.join(KINDS)}.")
    shares = np.linspace(0.0, 1.0, steps)[:, np.newaxis]
    path = (1.0 - shares) * a + shares * b
    if kind == "spherical":
        path = _arc(a, b, shares, path)
    path[0], path[-1] = a, b
    return path.astype(np.float32)


def _arc(a, b, shares, straight):
    """Returns slerp of the directions with a linear norm; `straight` if there is no unique arc."""
    norm_a, norm_b = np.linalg.norm(a), np.linalg.norm(b)
    if norm_a == 0.0 or norm_b == 0.0:
        return straight
    u, v = a / norm_a, b / norm_b
    # atan2 of the two chords, because arccos is inaccurate near 0 and pi.
    angle = 2.0 * np.arctan2(np.linalg.norm(u - v), np.linalg.norm(u + v))
    if np.sin(angle) < _LEAST_SINE:
        return straight
    direction = (np.sin((1.0 - shares) * angle) * u + np.sin(shares * angle) * v) / np.sin(angle)
    return ((1.0 - shares) * norm_a + shares * norm_b) * direction


def traverse(code, unit, values):
    """Returns copies of a code in which one latent variable takes each of `values` (Fig. 3).

    Args:
      code: [D].
      unit: index of the latent variable, in [0, D).
      values: the numbers, one for each copy.

    Returns:
      float32 [len(values), D]; all other variables are as in `code`.
    """
    code = np.asarray(code, np.float32)
    if code.ndim != 1:
        raise ValueError(f"the code has shape {code.shape}; it must be [D].")
    if not 0 <= unit < len(code):
        raise ValueError(f"unit is {unit}; a code of {len(code)} numbers has the units 0 to {len(code) - 1}.")
    codes = np.tile(code, [len(values), 1])
    codes[:, unit] = values
    return codes


def unit_kl(mean, stddev):
    """KL of each latent variable to its prior, the mean over images of KL(q(z_d|x) || N(0, 1)).

    Its closed form is (mean^2 + stddev^2 - 1) / 2 - log stddev, in nats.

    Args:
      mean, stddev: [N, D] each, of the posteriors of N images, N of at least 1.

    Returns:
      float64 [D].
    """
    mean, stddev = np.float64(mean), np.float64(stddev)
    if mean.ndim != 2 or not len(mean) or mean.shape != stddev.shape:
        raise ValueError(
            f"the posteriors' means have shape {mean.shape} and their stddevs {stddev.shape}; both must be"
            " [N, D] with N of at least 1."
        )
    return (0.5 * (mean**2 + stddev**2 - 1.0) - np.log(stddev)).mean(axis=0)


def most_informative_units(mean, stddev, count):
    """Returns the latent variables with most information about an image: those with the largest KL to N(0, 1).

    Args:
      mean, stddev: [N, D] each, of the posteriors of N images.
      count: how many, from 1 to D.

    Returns:
      (units, kls): int64 [count], indices by falling KL, the lower index first among equals;
      and float64 [count], their KL in nats (see `unit_kl`).
    """
    kls = unit_kl(mean, stddev)
    if not 1 <= count <= len(kls):
        raise ValueError(
            f"count is {count}; codes of {len(kls)} numbers have 1 to {len(kls)} to choose from."
        )
    units = np.argsort(-kls, kind="stable")[:count]
    return units, kls[units]
