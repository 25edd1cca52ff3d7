"""The flag --tasks: task specs separated by commas, which a command line and a flagfile hold as one text."""

import itertools
import os
import re

from absl import flags

from ltgans_tf.data import specs

flags.disclaim_key_flags()  # --help lists them with the program that defines them

# A comma before one of these is part of a spec: it separates classes or options.
_INSIDE = r"(?:\d+(?:-\d+)?|train|test|invert)(?=[,+?]|$)"
_BETWEEN = rf",(?!{_INSIDE})"
_QUOTED = re.compile(r'\s*"((?:[^"]|"")*)"\s*(?:,|$)')


class _Parser(flags.ArgumentParser):
    syntactic_help = (
        "task specs, separated by commas; put a spec whose path contains a comma in double quotes"
    )

    def parse(self, argument):
        return split(argument) if isinstance(argument, str) else tuple(argument)


class _Serializer(flags.ArgumentSerializer):
    def serialize(self, value):
        return join(value)


def define(name, text):
    """Defines a flag whose value is a tuple of task specs, None by default."""
    flags.DEFINE(_Parser(), name, None, text, serializer=_Serializer())


def split(text):
    """Splits task specs at commas, except at those between classes or options of a spec and within quotes.

    A double quote within quotes is doubled: '"folder:a,b",mnist@0,2' -> ('folder:a,b', 'mnist@0,2').

    Raises:
      ValueError: a spec begins with a quote that does not end before a comma or at the end.
    """
    found, rest = [], text
    while True:
        if quoted := _QUOTED.match(rest):
            spec, end, more = quoted[1].replace('""', '"'), quoted.end(), quoted[0].endswith(",")
        elif rest.lstrip().startswith('"'):
            raise ValueError(f"{rest.strip()!r} begins a quote that does not end at a comma or at the end.")
        else:
            comma = re.search(_BETWEEN, rest)
            spec, end, more = (
                (rest[: comma.start()], comma.end(), True) if comma else (rest, len(rest), False)
            )
        found.append(spec.strip())
        rest = rest[end:]
        if not more:
            return tuple(found)


def check(texts, data_dir=None):
    """Checks task specs as `specs.check` does, and suggests quotes if a comma has cut a path in two.

    Raises:
      ValueError: a spec is wrong, or its data are not available.
    """
    for i, text in enumerate(texts):
        try:
            specs.check(text, data_dir)
        except ValueError as error:
            if whole := _whole(texts[max(i - 1, 0) : i + 2]):
                raise ValueError(
                    f"{whole} is there, and a comma ends a task spec; put that one in double quotes: {join([whole])}"
                ) from error
            raise


def _whole(texts):
    """Joins neighbours in `texts` again; returns the first joined spec whose path exists, or None."""
    for pair in itertools.pairwise(texts):
        for whole in (",".join(pair), ", ".join(pair)):
            source, _, path = whole.partition(":")
            if source in ("folder", "npz") and os.path.exists(os.path.expanduser(path)):
                return whole
    return None


def join(texts):
    """Joins specs into a text that `split` splits into the same specs; they have no white space at their ends."""
    return ",".join(_written(text) for text in texts)


def _written(spec):
    # The beginning of a spec must not read as a continuation of the spec before it.
    if spec.startswith('"') or re.match(_INSIDE, spec) or re.search(_BETWEEN, spec):
        return '"' + spec.replace('"', '""') + '"'
    return spec
