"""Flags whose values are paths, and the commands that programs print: one rule for all of them."""

import shlex

from absl import flags

from ltgans_tf.files import paths

flags.disclaim_key_flags()  # --help lists them with the program that defines them


class _Path(flags.ArgumentParser):
    syntactic_help = "a path"

    def parse(self, argument):
        return paths.local(argument)


class _Paths(flags.ListParser):
    syntactic_help = "paths, separated by commas; one that has a comma stands in double quotes"

    def parse(self, argument):
        return [paths.local(path) for path in super().parse(argument)]


def define_path(name, default, text, **settings):
    """A flag whose value is a path as `paths.local` gives it; `settings` are those of `flags.DEFINE`."""
    flags.DEFINE(_Path(), name, default, text, serializer=flags.ArgumentSerializer(), **settings)


def define_paths(name, default, text, **settings):
    """A flag with a list of paths: a,b or, where one has a comma, "a,b",c."""
    flags.DEFINE(_Paths(), name, default, text, serializer=flags.CsvListSerializer(","), **settings)


def define_multi_path(name, text):
    """A flag that may be given several times, a path each time; [] by default."""
    flags.DEFINE_multi(_Path(), flags.ArgumentSerializer(), name, [], text)


def listed(values):
    """Paths as `define_paths` reads them."""
    return flags.CsvListSerializer(",").serialize(list(values))


def command(program, *words):
    """The line that a person types: 'python -m trainers.sample' and words, which are quoted where they need to be."""
    return f"{program} {shlex.join(words)}"
