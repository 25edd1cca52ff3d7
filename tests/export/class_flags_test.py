"""Flags of a class of settings, and the way from them to its fields."""

import pytest
from absl import flags

from ltgans_tf.export import class_flags
from ltgans_tf.export.push_settings import PushSettings


@pytest.fixture
def parsed(monkeypatch):
    """A function that defines the flags of `PushSettings` and parses words."""
    monkeypatch.setattr(class_flags, "FLAGS", found := flags.FlagValues())
    monkeypatch.setattr(
        class_flags,
        "_DEFINE",
        {
            kind: lambda *args, define=define: define(*args, flag_values=found)
            for kind, define in class_flags._DEFINE.items()
        },
    )

    def parse(*words, **settings):
        class_flags.define(PushSettings, "push_", **settings)
        found(["program", *words])

    return parse


def test_flags_have_the_defaults_of_the_fields_and_give_them_back(parsed):
    parsed()
    assert class_flags.made(PushSettings, "push_") == PushSettings()
    assert class_flags.FLAGS["push_keep"].help == PushSettings.__dataclass_fields__["keep"].metadata["help"]


def test_given_flags_reach_the_fields(parsed):
    parsed("--push_policy=manual", "--push_max_latency=2", "--nopush_validate")
    assert class_flags.made(PushSettings, "push_") == PushSettings("manual", max_latency=2.0, validate=False)


def test_without_defaults_only_given_flags_count(parsed):
    parsed("--push_keep=3", with_defaults=False)
    assert class_flags.given(PushSettings, "push_") == {"keep": 3}


def test_a_wrong_value_is_refused_by_the_name_of_its_flag(parsed):
    parsed("--push_keep=0")
    with pytest.raises(ValueError, match="^--push_keep is 0; it must be a whole number of at least 1.$"):
        class_flags.made(PushSettings, "push_")
