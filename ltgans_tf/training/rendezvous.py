"""Waits in Python for the other workers of a run, because SIGTERM cannot interrupt TensorFlow's own wait.

A worker listens at its own address until it has reached all other workers. It then continues to TensorFlow, whose
server listens at the same address.
"""

import contextlib
import logging
import socket
import time

_log = logging.getLogger(__name__)
_TELL_EVERY = 30  # seconds
_PAUSE = 0.2  # seconds between two rounds of attempts
_ATTEMPT = 2.0  # seconds that one attempt may take


def await_others(addresses, own):
    """Returns once something listens at the address of each other worker; warns every half minute until then.

    Args:
      addresses: list of 'host:port', of all workers.
      own: index of this worker in `addresses`.

    Raises:
      ValueError: an address is not 'host:port'.
      ConnectionError: the port of this worker is taken.
    """
    places = [_place(address) for address in addresses]
    missing = {index: "" for index in range(len(places)) if index != own}
    begin = told = time.monotonic()
    with _listening(places[own][1]):
        while True:
            missing = {index: reason for index in missing if (reason := _unreachable(places[index]))}
            if not missing:
                return
            now = time.monotonic()
            if now - told >= _TELL_EVERY:
                told = now
                index, reason = next(iter(missing.items()))
                _log.warning(
                    "this worker has waited %.0f s for %d of %d others to start; worker %d (%s): %s.",
                    now - begin,
                    len(missing),
                    len(places) - 1,
                    index,
                    addresses[index],
                    reason,
                )
            time.sleep(_PAUSE)


def _place(address):
    host, _, port = address.rpartition(":")
    if not (host and port.isascii() and port.isdecimal() and 0 < int(port) < 65536):
        raise ValueError(f"the address of a worker is {address!r}; it must be host:port, as 10.0.0.1:2222.")
    return host.strip("[]"), int(port)


@contextlib.contextmanager
def _listening(port):
    both = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if both else socket.AF_INET
    try:
        server = socket.create_server(("", port), family=family, backlog=4096, dualstack_ipv6=both)
    except OSError as error:
        raise ConnectionError(
            f"this worker cannot listen at its port {port} ({error.strerror}); is it in use by an earlier run?"
        ) from error
    with server:  # the kernel makes connections, so no code has to accept them
        yield


def _unreachable(place):
    """Returns why nothing can be reached at `place`, or ''."""
    try:
        with socket.create_connection(place, _ATTEMPT) as connection:
            # On one machine the kernel may choose the same port for our end, and connect it to itself.
            return "Connection to itself" if connection.getsockname() == connection.getpeername() else ""
    except OSError as error:
        return error.strerror or str(error)
