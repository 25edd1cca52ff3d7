"""Answers that no TensorFlow Serving gives: each ends the client in one sentence."""

import json
import random
import ssl

import pytest

from ltgans_tf.export import access
from ltgans_tf.export.client import Client, failures, rest, serving
from ltgans_tf.export.client import __main__ as command
from tests import certificates, fake_models, proxy, random_changes, rest_double

STATUS = {"model_version_status": [{"version": "2", "state": "AVAILABLE", "status": {"error_message": ""}}]}
FLOATS = {"dtype": "DT_FLOAT", "tensor_shape": {"dim": [{"size": "-1"}]}, "name": "x:0"}
SIGNATURE = {"inputs": {"x": FLOATS}, "outputs": {"y": FLOATS}}
METADATA = {"metadata": {"signature_def": {"signature_def": {"serving_default": SIGNATURE}}}}
OUTPUTS = {"outputs": [1.0, 2.0]}


def _json(value):
    return json.dumps(value).encode()


def _status(asked):
    return asked.status("generator")


def _predict(asked):
    return asked.predict("m", "serving_default", {"x": [1, 2]})


def _asked(double, answers, call):
    double.faults += [(200, answer) for answer in answers]
    return call(Client(double.url, retries=0))


@pytest.mark.parametrize(
    "entry",
    [
        None,
        [],
        {"version": "two", "state": "END"},
        {"version": "\N{SUPERSCRIPT TWO}", "state": "END"},
        {"version": 1.5, "state": "END"},
        {"version": "1", "state": 3},
        {"version": "1"},
        {"version": "1", "state": "END", "status": []},
    ],
)
def test_a_status_that_is_none_is_one_sentence(double, entry):
    with pytest.raises(OSError, match="not what TensorFlow Serving answers"):
        _asked(double, [_json({"model_version_status": [entry]})], _status)


@pytest.mark.parametrize(
    "found",
    [
        [],
        {"a": []},
        {"a": {"inputs": []}},
        {"a": {"inputs": {"x": {}}}},
        {"a": {"inputs": {"x": {"dtype": 1}}}},
    ],
)
def test_metadata_that_is_none_is_one_sentence(double, found):
    with pytest.raises(OSError, match="not what TensorFlow Serving answers"):
        _asked(double, [_json({"metadata": {"signature_def": {"signature_def": found}}})], _predict)


def test_types_that_no_export_has_are_named(double):
    strange = json.loads(json.dumps(METADATA))
    strange["metadata"]["signature_def"]["signature_def"]["serving_default"]["outputs"]["y"]["dtype"] = (
        "DT_HALF"
    )
    with pytest.raises(OSError, match="tensor y of type DT_HALF"):
        _asked(double, [_json(strange)], _predict)


@pytest.mark.parametrize(
    "outputs, words",
    [
        ([1.0], "sent 1 rows for 2"),
        ([1, 2, 3], "sent 3 rows for 2"),
        (1.0, "other tensors than its metadata"),
        ("ab", "other tensors than its metadata"),
        ([[1], [2, 3]], "other tensors than its metadata"),
        ([10**400, 1], "other tensors than its metadata"),
        ([None, {}], "other tensors than its metadata"),
    ],
)
def test_outputs_that_do_not_fit_are_one_sentence(double, outputs, words):
    with pytest.raises(OSError, match=words):
        _asked(double, [_json(METADATA), _json({"outputs": outputs})], _predict)


def test_json_that_is_nested_too_deep_is_one_sentence(double):
    for answer in (b"[" * 100_000, b'{"model_version_status": [' + b"9" * 5000 + b"]}"):
        with pytest.raises(OSError, match="not what TensorFlow Serving answers"):
            _asked(double, [answer], _status)
    double.faults.append((400, b"[" * 100_000))
    with pytest.raises(failures.Refused):
        _status(Client(double.url))


@pytest.mark.parametrize("count", [-1, 10**12])
def test_a_number_of_domains_that_cannot_be_is_refused(double, count):
    del double.models["generator"].versions[2]["domains"]
    int64 = ("DT_INT64", [-1])
    double.models["generator"].versions[2]["domains"] = rest_double.Signature(
        {"domain": int64},
        {"learnt": int64, "name_bytes": ("DT_STRING", [-1])},
        lambda domain: {"learnt": domain * 0 + count, "name_bytes": [b"a"] * len(domain)},
    )
    with pytest.raises(OSError, match=f"says that {count} domains are learnt"):
        Client(double.url).domains()


def test_an_answer_without_end_is_not_read_whole(double, monkeypatch):
    monkeypatch.setattr(rest, "MOST_BYTES", 2**20)
    asked = []
    read = rest.http.client.HTTPResponse.read
    monkeypatch.setattr(
        rest.http.client.HTTPResponse, "read", lambda self, amt=None: asked.append(amt) or read(self, amt)
    )
    with pytest.raises(OSError, match=r"answers with more than 1 MiB; ask for less at once"):
        _asked(double, [b" " * (3 * 2**20)], _status)
    assert asked == [2**20 + 1]
    assert _asked(double, [_json(STATUS) + b" " * (2**20 - len(_json(STATUS)))], _status)[0]["version"] == 2


def test_an_image_file_without_end_is_not_read_whole(double, monkeypatch):
    monkeypatch.setattr(serving, "_LARGEST_FILE", 1 << 20)
    for ask in (
        lambda asked: asked.encode_files(["/dev/zero"]),
        lambda asked: asked.interpolate("/dev/zero", "/dev/zero", [0.5]),
    ):
        with pytest.raises(ValueError, match="/dev/zero has more than 1 MiB; give an image file"):
            ask(Client(double.url))


def test_pictures_that_are_none_are_one_sentence(tmp_path):
    bomb = fake_models.png([0, 0])[:16] + (10**5).to_bytes(4, "big") * 2 + fake_models.png([0, 0])[24:]
    for data in (b"GIF89a", b"", fake_models.png([0, 0])[:40], bomb):
        with pytest.raises(OSError, match="for a PNG file"):
            command._write_grid(str(tmp_path / "x.png"), [data])
    assert not list(tmp_path.iterdir())


def test_the_authorisation_goes_with_every_request_and_is_not_printed(double, tmp_path, monkeypatch):
    seen = []
    serve = rest_double.Double._serve
    monkeypatch.setattr(
        rest_double.Double,
        "_serve",
        lambda self, handler, body: (
            seen.append(handler.headers["Authorization"]) or serve(self, handler, body)
        ),
    )
    (tmp_path / "token").write_text("Bearer abc\n")
    authorization = access._first_line(tmp_path / "token")
    with pytest.raises(ValueError, match="one line of printable ASCII"):
        Client(double.url, authorization=access._first_line("/dev/zero"))
    Client(double.url, authorization=authorization).sample(1)
    assert seen == ["Bearer abc"] * 2
    Client(double.url).status("generator")
    assert seen[2:] == [None]
    for text in ("", "Bearer a\nX: b", "Bearer \N{DEGREE SIGN}"):
        with pytest.raises(ValueError, match="one line of printable ASCII; it is something else.$"):
            Client(double.url, authorization=text)
    double.faults.append((401, b'{"error": "who are you"}'))
    with pytest.raises(failures.Refused, match="who are you.*give --authorization_file"):
        Client(double.url).status("generator")


def test_a_ca_file_must_be_one_and_be_of_use(tmp_path):
    (tmp_path / "ca.pem").write_text("no certificate")
    with pytest.raises(ValueError, match="ca.pem holds no certificates"):
        Client("https://localhost:1", ca_file=str(tmp_path / "ca.pem"))
    with pytest.raises(ValueError, match="of use with https:// alone"):
        Client("http://localhost:1", ca_file=str(tmp_path / "ca.pem"))


@certificates.needs_openssl
def test_the_certificate_of_the_named_authority_alone_is_taken(tmp_path):
    folder, context = certificates.make(tmp_path), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem", folder / "server.key")
    with rest_double.Double(fake_models.models()) as double:
        double._server.socket = context.wrap_socket(double._server.socket, server_side=True)
        url = double.url.replace("http://", "https://")
        assert len(Client(url, ca_file=str(folder / "ca.pem")).sample(2)) == 2
        for ca_file in (str(folder / "other.pem"), None):
            with pytest.raises(ConnectionError, match="is not to be trusted .*--ca_file") as error:
                Client(url, ca_file=ca_file, wait=60).status("generator")
            assert "\n" not in str(error.value)


def test_rest_asks_no_proxy(double, monkeypatch):
    with proxy.Proxy("127.0.0.1:1") as asked:
        for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, asked.url)
        assert Client(double.url).status("generator")
        assert not asked.requests


JUNK = [None, True, -1, 0, 1e300, "", "9", "DT_INT64", "DT_STRING", {"b64": "!"}, [], {}, [[1.0]], 10**30]


def test_random_answers_end_in_a_sentence_or_are_taken(monkeypatch):
    """6,000 answers: status, metadata and outputs, a third each, changed in one to three places."""
    draw, ended, taken = random.Random(0), 0, 0
    asked = Client("http://localhost:1", retries=0)
    for i in range(6000):
        answers = [[STATUS], [METADATA, OUTPUTS], [METADATA, OUTPUTS]][i % 3]
        answers = [json.dumps(answer) for answer in answers]
        place = 1 if i % 3 == 2 else 0
        changed = json.loads(answers[place])
        for _ in range(draw.randint(1, 3)):
            changed = random_changes.changed(draw, changed, JUNK)
        answers[place] = json.dumps(changed)
        waiting = [(200, answer.encode()) for answer in answers]
        monkeypatch.setattr(asked._transport, "_exchange", lambda *_: waiting.pop(0))
        asked._signatures.clear()
        try:
            _predict(asked) if i % 3 else _status(asked)
            taken += 1
        except (ValueError, OSError, ArithmeticError) as error:
            assert "\n" not in str(error) and len(str(error)) < 1000
            ended += 1
    assert taken > 300 and ended > 3000
