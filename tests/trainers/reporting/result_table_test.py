"""Tables over seeds against numbers worked out by hand."""

import dataclasses

import pytest

from ltgans_tf.settings import experiments
from ltgans_tf.trainers.reporting import result_table, runs
from tests import fake_runs

TASKS = ("digits", "glyphs")
NLOG, UNION = experiments.View("nlog"), experiments.View("fcd", "union")
# The NLOG of both tasks after the last one: by method and seed.
NUMBERS = {
    "ltgan": [(10, 30), (20, 40)],  # average 20, 30
    "joint": [(8, 12), (10, 20)],  # 10, 15
    "curl": [(30, 50), (50, 50)],  # 40, 50
    "lgm": [(20, 40), (60, 80)],  # 30, 70
}


@pytest.fixture(scope="module", name="members")
def _members(tmp_path_factory):
    folder, found = tmp_path_factory.mktemp("table"), {}
    for method, seeds in NUMBERS.items():
        for seed, last in enumerate(seeds):
            change = fake_runs.change_scores([[last[0] / 2], last])
            path = fake_runs.make_run(
                folder / method / str(seed), TASKS, seed=seed, method=method, change=change
            )
            found.setdefault(method, {})[seed] = runs.Run(path)
    return found


def test_columns_are_the_tasks_and_their_average(members):
    table = result_table.table(NLOG, members)
    assert table["columns"] == ["digits", "glyphs", "average"]
    cells = table["rows"]["ltgan"]["cells"]
    assert [cell["mean"] for cell in cells] == [15.0, 35.0, 25.0]
    assert cells[2]["values"] == [20.0, 30.0] and cells[2]["sd"] == pytest.approx(50**0.5)
    assert (cells[2]["min"], cells[2]["max"]) == (20.0, 30.0)
    assert [cell["mean"] for cell in table["beside"]] == pytest.approx([695.1] * 3)
    # After the first task (10 / 2 and 20 / 2), then the average of both.
    assert [cell["mean"] for cell in table["curves"]["ltgan"]] == [7.5, 25.0]
    assert result_table.table(NLOG, members, ("a", "b"))["columns"] == ["a", "b", "average"]


def test_ratios_are_taken_seed_by_seed(members):
    found = result_table.ratios(NLOG, members, "ltgan")
    assert found["bound"]["values"] == [20 / 10, 30 / 15]
    # LGM is the better one of seed 0 and CURL of seed 1.
    assert found["peers"]["values"] == [20 / 30, 30 / 50]
    assert found["excess"]["values"] == [10 / 20, 15 / 35]
    assert result_table.ratios(NLOG, members, "joint")["excess"]["values"] == [0.0, 0.0]


def test_a_ratio_needs_both_numbers_of_the_same_seed(members):
    some = {"ltgan": members["ltgan"], "joint": {1: members["joint"][1]}, "curl": members["curl"]}
    found = result_table.ratios(NLOG, some, "ltgan")
    assert found["bound"]["values"] == [None, 2.0]
    assert set(found) == {"bound"}  # LGM is not there
    assert result_table.ratios(experiments.View("recall"), members, "ltgan") == {}


def test_there_is_no_excess_over_peers_that_lose_nothing_to_joint(members):
    swapped = {**members, "joint": members["curl"], "curl": members["joint"]}
    assert result_table.ratios(NLOG, swapped, "ltgan").keys() == {"bound", "peers"}


def test_a_ratio_to_plain_replay_stands_where_replay_was_run(members):
    found = result_table.ratios(NLOG, {**members, "replay": members["joint"]}, "ltgan")
    assert found["replay"]["values"] == [20 / 10, 30 / 15]
    assert "replay" not in result_table.ratios(NLOG, members, "ltgan")


def test_a_rise_is_from_when_a_task_was_new_to_the_end_in_percent(members):
    view = experiments.View("nlog", "rise")
    table = result_table.table(view, members)
    assert table["columns"] == ["digits", "average"] and table["beside"] == [None, None]
    # New at 10 / 2 and 20 / 2, in the end 10 and 20: each has doubled.
    assert [cell["values"] for cell in table["rows"]["ltgan"]["cells"]] == [[100.0, 100.0]] * 2
    assert table["rows"]["ltgan"]["ratios"] == {}


def test_union_has_one_column_after_each_task(members):
    table = result_table.table(UNION, members)
    assert table["columns"] == ["after digits", "after glyphs"]
    values = [row.union["fcd"] for row in members["curl"][1].rows]
    assert [cell["values"][1] for cell in table["rows"]["curl"]["cells"]] == values
    assert [cell["mean"] for cell in table["beside"]] == pytest.approx([2.1, 2.1])


def test_the_papers_ratio_is_to_the_better_of_curl_and_lgm():
    view = experiments.experiment("table1_msfo").views[0]
    assert result_table.paper_ratio(view, "ltgan") == pytest.approx(494.64 / 620.81, abs=1e-4)
    assert result_table.paper_ratio(view, "curl") == 1.0
    assert result_table.paper_ratio(view, "replay") is None
    second = experiments.experiment("table2_cifar_imagenet").views[0]
    assert result_table.paper_ratio(second, "ltgan") == pytest.approx(60.35 / 169.28)
    assert result_table.paper_ratio(UNION, "ltgan") is None


def test_checks_are_ratios_under_other_extractors_and_claim_nothing(members):
    found = {}
    for label, each in {"ltgan": members["ltgan"], "replay": members["joint"]}.items():
        found[label] = {}
        for seed, run in each.items():
            factor = 3.0 if label == "ltgan" else 2.0
            last = dataclasses.replace(run.last, union=run.union | {"fcd_seed1": factor * (seed + 1)})
            found[label][seed] = runs.Run(run.workdir, [*run.rows[:-1], last])
    claims = result_table.claims(experiments.experiment("fig4a_ten_tasks_cpu"), found)
    assert [(each["score"], each["check"]) for each in claims] == [
        *(("fcd", False), ("nlog_sampled", False), ("fcd_seed1", True))
    ]
    assert claims[2]["values"] == pytest.approx([1.5, 1.5]) and claims[2]["holds"] is None
    assert claims[0]["over"] == "replay" and claims[0]["holds"] is None  # of two seeds
    assert result_table.claims(experiments.experiment("builtin_cpu"), found) == []


def test_an_absent_score_has_empty_cells(members):
    table = result_table.table(experiments.View("mig"), members)
    assert table["rows"]["ltgan"]["cells"] == [None] * 3 and table["rows"]["ltgan"]["ratios"] == {}


def test_shares_are_those_after_the_last_task(members):
    assert result_table.shares(members)["lgm"]["glyphs"]["values"] == [0.5, 0.5]


@pytest.mark.parametrize("view", [NLOG, experiments.View("mse")])
def test_runs_on_other_test_images_are_not_set_side_by_side(members, tmp_path, view):
    def change(row):
        row["data"]["digits"]["fingerprint"] = "12" * 20

    other = runs.Run(fake_runs.make_run(tmp_path / "other", TASKS, change=change))
    table = result_table.table(view, {**members, "replay": {0: other}})
    assert table["not_comparable"].startswith("the test images differ") and "rows" not in table
