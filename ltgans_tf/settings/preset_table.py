"""The experiments by name: what each changes in the defaults of `presets.Preset`.

Names that end in `_cpu` have a small size, most of them the paper's experiments: one run takes about five
minutes on one CPU core, with `fifty_tasks_cpu` longer. With `--data_dir` they read smaller sets of other images
in place of those that the paper names (`data_dir_tasks`), so that their numbers cannot be compared with the
paper's.
"""

from ltgans_tf.data import fuzzy


def _fuzzy(digits, coloured_digits, fashion, objects):
    """The tasks MNIST-c, SVHN-c and Fashion-c of Table 3 from four sets.

    According to the paper's text one class of each set is exchanged. MNIST and SVHN exchange it with
    each other. Fashion-MNIST, the third row, exchanges it with CIFAR10, which is not a task, as in the
    authors' code.
    """
    pair = fuzzy.fuzzy_exchange(digits, coloured_digits, "paper")
    return (*pair, fuzzy.fuzzy_exchange(fashion, objects, "paper")[0])


def _tens(*names):
    """One task for each of the first ten classes of each set."""
    return tuple(f"{name}@{label}" for name in names for label in range(10))


_MSF = ("mnist", "svhn_cropped", "fashion_mnist")
_MSF_AT_HAND = ("mnist", "mnist_m", "fashion_mnist")
# The paper does not define Sub1 and Sub2; here they are two disjoint halves of ImageNet's classes.
_SUBSETS = ("imagenet_resized@0-499", "imagenet_resized@500-999")
_SUBSETS_AT_HAND = ("tiny_imagenet_a@0-49", "tiny_imagenet_a@50-99")
_CLASSES = _tens("mnist")
_FACES_AND_CHAIRS = ("celeb_a", "rendered_chairs")
# The sets at hand have no faces: photographs of objects replace them.
_CHAIRS_AT_HAND = ("cifar10", "chairs64")

_PAPER32 = {
    "architecture": "paper32",
    "batch_size": 64,
    "steps_per_task": 20_000,
    "sample_every": 1000,
    "checkpoint_every": 1000,
    "eval_images": 30_000,
    "eval_iwae_images": 500,
}
_PAPER64 = {**_PAPER32, "architecture": "paper64"}
_CPU = {
    "architecture": "small32",
    "batch_size": 16,
    "steps_per_task": 500,
    "sample_every": 200,
    "checkpoint_every": 200,
    "eval_images": 1000,
    "eval_samples": 2000,
    "eval_iwae_images": 50,
}
_CPU64 = {**_CPU, "architecture": "small64", "steps_per_task": 250}

_MSFO_CPU = {
    **_CPU,
    "tasks": (*_MSF, "omniglot"),
    "data_dir_tasks": (*_MSF_AT_HAND, "omniglot"),
    "steps_per_task": 400,
}

_FIG4A_CPU = {
    **_CPU,
    "tasks": _CLASSES,
    "steps_per_task": 150,
    "sample_every": 75,
    "checkpoint_every": 75,
    "eval_iwae_images": 20,
}

TABLE = {
    "smoke": {
        "steps_per_task": 40,
        "batch_size": 16,
        "log_every": 10,
        "sample_every": 20,
        "checkpoint_every": 20,
        "eval_images": 700,
        "eval_samples": 1000,
        "eval_iwae_images": 0,
        "extractor_images": 1000,
    },
    "demo": {"batch_size": 16, "sample_every": 400},
    "builtin_cpu": {**_CPU, "tasks": ("digits", "glyphs", "textures")},
    "table1_msfo": {**_PAPER32, "tasks": (*_MSF, "omniglot")},
    "table1_msfo_cpu": _MSFO_CPU,
    "twins_cpu": _MSFO_CPU,
    "table2_cifar_imagenet": {**_PAPER32, "tasks": ("cifar10", *_SUBSETS)},
    "table2_cifar_imagenet_cpu": {
        **_CPU,
        "tasks": ("cifar10", *_SUBSETS),
        "data_dir_tasks": ("cifar10", *_SUBSETS_AT_HAND),
    },
    "table2_caption": {**_PAPER32, "tasks": ("cifar10", "cifar100", *_SUBSETS)},
    "table2_caption_cpu": {
        **_CPU,
        "tasks": ("cifar10", "cifar100", *_SUBSETS),
        # CIFAR100 is not at hand: letters replace it, so that the second set has no class of the two subsets.
        "data_dir_tasks": ("cifar10", "emnist_letters", *_SUBSETS_AT_HAND),
        "steps_per_task": 400,
    },
    "table3_fuzzy": {**_PAPER32, "tasks": _fuzzy(*_MSF, "cifar10")},
    "table3_fuzzy_cpu": {
        **_CPU,
        "tasks": _fuzzy(*_MSF, "cifar10"),
        "data_dir_tasks": _fuzzy(*_MSF_AT_HAND, "cifar10"),
    },
    "fig2_faces": {**_PAPER64, "tasks": ("celeb_a", "cacd")},
    "fig2_faces_cpu": {
        **_CPU,
        "tasks": ("celeb_a", "cacd"),
        "data_dir_tasks": ("emnist_letters", "chairs64"),
        "steps_per_task": 800,
    },
    "fig2_chairs": {**_PAPER64, "tasks": _FACES_AND_CHAIRS},
    "fig2_chairs_cpu": {**_CPU64, "tasks": _FACES_AND_CHAIRS, "data_dir_tasks": _CHAIRS_AT_HAND},
    "fig3_disentangle": {**_PAPER64, "tasks": _FACES_AND_CHAIRS},
    "fig3_disentangle_cpu": {**_CPU64, "tasks": _FACES_AND_CHAIRS, "data_dir_tasks": _CHAIRS_AT_HAND},
    # Streams on which Multiband GAN is compared.
    "split_mnist_cpu": {
        **_CPU,
        "tasks": tuple(f"mnist@{label}-{label + 1}" for label in range(0, 10, 2)),
        "steps_per_task": 300,
    },
    "mnist_fashion_cpu": {**_CPU, "tasks": ("mnist", "fashion_mnist")},
    # For choosing settings, on held-out training images.
    "trials_table1_cpu": _MSFO_CPU,
    "trials_fig4a_cpu": _FIG4A_CPU,
    "fig4a_ten_tasks": {**_PAPER32, "tasks": _CLASSES, "steps_per_task": 8000},
    "fig4a_ten_tasks_cpu": _FIG4A_CPU,
    "fifty_tasks_cpu": {
        **_CPU,
        "tasks": _tens("mnist", "fashion_mnist", "cifar100", "cifar10", "svhn_cropped"),
        # CIFAR100 is not at hand: the first ten letters replace its classes.
        "data_dir_tasks": _tens("mnist", "fashion_mnist", "emnist_letters", "cifar10", "mnist_m"),
        "steps_per_task": 60,
        "sample_every": 60,
        "checkpoint_every": 60,
        "eval_images": 200,
        "eval_samples": 2500,
        "eval_iwae_images": 0,
        "extractor_images": 300,
    },
    "fig4b_ablation": {**_PAPER32, "tasks": _MSF, "score_first_task": True, "log_every": 500},
    "fig4b_ablation_cpu": {**_CPU, "tasks": _MSF, "data_dir_tasks": _MSF_AT_HAND, "score_first_task": True},
}
