"""metrics.jsonl, as runs write it and as a crash leaves it."""

import pytest

from ltgans_tf.files import metrics_log


def test_points_are_read_up_to_the_line_that_a_crash_cut_off(tmp_path):
    path = tmp_path / metrics_log.NAME
    assert metrics_log.read(str(path)) == []
    path.write_bytes(b'{"step": 1, "loss": 0.5}\n{"step": 5}\n{"step": 1')
    assert metrics_log.read(str(path)) == [{"step": 1, "loss": 0.5}, {"step": 5}]
    assert (
        b"".join(line for _, line in metrics_log.lines(str(path)))
        == b'{"step": 1, "loss": 0.5}\n{"step": 5}\n'
    )


@pytest.mark.parametrize("line", [b"\n", b"[]\n", b'{"step": "x"}\n', b"\xff\n", b"[" * 100_000 + b"\n"])
def test_a_damaged_line_is_named_by_its_number(tmp_path, line):
    path = tmp_path / metrics_log.NAME
    path.write_bytes(b'{"step": 1}\n' + line)
    with pytest.raises(ValueError, match="metrics.jsonl is damaged in line 2; restore it"):
        metrics_log.read(str(path))
