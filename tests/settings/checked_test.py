"""Classes of settings: which values their fields take, and what they say of the others."""

import dataclasses
import math

import numpy as np
import pytest

from ltgans_tf.settings import checked
from ltgans_tf.settings.checked import setting


def _even(value, name):
    if value % 2:
        raise checked.wrong(name, value, "even")


@dataclasses.dataclass(frozen=True)
class _Sizes(checked.Checked):
    switch: bool = setting(False, "A switch.")
    count: int = setting(3, "A count.", least=1, most=9)
    weight: float = setting(1.0, "A weight.", least=0)
    decay: float = setting(0.5, "A decay.", least=0, below=1)
    length: float = setting(2.0, "A length.", above=0)
    any: float = setting(-1.0, "Any number.")
    limit: float = setting(1.0, "A limit.", least=0, most=math.inf)
    mode: str = setting("a", "A mode.", choices=("a", "b", "c"))
    heads: int = setting(2, "Heads.", choices=(1, 2))
    pairs: int = setting(2, "Pairs.", check=_even, flag=False)
    names: tuple = setting((), "Names.")


@pytest.mark.parametrize(
    "field, wanted, wrong",
    [
        ("switch", "True or False", [1, "yes", None]),
        ("count", "a whole number from 1 to 9", [0, 10, 2.0, True, "3", None]),
        ("weight", "a finite number of at least 0", [-0.1, math.nan, math.inf, "1", True]),
        ("decay", "a finite number in [0, 1)", [1, -0.1, math.nan]),
        ("length", "a finite number above 0", [0, -1.0, math.inf]),
        ("any", "a finite number", [math.nan, -math.inf, None]),
        ("limit", "a number of at least 0", [-1, math.nan]),
        ("mode", "'a', 'b' or 'c'", ["d", None, 1]),
        ("heads", "1 or 2", [3, "1", True]),
        ("pairs", "even", [3]),
    ],
)
def test_a_wrong_value_gets_one_sentence_with_the_field_and_the_rule(field, wanted, wrong):
    for value in wrong:
        with pytest.raises(ValueError) as refusal:
            _Sizes(**{field: value})
        assert str(refusal.value) == f"{field} is {value!r}; it must be {wanted}."


def test_values_at_the_bounds_and_numbers_of_numpy_are_taken():
    _Sizes(True, 1, 0, 0, 1e-9, 1e9, math.inf, "c", 1, 4, ("x",))
    _Sizes(count=np.int64(9), decay=np.float32(0.999), length=3)


def test_fields_are_flags_unless_they_say_otherwise():
    names = [field.name for field in checked.flag_fields(_Sizes)]
    assert "pairs" not in names and len(names) == len(dataclasses.fields(_Sizes)) - 1
    assert checked.flag_values(_Sizes(count=4))["count"] == 4 and list(checked.flag_values(_Sizes())) == names
