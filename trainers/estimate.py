"""Estimates how long a run will take, from its speed so far."""

import os

from ltgans_tf.files import metrics_log


def duration(workdir, preset):
    """Returns the estimate as one line of text that starts with 'estimate: '.

    Args:
      workdir: folder of the run; it need not exist.
      preset: a `presets.Preset`.
    """
    steps = preset.steps_per_task * len(preset.tasks)
    points = metrics_log.read(os.path.join(workdir, metrics_log.NAME))
    speeds = sorted(point["speed/steps_per_second"] for point in points)
    if not speeds:
        return f"estimate: none yet; training shows the time left from the first of its {steps} steps on"
    speed = speeds[len(speeds) // 2]
    return f"estimate: {steps} steps at the {speed:.1f} steps/s seen here: {steps / speed / 60:.1f} min of training"
