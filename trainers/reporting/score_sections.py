"""The sections of a report that show scores: the last ones, and how they changed over the stream."""

import numpy as np

from ltgans_tf.evaluation import scores
from ltgans_tf.figures import charts, training_curves
from ltgans_tf.trainers.reporting import html_page, phrases, runs

_BESIDE = 5  # most tasks with which heat maps are legible side by side


def now(run):
    """Returns the section on the scores after the last task of a `runs.Run`: list of html_page.Section."""
    return [html_page.Section("scores", "Scores now", _final(run))]


def over_the_stream(run):
    """Returns the sections on how the scores changed, task after task, and on all scores: list of html_page.Section."""
    return [
        *forgotten(run),
        html_page.Section("mix", "Which domains are drawn", _mix(run)),
        html_page.Section("audit", "Does it copy training images?", _audit(run)),
        html_page.Section("training", "Training", _training(run)),
        html_page.Section("all-scores", "Every score", _every_score(run)),
    ]


def forgotten(run):
    """Returns the sections on how each task's scores changed while later tasks were learnt: list of html_page.Section."""
    return [
        html_page.Section("matrices", "Score of each task after each task", _matrices(run)),
        html_page.Section("forgetting", "What was lost", _forgetting(run)),
    ]


def _final(run):
    found = run.with_one_frechet(run.measured("report"))
    if not found:
        return ["No score has a value; the reasons stand under Limits."]
    caption = (
        f"After task {run.last.after_task + 1} ({run.last.task}). \N{DOWNWARDS ARROW} lower is better,"
        " \N{UPWARDS ARROW} higher is better. Small, beside a distance and its like: what real images get"
        " (floor); beside NLOG: predicting the mean image; beside an accuracy: chance; beside a share: how much of the"
        " model's reconstructions of the domain the classifier calls by it."
    )
    if "share" in found and len(run.tasks) > 1:
        even = 1 / len(run.tasks)
        caption += f" An even share is {even:.2f}; a domain counts as drawn from a quarter of that on."
    return [_table(run, found, caption), _definitions(found), _other_extractors(run)]


def _other_extractors(run):
    """Returns a table of the distance of all together under extractors of other seeds; None if there are none."""
    names = ["fcd", *(f"fcd_seed{seed}" for seed in scores.EXTRACTOR_SEEDS)]
    found = {name: run.union[name] for name in names if name in run.union}
    if len(found) < 2:
        return None
    rows = []
    for name, value in found.items():
        floor = scores.SCORES[name].beside(run.union)
        times = phrases.ABSENT if not floor else phrases.number(value / floor, 1)
        rows.append([phrases.heading(name), *(phrases.score(name, v) for v in (value, floor)), times])
    about = (
        "The same images on the features of extractors that were trained from other seeds. Each has a scale of its own,"
        " so compare runs under one extractor only; effects of the extractor, not of the images, change from row to row."
    )
    head = ["all together", "distance", "floor", "distance over floor"]
    return [html_page.tag("h3", "Under other extractors"), html_page.table(head, rows, about)]


def _table(run, names, caption=None):
    """Tabulates scores of the last row: a line for each task and one for all together."""
    rows = [[task, *[_cell(run, task, name) for name in names]] for task in run.tasks]
    if any(name in run.union for name in names):
        rows.append([runs.TOGETHER, *[_cell(run, None, name) for name in names]])
    return html_page.table(["", *[phrases.heading(name) for name in names]], rows, caption)


def _cell(run, task, name):
    """Returns the last value of a score of a task (None: of all), or a link to the reason why it is absent."""
    values = run.union if task is None else run.last.scores[task]
    reason = run.reason(task, name)
    if values.get(name) is None and reason:
        return html_page.tag("a", "absent", href="#limits", title=reason)
    beside = phrases.beside(name, scores.SCORES[name].beside(values))
    return html_page.join([phrases.score(name, values.get(name)), beside and html_page.tag("small", beside)])


def _definitions(names):
    known = [scores.SCORES[name] for name in names]
    return html_page.folded(
        "What they are", html_page.bullets([f"{score.label}: {score.about}" for score in known])
    )


def _matrices(run):
    if len(run.tasks) == 1:
        return []
    main = [name for name in scores.shown("compared") if name in run.matrices]
    rest = [name for name in run.matrices if name not in main]
    shown = [
        _chart(charts.heat_map(run.matrices[name]), f"{phrases.label(name)} as a heat map") for name in main
    ]
    tables = [_matrix_table(run.matrices[name]) for name in (*main, *rest)]
    if len(run.tasks) <= _BESIDE:
        shown = html_page.gallery(shown)
    return [shown, html_page.folded("As tables, of every score", tables)]


def _matrix_table(matrix):
    names = matrix.tasks
    rows = [
        [
            f"after {names[i]}",
            *[phrases.score(matrix.score.name, value) for value in matrix.values[i, : i + 1]],
        ]
        for i in range(len(names))
    ]
    rows = [row + [""] * (len(names) + 1 - len(row)) for row in rows]
    return [html_page.tag("h3", phrases.heading(matrix.score.name)), html_page.table(["", *names], rows)]


def _forgetting(run):
    if len(run.tasks) == 1:
        return ["One task is learnt; forgetting and backward transfer begin with the second."]
    ranked = [name for name in run.matrices if scores.SCORES[name].better]
    main = [name for name in scores.shown("compared") if name in ranked]
    rest = [name for name in ranked if name not in main]
    curves = [
        _chart(
            charts.forgetting_curves(run.matrices[name], run.beside(name) or None),
            f"{phrases.label(name)} of each task over the stream",
        )
        for name in run.with_one_frechet(scores.shown("verdict"))
        if name in main
    ]
    return [
        html_page.bullets([f"{title}: {about}" for title, about in phrases.MEASURES.values()]),
        _lost(run, main) if main else None,
        html_page.folded("The other scores", _lost(run, rest)) if rest else None,
        curves,
    ]


def _lost(run, names):
    rows = []
    for name in names:
        matrix = run.matrices[name]
        values = [matrix.final_average(), matrix.mean_forgetting(), matrix.backward_transfer()]
        cells = [phrases.score(name, value) for value in values]
        rows.append([phrases.heading(name), *cells, _most(matrix)])
    head = [title.lower() for title, _ in phrases.MEASURES.values()]
    return html_page.table(["", *head, "most forgotten"], rows)


def _most(matrix):
    lost = matrix.forgetting()
    if np.isnan(lost).all():
        return phrases.ABSENT
    worst = int(np.nanargmax(lost))
    task = html_page.tag("small", matrix.tasks[worst], class_="name")
    return html_page.join([phrases.score(matrix.score.name, lost[worst]), task])


def _mix(run):
    if "share" not in run.matrices or len(run.tasks) == 1:
        return []
    chart = _chart(charts.domain_mix(run.rows), "shares of the domains in the images, after each task")
    told = [
        f"{phrases.label(name)} {phrases.score(name, run.union[name])}: {scores.SCORES[name].about}"
        for name in scores.shown("mix")
        if name in run.union
    ]
    return [chart, html_page.bullets(told) if told else None]


def _audit(run):
    found = [name for name in scores.of_part("audit") if name in run.matrices]
    if not found:
        reasons = {task: run.reason(task, scores.of_part("audit")[0]) for task in run.tasks}
        told = [f"{task}: {reason}" for task, reason in reasons.items() if reason]
        return [html_page.text("This was not measured."), html_page.bullets(told) if told else None]
    return [
        html_page.text(
            "Each generated image is held against the training images of its domain, and so are held-out"
            " images, which the model has not seen. A generator that gives training data away is nearer to it"
            " than held-out images are: its copies are then well above 0.01, its nearest ratio well below 1."
        ),
        _table(run, found),
        _definitions(found),
    ]


def _training(run):
    if not run.records:
        return ["No training curves: metrics.jsonl has no points."]
    return [_chart(training_curves.training_curves(run.records), "training curves with the task boundaries")]


def _every_score(run):
    """Tabulates all scores of the last row: a line for each score, a column for each task."""
    columns = {**{task: task for task in run.tasks}, **({runs.TOGETHER: None} if run.union else {})}
    rows = []
    for name in [name for name in scores.SCORES if name in run.matrices or name in run.union]:
        rows.append([phrases.heading(name), *[_cell(run, task, name) for task in columns.values()]])
    return [html_page.table(["", *columns], rows)] if rows else []


def _chart(pixels, alt):
    return html_page.picture(pixels, alt, density=html_page.CHART_DENSITY)
