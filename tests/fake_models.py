"""A generator and an encoder in NumPy, with the signatures of an export, for tests of clients.

Images are 4 x 4 of one colour, latents and codes two numbers. An image's code is its mean colour,
so that every result can be told beforehand.
"""

import io

import numpy as np
from PIL import Image

from tests import rest_double, rest_rules

_IMAGES = ("DT_FLOAT", [-1, 4, 4, 3])
_STRINGS = ("DT_STRING", [-1])
DOMAINS = ("digits", "glyphs", "textures")
_CODES = {"mean": ("DT_FLOAT", [-1, 2]), "stddev": ("DT_FLOAT", [-1, 2])}


def latents_of(seed, truncation):
    """The latents of one seed, float32 [2]."""
    return (truncation * np.random.default_rng(seed).uniform(-1, 1, 2)).astype(np.float32)


def png(latents):
    """The PNG file of two latents: red and green from -1 to 1, blue 0."""
    colour = [*np.round(127.5 * np.clip(latents, -1, 1) + 127.5), 0]
    file = io.BytesIO()
    Image.fromarray(np.full([4, 4, 3], colour, np.uint8)).save(file, "PNG")
    return file.getvalue()


def code_of(data):
    """float32 [2]: mean red and green of a PNG file, from 0 to 1."""
    try:
        pixels = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), np.float32)
    except OSError as error:
        message = "Unknown image file format. One of JPEG, PNG, GIF, BMP required.\n\t [[{{node Decode}}]]"
        raise rest_rules.Refusal(400, message) from error
    return pixels.mean((0, 1), dtype=np.float32)[:2] / np.float32(255)


def _codes(image_bytes):
    mean = np.stack([code_of(data) for data in image_bytes])
    return {"mean": mean, "stddev": mean / np.float32(3)}


def _decoded(codes):
    return {"images_bytes": [png(2 * code - 1) for code in codes]}


def _sample(seed, truncation):
    latents = np.stack([latents_of(*pair) for pair in zip(seed, truncation)])
    return {"images_bytes": [png(row) for row in latents], "latents": latents}


def _sample_domain(seed, domain, truncation):
    made = _sample(seed, truncation)
    return {**made, "images_bytes": [png([0, number / 2 - 1]) for number in domain]}


def _domains(domain):
    return {
        "name_bytes": [DOMAINS[i - 1].encode() for i in domain],
        "learnt": np.full(len(domain), len(DOMAINS)),
    }


def _between(image_a_bytes, image_b_bytes, weight):
    a, b = _codes(image_a_bytes)["mean"], _codes(image_b_bytes)["mean"]
    return _decoded(a + weight[:, None] * (b - a))


def _score(image_bytes):
    mean = _codes(image_bytes)["mean"]
    return {"sse": mean.sum(1), "kl": mean[:, 0], "nlog": mean[:, 1]}


def generator():
    """Signatures of the generator."""
    latents = {"latents": ("DT_FLOAT", [-1, 2])}
    return {
        "__saved_model_init_op": rest_double.Signature({}, {"op": ("DT_INT64", [])}, None),
        "serving_default": rest_double.Signature(
            latents,
            {"images": _IMAGES},
            lambda latents: {"images": np.tile(latents[:, None, None, :1], [1, 4, 4, 3])},
        ),
        "generate_png": rest_double.Signature(
            latents,
            {"images_bytes": _STRINGS},
            lambda latents: {"images_bytes": [png(row) for row in latents]},
        ),
        "sample_png": rest_double.Signature(
            {"seed": ("DT_INT64", [-1]), "truncation": ("DT_FLOAT", [-1])},
            {"images_bytes": _STRINGS, **latents},
            _sample,
        ),
        "sample_domain_png": rest_double.Signature(
            {"seed": ("DT_INT64", [-1]), "domain": ("DT_INT64", [-1]), "truncation": ("DT_FLOAT", [-1])},
            {"images_bytes": _STRINGS, **latents},
            _sample_domain,
        ),
        "domains": rest_double.Signature(
            {"domain": ("DT_INT64", [-1])}, {"name_bytes": _STRINGS, "learnt": ("DT_INT64", [-1])}, _domains
        ),
    }


def encoder():
    """Signatures of the encoder, without `encode` and `decode`."""
    image = {"image_bytes": _STRINGS}
    return {
        "serving_default": rest_double.Signature(image, _CODES, _codes),
        "reconstruct": rest_double.Signature(
            image,
            {"images_bytes": _STRINGS},
            lambda image_bytes: _decoded(_codes(image_bytes)["mean"]),
        ),
        "interpolate": rest_double.Signature(
            {"image_a_bytes": _STRINGS, "image_b_bytes": _STRINGS, "weight": ("DT_FLOAT", [-1])},
            {"images_bytes": _STRINGS},
            _between,
        ),
        "score": rest_double.Signature(
            image, {name: ("DT_FLOAT", [-1]) for name in ("sse", "kl", "nlog")}, _score
        ),
    }


def models():
    """Both models in two versions; version 2 of the encoder has failed to load."""
    return {
        "generator": rest_double.Model({1: generator(), 2: generator()}, labels={"stable": 1}),
        "encoder": rest_double.Model({1: encoder(), 2: encoder()}, states={2: "END"}),
    }


def write_pngs(folder):
    """Writes three PNG files; returns their paths and the codes that the encoder has for them."""
    paths = [folder / f"{i}.png" for i in range(3)]
    for path, row in zip(paths, ([-1, 1], [0.2, 0.4], [0.9, -0.3])):
        path.write_bytes(png(row))
    return paths, np.stack([code_of(path.read_bytes()) for path in paths])
