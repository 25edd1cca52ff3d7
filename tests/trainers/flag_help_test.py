"""The help of `ltgans train`, and flags that other projects call otherwise."""

import collections

import pytest
from absl.testing import flagsaver

from ltgans_tf.export import program
from ltgans_tf.trainers import flag_help, train


@pytest.fixture
def parsed():
    """Sets the flags of `ltgans train`; afterwards they are as before."""
    with flagsaver.flagsaver():
        yield lambda *words: train.FLAGS(["train", "--workdir=runs/mine", *words])


def test_each_flag_of_the_program_is_in_one_group():
    counted = collections.Counter(name for _, names in flag_help.groups(train.PROGRAM) for name in names)
    assert set(counted) == train.PROGRAM and set(counted.values()) == {1}


def test_a_flag_that_no_group_has_stands_with_those_of_the_run():
    groups = dict(flag_help.groups({*train.PROGRAM, "new_flag"}))
    assert "new_flag" in groups["The run"] and "batch_size" not in groups["The run"]


def test_the_help_has_the_values_that_hold(parsed):
    parsed("--preset=fig4a_ten_tasks_cpu", "--method=replay", "--batch_size=3")
    lines = train._help().splitlines()
    for wanted in ("  --steps_per_task=150", "  --batch_size=3", "  --critic_heads=1", "  --domain_dim=0"):
        assert wanted in lines
    assert "  --lgm_categories=10" in lines  # of a method that was not chosen: its default
    assert "  --[no]push  (on)" in lines and "  --[no]dry_run  (off)" in lines


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("lr", "generator_optimizer?"),
        ("batch_sice", "batch_size?"),
        ("batch", "batch_size?"),
        ("size", "image_size?"),
        ("resolution", "image_size?"),
        ("folder", "tasks?"),
        ("augment", "diffaugment?"),
        ("mirror", "horizontal_flips?"),
        ("wandb", "tracker?"),
        ("epochs", "steps_per_task? It counts steps, not epochs: an epoch is"),
        ("gpus", "replicas? It goes with --distribution=mirrored, which takes all GPUs"),
    ],
)
def test_a_flag_of_another_project_leads_to_ours(word, meant):
    assert program._nearest(word).startswith(f"; did you mean --{meant}")


@pytest.mark.parametrize("word", ["cuda", "cudnn", "normalise"])
def test_a_flag_that_nothing_here_is_like_leads_to_the_help(word):
    assert program._nearest(word) == "; --help lists the flags."


def test_what_other_projects_call_a_flag_is_none_of_ours_and_leads_to_one():
    ours = {*train._KEPT, *train._ONCE}
    assert not set(program._ELSEWHERE) & ours
    assert set(program._ELSEWHERE.values()) <= {*ours, "count", "url"}  # of ltgans sample and client
