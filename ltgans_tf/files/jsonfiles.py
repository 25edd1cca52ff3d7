"""Reads the JSON files that a run or an export keeps, which a disk or a person may have damaged."""

import json


def read_object(path, **fields):
    """Reads a file that holds a JSON object.

    Args:
        path: of the file.
        **fields: the type that the value of each name must have, such as stream=dict.

    Returns:
        dict.

    Raises:
        ValueError: naming the file, if it is no JSON object or a field is missing or of another type.
        OSError: it cannot be read.
    """
    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is damaged ({error}); restore it from a backup.") from error
    if not isinstance(found, dict):
        raise ValueError(f"{path} is damaged (it holds a {type(found).__name__}); restore it from a backup.")
    for name, kind in fields.items():
        if not isinstance(found.get(name), kind):
            raise ValueError(
                f"{path} is damaged (it has no {name} of type {kind.__name__}); restore it from a backup."
            )
    return found
