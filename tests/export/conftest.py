"""Fixtures of the tests of exports."""

import pytest

from tests.export import placeholders


@pytest.fixture
def quick(monkeypatch):
    """Writes placeholders for SavedModels, for tests of what a push does with them."""
    from ltgans_tf.export import staging

    monkeypatch.setattr(staging, "_save", placeholders.save)
