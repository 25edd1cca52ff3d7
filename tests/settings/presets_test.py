"""Settings as data: every name resolves and builds, every wrong value is refused by its name."""

import dataclasses
import os
import subprocess
import sys
from fractions import Fraction

import pytest
from PIL import Image

from ltgans_tf.data import catalogue, datasets, specs, streams
from ltgans_tf.methods import twin_gan
from ltgans_tf.settings import architectures, checked, presets
from tests import source_imports
from tests.tiny import TINY

BY_HAND = ("cacd", "rendered_chairs")
SMALL = [name for name in presets.PRESETS if name.endswith("_cpu")]


@pytest.mark.parametrize("name", presets.PRESETS)
def test_a_preset_names_things_that_there_are(name):
    preset = presets.preset(name)
    arch = architectures.architecture(preset.architecture)
    recipe = presets.recipe(preset.recipe, preset.architecture)
    assert isinstance(preset, presets.Preset) and isinstance(recipe, presets.Recipe)
    assert arch.image_size in (32, 64)
    assert len(preset.tasks) >= 2
    for task in preset.tasks:
        assert specs.parse(task).text == task
        assert {part.path_or_name for part in specs.parse(task).parts} <= catalogue.DATASETS.keys()
        if not set(BY_HAND) & {task}:
            specs.check(task)
    assert preset.steps_per_task >= preset.sample_every and preset.steps_per_task >= preset.checkpoint_every


@pytest.mark.parametrize("name", presets.PRESETS)
def test_no_preset_augments_or_flips_unasked(name):
    preset = presets.preset(name)
    assert presets.recipe(preset.recipe, preset.architecture).diffaugment == "none"
    assert not preset.horizontal_flips


def test_presets_that_need_no_download_stay_so():
    for name in ("smoke", "demo"):
        assert {catalogue.DATASETS[task].kind for task in presets.preset(name).tasks} == {"builtin"}


def test_table_1_has_the_stream_of_the_paper():
    preset = presets.preset("table1_msfo")
    assert preset.tasks == ("mnist", "svhn_cropped", "fashion_mnist", "omniglot")
    assert (preset.architecture, preset.batch_size, preset.channels) == ("paper32", 64, 3)


def test_the_other_streams_are_those_of_the_paper():
    def tasks(name):
        return presets.preset(name).tasks

    first, second = (specs.parse(task).parts[0] for task in tasks("table2_cifar_imagenet")[1:])
    assert not set(first.classes) & set(second.classes) and len(first.classes) == len(second.classes)
    assert tasks("table2_caption") == ("cifar10", "cifar100", *tasks("table2_cifar_imagenet")[1:])
    assert tasks("table3_fuzzy") == (
        "mnist@0-8?train+svhn_cropped@9?train+mnist?test",
        "svhn_cropped@0-8?train+mnist@9?train+svhn_cropped?test",
        "fashion_mnist@0-8?train+cifar10@9?train+fashion_mnist?test",
    )
    assert tasks("fig2_faces") == ("celeb_a", "cacd") and tasks("fig2_chairs") == tasks("fig3_disentangle")
    assert tasks("fig4a_ten_tasks") == tuple(f"mnist@{digit}" for digit in range(10))
    assert tasks("fig4b_ablation") == tasks("table1_msfo")[:3]
    for name in ("fig2_faces", "fig2_chairs", "fig3_disentangle"):
        assert presets.preset(name).architecture == "paper64"


def test_an_architecture_of_another_name_has_the_recipe_of_the_small_nets():
    assert presets.recipe("recommended", "tiny32") == presets.recipe("recommended", "small32")
    assert (
        presets.recipe("recommended", "paper32").n_critic
        == 5
        > presets.recipe("recommended", "tiny32").n_critic
    )


@pytest.mark.parametrize("name", SMALL)
def test_a_small_preset_is_the_large_one_with_less(name):
    small, large = presets.preset(name), presets.PRESETS.get(name.removesuffix("_cpu"))
    assert small.architecture.startswith("small") and small.batch_size == 16
    # About five minutes on one core; a stream of more tasks than 26 has at most 60 steps in each.
    assert small.steps_per_task <= max(1600 / len(small.tasks), 60)
    if large:
        assert small.tasks == large.tasks and not large.data_dir_tasks
    for task in small.data_dir_tasks:
        assert specs.parse(task).text == task
    assert len(small.data_dir_tasks) in (0, len(small.tasks))


@pytest.mark.parametrize("name", SMALL)
def test_the_sets_in_place_of_the_papers_are_there(name):
    folder = os.environ.get("LTGANS_DATA_DIR")
    if not folder:
        pytest.skip("LTGANS_DATA_DIR names no folder with data sets")
    for task in presets.preset(name).tasks_with(folder):
        specs.check(task, folder)


@pytest.mark.campaign("paper")
@pytest.mark.parametrize("name", [name for name in presets.PRESETS if name.startswith(("table", "fig"))])
def test_a_preset_of_the_paper_builds_and_takes_a_step_of_each_task(name, tmp_path, monkeypatch):
    import tensorflow_datasets as tfds

    for folder in BY_HAND:
        (tmp_path / folder).mkdir()
        for i in range(30):
            Image.new("RGB", (40, 50), (i, 0, 0)).save(tmp_path / folder / f"{i}.png")
    preset = presets.preset(name)
    arch = architectures.architecture(preset.architecture)
    shape = (arch.image_size, arch.image_size, preset.channels)
    monkeypatch.setattr(datasets, "_can_look_up", lambda host: True)
    with tfds.testing.mock_data(num_examples=120):
        stream = streams.TaskStream(preset.tasks, shape, batch_size=2, fit=preset.fit, data_dir=str(tmp_path))
        recipe = presets.recipe(preset.recipe, preset.architecture)
        model = twin_gan.TwinGAN.from_architecture(preset.architecture, preset.channels, True, recipe)
        model.compile()
        assert model.fit_stream(stream, steps_per_task=1)
    assert int(model.global_step.numpy()) == len(preset.tasks)


def test_tasks_for_a_data_folder_take_the_place_of_the_others_only_with_one():
    preset = presets.Preset(tasks=("mnist",), data_dir_tasks=("mnist_m",))
    assert preset.tasks_with("folder") == ("mnist_m",)
    assert preset.tasks_with(None) == preset.tasks_with("") == ("mnist",)
    assert presets.Preset(tasks=("mnist",)).tasks_with("folder") == ("mnist",)


def test_tasks_for_a_data_folder_are_no_flag():
    names = [field.name for field in checked.flag_fields(presets.Preset)]
    assert "data_dir_tasks" not in names and {"tasks", "seed"} <= set(names)
    assert list(checked.flag_values(presets.Preset())) == names


@pytest.mark.parametrize(
    "name, architecture", [("paper", "paper32"), ("recommended", "small32"), ("recommended", "paper32")]
)
def test_a_recipe_builds_a_model_with_its_optimizers(name, architecture):
    recipe = presets.recipe(name, architecture)
    model = twin_gan.TwinGAN.from_architecture(TINY, recipe=recipe)
    model.compile()
    assert model.critic.output_shape == (None, recipe.critic_heads)
    texts = [recipe.generator_optimizer] * 2 + [recipe.critic_optimizer, recipe.student_optimizer]
    for optimizer, text in zip(model.optimizers, texts, strict=True):
        kind, numbers = presets.parse_optimizer(text)
        config = optimizer.get_config()
        assert type(optimizer).__name__.lower() == kind
        names = ("learning_rate", "beta_1", "beta_2")
        assert [config[n] for n in names[: len(numbers)]] == pytest.approx(list(numbers))


def test_the_papers_recipe_has_the_settings_of_the_authors_code():
    recipe = presets.recipe("paper", "paper32")
    assert recipe == presets.recipe("paper", "small32")
    assert (recipe.n_critic, recipe.penalty_weight, recipe.critic_heads, recipe.beta) == (1, 10.0, 1, 1.0)
    assert (recipe.replay_share, recipe.student_replay, recipe.latent_law) == ("paper", "paper", "normal")
    assert recipe.critic_optimizer == recipe.generator_optimizer == "rmsprop(0.0002)"
    assert presets.parse_optimizer(recipe.student_optimizer) == ("adam", (0.0002, 0.5))


def test_the_recommended_recipe_fits_the_size_of_the_nets():
    small, large = presets.recipe("recommended", "small64"), presets.recipe("recommended", "paper64")
    assert small == presets.recipe("recommended", "small32")
    assert (
        small.critic_heads == large.critic_heads == 2
        and small.replay_share == large.replay_share == "balanced"
    )
    assert (small.n_critic, large.n_critic) == (1, 5)
    assert small.domain_dim > 0 and small.distillation > 0 and small.warm_start == 1.0
    assert presets.parse_optimizer(large.critic_optimizer) == ("adam", (1e-4, 0.0, 0.9))
    rates = ("n_critic", "critic_optimizer", "generator_optimizer", "student_optimizer")
    assert dataclasses.replace(large, **{name: getattr(small, name) for name in rates}) == small


@pytest.mark.parametrize("method", ["replay", "finetune", "joint", "joint_twins"])
def test_what_ltgan_is_compared_with_has_latents_without_codes(method):
    recipe, ours = presets.recipe("recommended", "small32", method), presets.recipe("recommended", "small32")
    assert (recipe.domain_dim, recipe.distillation, recipe.warm_start) == (0, 0.0, 0.0)
    assert recipe.critic_heads == (2 if method == "joint_twins" else 1)
    assert (recipe.ema, recipe.n_critic, recipe.critic_optimizer) == (
        ours.ema,
        ours.n_critic,
        ours.critic_optimizer,
    )
    assert presets.recipe("recommended", "small32", "my_idea:Mine") == ours


def test_distillation_needs_domain_codes_and_the_past_a_critic_or_distillation():
    with pytest.raises(ValueError, match="distillation is 0.1 with domain_dim 0; it needs domain codes"):
        presets.Recipe(distillation=0.1)
    with pytest.raises(ValueError, match="critic_on_past is False with distillation 0, so that nothing"):
        presets.Recipe(critic_on_past=False, domain_dim=8)
    with pytest.raises(ValueError, match="domain_scales is True with domain_dim 0; it needs domain codes"):
        presets.Recipe(domain_scales=True)
    assert presets.Recipe(distillation=0.1, domain_dim=8, critic_heads=1, critic_on_past=False)


@pytest.mark.parametrize(
    "share, expected",
    [
        ("paper", [0, (1, 2), (1, 2), (1, 2), (1, 2)]),
        ("balanced", [0, (1, 2), (2, 3), (3, 4), (4, 5)]),
        ("0.3", [0, (3, 10), (3, 10), (3, 10), (3, 10)]),
        (0.1, [0, (1, 10), (1, 10), (1, 10), (1, 10)]),
        ("1/3", [0, (1, 3), (1, 3), (1, 3), (1, 3)]),
        (0, [0, 0, 0, 0, 0]),
        ("1", [0, 1, 1, 1, 1]),
    ],
)
def test_replay_fraction_is_exact(share, expected):
    found = [presets.replay_fraction(share, task_index) for task_index in range(5)]
    assert found == [Fraction(*e) if isinstance(e, tuple) else e for e in expected]
    assert all(isinstance(fraction, Fraction) for fraction in found)


@pytest.mark.parametrize("share", ["half", "", "1.01", -0.1, "nan", "inf", "1/0", None])
def test_a_replay_share_that_is_none_is_refused(share):
    with pytest.raises(ValueError, match="^replay_share is .*'balanced' or a number in"):
        presets.replay_fraction(share, 1)


@pytest.mark.parametrize(
    "text, expected",
    [
        ("adam(0.001, 0, 0.9)", ("adam", (0.001, 0.0, 0.9))),
        (" adam (1e-4,0.5) ", ("adam", (1e-4, 0.5))),
        ("adam(0.001)", ("adam", (0.001,))),
        ("rmsprop(0.0002)", ("rmsprop", (0.0002,))),
    ],
)
def test_an_optimizer_is_read_from_its_text(text, expected):
    assert presets.parse_optimizer(text) == expected


BAD_OPTIMIZERS = [
    "sgd(0.1)",
    "adam",
    "adam()",
    "adam(x)",
    "adam(0)",
    "adam(-1)",
    "adam(nan)",
    "adam(inf)",
    "adam(0.1, 0, 0.9, 1)",
    "adam(0.001, 0.9, 1)",
    "adam(0.001, -0.1)",
    "rmsprop(0.1, 0.9)",
    "adam(0.1) rmsprop(0.1)",
    "adam((0.1))",
    "",
    None,
]


@pytest.mark.parametrize("text", BAD_OPTIMIZERS)
def test_a_text_that_is_no_optimizer_is_refused(text):
    with pytest.raises(ValueError, match=r"^optimizer is .*written like 'adam\(0.001, 0, 0.9\)'"):
        presets.parse_optimizer(text)


@pytest.mark.parametrize(
    "field, value",
    [
        ("n_critic", 0),
        ("n_critic", 101),
        ("penalty_weight", -1.0),
        ("penalty_weight", float("nan")),
        ("replay_share", "most"),
        ("student_replay", "none"),
        ("beta", -0.5),
        ("distillation", -0.1),
        ("latent_law", "cauchy"),
        ("latent_law", "circle"),
        ("domain_dim", -1),
        ("domain_dim", 1025),
        ("domain_length", 0.0),
        ("first_learners", 3),
        ("critic_heads", 3),
        ("ema", 1.0),
        ("ema", -0.1),
        ("student_ema", 1.0),
        ("student_ema", -0.1),
        ("student_distillation", -0.1),
        ("student_distillation", float("inf")),
        ("critic_optimizer", "sgd(1)"),
        ("generator_optimizer", "adam"),
        ("student_optimizer", "adam(x)"),
    ],
)
def test_a_recipe_refuses_a_wrong_value_in_one_sentence(field, value):
    with pytest.raises(ValueError) as refusal:
        presets.Recipe(**{field: value})
    _one_sentence(str(refusal.value), field, value)


@pytest.mark.parametrize(
    "field, value",
    [
        *(
            (name, 0)
            for name in (
                "batch_size",
                "steps_per_task",
                "log_every",
                "sample_every",
                "checkpoint_every",
                "eval_images",
            )
        ),
        ("channels", 2),
        ("fit", "squeeze"),
    ],
)
def test_a_preset_refuses_a_wrong_value_in_one_sentence(field, value):
    with pytest.raises(ValueError) as refusal:
        presets.Preset(**{field: value})
    _one_sentence(str(refusal.value), field, value)


def _one_sentence(message, field, value):
    assert message.startswith(f"{field} is {value!r}; it must be ")
    assert message.endswith(".") and "\n" not in message and ". " not in message


def test_every_setting_has_a_help_text_and_a_plain_default():
    for kind in (presets.Recipe, presets.Preset):
        for field in dataclasses.fields(kind):
            assert field.metadata["help"].endswith("."), field.name
            assert type(field.default) in (int, float, bool, str, tuple), field.name


@pytest.mark.parametrize(
    "look_up, near",
    [
        (lambda: presets.preset("dmeo"), "unknown preset 'dmeo'; did you mean demo.*There are smoke, demo"),
        (
            lambda: presets.recipe("papre", "small32"),
            "unknown recipe 'papre'; did you mean paper.*There are paper, rec",
        ),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(look_up, near):
    with pytest.raises(ValueError, match=near):
        look_up()


def test_naming_settings_does_not_import_tensorflow():
    program = (
        "import sys, ltgans_tf.settings.presets as p\n"
        "p.recipe(p.preset('demo').recipe, 'small32'); p.parse_optimizer('adam(1)')\n"
        "print({'tensorflow', 'keras', 'numpy'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=source_imports.ROOT, capture_output=True, text=True
    )
    assert done.stdout.strip() == "set()", done.stderr


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"student": False}, "without a Student"),
        ({"protocol": "production"}, "reads no image of a past task"),
    ],
)
def test_the_first_task_is_scored_only_where_that_can_be(changes, told):
    assert presets.preset("fig4b_ablation_cpu").score_first_task
    with pytest.raises(ValueError, match=f"^score_first_task is True .*{told}"):
        presets.Preset(score_first_task=True, **changes)
