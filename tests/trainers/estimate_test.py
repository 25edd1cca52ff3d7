"""The line of `--dry_run` that says how long a run will take."""

from ltgans_tf.settings import presets
from ltgans_tf.trainers import estimate


def test_a_run_that_has_begun_is_judged_by_its_own_speed(tmp_path):
    (tmp_path / "metrics.jsonl").write_text(
        "".join(f'{{"step": {s}, "speed/steps_per_second": {s}}}\n' for s in (1, 2, 9)) + '{"step'  # a crash
    )
    line = estimate.duration(str(tmp_path), presets.Preset(steps_per_task=40))
    assert line == "estimate: 120 steps at the 2.0 steps/s seen here: 1.0 min of training"


def test_a_run_that_has_not_begun_has_no_estimate(tmp_path):
    line = estimate.duration(str(tmp_path), presets.Preset(steps_per_task=40))
    assert line == "estimate: none yet; training shows the time left from the first of its 120 steps on"
