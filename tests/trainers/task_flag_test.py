"""Task specs in one text: how they are split, and that what is joined is split into the same again."""

import random

import pytest

from ltgans_tf.trainers import task_flag


@pytest.mark.parametrize(
    "text, specs",
    [
        ("digits,glyphs", ("digits", "glyphs")),
        ("mnist@0,2,5-7,glyphs", ("mnist@0,2,5-7", "glyphs")),
        ("mnist?invert,train+mnist?test,folder:a,b", ("mnist?invert,train+mnist?test", "folder:a", "b")),
        ("digits@1", ("digits@1",)),
        ('"folder:a,b",digits', ("folder:a,b", "digits")),
        ('digits, "folder:a,""b""" ,glyphs', ("digits", 'folder:a,"b"', "glyphs")),
        ('folder:a"b,digits', ('folder:a"b', "digits")),
    ],
)
def test_task_specs_are_split_at_commas_but_not_inside_of_one(text, specs):
    assert task_flag.split(text) == specs


def test_a_quote_that_does_not_end_is_refused():
    for text in ('"folder:a,b', 'digits,"folder:a"b'):
        with pytest.raises(ValueError, match="begins a quote that does not end"):
            task_flag.split(text)


@pytest.mark.parametrize("name", ["cats,dogs", "a, b"])
def test_a_path_that_a_comma_has_cut_is_told_with_its_quotes(name, tmp_path):
    (tmp_path / name).mkdir()
    texts = task_flag.split(f"digits,folder:{tmp_path}/{name},glyphs")
    with pytest.raises(ValueError, match=f'double quotes: "folder:{tmp_path}/{name}"'):
        task_flag.check(texts)


def test_a_spec_that_no_comma_has_cut_is_refused_as_it_is(tmp_path):
    for texts in (["digits", f"folder:{tmp_path}/none", "glyphs"], [f"folder:{tmp_path}/none"]):
        with pytest.raises(ValueError, match="There is no folder"):
            task_flag.check(texts)


def test_what_is_joined_is_split_into_the_same_again():
    draw = random.Random(0)
    words = ["folder:", "a", ",", '"', "@", "0", "0-9", "?", "train", "test", "invert", "+", " b", "digits"]
    for _ in range(3000):
        texts = (
            "".join(draw.choices(words, k=draw.randint(1, 6))).strip() for _ in range(draw.randint(1, 3))
        )
        specs = tuple(text for text in texts if text) or ("digits",)
        assert task_flag.split(task_flag.join(specs)) == specs
