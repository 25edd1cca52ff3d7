"""Reads metrics.jsonl of a run: each line is one point of training, a JSON object with its global 'step'."""

import json
import os

NAME = "metrics.jsonl"
# What a point has of test images of the first task where it is asked for: {scalar: score}.
FIRST_TASK = {"first_task/elbo": "elbo", "first_task/sse": "sse"}


def read(path):
    """Returns the points of a metrics.jsonl: list of dicts, [] if there is no such file yet.

    Raises:
        ValueError: see `lines`.
    """
    return [point for point, _ in lines(path)] if os.path.isfile(path) else []


def lines(path):
    """Yields (point, line as bytes) for each whole line; skips a last line that a crash left unfinished.

    Raises:
        ValueError: a line is damaged.
    """
    with open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):
                return
            try:
                point = json.loads(line)
                int(point["step"])
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                raise ValueError(
                    f"{path} is damaged in line {number}; restore it from a backup, or remove that line (its"
                    " points are lost), and run the same command again."
                ) from error
            yield point, line
