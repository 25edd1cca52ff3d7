"""Runs signatures of a SavedModel through TensorFlow's C API, without Python's TensorFlow.

  python tests/c_api.py LIBRARY SPEC.json REQUESTS.npz ANSWERS.npz

What a server in C++ does: it loads the folder by the tag `serve` and runs tensors by their names.
Nothing of TensorFlow is imported; ctypes calls the shared library of the wheel.
"""

import ctypes
import json
import sys

import numpy as np

TYPES = {"float32": 1, "int64": 9, "string": 7}  # tf/c/tf_datatype.h
_STRING = 24  # bytes of a TF_TString


class Output(ctypes.Structure):
    _fields_ = (("operation", ctypes.c_void_p), ("index", ctypes.c_int))


class CApi:
    """The few functions of c_api.h that this takes."""

    def __init__(self, library):
        self.lib = ctypes.CDLL(library)
        for name in (
            "TF_NewStatus",
            "TF_NewGraph",
            "TF_NewSessionOptions",
            "TF_NewBuffer",
            "TF_LoadSessionFromSavedModel",
            "TF_GraphOperationByName",
            "TF_AllocateTensor",
            "TF_TensorData",
            "TF_StringGetDataPointer",
        ):
            getattr(self.lib, name).restype = ctypes.c_void_p
        for name in ("TF_Message", "TF_Version"):
            getattr(self.lib, name).restype = ctypes.c_char_p
        for name in ("TF_Dim", "TF_StringGetSize", "TF_TensorByteSize"):
            getattr(self.lib, name).restype = ctypes.c_int64
        self.status = ctypes.c_void_p(self.lib.TF_NewStatus())

    def check(self):
        if self.lib.TF_GetCode(self.status):
            raise RuntimeError(self.lib.TF_Message(self.status).decode())

    def load(self, folder):
        """Loads the graph tagged `serve` of a folder."""
        self.graph = ctypes.c_void_p(self.lib.TF_NewGraph())
        tags = (ctypes.c_char_p * 1)(b"serve")
        self.session = ctypes.c_void_p(
            self.lib.TF_LoadSessionFromSavedModel(
                ctypes.c_void_p(self.lib.TF_NewSessionOptions()),
                None,
                folder.encode(),
                tags,
                1,
                self.graph,
                ctypes.c_void_p(self.lib.TF_NewBuffer()),
                self.status,
            )
        )
        self.check()

    def output(self, name):
        operation, _, index = name.partition(":")
        found = self.lib.TF_GraphOperationByName(self.graph, operation.encode())
        if not found:
            raise RuntimeError(f"the graph has no operation {operation}")
        return Output(found, int(index))

    def tensor(self, array):
        """A TF_Tensor of float32, int64 or, from an array of bytes, string."""
        dims = (ctypes.c_int64 * array.ndim)(*array.shape)
        string = array.dtype.kind in "OS"
        kind = TYPES["string" if string else array.dtype.name]
        size = _STRING * array.size if string else array.nbytes
        tensor = ctypes.c_void_p(self.lib.TF_AllocateTensor(kind, dims, array.ndim, ctypes.c_size_t(size)))
        data = self.lib.TF_TensorData(tensor)
        if string:
            for i, value in enumerate(array.ravel()):
                place = ctypes.c_void_p(data + i * _STRING)
                self.lib.TF_StringInit(place)
                self.lib.TF_StringCopy(place, value, ctypes.c_size_t(len(value)))
        else:
            ctypes.memmove(data, np.ascontiguousarray(array).ctypes.data, size)
        return tensor

    def array(self, tensor):
        shape = [self.lib.TF_Dim(tensor, i) for i in range(self.lib.TF_NumDims(tensor))]
        data, kind = self.lib.TF_TensorData(tensor), self.lib.TF_TensorType(tensor)
        if kind == TYPES["string"]:
            values = []
            for i in range(int(np.prod(shape))):
                place = ctypes.c_void_p(data + i * _STRING)
                start = self.lib.TF_StringGetDataPointer(place)
                values.append(ctypes.string_at(start, self.lib.TF_StringGetSize(place)))
            # As numbers, because NumPy's bytes lose zeros at their ends.
            return [np.frombuffer(value, np.uint8) for value in values]
        name = next(name for name, number in TYPES.items() if number == kind)
        return np.frombuffer(ctypes.string_at(data, self.lib.TF_TensorByteSize(tensor)), name).reshape(shape)

    def run(self, inputs, outputs):
        """{tensor name: array}, tensor names -> their values in order."""
        given = (Output * len(inputs))(*map(self.output, inputs))
        values = (ctypes.c_void_p * len(inputs))(*(self.tensor(value).value for value in inputs.values()))
        wanted = (Output * len(outputs))(*map(self.output, outputs))
        made = (ctypes.c_void_p * len(outputs))()
        self.lib.TF_SessionRun(
            self.session,
            None,
            *(given, values, len(inputs)),
            *(wanted, made, len(outputs)),
            *(None, 0, None),
            self.status,
        )
        self.check()
        return [self.array(ctypes.c_void_p(value)) for value in made]


def _unpacked(value):
    """Files come as rows of uint8: the length in four bytes, the file, and zeros."""
    if value.dtype != np.uint8:
        return value
    return np.array([row[4 : 4 + int(row[:4].view("<u4")[0])].tobytes() for row in value], object)


def main(library, spec, requests, answers):
    with open(spec, encoding="utf-8") as file:
        spec = json.load(file)
    given, made = np.load(requests), {}
    api = CApi(library)
    for kind, (folder, signatures) in spec.items():
        api.load(folder)
        for name, (inputs, outputs) in signatures.items():
            fed = {tensor: _unpacked(given[f"{kind}/{name}/{key}"]) for key, tensor in inputs.items()}
            for key, value in zip(outputs, api.run(fed, list(outputs.values()))):
                if isinstance(value, list):
                    for i, one in enumerate(value):
                        made[f"{kind}/{name}/{key}/{i}"] = one
                else:
                    made[f"{kind}/{name}/{key}"] = value
    assert "tensorflow" not in sys.modules
    np.savez(answers, version=api.lib.TF_Version().decode(), **made)


if __name__ == "__main__":
    main(*sys.argv[1:])
