"""Defines flags whose values are paths, and formats commands for users, alike for all programs."""

import shlex

from absl import flags

from ltgans_tf.files import paths

flags.disclaim_key_flags()  # --help lists them with the program that defines them


class _Path(flags.ArgumentParser):
    syntactic_help = "a path"

    def parse(self, argument):
        return paths.local(argument)


class _Paths(flags.ListParser):
    syntactic_help = "paths, separated by commas; put a path that contains a comma in double quotes"

    def parse(self, argument):
        return [paths.local(path) for path in super().parse(argument)]


def define_path(name, default, text, **settings):
    """Defines a flag for a path, read by `paths.local`; `settings` go to `flags.DEFINE`."""
    flags.DEFINE(_Path(), name, default, text, serializer=flags.ArgumentSerializer(), **settings)


def define_paths(name, default, text, **settings):
    """Defines a flag for a list of paths: a,b or, if one has a comma, "a,b",c."""
    flags.DEFINE(_Paths(), name, default, text, serializer=flags.CsvListSerializer(","), **settings)


def define_multi_path(name, text):
    """Defines a flag for a path that may be given several times; [] by default."""
    flags.DEFINE_multi(_Path(), flags.ArgumentSerializer(), name, [], text)


def listed(values):
    """Joins paths into the text that a flag of `define_paths` reads."""
    return flags.CsvListSerializer(",").serialize(list(values))


def command(program, *words):
    """Joins a program, such as 'ltgans sample', and quoted words into a command line."""
    return f"{program} {shlex.join(words)}"
