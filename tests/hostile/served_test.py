"""A few hundred of the requests of tests.hostile.served, and that it notices a wrong answer."""

import numpy as np
import pytest

from tests.hostile import served

pytestmark = pytest.mark.program


def test_good_requests_are_answered_right_and_bad_ones_refused(tmp_path):
    results = served.measure(served.trained(str(tmp_path), 2), str(tmp_path), 300)
    assert not results["wrong"]
    assert set(results["kinds"]) == {"good", *(spoil.__name__ for spoil in served.BAD)}
    assert sum(row["right"] for row in results["kinds"].values()) == 300
    assert "300    300" in served.report(results)


def test_a_wrong_answer_and_an_answer_to_a_bad_request_are_noticed():
    import tensorflow as tf

    def answer(x):
        return {"y": 2 * x}

    request = {"x": np.float32([1, 2])}
    assert served._error(answer, request, {"y": np.float32([2, 4])}) == ""
    assert served._error(answer, request, {"y": np.float32([2, 5])}) == "other y"
    assert served._error(answer, request, {"z": request["x"]}) == "gives ['y']"
    assert served._error(answer, request, None) == "answered"

    def refuse(x):
        raise tf.errors.InvalidArgumentError(None, None, "no")

    assert served._error(refuse, request, None) == "" and served._error(refuse, request, {"y": 0}) == "no"
