"""Draws images from the newest generator of a run or of an export.

  ltgans sample --workdir=runs/demo --count=10000 --out=samples
  ltgans sample --workdir=runs/demo --domain=digits --out=digits.png

--out names a folder (000000.png, 000001.png, ...), a file.npz (uint8 `images` and `seed`) or a
file.png (one grid). A folder is written batch by batch, so any count fits into memory.
"""

import os

from absl import flags

from ltgans_tf import trainers
from ltgans_tf.export import path_flags, program
from ltgans_tf.files import atomic, paths

_BATCH = 250
_ENDINGS = (".npz", ".png")


def main(argv):
    """Draws what the flags ask for, and says what was written where."""
    del argv
    given = flags.FLAGS
    print(sample(given.workdir, given.count, given.seed, given.out, given.domain, given.method))


def sample(workdir, count, seed, out, domain=None, method=None):
    """Writes `count` images to the folder, npz or png file `out`.

    Args:
      domain: name of a domain, or its number counted from 1; None for all of them.
      method: see `loading.load`.

    Returns:
      a sentence that says what was written where.

    Raises:
      ValueError: no model in `workdir`, a domain that it does not know, or an `out` that must not be written.
    """
    _check(workdir, count, out)
    trainers.import_tensorflow()
    from ltgans_tf import loading

    model = loading.load(workdir, method)
    batches = _batches(model, model.latents(count, seed, domain))
    kind = paths.ending(out, _ENDINGS, folder=True)
    if kind == ".npz":
        _write_npz(out, batches, seed)
    elif kind == ".png":
        _write_grid(out, batches)
    else:
        _write_folder(out, batches)
    shape = "x".join(str(size) for size in model.image_shape)
    told = f"seed {seed}" if domain is None else f"domain {domain}, seed {seed}"
    return f"Wrote {count} {'image' if count == 1 else 'images'} of {shape} ({told}) to {out}."


def _check(workdir, count, out):
    if not os.path.isdir(workdir):
        raise ValueError(f"there is no folder {workdir}; --workdir names a run or an export.")
    if count < 1:
        raise ValueError(f"--count is {count}; at least one image must be asked for.")
    if paths.ending(out, _ENDINGS, folder=True):
        if os.path.isdir(out):
            raise ValueError(f"--out={out} is a folder; its name must then not end in .npz or .png.")
    elif os.path.isfile(out):
        raise ValueError(f"--out={out} is a file; give a folder, or a name that ends in .npz or .png.")
    elif os.path.isdir(out) and any(name.lower().endswith(".png") for name in os.listdir(out)):
        raise ValueError(
            f"--out={out} holds PNG files already; give an empty folder, so that the"
            " images of two runs do not mix."
        )


def _batches(model, latents):
    """Yields the images of latents, uint8 [n, H, W, C], batch by batch."""
    from ltgans_tf.data import images

    for start in range(0, len(latents), _BATCH):
        yield images.to_uint8(model.generate(latents[start : start + _BATCH])).numpy()


def _write_folder(out, batches):
    from PIL import Image

    os.makedirs(out, exist_ok=True)
    number = 0
    for batch in batches:
        for image in batch:
            Image.fromarray(image.squeeze(-1) if image.shape[-1] == 1 else image).save(
                os.path.join(out, f"{number:06d}.png")
            )
            number += 1


def _write_npz(out, batches, seed):
    import numpy as np

    with atomic.writing(out) as file:
        np.savez(file, images=np.concatenate(list(batches)), seed=seed)


def _write_grid(out, batches):
    import numpy as np

    from ltgans_tf.figures import sheets

    made = np.concatenate(list(batches))
    sheets.save_png(out, sheets.grid(made, columns=max(8, int(np.ceil(len(made) ** 0.5)))))


if __name__ == "__main__":
    path_flags.define_path(
        "workdir", None, "A run, its exports folder, or a version folder in it.", required=True
    )
    flags.DEFINE_integer("count", 64, "Number of images.")
    program.define_seed(0, "The same seed gives the same images.")
    flags.DEFINE_string("domain", None, "Name of a domain, or its number from 1 on; all in turn by default.")
    path_flags.define_path("out", None, "Folder, .npz file or .png file to write.", required=True)
    trainers.define_method()
    trainers.run(main)
