"""An extractor that is made again is the same one, or there is none."""

import types

import pytest

from ltgans_tf.evaluation import distances, restoring


def _extractor(sha256):
    return types.SimpleNamespace(sha256=sha256)


def test_an_extractor_at_hand_is_taken_where_it_is_the_one():
    given = _extractor("a")
    assert restoring.extractor("x.npz", {"sha256": "a"}, [None, _extractor("b"), given], None) is given


def test_an_extractor_that_training_gives_again_is_taken_and_told(caplog):
    made = _extractor("a")
    assert restoring.extractor("x.npz", {"sha256": "a"}, [None], lambda known: made) is made
    assert "x.npz" in caplog.text and "made again" in caplog.text


def test_another_extractor_is_not_taken():
    with pytest.raises(distances.Absent, match="x.npz.* training gives another one"):
        restoring.extractor("x.npz", {"sha256": "a"}, [], lambda known: _extractor("b"))


@pytest.mark.parametrize("error", [ValueError("set0.npz is not there any more"), KeyError("cats")])
def test_images_that_are_gone_are_named(error):
    def train(known):
        raise error

    with pytest.raises(distances.Absent, match=f"its images cannot be read: .*{error.args[0]}"):
        restoring.extractor("x.npz", {"sha256": "a"}, [], train)
