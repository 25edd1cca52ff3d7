"""A server of fake models, and images to send to it."""

import types

import pytest

from ltgans_tf.export.client import failures
from tests import fake_models, rest_double


@pytest.fixture
def double():
    with rest_double.Double(fake_models.models()) as double:
        yield double


@pytest.fixture
def waits(monkeypatch):
    """Seconds that the client would have waited for; it does not."""
    waits = []
    monkeypatch.setattr(failures, "time", types.SimpleNamespace(sleep=waits.append))
    return waits


@pytest.fixture
def pictures(tmp_path):
    return fake_models.write_pngs(tmp_path)
