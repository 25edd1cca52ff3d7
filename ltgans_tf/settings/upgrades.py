"""What older and newer versions of this package wrote: what came later is at its default, newer is refused."""

import dataclasses

from ltgans_tf.data import specs
from ltgans_tf.files import jsonfiles
from ltgans_tf.settings import architectures, presets
from ltgans_tf.settings.method_table import METHODS, SETTINGS

FORMAT_VERSION = 2  # of config.json and of checkpoints; 1 knew of one stream of noise alone

# What is said of a run or an export whose latents lie on a circle with a sector for each domain.
SECTORS = (
    "has its domains in sectors of a circle of latents, a form that this ltgans_tf no longer has; train it anew in"
    " another workdir, or read it with the ltgans_tf that wrote it."
)

# What runs did before a stream had these settings.
_STREAM = {"upright": False, "split_by": "path", "tuning": False, "horizontal_flips": False}

# The sections of a config's 'model' that are the fields of a class.
_SECTIONS = {"recipe": presets.Recipe, "architecture": architectures.Architecture, **SETTINGS}


def complete(config, path):
    """The content of a config.json with all fields of today.

    Args:
      config: what the file at `path` has, a dict.
      path: for the message.

    Returns:
      dict. A field that a class of settings got later has its default there: that is what runs did before.

    Raises:
      ValueError: it is of a newer format version, or of the form before domain codes.
    """
    jsonfiles.check_version(config.get("format_version"), FORMAT_VERSION, path)
    config = _with_tidy_specs(config)
    if isinstance(config.get("stream"), dict):
        config = {**config, "stream": {**_STREAM, **config["stream"]}}
    model = config.get("model")
    if not isinstance(model, dict):  # damaged; the settings of the run tell
        return config
    recipe = model.get("recipe")
    if isinstance(recipe, dict) and recipe.get("latent_law") == "circle":
        its = METHODS.get(model.get("method"))
        if its is None or its.critic:  # a VAE only noted this law, and had no such latents
            raise ValueError(f"{path} {SECTORS}")
        model = {**model, "recipe": {**recipe, "latent_law": "normal", "distillation": 0.0}}
    sections = {
        name: _defaults(cls) | model[name]
        for name, cls in _SECTIONS.items()
        if isinstance(model.get(name), dict)
    }
    return {**config, "model": {**model, **sections}} if sections else config


def _with_tidy_specs(config):
    """The config with paths in its task specs as they are written today: 'folder:cats' for 'folder:cats/'."""
    stream = config.get("stream")
    if not isinstance(stream, dict) or not isinstance(stream.get("specs"), list):
        return config
    tidy = [specs.tidied(text) for text in stream["specs"]]
    return {**config, "stream": {**stream, "specs": tidy}}


def _defaults(cls):
    fields = dataclasses.fields(cls)
    return {field.name: field.default for field in fields if field.default is not dataclasses.MISSING}
