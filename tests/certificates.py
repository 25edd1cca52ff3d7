"""Certificates of an authority of our own, for servers of tests on 127.0.0.1."""

import shutil
import subprocess

import pytest

needs_openssl = pytest.mark.skipif(not shutil.which("openssl"), reason="certificates are made by openssl")


def make(folder):
    """Writes ca.pem, other.pem (another authority) and the server's server.pem and server.key to a folder."""
    key = ("-newkey", "rsa:2048", "-nodes")
    for name in ("ca", "other"):
        out = ("-keyout", folder / f"{name}.key", "-out", folder / f"{name}.pem", "-days", "2")
        _openssl("req", "-x509", *key, *out, "-subj", f"/CN={name}")
    request = ("-keyout", folder / "server.key", "-out", folder / "server.csr", "-subj", "/CN=server")
    _openssl("req", *key, *request)
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1\n")
    signer = ("-CA", folder / "ca.pem", "-CAkey", folder / "ca.key", "-CAcreateserial", "-days", "2")
    signed = ("-in", folder / "server.csr", "-out", folder / "server.pem", "-extfile", folder / "names")
    _openssl("x509", "-req", *signer, *signed)
    return folder


def _openssl(*words):
    done = subprocess.run(["openssl", *map(str, words)], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr)
