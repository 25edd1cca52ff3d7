"""Lists the images in a folder: one rule for training, encoding, evaluation and folders of every size.

Images are files at any depth whose names end in one of SUFFIXES. Hidden entries and files of other kinds are left
out, and `told` says which. Nothing is decoded. This module needs only the standard library, and for a folder with
AVIF files Pillow, to ask whether it reads AVIF.
"""

import collections
import dataclasses
import os

READ_BY_TENSORFLOW = (".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp")
READ_BY_PILLOW = (".tif", ".tiff", ".avif")
SUFFIXES = READ_BY_TENSORFLOW + READ_BY_PILLOW

# Folders that operating systems and storage add; names that begin with a dot are hidden too.
_HIDDEN = {"__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information", "lost+found"}
_ROLES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("test", "testing"), "test"),
    **dict.fromkeys(("val", "valid", "validation"), "validation"),
}
_FIRST = 3  # names of each kind that `told` lists


@dataclasses.dataclass(frozen=True)
class Listing:
    """What `scan` found.

    Attributes:
        root: the folder.
        files: names of the images relative to `root`, sorted.
        folders: names of the visible folders relative to `root`, sorted.
        left_out: {(kind, reason): names}, sorted by kind.
        splits: {'train': name, 'test': name} of the subfolders that are the splits; None if there are none.
    """

    root: str
    files: tuple
    folders: tuple
    left_out: dict
    splits: dict | None = None

    def told(self):
        """Returns one line on what is left out: of each kind the number, first names and reason; '' for nothing."""
        kinds = [
            f"{len(names)} {kind} ({', '.join(map(repr, names[:_FIRST]))}{', ...' if names[_FIRST:] else ''};"
            f" {reason})"
            for (kind, reason), names in self.left_out.items()
        ]
        return f"left out of the folder {self.root!r}: {', '.join(kinds)}." if kinds else ""


def scan(root, splits=True):
    """Lists a folder of images and the folders in it.

    A link in the folder may lead only to a file in this folder; the folder itself may be a link.

    Args:
        root: path of a folder.
        splits: whether subfolders may be the splits; images beside such subfolders are left out.

    Returns:
        A Listing.

    Raises:
        ValueError: a link leads to an image file outside or to a folder, a folder cannot be read, a subfolder is one
            split without the other, or two subfolders are the same split; the message names them.
    """
    files, folders, left_out = [], [], collections.defaultdict(list)
    prefix, waiting = os.path.join(root, ""), [root]
    while waiting:
        for entry in _entries(waiting.pop()):
            name = entry.path.removeprefix(prefix)
            if entry.name.startswith(".") or entry.name in _HIDDEN:
                left_out["hidden", "such entries are never read"].append(name)
            elif _is_folder(entry):
                waiting.append(entry.path)
                folders.append(name)
            elif reason := _reason(entry, root):
                left_out[os.path.splitext(entry.name)[1].lower() or "without suffix", reason].append(name)
            else:
                files.append(name)
    splits = _splits(root, folders) if splits else None
    if splits:
        kept = tuple(f"{folder}{os.sep}" for folder in splits.values())
        beside = [name for name in files if not name.startswith(kept)]
        files = [name for name in files if name.startswith(kept)]
        if beside:
            whose = " and ".join(map(repr, splits.values()))
            left_out["images", f"they lie beside {whose}, which are the splits"] = beside
    found = {key: sorted(left_out[key]) for key in sorted(left_out)}
    return Listing(root, tuple(sorted(files)), tuple(sorted(folders)), found, splits)


def require(root, splits=True):
    """Like `scan`, but raises a ValueError that says what was left out if the folder has no image."""
    found = scan(root, splits)
    if not found.files:
        told = f" It was {found.told()}" if found.left_out else ""
        raise ValueError(
            f"The folder {root!r} holds no images; put {', '.join(SUFFIXES)} files into it.{told}"
        )
    return found


def _entries(folder):
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as error:
        raise ValueError(
            f"The folder {folder!r} cannot be read ({error.strerror}); make it readable, or move it away."
        ) from error


def _is_folder(entry):
    try:
        found = entry.is_dir()
    except OSError:  # circular links
        return False
    if found and entry.is_symlink():
        _refuse_link(entry)
    return found


def _reason(entry, root):
    """Returns why a file does not count as an image, in words; '' if it does."""
    suffix = os.path.splitext(entry.name)[1].lower()
    if suffix not in SUFFIXES:
        return "not a supported image format"
    if not os.path.isfile(entry.path):
        return "a link to nothing" if entry.is_symlink() else "no file"
    if entry.is_symlink() and not os.path.realpath(entry).startswith(
        os.path.join(os.path.realpath(root), "")
    ):
        _refuse_link(entry)
    if suffix == ".avif" and not _pillow_reads_avif():
        return "the installed Pillow does not read it"
    return ""


def _refuse_link(entry):
    raise ValueError(
        f"{entry.path} is a link to {os.readlink(entry)!r}, and links in a folder of images may lead only"
        " to files in that folder; put a copy there, or add the other folder as a second part, as"
        " 'folder:A+folder:B'."
    )


def _pillow_reads_avif():
    from PIL import features

    return "avif" in features.get_supported()


def _splits(root, folders):
    """Returns the subfolders that are splits, by their names in upper or lower case; None if there are none."""
    tops = [name for name in folders if os.sep not in name]
    roles = collections.defaultdict(list)
    for name in sorted(tops):
        if role := _ROLES.get(name.lower()):
            roles[role].append(name)
    used = {"train": roles["train"], "test": roles["test"] or roles["validation"]}
    for role, names in used.items():
        if len(names) > 1:
            raise ValueError(
                f"The folder {root!r} has the subfolders {' and '.join(map(repr, names))}, which are both its"
                f" {role} split; merge them, or give one of them as a separate part."
            )
    if all(used.values()):
        return {role: name for role, (name,) in used.items()}
    named = [name for names in roles.values() for name in names]
    is_class = len(tops) > len(named) and not used["test"]  # such as 'train' beside 'cars'
    if not named or is_class:
        return None
    lacks = "train" if used["test"] else "test (or val)"
    raise ValueError(
        f"The folder {root!r} has the subfolder {named[0]!r} and none for its other split; add a subfolder"
        f" {lacks}, name 'folder:{os.path.join(root, named[0])}' itself, or rename it if it is a class."
    )
