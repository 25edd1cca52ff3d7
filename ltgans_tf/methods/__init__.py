"""The methods: Lifelong Twin GANs and the methods they are compared with, all with one contract.

| name | what it is |
|---|---|
| `LifelongModel` | the contract: `train_step`, `generate`, `get_settings`, `latent_law`; derive your own method from it |
| `TwinGAN` | Lifelong Twin GANs |
| `JointTwins`, `Replay`, `Finetune`, `Joint`, `LGM`, `CURL` | the other methods |
| `METHODS`, `method_class` | the table of all methods, and the class of one method |
| `Roles`, `roles_for_task` | who teaches and who learns in a task (LAKD) |
"""

from ltgans_tf import _lazy

__getattr__, __dir__, __all__ = _lazy.face(
    __name__,
    {
        "CURL": "curl",
        "Finetune": "replay",
        "Joint": "joint",
        "JointTwins": "joint_twins",
        "LGM": "lgm",
        "LifelongModel": "lifelong",
        "METHODS": "registry",
        "Replay": "replay",
        "Roles": "lakd",
        "TwinGAN": "twin_gan",
        "method_class": "registry",
        "roles_for_task": "lakd",
    },
)
