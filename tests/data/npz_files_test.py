"""Tests of what is read of .npz files."""

import time
import zipfile

import numpy as np
import pytest

from ltgans_tf.data import datasets
from tests.data.small_images import SHAPE, gathered, save_with_factors


def test_npz_is_read_with_labels_and_fitted(tmp_path):
    np.savez(tmp_path / "x.npz", train_images=np.full((5, 16, 16), 9, np.uint8), train_labels=np.arange(5))
    source = datasets.load(f"npz:{tmp_path}/x.npz", "train", SHAPE)
    np.testing.assert_array_equal(gathered(source, [0, 4]), np.full((2,) + SHAPE, 9))
    np.testing.assert_array_equal(source.labels, np.arange(5))


@pytest.mark.parametrize(
    "arrays, word",
    [
        ({"images": np.zeros((2, 8, 8), np.uint8)}, "train_images"),
        ({"train_images": np.zeros((2, 8, 8))}, "uint8"),
        ({"train_images": np.zeros((0, 8, 8), np.uint8)}, "n > 0"),
        ({"train_images": np.zeros((2, 3, 3), np.uint8)}, "at least 4 pixels"),
        ({"train_images": np.zeros((2, 8, 8), np.uint8), "train_labels": np.zeros(3, int)}, "2 integers"),
        ({"train_images": np.array([object()])}, "allow_pickle"),
    ],
)
def test_wrong_npz_is_refused(tmp_path, arrays, word):
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(ValueError, match=word):
        datasets.load(f"npz:{tmp_path}/x.npz", "train", SHAPE)


def test_damaged_npz_is_named(tmp_path):
    (tmp_path / "x.npz").write_bytes(b"PK\x03\x04 cut off")
    with pytest.raises(ValueError, match="x.npz"):
        datasets.load(f"npz:{tmp_path}/x.npz", "train", SHAPE)


def test_changed_npz_is_read_anew(tmp_path):
    for value in (1, 2):
        np.savez(tmp_path / "x.npz", train_images=np.full((2 + value, 8, 8), value, np.uint8))
        assert gathered(datasets.load(f"npz:{tmp_path}/x.npz", "train", SHAPE), [0]).max() == value


def test_numbers_beside_the_images_are_factors(tmp_path):
    spec = save_with_factors(
        tmp_path / "x.npz",
        test_shape=np.array([7, 8, 9, 65535], np.uint16),
        test_lit=np.array([True, False, True, True]),
        test_view=np.array([[0, 4], [1, 5], [2, 6], [3, 7.5]], np.float32),
        test_size=np.array([[1], [2], [3], [4]]),
        train_images=np.zeros((3, 8, 8), np.uint8),
        train_size=np.array([5, 6, 7]),
    )
    factors = datasets.load(spec, "test", SHAPE).factors
    expected = {
        "shape": [7, 8, 9, 65535],
        "lit": [1, 0, 1, 1],
        "view.0": [0.0, 1.0, 2.0, 3.0],
        "view.1": [4.0, 5.0, 6.0, 7.5],
        "size": [1, 2, 3, 4],
    }
    assert {name: values.tolist() for name, values in factors.items()} == expected
    kinds = {name: values.dtype for name, values in factors.items()}
    assert {n for n, kind in kinds.items() if kind == np.float64} == {"view.0", "view.1"}
    assert {n for n, kind in kinds.items() if kind == np.int64} == {"shape", "lit", "size"}
    assert datasets.load(spec, "train", SHAPE).factors["size"].tolist() == [5, 6, 7]


def test_other_arrays_are_no_factors_and_are_not_read(tmp_path):
    spec = save_with_factors(
        tmp_path / "x.npz",
        test_names=np.array(list("abcd")),
        test_anything=np.array([object()] * 4),  # would need pickle
        test_masks=np.zeros((4, 2, 2)),
        test_mean=np.zeros(3),
        test_table=np.zeros((3, 4)),
        test_count=np.int64(4),
        test_wave=np.zeros(4, complex),
        test_records=np.zeros(4, [("x", int)]),
        class_names=np.zeros(4),
        latest_size=np.zeros(4),
    )
    with zipfile.ZipFile(tmp_path / "x.npz", "a") as file:
        file.writestr("test_notes.txt", "how it was made")
    assert datasets.load(spec, "test", SHAPE).factors == {}


def test_classes_choose_among_factors_too(tmp_path):
    spec = save_with_factors(tmp_path / "x.npz", test_size=np.arange(4) * 10)
    source = datasets.load(spec + "@1?invert", "test", SHAPE)
    assert source.factors["size"].tolist() == [10, 30]
    assert (255 - source.array[:, 0, 0, 0]).tolist() == [1, 3]


@pytest.mark.parametrize("images", [np.zeros((0, 8, 8), np.uint8), np.uint8(3)])
def test_factors_of_wrong_images_change_no_message(tmp_path, images):
    spec = save_with_factors(tmp_path / "x.npz", test_images=images, test_size=np.zeros(0))
    with pytest.raises(ValueError, match="test_images of .* must be uint8"):
        datasets.load(spec, "test", SHAPE)


def test_an_archive_that_unpacks_to_far_more_than_images_do_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("train_images.npy", "w", force_zip64=True) as member:
            np.lib.format.write_array_header_1_0(
                member, {"descr": "|u1", "fortran_order": False, "shape": (300, 1024, 1024)}
            )
            for _ in range(300):
                member.write(bytes(2**20))
    before = time.perf_counter()
    with pytest.raises(ValueError, match="train_images.npy of .* bytes unpacks to 31457"):
        datasets.load(f"npz:{tmp_path}/x.npz", "train", SHAPE)
    assert time.perf_counter() - before < 1


def test_an_archive_whose_header_promises_more_than_memory_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (1125899906842624, 8, 8)}\n"
        archive.writestr(
            "train_images.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
        )
    with pytest.raises(ValueError, match="cannot be read as .npz"):
        datasets.load(f"npz:{tmp_path}/x.npz", "train", SHAPE)
