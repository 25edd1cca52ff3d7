"""Pictures: grids of images and labelled sheets as arrays, and PNG files.

Sheets enlarge small images themselves and write text at full resolution, so they are saved without scaling.
Each image keeps its pixels, because the factors are whole numbers.
"""

import itertools

import numpy as np
from PIL import Image, ImageDraw

from ltgans_tf.figures import lettering
from ltgans_tf.files import atomic

_SIDE = 64  # pixels that images of a sheet are enlarged to at most, by a whole number
_WIDEST = 1600  # pixels of a forgetting sheet of small images
_LABEL = 190  # pixels that a label at the left may take
_LETTERS = 22  # how many letters fit into a label
_TEXT = lettering.TEXT
_INK, _GREY = (34, 34, 34), (100, 100, 100)
_HAIR = 222  # grey of the lines between images
_PAD, _GAP = 2, 12


def grid(images, columns=8, pad=2, ground=255):
    """Sets images row by row into one picture.

    Args:
      images: uint8 [N, H, W, C] with C of 1 or 3.
      columns: images per row.
      pad: pixels between images.
      ground: grey level between images, 255 for white.

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
    sheet = np.full([rows * (height + pad), columns * (width + pad), 3], ground, np.uint8)
    for i, image in enumerate(images):
        y, x = i // columns * (height + pad), i % columns * (width + pad)
        sheet[y : y + height, x : x + width] = image
    return sheet[: -pad or None, : -pad or None]


def side_by_side(pictures, gap=12):
    """Sets pictures (uint8 [h, w, 3], equal heights) next to each other on white."""
    space = np.full([pictures[0].shape[0], gap, 3], 255, np.uint8)
    parts = [part for picture in pictures for part in (picture, space)]
    return np.concatenate(parts[:-1], axis=1)


def shown(images, domains=None, columns=16, lines=3, most=8):
    """Chooses the images of a grid of `columns`: the first ones, or a line of each domain.

    Args:
      images: uint8 [N, H, W, C].
      domains: int [N], the domain of each image, equally many of each; or None for the first `lines` lines.
      columns: images in a line.
      lines: number of lines without domains.
      most: largest number of lines with domains; of more domains an evenly spaced choice is shown, with the first
        and the last.

    Returns:
      (uint8 [n, H, W, C], columns), fewer columns if a domain has fewer images.
    """
    if domains is None:
        return images[: lines * columns], columns
    count = int(np.max(domains)) + 1
    columns = min(columns, len(images) // count)
    picked = np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int))
    return np.concatenate([images[domains == domain][:columns] for domain in picked]), columns


def shown_alike(boundaries):
    """Applies `shown` to each boundary, with lines of one length: with more tasks a domain has fewer images.

    Args:
      boundaries: list of (images, domains), as `shown` takes them.

    Returns:
      (list of uint8 [n, H, W, C], columns).
    """
    columns = min(shown(*each)[1] for each in boundaries)
    return [shown(*each, columns)[0] for each in boundaries], columns


def stream_sheet(rows, columns, labels, zoom=1):
    """Draws one strip of images for each boundary.

    Args:
      rows: list of uint8 [N, H, W, C], one for each task learnt; images that do not fill a line are left out.
      columns: images per line, or N if that is less.
      labels: list of str, one for each strip.
      zoom: each pixel of an image is drawn as `zoom` x `zoom`, with letters to match.

    Returns:
      uint8 [h, w, 3].
    """
    strips = []
    columns = min(columns, *(len(images) for images in rows))
    for images, label in zip(rows, labels):
        shown = _enlarged(images[: len(images) // columns * columns], zoom)
        strips += [_caption(label, grid(shown, columns, _PAD * zoom), zoom)]
    return _stack(strips, 8 * zoom)


def domains_sheet(rows):
    """Draws images of each domain, one line of each kind (Fig. 2 A, B).

    Args:
      rows: {domain: {kind: images}}; the kind is such as "real", "reconstructed" or "generated", and images are
        uint8 [N, H, W, C] with N of at least 1; lines may differ in N.

    Returns:
      uint8 [h, w, 3].

    Raises:
      ValueError: there is no domain.
    """
    if not rows:
        raise ValueError("there is no image of any domain to show.")
    width = _label_width(kind for lines in rows.values() for kind in lines)
    parts = []
    for domain, lines in rows.items():
        block = [_line([(kind, _GREY)], [images], width) for kind, images in lines.items()]
        parts.append(_stack([_heading(domain), *block], 0))
    return _framed(_stack(parts, _GAP))


def interpolation_sheet(lines, ends="real"):
    """Draws the images decoded along a path between two images, with these two at its ends (Fig. 2 C, D).

    Args:
      lines: list of (first, last, kind, images): the domains that the ends come from, the kind of
        path ("linear"), and uint8 [S + 2, H, W, C]: the real image at the beginning, the images
        decoded from S codes, and the real image at the end; S is the same in all lines.
      ends: name of the images at the beginning and at the end.

    Returns:
      uint8 [h, w, 3].
    """
    names = list(dict.fromkeys(name for first, last, _, _ in lines for name in (first, last)))
    short = dict(zip(names, lettering.short_names(names, _LETTERS - len("to "))))
    width = _label_width(
        text for *_, kind, _ in lines for text in (kind, *(f"to {n}" for n in short.values()))
    )
    blocks = []
    for _, group in itertools.groupby(lines, lambda line: line[:2]):
        block = []
        for first, last, kind, images in group:
            label = [(short[first], _INK), (f"to {short[last]}", _INK), (kind, _GREY)]
            block.append(_line(label, [images[:1], images[1:-1], images[-1:]], width))
        blocks.append(_stack(block, 0))
    steps = len(lines[0][3]) - 2
    side = _zoom(lines[0][3]) * lines[0][3].shape[2] + _PAD
    titles = [(ends, side), (f"decoded: {steps} codes in equal steps", steps * side), (ends, side)]
    return _framed(_stack([_titles(titles, width, _GAP + _PAD), _stack(blocks, _GAP)], 0))


def traversal_sheet(sections, values):
    """Draws one latent variable changed at a time, the others fixed (Fig. 3).

    Args:
      sections: list of (heading, start, lines), one for each starting image. start is uint8 [2, H, W, C],
        that image and its reconstruction. lines is {label: images}, one line for each latent variable,
        images being uint8 [len(values), H, W, C]. A label may have a remark on its variable after a line
        break ("variable 17\\nKL 4.3 nats").
      values: the values that the variable is set to, written above.

    Returns:
      uint8 [h, w, 3].
    """
    labels = [label for _, _, lines in sections for label in lines]
    width = _label_width(text for label in ["reconstruction", *labels] for text in label.split("\n"))
    parts = []
    for heading, start, lines in sections:
        side = start.shape[2] * _zoom(start) + _PAD
        block = [_line([("image and", _GREY), ("reconstruction", _GREY)], [start], width)]
        block.append(_titles([(f"{value:g}", side) for value in values], width))
        for label, images in lines.items():
            first, _, rest = label.partition("\n")
            block.append(_line([(first, _INK), (rest, _GREY)], [images], width))
        parts.append(_stack([_heading(heading), *block], 0))
    return _framed(_stack(parts, _GAP))


def kept_sheet(samples, domains, tasks, shape=(2, 4)):
    """Draws what the latents of each domain code gave after each task: the same latents in a row.

    Args:
      samples: K arrays, uint8 [N, H, W, C], images after each task.
      domains: K arrays, int [N], the domain whose code each latent has.
      tasks: names of the K tasks.
      shape: (rows, columns) of the images in a cell. A cell before its domain was learnt is blank.

    Returns:
      uint8 [h, w, 3].
    """
    count, size, zoom = len(tasks), shape[0] * shape[1], _cell_zoom(samples, shape)
    labels = [[(name, _INK), ("its own latents", _GREY)] for name in lettering.short_names(tasks, _LETTERS)]
    width = _label_width(text for label in labels for text, _ in label)
    parts = []
    for j, label in enumerate(labels):
        cells = [samples[i][domains[i] == j][:size] for i in range(count)]
        parts.append(_labelled(label, side_by_side([_block(c, shape, zoom) for c in cells], _GAP), width))
    return _framed(
        _stack([_titles_after_tasks(tasks, _block(cells[0], shape, zoom).shape[1], width), *parts], _GAP)
    )


def forgetting_sheet(samples, tasks, domains=None, shape=(2, 4)):
    """Draws what the same latents gave after each task; one column for each task.

    This is for latents without domain codes; `kept_sheet` is for latents with them. With `domains`, row j holds
    latents whose image after task j was of domain j, and each cell gives the domain's share of all images after
    that task. A latent may move to another domain without loss, since k domains have to share the latents. A
    share below 1/k, or broken images, are a loss. Without `domains` the rows are latents in their order. Cells
    before a domain was learnt are pale.

    Args:
      samples: K arrays, uint8 [N, H, W, C], images of the same N latents after each task.
      tasks: names of the K tasks.
      domains: K arrays, int [N], the domain (index of its task) of each image; or None.
      shape: (rows, columns) of the images in a cell.

    Returns:
      uint8 [h, w, 3].
    """
    count, (rows, columns) = len(tasks), shape
    if len(samples) != count or len({images.shape for images in samples}) != 1:
        raise ValueError(
            f"samples have the shapes {[images.shape for images in samples]}; each of the {count} tasks"
            " needs one array, and all arrays one shape."
        )
    zoom = _cell_zoom(samples, shape)
    cells = _cells(samples, domains, rows * columns)
    labels = _cell_labels(cells, lettering.short_names(tasks, _LETTERS), domains, rows * columns)
    width = _label_width(text for label in labels for text, _ in label)
    parts = []
    for j, chosen in enumerate(cells):
        blocks = []
        for i, images in enumerate(samples):
            if domains is None:
                blocks.append(_block(images[chosen], shape, zoom))
            elif i < j:
                pale = 255 - (255 - images[chosen]) // 4
                blocks.append(_noted(_block(pale, shape, zoom), ""))
            else:
                share = np.mean(np.asarray(domains[i]) == j)
                block = _block(images[chosen], shape, zoom)
                blocks.append(_noted(block, f"{share:.0%} ({1 / (i + 1):.0%} wanted)"))
        parts.append(_labelled(labels[j], side_by_side(blocks, _GAP), width))
    titles = _titles_after_tasks(tasks, blocks[0].shape[1], width)
    return _framed(_stack([titles, *parts], _GAP if domains is None else 0))


def _cell_zoom(samples, shape):
    """Returns the factor by which a forgetting sheet with one column per item of `samples` enlarges its images."""
    side = samples[0].shape[2]
    return max(1, min(_SIDE // side, (_WIDEST // len(samples) - _GAP) // (shape[1] * (side + _PAD))))


def _titles_after_tasks(tasks, size, width):
    """Draws titles above columns of `size` pixels: after which task each is."""
    names = lettering.short_names(tasks, max(5, size // 9 - len("after ")))
    return _titles([(f"after {name}", size) for name in names], width, _GAP)


def _cells(samples, domains, size):
    """Returns the indices of each row's latents, at most `size`."""
    if domains is None:
        order = np.arange(len(samples[0]))
        whole = max(1, min(len(samples) + 1, len(order) // size))
        return [order[j * size : (j + 1) * size] for j in range(whole)]
    return [np.flatnonzero(np.asarray(domains[j]) == j)[:size] for j in range(len(samples))]


def _cell_labels(cells, names, domains, size):
    if domains is None:
        return [[(f"latents {j * size + 1} to {j * size + len(cells[j])}", _INK)] for j in range(len(cells))]
    return [[(name, _INK), ("latents that gave", _GREY), ("it when learnt", _GREY)] for name in names]


def _block(images, shape, zoom):
    """Draws one cell: images row by row; places of missing images stay blank."""
    space = np.full([shape[0] * shape[1], *images.shape[1:]], 255, np.uint8)
    space[: len(images)] = images
    return _bordered(grid(_enlarged(space, zoom), shape[1], _PAD, _HAIR))


def _line(label, groups, width):
    """Draws images in one line, in groups with a gap between, with a label at the left."""
    pictures = []
    for images in groups:
        images = _enlarged(images, _zoom(images))
        pictures.append(_bordered(grid(images, len(images), _PAD, _HAIR)))
    return _labelled(label, side_by_side(pictures, _GAP), width)


def _labelled(label, picture, width):
    """Sets lines of text, [(text, colour)], at the left of a picture, vertically centred."""
    line = _TEXT + 3
    missing = max(0, line * len(label) - picture.shape[0])
    above = missing // 2
    picture = np.pad(picture, [(above, missing - above), (0, 0), (0, 0)], constant_values=255)
    band = Image.new("RGB", (width + _GAP, picture.shape[0]), "white")
    top = (picture.shape[0] - line * len(label)) // 2
    for i, (text, colour) in enumerate(label):
        text = lettering.shorten(text, width)
        ImageDraw.Draw(band).text((0, top + i * line), text, colour, lettering.font(_TEXT))
    return np.concatenate([np.asarray(band), picture], axis=1)


def _titles(titles, width, gap=0):
    """Draws texts above columns, [(text, pixels of the column)], each centred."""
    length = width + _GAP + sum(size + gap for _, size in titles)
    band = Image.new("RGB", (length, _TEXT + 8), "white")
    draw, x = ImageDraw.Draw(band), width + _GAP
    for text, size in titles:
        draw.text((x + size / 2, 2), lettering.shorten(text, size), _GREY, lettering.font(_TEXT), anchor="ma")
        x += size + gap
    return np.asarray(band)


def _heading(text):
    font = lettering.font(_TEXT + 3)
    band = Image.new("RGB", (int(font.getlength(text)) + 2, _TEXT + 15), "white")
    ImageDraw.Draw(band).text((0, 3), text, _INK, font)
    return np.asarray(band)


def _noted(picture, text):
    """Sets a line of smaller text below a picture."""
    width, size = picture.shape[1], _TEXT - 2
    band = Image.new("RGB", (width, _TEXT + 12), "white")
    ImageDraw.Draw(band).text((0, 2), lettering.shorten(text, width, size), _GREY, lettering.font(size))
    return np.concatenate([picture, np.asarray(band)], axis=0)


def _label_width(texts):
    return min(_LABEL, max(int(lettering.font(_TEXT).getlength(text)) + 1 for text in texts))


def _zoom(images):
    return max(1, _SIDE // max(images.shape[1:3]))


def _enlarged(images, zoom):
    return np.asarray(images).repeat(zoom, 1).repeat(zoom, 2)


def _bordered(picture):
    """Adds a thin grey border, so that white images have visible edges."""
    return np.pad(picture, [(_PAD, _PAD), (_PAD, _PAD), (0, 0)], constant_values=_HAIR)


def _stack(parts, gap):
    """Sets pictures below each other, left-aligned on white."""
    width = max(part.shape[1] for part in parts)
    space = np.full([gap, width, 3], 255, np.uint8)
    wide = [np.pad(part, [(0, 0), (0, width - part.shape[1]), (0, 0)], constant_values=255) for part in parts]
    return np.concatenate([piece for part in wide for piece in (part, space)][:-1], axis=0)


def _framed(picture):
    """Adds a white margin around a sheet."""
    return np.pad(picture, [(_GAP, _GAP), (_GAP, _GAP), (0, 0)], constant_values=255)


def save_png(path, picture, zoom=1):
    """Writes a uint8 [h, w, 3] picture as PNG, each pixel as `zoom` x `zoom`; makes folders."""
    image = Image.fromarray(picture)
    if zoom > 1:
        image = image.resize((image.width * zoom, image.height * zoom), Image.Resampling.NEAREST)
    with atomic.writing(path) as file:
        image.save(file, format="PNG")


def _caption(text, picture, zoom=1):
    band = Image.new("RGB", (picture.shape[1], 14 * zoom), "white")
    ImageDraw.Draw(band).text((0, 0), text, "black", lettering.font(10 * zoom))
    return np.concatenate([np.asarray(band), picture], axis=0)
