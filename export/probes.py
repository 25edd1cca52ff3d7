"""Makes requests to every signature, and the answers of the model in memory.

The requests become the warm-up of a version, and test the version before it is pushed. The answers come from the
networks themselves, not from the saved graphs.
"""

import numpy as np
import tensorflow as tf

from ltgans_tf.data import images

_SIZES = (1, 4)  # rows; each signature gets a request of each size
_SEED = 20_210_919


def of_generator(model, sizes=_SIZES):
    """Returns (requests, answers) for `signatures.save_generator`.

    Args:
      model: a `LifelongModel`.
      sizes: numbers of rows; each signature gets a request of each.

    Returns:
      requests: list of (signature, {input: array}).
      answers: for each request {output: array}, with the pixels of PNG files (uint8 [B, H, W, C]), and names as
        bytes.
    """
    requests, answers = [], []
    law, learnt = model.latent_law, len(model.domains)
    for rows in sizes:
        latents = model.latents(rows, _SEED).numpy()
        seeds = np.arange(_SEED, _SEED + rows, dtype=np.int64)
        truncation = np.linspace(1.0, 0.5, rows, dtype=np.float32)
        drawn = law.seeded(seeds, truncation, seeds % learnt).numpy()
        made = model.generate(tf.constant(latents)).numpy()
        requests += [
            ("serving_default", {"latents": latents}),
            ("generate_png", {"latents": latents}),
            ("sample_png", {"seed": seeds, "truncation": truncation}),
        ]
        answers += [
            {"images": made},
            {"images_bytes": _levels(made)},
            {"images_bytes": _levels(model.generate(tf.constant(drawn))), "latents": drawn},
        ]
        if law.domain_dim:
            domains = np.arange(rows) % learnt
            drawn = law.seeded(seeds, truncation, domains).numpy()
            inputs = {"seed": seeds, "domain": domains + 1, "truncation": truncation}
            requests += [("sample_domain_png", inputs), ("domains", {"domain": domains + 1})]
            names = np.array([model.domains[i].encode() for i in domains])
            answers += [
                {"images_bytes": _levels(model.generate(tf.constant(drawn))), "latents": drawn},
                {"name_bytes": names, "learnt": np.full(rows, learnt)},
            ]
    return requests, answers


def of_encoder(model, sizes=_SIZES):
    """Returns (requests, answers) for `signatures.save_encoder`, as `of_generator` does; the model draws the images."""
    student = model.student
    requests, answers = [], []
    for rows in sizes:
        drawn = images.to_uint8(model.sample(2 * rows, _SEED))
        files = np.array([tf.io.encode_png(picture).numpy() for picture in drawn], object)
        pictures = images.normalize(drawn)
        posterior = student.encode(pictures)
        mean, stddev = posterior.mean(), posterior.stddev()
        weight = np.linspace(0.0, 1.0, rows + 2, dtype=np.float32)[1:-1]
        between = (1 - weight[:, None]) * mean[:rows] + weight[:, None] * mean[rows:]
        sse, kl = student.elbo_terms(pictures[:rows])
        codes = {"mean": mean[:rows].numpy(), "stddev": stddev[:rows].numpy()}
        rebuilt = student.decode(mean[:rows])
        requests += [
            ("serving_default", {"image_bytes": files[:rows]}),
            ("encode", {"images": pictures[:rows].numpy()}),
            ("decode", {"codes": codes["mean"]}),
            ("reconstruct", {"image_bytes": files[:rows]}),
            (
                "interpolate",
                {"image_a_bytes": files[:rows], "image_b_bytes": files[rows:], "weight": weight},
            ),
            ("score", {"image_bytes": files[:rows]}),
        ]
        answers += [
            codes,
            codes,
            {"images": rebuilt.numpy()},
            {"images_bytes": _levels(rebuilt)},
            {"images_bytes": _levels(student.decode(between))},
            {"sse": sse.numpy(), "kl": kl.numpy(), "nlog": (sse + kl).numpy()},
        ]
    return requests, answers


def _levels(pictures):
    return images.to_uint8(pictures).numpy()
