"""Random changes of JSON values, for tests of what reads them."""

import copy


def changed(draw, value, junk):
    """The value with one place of it deleted or replaced.

    Args:
      draw: a `random.Random`.
      value: of JSON; it stays as it is.
      junk: list of what a place is replaced by.
    """
    if isinstance(value, (dict, list)) and value and draw.random() < 0.8:
        value = copy.copy(value)
        key = draw.choice(list(value)) if isinstance(value, dict) else draw.randrange(len(value))
        if draw.random() < 0.2:
            del value[key]
        else:
            value[key] = changed(draw, value[key], junk)
        return value
    return draw.choice(junk)
