"""Asks a TensorFlow Serving server that serves an export.

  ltgans client --sample=64 --seed=0 --truncation=1.0 --out=grid.png
  ltgans client --sample=64 --domain=digits --out=digits.png
  ltgans client --encode=cat.png --out=codes.json
  ltgans client --reconstruct=cat.png --out=reconstruction.png
  ltgans client --score=cat.png
  ltgans client --status --url=http://localhost:8501

Give exactly one of these actions. --encode, --reconstruct and --score may be repeated. REST needs
only the standard library, NumPy and Pillow; --grpc=localhost:8500 uses gRPC instead.
"""

import io

from absl import flags

from ltgans_tf.export import access, path_flags, program
from ltgans_tf.export.client import Client, NotServed
from ltgans_tf.export.client.serving import ENCODER, GENERATOR
from ltgans_tf.files import atomic, paths

# Endings of the files that each action writes; an action without any prints.
_ENDINGS = {
    "sample": (".png",),
    "encode": (".json", ".npz"),
    "reconstruct": (".png",),
    "score": (),
    "status": (),
}

_MOST_SIDE = 4096  # pixels of a drawn image


def main(_):
    """Does the one action of the flags, and prints its result."""
    given = flags.FLAGS
    action = _action(given)
    client = Client(
        given.url,
        grpc=given.grpc,
        timeout=given.timeout,
        retries=given.retries,
        version=given.version,
        label=given.label,
        **access.from_flags(),
    )
    if action == "sample":
        print(sample(client, given.sample, given.seed, given.truncation, given.out, given.domain))
    elif action == "encode":
        print(encode(client, given.encode, given.out))
    elif action == "reconstruct":
        print(reconstruct(client, given.reconstruct, given.out))
    elif action == "score":
        print(score(client, given.score))
    else:
        print(status(client))


def sample(client, count, seed, truncation, out, domain=None):
    """Writes a grid of samples to the PNG file `out`, of one domain (name or number) or of all; returns a sentence."""
    _write_grid(out, client.sample(count, seed, truncation, domain))
    told = "" if domain is None else f"domain {domain}, "
    return f"Wrote {_images(count)} ({told}seed {seed}, truncation {truncation:g}) to {out}."


def encode(client, files, out):
    """Writes `files`, `mean` and `stddev` to a JSON or npz file; returns a sentence."""
    import numpy as np

    codes = client.encode_files(files)
    if paths.ending(out, _ENDINGS["encode"]) == ".npz":
        with atomic.writing(out) as file:
            np.savez(file, files=files, **codes)
    else:
        atomic.write_json(out, {"files": files, **{name: codes[name].tolist() for name in codes}})
    return f"Wrote codes of {_images(len(files))}, {codes['mean'].shape[1]} numbers each, to {out}."


def reconstruct(client, files, out):
    """Writes a grid of the reconstructions of images to the PNG file `out`; returns a sentence."""
    _write_grid(out, client.reconstruct(files))
    return f"Wrote the reconstructions of {_images(len(files))} to {out}."


def score(client, files):
    """Returns a line for each file: its name and its scores."""
    scores = client.score(files)
    return "\n".join(
        f"{path}: " + ", ".join(f"{name} {values[i]:.6g}" for name, values in scores.items())
        for i, path in enumerate(files)
    )


def status(client):
    """Returns a line for each version of both models.

    Raises:
      ValueError: the server has neither.
    """
    lines, missing = [], []
    for model in (GENERATOR, ENCODER):
        try:
            for entry in client.status(model):
                said = f" ({entry['error']})" if entry["error"] else ""
                lines.append(f"{model} {entry['version']}: {entry['state']}{said}")
        except NotServed as error:
            lines.append(f"{model}: not served")
            missing.append(error)
    if len(missing) == 2:
        raise missing[0]
    return "\n".join(lines)


def _action(given):
    """Returns the action that the flags name, after all checks of the flags that need no server."""
    values = {name: given[name].value for name in _ENDINGS}
    chosen = [name for name, v in values.items() if v is not None and v is not False and v != []]
    if len(chosen) != 1:
        found = " and ".join(f"--{name}" for name in chosen) or "none"
        raise ValueError(
            f"{found} of the actions is given; give exactly one of"
            f" {', '.join(f'--{name}' for name in _ENDINGS)}."
        )
    (action,) = chosen
    if given.domain is not None and action != "sample":
        raise ValueError(f"--domain is of no use with --{action}; leave it out, or give it with --sample.")
    endings, out = _ENDINGS[action], given.out
    if not endings and out is not None:
        raise ValueError(f"--{action} prints and writes no file; leave --out={out} away.")
    if endings and out is None:
        raise ValueError(f"--out is missing; with --{action} it must end in {' or '.join(endings)}.")
    if endings:
        paths.ending(out, endings)
    return action


def _images(count):
    return f"{count} {'image' if count == 1 else 'images'}"


def _write_grid(out, pngs):
    """Writes PNG files (bytes) of one size as one grid."""
    import numpy as np
    from PIL import Image

    from ltgans_tf.figures import sheets

    pixels = []
    for data in pngs:
        try:
            picture = Image.open(io.BytesIO(data), formats=["PNG"])
            if max(picture.size) > _MOST_SIDE or picture.mode not in ("L", "RGB"):
                raise OSError(f"a picture of {picture.size}, {picture.mode}")
            image = np.asarray(picture)
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            raise OSError(
                f"the server sent {data[:20]!r}... for a PNG file ({error}); see its log."
            ) from error
        pixels.append(image[..., None] if image.ndim == 2 else image)
    if len({image.shape for image in pixels}) > 1:
        raise OSError("the server sent images of several sizes; was another version loaded just now?")
    columns = min(len(pixels), max(8, int(np.ceil(len(pixels) ** 0.5))))
    sheets.save_png(out, sheets.grid(np.stack(pixels), columns))


if __name__ == "__main__":
    flags.DEFINE_string("url", "http://localhost:8501", "Address of the server's REST port.")
    flags.DEFINE_string("grpc", None, "Address of its gRPC port, localhost:8500, to use that instead.")
    flags.DEFINE_float("timeout", 30.0, "Seconds to wait for an answer.", lower_bound=0.001)
    flags.DEFINE_integer("retries", 3, "Further tries while the server is away or busy.", lower_bound=0)
    access.define_flags()
    flags.DEFINE_integer("version", None, "Version to ask; the newest by default.", lower_bound=0)
    flags.DEFINE_string("label", None, "Label of the version to ask, stable say.")
    flags.DEFINE_integer("sample", None, "Draw that many images into a grid.")
    program.define_seed(0, "The same seed gives the same images.")
    flags.DEFINE_float("truncation", 1.0, "Below 1 for likelier images with less variety.")
    flags.DEFINE_string("domain", None, "Domain to sample, by name or by number from 1 on; all by default.")
    path_flags.define_multi_path("encode", "Image file to encode.")
    path_flags.define_multi_path("reconstruct", "Image file to encode and decode.")
    path_flags.define_multi_path("score", "Image file to score.")
    flags.DEFINE_bool("status", False, "Show the versions that the server has.")
    path_flags.define_path("out", None, "The .png, .json or .npz file to write.")
    program.run(main)
