"""Task specs: the small language that names the data of a task.

A spec is one or more parts joined by `+`; a part is

    SOURCE[@CLASSES][?OPTIONS]

    SOURCE   a name of `catalogue.DATASETS` (`mnist`, `digits`), `folder:PATH`, `npz:PATH` or `tfds:NAME`; or `memory:NAME`,
             which stands for images that a program passed to a TaskStream under that name
    CLASSES  integers and ranges: `3`, `0-49`, `0,2,5-7`
    OPTIONS  `invert` (255 - image), `train` or `test` (the part belongs to that split alone)

For example, `mnist@0-8?train+svhn_cropped@9?train+mnist?test` trains on nine classes of one set and one class
of another, and is tested on the original first set. A PATH may contain `+`, `@` and `?` if the text after them
does not parse as one of the above; after a PATH, `+` begins a new part only before `folder:`, `npz:`, `tfds:`,
`memory:` or a name of DATASETS.

This module and its imports need only the standard library, so that a spec can be checked before TensorFlow is
imported.
"""

import dataclasses
import os
import re

from ltgans_tf.data import listing
from ltgans_tf.data.catalogue import DATASETS, SPLITS
from ltgans_tf.files import near_names, paths

OPTIONS = ("invert",) + SPLITS


@dataclasses.dataclass(frozen=True)
class Part:
    """One source of a task.

    Attributes:
        source: 'name', 'folder', 'npz', 'tfds' or 'memory'.
        path_or_name: the path, or the name of the data set.
        classes: the labels that are kept, in increasing order, or None for all.
        invert: whether the image is inverted (255 - image).
        split: 'train' or 'test' where the part belongs to one split alone, else None.
    """

    source: str
    path_or_name: str
    classes: tuple[int, ...] | None = None
    invert: bool = False
    split: str | None = None

    def __str__(self):
        text = self.path_or_name if self.source == "name" else f"{self.source}:{self.path_or_name}"
        if self.classes is not None:
            text += "@" + format_classes(self.classes)
        options = (["invert"] if self.invert else []) + ([self.split] if self.split else [])
        return text + ("?" + ",".join(options) if options else "")


@dataclasses.dataclass(frozen=True)
class TaskSpec:
    """A parsed task spec: its parts, and its text as written, except that `paths.tidy` shortens paths."""

    text: str
    parts: tuple[Part, ...]


_NAME = re.compile(r"[A-Za-z][\w./:-]*")
_PREFIX = re.compile(r"(folder|npz|tfds|memory):")
_CLASSES = re.compile(r"@([\d,\s-]+)$")
_OPTIONS = re.compile(r"\?((?:%s)(?:,(?:%s))*)$" % ("|".join(OPTIONS), "|".join(OPTIONS)))


def parse(text):
    """Parses a task spec.

    Args:
        text: the spec, for example 'cifar100@0-49' or 'folder:/data/cats+mnist?invert'.

    Returns:
        A TaskSpec.

    Raises:
        ValueError: if the text does not follow the grammar; one sentence says where.
    """
    if not isinstance(text, str) or not text.strip():
        raise ValueError(f"A task spec must be a text such as 'mnist' or 'folder:PATH', got {text!r}.")
    if paths.UNWRITABLE.search(text):
        raise ValueError(
            f"The task spec {text!r} has characters that settings files cannot hold in a line; rename the file"
            " or folder, or give a link to it."
        )
    pieces = _split_parts(text.strip())
    parts = [_parse_part(piece, text) for piece in pieces]
    tidied = [_tidied(part) for part in parts]
    return TaskSpec(text if tidied == parts else "+".join(map(str, tidied)), tuple(tidied))


def tidied(text):
    """Returns a task spec as `parse` writes it; returns a text that is no spec unchanged."""
    try:
        return parse(text).text
    except ValueError:
        return text


def _tidied(part):
    """Returns the part with its path tidied, unless the tidy path would parse differently."""
    if part.source not in ("folder", "npz"):
        return part
    path = paths.tidy(part.path_or_name)
    alone = _split_parts(f"{part.source}:{path}") == [f"{part.source}:{path}"]
    if not alone or _OPTIONS.search(path) or _CLASSES.search(path):
        return part
    return dataclasses.replace(part, path_or_name=path)


def _split_parts(text):
    """Splits at each `+`, except where it belongs to a path."""
    parts = []
    for piece in text.split("+"):
        in_path = parts and re.match(r"(folder|npz):", parts[-1])
        if in_path and not _begins_part(piece):
            parts[-1] += "+" + piece
        else:
            parts.append(piece)
    return parts


def _begins_part(piece):
    return bool(_PREFIX.match(piece.strip())) or re.split(r"[@?]", piece.strip())[0] in DATASETS


def _parse_part(piece, text):
    rest, options = _cut(_OPTIONS, piece.strip())
    rest, classes = _cut(_CLASSES, rest)
    prefix = _PREFIX.match(rest)
    source = prefix.group(1) if prefix else "name"
    name = rest[prefix.end() :] if prefix else rest
    if not name:
        raise ValueError(
            f"The task spec {text!r} has an empty part; write SOURCE[@CLASSES][?OPTIONS] joined by '+'."
        )
    if source in ("name", "tfds") and not _NAME.fullmatch(name):
        raise ValueError(_why_not_a_name(name, text))
    if source in ("folder", "npz"):
        _check_path(name, text)
    options = options.split(",") if options else []
    splits = [o for o in options if o in SPLITS]
    if len(set(options)) != len(options) or len(splits) > 1:
        raise ValueError(
            f"The options {','.join(options)!r} in the task spec {text!r} repeat or exclude each other; "
            "give 'invert' and at most one of 'train' and 'test'."
        )
    return Part(
        source,
        name,
        _parse_classes(classes, text) if classes else None,
        "invert" in options,
        splits[0] if splits else None,
    )


def _check_path(path, text):
    try:
        paths.local(path)
    except ValueError as error:
        raise ValueError(f"The task spec {text!r} cannot be read: {error}") from error


def _cut(pattern, text):
    match = pattern.search(text)
    return (text[: match.start()], match.group(1)) if match else (text, None)


def _why_not_a_name(name, text):
    if "?" in name:
        wrong = name.split("?", 1)[1]
        return f"Unknown options {wrong!r} in the task spec {text!r}; the options are {', '.join(OPTIONS)}."
    if "@" in name:
        wrong = name.split("@", 1)[1]
        return f"Classes are integers and ranges such as '0,2,5-7', got {wrong!r} in the task spec {text!r}."
    return (
        f"{name!r} in the task spec {text!r} is not the name of a data set; "
        "for files write folder:PATH or npz:PATH."
    )


def _parse_classes(classes, text):
    chosen = []
    for item in classes.split(","):
        match = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", item)
        if not match:
            raise ValueError(
                f"Classes are integers and ranges such as '0,2,5-7', got {classes!r} "
                f"in the task spec {text!r}."
            )
        first, last = int(match.group(1)), int(match.group(2) or match.group(1))
        if last < first or last > 1_000_000:
            raise ValueError(
                f"The range of classes {item!r} in the task spec {text!r} must be ascending and end at 1000000 or less."
            )
        chosen.extend(range(first, last + 1))
    twice = [c for c in chosen if chosen.count(c) > 1] if len(set(chosen)) != len(chosen) else []
    if twice:
        raise ValueError(
            f"Class {twice[0]} is given twice in the task spec {text!r}; "
            "to count its images twice, add a part of its own with '+'."
        )
    return tuple(sorted(chosen))


def format_classes(classes):
    """Writes increasing integers as the grammar does: '0,2,5-7'."""
    runs = []
    for c in classes:
        if runs and c == runs[-1][1] + 1:
            runs[-1][1] = c
        else:
            runs.append([c, c])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)


def check(text, data_dir=None):
    """Checks a task spec by names and paths alone, in milliseconds and without TensorFlow.

    Args:
        text: the spec.
        data_dir: a folder whose `<name>.npz` files replace data sets of that name, or None.

    Returns:
        The parsed TaskSpec.

    Raises:
        ValueError: the spec is wrong; one sentence names what was received and what to do.
    """
    spec = parse(text)
    for part in spec.parts:
        if part.source == "name":
            _check_name(part, data_dir)
        elif part.source == "folder":
            _check_folder(part.path_or_name)
        elif part.source == "memory":
            raise ValueError(
                f"{part} stands for images that were passed to TaskStream in Python; pass them again, as the pair"
                f" ({part.path_or_name!r}, images)."
            )
        elif part.source == "npz" and not os.path.isfile(paths.local(part.path_or_name)):
            raise ValueError(
                f"There is no file {part.path_or_name!r} for the task spec {text!r}; correct the path."
            )
    for split in SPLITS:
        if all(part.split not in (None, split) for part in spec.parts):
            raise ValueError(
                f"The task spec {text!r} has nothing in its {split} split; "
                f"add a part without '?{SPLITS[1 - SPLITS.index(split)]}'."
            )
    return spec


def npz_for_name(name, data_dir):
    """Returns the path `<data_dir>/<name>.npz` if it replaces the data set `name`, else None.

    Built-in sets are never replaced.
    """
    if data_dir is None or (name in DATASETS and DATASETS[name].kind == "builtin"):
        return None
    path = os.path.join(paths.local(data_dir), f"{name}.npz")
    return path if os.path.isfile(path) else None


def folder_for_name(name, data_dir):
    """Returns the folder `<data_dir>/<name>` if it holds the manual data set `name`, else None."""
    if data_dir is None or name not in DATASETS or DATASETS[name].kind != "manual":
        return None
    path = os.path.join(paths.local(data_dir), name)
    return path if os.path.isdir(path) else None


def _check_name(part, data_dir):
    name = part.path_or_name
    if npz_for_name(name, data_dir):
        return
    if name not in DATASETS:
        raise ValueError(_unknown_name(name, data_dir))
    if DATASETS[name].kind == "manual":
        _check_manual(name, data_dir)
        return
    count = DATASETS[name].num_classes
    if part.classes and count is None:
        raise ValueError(
            f"{name} has no class labels, so '@{format_classes(part.classes)}' cannot be used with it."
        )
    if part.classes and part.classes[-1] >= count:
        raise ValueError(
            f"{name} has the classes 0 to {count - 1}, got class {part.classes[-1]} in {str(part)!r}."
        )


def _check_manual(name, data_dir):
    if folder := folder_for_name(name, data_dir):
        _check_folder(folder)
        return
    raise ValueError(
        f"{name} ({DATASETS[name].note}) cannot be downloaded by itself: put it as the folder {name} or as"
        f" {name}.npz into the folder that --data_dir names (it is {data_dir}), or give --tasks with"
        f" folder:PATH in its place."
    )


def _unknown_name(name, data_dir):
    known = list(DATASETS)
    if data_dir and os.path.isdir(paths.local(data_dir)):
        known += [f[:-4] for f in sorted(os.listdir(paths.local(data_dir))) if f.endswith(".npz")]
    near = f"folder:{name}" if os.path.isdir(paths.local(name)) else near_names.nearest(name, known)
    hint = f"did you mean {near}?" if near else f"the names are {', '.join(known)}."
    return f"Unknown data set {name!r}: {hint} Other images are given as folder:PATH, npz:PATH or tfds:NAME."


def _check_folder(path):
    folder = paths.local(path)
    if not os.path.isdir(folder):
        raise ValueError(f"There is no folder {path!r}; correct the path after 'folder:'.")
    listing.require(folder)


def left_out(parsed, data_dir=None):
    """Returns what is left out of the folders of several TaskSpecs: a list with one line for each such folder."""
    named = [
        part.path_or_name if part.source == "folder" else folder_for_name(part.path_or_name, data_dir)
        for spec in parsed
        for part in spec.parts
        if part.source == "folder" or not npz_for_name(part.path_or_name, data_dir)
    ]
    folders = dict.fromkeys(paths.local(path) for path in named if path)
    return [told for folder in folders if (told := listing.scan(folder).told())]
