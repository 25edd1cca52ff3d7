"""Writes docs/reference/flags.md from the flags of ltgans train: `python -m docs.flags_page`."""

import dataclasses
import pathlib

from absl import flags

from ltgans_tf.methods import registry
from ltgans_tf.settings import checked, presets
from ltgans_tf.trainers import flag_help, train

PAGE = pathlib.Path(__file__).with_name("reference") / "flags.md"
FLAGS = flags.FLAGS

HEAD = """# Flags of training

`python -m docs.flags_page` writes this page from the flags themselves; a test compares the two.
Give flags to `ltgans train`. `--NAME` turns a switch on and `--noNAME` turns it off.

Three places set a value, and the later one wins: the preset (`--preset`, the experiment), the recipe
(`--recipe`, the settings of the method), and the command line. `--dry_run` prints what a command
resolves to. Each run keeps its flags in `flags.txt`; `--flagfile=runs/demo/flags.txt` gives them again.
"""
METHOD = (
    "Values are those of `--method=ltgan`. [Other methods](#what-other-methods-change) change some. *Small nets* are"
    " the architectures `small32` and `small64`; *large nets* are `paper32` and `paper64`."
)


def page():
    """Returns the page as Markdown: str."""
    demo, columns = presets.preset("demo"), _recipes()
    recipe = presets.recipe(demo.recipe, demo.architecture)
    held = {**flag_help.defaults(), **checked.flag_values(demo), **checked.flag_values(recipe)}
    parts = [HEAD]
    for title, names in flag_help.groups(train.PROGRAM):
        parts.append(f"## {title}")
        if title == flag_help.RECIPE:
            rows = [(_flag(n), *(_value(getattr(r, n)) for r in columns.values()), _help(n)) for n in names]
            parts += [METHOD, _table(("flag", *columns, "what it sets"), rows)]
        else:
            rows = [(_flag(n), _value(held.get(n, FLAGS[n].default)), _help(n)) for n in names]
            parts.append(_table(("flag", "with `--preset=demo`", "what it sets"), rows))
    parts += ["## What other methods change", _methods(), "## The presets", _presets()]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _recipes():
    names = {"paper": ("paper", "small32")}
    for size, architecture in (("small", "small32"), ("large", "paper32")):
        names[f"recommended, {size} nets"] = ("recommended", architecture)
    order = ("recommended, small nets", "recommended, large nets", "paper")
    return {name: presets.recipe(*names[name]) for name in order}


def _methods():
    """A table of what each method changes of the recommended recipe of small nets."""
    plain, rows = presets.recipe("recommended", "small32"), []
    for name in registry.METHODS:
        changed = _changes(presets.recipe("recommended", "small32", name), plain)
        rows.append((f"`{name}`", changed or "nothing"))
    return _table(("`--method`", "settings that differ from those of `ltgan` (small nets)"), rows)


def _presets():
    """A table of all presets: their tasks, and what else they change of the demo."""
    demo, rows = presets.preset("demo"), []
    for name, preset in presets.PRESETS.items():
        tasks = ", ".join(f"`{task}`" for task in preset.tasks)
        changed = _changes(dataclasses.replace(preset, tasks=demo.tasks), demo)
        rows.append(
            (f"`{name}`", changed or "nothing", tasks if len(preset.tasks) < 12 else _many(preset.tasks))
        )
    return _table(("`--preset`", "settings that differ from those of `demo`", "tasks"), rows)


def _many(tasks):
    return f"{len(tasks)} tasks, from `{tasks[0]}` to `{tasks[-1]}`"


def _changes(settings, others):
    """`--name=value` of the flags in which two presets or two recipes differ."""
    names = [
        f.name
        for f in checked.flag_fields(type(others))
        if getattr(settings, f.name) != getattr(others, f.name)
    ]
    return ", ".join(_setting(name, getattr(settings, name)) for name in names)


def _setting(name, value):
    return f"`--{'' if value else 'no'}{name}`" if isinstance(value, bool) else f"`--{name}={value}`"


def _flag(name):
    return f"`--{'[no]' if FLAGS[name].boolean else ''}{name}`"


def _value(value):
    if value in (None, "", []):
        return "none"
    if isinstance(value, tuple):
        value = ",".join(value)
    return f"`{'on' if value is True else 'off' if value is False else value}`"


def _help(name):
    flag = FLAGS[name]
    text = flag.help if name != "preset" else "The experiment: one of [the presets](#the-presets)."
    if values := getattr(flag.parser, "enum_values", None):
        text = f"{text.rpartition('>: ')[2]} One of {', '.join(values)}."
    return text.replace("<", "&lt;").replace("|", "\\|").replace("*", "\\*")


def _table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
