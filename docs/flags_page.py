"""Writes docs/reference/flags.md from the flags of trainers.train: `python -m docs.flags_page`."""

import dataclasses
import pathlib

from absl import flags

import trainers.train  # defines the flags
from ltgans_tf.methods import registry
from ltgans_tf.settings import presets
from ltgans_tf.settings.method_settings import SETTINGS

PAGE = pathlib.Path(__file__).with_name("reference") / "flags.md"
FLAGS = flags.FLAGS

# Flags that are no field of a preset, a recipe or the settings of one method.
PROGRAM = {
    "The run": "workdir preset method tasks resume init_from stop_after_task dry_run verify_checkpoint",
    "Images": "data_dir skip_broken_images upright accept_changed_data tuning",
    "Scores": "extractor_path extractor_seed inception_path inception_sha256",
    "Devices and numbers": "distribution replicas deterministic jit_compile on_nonfinite profile_steps",
    "Exports": "push push_base push_policy push_max_regression push_max_latency push_validate push_keep",
}
HEAD = """# Flags of training

`python -m docs.flags_page` writes this page from the flags themselves; a test compares the two.
Give flags to `python -m trainers.train`. `--NAME` turns a switch on and `--noNAME` turns it off.

Three places set a value, and the later one wins: the preset (`--preset`, the experiment), the recipe
(`--recipe`, the settings of the method), and the command line. `--dry_run` prints what a command
resolves to. Each run keeps its flags in `flags.txt`; `--flagfile=runs/demo/flags.txt` gives them again.
"""
EXPERIMENT = "Defaults are those of `--preset=demo`. [The presets](#the-presets) change them."
METHOD = (
    "Defaults are those of `--method=ltgan`. [Other methods](#what-other-methods-change) change some. *Small nets* are"
    " the architectures `small32` and `small64`; *large nets* are `paper32` and `paper64`."
)
OWN = "These belong to one method each; its name stands in front."


def page():
    """Returns the page as Markdown: str. ValueError if a flag belongs to no group, or to two."""
    fields = [f"{m}_{f.name}" for m, cls in SETTINGS.items() for f in dataclasses.fields(cls)]
    experiment = [f.name for f in presets.flag_fields(presets.Preset) if f.name != "tasks"]
    method = [f.name for f in presets.flag_fields(presets.Recipe)]
    groups = {title: names.split() for title, names in PROGRAM.items()}
    _check([*fields, *experiment, *method, *(name for names in groups.values() for name in names)])
    demo, columns = presets.preset("demo"), _recipes()
    parts = [HEAD]
    for title, names in groups.items():
        rows = [(_flag(n), _value(_default(n, demo)), _help(n)) for n in names]
        parts += [f"## {title}", _table(("flag", "default", "what it sets"), rows)]
    rows = [(_flag(n), _value(getattr(demo, n)), _help(n)) for n in experiment]
    parts += ["## The experiment", EXPERIMENT, _table(("flag", "default", "what it sets"), rows)]
    rows = [(_flag(n), *(_value(getattr(r, n)) for r in columns.values()), _help(n)) for n in method]
    parts += ["## The method", METHOD, _table(("flag", *columns, "what it sets"), rows)]
    rows = [
        (_flag(f"{m}_{f.name}"), _value(f.default), _help(f"{m}_{f.name}"))
        for m, cls in SETTINGS.items()
        for f in dataclasses.fields(cls)
    ]
    parts += ["## Settings of single methods", OWN, _table(("flag", "default", "what it sets"), rows)]
    parts += ["## What other methods change", _methods(), "## The presets", _presets()]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _check(grouped):
    known = {flag.name for flag in FLAGS.get_key_flags_for_module(trainers.train)}
    if missing := sorted(known - set(grouped)):
        raise ValueError(f"{missing} are in no group of docs/flags_page.py; name each in PROGRAM.")
    if twice := sorted({name for name in grouped if grouped.count(name) > 1}):
        raise ValueError(f"{twice} are in two groups of docs/flags_page.py; leave each in one.")


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
        for f in presets.flag_fields(type(others))
        if getattr(settings, f.name) != getattr(others, f.name)
    ]
    return ", ".join(_setting(name, getattr(settings, name)) for name in names)


def _setting(name, value):
    return f"`--{'' if value else 'no'}{name}`" if isinstance(value, bool) else f"`--{name}={value}`"


def _default(name, demo):
    return ",".join(demo.tasks) if name == "tasks" else FLAGS[name].default


def _flag(name):
    return f"`--{'[no]' if FLAGS[name].boolean else ''}{name}`"


def _value(value):
    if value in (None, "", []):
        return "none"
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
