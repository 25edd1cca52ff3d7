"""Compares several runs of one stream: mean and spread over seeds, charts, pictures.

  ltgans compare --workdirs=runs/a0,runs/a1,runs/b0 --json=runs/compare.json

Runs that differ only in the seed form one group. Like ltgans report, it reads only the workdirs; it
also prints the tables.
"""

import json
import os

from absl import flags

from ltgans_tf import trainers
from ltgans_tf.evaluation import scores
from ltgans_tf.export import path_flags
from ltgans_tf.figures import charts
from ltgans_tf.files import atomic, paths
from ltgans_tf.trainers.reporting import html_page, phrases, run_groups

_UNION = (
    "All tasks together",
    "Generated images against the test images of all tasks together, after the last task.",
)
_SCALE = "for scale"  # heading of the column of baselines: floor, mean image, chance
_CHARTED = {"union": "all together", "final_average": "final average", "forgetting": "forgetting"}


def main(argv):
    """Writes the comparison that the flags ask for, and prints its tables."""
    del argv
    given = flags.FLAGS
    print(compare(given.workdirs, given.out, given.labels, given.json))


def compare(workdirs, out, labels=(), json_out=None):
    """Writes the comparison of runs to the HTML file `out`.

    Args:
      workdirs: list of folders of runs.
      out: HTML file to write.
      labels: list of 'workdir=label', each for the group of this workdir.
      json_out: file for the numbers, or None.

    Returns:
      the tables as text, and a sentence that says what was written where.

    Raises:
      ValueError: see `run_groups.read` and `run_groups.group`.
    """
    if os.path.isdir(out):
        raise ValueError(f"--out={out} is a folder; give the name of an HTML file.")
    paths.ending(out, (".html", ".htm"))
    members = run_groups.read(workdirs)
    grouped, barred = run_groups.group(members, labels), run_groups.not_comparable(members)
    summary = run_groups.summarise(grouped, barred)
    title = f"{phrases.count(members, 'run')} in {phrases.count(grouped, 'group')}"
    tasks = f"{phrases.count(members[0].tasks, 'task')}: {', '.join(members[0].tasks)}"
    if any(run.tuning for run in members):
        title += f" (no test scores: {phrases.TUNING.rstrip('.')})"
    lead = _lead(f"{title} \N{MIDDLE DOT} {tasks}", summary, barred)
    atomic.write_text(
        out, html_page.document(f"Comparison: {title}", lead, _sections(grouped, summary, barred))
    )
    wrote = out
    if json_out is not None:
        facts = {"tasks": members[0].tasks, "groups": summary, "not_comparable": barred}
        atomic.write_text(json_out, json.dumps(facts, indent=1, allow_nan=False) + "\n")
        wrote += f" and {json_out}"
    return "\n".join([f"{title}, {tasks}", *_as_text(summary, barred), "", f"Wrote {wrote}."])


def verdict(summary):
    """Says which group leads in the Frechet distance to the union and in NLOG, and if this may be chance: list of str."""
    found = []
    for measure, subject in (("union", "{} to the union"), ("final_average", "{}, mean over the tasks")):
        for name in scores.shown("verdict"):
            if (scores.SCORES[name].part == "distances") == (measure == "union"):
                stats = {label: _stat(each, measure, name) for label, each in summary.items()}
                found += _ranking(subject.format(phrases.label(name)), name, stats)
    return found


def _ranking(subject, name, stats):
    """Returns one or two sentences on a score (lower is better), best group first; [] if no group has it."""
    stats = {label: stat for label, stat in stats.items() if stat}
    order = sorted(stats, key=lambda label: stats[label]["mean"])
    told = [f"{label} {phrases.score(name, stats[label]['mean'])}" for label in order]
    found = [f"{subject}, lower is better: {', '.join(told)}."] * bool(told)
    if len(order) > 1:
        best, second = stats[order[0]], stats[order[1]]
        if best["sd"] is None or second["sd"] is None:
            found.append("One seed does not show whether the first two differ by more than chance.")
        elif best["max"] >= second["min"]:
            found.append("The ranges of the first two overlap, so their order may be chance.")
    return found


def _warnings(barred):
    """Returns one sentence for each reason not to compare scores: list of str."""
    reasons = {}
    for name, reason in barred.items():
        reasons.setdefault(reason, []).append(phrases.label(name))
    return [f"Not comparable, since {why}: {', '.join(labels)}." for why, labels in reasons.items()]


def _stat(group, measure, name):
    """Returns a measure of a score in a group, as `run_groups.spread` gives it, or None."""
    if measure == "union":
        return group["union"].get(name, {}).get("value")
    return group["scores"].get(name, {}).get(measure)


def _tables(summary):
    """The tables as rows of cells: {measure: (title, meaning, rows)}; a cell is (text, text below it)."""
    found = {}
    for measure, (title, meaning) in {"union": _UNION, **phrases.MEASURES}.items():
        rows = []
        for name in scores.shown("compared"):
            stats = [_stat(each, measure, name) for each in summary.values()]
            if any(stats):
                rows.append([name, _beside(summary, measure, name), *[_cell(name, stat) for stat in stats]])
        if rows:
            found[measure] = (title, meaning, rows)
    return found


def _beside(summary, measure, name):
    """Returns the baseline of a row of numbers, its mean over all runs, in words."""
    part = {"union": "union", "final_average": "scores"}.get(measure)
    stats = [group[part].get(name, {}).get("beside") for group in summary.values()] if part else []
    found = [value for stat in stats if stat for value in stat["values"] if value is not None]
    return phrases.beside(name, sum(found) / len(found)) if found else ""


def _cell(name, stat):
    if stat is None:
        return phrases.ABSENT, ""
    mean = phrases.score(name, stat["mean"])
    if stat["sd"] is None:
        return mean, "one seed"
    low, high = phrases.score(name, stat["min"]), phrases.score(name, stat["max"])
    return f"{mean} \N{PLUS-MINUS SIGN} {phrases.score(name, stat['sd'])}", f"{low} to {high}"


def _as_text(summary, barred):
    """The tables for a terminal: list of lines."""
    lines = []
    for title, meaning, rows in _tables(summary).values():
        cells = [["", *summary, _SCALE]]
        for name, beside, *rest in rows:
            numbers = [f"{text} ({below})" if below else text for text, below in rest]
            cells.append([phrases.heading(name), *numbers, beside])
        widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
        lines += ["", f"{title}. {meaning}"]
        lines += ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in cells]
    return lines + ["", *_warnings(barred)] * bool(barred)


def _lead(about, summary, barred):
    return [
        html_page.tag("h1", ", ".join(summary)),
        html_page.tag("p", html_page.tag("strong", "Comparison"), f" \N{MIDDLE DOT} {about}", class_="about"),
        html_page.tag("p", " ".join(verdict(summary)), class_="verdict"),
        [html_page.tag("p", sentence, class_="missing") for sentence in _warnings(barred)],
    ]


def _sections(grouped, summary, barred):
    found = {
        measure: html_page.Section(measure, title, _table(meaning, list(summary), rows))
        for measure, (title, meaning, rows) in _tables(summary).items()
    }
    first = [found.pop(key) for key in ("union", "final_average") if key in found]
    return [
        *first,
        html_page.Section("pictures", "The same latents, one seed of each", _pictures(grouped)),
        *found.values(),
        html_page.Section("charts", "Seed by seed", _charts(summary)),
        html_page.Section("runs", "The runs", _runs(grouped)),
        html_page.Section("differences", "What differs", _differences(grouped)),
        html_page.Section("limits", "Limits", _limits(grouped, barred)),
    ]


def _table(meaning, labels, rows):
    cells, scaled = [], any(beside for _, beside, *_ in rows)
    for name, beside, *rest in rows:
        numbers = [html_page.join([text, below and html_page.tag("small", below)]) for text, below in rest]
        cells.append([phrases.heading(name), *numbers, *[beside] * scaled])
    about = "Mean \N{PLUS-MINUS SIGN} sample standard deviation over the seeds; below it least to most."
    return [html_page.text(meaning), html_page.table(["", *labels, *[_SCALE] * scaled], cells, about)]


def _pictures(grouped):
    """Returns the forgetting sheet of the first run of each group, or the stream sheets if one of them lacks it."""
    firsts = {label: members[0] for label, members in grouped.items()}
    for name in ("forgetting", "stream"):
        found = {label: run.picture(name) for label, run in firsts.items()}
        if all(found.values()):
            return [_picture(label, firsts[label], name, data) for label, data in found.items()]
    lacking = [run.workdir for run in firsts.values() if run.picture("stream") is None]
    return [html_page.text(f"Left out: {', '.join(lacking)} has no figures/stream.png.")]


def _picture(label, run, name, data):
    caption = f"{label}, seed {run.about.get('seed')}"
    try:
        return html_page.picture(data, f"{caption}: the same latents after each task", caption)
    except ValueError as error:
        raise ValueError(f"{run.workdir}/figures/{name}.png: {error}") from error


def _charts(summary):
    """Charts a few scores, each seed as a dot: of all tasks together, final averages and forgetting."""
    drawn = []
    for measure, title, name in ((*charted, n) for charted in _CHARTED.items() for n in scores.shown("dots")):
        stats = {label: _stat(each, measure, name) for label, each in summary.items()}
        if any(stats.values()):
            known, title = scores.SCORES[name], f"{phrases.label(name)}, {title}"
            # Forgetting is signed the same way for all scores.
            better = "lower" if measure == "forgetting" else known.better
            values = {label: stat["values"] if stat else [] for label, stat in stats.items()}
            pixels = charts.comparison(title, values, better, known.digits)
            drawn.append(html_page.picture(pixels, f"{title}, of each seed", density=html_page.CHART_DENSITY))
    return drawn


def _runs(grouped):
    rows = []
    for label, members in grouped.items():
        for run in members:
            about = [run.about.get(key, phrases.ABSENT) for key in ("seed", "commit")]
            rows.append([label, run.workdir, run.last.step, *about])
    return [html_page.table(["", "workdir", "steps", "seed", "commit"], rows, words=True)]


def _differences(grouped):
    members = [run for each in grouped.values() for run in each]
    rows = []
    for key in run_groups.differing(members):
        values = [run_groups.settings(each[0]).get(key) for each in grouped.values()]
        rows.append([run_groups.last_name(key), *[phrases.value(value) for value in values]])
    return [
        html_page.table(["", *grouped], rows, words=True) if rows else html_page.text("Nothing but the seed.")
    ]


def _limits(grouped, barred):
    members = [run for each in grouped.values() for run in each]
    first = members[0]
    found = _warnings(barred)
    if len(first.tasks) < len(first.planned):
        where = f"task {len(first.tasks)} of {len(first.planned)}"
        found.append(f"Compared after {where}, the last that all runs have learnt.")
    if len({run.about.get("commit") for run in members}) > 1:
        found.append("The runs are of different commits of the code.")
    if len({run.last.protocol for run in members}) > 1:
        found.append("The runs were evaluated by different protocols.")
    for label, each in grouped.items():
        if len(each) == 1:
            found.append(f"{label} has one seed: its spread is not known.")
        if len({run.about.get("seed") for run in each}) < len(each):
            found.append(f"{label} has runs of equal seeds, which are no independent repetitions.")
        found += [sentence for run in each for sentence in _gaps(run)]
    return [html_page.bullets(found)] if found else []


def _gaps(run):
    """Names the averages that leave out tasks because a score is absent: list of str."""
    found = []
    for name in [name for name in scores.shown("compared") if name in run.matrices]:
        measured = [task for task in run.tasks if run.last.scores[task].get(name) is not None]
        if len(measured) < len(run.tasks):
            found.append(
                f"{phrases.label(name)} of {run.workdir} is averaged over {len(measured)} of"
                f" {len(run.tasks)} tasks; for the others it is absent."
            )
    return found


if __name__ == "__main__":
    path_flags.define_paths(
        "workdirs", None, "Two or more runs of one stream, separated by commas.", required=True
    )
    path_flags.define_path("out", "runs/compare.html", "HTML file to write.")
    path_flags.define_path("json", None, "File to write the numbers to, as JSON.")
    flags.DEFINE_list(
        "labels",
        [],
        "WORKDIR=LABEL: names the group of this run; other groups are named by the settings that differ.",
    )
    trainers.run(main)
