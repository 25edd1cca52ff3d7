"""The time of a boundary is taken for each number of tasks."""

import dataclasses

import pytest

from benchmarks import boundaries
from ltgans_tf.data import streams
from ltgans_tf.settings import presets


@pytest.mark.program
def test_each_number_of_tasks_has_the_seconds_of_its_scores_and_of_its_push(tiny_model):
    preset = dataclasses.replace(presets.preset("smoke"), eval_samples=20, eval_images=20)
    stream = streams.TaskStream([f"digits@{i}" for i in range(4)], (8, 8, 3), 4)
    rows = boundaries.measure(tiny_model(domain_dim=4), stream, [2, 3], preset, 1)
    assert [row["tasks"] for row in rows] == [2, 3]
    for row in rows:
        assert 0 < sum(row["parts"].values()) <= row["scores"] + 0.1
        assert row["push"] > 0 and row["push_cpu"] > 0 and row["scores_cpu"] > 0
    head, *lines = boundaries.report({"rows": rows}).splitlines()
    assert head.split()[-4:] == ["scores", "scores_cpu", "push", "push_cpu"]
    assert [line.split()[0] for line in lines] == ["2", "3"]
