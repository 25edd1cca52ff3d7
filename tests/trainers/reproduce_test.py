"""The program behind the paper's tables: its plan, its road from end to end, and what bad input gets."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import pytest

from ltgans_tf.settings import experiments
from ltgans_tf.trainers import jobs, reproduce
from tests import fake_runs, programs, source_imports

LABELS = ["ltgan", "replay", "finetune", "joint", "curl", "lgm", "curl_time", "lgm_time"]


def _run(*flags, timeout=60, cwd=source_imports.ROOT, **settings):
    return programs.run("ltgans_tf.trainers.reproduce", *flags, cwd=cwd, timeout=timeout, **settings)


def test_seed_0_of_all_runs_comes_first():
    planned = reproduce.plan(experiments.experiment("table1_msfo"), "out", 2)
    assert [job.name for job in planned] == [f"{label}, seed {seed}" for seed in (0, 1) for label in LABELS]
    assert planned[12].workdir == os.path.join("out", "curl", "seed_1") and planned[0].tasks == 4
    assert planned[12].flags == (
        *("--preset=table1_msfo", "--extractor_seed=1,2", "--method=curl"),
        *("--batch_size=128", "--student_optimizer=adam(0.001)", "--seed=1"),
    )


def test_flags_reach_every_run():
    experiment = experiments.experiment("fig4b_ablation_cpu")
    for job in reproduce.plan(experiment, "out", 1, "data", None, 7):
        assert {"--data_dir=data", "--steps_per_task=7"} <= set(job.flags)
        assert f"--beta={float(job.label[-1])}" in job.flags


def test_a_row_with_steps_of_its_own_keeps_their_ratio_and_trials_are_for_tuning():
    planned = reproduce.plan(experiments.experiment("split_mnist_cpu"), "out", 1, steps_per_task=8)
    assert planned[-1].label == "multiband_x3" and "--steps_per_task=24" in planned[-1].flags
    assert not any("--tuning" in job.flags for job in planned)
    for job in reproduce.plan(experiments.experiment("trials_fig4a_cpu"), "out", 1):
        assert "--tuning" in job.flags


def test_runs_are_chosen_by_label_or_method():
    experiment = experiments.experiment("fig4b_ablation_cpu")

    def chosen(*names):
        return [job.label for job in reproduce.plan(experiment, "out", 1, None, names)]

    assert chosen("ltgan") == ["ltgan_beta1", "ltgan_beta4"]
    assert chosen("joint_twins_beta4", "ltgan_beta1") == ["ltgan_beta1", "joint_twins_beta4"]
    with pytest.raises(ValueError, match="--methods has 'curl'; this experiment has ltgan_beta1, "):
        chosen("curl")


@pytest.mark.parametrize(
    "flags, expected",
    [
        (["--experiment=table1"], "did you mean table1_msfo"),
        (["--experiment=builtin_cpu", "--methods=gan"], "--methods has 'gan'"),
        (["--experiment=builtin_cpu", "--seeds=0"], "--seeds"),
        (["--experiment=builtin_cpu", "--jobs=1000"], "--jobs is 1000"),
        (["--experiment=builtin_cpu", "--steps_per_task=0"], "--steps_per_task"),
        (["--experiment=builtin_cpu", "--data_dir=nowhere"], "there is no folder nowhere"),
        (["--experiment=table1_msfo_cpu", "--data_dir=tests"], "Unknown data set 'mnist_m'"),
        (["--experiment=fig2_chairs"], "rendered_chairs (3D-Chairs"),
        ([], "--experiment is missing"),
    ],
)
def test_bad_flags_get_one_sentence_at_once(tmp_path, flags, expected):
    begin = time.monotonic()
    done = _run(*flags, f"--out={tmp_path}/out")
    assert time.monotonic() - begin < 5
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("error: ") and expected in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_dry_run_shows_the_commands_and_starts_none(tmp_path):
    begin = time.monotonic()
    done = _run("--experiment=builtin_cpu", "--seeds=2", "--dry_run", f"--out={tmp_path}/out")
    assert time.monotonic() - begin < 5
    assert done.returncode == 0 and len(done.stdout.splitlines()) == 1 + 12
    command = "ltgans train --preset=builtin_cpu --method=joint --seed=1"
    assert f"joint, seed 1: {command} --nopush --workdir={tmp_path}" in done.stdout
    assert not (tmp_path / "out").exists()


def _finish(monkeypatch, failing=()):
    """Lets `jobs.run` leave fake runs in place of training, those whose label is failing aside."""

    def run(planned, side_by_side, say, ended):
        del side_by_side, say
        for job in planned:
            if job.label not in failing and not job.is_finished():
                workdir, tasks = pathlib.Path(job.workdir), ("digits", "glyphs", "textures")
                fake_runs.make_run(workdir, tasks, seed=job.seed, method=job.label)
                (workdir / "boundary").mkdir(exist_ok=True)
                for k in range(3):
                    (workdir / f"boundary/task_{k:02d}.done").touch()
                job.keep(60, True)
                ended(job)
        return {job: "exit status 2: error: no." for job in planned if job.label in failing}, None

    monkeypatch.setattr(jobs, "run", run)


def test_results_are_written_and_the_status_tells_of_a_failure(tmp_path, monkeypatch, capsys):
    _finish(monkeypatch, ["curl"])
    assert reproduce.reproduce("builtin_cpu", str(tmp_path), seeds=2) == 1
    said = capsys.readouterr()
    assert said.err.startswith("failed: curl, seed 0 (exit status 2: error: no.); see ")
    assert "NLOG after the last task" in said.out and "\ncurl " not in said.out
    folder = tmp_path / "builtin_cpu"
    assert json.loads((folder / "results.json").read_text())["seeds"]["lgm"] == [0, 1]
    _finish(monkeypatch)
    assert reproduce.reproduce("builtin_cpu", str(tmp_path), seeds=1) == 0


def test_a_signal_is_the_exit_status_and_the_command_to_go_on_is_printed(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(jobs, "run", lambda *_: ({}, 15))
    monkeypatch.setattr(sys, "argv", ["reproduce.py", "--experiment=builtin_cpu"])
    assert reproduce.reproduce("builtin_cpu", str(tmp_path)) == 143
    assert "ltgans reproduce --experiment=builtin_cpu\n" in capsys.readouterr().out


def test_each_run_is_in_the_results_as_it_ends_and_is_not_made_again_where_it_is_lost(
    tmp_path, monkeypatch, capsys
):
    _finish(monkeypatch)
    fake, ends = jobs.run, []

    def run(planned, side_by_side, say, ended):
        def watched(job):
            ended(job)
            for path in (tmp_path / "out/builtin_cpu/results.json", tmp_path / "kept/builtin_cpu.json"):
                ends.append([(each["label"], each["seed"]) for each in json.loads(path.read_text())["runs"]])

        return fake(planned, side_by_side, say, watched)

    monkeypatch.setattr(jobs, "run", run)

    def reproduce_(**more):
        out, kept = str(tmp_path / "out"), str(tmp_path / "kept")
        assert (
            reproduce.reproduce("builtin_cpu", out, methods=["ltgan", "joint"], results_folder=kept, **more)
            == 0
        )
        return json.loads((tmp_path / "kept/builtin_cpu.json").read_text())

    facts = reproduce_(seeds=1, first_seed=5)
    assert ends == [[("ltgan", 5)]] * 2 + [[("ltgan", 5), ("joint", 5)]] * 2
    assert facts["seeds"] == {"ltgan": [5], "joint": [5]}
    shutil.rmtree(tmp_path / "out")  # the machine is gone, and what was kept apart is not
    again = reproduce_(seeds=2, first_seed=5)
    assert (
        ends[4:]
        == [[("ltgan", 5), ("ltgan", 6), ("joint", 5)]] * 2
        + [[("ltgan", 5), ("ltgan", 6), ("joint", 5), ("joint", 6)]] * 2
    )
    assert again["runs"][0] == facts["runs"][0] and (tmp_path / "kept/builtin_cpu.md").is_file()
    assert "4 runs, 2 finished before" in capsys.readouterr().out


def test_seeds_are_six_where_something_is_claimed_and_three_elsewhere(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(reproduce, "check_data", lambda *_: None)
    for name, runs in (("fig4a_ten_tasks_cpu", 6 * 7), ("builtin_cpu", 3 * 6)):
        assert reproduce.reproduce(name, str(tmp_path), dry_run=True) == 0
        assert f"{runs} runs, 0 finished before" in capsys.readouterr().out


@pytest.mark.campaign("crashes")
def test_the_road_from_end_to_end_over_a_kill(tmp_path):
    flags = ["--experiment=builtin_cpu", "--seeds=1", "--steps_per_task=2", "--methods=ltgan,curl"]
    flags += [f"--out={tmp_path}"]
    folder, environment = tmp_path / "builtin_cpu", {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    command = [sys.executable, "-m", "ltgans_tf.trainers.reproduce", *flags]
    process = subprocess.Popen(command, cwd=source_imports.ROOT, stdout=subprocess.PIPE, env=environment)
    while not (folder / "ltgan/seed_0/eval/task_00/scores.json").exists():
        assert process.poll() is None
        time.sleep(0.2)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    time.sleep(20)  # the child saves its state
    done = _run(*flags, timeout=550, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 runs, 0 finished before" in done.stdout and "NLOG" in done.stdout
    for name in ("results.json", "results.md", "nlog_tasks.png", "fcd_union.png"):
        assert (folder / name).stat().st_size > 0
    facts = json.loads((folder / "results.json").read_text())
    assert facts["tables"][0]["columns"] == ["digits", "glyphs", "textures", "average"]
    before = os.path.getmtime(folder / "ltgan/seed_0/log.txt")
    again = _run(*flags, env=environment)
    assert "2 runs, 2 finished before" in again.stdout and again.returncode == 0
    assert os.path.getmtime(folder / "ltgan/seed_0/log.txt") == before
