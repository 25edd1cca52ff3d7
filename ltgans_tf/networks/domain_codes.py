"""Domain codes: one unit vector for each domain, computed from the domain's number alone.

In d dimensions the first d domains get the positive axes and the next d domains the negative axes, so any two of
these codes are at least 90 degrees apart. The coordinates of a later code are the bytes of a SHAKE-256 hash of the
domain's number, shifted to the range from -127.5 to 127.5 and then normalised. A code has the same bits on every
machine and with every version of a library. The smallest angle between two codes, in degrees:

| dimensions | 10 domains | 50 domains | 200 domains |
|---|---|---|---|
| 8 | 90 | 34 | 20 |
| 16 | 90 | 57 | 39 |
| 32 | 90 | 90 | 53 |
| 64 | 90 | 90 | 70 |
"""

import functools
import hashlib
import numbers

import numpy as np

from ltgans_tf.files import near_names

MOST_DOMAINS = 1024  # rows of the table that a train step holds as a constant
_SHOWN = 20  # the most domains that an error message lists


@functools.cache
def code_book(dimensions, count=MOST_DOMAINS):
    """Unit vectors of the domains 0 to `count` - 1: float64 [count, dimensions], read-only."""
    book = np.zeros([count, dimensions])
    for domain, code in enumerate(book):
        if domain < 2 * dimensions:
            code[domain % dimensions] = 1.0 if domain < dimensions else -1.0
        else:
            raw = hashlib.shake_256(b"domain %d" % domain).digest(dimensions)
            code[:] = np.frombuffer(raw, np.uint8) - 127.5
            code /= np.sqrt(np.sum(np.square(code)))
    book.setflags(write=False)
    return book


def domain_index(domain, learnt, planned=()):
    """Returns the index, from 0, of a domain given by name or by number.

    Args:
      domain: a name, or a number counted from 1 (int, or str as a command line gives it).
      learnt: names of the domains learnt, in order.
      planned: names of the domains to be learnt after these.

    Raises:
      ValueError: an unknown domain, or one that is not learnt yet.
    """
    names = [*learnt, *planned]
    if domain in names:
        index = names.index(domain)
    elif isinstance(domain, numbers.Integral) or (isinstance(domain, str) and domain.isdecimal()):
        index = int(domain) - 1
    else:
        index = -1
    if 0 <= index < len(learnt):
        return index
    known = ", ".join(f"{i + 1} ({name})" for i, name in enumerate(learnt[:_SHOWN]))
    known += f" and so on up to {len(learnt)}" if len(learnt) > _SHOWN else ""
    if 0 <= index < len(names):
        raise ValueError(f"domain {names[index]!r} is not learnt yet; those learnt are {known}.")
    near = near_names.nearest(domain, names)
    asked = f"did you mean {near}? There are" if near else "there are"
    raise ValueError(f"unknown domain {domain!r}; {asked} {known}.")
