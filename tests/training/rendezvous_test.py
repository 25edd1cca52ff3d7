"""Workers wait for each other in Python, where they can be told of and ended."""

import socket
import threading
import time

import pytest

from ltgans_tf.training import rendezvous


def _addresses(count):
    servers = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    addresses = [f"127.0.0.1:{server.getsockname()[1]}" for server in servers]
    for server in servers:
        server.close()
    return addresses


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(rendezvous, "_PAUSE", 0.01)


def test_nobody_goes_on_before_the_last_one_has_come():
    addresses, ended = _addresses(3), []

    def join(own):
        rendezvous.await_others(addresses, own)
        # As TensorFlow's server does, for those who have not seen this one yet.
        host, port = addresses[own].split(":")
        with socket.create_server((host, int(port))):
            ended.append(own)
            over.wait(30)

    over = threading.Event()
    threads = [threading.Thread(target=join, args=[own]) for own in range(3)]
    try:
        threads[0].start(), threads[1].start()
        time.sleep(0.3)
        assert not ended
        threads[2].start()
        deadline = time.monotonic() + 30
        while len(ended) < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert sorted(ended) == [0, 1, 2]
    finally:
        over.set()
        for thread in threads:
            thread.join()


def test_the_wait_is_told_with_who_is_missing_and_why(monkeypatch):
    monkeypatch.setattr(rendezvous, "_TELL_EVERY", 0.05)
    addresses, told, come = _addresses(3), [], []

    def tell(text, *values):
        told.append(text % values)
        if len(told) == 3:
            come.append(socket.create_server(("127.0.0.1", int(addresses[1].split(":")[1]))))

    monkeypatch.setattr(rendezvous._log, "warning", tell)
    with socket.create_server(("127.0.0.1", int(addresses[2].split(":")[1]))):
        rendezvous.await_others(addresses, 0)
    come[0].close()
    assert len(told) == 3
    for line in told:
        assert f"for 1 of 2 others to start; worker 1 ({addresses[1]}): Connection refused." in line


def test_a_port_in_use_and_an_address_without_port_are_refused():
    with socket.create_server(("", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(ConnectionError, match=f"listen at its port {port} .*in use by an earlier run"):
            rendezvous.await_others([f"127.0.0.1:{port}", "127.0.0.1:1"], 0)
    for wrong in ("here", "here:", ":2222", "here:0", "here:70000", "here:²"):
        with pytest.raises(ValueError, match="must be host:port"):
            rendezvous.await_others([wrong, "127.0.0.1:1"], 0)
