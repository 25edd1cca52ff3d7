"""What is said of a name that nothing has."""

import difflib


def nearest(name, known, most=2):
    """The names of `known` that are like `name`, joined by ' or '; '' where none is."""
    return " or ".join(difflib.get_close_matches(str(name), known, n=most, cutoff=0.4))


def unknown(kind, name, known, more=""):
    """The ValueError for a name that is not in `known`.

    Args:
      kind: what it was to be the name of, 'preset' say.
      name: what was given.
      known: the names that there are.
      more: what else may be given, after these names.
    """
    near = nearest(name, known)
    question = f"did you mean {near}? There" if near else "there"
    return ValueError(f"unknown {kind} {name!r}; {question} are {', '.join(known)}{more}.")
