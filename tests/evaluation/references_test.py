"""What is kept of a task whose data is gone."""

import json
import os

import numpy as np
import pytest

from ltgans_tf.evaluation import metrics, references


def _moments(seed, count=50, shift=0.0):
    return metrics.moments(np.random.default_rng(seed).normal(shift, 1.0, (count, 6)))


def _reference(**numbers):
    return references.Reference(
        "digits", {"aa": (_moments(0), _moments(1)), "bb": (_moments(2), None)}, numbers
    )


def test_a_reference_is_read_as_it_was_written(tmp_path):
    references.save(tmp_path, 3, _reference(nlog=12.5, fingerprint="f"))
    again = references.load(tmp_path, 3)
    assert again.task == "digits" and again.numbers == {"nlog": 12.5, "fingerprint": "f"}
    assert list(again.moments) == ["aa", "bb"] and again.moments["bb"][1] is None
    for found, expected in zip(again.moments["aa"], (_moments(0), _moments(1))):
        assert found.count == 50
        np.testing.assert_array_equal(found.mean, expected.mean)
        np.testing.assert_array_equal(found.root, expected.root)
    assert metrics.frechet(*again.moments["aa"]) == metrics.frechet(_moments(0), _moments(1))


def test_a_reference_has_one_size_whatever_the_number_of_images(tmp_path):
    sizes = []
    for index, count in enumerate((20, 20_000)):
        moments = {"aa": (_moments(0, count), _moments(1, count))}
        references.save(tmp_path, index, references.Reference("digits", moments, {}))
        sizes.append(os.path.getsize(tmp_path / "eval" / "references" / f"task_{index:02d}.npz"))
    assert sizes[0] == sizes[1] < 4000


def test_a_task_without_reference_has_none(tmp_path):
    assert references.load(tmp_path, 0) is None


def test_a_damaged_reference_and_one_of_another_format_are_refused(tmp_path):
    references.save(tmp_path, 0, _reference())
    path = tmp_path / "eval" / "references" / "task_00.npz"
    content = path.read_bytes()
    path.write_bytes(content[:200])
    with pytest.raises(ValueError, match="is damaged"):
        references.load(tmp_path, 0)
    np.savez(path, description='{"format_version": 2, "extractors": []}')
    with pytest.raises(ValueError, match="has format version 2, this ltgans_tf reads 1"):
        references.load(tmp_path, 0)


def test_the_likeliest_gaussian_is_that_of_the_largest_density():
    """Against scipy's densities, with unequal covariances, where the nearest mean would err."""
    from scipy import stats

    draw = np.random.default_rng(0)
    sets = [draw.normal(0, 0.3, (400, 3)), draw.normal(0.5, 2.0, (400, 3)), draw.normal(-3, 1, (400, 3))]
    members = [metrics.moments(rows) for rows in sets]
    ridge = 0.01 * np.mean([np.trace(m.covariance) / 3 for m in members]) * np.eye(3)
    rows = np.concatenate([rows[:100] for rows in sets])
    expected = np.argmax(
        [stats.multivariate_normal(m.mean, m.covariance + ridge).logpdf(rows) for m in members], axis=0
    )
    np.testing.assert_array_equal(references.likeliest(rows, members), expected)
    assert np.mean(expected == np.repeat([0, 1, 2], 100)) > 0.85


def test_a_feature_that_hardly_varied_does_not_decide_alone():
    """A generated image is a little off where real ones are all alike; that is not another domain."""
    draw = np.random.default_rng(0)
    flat = np.stack([draw.normal(0, 1, 500), np.zeros(500)], 1)
    round_ = draw.normal([0, 3], 1, (500, 2))
    members = [metrics.moments(flat), metrics.moments(round_)]
    np.testing.assert_array_equal(references.likeliest([[0.0, 0.2], [0.0, 1.5]], members), [0, 1])


def test_features_that_never_vary_are_borne():
    rows = np.zeros((20, 4))
    rows[:, 0] = np.arange(20)
    members = [metrics.moments(rows), metrics.moments(rows + [0, 0, 0, 100])]
    np.testing.assert_array_equal(references.likeliest(rows + [0, 0, 0, 90], members), np.ones(20))


@pytest.mark.parametrize(
    "description",
    [
        {"format_version": 1},
        {"format_version": 1, "task": "a", "extractors": ["ab"], "numbers": {}},  # a mean is missing
        {"task": "a", "extractors": [], "numbers": {}},
        [1],
    ],
)
def test_a_reference_that_lacks_something_is_refused(description, tmp_path):
    (tmp_path / "eval" / "references").mkdir(parents=True)
    path = tmp_path / "eval" / "references" / "task_00.npz"
    np.savez(path, description=json.dumps(description), ab_test_count=np.int64(1))
    with pytest.raises(ValueError, match="task_00.npz is damaged"):
        references.load(str(tmp_path), 0)
