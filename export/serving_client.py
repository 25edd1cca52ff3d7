"""A client of TensorFlow Serving for the models of an export.

```python
from export import serving_client

client = serving_client.Client("http://localhost:8501")
files = client.sample(64, seed=0)  # 64 PNG files, bytes
cats = client.sample(64, seed=0, domain="cats")
codes = client.encode_files(["cat.png"])["mean"]  # float32 [1, D]
images = client.predict("generator", "serving_default", {"latents": latents})["images"]
```

Over REST, which is the default, it needs neither TensorFlow nor gRPC.
"""

import os
import re

import numpy as np

from export import failures, rest
from ltgans_tf.networks import domain_codes

Refused, NotServed = failures.Refused, failures.NotServed
GENERATOR, ENCODER = "generator", "encoder"
_MOST_DOMAINS = 100_000
_LARGEST_FILE = 256 << 20  # bytes
_SEEDS = 2**53  # programs that have but float64 for numbers, JavaScript's say, can pass these on


class Client:
    """Asks a server about the generator and the encoder that it serves.

    Args:
      url: address of the server's REST port.
      grpc: address of its gRPC port ("localhost:8500"), to use that in place of REST.
      timeout: seconds to wait for one answer.
      retries: further tries where the server is away, silent or busy.
      wait: seconds before the first of them; see `failures.retried`.
      version: int, the version to ask; the newest that is loaded by default.
      label: name that the server's configuration gives to a version; not with `version`.
      max_batch: as many rows go in one request; more are split.
      authorization: value of the header of this name ("Bearer ..."), as gateways before a server ask for; over
        http:// it can be read on the way.
      ca_file: PEM file of the authorities that the server's certificate may be signed by. Over gRPC it also turns
        encryption on.

    Raises:
      ValueError: addresses or numbers that can't be.
    """

    def __init__(
        self,
        url="http://localhost:8501",
        grpc=None,
        timeout=30.0,
        retries=3,
        wait=0.25,
        version=None,
        label=None,
        max_batch=64,
        authorization=None,
        ca_file=None,
    ):
        if version is not None and label is not None:
            raise ValueError(f"version is {version} and label is {label!r}; give one of the two.")
        if max_batch < 1 or retries < 0 or timeout <= 0:
            raise ValueError(
                f"max_batch is {max_batch}, retries {retries}, timeout {timeout};"
                " they must be at least 1, at least 0 and above 0."
            )
        if authorization is not None and not re.fullmatch("[!-~]([ -~]*[!-~])?", authorization):
            raise ValueError("authorization must be one line of printable ASCII; it is something else.")
        given = (timeout, retries, wait, version, label, authorization, ca_file)
        if grpc is None:
            self._transport = rest.Rest(url, *given)
        else:
            from export import grpc_transport

            self._transport = grpc_transport.Grpc(grpc, *given)
        self._max_batch = max_batch
        self._signatures = {}

    def predict(self, model, signature, inputs):
        """Runs a signature of a model.

        Args:
          model, signature: names.
          inputs: {name: values}: a list or an array whose first dimension counts the rows, bytes
            where the signature takes strings. Where all have the same number of rows they are
            split into requests of `max_batch`; the rows of a signature must then not depend on
            each other, as those of an export don't.

        Returns:
          {name: array}; strings as a list of bytes.

        Raises:
          ValueError: no such model (NotServed), signature or input, or values that the server
            refuses (Refused).
          OSError: no server there, or one that failed.
          ArithmeticError: NaN or infinity among the values sent or received.
        """
        entry = self._signature(model, signature)
        columns = _columns(f"{model}, {signature}", inputs, entry["inputs"])
        rows = {len(column) for column in columns.values()}
        step = self._max_batch if len(rows) == 1 else max(rows)
        parts = []
        for i in range(0, max(rows), step):
            part = {name: column[i : i + step] for name, column in columns.items()}
            parts.append(self._transport.predict(model, signature, part, entry["outputs"]))
        outputs = _joined(parts)
        if len(rows) == 1:
            _check_rows(f"{model}, {signature}", outputs, max(rows))
        for name, values in outputs.items():
            _check_finite(f"{model}, {signature}, {name}: the server sent", values)
        return outputs

    def sample(self, count, seed=0, truncation=1.0, domain=None):
        """Draws images.

        Args:
          count: at least 1.
          seed: int of at least 0; the same seed gives the same images, of which more begin with
            the same. `image_seeds` tells the seed of each.
          truncation: 1.0 for the model's own law of latents.
          domain: name of a domain, or its number counted from 1; None for all, by the images' seeds.

        Returns:
          a list of PNG files, bytes.

        Raises:
          ValueError: an unknown domain, or a generator without domain codes; else see `predict`.
        """
        inputs = {"seed": image_seeds(count, seed), "truncation": np.full(count, truncation, np.float32)}
        if domain is None:
            return self.predict(GENERATOR, "sample_png", inputs)["images_bytes"]
        number = 1 + domain_codes.domain_index(domain, self.domains())
        inputs["domain"] = np.full(count, number)
        return self.predict(GENERATOR, "sample_domain_png", inputs)["images_bytes"]

    def domains(self):
        """Names of the domains that the generator has codes of, in order.

        Raises:
          ValueError: it has none; else see `predict`.
        """
        if "domains" not in self._signatures_of(GENERATOR, "domains"):
            raise ValueError("the generator that is served has no domain codes; leave the domain out.")
        count = int(self.predict(GENERATOR, "domains", {"domain": [1]})["learnt"][0])
        if not 0 <= count <= _MOST_DOMAINS:
            raise OSError(f"the server says that {count} domains are learnt, which cannot be; see its log.")
        names = self.predict(GENERATOR, "domains", {"domain": np.arange(1, count + 1)})["name_bytes"]
        return [name.decode(errors="replace") for name in names]

    def encode_files(self, paths):
        """Returns {"mean": ..., "stddev": ...}, float32 [N, D], of q(z|x) for N image files."""
        return self._of_files("serving_default", paths)

    def reconstruct(self, paths):
        """Returns a list of PNG files (bytes): the decoded means of the codes of image files."""
        return self._of_files("reconstruct", paths)["images_bytes"]

    def score(self, paths):
        """Returns {"sse": ..., "kl": ..., "nlog": ...}, float32 [N], of N image files."""
        return self._of_files("score", paths)

    def interpolate(self, a, b, weights):
        """Decodes codes on the way from the image file `a` to `b`.

        Args:
          a, b: paths.
          weights: list of float, 0 for `a` and 1 for `b`.

        Returns:
          a list of PNG files (bytes), one for each weight.
        """
        ends = {"image_a_bytes": [_read(a)] * len(weights), "image_b_bytes": [_read(b)] * len(weights)}
        try:
            return self.predict(ENCODER, "interpolate", {**ends, "weight": weights})["images_bytes"]
        except Refused as error:
            raise Refused(f"{a} or {b}: {error}") from error

    def status(self, model):
        """Returns [{"version": int, "state": str, "error": str}] of a model, the newest first.

        The state of a version that answers is "AVAILABLE".
        """
        return self._transport.status(model)

    def _signatures_of(self, model, wanted):
        """{name: types} of all signatures of a model, asked for again where `wanted` was not among them."""
        if wanted not in self._signatures.get(model, {}):
            self._signatures[model] = self._transport.signatures(model)
        return self._signatures[model]

    def _signature(self, model, signature):
        """Types of the tensors of a signature; the model's metadata is asked for once."""
        found = self._signatures_of(model, signature)
        if signature not in found:
            names = ", ".join(sorted(name for name in found if not name.startswith("__")))
            raise ValueError(f"{model} has no signature {signature}; it has {names}.")
        for name, kind in [pair for side in found[signature].values() for pair in side.items()]:
            if kind != "DT_STRING" and kind not in rest.NUMBERS:
                raise OSError(
                    f"{model}, {signature} has the tensor {name} of type {kind}, which no export of this package"
                    " has; is it another model?"
                )
        return found[signature]

    def _of_files(self, signature, paths):
        """Runs a signature of the encoder on the bytes of files."""
        paths = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
        if not paths:
            raise ValueError("there is no image file to send; name at least one.")
        step = self._max_batch
        return _joined([self._of_batch(signature, paths[i : i + step]) for i in range(0, len(paths), step)])

    def _of_batch(self, signature, paths):
        data = [_read(path) for path in paths]
        try:
            return self.predict(ENCODER, signature, {"image_bytes": data})
        except Refused:
            for path, one in zip(paths, data):  # one file spoils the request of all: which?
                try:
                    self.predict(ENCODER, signature, {"image_bytes": [one]})
                except Refused as error:
                    raise Refused(f"{path}: {error}") from error
            raise


def image_seeds(count, seed=0):
    """Returns the seeds that `Client.sample` gives to its images, int64 [count].

    They are drawn, not counted on from `seed`, so that two seeds have no images in common.
    """
    if count < 1 or seed < 0:
        raise ValueError(f"count is {count} and seed {seed}; they must be at least 1 and at least 0.")
    return np.random.default_rng(seed).integers(0, _SEEDS, count)


def _columns(where, inputs, kinds):
    """{name: array or list of bytes} with the names and types that a signature has."""
    if inputs.keys() != kinds.keys():
        raise ValueError(f"{where} takes the inputs {sorted(kinds)}; {sorted(inputs)} were given.")
    columns = {name: _column(f"{where}, {name}", inputs[name], kind) for name, kind in kinds.items()}
    if not all(map(len, columns.values())):
        raise ValueError(f"{where}: there are no rows to send; give at least one.")
    return columns


def _column(where, values, kind):
    """`values` as an array of the type `kind`, or as a list of bytes where that is a string."""
    if kind == "DT_STRING":
        wrong = (
            [values] if isinstance(values, (bytes, str)) else [v for v in values if not isinstance(v, bytes)]
        )
        if wrong:
            raise ValueError(f"{where} is or holds {wrong[0]!r:.60}; it must be a list of bytes.")
        return list(values)
    array, wanted = np.asarray(values), np.dtype(rest.NUMBERS[kind])
    if array.ndim == 0 or not np.can_cast(array.dtype, wanted, "same_kind"):
        raise ValueError(
            f"{where} is {array.dtype} {array.shape}; it must be a list or an array of {wanted},"
            " one entry a row."
        )
    with np.errstate(over="ignore"):  # what gets infinite is found below
        array = array.astype(wanted)
    _check_finite(f"{where}: to be sent are", array)
    return array


def _check_finite(what, values):
    if isinstance(values, list) or values.dtype.kind != "f":
        return
    broken = values.size - np.count_nonzero(np.isfinite(values))
    if broken:
        raise ArithmeticError(
            f"{what} {values.size} numbers, {broken} of them NaN or infinite; nothing was kept."
        )


def _joined(parts):
    """Sets the answers to the parts of a request one after the other."""
    whole = {}
    for name, first in parts[0].items():
        columns = [part[name] for part in parts]
        if not isinstance(first, list) and len({column.shape[1:] for column in columns}) > 1:
            raise OSError(
                f"the server sent rows of {name} in several shapes; was another version loaded just now?"
            )
        whole[name] = sum(columns, []) if isinstance(first, list) else np.concatenate(columns)
    return whole


def _check_rows(what, outputs, rows):
    for name, values in outputs.items():
        if len(values) != rows:
            raise OSError(f"{what}, {name}: the server sent {len(values)} rows for {rows}; see its log.")


def _read(path):
    """The bytes of an image file; a device or a pipe may have no end."""
    with open(path, "rb") as file:
        data = file.read(_LARGEST_FILE + 1)
    if len(data) > _LARGEST_FILE:
        raise ValueError(f"{path} has more than {_LARGEST_FILE >> 20} MiB; give an image file.")
    return data
