"""Failures between a client and TensorFlow Serving, over REST and gRPC alike.

Each transport gives the HTTP status of a failure; `failure` turns it into one exception with one sentence.
`retried` repeats a call whose failure may pass by itself.
"""

import random
import re
import time

BUSY = (429, 502, 503, 504)  # too many requests; bad gateway; unavailable; deadline passed
_MOST = 240  # characters of a server's message that are kept


class Refused(ValueError):
    """The server refuses the request, such as an image that it can't decode."""


class NotServed(ValueError):
    """The server has no such model, or has not loaded the version."""


class TooLarge(OSError):
    """An answer is larger than the client reads."""


class Busy(ConnectionError):
    """A failure that may pass by itself; `retried` writes its sentence.

    Args:
      reason: what happened, the beginning of a sentence.
      advice: what to do if it does not pass, the end of the sentence.
    """

    def __init__(self, reason, advice):
        super().__init__(reason, advice)
        self.reason, self.advice = reason, advice


def failure(place, target, status, name, message):
    """Returns the exception for an answer that is an error.

    Args:
      place: address of the server.
      target: the model, with its version or label if one was named.
      status: HTTP status of the error.
      name: the transport's name for that status ("HTTP 404", "NOT_FOUND").
      message: the server's own words, of any length.
    """
    said = f"{name}: {shorten(message)}"
    if status in BUSY:
        return Busy(f"{place} could not answer for {target} now ({said})", "wait, or send smaller batches.")
    if status == 404:
        return NotServed(
            f"{place} does not serve {target} ({said}); --status lists what is loaded, and the server's"
            " models.config must name the model."
        )
    if status in (401, 403):
        return Refused(
            f"{place} requires authorization ({said}); give --authorization_file, and use https:// if the server is"
            " not on this machine."
        )
    if 400 <= status < 500:
        return Refused(
            f"{place} refused the request to {target} ({said}); docs/serving.md says what it takes."
        )
    return OSError(f"{place} failed at the request to {target} ({said}); the server's log tells more.")


def too_large(place, most):
    """Returns the exception for an answer of more than `most` bytes."""
    return TooLarge(f"{place} answers with more than {most >> 20} MiB; ask for less at once (max_batch).")


def unreachable(place, error):
    """Returns the exception for a server that gave no answer."""
    return Busy(
        f"no answer from {place} ({shorten(error) or type(error).__name__})",
        "start TensorFlow Serving, or give its address with --url or --grpc.",
    )


def untrusted(place, error):
    """Returns the exception for a certificate that no known authority has signed, or that is for another name."""
    return ConnectionError(
        f"the certificate of {place} is not to be trusted ({shorten(error)}); name the file of the authority that signed"
        " it with --ca_file, and the address by the name that the certificate has."
    )


def retried(call, retries, wait):
    """Returns `call()`, and repeats it while it raises Busy.

    The waits double. Each is shortened at random by up to a half, so that clients that were refused together
    don't come back together.

    Args:
      call: function without arguments and without side effects.
      retries: the most repetitions.
      wait: seconds of the first wait.

    Raises:
      ConnectionError: it was Busy each time.
    """
    for tries in range(1, retries + 2):
        try:
            return call()
        except Busy as error:
            last = error
        if tries <= retries:
            time.sleep(wait * 2 ** (tries - 1) * random.uniform(0.5, 1.0))
    tried = "once" if retries == 0 else f"{retries + 1} times"
    raise ConnectionError(f"{last.reason}, tried {tried}; {last.advice}")


def shorten(message):
    """Returns a server's message as one short line, without the names of graph nodes."""
    text = re.sub(r"\[\[\{\{.*?\}\}\]\]|\d+ root error\(s\) found\.", " ", str(message), flags=re.DOTALL)
    text = "".join(letter if letter.isprintable() else " " for letter in text)
    text = " ".join(text.split())
    return text if len(text) <= _MOST else f"{text[:_MOST]}..."
