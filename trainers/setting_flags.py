"""Defines the flags for settings of presets, recipes and methods, and reads them."""

import dataclasses

from absl import flags

from ltgans_tf.export import class_flags, push_settings
from ltgans_tf.settings import architectures, checked, presets
from ltgans_tf.settings.method_table import SETTINGS
from ltgans_tf.trainers import task_flag

flags.disclaim_key_flags()  # --help lists them with the program that defines them
FLAGS = flags.FLAGS


def define():
    """Defines a flag for each setting; the flag of a single method's setting begins with the method's name."""
    task_flag.define("tasks", presets.Preset.__dataclass_fields__["tasks"].metadata["help"])
    classes = {presets.Preset: "", presets.Recipe: ""} | {cls: f"{name}_" for name, cls in SETTINGS.items()}
    for cls, prefix in classes.items():
        class_flags.define(cls, prefix, with_defaults=False)
    class_flags.define(push_settings.PushSettings, "push_")
    flags.DEFINE_integer(
        "image_size",
        None,
        "Height and width of the images, 16 to 256 pixels: 48 stands for --architecture=small48.",
    )


def of_preset():
    """Returns the preset's settings from the command line, {name: value}; --image_size becomes an architecture."""
    named = class_flags.given(presets.Preset)
    if FLAGS.image_size is not None:
        architecture = architectures.small(FLAGS.image_size).name
        if named.setdefault("architecture", architecture) != architecture:
            raise ValueError(
                f"--image_size={FLAGS.image_size} stands for --architecture={architecture}, and --architecture is"
                f" {named['architecture']}; leave one of them out."
            )
    return named


def of_method():
    """Returns the settings of the chosen method beyond its recipe, or None; ValueError for a flag of another method."""
    for method, cls in SETTINGS.items():
        if method != FLAGS.method and (named := class_flags.given(cls, f"{method}_")):
            raise ValueError(
                f"--{method}_{next(iter(named))} is a setting of {method} and --method is {FLAGS.method};"
                f" leave it out or choose --method={method}."
            )
    cls = SETTINGS.get(FLAGS.method)
    return cls and class_flags.made(cls, f"{FLAGS.method}_")


def of_push():
    """Returns the `PushSettings` of exports; ValueError for a flag with a wrong value."""
    return class_flags.made(push_settings.PushSettings, "push_")


def overruled(recipe):
    """Returns the given recipe flags that the method overrides, each with the value that holds, as text."""
    held = dataclasses.asdict(recipe)
    named = class_flags.given(presets.Recipe).items()
    return ", ".join(f"{name} ({held[name]})" for name, value in named if value != held[name])


def values(preset, recipe, settings):
    """Returns all settings of a run by flag name, preset and method first: dict."""
    own = dataclasses.asdict(settings) if settings else {}
    return {
        "preset": FLAGS.preset,
        "method": FLAGS.method,
        **checked.flag_values(preset),
        **checked.flag_values(recipe),
        **{f"{FLAGS.method}_{name}": value for name, value in own.items()},
    }
