"""The score matrix: hand-computed forgetting, transfer and averages, and the rows it is made of."""

import numpy as np
import pytest

import ltgans_tf
from ltgans_tf.evaluation import matrix, row, scores

NAN = float("nan")
# After tasks 1, 2, 3, of tasks 1, 2, 3; of NLOG lower is better, of accuracies higher.
NLOG = [[100, NAN, NAN], [90, 200, NAN], [120, 230, 50]]
KNN = [[0.9, NAN, NAN], [0.95, 0.6, NAN], [0.5, 0.7, 0.8]]


def _matrix(name, values, tasks="abc"):
    return matrix.Matrix(scores.SCORES[name], list(tasks), values)


def _write(folder, rows):
    """Rows as {task: {score: number}}, one for each task learnt."""
    for index, found in enumerate(rows):
        row.Row(after_task=index, task=list(found)[-1], scores=found).save(row.row_path(folder, index))


def test_forgetting_is_what_was_best_before_less_what_is_left():
    # Of task 1 the best was 90 after task 2; of task 2 it was 200.
    np.testing.assert_allclose(_matrix("nlog", NLOG).forgetting(), [120 - 90, 230 - 200])
    assert _matrix("nlog", NLOG).mean_forgetting() == 30
    # What got better than ever before is negative forgetting.
    np.testing.assert_allclose(_matrix("knn", KNN).forgetting(), [0.95 - 0.5, 0.6 - 0.7])
    assert _matrix("knn", KNN).mean_forgetting() == pytest.approx(0.175)


def test_backward_transfer_is_the_mean_change_since_each_task_was_new():
    assert _matrix("nlog", NLOG).backward_transfer() == -((120 - 100) + (230 - 200)) / 2
    assert _matrix("knn", KNN).backward_transfer() == pytest.approx(((0.5 - 0.9) + (0.7 - 0.6)) / 2)


def test_the_final_average_is_over_the_last_row():
    assert _matrix("nlog", NLOG).final_average() == (120 + 230 + 50) / 3
    np.testing.assert_array_equal(_matrix("nlog", NLOG).final, [120, 230, 50])


def test_absent_scores_are_left_out_of_the_means():
    matrix = _matrix("nlog", [[100, NAN, NAN], [NAN, 200, NAN], [130, NAN, 50]])
    assert matrix.final_average() == 90
    np.testing.assert_allclose(matrix.forgetting(), [30, NAN])
    assert matrix.mean_forgetting() == 30 and matrix.backward_transfer() == -30


def test_one_task_has_an_average_and_no_forgetting():
    matrix = _matrix("nlog", [[100]], "a")
    assert matrix.final_average() == 100 and matrix.forgetting().shape == (0,)
    assert np.isnan([matrix.mean_forgetting(), matrix.backward_transfer()]).all()


def test_a_share_is_neither_forgotten_nor_transferred():
    matrix = _matrix("share", [[1.0, NAN], [0.4, 0.6]], "ab")
    for ask in (matrix.forgetting, matrix.backward_transfer):
        with pytest.raises(ValueError, match="'share' has no better direction"):
            ask()


def test_a_matrix_must_be_square():
    with pytest.raises(ValueError, match=r"shape \(1, 2\); with 2 tasks it must be square"):
        _matrix("nlog", [[1, 2]], "ab")


def test_the_matrix_is_assembled_from_the_rows_of_the_boundaries(tmp_path):
    rows = [
        {"a": {"nlog": 100, "chance": 0.1}},
        {"a": {"nlog": 90, "knn": 0.9}, "b": {"nlog": 200}},
        {"a": {"nlog": 120}, "b": {"nlog": 230}, "c": {"nlog": 50, "knn": 0.8}},
    ]
    _write(tmp_path, rows)
    matrices = ltgans_tf.score_matrix(str(tmp_path))
    assert list(matrices) == ["nlog", "knn"]  # of SCORES those that a row has; what stands beside is none
    np.testing.assert_array_equal(matrices["nlog"].values, NLOG)
    np.testing.assert_array_equal(matrices["knn"].values, [[NAN] * 3, [0.9, NAN, NAN], [NAN, NAN, 0.8]])
    assert matrices["nlog"].tasks == ["a", "b", "c"]


def test_the_rows_of_a_run_in_the_middle_have_the_tasks_so_far(tmp_path):
    _write(tmp_path, [{"a": {"nlog": 100}}, {"a": {"nlog": 90}, "b": {"nlog": 200}}])
    np.testing.assert_array_equal(scores.score_matrix(tmp_path)["nlog"].values, [[100, NAN], [90, 200]])


def test_a_row_that_is_missing_leaves_a_gap(tmp_path):
    _write(tmp_path, [{"a": {"nlog": 100}}, {"a": {"nlog": 90}, "b": {"nlog": 200}}])
    (tmp_path / "eval" / "task_00" / "scores.json").unlink()
    np.testing.assert_array_equal(scores.score_matrix(tmp_path)["nlog"].values, [[NAN, NAN], [90, 200]])


def test_a_folder_without_rows_is_refused(tmp_path):
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(ValueError, match="has no scores .* train there first"):
            scores.score_matrix(folder)
