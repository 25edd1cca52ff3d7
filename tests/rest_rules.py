"""How TensorFlow Serving's REST interface writes tensors in JSON: what `rest_double` goes by."""

import base64
import json
import math

import numpy as np

_LARGEST = float(np.finfo(np.float32).max)
_WHOLE = 2**24 - 1  # the largest whole number that the server takes for a float32
_TYPES = {"DT_FLOAT": np.float32, "DT_INT64": np.int64}


class Refusal(Exception):
    """An HTTP status and a message; a signature's function raises it to refuse its inputs."""

    def __init__(self, status, message):
        super().__init__(message)
        self.status = status


def from_rows(rows, tensors):
    """Inputs of the row format; several are objects, one may be bare."""
    if not isinstance(rows, list) or not rows:
        raise Refusal(400, "Expecting 'instances' to be a list with values")
    named = isinstance(rows[0], dict) and rows[0].keys() != {"b64"}
    if not named and len(tensors) > 1:
        raise Refusal(400, "instances is a plain list, but expecting list of objects")
    for i, row in enumerate(rows):
        if (isinstance(row, dict) and row.keys() != {"b64"}) != named:
            raise Refusal(400, f"Expecting {'object' if named else 'value/list'} at item {i} of input list")
        if named and row.keys() != tensors.keys():
            raise Refusal(400, f"element: {i} of 'instances' list keys must be equal to: {','.join(tensors)}")
    columns = {name: [row[name] if named else row for row in rows] for name in tensors}
    return {name: _parsed(name, columns[name], *tensors[name]) for name in tensors}


def from_columns(columns, tensors):
    """Inputs of the column format; several are an object, one may be bare."""
    if not isinstance(columns, dict) or columns.keys() == {"b64"}:
        if len(tensors) > 1:
            raise Refusal(400, "inputs is a plain value/list, but expecting an object")
        columns = dict.fromkeys(tensors, columns)
    if missing := tensors.keys() - columns.keys():
        raise Refusal(400, f"Missing named input: {min(missing)} in 'inputs' object.")
    if extra := columns.keys() - tensors.keys():
        raise Refusal(400, f"Unknown named input: {min(extra)} in 'inputs' object.")
    return {name: _parsed(name, columns[name], *tensors[name]) for name in tensors}


def _parsed(name, column, kind, shape):
    sizes = _sizes(column)
    if len(sizes) != len(shape) or any(-1 != wanted != size for wanted, size in zip(shape, sizes)):
        raise Refusal(400, f"input {name} has shape {sizes}, expected {shape}")
    values = _leaves(name, column, sizes, kind)
    return values if kind == "DT_STRING" else np.array(values, _TYPES[kind]).reshape(sizes)


def _sizes(value):
    if not isinstance(value, list):
        return []
    return [len(value), *(_sizes(value[0]) if value else [])]


def _leaves(name, value, sizes, kind):
    """The values of nested lists, which must be of these sizes everywhere."""
    if not sizes:
        return [_value(name, value, kind)]
    if not isinstance(value, list) or len(value) != sizes[0]:
        raise Refusal(400, f"Encountered list at unexpected size in {name}, expected size: {sizes[0]}")
    return [leaf for entry in value for leaf in _leaves(name, entry, sizes[1:], kind)]


def _value(name, value, kind):
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if kind == "DT_FLOAT" and number:
        if math.isfinite(value) and abs(value) > (_WHOLE if isinstance(value, int) else _LARGEST):
            raise Refusal(400, f"Cannot convert JSON value: {value} to float without loss of precision.")
        return value
    if kind == "DT_INT64" and number and isinstance(value, int) and -(2**63) <= value < 2**63:
        return value
    if kind == "DT_STRING" and isinstance(value, dict) and value.keys() == {"b64"}:
        try:
            return base64.b64decode(value["b64"], validate=True)
        except (TypeError, ValueError) as error:
            raise Refusal(400, "Unable to base64 decode") from error
    if kind == "DT_STRING" and isinstance(value, str) and not name.endswith("_bytes"):
        return value.encode()
    raise Refusal(400, f"JSON Value: {json.dumps(value)} is not of expected type: {kind} ({name})")


def written(made, tensors):
    """Outputs as JSON: float32 so that it reads back the same, bytes in base64."""
    assert made.keys() == tensors.keys(), f"the function returned {sorted(made)}, not {sorted(tensors)}"
    return {name: _plain(name, made[name], tensors[name][0]) for name in sorted(made)}


def _plain(name, value, kind):
    if isinstance(value, bytes):
        return {"b64": base64.b64encode(value).decode()} if name.endswith("_bytes") else value.decode()
    if np.ndim(value) or isinstance(value, list):
        return [_plain(name, entry, kind) for entry in value]
    return float(str(np.float32(value))) if kind == "DT_FLOAT" else int(value)


def to_rows(columns):
    if len({len(column) for column in columns.values()}) > 1:
        raise Refusal(400, "Tensor has inconsistent batch size")
    if len(columns) == 1:
        return next(iter(columns.values()))
    return [dict(zip(columns, row)) for row in zip(*columns.values())]
