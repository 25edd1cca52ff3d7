"""Pictures: grids of images as arrays and PNG files."""

import os

import numpy as np
from PIL import Image, ImageDraw


def grid(images, columns=8, pad=2):
    """Sets images row by row into one picture.

    Args:
      images: uint8 [N, H, W, C] with C of 1 or 3.
      columns: images per row.
      pad: white pixels between images.

    Returns:
      uint8 [rows * (H + pad) - pad, columns * (W + pad) - pad, 3].
    """
    images = np.asarray(images)
    if images.dtype != np.uint8 or images.ndim != 4 or not len(images) or images.shape[-1] not in (1, 3):
        raise ValueError(
            f"images are {images.dtype} {images.shape}; they must be uint8"
            " [N, H, W, C] with N of at least 1 and C of 1 or 3."
        )
    if images.shape[-1] == 1:
        images = np.repeat(images, 3, axis=-1)
    count, height, width, _ = images.shape
    rows = -(-count // columns)
    sheet = np.full([rows * (height + pad), columns * (width + pad), 3], 255, np.uint8)
    for i, image in enumerate(images):
        y, x = i // columns * (height + pad), i % columns * (width + pad)
        sheet[y : y + height, x : x + width] = image
    return sheet[: -pad or None, : -pad or None]


def side_by_side(pictures, gap=12):
    """Sets pictures (uint8 [h, w, 3], equal heights) next to each other on white."""
    space = np.full([pictures[0].shape[0], gap, 3], 255, np.uint8)
    parts = [part for picture in pictures for part in (picture, space)]
    return np.concatenate(parts[:-1], axis=1)


def stream_sheet(rows, labels, columns=16):
    """One strip of images for each boundary, the same latents below each other.

    Args:
      rows: list of uint8 [N, H, W, C], one for each task learnt; of each as many as fill lines.
      labels: list of str, one for each strip.
      columns: images per line, or N where that is less.

    Returns:
      uint8 [h, w, 3].
    """
    strips = []
    columns = min(columns, *(len(images) for images in rows))
    for images, label in zip(rows, labels):
        strips += [_caption(label, grid(images[: len(images) // columns * columns], columns))]
    gap = np.full([8, strips[0].shape[1], 3], 255, np.uint8)
    parts = [part for strip in strips for part in (strip, gap)]
    return np.concatenate(parts[:-1], axis=0)


def save_png(path, picture, zoom=1):
    """Writes a uint8 [h, w, 3] picture as PNG, each pixel as `zoom` x `zoom`; makes folders."""
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    image = Image.fromarray(picture)
    if zoom > 1:
        image = image.resize((image.width * zoom, image.height * zoom), Image.Resampling.NEAREST)
    staging = f"{path}.tmp"
    image.save(staging, format="PNG")
    os.replace(staging, path)


def _caption(text, picture, height=14):
    band = Image.new("RGB", (picture.shape[1], height), "white")
    ImageDraw.Draw(band).text((0, 0), text, fill="black")
    return np.concatenate([np.asarray(band), picture], axis=0)
