"""What is written of an experiment: which numbers stand in the tables, and which must not."""

import hashlib
import json

import numpy as np
import pytest

from ltgans_tf.settings import experiments
from ltgans_tf.trainers import jobs
from ltgans_tf.trainers.reporting import records, results
from tests import fake_runs

TASKS = ("mnist", "svhn_cropped", "fashion_mnist", "omniglot")


def _jobs(folder, numbers, tasks=TASKS):
    """Finished jobs whose NLOG after the last task is the same for all tasks: {label: one for each seed}."""
    found = []
    for label, averages in numbers.items():
        for seed, average in enumerate(averages):
            change = fake_runs.change_scores([[average] * len(tasks)] * len(tasks))
            workdir = folder / label / f"seed_{seed}"
            fake_runs.make_run(workdir, tasks, seed=seed, method=label, change=change)
            job = jobs.Job(label, seed, str(workdir), (), len(tasks))
            job.keep(60 + seed, True)
            found.append(job)
    return found


@pytest.fixture(name="written")
def _written(tmp_path):
    """Writes results of an experiment: written(name, numbers, data_dir) -> (said, results.md, facts)."""

    def write(name, numbers, data_dir=None, tasks=TASKS):
        experiment = experiments.experiment(name)
        kept = [records.of(job, experiment) for job in _jobs(tmp_path, numbers, tasks)]
        said = results.write(experiment, str(tmp_path), kept, data_dir, "the command")
        facts = json.loads((tmp_path / "results.json").read_text())
        return said, (tmp_path / "results.md").read_text(), facts

    return write


NUMBERS = {"ltgan": [20, 30], "joint": [10, 15], "curl": [40, 50], "lgm": [30, 70]}


def _row(text, label, number=0):
    """The cells of a row of results.md; `number` counts the tables."""
    lines = [line for line in text.splitlines() if line.startswith(f"| {label} |")]
    return [cell.strip() for cell in lines[number].strip("|").split("|")]


def test_rows_have_mean_spread_and_ratios(written):
    said, text, facts = written("table1_msfo", NUMBERS)
    row = _row(text, "ltgan", 1)  # the first table has all scores at the end
    assert row[1] == row[5] == "25.0 ± 7.1 (20.0 to 30.0)"
    assert row[6] == "2.000 ± 0.000 (2.000 to 2.000)"
    assert row[7].startswith("0.633 ±") and row[8].startswith("0.464 ±") and row[9] == "0.797"
    assert _row(text, "mean image")[1] == "695.1"
    assert _row(text, "real images")[1] == "2.10"
    assert _row(text, "chance")[1] == "0.100" and text.count("| real images |") == 2
    assert _row(text, "ltgan", 6)[1] == "0.250 ± 0.000 (0.250 to 0.250)"  # domains
    assert facts["seconds"]["joint"]["values"] == [60, 61] and "25.0 ± 7.1 (20.0 to 30.0)" in said
    assert facts["tables"][0]["rows"]["ltgan"]["ratios"]["excess"]["values"] == [10 / 20, 15 / 35]
    assert _row(text, "ltgan", 3)[1:5] == ["0.0 ± 0.0 (0.0 to 0.0)"] * 4  # equal when it was new
    assert facts["tasks"] == list(TASKS) and facts["run_commits"] == ["abc123"]


def test_one_seed_has_no_spread(written):
    _, text, _ = written("table1_msfo", {"ltgan": [20]})
    assert _row(text, "ltgan", 1)[1] == "20.0"


@pytest.mark.program
def test_the_papers_numbers_stand_beside_its_own_images_alone(written, tmp_path):
    _, text, _ = written("table1_msfo", NUMBERS)
    assert _row(text, "the paper's ltgan")[1:6] == ["878.92", "219.15", "365.62", "514.87", "494.64"]
    _, text, _ = written("table1_msfo_cpu", NUMBERS)
    assert "878.92" not in text and "0.797" in text
    _, text, _ = written("table1_msfo", NUMBERS, str(tmp_path))
    assert "878.92" not in text and "0.797" in text and "stand-in sets" in text.splitlines()[0]


def test_the_papers_fid_never_stands_beside_fcd(written):
    _, text, _ = written("table2_cifar_imagenet", NUMBERS, tasks=TASKS[:3])
    assert "62.85" not in text and f"{60.35 / 169.28:.3f}" in text


@pytest.mark.program
def test_how_it_was_made_is_told(written, tmp_path):
    np.savez(tmp_path / "mnist.npz", train_images=np.zeros((1, 8, 8), np.uint8))
    digest = hashlib.sha256((tmp_path / "mnist.npz").read_bytes()).hexdigest()
    _, text, facts = written("table1_msfo_cpu", NUMBERS, str(tmp_path))
    assert "- command: `the command`" in text and "- seeds of joint: 0, 1" in text
    assert facts["data"]["mnist"]["files"] == {"mnist.npz": digest} and digest in text
    assert facts["data"]["mnist_m"] == {"files": {}, "fingerprint": f"{1:040x}"}
    assert facts["departures"] in text and "steps_per_task" in facts


@pytest.mark.program
def test_a_chart_is_drawn_of_each_table_and_the_next_commands_follow(written, tmp_path):
    said, text, _ = written("table1_msfo_cpu", NUMBERS)
    for name in ("nlog_tasks.png", "fcd_union.png"):
        assert (tmp_path / name).stat().st_size > 1000 and f"![{name}]({name})" in text
    assert f"ltgans compare --workdirs={tmp_path}/ltgan/seed_0," in said
    assert said.count("ltgans figures") == 1


def test_figures_are_offered_for_each_method_where_the_paper_shows_pictures(written):
    said, _, _ = written("fig2_faces_cpu", {"ltgan": [1, 2], "joint": [1, 2]}, tasks=("celeb_a", "cacd"))
    assert said.count("ltgans figures") == 2


@pytest.mark.program
def test_curves_of_the_first_task_are_kept_and_drawn_where_the_runs_have_them(written, tmp_path):
    tasks = TASKS[:3]
    _, text, _ = written("fig4b_ablation_cpu", {"ltgan_beta1": [20]}, tasks=tasks)
    assert "first_task_elbo.png" not in text
    points = [
        {"step": step, "task_index": 0, "first_task/elbo": -200.5 - step, "first_task/sse": 9.0}
        for step in (50, 100)
    ]
    lines = [{"step": 1, "task_index": 0}, *points]
    (tmp_path / "ltgan_beta1/seed_0/metrics.jsonl").write_text("".join(json.dumps(p) + "\n" for p in lines))
    job = jobs.Job("ltgan_beta1", 0, str(tmp_path / "ltgan_beta1/seed_0"), (), len(tasks))
    experiment = experiments.experiment("fig4b_ablation_cpu")
    record = records.of(job, experiment)
    assert record["during"] == {
        "step": [50, 100],
        "first_task/elbo": [-250.5, -300.5],
        "first_task/sse": [9.0, 9.0],
    }
    said = results.write(experiment, str(tmp_path), [record])
    for name in ("first_task_elbo.png", "first_task_sse.png"):
        assert (tmp_path / name).stat().st_size > 1000 and name in said


@pytest.mark.program
def test_labels_of_the_tasks_are_those_of_the_images_that_were_used(written, tmp_path):
    tasks = ("mnist@0-8", "mnist_m@0-8", "fashion@0-8")
    _, text, _ = written("table3_fuzzy_cpu", NUMBERS, str(tmp_path), tasks)
    assert _row(text, "NLOG")[1:4] == ["mnist-c", "mnist_m-c", "fashion_mnist-c"]
    _, text, _ = written("table3_fuzzy_cpu", NUMBERS, tasks=tasks)
    assert _row(text, "NLOG")[1:4] == ["MNIST-c", "SVHN-c", "Fashion-c"]


def test_runs_that_are_not_comparable_have_no_table(written, tmp_path):
    experiment, found = experiments.experiment("table1_msfo"), _jobs(tmp_path, NUMBERS)
    path = tmp_path / "joint/seed_1/eval/task_03/scores.json"
    row = json.loads(path.read_text())
    row["data"]["mnist"]["fingerprint"] = "12" * 20
    path.write_text(json.dumps(row))
    said = results.write(experiment, str(tmp_path), [records.of(job, experiment) for job in found])
    assert "Not comparable, since the test images differ" in said and "25.0" not in said
    assert not (tmp_path / "nlog_tasks.png").exists()


def _six(factor):
    return [20 * factor * draw for draw in np.random.default_rng(0).normal(1, 0.05, 6)]


def test_claims_are_made_of_six_paired_seeds_with_holm_over_all_of_them(written):
    numbers = {"ltgan": _six(1), "replay": _six(1.5), "lgm": _six(1)[:5]}
    said, text, facts = written("fig4a_ten_tasks_cpu", numbers, tasks=[str(i) for i in range(10)])
    assert _row(text, "NLOG, sampled")[1:3] == ["replay", "–"]  # the runs have none
    assert [(each["score"], each["over"]) for each in facts["claims"]] == [
        *(("fcd", "replay"), ("fcd", "lgm"), ("nlog_sampled", "replay"), ("nlog_sampled", "lgm"))
    ]
    replay, lgm = facts["claims"][:2]
    assert replay["seeds"] == list(range(6)) and replay["holm"] == replay["p"]  # the only claim
    assert lgm["holds"] is None and "none: too few seeds" in text
    values = [
        a["values"] for a in (facts["tables"][1]["rows"][label]["cells"][-1] for label in ("ltgan", "replay"))
    ]
    assert replay["values"] == pytest.approx([a / b for a, b in zip(*values)])
    row = _row(text, "FCD of all")
    assert row[1] == "replay" and row[2] == f"{replay['ratio']:.3f}" and row[6] == "6"
    assert row[3] == f"{replay['low']:.3f} to {replay['high']:.3f}" and "Paired ratios" in said


def test_without_endpoints_nothing_is_claimed(written):
    _, text, facts = written(
        "table2_cifar_imagenet_cpu", {"ltgan": _six(1), "replay": _six(2)}, tasks=TASKS[:3]
    )
    assert facts["claims"] == [] and "Paired ratios" not in text and "claim" not in text


def test_every_score_at_the_end_stands_in_one_table(written):
    _, text, facts = written("builtin_cpu", {"ltgan": [20, 30], "curl": [1, 2]}, tasks=TASKS[:3])
    assert list(facts["end"]["ltgan"]) == ["fcd", "precision", "recall", "coverage", "nlog"]
    head = next(line for line in text.splitlines() if line.startswith("|  | FCD"))
    assert "precision" in head and "recall" in head
    assert facts["end"]["ltgan"]["precision"]["values"] == [0.81] * 2  # of all together
    assert facts["end"]["curl"]["nlog"]["values"] == [1, 2]  # the average


def test_results_for_tuning_are_not_taken_for_test_scores(tmp_path):
    experiment = experiments.experiment("builtin_cpu")
    fake_runs.make_run(tmp_path / "ltgan/seed_0", change=lambda row: row.update(tuning=True))
    job = jobs.Job("ltgan", 0, str(tmp_path / "ltgan/seed_0"), (), 3)
    job.keep(60, True)
    said = results.write(experiment, str(tmp_path), [records.of(job, experiment)])
    assert (
        said.startswith("No test scores:") and "**No test scores:**" in (tmp_path / "results.md").read_text()
    )


def test_a_records_numbers_are_those_of_its_run_without_its_folder(tmp_path, written):
    _, text, facts = written("builtin_cpu", NUMBERS, str(tmp_path / "data"), tasks=TASKS[:3])
    (tmp_path / "more").mkdir()
    for label in NUMBERS:
        (tmp_path / label).rename(tmp_path / "more" / label)
    experiment = experiments.experiment("builtin_cpu")
    planned = [
        jobs.Job(label, seed, "gone", ("--data_dir=elsewhere",), 3) for label in NUMBERS for seed in (0, 1)
    ]
    path = results.paths(experiment, str(tmp_path))[0]
    kept = records.read([str(tmp_path / "none.json"), path], planned)
    assert list(kept) == [(job.label, job.seed) for job in planned]
    before = (tmp_path / "results.json").read_text()
    results.write(experiment, str(tmp_path), list(kept.values()), str(tmp_path / "data"), "the command")
    assert (tmp_path / "results.json").read_text() == before and str(tmp_path) not in before
    other = jobs.Job("joint", 1, "gone", ("--steps_per_task=9",), 3)
    with pytest.raises(ValueError, match="the results have joint, seed 1 with .*; give another --out"):
        records.read([path], [other])
    (tmp_path / "results.json").write_text('{"runs": [3]}')
    with pytest.raises(ValueError, match="results.json is damaged"):
        records.read([path], planned)
