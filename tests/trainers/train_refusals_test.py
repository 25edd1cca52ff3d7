"""Tests of what `ltgans train` plans and refuses before it trains."""

import subprocess
import time

import numpy as np
import pytest
from PIL import Image

from ltgans_tf.settings import presets
from tests import artefacts
from tests.trainers.training_program import refused_sentence, run_program


def test_a_dry_run_shows_settings_and_plan_and_trains_nothing(tmp_path):
    done = run_program("--preset=table1_msfo", f"--workdir={tmp_path}/run", "--dry_run", "--n_critic=3")
    assert done.returncode == 0, done.stderr
    for text in ("n_critic: 3", "architecture: paper32", "task 4: omniglot", "estimate: "):
        assert text in done.stdout
    assert not (tmp_path / "run").exists()


def test_an_image_size_stands_for_the_small_nets_of_that_size(tmp_path):
    done = run_program("--preset=demo", "--image_size=48", f"--workdir={tmp_path}/run", "--dry_run")
    assert "architecture: small48" in done.stdout and not done.returncode
    recipe = presets.recipe("recommended", "small48")
    assert f"generator_optimizer: {recipe.generator_optimizer}" in done.stdout


def test_replicas_of_one_machine_may_have_xla_and_several_steps_in_a_call(tmp_path):
    flags = ["--distribution=mirrored", "--jit_compile", "--nodeterministic", "--steps_per_execution=5"]
    assert "task 3: signs" in run_program(*flags, f"--workdir={tmp_path}/run", "--dry_run").stdout


def test_a_dry_run_checks_the_terms_of_a_push(tmp_path):
    sentence = refused_sentence(f"--workdir={tmp_path}/run", "--dry_run", "--push_max_regression=nan")
    assert sentence.endswith("--push_max_regression is nan; it must be a number of at least 0.")


def test_a_data_folder_brings_the_presets_tasks_for_it_unless_tasks_are_given(tmp_path):
    for name in ("mnist", "mnist_m", "fashion_mnist", "omniglot"):
        np.savez(tmp_path / f"{name}.npz", train_images=np.zeros((1, 8, 8), np.uint8))
    flags = ["--preset=table1_msfo_cpu", f"--workdir={tmp_path}/run", "--dry_run"]
    with_folder = run_program(*flags, f"--data_dir={tmp_path}").stdout
    assert "task 2: mnist_m" in with_folder and "data_dir_tasks" not in with_folder
    assert "task 2: svhn_cropped" in run_program(*flags).stdout
    assert "task 1: mnist\nest" in run_program(*flags, f"--data_dir={tmp_path}", "--tasks=mnist").stdout
    assert "unknown flag --data_dir_tasks" in refused_sentence(*flags, "--data_dir_tasks=mnist")


@pytest.mark.parametrize(
    "flags, expected",
    [
        (["--tasks=minst"], "did you mean mnist"),
        (["--preset=dmeo"], "did you mean demo"),
        (["--recipe=papr"], "did you mean paper"),
        (["--architecture=smal32"], "did you mean small32"),
        (["--image_size=300"], "images of 300x300 pixels: there are small nets for 16 to 256"),
        (["--image_size=48", "--architecture=paper32"], "--image_size=48 stands for --architecture=small48"),
        (["--replay_share=half"], "replay_share is 'half'"),
        (["--batch_size=0"], "batch_size is 0"),
        (["--critic_optimizer=sgd(1)"], "optimizer is 'sgd(1)'"),
        (["--tasks=folder:nowhere"], "There is no folder 'nowhere'"),
        (["--tasks=digits@12"], "digits has the classes 0 to 9"),
        (["--no_such_flag=1"], "unknown flag --no_such_flag"),
        (
            ["--diffaugment=colour"],
            "diffaugment is 'colour'; it must be 'none' or some of color,translation,cutout",
        ),
        (["--method=lgm", "--diffaugment=color"], "diffaugment is 'color', and lgm has no critic"),
        (["--precision=half"], "precision is 'half'; it must be 'float32'"),
        (
            ["--jit_compile", "--distribution=multi_worker"],
            "XLA has been tried on the devices of one machine alone",
        ),
        (["--jit_compile"], "--jit_compile needs --nodeterministic"),
        (
            ["--steps_per_execution=5", "--distribution=multi_worker"],
            "--steps_per_execution=5 with --distribution=multi_worker: several workers take steps one by one",
        ),
        (["--profile_steps=9,3"], "--profile_steps is '9,3'; give the first and the last step"),
        (["--extractor_seed=1,7"], "--extractor_seed has '7'; give 1 or 2, or both"),
        (["--profile_steps=9"], "--profile_steps is '9'"),
    ],
)
def test_bad_settings_get_one_sentence_at_once(tmp_path, flags, expected):
    begin = time.monotonic()
    assert expected in refused_sentence(*flags, f"--workdir={tmp_path}/run")
    assert time.monotonic() - begin < 5
    assert not (tmp_path / "run").exists()


@pytest.mark.program
def test_a_layout_that_cannot_be_had_is_told(tmp_path):
    refused = refused_sentence("--distribution=mirrored", f"--workdir={tmp_path}/run")
    assert "found no GPU; use 'one', or give the number of replicas" in refused
    assert not (tmp_path / "run").exists()


def test_a_missing_workdir_is_asked_for():
    assert "--workdir" in refused_sentence("--preset=smoke")


@pytest.mark.program
def test_a_workdir_that_cannot_be_written_gets_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    assert "cannot be written" in refused_sentence("--preset=smoke", f"--workdir={tmp_path}/file/run")


@pytest.mark.program
def test_bad_data_gets_one_sentence(tmp_path):
    (tmp_path / "empty").mkdir()
    assert "holds no images" in refused_sentence(
        f"--tasks=folder:{tmp_path}/empty", f"--workdir={tmp_path}/a"
    )
    broken = tmp_path / "broken"
    broken.mkdir()
    Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save(broken / "good.png")
    (broken / "bad.png").write_bytes(b"no image")
    assert f"{broken}/bad.png" in refused_sentence(
        *artefacts.SMALL, f"--tasks=folder:{broken}", f"--workdir={tmp_path}/b"
    )
    specs = artefacts.sets(tmp_path, 1)
    assert "chooses no image" in refused_sentence(
        *artefacts.SMALL, f"--tasks={specs[0]}@7", f"--workdir={tmp_path}/c"
    )
    (tmp_path / "tiny").mkdir()
    tiny = artefacts.sets(tmp_path / "tiny", 1, side=3)
    assert "4" in refused_sentence(*artefacts.SMALL, f"--tasks={tiny[0]}", f"--workdir={tmp_path}/d")


@pytest.mark.program
def test_broken_images_can_be_left_out(tmp_path):
    draw = np.random.default_rng(0)
    for i in range(40):
        Image.fromarray(draw.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(tmp_path / f"{i}.png")
    (tmp_path / "bad.png").write_bytes(b"no image")
    done = run_program(
        *artefacts.SMALL, "--skip_broken_images", f"--tasks=folder:{tmp_path}", f"--workdir={tmp_path}/run"
    )
    assert done.returncode == 0, done.stderr
    assert "1 broken image left out" in done.stdout


@pytest.mark.program
def test_no_network_is_told_within_five_seconds(tmp_path):
    if subprocess.run(["getent", "hosts", "storage.googleapis.com"], capture_output=True).returncode == 0:
        pytest.skip("this machine has a network, so nothing would be refused")
    begin = time.monotonic()
    sentence = refused_sentence(
        *artefacts.SMALL,
        "--tasks=mnist",
        f"--workdir={tmp_path}/run",
        env={"TFDS_DATA_DIR": str(tmp_path / "tfds")},
    )
    # Imports (TensorFlow and TFDS) are not part of the five seconds; 15 more are allowed for them.
    assert time.monotonic() - begin < 20
    assert "no network" in sentence
