"""Fixtures of the tests of data."""

import pytest

from tests.data.small_images import save_image


@pytest.fixture(name="folder")
def _folder(tmp_path):
    """Classes a and b of 40 images each; the value of an image is its number."""
    for i in range(80):
        save_image(tmp_path / "ab"[i // 40] / f"{i:02d}.png", i)
    return tmp_path
