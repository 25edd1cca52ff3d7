"""Flags of the settings of presets, recipes and methods, and what they say."""

import dataclasses

from absl import flags

from ltgans_tf.settings import architectures, presets, seeds
from ltgans_tf.settings.method_settings import SETTINGS
from ltgans_tf.trainers import task_flag

flags.disclaim_key_flags()  # --help lists them with the program that defines them
FLAGS = flags.FLAGS
_DEFINE = {
    bool: flags.DEFINE_bool,
    int: flags.DEFINE_integer,
    float: flags.DEFINE_float,
    str: flags.DEFINE_string,
}


def define():
    """Defines a flag for each setting; that of a method alone has the method's name before it."""
    classes = [("", presets.Preset), ("", presets.Recipe)]
    classes += [(f"{method}_", cls) for method, cls in SETTINGS.items()]
    for prefix, field in ((prefix, field) for prefix, cls in classes for field in presets.flag_fields(cls)):
        if field.name == "tasks":
            task_flag.define(field.name, field.metadata["help"])
        else:
            bounds = {"lower_bound": 0, "upper_bound": seeds.LARGEST} if field.name == "seed" else {}
            _DEFINE[type(field.default)](prefix + field.name, None, field.metadata["help"], **bounds)
    flags.DEFINE_integer(
        "image_size",
        None,
        "Height and width of the images, 16 to 256 pixels: 48 stands for --architecture=small48.",
    )


def given(cls, prefix=""):
    """Those fields of the settings class `cls` that the command line names: {name: value}."""
    names = [field.name for field in presets.flag_fields(cls)]
    return {name: FLAGS[prefix + name].value for name in names if FLAGS[prefix + name].value is not None}


def of_preset():
    """What the command line says of the preset: {name: value}; --image_size as the networks that it stands for."""
    named = given(presets.Preset)
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
        if method != FLAGS.method and (named := given(cls, f"{method}_")):
            raise ValueError(
                f"--{method}_{next(iter(named))} is a setting of {method} and --method is {FLAGS.method};"
                f" leave it out or choose --method={method}."
            )
    if FLAGS.method not in SETTINGS:
        return None
    prefix = f"{FLAGS.method}_"
    try:
        return SETTINGS[FLAGS.method](**given(SETTINGS[FLAGS.method], prefix))
    except ValueError as error:  # which names the field; its flag has the method before that
        raise ValueError(f"--{prefix}{error}") from error


def overruled(recipe):
    """Flags of the recipe that were given and do not hold, because the method fixes them; as text."""
    held = dataclasses.asdict(recipe)
    named = given(presets.Recipe).items()
    return ", ".join(f"{name} ({held[name]})" for name, value in named if value != held[name])


def values(preset, recipe, settings):
    """All settings of a run by the names of their flags, method and preset first: dict."""
    own = dataclasses.asdict(settings) if settings else {}
    return {
        "preset": FLAGS.preset,
        "method": FLAGS.method,
        **presets.flag_settings(preset),
        **presets.flag_settings(recipe),
        **{f"{FLAGS.method}_{name}": value for name, value in own.items()},
    }
