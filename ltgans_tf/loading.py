"""Loads a model from a folder (`ltgans_tf.load`), and the stream that it learnt."""

import os

from ltgans_tf import exported
from ltgans_tf.data import specs, streams
from ltgans_tf.files import paths
from ltgans_tf.methods import own_code, recipe_model, registry
from ltgans_tf.training import checkpoints


def load(path, method=None):
    """Loads a model from a workdir (newest good checkpoint) or from an exported SavedModel.

    From a workdir it loads only the weights, whatever optimizers trained them; the recipe gives new optimizers.

    Args:
      path: a workdir of a run; a folder of `ltgans export --format=keras`; or a version folder of an export, its
        parent, or the `exports` folder of a run (which gives generator and encoder).
      method: 'module:Class' if the run's method is not part of this package, or 'module:function' if the run used
        `TwinGAN.from_builder`. Loading runs that code, so the caller has to name it (docs/security.md). None for a
        method of the package.

    Returns:
      a `LifelongModel`, or an `exported.ExportedModel`; both have `sample(count, seed, domain)` and,
      with an encoder, `student.encode(images)`.

    Raises:
      ValueError: there is nothing to load, or `method` is not that of the run.
    """
    path = paths.local(path)
    if os.path.isfile(os.path.join(path, checkpoints.CONFIG)):
        config = checkpoints.read_config(path)
        settings = config["model"]
        _check_is_named(path, settings["method"], method)
        try:
            model = _rebuilt(settings)
        except ValueError as error:
            raise ValueError(f"{path} cannot be rebuilt from its settings: {error}") from error
        checkpoints.restore_newest(path, model, weights_only=True)
        model.domain_names = streams.task_names([specs.parse(text) for text in config["stream"]["specs"]])
        return model
    return exported.load(path)


def _rebuilt(settings):
    """The compiled model that the settings of a run describe, with fresh weights."""
    method = settings["method"]
    found = None if method in registry.METHODS else own_code.find(method)
    if callable(found) and not isinstance(found, type):
        model = recipe_model.RecipeModel.from_builder(method)
        model.compile()
        return model
    return registry.method_class(method).from_settings(settings)


def _check_is_named(path, its, named):
    """Raises a ValueError for code that the caller has not named, because importing a module runs its code."""
    if its not in registry.METHODS and its != named:
        raise ValueError(
            f"{path} was trained with the method {its!r}, which is no part of this package; loading it runs that"
            f" code, so name it if you trust it: --method={its}, or lt.load(..., method={its!r})."
        )
    if named is not None and its != named:
        raise ValueError(
            f"{path} was trained with the method {its!r} and not with {named!r}; name that, or none."
        )


def load_stream(workdir, data_dir=None, skip_broken_images=False):
    """The `TaskStream` of a run, even if its data are partly or all gone.

    Args:
      workdir: folder of the run.
      data_dir, skip_broken_images: see `TaskStream`; a run does not store them.

    Raises:
      ValueError: there is no run.
    """
    settings = checkpoints.read_config(paths.local(workdir))["stream"]
    return streams.TaskStream(
        **settings,
        data_dir=data_dir,
        skip_broken_images=skip_broken_images,
        unchecked=len(settings["specs"]),
    )
