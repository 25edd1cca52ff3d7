"""TensorFlow Serving's REST interface, with the standard library alone.

Tensors are sent in the column format, `{"inputs": {name: column}}`, never as rows (`instances`):
names are written once and not once a row, each input may have its own first dimension, and the
answer is read the same way whether there are one, two or no rows. Its one gap, that the name of a
lone output is left out, the row format has too; the names are taken from the model's metadata.
Numbers are exact: the server prints float32 so that it reads back to the same bits.
"""

import base64
import functools
import http.client
import json
import re
import ssl
import urllib.parse

import numpy as np

from export import failures

NUMBERS = {
    "DT_FLOAT": np.float32,
    "DT_DOUBLE": np.float64,
    "DT_INT32": np.int32,
    "DT_INT64": np.int64,
    "DT_UINT8": np.uint8,
    "DT_BOOL": np.bool_,
}

MOST_BYTES = 2**28  # of one answer: 64 images of 256 x 256 as text are 150 MB
# What reading an answer of another form ends in.
_MALFORMED = (AttributeError, KeyError, TypeError, ValueError, OverflowError)


class Rest:
    """Asks one server about models in one version.

    Args:
      url: http:// or https:// address of the REST port.
      timeout: seconds that the server may be silent.
      retries, wait: see `failures.retried`.
      version: int, or None for the newest that is loaded.
      label: name of a version in the server's configuration, or None; not with `version`.
      authorization: value of the header of this name, or None to send none.
      ca_file: PEM file of the authorities that an https:// server's certificate may be signed by; None for
        those of this machine.

    Raises:
      ValueError: no such address, or a `ca_file` that holds no certificates.
    """

    def __init__(
        self, url, timeout, retries, wait, version=None, label=None, authorization=None, ca_file=None
    ):
        self.place = url.rstrip("/")
        self._timeout, self._retries, self._wait = timeout, retries, wait
        try:
            parts = urllib.parse.urlsplit(self.place)
            self._host, self._port, self._prefix = parts.hostname, parts.port, parts.path
        except ValueError:
            parts = self._host = None
        strange = not all("!" <= letter <= "~" for letter in self.place)
        if strange or not self._host or parts.scheme not in ("http", "https"):
            raise ValueError(f"the address is {url!r}; it must look like http://localhost:8501.")
        secure = parts.scheme == "https"
        self._connect = http.client.HTTPConnection
        if secure:
            self._connect = functools.partial(http.client.HTTPSConnection, context=tls_context(ca_file))
        elif ca_file is not None:
            raise ValueError(
                f"a CA file is of use with https:// alone, and the address is {url}; leave it out."
            )
        self._headers = {"Content-Type": "application/json"}
        if authorization is not None:
            self._headers["Authorization"] = authorization
        self._which, self._words = "", ""
        if version is not None:
            self._which, self._words = f"/versions/{version}", f", version {version}"
        elif label is not None:
            self._which, self._words = f"/labels/{_quoted(label)}", f", label {label}"

    def predict(self, model, signature, inputs, outputs):
        """Runs a signature.

        Args:
          model, signature: names.
          inputs: {name: NumPy array or list of bytes}.
          outputs: {name: type} of the signature, as `signatures` tells.

        Returns:
          {name: NumPy array, or list of bytes}.
        """
        body = {"signature_name": signature, "inputs": {name: _column(v) for name, v in inputs.items()}}
        answer = self._ask(f"{model}{self._words}", f"/{_quoted(model)}{self._which}:predict", body)
        columns = self._part(answer, "outputs")
        if len(outputs) == 1:
            columns = dict.fromkeys(outputs, columns)
        try:
            return {name: _array(columns[name], kind) for name, kind in outputs.items()}
        except _MALFORMED as error:
            raise OSError(
                f"{self.place} answered {model}, {signature} with other tensors than its metadata names"
                f" ({failures.shorten(repr(error))}); is it TensorFlow Serving, and the same version?"
            ) from error

    def signatures(self, model):
        """Returns {signature: {"inputs": {name: type}, "outputs": {name: type}}}; "DT_FLOAT" is a type."""
        answer = self._ask(f"{model}{self._words}", f"/{_quoted(model)}{self._which}/metadata")
        found = self._part(answer, "metadata", "signature_def", "signature_def")
        try:
            return {
                name: {
                    side: {tensor: _text(info["dtype"]) for tensor, info in entry.get(side, {}).items()}
                    for side in ("inputs", "outputs")
                }
                for name, entry in found.items()
            }
        except _MALFORMED:
            raise self._stranger(json.dumps(answer).encode()) from None

    def status(self, model):
        """Returns [{"version": int, "state": str, "error": str}] of all versions, newest first."""
        answer = self._ask(model, f"/{_quoted(model)}")
        found = self._part(answer, "model_version_status")
        try:
            versions = [
                {
                    "version": _number(entry["version"]),
                    "state": _text(entry["state"]),
                    "error": failures.shorten(entry.get("status", {}).get("error_message", "")),
                }
                for entry in found
            ]
        except _MALFORMED:
            raise self._stranger(json.dumps(answer).encode()) from None
        return sorted(versions, key=lambda entry: -entry["version"])

    def _ask(self, target, path, body=None):
        """Returns the JSON that the server has for a path below /v1/models."""
        path = f"{self._prefix}/v1/models{path}"
        data = None if body is None else json.dumps(body, allow_nan=False).encode()

        def once():
            status, answer = self._exchange(path, data)
            if status != 200:
                raise failures.failure(self.place, target, status, f"HTTP {status}", _reason(answer))
            return answer

        answer = failures.retried(once, self._retries, self._wait)
        try:
            return json.loads(answer)
        except (ValueError, RecursionError):
            raise self._stranger(answer) from None

    def _exchange(self, path, data):
        """(HTTP status, body) of one request on a connection of its own."""
        connection = self._connect(self._host, self._port, timeout=self._timeout)
        try:
            connection.request("GET" if data is None else "POST", path, data, self._headers)
            response = connection.getresponse()
            answer = response.read(MOST_BYTES + 1)
            if len(answer) > MOST_BYTES:
                raise failures.too_large(self.place, MOST_BYTES)
            # http.client tells of an answer that breaks off only where all of it is asked for.
            if response.length:
                raise http.client.IncompleteRead(b"", response.length)
            return response.status, answer
        except ssl.SSLCertVerificationError as error:
            raise failures.untrusted(self.place, error) from error
        except (ConnectionError, TimeoutError, http.client.IncompleteRead) as error:
            raise failures.unreachable(self.place, error) from error
        except http.client.HTTPException as error:
            raise self._stranger(str(error).encode()) from error
        except failures.TooLarge:
            raise
        except (OSError, UnicodeError) as error:  # a name that is unknown, a server without TLS
            raise ConnectionError(f"{self.place} can not be reached ({error}); check the address.") from error
        finally:
            connection.close()

    def _part(self, answer, *keys):
        found = answer
        for key in keys:
            if not isinstance(found, dict) or key not in found:
                raise self._stranger(json.dumps(answer).encode())
            found = found[key]
        return found

    def _stranger(self, answer):
        said = failures.shorten(answer[:1000].decode(errors="replace"))
        return OSError(
            f"{self.place} answered {said!r}, which is not what TensorFlow Serving answers; give the"
            " address of its REST port, 8501 unless it was set."
        )


def _quoted(name):
    return urllib.parse.quote(str(name), safe="")


def _column(values):
    """A tensor as JSON has it; bytes go in base64."""
    if isinstance(values, list):
        return [{"b64": base64.b64encode(value).decode()} for value in values]
    return values.tolist()


def _array(column, kind):
    """A column of the answer as an array, that of strings as a list of bytes."""
    if not isinstance(column, list):
        raise TypeError(f"{column!r:.60} is no list")
    if kind != "DT_STRING":
        with np.errstate(over="ignore"):  # what gets infinite the client finds
            return np.asarray(column, NUMBERS[kind])
    return [_bytes(value) for value in column]


def _bytes(value):
    return base64.b64decode(value["b64"], validate=True) if isinstance(value, dict) else value.encode()


def _text(value):
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _number(value):
    """A version as the server writes it: an int64 in a text."""
    if not re.fullmatch("[0-9]{1,19}", str(value)):
        raise ValueError(f"{value!r} is no version")
    return int(value)


def tls_context(ca_file):
    """What certificates of servers are held against: those that `ca_file` has signed, None for those of this machine."""
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise ValueError(
            f"{ca_file} holds no certificates in PEM format ({error}); give the CA's file."
        ) from error


def _reason(answer):
    """The server's message; old servers escape quotes so that theirs is no JSON: then all of it."""
    try:
        return json.loads(answer)["error"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return answer.decode(errors="replace")
