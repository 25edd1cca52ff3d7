"""The measurement of DiffAugment on few images: what is trained on, held out and reported."""

import json

import numpy as np
import pytest

from benchmarks import small_collections
from ltgans_tf.evaluation import features
from tests import programs


def _set(folder, count):
    """A set whose images carry their own number, as two bytes."""
    images = np.random.default_rng(0).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
    images[:, 0, 0, 0], images[:, 0, 0, 1] = np.arange(count) // 256, np.arange(count) % 256
    np.savez(folder / "numbered.npz", train_images=images, train_labels=np.arange(count) % 2)
    return str(folder / "numbered.npz")


def _numbers(images):
    return (256 * images[:, 0, 0, 0].astype(int) + images[:, 0, 0, 1]).tolist()


def test_no_image_is_both_trained_on_and_scored_on(tmp_path, monkeypatch):
    monkeypatch.setattr(features, "train", lambda domains: domains)
    path = _set(tmp_path, 60)
    (between,) = small_collections.cut(path, str(tmp_path), [5, 20], 10)
    assert sorted(_numbers(between.images)) == list(range(20, 50))
    for count in (5, 20):
        with np.load(tmp_path / f"{count}.npz") as part:
            assert _numbers(part["train_images"]) == list(range(count))
            assert _numbers(part["test_images"]) == list(range(50, 60))
    with pytest.raises(ValueError, match="has 60 training images, and 20 and 40 held-out ones leave none"):
        small_collections.cut(path, str(tmp_path), [5, 20], 40)


@pytest.mark.program
def test_it_reports_a_row_for_each_number_and_policy(tmp_path):
    _set(tmp_path, 800)
    words = (
        f"--data_dir={tmp_path} --set=numbered --counts=20 --steps=2 --held_out=700 --out={tmp_path}/out.json"
    )
    done = programs.run("benchmarks.small_collections", *words.split(), timeout=300)
    assert done.returncode == 0, done.stderr
    rows = json.loads((tmp_path / "out.json").read_text())["rows"]
    assert [(row["images"], row["diffaugment"]) for row in rows] == [
        (20, "none"),
        (20, "color,translation,cutout"),
    ]
    assert rows[0]["fcd"] != rows[1]["fcd"] and all(0 <= row["copies"] <= 1 for row in rows)
    words += " --policy=none --horizontal_flips"
    done = programs.run("benchmarks.small_collections", *words.split(), timeout=300)
    assert done.returncode == 0, done.stderr
    (mirrored,) = json.loads((tmp_path / "out.json").read_text())["rows"]
    assert mirrored["fcd_floor"] == rows[0]["fcd_floor"] and mirrored["fcd"] != rows[0]["fcd"]
