"""The table of scores: what it says of each, and what is shown where."""

import re

from ltgans_tf.evaluation import scores


def test_every_score_says_what_it_is_and_what_it_is_read_with():
    for name, score in scores.SCORES.items():
        assert re.fullmatch(r"[a-z0-9_]+", name) and score.label and score.about.endswith(".")
        assert score.better in ("lower", "higher", "") and score.digits >= 0
        assert score.part in (*scores.PARTS, "") and score.name == name
        assert set(score.shown.split()) <= set(scores.PLACES)
    assert scores.SCORES["fid"].label == "FID" and scores.SCORES["fid_keras"].label == "FID-Keras"
    assert scores.SCORES["fcd"].beside({"fcd": 2.0, "fcd_floor": 1.0}) == 1.0
    assert scores.SCORES["nlog"].beside({"nlog": 2.0}) is scores.SCORES["sse"].beside({"sse": 2.0}) is None
    assert scores.SCORES["nlog"].baseline.name == "mean_image_nlog"


def test_places_and_parts_have_their_scores_in_the_order_of_the_table():
    assert scores.shown("line") == ["nlog", "fcd"] and scores.of_part("audit") == ["copies", "nearest_ratio"]
    assert all(scores.shown(place) for place in scores.PLACES)
    assert all(scores.of_part(part) for part in scores.PARTS)
