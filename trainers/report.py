"""Writes the report of one run: a single HTML file with its verdict, pictures, scores and limits.

  ltgans report --workdir=runs/demo

It reads the workdir only, at any time of the run: no TensorFlow, no model, no data, no network.
"""

import os

import numpy as np
from absl import flags

from ltgans_tf import trainers
from ltgans_tf.evaluation import scores
from ltgans_tf.export import path_flags
from ltgans_tf.files import atomic, paths
from ltgans_tf.trainers.reporting import html_page, phrases, protocol, runs, score_sections

_DRAWN = 0.25  # fraction of the even share from which on a domain counts as drawn
_PICTURES = {
    "forgetting": "What the generator draws after each task (columns), from the same latents throughout; the"
    " rows are the domains, by their codes or, where there are none, as an extractor tells them apart.",
    "stream": "What the generator draws from the same latents, one strip after each task.",
    "fig2_domains": "Fig. 2 of the paper: real, reconstructed and generated images of each domain.",
    "fig2_interpolation": "Fig. 2 of the paper: from one code to another in 10 steps, linear and spherical,"
    " within a domain and across domains.",
    "fig3_traversal": "Fig. 3 of the paper: single latent variables from \N{MINUS SIGN}3 to 3, the others"
    " fixed, for those with the most KL.",
}


def main(argv):
    """Writes the report that the flags ask for, and says where it is."""
    del argv
    print(report(flags.FLAGS.workdir, flags.FLAGS.out))


def report(workdir, out=None):
    """Writes the report of the run in `workdir` to the HTML file `out`, by default report.html in the workdir.

    Returns:
      a sentence that says what was written where.

    Raises:
      ValueError: no folder, no rows of scores in it or rows of another format version, or a
        damaged file.
    """
    run = runs.Run(workdir)
    out = os.path.join(workdir, "report.html") if out is None else out
    if os.path.isdir(out):
        raise ValueError(f"--out={out} is a folder; give the name of an HTML file.")
    paths.ending(out, (".html", ".htm"))
    content = html_page.document(f"{run.name}: {phrases.stream(run.tasks)}", _lead(run), _sections(run))
    atomic.write_text(out, content)
    pictures = phrases.count(range(content.count("<img ")), "picture")
    return f"Wrote the report of {run.name} ({pictures}, {len(content) / 1e6:.1f} MB) to {out}."


def verdict(run):
    """Sums up the scores of a `runs.Run` in a few sentences: list of str, without HTML."""
    found = [_domains_sentence(run), _distance_sentence(run), *_change_sentences(run)]
    if len(run.tasks) < len(run.planned):
        planned = phrases.count(run.planned, "task")
        found.append(f"The run is not at its end: {len(run.tasks)} of {planned} are learnt.")
    return found


def _domains_sentence(run):
    tasks, even = run.tasks, 1 / len(run.tasks)
    if len(tasks) == 1:
        return f"After its first task, {tasks[0]}, there is nothing yet that could have been forgotten."
    shares = {task: run.last.scores[task].get("share") for task in tasks}
    if unknown := [task for task in tasks if shares[task] is None]:
        if len(unknown) == len(tasks):
            return f"{len(tasks)} tasks are learnt; which domains the generator draws was not measured."
        few = f"whether the generator draws {phrases.several(unknown)} was not measured (see Limits)"
        return f"{len(tasks)} tasks are learnt; {few}."
    lost = [task for task in tasks if shares[task] < _DRAWN * even]
    told = f"{_shares(shares)}; even is {even:.2f}"
    if not lost:
        return f"After {len(tasks)} tasks the generator still draws all {len(tasks)} domains ({told})."
    drawn = f"After {len(tasks)} tasks the generator draws {len(tasks) - len(lost)} of {len(tasks)} domains"
    return f"{drawn} and has all but lost {phrases.several(lost)} ({told})."


def _shares(shares):
    if len(shares) <= 4:
        return "shares " + ", ".join(f"{task} {share:.2f}" for task, share in shares.items())
    low, high = min(shares, key=shares.get), max(shares, key=shares.get)
    return f"shares from {shares[low]:.2f} ({low}) to {shares[high]:.2f} ({high})"


def _distance_sentence(run):
    name = run.frechet
    if name not in run.union:
        return "The distance of generated to real images was not measured over all tasks together."
    floor = scores.SCORES[name].beside(run.union)
    beside = "" if floor is None else f" (real against real {phrases.score(name, floor)})"
    over = "its test images" if len(run.tasks) == 1 else f"the union of all {len(run.tasks)} test sets"
    return f"{phrases.label(name)} to {over} is {phrases.score(name, run.union[name])}{beside}."


def _change_sentences(run):
    """Says how NLOG and Frechet distance of the first task changed: list of at most two str."""
    without = run.config.get("model", {}).get("student") is False and "nlog" not in run.matrices
    found = ["It was trained without a Student, so there is no likelihood."] * without
    names = ["nlog", *[run.frechet] * (len(run.tasks) > 1)]  # after one task the union is that task
    told = [_change(run, name) for name in names if name in run.matrices]
    told = [words for words in told if words]
    return found + [f"Of the first task, {run.tasks[0]}, {' and '.join(told)}."] * bool(told)


def _change(run, name):
    values, label = run.matrices[name].values[:, 0], phrases.label(name)
    if np.isnan(values[-1]):
        return None
    mean_image = run.beside(name).get(run.tasks[0]) if name == "nlog" else None
    beside = "" if mean_image is None else f" ({phrases.beside(name, mean_image)})"
    if len(values) == 1 or np.isnan(values[0]):
        return f"{label} is {phrases.score(name, values[-1])}{beside}"
    return f"{label} went from {phrases.score(name, values[0])} to {phrases.score(name, values[-1])}{beside}"


def _lead(run):
    about = {**run.about, **({"protocol": run.last.protocol} if run.last.protocol else {})}
    line = " \N{MIDDLE DOT} ".join(f"{key} {value}" for key, value in about.items())
    return [
        html_page.tag("h1", f"{run.name}: {phrases.stream(run.tasks)}"),
        html_page.tag(
            "p", html_page.tag("strong", "Report of one run"), f" \N{MIDDLE DOT} {line}", class_="about"
        ),
        html_page.tag("p", f"No test scores: {phrases.TUNING}", class_="missing") if run.tuning else None,
        html_page.tag("p", " ".join(verdict(run)), class_="verdict"),
    ]


def _sections(run):
    return [
        html_page.Section("kept", "The same latents, task after task", remembered(run)),
        *score_sections.now(run),
        html_page.Section("domains", "Real, reconstructed, generated", _pictures(run, "fig2_", "fig3_")),
        *score_sections.over_the_stream(run),
        *protocol.sections(run),
    ]


def remembered(run):
    """Returns pictures of what is left of each domain after each task, and names missing ones: list of page parts."""
    shown = [_picture(run, name) for name in ("forgetting", "stream")]
    if all(shown):
        shown[1] = html_page.folded("All domains mixed, as they were drawn", shown[1])
    return [*shown, _missing(run, ["forgetting"])]


def _pictures(run, *starts):
    names = [name for name in _PICTURES if name.startswith(starts)]
    return [*[_picture(run, name) for name in names], _missing(run, names)]


def _picture(run, name):
    """Returns figures/<name>.png with its caption, or None if the file is missing."""
    data, caption = run.picture(name), _PICTURES[name]
    if data is None:
        return None
    if run.is_old(name):
        caption += " The picture is older than the last task; ltgans figures draws it anew."
    try:
        return html_page.picture(data, f"{caption} Tasks: {', '.join(run.tasks)}.", caption)
    except ValueError as error:
        raise ValueError(f"{run.workdir}/figures/{name}.png: {error}") from error


def _missing(run, names):
    """Returns a sentence with the command that makes the missing pictures of `names`; None if none is missing."""
    missing = [f"figures/{name}.png" for name in names if run.picture(name) is None]
    if not missing:
        return None
    line = html_page.tag("code", path_flags.command("ltgans figures", f"--workdir={run.workdir}"))
    return html_page.tag("p", "Not here yet: ", ", ".join(missing), ". Made by ", line, ".", class_="missing")


if __name__ == "__main__":
    path_flags.define_path("workdir", None, "A run, at its end or in the middle.", required=True)
    path_flags.define_path("out", None, "HTML file to write; report.html in the workdir unless given.")
    trainers.run(main)
