"""Talks to TensorFlow Serving over REST, with the standard library alone.

Tensors go in the column format, `{"inputs": {name: column}}`, and never as rows (`instances`). So each name is
written once, each input may have its own first dimension, and answers with any number of rows have one form.
Like the row format, it omits the name of a single output; the model's metadata has this name. Numbers are exact: the
server prints each float32 so that it reads back to the same bits.
"""

import base64
import functools
import http.client
import json
import re
import ssl
import urllib.parse

import numpy as np

from ltgans_tf.export.client import failures
from ltgans_tf.export.client.tensors import NUMBERS

MOST_BYTES = 2**28  # of one answer: 64 images of 256 x 256 as text are 150 MB
# What Python raises while it reads an answer of unexpected form.
_MALFORMED = (AttributeError, KeyError, TypeError, ValueError, OverflowError)


class Rest:
    """Asks one server over REST.

    Args:
      url: http:// or https:// address of the REST port.
      settings: `settings.Settings`; here `timeout` bounds how long the server may be silent.

    Raises:
      ValueError: the address is wrong, or the `ca_file` holds no certificates or is of no use.
    """

    def __init__(self, url, settings):
        self.place = url.rstrip("/")
        self._settings = settings
        try:
            parts = urllib.parse.urlsplit(self.place)
            self._host, self._port, self._prefix = parts.hostname, parts.port, parts.path
        except ValueError:
            parts = self._host = None
        strange = not all("!" <= letter <= "~" for letter in self.place)
        if strange or not self._host or parts.scheme not in ("http", "https"):
            raise ValueError(f"the address is {url!r}; it must look like http://localhost:8501.")
        self._connect = http.client.HTTPConnection
        if parts.scheme == "https":
            context = tls_context(settings.ca_file)
            self._connect = functools.partial(http.client.HTTPSConnection, context=context)
        elif settings.ca_file is not None:
            raise ValueError(
                f"a CA file is of use with https:// alone, and the address is {url}; leave it out."
            )
        self._headers = {"Content-Type": "application/json"}
        if settings.authorization is not None:
            self._headers["Authorization"] = settings.authorization
        self._which = ""
        if settings.version is not None:
            self._which = f"/versions/{settings.version}"
        elif settings.label is not None:
            self._which = f"/labels/{_quoted(settings.label)}"

    def predict(self, model, signature, inputs, outputs):
        """Runs a signature.

        Args:
          model, signature: names.
          inputs: {name: NumPy array or list of bytes}.
          outputs: {name: type}, which `signatures` returns.

        Returns:
          {name: NumPy array, or list of bytes}.
        """
        body = {"signature_name": signature, "inputs": {name: _column(v) for name, v in inputs.items()}}
        answer = self._ask(self._settings.target(model), f"/{_quoted(model)}{self._which}:predict", body)
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
        """Returns {signature: {"inputs": {name: type}, "outputs": {name: type}}}, with types such as "DT_FLOAT"."""
        answer = self._ask(self._settings.target(model), f"/{_quoted(model)}{self._which}/metadata")
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
        """Returns what the server answers, parsed from JSON.

        Args:
          target: model and version, for messages.
          path: below /v1/models.
          body: JSON-ready content to post; None to get.
        """
        path = f"{self._prefix}/v1/models{path}"
        data = None if body is None else json.dumps(body, allow_nan=False).encode()

        def once():
            status, answer = self._exchange(path, data)
            if status != 200:
                raise failures.failure(self.place, target, status, f"HTTP {status}", _reason(answer))
            return answer

        answer = failures.retried(once, self._settings.retries, self._settings.wait)
        try:
            return json.loads(answer)
        except (ValueError, RecursionError):
            raise self._stranger(answer) from None

    def _exchange(self, path, data):
        """Sends one request on a new connection; returns (HTTP status, body)."""
        connection = self._connect(self._host, self._port, timeout=self._settings.timeout)
        try:
            connection.request("GET" if data is None else "POST", path, data, self._headers)
            response = connection.getresponse()
            answer = response.read(MOST_BYTES + 1)
            if len(answer) > MOST_BYTES:
                raise failures.too_large(self.place, MOST_BYTES)
            # A read with a limit does not raise for an answer that breaks off.
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
        except (OSError, UnicodeError) as error:  # an unknown name, a server without TLS
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
    """Returns a tensor for JSON, with bytes in base64."""
    if isinstance(values, list):
        return [{"b64": base64.b64encode(value).decode()} for value in values]
    return values.tolist()


def _array(column, kind):
    """Returns a column of the answer as an array, or as a list of bytes if it holds strings."""
    if not isinstance(column, list):
        raise TypeError(f"{column!r:.60} is no list")
    if kind != "DT_STRING":
        with np.errstate(over="ignore"):  # the client later refuses what became infinite
            return np.asarray(column, NUMBERS[kind])
    return [_bytes(value) for value in column]


def _bytes(value):
    return base64.b64decode(value["b64"], validate=True) if isinstance(value, dict) else value.encode()


def _text(value):
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _number(value):
    """Returns a version, which the server writes as text, as an int."""
    if not re.fullmatch("[0-9]{1,19}", str(value)):
        raise ValueError(f"{value!r} is no version")
    return int(value)


def tls_context(ca_file):
    """Returns a TLS context that trusts the authorities in `ca_file`, or those of this machine for None."""
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise ValueError(
            f"{ca_file} holds no certificates in PEM format ({error}); give the CA's file."
        ) from error


def _reason(answer):
    """Returns the server's message; if the answer is not JSON (old servers escape quotes wrongly), the whole answer."""
    try:
        return json.loads(answer)["error"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return answer.decode(errors="replace")
