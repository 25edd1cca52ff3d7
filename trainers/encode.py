"""Encodes a folder of images with the Student of a run or of an export.

  python -m trainers.encode --workdir=runs/demo --images=photographs --out=codes.npz

Images of any size are prepared as those of the run were. The file gets float32 `mean` and
`stddev` [N, code_dim] of q(z|x), and `files` [N], their names within the folder, sorted.
"""

import os

from absl import flags

import trainers
from ltgans_tf.data import specs

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
      ValueError: no model, no Student, no images, or a broken image, which is named.
    """
    _check(workdir, out)
    files = _image_files(folder)
    trainers.import_tensorflow()
    from ltgans_tf import loading

    model = loading.load(workdir, method)
    image_shape, fit = _settings(workdir, model)
    if model.student is None:
        raise ValueError(f"the model in {workdir} has no Student and so no encoder; train with --student.")
    kept, mean, stddev = _encode(model.student, folder, files, image_shape, fit, skip_broken_images)
    _write(out, mean=mean, stddev=stddev, files=kept)
    skipped = len(files) - len(kept)
    return (
        f"Wrote codes of {len(kept)} {'image' if len(kept) == 1 else 'images'},"
        f" {mean.shape[1]} numbers each, to {out}"
        + (f"; skipped {skipped} that could not be read." if skipped else ".")
    )


def _check(workdir, out):
    if not os.path.isdir(workdir):
        raise ValueError(f"there is no folder {workdir}; --workdir names a run or an export.")
    if not out.endswith(".npz"):
        raise ValueError(f"--out is {out}; its name must end in .npz.")


def _image_files(folder):
    """Names of the images in a folder and the folders in it, relative to it, sorted."""
    if not os.path.isdir(folder):
        raise ValueError(f"there is no folder {folder}; --images names a folder of images.")
    files = sorted(os.path.relpath(path, folder) for path in specs.image_files(folder))
    if not files:
        raise ValueError(f"{folder} holds no images; put {', '.join(specs.IMAGE_SUFFIXES)} files into it.")
    return files


def _settings(workdir, model):
    """(image_shape, fit) that the run was trained with."""
    from ltgans_tf.training import checkpoints

    if os.path.isfile(os.path.join(workdir, checkpoints.CONFIG)):
        stream = checkpoints.read_config(workdir)["stream"]
        return tuple(stream["image_shape"]), stream["fit"]
    return model.image_shape, model.fit


def _encode(student, folder, files, image_shape, fit, skip_broken):
    """(names, mean, stddev) of the files that can be read, batch by batch."""
    import numpy as np

    kept, means, stddevs = [], [], []
    for start in range(0, len(files), _BATCH):
        batch = []
        for name in files[start : start + _BATCH]:
            image = _read(os.path.join(folder, name), image_shape, fit, skip_broken)
            if image is not None:
                batch.append(image)
                kept.append(name)
        if batch:
            posterior = student.encode(np.stack(batch))
            means.append(posterior.mean().numpy())
            stddevs.append(posterior.stddev().numpy())
    if not kept:
        raise ValueError(f"none of the {len(files)} images in {folder} could be read.")
    return kept, np.concatenate(means), np.concatenate(stddevs)


def _read(path, image_shape, fit, skip_broken):
    """One file as float32 of `image_shape`; None where it is broken and may be left out."""
    from ltgans_tf.data import images, sources

    try:
        return images.preprocess(sources.decode_file(path), image_shape, fit).numpy()
    except ValueError:
        if skip_broken:
            return None
        raise


def _write(out, **arrays):
    import numpy as np

    os.makedirs(os.path.dirname(out) or ".", exist_ok=True)
    staging = f"{out}.tmp"
    with open(staging, "wb") as f:
        np.savez(f, **arrays)
    os.replace(staging, out)


if __name__ == "__main__":
    flags.DEFINE_string(
        "workdir", None, "A run, its exports folder, or an encoder's version folder.", required=True
    )
    flags.DEFINE_string("images", None, "Folder of images.", required=True)
    flags.DEFINE_string("out", None, "The .npz file to write.", required=True)
    flags.DEFINE_bool("skip_broken_images", False, "Leave out images that cannot be read.")
    trainers.define_method()
    trainers.run(main)
