"""The text of pictures: its font, and functions that shorten texts to a number of letters or pixels."""

import functools
import os

from PIL import ImageFont

TEXT = 15  # pixels of the font


@functools.cache
def font(size):
    """Returns the font of pictures, `size` pixels high."""
    return ImageFont.load_default(size=size)


def shorten(text, width, size=TEXT):
    """Shortens `text` in the middle until it is at most `width` pixels wide at font size `size`."""
    kept = len(text)
    short = text
    while kept > 1 and font(size).getlength(short) > width:
        kept -= 1
        short = middle_out(text, kept)
    return short


def middle_out(text, most):
    """Replaces the middle of `text` with "…" if it has more than `most` letters."""
    if len(text) <= most:
        return text
    end = (most - 1) // 2
    return f"{text[: most - 1 - end]}…{text[len(text) - end :]}"


def short_names(names, most):
    """Shortens names to at most `most` letters so that they stay distinct.

    If one is longer, this first cuts the beginning and end that all names share, if these are long. If that
    does not work, it cuts the middle of each name, and if this makes two names equal, each gets its number.
    """
    if all(len(name) <= most for name in names):
        return list(names)
    first, last = len(os.path.commonprefix(names)), len(os.path.commonprefix([n[::-1] for n in names]))
    cores = [name[first : max(first, len(name) - last)][: most - 2] for name in names]
    tries = [[middle_out(name, most) for name in names]]
    if len(names) > 1 and first + last > most // 2:
        tries.insert(0, [f"…{core}…" for core in cores])
    for short in tries:
        if len(set(short)) == len(set(names)):
            return short
    return [f"{i}: {middle_out(name, most - 4)}" for i, name in enumerate(names, 1)]
