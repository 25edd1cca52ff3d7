"""Writes the results of an experiment: results.json, results.md and a chart of each table."""

import hashlib
import os

from ltgans_tf.data import specs
from ltgans_tf.evaluation import scores
from ltgans_tf.export import path_flags
from ltgans_tf.figures import method_curves, sheets
from ltgans_tf.files import atomic, metrics_log, provenance
from ltgans_tf.settings import experiments, presets
from ltgans_tf.trainers.reporting import paired, phrases, records, result_table, run_groups

_RATIOS = {
    "bound": f"over {experiments.BOUND}",
    "replay": f"over {experiments.PLAIN}",
    "peers": "over the better of CURL and LGM",
    "excess": "excess over joint, of theirs",
}
_TITLES = {
    "tasks": "{} after the last task",
    "union": "{} of all tasks so far together",
    "rise": "Rise of {} from when a task was new to the end, in percent",
}


def paths(experiment, folder, results_folder=None):
    """Returns the paths of an experiment's results files: one in `results_folder`, if given, and one in `folder`."""
    more = [os.path.join(results_folder, f"{experiment.preset}.json")] if results_folder else []
    return [*more, os.path.join(folder, "results.json")]


def write(experiment, folder, kept, data_dir=None, command="", results_folder=None, charts=True):
    """Writes the results of the finished runs into the folder of their experiment.

    Args:
      experiment: an `experiments.Experiment`.
      folder: where results.json, results.md and <score>_<of>.png go.
      kept: records of the finished runs, see `records.of`, one or more.
      data_dir: folder whose files stood for data sets, or None.
      command: the command that made the results.
      results_folder: folder for copies <experiment>.json and .md, or None.
      charts: whether to draw the charts.

    Returns:
      the tables as text, what was written where, and the next commands.
    """
    order = {run.label: place for place, run in enumerate(experiment.runs)}
    kept = sorted(kept, key=lambda record: (order.get(record["label"], len(order)), record["seed"]))
    members = records.as_runs(kept, folder)
    every = [run for each in members.values() for run in each.values()]
    labels = experiment.labels_with(data_dir)
    tables = [result_table.table(view, members, labels) for view in experiment.tables]
    if data_dir:  # its place on this machine stays private
        command = command.replace(str(data_dir), "DATA")
    facts = {
        "experiment": experiment.preset,
        "title": experiment.title_with(data_dir),
        "tuning": any(run.tuning for run in every),
        "command": command,
        "commit": provenance.commit(),
        "run_commits": sorted({str(run.about.get("commit")) for run in every}),
        "seeds": {label: list(each) for label, each in members.items()},
        "departures": experiment.departures,
        "data": data(experiment, every[0], data_dir),
        "steps_per_task": kept[0]["steps_per_task"],
        "tasks": list(labels or every[0].tasks),
        "end": result_table.end(members),
        "claims": result_table.claims(experiment, members),
        "tables": tables,
        "shares": result_table.shares(members),
        "seconds": {
            label: run_groups.spread([record["seconds"] for record in kept if record["label"] == label])
            for label in members
        },
        "weights": {
            label: run_groups.spread([_millions(run.about.get("weights")) for run in each.values()])
            for label, each in members.items()
        },
    }
    pictures = [*_charts(facts, folder), *_during(facts, kept, folder)] if charts else []
    real = not experiment.small and not data_dir
    for path in paths(experiment, folder, results_folder):
        own = pictures if os.path.dirname(path) == folder else []
        atomic.write_text(path, records.as_json(facts, kept))
        atomic.write_text(f"{path.removesuffix('.json')}.md", _markdown(experiment, facts, own, real))
    return "\n".join([*_text(experiment, facts, real), "", *_ending(experiment, folder, every, pictures)])


def _millions(count):
    return None if count is None else count / 1e6


def data(experiment, run, data_dir):
    """Returns what each task of a run was read from: {spec: {'files': {name: sha256}, 'fingerprint'}}."""
    known = run.last.data
    found = {}
    for spec, task in zip(presets.preset(experiment.preset).tasks_with(data_dir), run.tasks):
        names = {part.path_or_name for part in specs.parse(spec).parts if part.source == "name"}
        files = [path for name in sorted(names) if (path := specs.npz_for_name(name, data_dir))]
        found[spec] = {
            "files": {os.path.basename(path): _sha256(path) for path in files},
            "fingerprint": known.get(task, {}).get("fingerprint"),
        }
    return found


def _sha256(path):
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def _charts(facts, folder):
    """Draws each table that has numbers: list of file names."""
    drawn = []
    for table in facts["tables"]:
        if not any(cell for curve in table.get("curves", {}).values() for cell in curve):
            continue
        score = scores.SCORES[table["score"]]
        what = " of all tasks so far together" if table["of"] == "union" else ", mean over the tasks so far"
        better = f", {score.better} is better" if score.better else ""
        pixels = method_curves.method_curves(
            f"{score.label}{what}{better}",
            f"{facts['title']}; mean over seeds, bands from least to most",
            facts["tasks"],
            {label: [c["values"] if c else [] for c in curve] for label, curve in table["curves"].items()},
            score.digits,
        )
        name = f"{table['score']}_{table['of']}.png"
        sheets.save_png(os.path.join(folder, name), pixels)
        drawn.append(name)
    return drawn


def _during(facts, kept, folder):
    """Draws what the runs measured of the first task during training: list of file names."""
    drawn = []
    for scalar, score in metrics_log.FIRST_TASK.items():
        values = {}
        for record in kept:
            during = record.get("during", {"step": []})
            for step, value in zip(during["step"], during.get(scalar, [])):
                values.setdefault(record["label"], {}).setdefault(step, []).append(value)
        if not values:
            continue
        firsts = {task: i * facts["steps_per_task"] for i, task in enumerate(facts["tasks"])}
        pixels = method_curves.curves_over_steps(
            f"{scores.SCORES[score].label} of test images of {facts['tasks'][0]} during training",
            f"{facts['title']}; mean over seeds, bands from least to most",
            firsts,
            values,
        )
        name = f"{scalar.replace('/', '_')}.png"
        sheets.save_png(os.path.join(folder, name), pixels)
        drawn.append(name)
    return drawn


def cells(table, view, absolute=False):
    """Returns a table as rows of texts, the head first: list of lists of str.

    Args:
      table: result of `result_table.table`.
      view: the view of the table.
      absolute: whether to add the paper's own numbers.
    """
    name, rows = table["score"], table["rows"]
    shown = [key for key in _RATIOS if any(key in row["ratios"] for row in rows.values())]
    paper = any(row["paper_ratio"] for row in rows.values())
    head = [phrases.label(name), *table["columns"], *(_RATIOS[key] for key in shown)]
    lines = [head + ["the paper's, over the better of CURL and LGM"] * paper]
    for label, row in rows.items():
        texts = [label, *(_cell(cell, scores.SCORES[name].digits) for cell in row["cells"])]
        texts += [_cell(row["ratios"].get(key), 3) for key in shown]
        lines.append(texts + [phrases.number(row["paper_ratio"], 3)] * paper)
    width = len(lines[0])
    if any(table["beside"]):
        what = scores.SCORES[name].baseline.line
        digits = scores.SCORES[name].digits
        beside = [phrases.number(cell and cell["mean"], digits) for cell in table["beside"]]
        lines.append(_padded([what, *beside], width))
    for label, numbers in view.paper.items() if absolute else ():
        numbers = [*numbers, result_table.headline(view, label)] if view.of == "tasks" else numbers
        lines.append(_padded([f"the paper's {label}", *(phrases.number(n, 2) for n in numbers)], width))
    return lines


def _padded(texts, width):
    return texts + [""] * (width - len(texts))


def _cell(stat, digits):
    """Formats a cell as '12.0 ± 1.0 (11.0 to 13.0)', without spread for one seed, or as a dash for None."""
    if stat is None:
        return phrases.ABSENT
    mean = phrases.number(stat["mean"], digits)
    if stat["sd"] is None:
        return mean
    low, high = (phrases.number(stat[key], digits) for key in ("min", "max"))
    return f"{mean} \N{PLUS-MINUS SIGN} {phrases.number(stat['sd'], digits)} ({low} to {high})"


def _claims(facts):
    """Returns the paired ratios as (title, rows of texts, note): list of at most one."""
    rows = [["", "over", "ratio", "95 % interval", "p", "p, Holm", "seeds", "claim"]]
    for pair in facts["claims"]:
        holds = {None: "none: too few seeds", True: "differs", False: "no difference shown"}[pair["holds"]]
        holds = "none: a check" if pair["check"] else holds
        interval = phrases.ABSENT
        if pair["low"] is not None:
            interval = f"{phrases.number(pair['low'], 3)} to {phrases.number(pair['high'], 3)}"
        name = phrases.label(pair["score"]) + (" of all" if pair["of"] == "union" else "")
        p = [phrases.number(pair[key], 4) for key in ("p", "holm")]
        ratio, count = phrases.number(pair["ratio"], 3), str(len(pair["seeds"]))
        rows.append([name, pair["over"], ratio, interval, *p, count, holds])
    note = (
        f"Ratios of ltgan seed by seed: geometric mean, BCa bootstrap interval, paired t test of the logarithms. A claim"
        f" needs {paired.SEEDS} seeds, an interval without 1 and a p under {paired.LEVEL:g} after Holm's correction over"
        " all claims of this table. Checks are the same ratio on the features of extractors of other seeds."
    )
    return [("Paired ratios", rows, note)] if len(rows) > 1 else []


def _end(facts):
    """Returns all methods after the last task as (title, rows of texts, note): list of at most one."""
    names = list(next(iter(facts["end"].values())))
    rows = [["", *(phrases.heading(name) for name in names)]]
    for label, each in facts["end"].items():
        rows.append([label, *(_cell(each[name], scores.SCORES[name].digits) for name in names)])
    note = "Of all tasks together where there is such a number, else the average over the tasks."
    return [("After the last task", rows, note)] if names else []


def _tables(experiment, facts, real):
    """Returns (title, rows of texts, note) of each table; rows is [] if its runs cannot be compared."""
    seconds = facts["seconds"].items()
    tasks = list(next(iter(facts["shares"].values())))
    found = [*_claims(facts), *_end(facts)]
    for view, table in zip(experiment.tables, facts["tables"]):
        title = _TITLES[view.of].format(phrases.label(view.score))
        if view not in experiment.views and not any(_measured(table)):
            continue
        if "not_comparable" in table:
            found.append((title, [], f"Not comparable, since {table['not_comparable']}."))
        else:
            # Only NLOG on the paper's images is comparable with the paper's numbers: the paper's distance is another one.
            absolute = real and view.score == "nlog"
            found.append((title, cells(table, view, absolute), scores.SCORES[view.score].about))
    mix = [["", *facts["tasks"]]]
    mix += [[label, *(_cell(each[task], 3) for task in tasks)] for label, each in facts["shares"].items()]
    if any(stat for each in facts["shares"].values() for stat in each.values()):
        found.append(("Domains of the generated images", mix, f"Equal shares are {1 / len(tasks):.3f} each."))
    times = [["", "seconds", "weights in memory, millions"]]
    for label, stat in seconds:
        times.append([label, _cell(stat, 0), _cell(facts["weights"][label], 2)])
    note = (
        "From start to end, evaluation and restarts included. The weights are those of all networks that training"
        " holds at its peak, without optimizers."
    )
    return [*found, ("Time and memory of a run", times, note)]


def _measured(table):
    """Returns the cells of a table, None for those that are absent."""
    return (cell for row in table.get("rows", {}).values() for cell in row["cells"])


def _text(experiment, facts, real):
    """The tables for a terminal: list of lines."""
    lines = [f"No test scores: {phrases.TUNING}"] if facts["tuning"] else []
    for title, rows, note in _tables(experiment, facts, real):
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))] if rows else []
        lines += ["", f"{title}. {note}"]
        lines += ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
    return lines


def _markdown(experiment, facts, pictures, real):
    """Returns results.md: the tables, and all that is needed to reproduce them."""
    about = [
        f"- command: `{facts['command']}`",
        f"- commit: {facts['commit']}; of the runs: {', '.join(facts['run_commits'])}",
        *(f"- seeds of {label}: {phrases.value(seeds)}" for label, seeds in facts["seeds"].items()),
        f"- steps per task: {facts['steps_per_task']}",
        *(f"- data: {_data_line(spec, about)}" for spec, about in facts["data"].items()),
    ]
    how = (
        "Mean \N{PLUS-MINUS SIGN} sample standard deviation over the seeds (least to most). Ratios are of the"
        " last column, taken seed by seed; excess is (method - joint) / (the better of CURL and LGM - joint)."
    )
    lines = [f"# {facts['title']}", "", experiment.departures, "", how]
    lines += ["", f"**No test scores:** {phrases.TUNING}"] if facts["tuning"] else []
    for title, rows, note in _tables(experiment, facts, real):
        lines += ["", f"## {title}", "", note, "", *_markdown_table(rows)]
    lines += ["", *(f"![{name}]({name})" for name in pictures), "", "## How this was made", "", *about]
    return "\n".join(lines) + "\n"


def _markdown_table(rows):
    if not rows:
        return []
    lines = [f"| {' | '.join(text.replace('|', '/') for text in row)} |" for row in rows]
    return [lines[0], "|---" * len(rows[0]) + "|", *lines[1:]]


def _data_line(spec, about):
    files = [f"{name} sha256 {digest}" for name, digest in about["files"].items()]
    return f"`{spec}`: {'; '.join(files) or 'fingerprint ' + str(about['fingerprint'])}"


def _ending(experiment, folder, every, pictures):
    """Returns what was written, and the next commands for the runs whose workdirs exist here: list of lines."""
    finished = [run for run in every if os.path.isdir(run.workdir)]
    names = ", ".join(["results.json", "results.md", *pictures])
    lines = [f"wrote {names} in {folder}", "next:"]
    if len(finished) > 1:
        workdirs = path_flags.listed(run.workdir for run in finished)
        html = os.path.join(folder, "compare.html")
        compare = path_flags.command("ltgans compare", f"--workdirs={workdirs}", f"--out={html}")
        lines.append(f"  {compare}")
    pictured = finished[:1]
    if experiment.pictures:
        pictured = [run for run in finished if run.about.get("seed") == finished[0].about.get("seed")]
    figures = [path_flags.command("ltgans figures", f"--workdir={run.workdir}") for run in pictured]
    return lines + [f"  {line}" for line in figures]
