"""What the client of TensorFlow Serving does when a call fails: tries again, or says why not."""

import json
import socket
import threading
import types

import numpy as np
import pytest

from ltgans_tf.export.client import Client, failures
from tests import fake_models, rest_double


def _client(double, **settings):
    return Client(double.url, **{"wait": 0.01, **settings})


def test_server_that_is_busy_is_asked_again(double, waits):
    double.faults += [(429, b""), (503, b'{"error": "later"}'), None, (504, b"<html>"), b"{"]
    assert len(_client(double, retries=5, wait=1).sample(2)) == 2
    assert len(double.requests) == 7
    for i, wait in enumerate(waits):
        assert 0.5 * 2**i <= wait <= 2**i
    assert len(waits) == 5 and len({wait / 2**i for i, wait in enumerate(waits)}) > 1


def test_server_that_starts_late_is_reached(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    started, waits = [], []

    def sleep(seconds):
        waits.append(seconds)
        if len(waits) == 2:
            started.append(rest_double.Double(fake_models.models(), port).__enter__())

    monkeypatch.setattr(failures, "time", types.SimpleNamespace(sleep=sleep))
    try:
        assert len(Client(f"http://127.0.0.1:{port}").sample(1)) == 1
        assert len(waits) == 2
    finally:
        started[0].__exit__()


def test_server_that_stays_away_is_given_up(waits):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    with pytest.raises(ConnectionError, match=f"^no answer from {url} .*refused.*, tried 3 times; start "):
        Client(url, retries=2).sample(1)
    assert len(waits) == 2


def test_server_that_stays_busy_is_given_up(double, waits):
    double.faults += [(503, b'{"error": "no thread is free"}')] * 3
    with pytest.raises(ConnectionError, match=r"HTTP 503: no thread is free\), tried 2 times; wait"):
        _client(double, retries=1).sample(1)


def test_silent_server_is_left_after_the_timeout(double):
    double.faults += [1.0]
    with pytest.raises(ConnectionError, match=r"timed out.*, tried once; "):
        _client(double, timeout=0.1, retries=0).status("generator")
    double.faults += [1.0]
    assert _client(double, timeout=0.2, retries=1).status("generator")


@pytest.mark.parametrize(
    "status, error", [(400, failures.Refused), (404, failures.NotServed), (500, OSError)]
)
def test_other_failures_are_not_tried_again(double, waits, status, error):
    double.faults += [(status, b'{"error": "so it is"}')]
    with pytest.raises(error, match=f"HTTP {status}: so it is") as caught:
        _client(double).status("generator")
    assert not waits and not isinstance(caught.value, ConnectionError)


@pytest.mark.parametrize(
    "settings, call, message",
    [
        ({}, ("nothing", "serving_default", {}), "does not serve nothing .HTTP 404: Servable not found"),
        ({"version": 9}, ("generator", "encode", {}), r"generator, version 9 .*Specific\(generator, 9\)"),
        ({"label": "new"}, ("generator", "encode", {}), "generator, label new .*Unrecognized .*label: new"),
        (
            {},
            ("generator", "encode", {}),
            "no signature encode; it has domains, generate_png, sample_domain_png, sample_png,",
        ),
        ({}, ("generator", "generate_png", {"z": [[0]]}), r"takes the inputs \['latents'\]; \['z'\] were"),
        ({}, ("generator", "generate_png", {"latents": 1.0}), r"float64 \(\); it must be a list or an"),
        ({}, ("generator", "generate_png", {"latents": []}), "no rows to send"),
        ({}, ("generator", "generate_png", {"latents": [[0]]}), "refused the request.*HTTP 400: .*shape"),
        ({}, ("generator", "sample_png", {"seed": [1.5], "truncation": [1]}), "seed is float64 .*int64"),
        ({}, ("encoder", "score", {"image_bytes": ["cat.png"]}), "holds 'cat.png'; it must be a list of"),
        ({}, ("encoder", "score", {"image_bytes": b"\x89PNG"}), "holds b'.*PNG'; it must be a list of"),
    ],
)
def test_wrong_call_is_one_sentence(double, settings, call, message):
    with pytest.raises(ValueError, match=message):
        _client(double, **settings).predict(*call)


def test_numbers_that_are_none_go_neither_way(double):
    for latents in ([[np.nan, 1]], [[1e39, 1]]):
        with pytest.raises(ArithmeticError, match="latents: to be sent are 2 numbers, 1 of them NaN"):
            _client(double).predict("generator", "generate_png", {"latents": latents})
    assert not any(method == "POST" for method, _, _ in double.requests)
    floats = ("DT_FLOAT", [-1])
    with rest_double.Double(
        rest_double.model_of({"x": floats}, {"y": floats}, lambda x: {"y": x * np.inf})
    ) as broken:
        with pytest.raises(ArithmeticError, match="y: the server sent 3 .* 3 of"):
            _client(broken).predict("m", "serving_default", {"x": [1, 2, -1]})


def test_refused_image_is_named_without_the_names_of_nodes(double, pictures):
    paths, _ = pictures
    paths[1].write_bytes(b"no image")
    with pytest.raises(failures.Refused, match=f"^{paths[1]}: .*BMP required.\\); docs") as caught:
        _client(double, max_batch=2).encode_files(paths)
    assert "node" not in str(caught.value)
    with pytest.raises(failures.Refused, match=f"^{paths[0]} or {paths[1]}: .*BMP required"):
        _client(double).interpolate(paths[0], paths[1], [0.5])


def test_long_message_of_the_server_is_shortened(double):
    double.faults += [(400, json.dumps({"error": "\x1b[1m" + "long " * 500}).encode())]
    with pytest.raises(failures.Refused) as caught:
        _client(double).status("generator")
    assert len(str(caught.value)) < 500 and "\x1b" not in str(caught.value)


def test_message_of_an_old_server_is_shown_as_it_is(double):
    double.faults += [(400, rb'{ "error": "Missing \'inputs\' key" }')]
    with pytest.raises(failures.Refused, match="HTTP 400: .*Missing .*inputs.* key"):
        _client(double).status("generator")


@pytest.mark.parametrize("answer", [b"<html>Welcome</html>", b'{"models": []}', b"[]", b"3", b"\xff"])
def test_other_server_is_told_apart(double, answer):
    double.faults += [(200, answer)]
    with pytest.raises(OSError, match="which is not what TensorFlow Serving answers; give the address"):
        _client(double).sample(1)


@pytest.mark.parametrize(
    "outputs", [b'"no object"', b'{"mean": [[1]]}', b'{"mean": [[1], [1, 2]], "stddev": [[1]]}']
)
def test_other_tensors_than_the_metadata_names_are_not_taken(double, pictures, outputs):
    client = _client(double)
    client.score(pictures[0])
    client._signatures["encoder"]["score"] = client._signatures["encoder"]["serving_default"]
    double.faults += [(200, b'{"outputs": ' + outputs + b"}")]
    with pytest.raises(OSError, match="with other tensors than its metadata names"):
        client.score(pictures[0])


def test_port_that_speaks_no_http_is_told_apart():
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer():
            connection, _ = server.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"\x00\x00\x06\x04\x00\r\n\r\n")

        threading.Thread(target=answer, daemon=True).start()
        with pytest.raises(OSError, match="not what TensorFlow Serving answers; .* REST port, 8501"):
            Client(f"http://127.0.0.1:{server.getsockname()[1]}", retries=0).sample(1)


def test_unknown_host_is_not_tried_again(monkeypatch, waits):
    def fail(*args, **kwargs):
        raise socket.gaierror("Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(ConnectionError, match="can not be reached .Name or service not known.; check"):
        Client("http://nowhere.example:8501").sample(1)
    assert not waits
