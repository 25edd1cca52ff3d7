"""The report of a run: self-contained, escaped, with the numbers of the rows and what they lack."""

import json
import os

import numpy as np
import pytest

from ltgans_tf.trainers import report
from ltgans_tf.trainers.reporting import protocol, runs
from tests.fake_runs import HOSTILE, change_scores, make_run, write_picture
from tests.reading_pages import Page, as_shown, assert_stands_alone, imports_tensorflow, run_program


def written(run, out=None):
    """Writes the report of the run in a folder; returns the `Page`."""
    report.report(str(run), out)
    return Page(out or os.path.join(run, "report.html"))


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A run of three tasks and its Page; made once and only read."""
    folder = tmp_path_factory.mktemp("runs") / "plain"
    make_run(folder, change=change_scores([[10], [8, 20], [12, 26, 30]]))
    return folder, written(folder)


@pytest.mark.program
def test_report_stands_alone(plain):
    _, page = plain
    assert_stands_alone(page)
    assert len(page.pictures()) == 11  # the strips, 6 heat maps, 2 curves, the mix, training


def test_verdict_pictures_and_numbers_come_first(plain):
    _, page = plain
    sections = [attrs["id"] for tag, attrs in page.tags if tag == "section"]
    assert sections[:3] == ["kept", "scores", "domains"]
    assert sections[-2:] == ["limits", "again"]
    union = json.loads((plain[0] / "eval/task_02/scores.json").read_text())["union"]["fcd"]
    assert (
        "After 3 tasks the generator still draws all 3 domains (shares digits 0.33, glyphs 0.33, textures"
        f" 0.33; even is 0.33). FCD to the union of all 3 test sets is {as_shown('fcd', union)} (real against real"
        f" {as_shown('fcd', 2.1)}). Of the first task, digits, NLOG went from 10.0 to 12.0 (mean image 695.1) and"
        " FCD went from"
    ) in page.texts[None]
    assert page.pictures()[0][1] == (plain[0] / "figures/stream.png").read_bytes()


def test_scores_for_tuning_are_not_taken_for_test_scores(tmp_path, plain):
    page = written(make_run(tmp_path / "tuned", change=lambda row: row.update(tuning=True)))
    assert "No test scores: the scores are on a tenth of the training images" in page.texts[None]
    assert "No test scores" not in plain[1].texts[None]


def test_scores_of_the_last_row_stand_there_with_what_they_are_to_be_read_with(plain):
    folder, page = plain
    row, rows = json.loads((folder / "eval/task_02/scores.json").read_text()), page.rows("scores")
    head = [name.split("\N{NO-BREAK SPACE}")[0] for name in rows[""]]
    assert head == ["NLOG", "FCD", "precision", "recall", "coverage", "share", "k-NN accuracy"]
    for task, own in row["scores"].items():
        assert rows[task] == [
            f"{as_shown('nlog', own['nlog'])} mean image {as_shown('nlog', 695.1)}",
            f"{as_shown('fcd', own['fcd'])} floor {as_shown('fcd', 3.9)}",
            f"{as_shown('precision', own['precision'])} floor {as_shown('precision', 0.93)}",
            as_shown("recall", own["recall"]),
            as_shown("coverage", own["coverage"]),
            as_shown("share", 1 / 3),
            f"{as_shown('knn', 0.9)} chance {as_shown('knn', 0.1)}",
        ]
    fcd, floor = row["union"]["fcd"], row["union"]["fcd_floor"]
    assert rows["all together"][1] == f"{as_shown('fcd', fcd)} floor {as_shown('fcd', floor)}"


def test_forgetting_is_the_best_before_less_what_is_left(plain):
    nlog = plain[1].rows("forgetting")["NLOG\N{NO-BREAK SPACE}\N{DOWNWARDS ARROW}"]
    # digits 8 -> 12, glyphs 20 -> 26; right after they were learnt they had 10 and 20.
    assert nlog == ["22.7", "5.0", "\N{MINUS SIGN}4.0", "6.0 glyphs"]


def test_matrix_stands_there_as_a_table_too(plain):
    (table,) = [t for t in plain[1].tables["matrices"] if t[1][1] == "10.0"]
    assert table == [
        ["", "digits", "glyphs", "textures"],
        ["after digits", "10.0", "", ""],
        ["after glyphs", "8.0", "20.0", ""],
        ["after textures", "12.0", "26.0", "30.0"],
    ]


def test_mix_time_and_settings_stand_there(plain):
    _, page = plain
    assert "mix entropy 0.980" in page.texts["mix"] and "mix gap 0.030" in page.texts["mix"]
    assert page.rows("time") == {
        "": ["training, s", "scores, s"],
        **{task: ["10", "4"] for task in ("digits", "glyphs", "textures")},
        "sum": ["30", "10"],
    }
    assert page.rows("data")["glyphs"] == ["glyphs", f"{1:040x}", "1000"]
    for text in ("adam(0.001, 0, 0.9)", "(96, 2), (48, 2)", "abc123", "--seed=0"):
        assert text in page.source
    assert "5e" * 32 in page.texts["protocol"] and "fixed before task 1" in page.texts["protocol"]
    assert "99.7% of real images" in page.texts["limits"]


def test_seconds_of_training_follow_from_steps_and_speeds():
    points = [(0, 10, 2.0), (0, 30, 4.0), (1, 50, 10.0)]
    records = [{"task_index": i, "step": n, "speed/steps_per_second": v} for i, n, v in points]
    assert protocol.training_seconds(records) == {0: 5.0 + 5.0, 1: 2.0}


@pytest.mark.program
def test_distances_of_domains_drawn_by_code_stand_where_the_classifier_has_none(tmp_path):
    def change(row):
        for own in row["scores"].values():
            del own["fcd"], own["fcd_floor"]
            own |= {"fcd_drawn": 3.25 + row["after_task"], "fcd_drawn_floor": 1.5}

    page = written(make_run(tmp_path / "run", ("digits", "glyphs"), change=change))
    names = [name.split("\N{NO-BREAK SPACE}")[0] for name in page.rows("scores")[""]]
    assert names[:3] == ["NLOG", "FCD", "FCD, drawn"]
    assert (
        page.rows("scores")["digits"][2]
        == f"{as_shown('fcd_drawn', 4.25)} floor {as_shown('fcd_drawn', 1.5)}"
    )
    lost = page.rows("forgetting")["FCD, drawn\N{NO-BREAK SPACE}\N{DOWNWARDS ARROW}"]
    assert lost[:2] == [as_shown("fcd_drawn", 4.25), as_shown("fcd_drawn", 1.0)]


@pytest.mark.program
def test_absent_score_leads_to_its_reason(tmp_path):
    def change(row):
        for task, own in row["scores"].items():
            if task == "glyphs":
                del own["fcd"]
                row["absent"] = {
                    "glyphs": {"fcd": "512 of 5000 samples; 640 are needed.", "audit": "No <b>."}
                }
        row["union_absent"] = {"recall": "Nothing was kept."}

    page = written(make_run(tmp_path / "run", ("digits", "glyphs"), change=change))
    rows, links = page.rows("scores"), [a for tag, a in page.tags if tag == "a" and "title" in a]
    assert rows["glyphs"][1] == "absent" and rows["all together"][3] == "absent"
    assert rows["all together"][0] == rows["all together"][4] == "\N{EN DASH}"
    assert {"href": "#limits", "title": "512 of 5000 samples; 640 are needed."} in links
    limits = page.texts["limits"]
    assert "FCD of glyphs after task 2: 512 of 5000 samples; 640 are needed." in limits
    assert "recall of all together after tasks 1, 2: Nothing was kept." in limits
    assert "glyphs: No <b>." in page.texts["audit"] and not [1 for tag, _ in page.tags if tag == "b"]


def test_audit_is_shown_where_it_was_made(tmp_path):
    def change(row):
        for own in row["scores"].values():
            own |= {"copies": 0.014, "nearest_ratio": 1.04}

    page = written(make_run(tmp_path / "run", ("digits",), change=change))
    assert page.rows("audit")["digits"] == ["0.014", "1.040"]
    assert "0.01 is chance" in page.texts["audit"]


@pytest.mark.program
def test_names_of_tasks_cannot_become_html(tmp_path):
    page = written(make_run(tmp_path / "run", (HOSTILE, "$x^2$ & <i>")))
    assert_stands_alone(page)
    assert not [tag for tag, _ in page.tags if tag in ("script", "i")]
    assert HOSTILE in page.rows("scores") and "$x^2$ & <i>" in page.rows("scores")
    assert HOSTILE in page.texts["data"]


def test_lost_domain_and_unfinished_run_are_told(tmp_path):
    shares = [[1.0], [0.1, 0.9]]
    change = change_scores([*shares, None], "share")
    folder = make_run(tmp_path / "run", learnt=2, change=change)
    told = report.verdict(runs.Run(folder))
    assert told[0] == (
        "After 2 tasks the generator draws 1 of 2 domains and has all but lost digits (shares digits 0.10,"
        " glyphs 0.90; even is 0.50)."
    )
    assert told[-1] == "The run is not at its end: 2 of 3 tasks are learnt."


def test_first_task_alone_has_nothing_to_forget(tmp_path):
    page = written(make_run(tmp_path / "run", learnt=1))
    assert_stands_alone(page)
    assert "there is nothing yet that could have been forgotten" in page.texts[None]
    assert "1 of 3 tasks are learnt" in page.texts[None]
    assert "begin with the second" in page.texts["forgetting"]
    assert "matrices" not in page.texts and "mix" not in page.texts


def test_a_share_that_does_not_count_is_told(tmp_path):
    change = change_scores([[0.5], [0.5, 0.5], [0.3, None, 0.4]], "share")
    found = report.verdict(runs.Run(make_run(tmp_path / "a", change=change)))
    assert found[0] == "3 tasks are learnt; whether the generator draws glyphs was not measured (see Limits)."


def test_what_extractors_of_other_seeds_change_is_told(tmp_path, plain):
    def change(row):
        row["union"] |= {
            "fcd": 8.4,
            "fcd_floor": 2.1,
            "fcd_seed1": 12.0,
            "fcd_seed1_floor": 4.0,
            "fcd_seed2": 6.0,
        }

    rows = written(make_run(tmp_path / "a", change=change)).rows("scores", 1)
    heads = [
        next(key for key in rows if key.startswith(name)) for name in ("FCD, extractor 1", "FCD, extractor 2")
    ]
    assert rows[heads[0]] == [as_shown("fcd", 12.0), as_shown("fcd", 4.0), "3.0"]
    assert rows[heads[1]] == [as_shown("fcd", 6.0), "\N{EN DASH}", "\N{EN DASH}"]
    assert len(plain[1].tables["scores"]) == 1


def test_run_without_student_or_distances_says_so(tmp_path):
    told = report.verdict(runs.Run(make_run(tmp_path / "a", student=False)))
    assert "It was trained without a Student, so there is no likelihood." in told

    def change(row):
        row["scores"] = {task: {} for task in row["scores"]}
        row["absent"] = {task: {"distances": "No time."} for task in row["scores"]}
        del row["extractor"]

    page = written(make_run(tmp_path / "b", student=False, union=False, change=change))
    assert "not measured over all tasks together" in page.texts[None]
    assert "which domains the generator draws was not measured" in page.texts[None]
    assert "No score has a value" in page.texts["scores"] and "No time." in page.texts["limits"]
    assert "No extractor was used" in page.texts["protocol"]


def test_reports_what_is_there_of_a_run_of_the_library(tmp_path):
    folder = tmp_path / "run"
    make_run(folder, learnt=1)
    for name in ("config.json", "environment.json", "flags.txt", "metrics.jsonl", "figures/stream.png"):
        (folder / name).unlink()
    page = written(folder)
    assert "config.json is not there" in page.texts["settings"]
    assert "No training curves" in page.texts["training"]
    assert "figures/forgetting.png. Made by ltgans figures" in page.texts["kept"]


def test_line_that_is_half_written_is_left_alone(tmp_path):
    folder = tmp_path / "run"
    make_run(folder)
    with open(folder / "metrics.jsonl", "a", encoding="utf-8") as f:
        f.write('{"step": 301, "ta')
    assert len(runs.Run(str(folder)).records) == 9


def test_figures_of_the_run_are_embedded_as_they_are(tmp_path):
    folder, draw = tmp_path / "run", np.random.default_rng(1)
    make_run(folder, learnt=1)
    names = ("forgetting", "fig2_domains", "fig2_interpolation", "fig3_traversal")
    for name in names:
        write_picture(folder / f"figures/{name}.png", 30, 40, draw)
    page = written(folder)
    shown = [data for _, data in page.pictures()]
    assert all((folder / f"figures/{name}.png").read_bytes() in shown for name in names)
    assert "Not here yet" not in page.source


def test_figure_of_an_earlier_task_is_called_old(tmp_path):
    folder = tmp_path / "run"
    make_run(folder, learnt=1)
    assert not runs.Run(str(folder)).is_old("stream")  # no boundary is there to hold it against
    (folder / "boundary").mkdir()
    (folder / "boundary/task_00.npz").write_bytes(b"")
    now = os.path.getmtime(folder / "boundary/task_00.npz")
    for age, is_old in ((10, False), (3600, True)):
        os.utime(folder / "figures/stream.png", (now - age, now - age))
        assert runs.Run(str(folder)).is_old("stream") == is_old
    assert "The picture is older than the last task" in written(folder).texts["kept"]


def test_out_is_written_with_its_folders_and_said(tmp_path):
    folder, out = make_run(tmp_path / "run", learnt=1), str(tmp_path / "new" / "a.html")
    said = report.report(folder, out)
    assert said.startswith("Wrote the report of run (2 pictures, ") and said.endswith(f" MB) to {out}.")
    assert os.listdir(tmp_path / "new") == ["a.html"]
    assert not os.path.exists(os.path.join(folder, "report.html"))


@pytest.mark.program
def test_report_needs_no_tensorflow(plain, tmp_path):
    assert not imports_tensorflow("report", f"report.report({str(plain[0])!r}, {str(tmp_path / 'a.html')!r})")


def test_program_writes_the_report_into_the_workdir(tmp_path):
    folder = make_run(tmp_path / "run", learnt=1)
    status, said, _ = run_program("report", f"--workdir={folder}")
    assert status == 0 and f"to {folder}/report.html." in said
    assert_stands_alone(Page(f"{folder}/report.html"))


def test_program_ends_on_bad_input_in_one_sentence(tmp_path):
    status, said, error = run_program("report", f"--workdir={tmp_path}/none")
    assert (status, said) == (2, "")
    assert error == f"error: there is no folder {tmp_path}/none; give the workdir of a run.\n"


def _spoil(name, content):
    return lambda folder: (folder / name).write_bytes(content)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: (folder / "eval").rename(folder / "gone"), "has no scores"),
        (_spoil("eval/task_00/scores.json", b'{"after_task": 0}'), "has format version 1, this .* reads 2"),
        (_spoil("eval/task_00/scores.json", b"{"), "scores.json is damaged"),
        (_spoil("config.json", b'{"model": '), "config.json is damaged .*; restore it"),
        (_spoil("config.json", b"[1]"), "config.json is damaged .it holds a list"),
        (_spoil("metrics.jsonl", b'{"step"\n'), "metrics.jsonl is damaged"),
        (
            _spoil("figures/stream.png", b"\x89PNG"),
            "figures/stream.png: a picture of 4 bytes is no whole PNG",
        ),
        (
            lambda folder: (folder / "report.html").mkdir(),
            "report.html is a folder; give the name of an HTML",
        ),
    ],
)
def test_what_cannot_be_read_is_refused(tmp_path, spoil, message):
    folder = tmp_path / "run"
    make_run(folder, learnt=1)
    spoil(folder)
    with pytest.raises(ValueError, match=message):
        report.report(str(folder))


@pytest.mark.program
def test_rows_that_were_not_measured_alike_are_told(tmp_path):
    workdir = make_run(tmp_path / "run")
    report.report(workdir)
    assert "not all measured alike" not in Page(tmp_path / "run/report.html").texts["limits"]
    path = tmp_path / "run/eval/task_02/scores.json"
    row = json.loads(path.read_text())
    row["settings"]["iwae_k"] = 128
    row |= {"extractor": None, "kept": {"settings": {}, "scores": {"digits": ["iwae"]}}}
    path.write_text(json.dumps(row))
    report.report(workdir)
    limits = Page(tmp_path / "run/report.html").texts["limits"]
    assert "not all measured alike (iwae k 64 or 128)" in limits
    assert "Some scores of the last task are from an earlier measurement" in limits


def test_notes_on_data_that_changed_stand_with_the_data(tmp_path):
    def change(row):
        row["notes"] = ["The test images of digits are not those of its first row."] * (
            row["after_task"] == 1
        )

    make_run(tmp_path / "run", change=change)
    page = written(tmp_path / "run")
    assert "After task 2: The test images of digits are not those of its first row." in page.texts["data"]
