"""The sections of a report on how its scores were made: settings, data, protocol, time and limits."""

import os

from ltgans_tf.evaluation import scores
from ltgans_tf.export import path_flags
from ltgans_tf.trainers.reporting import html_page, phrases, runs


def sections(run):
    """Returns the sections on how the scores of a `runs.Run` were made: list of html_page.Section."""
    return [
        html_page.Section("settings", "Settings", _settings(run)),
        html_page.Section("data", "Data", _data(run)),
        html_page.Section("protocol", "Protocol and extractor", _protocol(run)),
        html_page.Section("time", "Time", _time(run)),
        html_page.Section("environment", "Environment", _environment(run)),
        html_page.Section("limits", "Limits", _limits(run)),
        html_page.Section("again", "Run it again", _again(run)),
    ]


def _settings(run):
    model = run.config.get("model", {})
    plain = {key: value for key, value in model.items() if not isinstance(value, dict)}
    groups = {"Run": {**run.about, "steps_per_task": run.config.get("steps_per_task"), **plain}}
    groups |= {key.capitalize(): value for key, value in model.items() if isinstance(value, dict)}
    groups["Stream"] = run.config.get("stream", {})
    parts = [None if run.config else "config.json is not there, so the settings of the model are not known."]
    return parts + [_pairs(settings, title) for title, settings in groups.items()]


def _pairs(settings, title=None):
    """Returns settings with their names, without those that are None; None if no setting is left."""
    known = {key: phrases.value(item) for key, item in settings.items() if item is not None}
    return [title and html_page.tag("h3", title), html_page.pairs(known)] if known else None


def _data(run):
    known = run.last.data
    keys = list(dict.fromkeys(key for facts in known.values() for key in facts))
    specs = dict(zip(run.tasks, run.planned))
    head = ["", *["spec"] * bool(specs), *[_spaced(key) for key in keys]]
    rows = []
    for task in run.tasks:
        facts = [phrases.value(known.get(task, {}).get(key, phrases.ABSENT)) for key in keys]
        rows.append([task, *[specs.get(task, phrases.ABSENT)] * bool(specs), *facts])
    notes = dict.fromkeys(
        f"After task {row.after_task + 1}: {note}" for row in run.rows for note in row.notes
    )
    return [html_page.text(note) for note in notes] + (
        [html_page.table(head, rows, words=True)] if len(head) > 1 else []
    )


def _protocol(run):
    extractor, settings = run.last.extractor, run.last.settings
    none = html_page.text("No extractor was used, so there are no distances and no shares.")
    return [
        html_page.text(
            html_page.tag("strong", run.last.protocol or phrases.ABSENT), ": ", run.last.protocol_text
        ),
        _pairs(_named(extractor), "Extractor") if extractor else none,
        _pairs(_named(run.last.inception or {}), "Inception network"),
        _pairs(_named(settings), "Evaluation"),
    ]


def _named(settings):
    return {_spaced(key): item for key, item in settings.items()}


def _spaced(key):
    return key.replace("_", " ")


def training_seconds(records):
    """Returns the seconds of training in each task, from the speeds in metrics.jsonl: {task_index: float}."""
    spent, before = {}, 0
    for record in records:
        seconds = (record["step"] - before) / record["speed/steps_per_second"]
        spent[record["task_index"]] = spent.get(record["task_index"], 0.0) + seconds
        before = record["step"]
    return spent


def _time(run):
    training = training_seconds(run.records)
    measured = {row.after_task: sum(row.seconds.values()) for row in run.rows}
    rows = [
        [task, phrases.number(training.get(i), 0), phrases.number(measured.get(i), 0)]
        for i, task in enumerate(run.tasks)
    ]
    sums = [sum(part.get(i, 0.0) for i in range(len(run.tasks))) for part in (training, measured)]
    rows.append(["sum", *[phrases.number(seconds, 0) for seconds in sums]])
    caption = "Training from the speeds in metrics.jsonl; scores from the rows."
    steps = f"{run.last.step} steps (generator updates) were done up to the last scores."
    return [html_page.text(steps), html_page.table(["", "training, s", "scores, s"], rows, caption)]


def _environment(run):
    recorded = {key: item for key, item in run.environment.items() if key != "command"}
    code = {key: run.last.about.get(key) for key in ("commit", "ltgans_tf")}
    line = run.environment.get("command")
    return [
        _pairs({**code, **recorded}),
        html_page.command(" ".join(line)) if line else None,
        None if run.environment else html_page.text("environment.json is not there."),
    ]


def _limits(run):
    accuracy = (run.last.extractor or {}).get("domain_accuracy")
    found = [
        "One run with one seed: how much another seed would differ is not known from it"
        " (ltgans compare sets several beside each other).",
        "nlog" in run.matrices
        and "A likelihood does not see the samples: NLOG is the Student's, the pictures and distances are the"
        " generator's.",
        run.frechet == "fcd"
        and "FCD is no FID: it is the same distance on the features of a small classifier, and comparable"
        " only with numbers of the same extractor.",
        accuracy is not None
        and f"Shares are what the extractor sees; it tells the domains apart in {accuracy:.1%} of real images.",
        "commit" not in run.about and "The commit of the code was not recorded.",
        _unlike(run),
        run.last.kept
        and "Some scores of the last task are from an earlier measurement of the same state, since they could not be"
        " measured again.",
        _export(run),
    ]
    return [html_page.bullets([sentence for sentence in found if sentence]), *_absent(run)]


def _unlike(run):
    """Returns a sentence on settings of the evaluation in which the rows differ, or None."""
    each = [row.settings for row in run.rows]
    keys = [key for key in each[-1] if any(one.get(key) != each[-1][key] for one in each)]
    if not keys:
        return None
    told = ", ".join(
        f"{_spaced(key)} {' or '.join(dict.fromkeys(phrases.value(one.get(key)) for one in each))}"
        for key in keys
    )
    return (
        f"The rows after the tasks were not all measured alike ({told}), which shifts what was lost a little."
    )


def _export(run):
    if not run.exports:
        return "No export is there (exports/latest.json)."
    if "version" not in run.exports:
        return "None of the exports is approved yet."
    task = f"task {run.exports['task_index'] + 1} ({run.exports['task_name']})"
    what = " and ".join(kind for kind in ("generator", "encoder") if run.exports.get(kind))
    return f"Exports are of the state after {task}: {what}, version {run.exports['version']}."


def _absent(run):
    """Lists what was not measured and why; a reason that several tasks or rows share appears once."""
    told = {}
    for row in run.rows:
        for task, reasons in runs.absent(row).items():
            for name, reason in reasons.items():
                told.setdefault((name, reason), {}).setdefault(task, []).append(row.after_task + 1)
    if not told:
        return [html_page.text("No score is absent.")]
    items = []
    for (name, reason), places in told.items():
        label = phrases.label(name) if name in scores.SCORES else name
        where = [f"{task} after {_tasks(after)}" for task, after in places.items()]
        items.append([html_page.tag("strong", label), f" of {'; '.join(where)}: {reason}"])
    return [html_page.tag("h3", "Scores that are absent"), html_page.bullets(items)]


def _tasks(numbers):
    return f"task{'s' * (len(numbers) > 1)} {', '.join(map(str, numbers))}"


def _again(run):
    where = run.workdir
    if not run.flags:
        return [html_page.command(path_flags.command("ltgans report", f"--workdir={where}"))]
    again = f"--workdir={os.path.normpath(where)}-again"
    lines = [
        path_flags.command("ltgans train", f"--flagfile={os.path.join(where, 'flags.txt')}", again),
        path_flags.command("ltgans figures", again),
        path_flags.command("ltgans report", again),
    ]
    return [html_page.command("\n".join(lines)), html_page.folded("flags.txt", html_page.command(run.flags))]
