"""The networks, the Student, their losses, and the latents that they are given.

| name | what it is |
|---|---|
| `generator`, `critic`, `encoder`, `decoder` | build one network from an `Architecture`: a `keras.Model` |
| `Student` | the VAE: `encode` to a TFP distribution, `decode` |
| `losses` | WGAN-GP and the ELBO, one value per example |
| `draw_latents`, `seeded_latents` | latents of a step, and those of a seed |
| `interpolate`, `traverse` | paths through a Student's codes |
"""

from ltgans_tf import _lazy

__getattr__, __dir__, __all__ = _lazy.face(
    __name__,
    {
        "Student": "student",
        "critic": "networks",
        "decoder": "networks",
        "draw_latents": "sampling",
        "encoder": "networks",
        "generator": "networks",
        "interpolate": "walks",
        "losses": "losses",
        "seeded_latents": "sampling",
        "traverse": "walks",
    },
)
