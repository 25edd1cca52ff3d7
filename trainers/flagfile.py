"""flags.txt of a run: the flags that it was trained with, for absl's --flagfile and for other programs."""

import os

from ltgans_tf.export import path_flags
from ltgans_tf.files import atomic, paths

_NAME = "flags.txt"


def write(workdir, settings):
    """Writes {name: value} to the workdir, one --name=value per line."""
    text = "".join(f"--{name}={value}\n" for name, value in settings.items())
    atomic.write_text(os.path.join(workdir, _NAME), text)


def read(workdir):
    """Reads what `write` wrote: {name: text}; {} for a run of the library, which has no flags."""
    path = os.path.join(workdir, _NAME)
    if not os.path.isfile(path):
        return {}
    try:
        with open(path, encoding="utf-8") as f:
            pairs = [line.strip().removeprefix("--").partition("=") for line in f]
    except UnicodeError as error:
        raise ValueError(f"{path} is damaged ({error}); restore it from a backup.") from error
    return {name: text for name, _, text in pairs}


def words(workdir):
    """Returns the flags that continue the run in `workdir`; [] before its flags.txt is written."""
    file = os.path.join(workdir, _NAME)
    if not os.path.isfile(file):
        return []
    named = read(workdir).get("workdir", "")
    moved = os.path.realpath(named) != os.path.realpath(workdir)
    return [f"--flagfile={file}"] + [f"--workdir={workdir}"] * moved


def check_place(words, workdir):
    """Refuses the flags.txt of a run that is not in the folder of its --workdir: the run would start again there.

    Args:
      words: words of the command line, without the program.
      workdir: value of --workdir after all flags are read.

    Raises:
      ValueError: the last word that sets --workdir is such a flags.txt.
    """
    file = _last_place(words)
    if file is None or os.path.basename(file) != _NAME:
        return
    folder = os.path.dirname(file) or "."
    is_run = os.path.isfile(os.path.join(folder, "config.json"))
    if is_run and os.path.realpath(folder) != os.path.realpath(workdir):
        again = path_flags.command("ltgans train", f"--flagfile={file}", f"--workdir={folder}")
        raise ValueError(
            f"{file} lies in the run {folder} and names the workdir {workdir}: that run was moved or copied, or the"
            f" command comes from another folder. Name the workdir after the flagfile; to go on there: {again}"
        )


def _last_place(words):
    """Returns the last flagfile, or None if there is none or --workdir comes after it."""
    found, i = None, 0
    while i < len(words) and words[i] != "--":
        name, equals, value = words[i].partition("=")
        if name in ("--flagfile", "-flagfile", "--workdir", "-workdir"):
            if not equals:
                i += 1
                value = words[i] if i < len(words) else ""
            found = paths.local(value) if name.endswith("flagfile") and value else None
        i += 1
    return found
