"""A proxy on this machine that leads every CONNECT to one server."""

import contextlib
import socket
import threading


class Proxy:
    """On a free port of this machine, until the end of `with`.

    Args:
      target: "host:port" that every connection is led to, whatever was asked for.

    Attributes:
      url: its address.
      requests: the first line of each request.
    """

    def __init__(self, target):
        host, _, port = target.rpartition(":")
        self._target, self.requests = (host, int(port)), []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}"

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *exception):
        self._server.close()

    def _accept(self):
        with contextlib.suppress(OSError):  # the server is closed
            while True:
                threading.Thread(target=self._lead, args=self._server.accept()[:1], daemon=True).start()

    def _lead(self, asking):
        head = b""
        while b"\r\n\r\n" not in head:
            if not (part := asking.recv(65536)):
                return
            head += part
        self.requests.append(head.split(b"\r\n")[0].decode())
        asking.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        answering = socket.create_connection(self._target)
        threading.Thread(target=_copy, args=(answering, asking), daemon=True).start()
        _copy(asking, answering)


def _copy(source, sink):
    with contextlib.suppress(OSError), source, sink:  # one side has hung up
        while part := source.recv(65536):
            sink.sendall(part)
