"""Runs side by side: groups, mean and spread over seeds, and what must not be compared."""

import copy
import json
import math

import numpy as np
import pytest

from ltgans_tf.trainers import compare
from ltgans_tf.trainers.reporting import run_groups
from tests import fake_runs, reading_pages


def _nlog(*values):
    """For `make_run`: sets the NLOG of each task, after every task, to these numbers."""
    return fake_runs.change_scores([values] * 3)


@pytest.fixture(scope="module")
def six(tmp_path_factory):
    """Two methods with three seeds each; the NLOG after the last task: 10, 12, 17 and 11, 19, 30."""
    folder = tmp_path_factory.mktemp("six")
    made = {}
    for method, averages in (("ltgan", (10, 12, 17)), ("replay", (11, 19, 30))):
        for seed, average in enumerate(averages):
            name = f"{method}{seed}"
            change = _nlog(average - 2, average, average + 2)
            made[name] = fake_runs.make_run(folder / name, seed=seed, method=method, change=change)
    return made


@pytest.fixture(scope="module")
def compared(six, tmp_path_factory):
    """(Page, what was printed, the JSON) of the comparison of all six."""
    out = tmp_path_factory.mktemp("out")
    said = compare.compare(list(six.values()), str(out / "a" / "c.html"), json_out=str(out / "b" / "c.json"))
    facts = json.loads((out / "b" / "c.json").read_text())
    return reading_pages.Page(out / "a" / "c.html"), said, facts


def _two(tmp_path, **second):
    """Two runs of two tasks, the other with these arguments of `make_run`."""
    first = {"tasks": ("digits", "glyphs")}
    paths = [tmp_path / "a", tmp_path / "b"]
    return [fake_runs.make_run(p, **a) for p, a in zip(paths, (first, {**first, "seed": 1, **second}))]


def test_scores_for_tuning_are_not_taken_for_test_scores(tmp_path, compared):
    runs = _two(tmp_path, change=lambda row: row.update(tuning=True))
    said = compare.compare(runs, str(tmp_path / "c.html"))
    assert "no test scores: the scores are on a tenth" in said.splitlines()[0]
    assert "no test scores" not in compared[1]


def _grouped(workdirs, labels=()):
    found = run_groups.group(run_groups.read(workdirs), labels)
    return {label: [run.name for run in members] for label, members in found.items()}


def test_spread_is_mean_sample_deviation_least_and_most():
    found = run_groups.spread([10, None, 12, math.nan, 17])
    assert found == {
        "values": [10.0, None, 12.0, None, 17.0],
        "mean": 13.0,
        "sd": pytest.approx(math.sqrt((9 + 1 + 16) / 2), rel=1e-12),
        "min": 10.0,
        "max": 17.0,
    }
    assert run_groups.spread([3])["sd"] is None
    assert run_groups.spread([None, math.nan]) is None


def test_comparison_stands_alone(compared):
    page, _, _ = compared
    reading_pages.assert_stands_alone(page)
    assert len(page.pictures()) == 2 + 8  # a sheet of each group; FCD, mix, 3 averages, 3 forgettings


def test_averages_over_seeds_stand_in_the_page_and_in_the_text(compared):
    page, said, _ = compared
    name = "NLOG\N{NO-BREAK SPACE}\N{DOWNWARDS ARROW}"
    sd = {"ltgan": math.sqrt(13), "replay": np.std([11, 19, 30], ddof=1)}
    cells = [f"13.0 ± {sd['ltgan']:.1f} 10.0 to 17.0", f"20.0 ± {sd['replay']:.1f} 11.0 to 30.0"]
    assert page.rows("final_average")[""] == ["ltgan", "replay", "for scale"]
    assert page.rows("final_average")[name] == [*cells, "mean image 695.1"]
    assert f"20.0 ± {sd['replay']:.1f} (11.0 to 30.0)" in said
    assert said.startswith("6 runs in 2 groups, 3 tasks: digits, glyphs, textures\n")
    floor = reading_pages.as_shown("fcd", 2.1)
    assert page.rows("union")["FCD\N{NO-BREAK SPACE}\N{DOWNWARDS ARROW}"][-1] == f"floor {floor}"


def test_json_has_the_numbers_of_every_seed(compared, six):
    facts = compared[2]
    assert facts["tasks"] == ["digits", "glyphs", "textures"] and facts["not_comparable"] == {}
    replay = facts["groups"]["replay"]
    assert replay["seeds"] == [0, 1, 2]
    assert replay["workdirs"] == [six[f"replay{seed}"] for seed in range(3)]
    nlog = replay["scores"]["nlog"]
    assert nlog["final_average"]["values"] == [11.0, 19.0, 30.0] and nlog["forgetting"]["mean"] == 0.0
    assert nlog["beside"]["mean"] == pytest.approx(695.1) and replay["union"]["fcd"]["beside"]["mean"] == 2.1


def test_forgetting_and_transfer_are_those_of_the_matrix(tmp_path):
    # digits 8 -> 12 and 10 when it was new.
    change = fake_runs.change_scores([[10], [8, 20], [12, 26, 30]])
    paths = [fake_runs.make_run(tmp_path / str(s), seed=s, change=change) for s in range(2)]
    (each,) = run_groups.summarise(run_groups.group(run_groups.read(paths))).values()
    nlog = each["scores"]["nlog"]
    assert nlog["forgetting"]["values"] == [5.0, 5.0]
    assert nlog["backward_transfer"]["values"] == [-4.0, -4.0]
    assert nlog["final_average"]["sd"] == 0.0


def test_verdict_names_the_best_first_and_says_when_that_may_be_chance(compared):
    told = compared[0].texts[None]
    assert "NLOG, mean over the tasks, lower is better: ltgan 13.0, replay 20.0. The ranges of" in told

    def summary(*values):
        stats = {chr(97 + i): run_groups.spread(each) for i, each in enumerate(values)}
        return {k: {"union": {"fcd": {"value": v}}, "scores": {}} for k, v in stats.items()}

    assert len(compare.verdict(summary([5, 6], [3, 4]))) == 1
    assert compare.verdict(summary([5, 6], [3, 4]))[0].startswith("FCD to the union, lower is better: b 3")
    assert "overlap" in compare.verdict(summary([5, 6], [3, 5]))[1]
    assert "One seed does not show" in compare.verdict(summary([5, 6], [3]))[1]


def test_runs_that_differ_in_the_seed_alone_make_one_group(six, tmp_path):
    assert _grouped([six[name] for name in ("replay1", "ltgan2", "replay0", "ltgan0")]) == {
        "replay": ["replay0", "replay1"],
        "ltgan": ["ltgan0", "ltgan2"],
    }


def test_group_is_named_by_the_settings_that_tell_it_apart(tmp_path):
    paths = _two(tmp_path)
    path = tmp_path / "b" / "config.json"
    config = json.loads(path.read_text())
    config["model"]["recipe"] |= {"n_critic": 5}
    path.write_text(json.dumps(config))
    assert _grouped(paths) == {"n_critic 1": ["a"], "n_critic 5": ["b"]}
    assert _grouped(paths, ["b=often"]) == {"n_critic 1": ["a"], "often": ["b"]}
    page = reading_pages.Page(_written(paths, tmp_path))
    assert page.rows("differences") == {"": ["n_critic 1", "n_critic 5"], "n_critic": ["1", "5"]}
    assert "n_critic 5 has one seed" in page.texts["limits"]


def test_settings_that_tell_no_more_apart_are_not_named(tmp_path):
    paths = [fake_runs.make_run(tmp_path / name, ("digits",)) for name in "abc"]
    for path, critic, steps, ema in zip(paths, (1, 5, 5), (100, 100, 200), (0.9, 0.99, 0.99)):
        with open(f"{path}/config.json", encoding="utf-8") as f:
            config = json.load(f)
        config["model"]["recipe"] |= {"n_critic": critic, "ema": ema}
        with open(f"{path}/config.json", "w", encoding="utf-8") as f:
            json.dump({**config, "steps_per_task": steps}, f)
    assert list(_grouped(paths)) == [
        "n_critic 1, steps_per_task 100",
        "n_critic 5, steps_per_task 100",
        "n_critic 5, steps_per_task 200",
    ]


def _written(paths, tmp_path):
    compare.compare(paths, str(tmp_path / "c.html"))
    return tmp_path / "c.html"


def test_labels_that_fit_no_group_or_two_are_refused(six):
    members = run_groups.read([six["ltgan0"], six["replay0"]])
    for labels in (["gone=a"], ["ltgan0"], ["ltgan0="]):
        with pytest.raises(ValueError, match="write WORKDIR=LABEL"):
            run_groups.group(members, labels)
    with pytest.raises(ValueError, match="two groups are called 'replay'"):
        run_groups.group(members, ["ltgan0=replay"])


@pytest.mark.parametrize(
    ("change", "why", "barred"),
    [
        (lambda row: row["extractor"].update(sha256="ab" * 32), "the extractors", {"fcd", "mix_entropy"}),
        (lambda row: row["settings"].update(samples=400), "the samples", {"fcd", "precision", "mix_gap"}),
        (lambda row: row["settings"].update(iwae_k=5), "the iwae_k", set()),
        (
            lambda row: row["data"]["digits"].update(fingerprint="12" * 20),
            "the test images",
            {"nlog", "knn", "fcd", "mix_entropy"},
        ),
    ],
)
def test_scores_that_were_measured_otherwise_are_barred(tmp_path, change, why, barred):
    members = run_groups.read(_two(tmp_path, method="replay", change=change))
    found = run_groups.not_comparable(members)
    assert barred <= set(found) and {"nlog", "knn"} & set(found) == {"nlog", "knn"} & barred
    assert all(reason.startswith(f"{why} differ (") for reason in found.values())
    summary = run_groups.summarise(run_groups.group(members), found)
    for each in summary.values():
        assert not set(found) & {*each["scores"], *each["union"]}


def test_importance_samples_bar_the_iwae_bound_alone(tmp_path):
    def change(samples):
        def apply(row):
            row["settings"]["iwae_k"] = samples
            for own in row["scores"].values():
                own["iwae"] = 100.0

        return apply

    paths = [fake_runs.make_run(tmp_path / f"{k}", ("digits",), change=change(k)) for k in (5, 64)]
    assert run_groups.not_comparable(run_groups.read(paths)) == {
        "iwae": f"the iwae_k differ (5 in {paths[0]}, 64 in {paths[1]})"
    }


def test_inception_bars_its_own_distance_alone(tmp_path):
    def change(digest):
        def apply(row):
            row["inception"] = {"sha256": digest * 32}
            row["union"]["fid"] = 9.0

        return apply

    paths = [fake_runs.make_run(tmp_path / d, ("digits",), change=change(d)) for d in ("ab", "cd")]
    assert set(run_groups.not_comparable(run_groups.read(paths))) == {"fid"}


def test_what_is_barred_is_told_first_and_no_number_of_it_is_shown(tmp_path):
    def change(row):
        row["extractor"]["sha256"] = "ab" * 32
        row["union"]["fcd"] = 87.25

    paths = _two(tmp_path, method="replay", change=change)
    said = compare.compare(paths, str(tmp_path / "c.html"), json_out=str(tmp_path / "c.json"))
    page = reading_pages.Page(tmp_path / "c.html")
    for text in (page.texts[None], said, page.texts["limits"]):
        assert "Not comparable, since the extractors differ (5e5e5e5e5e5e in" in text
        assert "FCD, precision, recall, coverage, mix entropy, mix gap." in text
    assert "87.2" not in page.source and "87.2" not in said and "FCD to the union" not in said
    assert "fcd" in json.loads((tmp_path / "c.json").read_text())["not_comparable"]
    assert "NLOG\N{NO-BREAK SPACE}\N{DOWNWARDS ARROW}" in page.rows("final_average")


def test_longer_runs_are_cut_after_the_last_task_that_all_have(tmp_path):
    tasks = ("digits", "glyphs", "textures")
    paths = [
        fake_runs.make_run(tmp_path / "a", tasks, change=_nlog(1, 2, 600)),
        fake_runs.make_run(tmp_path / "b", tasks, learnt=2, seed=1, change=_nlog(1, 2)),
    ]
    page = reading_pages.Page(_written(paths, tmp_path))
    nlog = page.rows("final_average")["NLOG\N{NO-BREAK SPACE}\N{DOWNWARDS ARROW}"]
    assert nlog[0] == "1.5 ± 0.0 1.5 to 1.5"
    assert "Compared after task 2 of 3, the last that all runs have learnt." in page.texts["limits"]


def test_average_over_some_of_the_tasks_is_told(tmp_path):
    paths = _two(tmp_path, change=fake_runs.change_scores([[5], [5, None]], "fcd"))
    page = reading_pages.Page(_written(paths, tmp_path))
    assert (
        f"FCD of {paths[1]} is averaged over 1 of 2 tasks; for the others it is absent."
        in (page.texts["limits"])
    )


def test_run_without_a_student_has_no_likelihood_beside_one_that_has(tmp_path):
    page = reading_pages.Page(_written(_two(tmp_path, student=False), tmp_path))
    dash = "\N{EN DASH}"
    assert page.rows("final_average")["NLOG\N{NO-BREAK SPACE}\N{DOWNWARDS ARROW}"][1] == dash


def test_names_cannot_become_html(tmp_path):
    paths = _two(tmp_path, tasks=(fake_runs.HOSTILE, "glyphs"))
    paths[0] = fake_runs.make_run(tmp_path / "c", (fake_runs.HOSTILE, "glyphs"), method="<i>")
    page = reading_pages.Page(_written(paths, tmp_path))
    reading_pages.assert_stands_alone(page)
    assert "<i>" in page.rows("final_average")[""] and not [tag for tag, _ in page.tags if tag == "i"]


def test_runs_that_do_not_belong_together_are_refused(tmp_path, six):
    other = fake_runs.make_run(tmp_path / "other", ("glyphs", "digits", "textures"))
    one = six["ltgan0"]
    for workdirs, message in (
        ([one], "--workdirs names 1 run; give two or more"),
        ([one, f"{one}/."], "names one run twice"),
        ([one, f"{one}/eval"], "has no scores"),
        ([one, other], "learnt glyphs, digits, textures and .* digits, glyphs, textures; compare runs of"),
    ):
        with pytest.raises(ValueError, match=message):
            run_groups.read(workdirs)


def test_run_without_settings_or_with_a_gap_is_refused(tmp_path):
    paths = _two(tmp_path, tasks=("digits", "glyphs", "textures"))
    (tmp_path / "b" / "eval" / "task_01" / "scores.json").unlink()
    with pytest.raises(ValueError, match="b has no scores after task 2; evaluate that run again"):
        run_groups.read(paths)
    (tmp_path / "b" / "config.json").unlink()
    with pytest.raises(ValueError, match="b has no config.json"):
        run_groups.read(paths)


def test_settings_are_read_and_not_changed(six):
    (run,) = run_groups.read([six["ltgan0"], six["ltgan1"]])[:1]
    before = copy.deepcopy(run.config)
    found = run_groups.settings(run)
    assert found["model.recipe.n_critic"] == 1 and found["method"] == "ltgan" and "stream.seed" not in found
    assert run.config == before


@pytest.mark.program
def test_comparison_needs_no_tensorflow(tmp_path):
    call = f"compare.compare({_two(tmp_path)}, {str(tmp_path / 'c.html')!r})"
    assert not reading_pages.imports_tensorflow("compare", call)


def test_program_prints_the_tables_and_ends_on_bad_input_in_one_sentence(tmp_path, six):
    workdirs, out = f"--workdirs={six['ltgan0']},{six['replay0']}", str(tmp_path / "c.html")
    status, said, _ = reading_pages.run_program("compare", workdirs, f"--out={out}", "--labels=ltgan0=ours")
    assert status == 0 and "ours" in said and said.endswith(f"\nWrote {out}.\n")
    status, said, error = reading_pages.run_program("compare", f"--workdirs={tmp_path}/a,{tmp_path}/b")
    assert (status, said) == (2, "")
    assert error == f"error: there is no folder {tmp_path}/a; give the workdir of a run.\n"
    status, _, error = reading_pages.run_program("compare", workdirs, f"--out={tmp_path}")
    assert status == 2 and error == f"error: --out={tmp_path} is a folder; give the name of an HTML file.\n"
    assert "(default: 'runs/compare.html')" in reading_pages.run_program("compare", "--help")[1]
