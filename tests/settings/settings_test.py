"""Settings of single methods: what they refuse, and their way from a flag to the model and back."""

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest

from ltgans_tf.methods import registry
from ltgans_tf.settings.method_table import SETTINGS, CURLSettings, LGMSettings
from tests import programs, source_imports
from tests.tiny import TINY

RUN = [
    "--push_policy=always",
    "--nopush_validate",
    "--batch_size=4",
    "--steps_per_task=2",
    "--eval_images=8",
    "--eval_samples=20",
    "--extractor_images=8",
]


def _train(*flags):
    return programs.run("ltgans_tf.trainers.train", "--preset=smoke", *flags, timeout=240)


@pytest.mark.parametrize(
    "cls, field, values",
    [
        (LGMSettings, "categories", [0, -1, 2.5, True, "3", None]),
        (LGMSettings, "grow", [1, "yes", None]),
        (LGMSettings, "consistency", [-0.1, float("nan"), float("inf"), "1"]),
        (LGMSettings, "anneal_steps", [0, 1.5]),
        (CURLSettings, "components", [0, 2.5]),
        (CURLSettings, "first_components", [0, 11]),
        (CURLSettings, "buffer_size", [0, 1.5]),
        (CURLSettings, "expansion_wait", [-1, 0.5]),
        (CURLSettings, "expansion_passes", [-1, 0.5]),
        (CURLSettings, "threshold_deviations", [float("nan"), float("-inf"), "3"]),
        (CURLSettings, "threshold_decay", [1.0, -0.1, float("nan")]),
    ],
)
def test_a_wrong_value_is_refused_in_one_sentence_that_names_the_field(cls, field, values):
    for value in values:
        with pytest.raises(ValueError) as refusal:
            cls(**{field: value})
        message = str(refusal.value)
        assert message.startswith(f"{field} is {value!r}; it must be ") and message.endswith(".")
        assert "\n" not in message and ". " not in message


def test_every_field_has_a_help_text_and_a_plain_default():
    for cls in SETTINGS.values():
        for field in dataclasses.fields(cls):
            assert field.metadata["help"].endswith("."), field.name
            assert type(field.default) in (int, float, bool), field.name


@pytest.mark.parametrize("method", registry.METHODS)
def test_the_methods_with_settings_take_them_by_one_name_and_the_others_refuse_them(method):
    assert SETTINGS.keys() <= registry.METHODS.keys()
    build = registry.method_class(method).from_architecture
    if method in SETTINGS:
        assert build(TINY, recipe="paper").settings == SETTINGS[method]()
    else:
        with pytest.raises(ValueError, match="has none beside its recipe; leave it out"):
            build(TINY, settings=SETTINGS["lgm"]())


def _planned(*flags):
    done = _train("--dry_run", "--workdir=nowhere", *flags)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_plan_shows_the_settings_of_the_chosen_method_alone():
    prefixes = lambda lines: {line.split("_")[0].strip() for line in lines if "_" in line} & {"lgm", "curl"}
    lines = _planned("--method=curl", "--curl_components=4", "--curl_threshold_decay=0.5")
    assert prefixes(lines) == {"curl"}
    assert {"  curl_components: 4", "  curl_threshold_decay: 0.5", "  curl_buffer_size: 100"} <= {*lines}
    lines = _planned("--method=lgm", "--lgm_grow")
    assert prefixes(lines) == {"lgm"} and "  lgm_grow: True" in lines
    assert not prefixes(_planned("--method=replay"))


@pytest.mark.parametrize(
    "flags, expected",
    [
        (["--lgm_grow"], "--lgm_grow is a setting of lgm and --method is ltgan; leave it out or choose"),
        (
            ["--method=lgm", "--curl_components=3"],
            "--curl_components is a setting of curl and --method is lgm",
        ),
        (["--method=curl", "--nolgm_grow"], "--lgm_grow is a setting of lgm and --method is curl"),
        (["--method=lgm", "--lgm_categories=0"], "--lgm_categories is 0; it must be a whole number of at"),
        (
            ["--method=curl", "--curl_first_components=11"],
            "--curl_first_components is 11; it must be at most",
        ),
        (["--method=curl", "--curl_threshold_decay=nan"], "--curl_threshold_decay is nan; it must be"),
    ],
)
def test_a_flag_of_another_method_and_a_wrong_one_get_one_sentence(flags, expected):
    done = _train("--dry_run", "--workdir=nowhere", *flags)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"error: {expected}"), done.stderr


@pytest.mark.program
def test_flags_reach_the_model_config_and_flagfile(tmp_path):
    path, workdir = tmp_path / "set.npz", tmp_path / "run"
    images = np.random.default_rng(0).integers(0, 256, (2, 16, 32, 32, 3), dtype=np.uint8)
    np.savez(path, train_images=images[0], test_images=images[1])
    given = ["--lgm_categories=3", "--lgm_grow", "--lgm_consistency=0.5"]
    done = _train("--method=lgm", *given, *RUN, f"--tasks=npz:{path}", f"--workdir={workdir}")
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads((workdir / "config.json").read_text())["model"]["lgm"]
    assert found == dataclasses.asdict(LGMSettings(categories=3, grow=True, consistency=0.5))
    written = (workdir / "flags.txt").read_text().splitlines()
    for name, value in found.items():
        assert f"--lgm_{name}={value}" in written
    changed = _train(f"--flagfile={workdir}/flags.txt", "--lgm_categories=4")
    assert changed.returncode == 2 and "model.lgm.categories (was 3, now 4)" in changed.stderr
    assert changed.stderr.count("(was ") == 1  # all else is as it was


def test_a_method_of_ones_own_needs_no_settings():
    program = (
        "import ltgans_tf.methods.registry as b; b.METHODS['mine'] = b.METHODS['ltgan']\n"
        "from ltgans_tf.trainers import run, train; run(train.main)"
    )
    flags = ("--preset=smoke", "--method=mine", "--dry_run", "--workdir=nowhere")
    done = subprocess.run(
        [sys.executable, "-c", program, *flags], cwd=source_imports.ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "method: mine" in done.stdout
    assert "lgm_" not in done.stdout and "curl_" not in done.stdout
