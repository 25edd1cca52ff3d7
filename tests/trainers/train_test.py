"""The training program: the road from end to end, and what bad input gets."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from ltgans_tf.trainers import flagfile
from tests import artefacts, source_imports
from tests.trainers.training_program import refused_sentence, run_program

COMMAND = "ltgans_tf.trainers.command"


@pytest.fixture(scope="module")
def finished(trained_by_program, tmp_path_factory):
    """A copy of a finished run of two small tasks: (workdir, how the program ended, specs of three)."""
    made = trained_by_program("ltgan")
    workdir = shutil.copytree(made.workdir, tmp_path_factory.mktemp("road") / "run")
    flags = workdir / "flags.txt"
    flags.write_text(flags.read_text().replace(made.workdir, str(workdir)))
    output = made.done.stdout.replace(made.workdir, str(workdir))
    return workdir, subprocess.CompletedProcess([], 0, output, made.done.stderr), made.specs


@pytest.mark.program
def test_a_run_leaves_what_the_readme_promises(finished):
    workdir, done, _ = finished
    for name in (
        "config.json",
        "flags.txt",
        "environment.json",
        "log.txt",
        "metrics.jsonl",
        "figures/stream.png",
        "samples/task_00/reals.png",
        "samples/task_00/step_000002.png",
        "samples/task_01/boundary.png",
        "eval/task_01/scores.json",
        "eval/extractor.npz",
        "eval/references/task_01.npz",
        "boundary/task_00.npz",
        "exports/latest.json",
    ):
        assert (workdir / name).stat().st_size > 0, name
    assert len(list((workdir / "exports/generator").glob("[0-9]*/saved_model.pb"))) == 2
    assert len(list((workdir / "exports/encoder").glob("[0-9]*/saved_model.pb"))) == 2
    assert list((workdir / "tensorboard").glob("events.out.tfevents.*"))
    assert done.stdout.startswith("devices: ")
    assert done.stderr == ""


@pytest.mark.program
def test_the_next_commands_that_are_printed_work(finished, tmp_path):
    workdir, done, _ = finished
    commands = [line.split() for line in done.stdout.splitlines() if line.startswith("  ltgans ")]
    assert [name for _, name, *_ in commands] == ["evaluate", "figures", "report", "sample", "encode"]
    assert done.stdout.splitlines()[-1].startswith("  python -m tensorboard.main --logdir=")
    for _, *words in commands[:3]:
        done = run_program(*words, module=COMMAND)
        assert done.returncode == 0, done.stderr
    assert (workdir / "figures/fig2_domains.png").exists() and (workdir / "report.html").exists()
    sample = run_program(*commands[3][1:-2], "--count=3", f"--out={tmp_path}/s.npz", module=COMMAND)
    assert sample.returncode == 0, sample.stderr
    assert np.load(tmp_path / "s.npz")["images"].shape == (3, 32, 32, 3)
    Image.fromarray(np.zeros((40, 30, 3), np.uint8)).save(tmp_path / "one.png")
    encode = run_program(
        "encode", f"--workdir={workdir}", f"--images={tmp_path}", f"--out={tmp_path}/c.npz", module=COMMAND
    )
    assert encode.returncode == 0, encode.stderr
    assert np.load(tmp_path / "c.npz")["mean"].shape == (1, 64)


@pytest.mark.program
def test_the_flagfile_of_a_run_is_the_same_run(finished):
    workdir, _, specs = finished
    before = (workdir / "config.json").read_text()
    again = run_program(f"--flagfile={workdir}/flags.txt")
    assert again.returncode == 0 and "done" in again.stdout
    assert (workdir / "config.json").read_text() == before
    rows = [json.loads(line)["step"] for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    assert rows == [1, 2, 4, 6, 8]
    names = set(flagfile.read(workdir))
    assert {
        "preset",
        "method",
        "n_critic",
        "push_keep",
        "deterministic",
        "extractor_seed",
        "skip_broken_images",
    } <= names
    assert not names & {"resume", "dry_run", "stop_after_task", "init_from", "flagfile", "verbosity"}
    changed = refused_sentence(f"--flagfile={workdir}/flags.txt", "--beta=4")  # the last one wins
    assert "model.recipe.beta (was 1.0, now 4.0)" in changed


@pytest.mark.program
def test_a_moved_run_goes_on_where_it_lies_now_and_nowhere_else(finished, tmp_path):
    workdir, _, _ = finished
    moved, old = tmp_path / "moved here", tmp_path / "old"
    shutil.copytree(workdir, moved)
    flags = moved / "flags.txt"
    flags.write_text(flags.read_text().replace(str(workdir), str(old)))
    assert "was moved or copied" in refused_sentence(f"--flagfile={flags}")
    assert not old.exists()
    again = run_program(f"--flagfile={flags}", f"--workdir={moved}/")
    assert again.returncode == 0 and "done" in again.stdout and not old.exists()
    assert f"'--workdir={moved}/'" in again.stdout


@pytest.mark.program
def test_tasks_are_appended_to_a_finished_run(finished):
    workdir, _, specs = finished
    done = run_program(f"--flagfile={workdir}/flags.txt", f"--tasks={','.join(specs)}")
    assert done.returncode == 0, done.stderr
    scores = json.loads((workdir / "eval/task_02/scores.json").read_text())["scores"]
    assert list(scores) == ["set0.npz", "set1.npz", "set2.npz"]


@pytest.mark.program
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_prints_the_command_to_go_on(tmp_path, number):
    specs = artefacts.sets(tmp_path, 1)
    workdir = tmp_path / "run"
    command = [
        sys.executable,
        "-m",
        "ltgans_tf.trainers.train",
        *artefacts.SMALL,
        "--steps_per_task=100000",
        "--checkpoint_every=100000",
        f"--tasks={specs[0]}",
        f"--workdir={workdir}",
    ]
    process = subprocess.Popen(
        command, cwd=source_imports.ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 60
    while not (workdir / "metrics.jsonl").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(number)
    begin = time.monotonic()
    output, errors = process.communicate(timeout=60)
    assert time.monotonic() - begin < 10
    assert process.returncode == 128 + number, errors
    assert f"ltgans train --flagfile={workdir}/flags.txt" in output
    assert list((workdir / "checkpoints").glob("task_000_step_*"))


@pytest.mark.program
def test_a_run_whose_terminal_is_lost_saves_its_state(tmp_path):
    specs, workdir = artefacts.sets(tmp_path, 1), tmp_path / "run"
    command = [sys.executable, "-m", "ltgans_tf.trainers.train", *artefacts.SMALL, "--steps_per_task=100000"]
    process = subprocess.Popen(
        [*command, "--checkpoint_every=100000", f"--tasks={specs[0]}", f"--workdir={workdir}"],
        cwd=source_imports.ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),  # these tests may run under nohup
    )
    assert process.stdout.readline().startswith(b"devices: ")
    process.stdout.close()
    deadline = time.monotonic() + 60
    while not (workdir / "metrics.jsonl").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGHUP)
    assert process.wait(60) == 128 + signal.SIGHUP
    assert list((workdir / "checkpoints").glob("task_000_step_*"))
    assert "stopped, state saved; to go on:" in (workdir / "log.txt").read_text()


@pytest.mark.program
def test_a_worker_whose_peers_do_not_come_ends_on_a_signal(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        workers = [f"127.0.0.1:{server.getsockname()[1]}" for server in (one, two)]
    place = {"cluster": {"worker": workers}, "task": {"type": "worker", "index": 1}}
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "ltgans_tf.trainers.train",
            "--distribution=multi_worker",
            f"--workdir={tmp_path}/run",
        ],
        cwd=source_imports.ROOT,
        env={**os.environ, "TF_CONFIG": json.dumps(place)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "waiting for the other workers to start\n"
    host, port = workers[1].split(":")
    deadline = time.monotonic() + 30
    with socket.socket() as probe:  # it listens for its peer
        while probe.connect_ex((host, int(port))) and time.monotonic() < deadline:
            time.sleep(0.05)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    out, errors = process.communicate(timeout=30)
    assert process.returncode == 128 + signal.SIGTERM, errors
    assert out.startswith("stopped before the run had begun; to go on:\n") and not errors
    assert not (tmp_path / "run").exists()


@pytest.mark.program
def test_a_signal_after_the_end_does_not_change_the_status(finished):
    command = [sys.executable, "-m", "ltgans_tf.trainers.train", f"--flagfile={finished[0]}/flags.txt"]
    process = subprocess.Popen(
        command, cwd=source_imports.ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    while not process.stdout.readline().startswith("time: "):
        assert process.poll() is None, process.stderr.read()
    while process.poll() is None:
        process.send_signal(signal.SIGTERM)
        time.sleep(0.002)
    assert process.returncode == 0 and "ltgans report" in process.stdout.read()


@pytest.mark.program
def test_a_run_that_diverges_goes_back_three_times_and_says_so_in_its_log(tmp_path):
    flags = [*artefacts.SMALL, "--nopush", "--critic_optimizer=rmsprop(1e30)", "--on_nonfinite=rollback"]
    sentence = refused_sentence(
        *flags, f"--tasks={artefacts.sets(tmp_path, 1)[0]}", f"--workdir={tmp_path}/run"
    )
    assert "after 3 rollbacks, so other noise is no help; lower the learning rates" in sentence
    assert sentence.endswith("task_000_step_000000000.")  # its beginning
    log = (tmp_path / "run" / "log.txt").read_text()
    for i in (1, 2, 3):
        assert f"going back to step 0 with other noise (rollback {i} of at most 3)." in log
    assert "--on_nonfinite=rollback\n" in (tmp_path / "run" / "flags.txt").read_text()


@pytest.mark.program
def test_programs_do_not_wait_for_packages_that_keras_can_do_without():
    program = (
        "import sys; from ltgans_tf.trainers import import_tensorflow; import_tensorflow()\n"
        "print({'matplotlib', 'sklearn'} & set(sys.modules))\n"
        "import matplotlib.figure, sklearn.neighbors"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=source_imports.ROOT, capture_output=True, text=True
    )
    assert done.stdout.strip() == "set()" and not done.returncode, done.stderr


def test_help_names_presets_and_settings():
    done = run_program("--help")
    assert done.returncode == 0
    for text in ("--preset", "table1_msfo", "--replay_share", "--workdir"):
        assert text in done.stdout


@pytest.mark.program
def test_a_nonfinite_loss_is_named_with_step_and_last_good_checkpoint(tmp_path):
    specs = artefacts.sets(tmp_path, 1)
    sentence = refused_sentence(
        *artefacts.SMALL,
        "--critic_optimizer=rmsprop(1e25)",
        "--steps_per_task=60",
        f"--tasks={specs[0]}",
        f"--workdir={tmp_path}/run",
    )
    assert "stopped being finite at global step" in sentence
    assert "checkpoint" in sentence


@pytest.mark.program
def test_a_full_disk_leaves_the_checkpoint_before(tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", small], capture_output=True
    ).returncode:
        pytest.skip("mounting a small file system needs root")
    try:
        specs = artefacts.sets(tmp_path, 1)
        sentence = refused_sentence(
            *artefacts.SMALL, "--steps_per_task=8", f"--tasks={specs[0]}", f"--workdir={small}/run"
        )
        assert "could not write a checkpoint" in sentence and "last good one is" in sentence
        subprocess.run(["mount", "-o", "remount,size=400m", small], check=True)
        again = run_program(
            *artefacts.SMALL, "--steps_per_task=8", f"--tasks={specs[0]}", f"--workdir={small}/run"
        )
        assert again.returncode == 0, again.stderr
    finally:
        subprocess.run(["umount", small], check=True)


@pytest.mark.program
def test_a_workdir_in_use_is_refused_and_harmed_by_nothing(finished):
    import fcntl

    workdir, _, _ = finished
    before = {p: p.stat().st_mtime_ns for p in workdir.rglob("*") if p.is_file()}
    with open(workdir / ".lock", "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "is in use" in refused_sentence(f"--flagfile={workdir}/flags.txt")
    assert {p: p.stat().st_mtime_ns for p in workdir.rglob("*") if p.is_file()} == before


def test_a_driver_without_a_usable_gpu_gets_one_line_with_the_remedy(monkeypatch):
    import tensorflow as tf

    from ltgans_tf.trainers import environment

    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [])
    monkeypatch.setattr(os.path, "exists", lambda path: path == "/proc/driver/nvidia/version")
    assert "requirements-gpu.txt" in environment.devices(tf) and "\n" not in environment.devices(tf)
    monkeypatch.setattr(os.path, "exists", lambda path: False)
    assert "requirements-gpu.txt" not in environment.devices(tf)


@pytest.mark.program
def test_a_run_for_tuning_says_so_and_is_no_other_run(tmp_path):
    path = tmp_path / "set.npz"
    shown = np.random.default_rng(0).integers(0, 256, (100, 32, 32), dtype=np.uint8)
    np.savez(path, train_images=shown, test_images=shown[:1])
    flags = [*artefacts.SMALL, "--nostudent", "--eval_images=50", f"--tasks=npz:{path}"]
    flags.append(f"--workdir={tmp_path}/run")
    done = run_program(*flags, "--tuning")
    assert done.returncode == 0, done.stderr
    assert "measured on held-out training images" in done.stdout and "held out for tuning" in done.stdout
    row = json.loads((tmp_path / "run/eval/task_00/scores.json").read_text())
    held_out = row["data"]["set.npz"]["test_images"]
    assert row["tuning"] and 2 <= held_out == 100 - row["data"]["set.npz"]["train_images"]
    assert "--tuning=True" in (tmp_path / "run/flags.txt").read_text()
    assert "tuning" in refused_sentence(*flags)
    evaluated = run_program(f"--workdir={tmp_path}/run", "--samples=20", module="ltgans_tf.trainers.evaluate")
    assert "no test scores: the scores are on a tenth" in evaluated.stdout, evaluated.stderr


@pytest.mark.program
def test_a_run_without_student_offers_no_encoder(tmp_path):
    specs = artefacts.sets(tmp_path, 1)
    done = run_program(
        *artefacts.SMALL, "--nostudent", "--recipe=paper", f"--tasks={specs[0]}", f"--workdir={tmp_path}/run"
    )
    assert done.returncode == 0, done.stderr
    assert "Eq. 1 as written" in done.stdout
    assert "encode" not in done.stdout and "exports/generator/" in done.stdout
    assert not (tmp_path / "run/exports/encoder").exists()
