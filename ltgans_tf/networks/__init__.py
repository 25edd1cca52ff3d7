"""The networks, the Student, their losses and their latents.

| name | what it is |
|---|---|
| `generator`, `critic`, `encoder`, `decoder` | build one network from an `Architecture`: a `keras.Model` |
| `Student` | the VAE: `encode` to a TFP distribution, `decode` |
| `losses` | WGAN-GP and the ELBO, one value per example |
| `LatentLaw` | how latents are drawn: the code of a domain, followed by noise |
| `code_book` | the domain codes: unit vectors, computed from the domains' numbers |
| `interpolate`, `traverse` | paths through a Student's codes |
"""

from ltgans_tf import _lazy

__getattr__, __dir__, __all__ = _lazy.face(
    __name__,
    {
        "LatentLaw": "sampling",
        "Student": "student",
        "code_book": "domain_codes",
        "critic": "networks",
        "decoder": "networks",
        "encoder": "networks",
        "generator": "networks",
        "interpolate": "code_paths",
        "losses": "losses",
        "traverse": "code_paths",
    },
)
