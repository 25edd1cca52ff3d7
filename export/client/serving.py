"""The client, which sends requests to the generator and the encoder of a server."""

import os

import numpy as np

from ltgans_tf.export.client import rest, tensors
from ltgans_tf.export.client.failures import Refused
from ltgans_tf.export.client.settings import Settings
from ltgans_tf.networks import domain_codes

GENERATOR, ENCODER = "generator", "encoder"
_MOST_DOMAINS = 100_000
_LARGEST_FILE = 256 << 20  # bytes
_SEEDS = 2**53  # smaller seeds are exact in languages whose only numbers are float64, such as JavaScript


class Client:
    """Sends requests to the generator and the encoder that a server serves.

    Args:
      url: address of the server's REST port.
      grpc: address of its gRPC port ("localhost:8500"), to use that instead of REST.
      **settings: see `settings.Settings`.

    Raises:
      ValueError: an address or a setting is invalid.
    """

    def __init__(self, url="http://localhost:8501", grpc=None, **settings):
        self._settings = Settings(**settings)
        if grpc is None:
            self._transport = rest.Rest(url, self._settings)
        else:
            from ltgans_tf.export.client import grpc_transport

            self._transport = grpc_transport.Grpc(grpc, self._settings)
        self._signatures = {}

    def predict(self, model, signature, inputs):
        """Runs a signature of a model.

        Args:
          model, signature: names.
          inputs: {name: list or array}; the first dimension counts the rows, and strings are bytes. Inputs
            with equal numbers of rows are split into requests of `max_batch` rows. So no row of an answer
            may depend on another row; in exports none does.

        Returns:
          {name: array}; strings as a list of bytes.

        Raises:
          ValueError: no such model (NotServed), signature or input, or the server refuses the
            values (Refused).
          OSError: there is no server, or it failed.
          ArithmeticError: NaN or infinity among the values sent or received.
        """
        entry = self._signature(model, signature)
        columns = tensors.columns(f"{model}, {signature}", inputs, entry["inputs"])
        rows = {len(column) for column in columns.values()}
        step = self._settings.max_batch if len(rows) == 1 else max(rows)
        parts = []
        for i in range(0, max(rows), step):
            part = {name: column[i : i + step] for name, column in columns.items()}
            parts.append(self._transport.predict(model, signature, part, entry["outputs"]))
        outputs = tensors.joined(parts)
        for name, column in outputs.items():
            what = f"{model}, {signature}, {name}: the server sent"
            if len(rows) == 1 and len(column) != max(rows):
                raise OSError(f"{what} {len(column)} rows for {max(rows)}; see its log.")
            tensors.check_finite(what, column)
        return outputs

    def sample(self, count, seed=0, truncation=1.0, domain=None):
        """Draws images.

        Args:
          count: at least 1.
          seed: int of at least 0. The same seed gives the same images, and a larger count only adds further
            ones. `image_seeds` gives the seed of each image.
          truncation: 1.0 for the model's own law of latents.
          domain: name of a domain, or its number counted from 1; None to derive it for each image from the seed.

        Returns:
          a list of PNG files, bytes.

        Raises:
          ValueError: the domain is unknown, or the generator has no domain codes. Further errors: see `predict`.
        """
        inputs = {"seed": image_seeds(count, seed), "truncation": np.full(count, truncation, np.float32)}
        if domain is None:
            return self.predict(GENERATOR, "sample_png", inputs)["images_bytes"]
        number = 1 + domain_codes.domain_index(domain, self.domains())
        inputs["domain"] = np.full(count, number)
        return self.predict(GENERATOR, "sample_domain_png", inputs)["images_bytes"]

    def domains(self):
        """Returns the names of the domains that the generator has codes for, in order.

        Raises:
          ValueError: the generator has no domain codes. Further errors: see `predict`.
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
        """Encodes image files and decodes the means of their codes; returns a list of PNG files, bytes."""
        return self._of_files("reconstruct", paths)["images_bytes"]

    def score(self, paths):
        """Returns {"sse": ..., "kl": ..., "nlog": ...}, float32 [N], of N image files."""
        return self._of_files("score", paths)

    def interpolate(self, a, b, weights):
        """Decodes codes on the line from the code of image file `a` to the code of `b`.

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

        A version that answers has the state "AVAILABLE".
        """
        return self._transport.status(model)

    def _signatures_of(self, model, wanted):
        """Returns {name: types} of all signatures of a model; asks the server again if `wanted` is not among them."""
        if wanted not in self._signatures.get(model, {}):
            self._signatures[model] = self._transport.signatures(model)
        return self._signatures[model]

    def _signature(self, model, signature):
        """Returns the types of the tensors of a signature."""
        found = self._signatures_of(model, signature)
        if signature not in found:
            names = ", ".join(sorted(name for name in found if not name.startswith("__")))
            raise ValueError(f"{model} has no signature {signature}; it has {names}.")
        for name, kind in [pair for side in found[signature].values() for pair in side.items()]:
            if kind != "DT_STRING" and kind not in tensors.NUMBERS:
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
        step = self._settings.max_batch
        return tensors.joined(
            [self._of_batch(signature, paths[i : i + step]) for i in range(0, len(paths), step)]
        )

    def _of_batch(self, signature, paths):
        data = [_read(path) for path in paths]
        try:
            return self.predict(ENCODER, signature, {"image_bytes": data})
        except Refused:
            for path, one in zip(paths, data):  # finds the file that made the server refuse all
                try:
                    self.predict(ENCODER, signature, {"image_bytes": [one]})
                except Refused as error:
                    raise Refused(f"{path}: {error}") from error
            raise


def image_seeds(count, seed=0):
    """Returns the seeds that `Client.sample` gives to its images, int64 [count].

    They are random and not consecutive, so that two seeds have no images in common.
    """
    if count < 1 or seed < 0:
        raise ValueError(f"count is {count} and seed {seed}; they must be at least 1 and at least 0.")
    return np.random.default_rng(seed).integers(0, _SEEDS, count)


def _read(path):
    """Reads the bytes of an image file; refuses a long one early, as a device or a pipe may have no end."""
    with open(path, "rb") as file:
        data = file.read(_LARGEST_FILE + 1)
    if len(data) > _LARGEST_FILE:
        raise ValueError(f"{path} has more than {_LARGEST_FILE >> 20} MiB; give an image file.")
    return data
