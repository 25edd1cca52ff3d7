"""Suggests the nearest known names for an unknown one."""

import difflib


def nearest(name, known, most=2, cutoff=0.4):
    """Returns the names of `known` similar to `name`, joined by ' or '; '' if no similarity reaches `cutoff` (0 to 1)."""
    return " or ".join(difflib.get_close_matches(str(name), known, n=most, cutoff=cutoff))


def unknown(kind, name, known, more=""):
    """Returns the ValueError for a name that is not in `known`.

    Args:
      kind: what the name stands for, such as 'preset'.
      name: the unknown name.
      known: the names that exist.
      more: text to add after the list of `known`, on what else is allowed.
    """
    near = nearest(name, known)
    question = f"did you mean {near}? There" if near else "there"
    return ValueError(f"unknown {kind} {name!r}; {question} are {', '.join(known)}{more}.")
