"""From a folder back to a model: `ltgans_tf.load`."""

import os

from ltgans_tf import checkpoints, exported, twin_gan


def load(path):
    """Loads a model from a workdir (newest good checkpoint) or from an exported SavedModel.

    Args:
      path: a workdir of a run; or a version folder of an export, its parent, or the `exports`
        folder of a run (then with its generator and its encoder).

    Returns:
      a `LifelongModel`, or an `exported.ExportedModel`; both have `sample(count, seed)` and,
      with an encoder, `student.encode(images)`.

    Raises:
      ValueError: nothing that could be loaded is there.
    """
    if os.path.isfile(os.path.join(path, checkpoints.CONFIG)):
        settings = checkpoints.read_config(path)["model"]
        if settings["method"] != "ltgan":
            raise ValueError(
                f"{path} is a run of the method {settings['method']!r}, which cannot be rebuilt from its"
                " settings here; build that model yourself and call its fit_stream on this workdir."
            )
        model = twin_gan.TwinGAN.from_settings(settings)
        checkpoints.restore_newest(path, model)
        return model
    return exported.load(path)
