"""Files of arrays with a description: what is read back, and what is refused."""

import numpy as np
import pytest

from ltgans_tf.files import array_files, jsonfiles


def _made(description, arrays):
    return description["name"], arrays["a"]


def test_what_was_written_is_read(tmp_path):
    path = str(tmp_path / "new" / "x.npz")
    array_files.write(path, 3, {"name": "cats"}, {"a": np.arange(4)})
    name, found = array_files.read(path, 3, _made)
    assert name == "cats"
    np.testing.assert_array_equal(found, np.arange(4))


@pytest.mark.parametrize("version", [1, 2, 4, "3"])
def test_another_format_version_is_refused_and_is_no_damage(tmp_path, version):
    path = str(tmp_path / "x.npz")
    array_files.write(path, version, {}, {})
    with pytest.raises(
        ValueError, match=f"has format version {version}, this ltgans_tf reads 3; use"
    ) as refused:
        array_files.read(path, 3, _made)
    assert not isinstance(refused.value, jsonfiles.Damaged)


@pytest.mark.parametrize("text", ['{"format_version": 3}', '{"name": "cats"}', "[3]", "{"])
def test_what_lacks_something_is_damaged(tmp_path, text):
    path = str(tmp_path / "x.npz")
    np.savez(path, description=text, a=0)
    with pytest.raises(jsonfiles.Damaged, match="x.npz is damaged .* restore it from a backup"):
        array_files.read(path, 3, _made)


def test_a_part_of_a_file_is_damaged(tmp_path):
    path = tmp_path / "x.npz"
    array_files.write(str(path), 3, {"name": "cats"}, {"a": np.arange(4)})
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(jsonfiles.Damaged):
        array_files.read(str(path), 3, _made)
