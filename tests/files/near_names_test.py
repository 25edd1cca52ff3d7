"""What is said of a name that nothing has."""

from ltgans_tf.files import near_names


def test_an_unknown_name_is_answered_with_the_nearest_and_all():
    error = near_names.unknown("preset", "deno", ["smoke", "demo"])
    assert str(error) == "unknown preset 'deno'; did you mean demo? There are smoke, demo."
    error = near_names.unknown("fit", 3, {"crop": 1, "pad": 2}, ", and a function")
    assert str(error) == "unknown fit 3; there are crop, pad, and a function."


def test_the_nearest_come_first_and_are_no_more_than_asked_for():
    known = ["cats", "cat", "dogs"]
    assert near_names.nearest("cat", known) == "cat or cats"
    assert near_names.nearest("cat", known, most=1) == "cat"
    assert near_names.nearest("x", known) == ""
