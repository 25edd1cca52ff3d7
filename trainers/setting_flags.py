"""Flags of the settings of presets, recipes and methods, and what they say."""

import dataclasses

from absl import flags

from ltgans_tf.export import class_flags, push_settings
from ltgans_tf.settings import architectures, checked, presets
from ltgans_tf.settings.method_table import SETTINGS
from ltgans_tf.trainers import task_flag

flags.disclaim_key_flags()  # --help lists them with the program that defines them
FLAGS = flags.FLAGS


def define():
    """Defines a flag for each setting; that of a method alone has the method's name before it."""
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
    """What the command line says of the preset: {name: value}; --image_size as the networks that it stands for."""
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
    """What the chosen method has beyond a recipe, or None; ValueError for a flag of another method."""
    for method, cls in SETTINGS.items():
        if method != FLAGS.method and (named := class_flags.given(cls, f"{method}_")):
            raise ValueError(
                f"--{method}_{next(iter(named))} is a setting of {method} and --method is {FLAGS.method};"
                f" leave it out or choose --method={method}."
            )
    cls = SETTINGS.get(FLAGS.method)
    return cls and class_flags.made(cls, f"{FLAGS.method}_")


def of_push():
    """The `PushSettings` of exports; ValueError for a flag with a wrong value."""
    return class_flags.made(push_settings.PushSettings, "push_")


def overruled(recipe):
    """Flags of the recipe that were given and do not hold, because the method fixes them; as text."""
    held = dataclasses.asdict(recipe)
    named = class_flags.given(presets.Recipe).items()
    return ", ".join(f"{name} ({held[name]})" for name, value in named if value != held[name])


def values(preset, recipe, settings):
    """All settings of a run by the names of their flags, method and preset first: dict."""
    own = dataclasses.asdict(settings) if settings else {}
    return {
        "preset": FLAGS.preset,
        "method": FLAGS.method,
        **checked.flag_values(preset),
        **checked.flag_values(recipe),
        **{f"{FLAGS.method}_{name}": value for name, value in own.items()},
    }
