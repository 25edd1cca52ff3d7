"""Defines flags for the fields of a class of settings (see `settings.checked`), and reads the settings from them."""

from absl import flags

from ltgans_tf.settings import checked

flags.disclaim_key_flags()  # --help lists them with the program that defines them
FLAGS = flags.FLAGS
_DEFINE = {
    bool: flags.DEFINE_bool,
    int: flags.DEFINE_integer,
    float: flags.DEFINE_float,
    str: flags.DEFINE_string,
}


def define(cls, prefix="", with_defaults=True):
    """Defines a flag for each field of `cls` that is marked as a flag and has a bool, int, float or str default.

    Args:
      cls: subclass of `checked.Checked`.
      prefix: beginning of the flag names.
      with_defaults: whether the flags have the defaults of the fields; otherwise their default is None.
    """
    for field in checked.flag_fields(cls):
        if define_flag := _DEFINE.get(type(field.default)):
            default = field.default if with_defaults else None
            define_flag(prefix + field.name, default, field.metadata["help"])


def given(cls, prefix=""):
    """Returns {field name: value} for the flags of `cls` that have a value."""
    found = {field.name: FLAGS[prefix + field.name].value for field in checked.flag_fields(cls)}
    return {name: value for name, value in found.items() if value is not None}


def made(cls, prefix=""):
    """Returns the settings that the flags give, an instance of `cls`; a ValueError names the wrong flag."""
    try:
        return cls(**given(cls, prefix))
    except ValueError as error:  # its message begins with the name of the field
        raise ValueError(f"--{prefix}{error}") from error
