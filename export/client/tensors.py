"""Converts inputs to the types of a signature, and checks the numbers that are sent and received.

A column is a tensor whose first dimension counts the rows: a NumPy array, or a list of bytes for strings.
"""

import numpy as np

NUMBERS = {
    "DT_FLOAT": np.float32,
    "DT_DOUBLE": np.float64,
    "DT_INT32": np.int32,
    "DT_INT64": np.int64,
    "DT_UINT8": np.uint8,
    "DT_BOOL": np.bool_,
}


def columns(where, inputs, kinds):
    """Returns {name: column} with the names and types of a signature.

    Args:
      where: model and signature, for messages.
      inputs: {name: list or array}.
      kinds: {name: type, such as "DT_FLOAT"}.

    Raises:
      ValueError: wrong names, types or dimensions, or no rows.
      ArithmeticError: NaN or infinity among the values.
    """
    if inputs.keys() != kinds.keys():
        raise ValueError(f"{where} takes the inputs {sorted(kinds)}; {sorted(inputs)} were given.")
    made = {name: _column(f"{where}, {name}", inputs[name], kind) for name, kind in kinds.items()}
    if not all(map(len, made.values())):
        raise ValueError(f"{where}: there are no rows to send; give at least one.")
    return made


def _column(where, values, kind):
    if kind == "DT_STRING":
        alone = isinstance(values, (bytes, str))
        if wrong := [values] if alone else [value for value in values if not isinstance(value, bytes)]:
            raise ValueError(f"{where} is or holds {wrong[0]!r:.60}; it must be a list of bytes.")
        return list(values)
    array, wanted = np.asarray(values), np.dtype(NUMBERS[kind])
    if array.ndim == 0 or not np.can_cast(array.dtype, wanted, "same_kind"):
        raise ValueError(
            f"{where} is {array.dtype} {array.shape}; it must be a list or an array of {wanted},"
            " one entry a row."
        )
    with np.errstate(over="ignore"):  # check_finite refuses what became infinite
        array = array.astype(wanted)
    check_finite(f"{where}: to be sent are", array)
    return array


def check_finite(what, column):
    """Raises an ArithmeticError for NaN and infinity; its sentence begins with `what`."""
    if isinstance(column, list) or column.dtype.kind != "f":
        return
    if broken := column.size - np.count_nonzero(np.isfinite(column)):
        raise ArithmeticError(
            f"{what} {column.size} numbers, {broken} of them NaN or infinite; nothing was kept."
        )


def joined(parts):
    """Joins the answers to the parts of a request in order: {name: column}."""
    whole = {}
    for name, first in parts[0].items():
        pieces = [part[name] for part in parts]
        if not isinstance(first, list) and len({piece.shape[1:] for piece in pieces}) > 1:
            raise OSError(
                f"the server sent rows of {name} in several shapes; was another version loaded just now?"
            )
        whole[name] = sum(pieces, []) if isinstance(first, list) else np.concatenate(pieces)
    return whole
