"""Workdirs as runs leave them, with plausible scores and without any training."""

import json

import numpy as np
from PIL import Image

HOSTILE = '<script>alert(1)</script>&"'


def make_run(
    folder,
    tasks=("digits", "glyphs", "textures"),
    learnt=None,
    student=True,
    union=True,
    seed=0,
    method="ltgan",
    change=None,
):
    """Writes what a run leaves that the report reads, with plausible scores; returns its path.

    Args:
      folder: pathlib.Path, made.
      tasks: names of the tasks planned, which are their specs too.
      learnt: so many of them have a row; None for all.
      student: whether there are likelihoods and representations.
      union: whether generated images were compared with real ones, all tasks together.
      seed, method: of the run.
      change: function that changes each row in place, or None.
    """
    learnt = len(tasks) if learnt is None else learnt
    draw = np.random.default_rng(seed)
    about = {"preset": "demo", "recipe": "recommended", "method": method, "seed": seed, "commit": "abc123"}
    for index in range(learnt):
        row = _row(draw, tasks, index, student, union)
        row["about"] = about
        if change is not None:
            change(row)
        _write(folder / f"eval/task_{index:02d}/scores.json", row)
    recipe = {"n_critic": 1, "replay_share": "balanced", "critic_optimizer": "adam(0.001, 0, 0.9)"}
    model = {"method": method, "student": student, "seed": seed, "recipe": recipe}
    model["architecture"] = {"name": "small32", "stages": [[96, 2], [48, 2]]}
    stream = {"specs": list(tasks), "image_shape": [32, 32, 3], "batch_size": 32, "seed": seed}
    _write(
        folder / "config.json", {"format_version": 1, "model": model, "stream": stream, "steps_per_task": 100}
    )
    _write(folder / "environment.json", {"command": ["python", "train.py"], "python": "3.11.7"})
    (folder / "flags.txt").write_text(f"--preset=demo\n--seed={seed}\n")
    records = [_record(i, step, tasks) for i in range(learnt) for step in (1, 50, 100)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    write_picture(folder / "figures/stream.png", 90 * learnt, 200, draw)
    return str(folder)


def _row(draw, tasks, index, student, union):
    k = index + 1
    names = tasks[:k]
    row = {
        "format_version": 2,
        "after_task": index,
        "task": tasks[index],
        "step": 100 * k,
        "protocol": "research",
        "protocol_text": "Test parts were kept and the extractor was fixed before task 1.",
        "about": {},
        "extractor": {"name": "FCD", "features": 64, "sha256": "5e" * 32, "domain_accuracy": 0.997},
        "settings": {"samples": 5000, "test_images": 1000, "iwae_k": 64},
        "data": {name: {"fingerprint": f"{i:040x}", "test_images": 1000} for i, name in enumerate(names)},
        "scores": {name: _scores(draw, index, j, student) for j, name in enumerate(names)},
        "absent": {},
        "union": {},
        "union_absent": {},
        "seconds": {"likelihood": 1.2, "distances": 2.3},
    }
    if union:
        row["union"] = {"fcd": 12.0 + 5 * index + draw.random(), "fcd_floor": 2.1, "mix_entropy": 0.98}
        row["union"] |= {"precision": 0.81, "precision_floor": 0.93, "mix_gap": 0.03}
    if not student:
        row["absent"] = {name: {"likelihood": "The model has no Student."} for name in names}
    return row


def _scores(draw, index, j, student):
    age = index - j
    row = {
        "fcd": 20.0 + 6 * age + draw.random(),
        "fcd_floor": 3.9,
        "precision": 0.8 - 0.03 * age,
        "precision_floor": 0.93,
        "recall": 0.6 - 0.04 * age,
        "coverage": 0.7 - 0.05 * age,
        "share": 1 / (index + 1),
    }
    if student:
        nlog = 110 + 12 * age + draw.random()
        row |= {
            "nlog": nlog,
            "mean_image_nlog": 695.1,
            "sse": nlog / 2,
            "kl": nlog / 2,
            "knn": 0.9,
            "chance": 0.1,
        }
    return row


def _record(index, step, tasks):
    loss = {"critic/wasserstein": 5.0 / step, "student/loss": 100.0 + 900 / step}
    place = {"step": 100 * index + step, "task_index": index, "task": tasks[index], "task_step": step}
    return {**place, **loss, "speed/steps_per_second": 10.0}


def _write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def write_picture(path, height, width, draw):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(draw.integers(0, 256, (height, width, 3), dtype=np.uint8)).save(path)


def change_scores(values, name="nlog"):
    """For `make_run`: sets a score to values[after_task][j]; None makes it absent."""

    def change(row):
        for own, value in zip(row["scores"].values(), values[row["after_task"]]):
            own[name] = value
            if value is None:
                del own[name]

    return change
