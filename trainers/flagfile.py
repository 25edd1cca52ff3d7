"""flags.txt of a run: the flags that it was trained with, for absl's --flagfile and for other programs."""

import os


def write(workdir, settings):
    """Writes {name: value} to the workdir, one --name=value to a line."""
    with open(os.path.join(workdir, "flags.txt"), "w", encoding="utf-8") as f:
        f.writelines(f"--{name}={value}\n" for name, value in settings.items())


def read(workdir):
    """{name: text} of what `write` wrote; {} for a run of the library, which has no flags."""
    path = os.path.join(workdir, "flags.txt")
    if not os.path.isfile(path):
        return {}
    with open(path, encoding="utf-8") as f:
        pairs = (line.strip().removeprefix("--").partition("=") for line in f)
        return {name: text for name, _, text in pairs}
