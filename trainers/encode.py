"""Encodes a folder of images with the Student of a run or of an export.

  ltgans encode --workdir=runs/demo --images=photographs --out=runs/demo/codes.npz

Images of any size are prepared like those of the run. The file gets float32 `mean` and
`stddev` [N, code_dim] of q(z|x), and `files` [N], the names within the folder, sorted.
"""

import os

from absl import flags

from ltgans_tf import trainers
from ltgans_tf.data import listing
from ltgans_tf.export import path_flags
from ltgans_tf.files import atomic, paths

_BATCH = 250


def main(argv):
    """Encodes what the flags ask for, and says what was written where."""
    del argv
    given = flags.FLAGS
    print(encode(given.workdir, given.images, given.out, given.skip_broken_images, given.method))


def encode(workdir, folder, out, skip_broken_images=False, method=None):
    """Writes codes of the images in `folder` to the file `out`; for `method` see `loading.load`.

    Returns:
      a sentence that says what was written where.

    Raises:
      ValueError: no model, no Student, no images, or a broken image; the message names it.
    """
    _check(workdir, out)
    if not os.path.isdir(folder):
        raise ValueError(f"there is no folder {folder}; --images names a folder of images.")
    found = listing.require(folder, splits=False)
    trainers.import_tensorflow()
    import numpy as np

    from ltgans_tf import loading

    model = loading.load(workdir, method)
    how = image_settings(workdir, model)
    if model.student is None:
        raise ValueError(f"the model in {workdir} has no Student and so no encoder; train with --student.")
    kept, mean, stddev = _encode(model.student, found, how, skip_broken_images)
    with atomic.writing(out) as file:
        np.savez(file, mean=mean, stddev=stddev, files=kept)
    skipped = len(found.files) - len(kept)
    told = found.told()
    return (
        f"Wrote codes of {len(kept)} {'image' if len(kept) == 1 else 'images'},"
        f" {mean.shape[1]} numbers each, to {out}"
        + (f"; skipped {skipped} that could not be read." if skipped else ".")
        + (f"\n{told[0].upper()}{told[1:]}" if told else "")
    )


def _check(workdir, out):
    if not os.path.isdir(workdir):
        raise ValueError(f"there is no folder {workdir}; --workdir names a run or an export.")
    paths.ending(out, (".npz",))


def image_settings(workdir, model):
    """Returns the (image_shape, fit, upright) that the run was trained with."""
    from ltgans_tf.training import checkpoints

    if os.path.isfile(os.path.join(workdir, checkpoints.CONFIG)):
        stream = checkpoints.read_config(workdir)["stream"]
        return tuple(stream["image_shape"]), stream["fit"], stream["upright"]
    return model.image_shape, model.fit, model.upright


def _encode(student, found, how, skip_broken):
    """Encodes the files that can be read, batch by batch; returns (names, mean, stddev)."""
    import numpy as np

    from ltgans_tf.data import images, sources

    image_shape, fit, upright = how
    kept, means, stddevs, broken = [], [], [], []
    for start in range(0, len(found.files), _BATCH):
        batch = []
        for name in found.files[start : start + _BATCH]:
            path = os.path.join(found.root, name)
            try:
                image = sources.decode(path, upright)
            except ValueError as error:
                broken.append((path, str(error)))
                continue
            batch.append(images.preprocess(image, image_shape, fit).numpy())
            kept.append(name)
        if batch and (skip_broken or not broken):
            posterior = student.encode(np.stack(batch))
            means.append(posterior.mean().numpy())
            stddevs.append(posterior.stddev().numpy())
    if broken and not skip_broken:
        raise ValueError(sources.broken(broken))
    if not kept:
        raise ValueError(f"none of the {len(found.files)} images in {found.root} could be read.")
    return kept, np.concatenate(means), np.concatenate(stddevs)


if __name__ == "__main__":
    path_flags.define_path(
        "workdir", None, "A run, its exports folder, or an encoder's version folder.", required=True
    )
    path_flags.define_path("images", None, "Folder of images.", required=True)
    path_flags.define_path("out", None, "The .npz file to write.", required=True)
    flags.DEFINE_bool("skip_broken_images", False, "Leave out images that cannot be read.")
    trainers.define_method()
    trainers.run(main)
