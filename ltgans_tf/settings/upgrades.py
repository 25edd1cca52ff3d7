"""Reads settings of other versions of this package: fills missing fields with defaults, and refuses newer formats."""

import dataclasses

from ltgans_tf.data import specs
from ltgans_tf.files import jsonfiles
from ltgans_tf.settings import architectures, presets
from ltgans_tf.settings.method_table import METHODS, SETTINGS

FORMAT_VERSION = 2  # of config.json and of checkpoints; version 1 has only one noise stream

# The message for a run or an export whose latents lie on a circle with a sector for each domain.
SECTORS = (
    "has latents on a circle with a sector for each domain, which this ltgans_tf does not support; train it again in"
    " another workdir, or use the ltgans_tf that wrote it."
)

# The behaviour of runs whose stream lacks these settings.
_STREAM = {"upright": False, "split_by": "path", "tuning": False, "horizontal_flips": False}

# The sections of a config's 'model' that are the fields of a class.
_SECTIONS = {"recipe": presets.Recipe, "architecture": architectures.Architecture, **SETTINGS}


def complete(config, path):
    """Returns the content of a config.json with all current fields.

    Args:
      config: the content of the file at `path`, a dict.
      path: for the error message.

    Returns:
      dict. A field of a class of settings that the file lacks gets its default, which is what the run did.

    Raises:
      ValueError: the config has a newer format version, or latents on a circle instead of domain codes.
    """
    jsonfiles.check_version(config.get("format_version"), FORMAT_VERSION, path)
    config = _with_tidy_specs(config)
    if isinstance(config.get("stream"), dict):
        config = {**config, "stream": {**_STREAM, **config["stream"]}}
    model = config.get("model")
    if not isinstance(model, dict):  # damaged; `workdirs` finds that by comparing settings
        return config
    recipe = model.get("recipe")
    if isinstance(recipe, dict) and recipe.get("latent_law") == "circle":
        its = METHODS.get(model.get("method"))
        if its is None or its.critic:  # the recipe of a VAE has this law, but does not use it
            raise ValueError(f"{path} {SECTORS}")
        model = {**model, "recipe": {**recipe, "latent_law": "normal", "distillation": 0.0}}
    sections = {
        name: _defaults(cls) | model[name]
        for name, cls in _SECTIONS.items()
        if isinstance(model.get(name), dict)
    }
    return {**config, "model": {**model, **sections}} if sections else config


def _with_tidy_specs(config):
    """Returns the config with the paths of task specs in their current form: 'folder:cats' for 'folder:cats/'."""
    stream = config.get("stream")
    if not isinstance(stream, dict) or not isinstance(stream.get("specs"), list):
        return config
    tidy = [specs.tidied(text) for text in stream["specs"]]
    return {**config, "stream": {**stream, "specs": tidy}}


def _defaults(cls):
    fields = dataclasses.fields(cls)
    return {field.name: field.default for field in fields if field.default is not dataclasses.MISSING}
