"""What goes wrong between a client and TensorFlow Serving, over REST as over gRPC.

A failure is brought to the HTTP status that the server's REST interface has for it, and from there
to one exception with one sentence. Some failures pass by themselves: those are tried again.
"""

import random
import re
import time

BUSY = (429, 502, 503, 504)  # too many requests; bad gateway; unavailable; deadline passed
_MOST = 240  # letters that are kept of a server's message


class Refused(ValueError):
    """The server is there and does not take the request: an image it can't decode, say."""


class NotServed(ValueError):
    """The server has no such model, or has not loaded the version that is asked for."""


class TooLarge(OSError):
    """An answer is larger than any that is expected."""


class Busy(ConnectionError):
    """What may go better at another try; `retried` makes its sentence.

    Args:
      reason: what happened, the beginning of a sentence.
      advice: what to do when it stays so, the end of the sentence.
    """

    def __init__(self, reason, advice):
        super().__init__(reason, advice)
        self.reason, self.advice = reason, advice


def failure(place, target, status, name, message):
    """Returns the exception for an answer that is an error.

    Args:
      place: address of the server.
      target: what was asked of it: the model, and its version or label where one was named.
      status: HTTP status, 200 being the only one that is no error.
      name: how the transport calls that status ("HTTP 404", "NOT_FOUND").
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
            f"{place} lets nobody in without a right to it ({said}); give --authorization_file, and https:// where"
            " it is not on this machine."
        )
    if 400 <= status < 500:
        return Refused(
            f"{place} refused the request to {target} ({said}); docs/serving.md says what it takes."
        )
    return OSError(f"{place} failed at the request to {target} ({said}); the server's log tells more.")


def too_large(place, most):
    """Returns the exception for an answer of more than `most` bytes, whose rest was not read."""
    return TooLarge(f"{place} answers with more than {most >> 20} MiB; ask for less at once (max_batch).")


def unreachable(place, error):
    """Returns the exception for a server that gave no answer."""
    return Busy(
        f"no answer from {place} ({shorten(error) or type(error).__name__})",
        "start TensorFlow Serving, or give its address.",
    )


def untrusted(place, error):
    """Returns the exception for a server whose certificate no known authority has signed, or that has another name."""
    return ConnectionError(
        f"the certificate of {place} is not to be trusted ({shorten(error)}); name the file of the authority that signed"
        " it with --ca_file, and the address by the name that the certificate has."
    )


def retried(call, retries, wait):
    """Returns what `call()` returns, which is tried again while it raises Busy.

    The waits double, from `wait` seconds on, and each is shortened by up to a half at random, so
    that clients that were turned away together don't come back together.

    Args:
      call: function without arguments that has no effect but what it returns.
      retries: how often it is tried again, 0 for never.
      wait: seconds.

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
    """Returns a server's message in one line: without the names of graph nodes, and not too long."""
    text = re.sub(r"\[\[\{\{.*?\}\}\]\]|\d+ root error\(s\) found\.", " ", str(message), flags=re.DOTALL)
    text = "".join(letter if letter.isprintable() else " " for letter in text)
    text = " ".join(text.split())
    return text if len(text) <= _MOST else f"{text[:_MOST]}..."
