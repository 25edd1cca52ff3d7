"""Bad and hostile inputs as Hypothesis draws them."""

import io
import zipfile

import numpy as np
from hypothesis import strategies as st

from tests.hostile import served

_FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "BMP")
_WORDS = (
    "mnist",
    "digits@",
    "folder:",
    "npz:",
    "tfds:",
    "?train",
    "?invert",
    "@0-9",
    "+",
    ",",
    "/",
    "..",
    "\n",
    "\0",
)

texts = st.lists(st.sampled_from(_WORDS) | st.text(max_size=4), max_size=8).map("".join)
numbers = (
    st.integers().map(str) | st.floats().map(str) | st.sampled_from(("0", "-1", "1e999", "", "true", "²"))
)
values = numbers | texts
jsons = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@st.composite
def damaged(draw, wholes):
    """Bytes of something whole, with some exchanged, cut off, or put in."""
    data = bytearray(draw(wholes))
    for _ in range(draw(st.sampled_from((0, 0, 1, 2, 4)))):
        place = draw(st.integers(0, len(data)))
        data[place : place + draw(st.integers(0, 9))] = draw(st.binary(max_size=9))
    return bytes(data[: draw(st.integers(0, len(data)) | st.just(len(data)))])


sides = st.integers(1, 40) | st.integers(1, 2**31 - 1)
image_files = st.one_of(
    st.builds(
        served.picture,
        st.sampled_from(_FORMATS),
        st.tuples(st.integers(1, 40), st.integers(1, 40)),
        st.sampled_from(("1", "L", "P", "RGB")),
    ),
    st.builds(
        served.picture, st.sampled_from(("GIF", "WEBP", "PNG")), st.just((9, 9)), animated=st.just(True)
    ),
    st.builds(
        served.png_of, sides, sides, st.sampled_from((1, 2, 4, 8, 16)), st.sampled_from((0, 2, 3, 4, 6))
    ),
)
image_bytes = (
    damaged(image_files) | st.binary(max_size=60) | st.binary(max_size=40).map(lambda d: b"GIF89a" + d)
)


@st.composite
def archives(draw):
    """Bytes of an .npz: whole, or of arrays and headers that nobody would write."""
    file = io.BytesIO()
    with zipfile.ZipFile(
        file, "w", draw(st.sampled_from((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)))
    ) as archive:
        for name in draw(
            st.lists(st.sampled_from(("images", "labels", "size", "../x")), max_size=3, unique=True)
        ):
            kind = draw(
                st.sampled_from(("|u1", "<i8", "<f4", "|O", "<U3", "", "V9", "<c8")) | st.text(max_size=3)
            )
            shape = draw(st.lists(st.integers(0, 9) | st.integers(-1, 2**62), max_size=4))
            header = f"{{'descr': {kind!r}, 'fortran_order': False, 'shape': {tuple(shape)!r}, }}\n".encode()
            header = draw(st.just(header) | damaged(st.just(header)))
            version = draw(st.sampled_from((b"\1\0", b"\1\0", b"\2\0", b"\3\0", b"\7\0")))
            length = len(header).to_bytes(2 if version == b"\1\0" else 4, "little")
            body = b"\x93NUMPY" + version + length + header + bytes(draw(st.sampled_from((0, 64, 640))))
            archive.writestr(f"train_{name}.npy", body)
    return file.getvalue()


def archive(count, side):
    """The bytes of an .npz as it should be."""
    file = io.BytesIO()
    np.savez(file, train_images=np.zeros((count, side, side), np.uint8), train_size=np.arange(count))
    return file.getvalue()


@st.composite
def trees(draw):
    """Files of a folder, {name in bytes: bytes}; a name in `links` stands for a link to the value."""
    name = st.binary(min_size=1, max_size=30).filter(
        lambda n: n not in (b".", b"..") and not set(n) & set(b"/\0")
    )
    names = draw(st.lists(name, min_size=1, max_size=4, unique=True))
    ends = st.sampled_from((b".png", b".JPG", b".gif", b"", b"/1.png", b"/deep/er/2.bmp"))
    files = {n + draw(ends): draw(image_bytes | st.just(served.picture("PNG", (9, 9)))) for n in names}
    links = draw(
        st.dictionaries(name, st.sampled_from((b"..", b".", b"/", b"nothing", b"/dev/zero")), max_size=1)
    )
    return files, {n + draw(ends.filter(lambda e: b"/" not in e)): to for n, to in links.items()}
