"""Settings as data: frozen dataclasses whose fields have a help text and a check, and may be flags of a program.

```python
@dataclasses.dataclass(frozen=True)
class Sizes(checked.Checked):
    width: int = checked.setting(32, "Width of the images, pixels.", least=1)

Sizes(width=0)  # ValueError: width is 0; it must be a whole number of at least 1.
```
"""

import dataclasses
import math
import numbers
import operator

_NUMBERS = {int: numbers.Integral, float: numbers.Real}
_NOUNS = {int: "a whole number", float: "a finite number"}
_BOUNDS = {"least": operator.ge, "most": operator.le, "above": operator.gt, "below": operator.lt}


def setting(
    default, text, *, flag=True, check=None, choices=(), least=None, most=None, above=None, below=None
):
    """Makes a field of a subclass of `Checked`.

    Args:
      default: the default. Values must fit its type: a bool, a whole number or a finite number; other types are not
        checked.
      text: what the field sets, the help of its flag.
      flag: whether the field is a flag.
      check: function of a value and the field's name that raises a ValueError for a wrong value; replaces all other
        checks.
      choices: the allowed values.
      least, most: the smallest and the largest allowed number; with `most=math.inf` a number may be infinite.
      above, below: bounds that are not allowed themselves.
    """
    bounds = {"least": least, "most": most, "above": above, "below": below}
    rule = {"help": text, "flag": flag, "check": check, "choices": choices, **bounds}
    return dataclasses.field(default=default, metadata=rule)


class Checked:
    """Base of frozen dataclasses of `setting`s: a wrong value raises a ValueError that names field and rule."""

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value, rule = getattr(self, field.name), field.metadata
            if rule["check"]:
                rule["check"](value, field.name)
            elif not _fits(value, type(field.default), rule):
                raise wrong(field.name, value, _wanted(type(field.default), rule))


def wrong(name, value, wanted):
    """Returns the ValueError for a value that is not as wanted."""
    return ValueError(f"{name} is {value!r}; it must be {wanted}.")


def flag_fields(cls):
    """The fields of a class of settings that are flags."""
    return [field for field in dataclasses.fields(cls) if field.metadata["flag"]]


def flag_values(settings):
    """{name: value} of the fields that are flags."""
    return {field.name: getattr(settings, field.name) for field in flag_fields(type(settings))}


def _fits(value, kind, rule):
    if kind is bool:
        return isinstance(value, bool)
    if kind in _NUMBERS:
        if isinstance(value, bool) or not isinstance(value, _NUMBERS[kind]):  # a bool is an int for Python
            return False
        if rule["most"] != math.inf and not abs(value) < math.inf:
            return False
    if rule["choices"]:
        return value in rule["choices"]
    return all(rule[name] is None or holds(value, rule[name]) for name, holds in _BOUNDS.items())


def _wanted(kind, rule):
    if choices := (True, False) if kind is bool else rule["choices"]:
        *others, last = map(repr, choices)
        return f"{', '.join(others)} or {last}"
    least, most, above, below = (rule[name] for name in ("least", "most", "above", "below"))
    noun = "a number" if most == math.inf else _NOUNS[kind]
    if least is None:
        return noun if above is None else f"{noun} above {above}"
    if below is not None:
        return f"{noun} in [{least}, {below})"
    return f"{noun} of at least {least}" if most in (None, math.inf) else f"{noun} from {least} to {most}"
