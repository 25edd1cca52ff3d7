"""Fixtures of the tests of the evaluator."""

import numpy as np
import pytest

from ltgans_tf.data import streams
from ltgans_tf.evaluation import evaluation
from tests.evaluation import two_domains


@pytest.fixture(scope="session", name="specs")
def _specs(tmp_path_factory):
    folder, specs = tmp_path_factory.mktemp("evaluation"), []
    for task, name in enumerate(("dark", "bright")):
        parts = {}
        for split, count in (("train", 600), ("test", two_domains.COUNT)):
            parts[f"{split}_images"], parts[f"{split}_labels"] = two_domains.shown(task, count, len(split))
            parts[f"{split}_side"] = parts[f"{split}_labels"] * 10
        np.savez(folder / f"{name}.npz", **parts)
        specs.append(f"npz:{folder}/{name}.npz")
    return specs


@pytest.fixture(name="stream")
def _stream(specs):
    return streams.TaskStream(specs, (two_domains.SIDE, two_domains.SIDE, 3), 8)


@pytest.fixture(name="model")
def _model(tiny_model):
    return two_domains.Model(tiny_model().student)


@pytest.fixture(scope="session", name="extractor")
def _extractor(specs):
    """One extractor for all tests, as the research protocol trains it."""
    return evaluation.Evaluator().prepare(
        streams.TaskStream(specs, (two_domains.SIDE, two_domains.SIDE, 3), 8)
    )
