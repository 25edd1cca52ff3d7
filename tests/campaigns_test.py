"""A campaign runs again when a file that it guards is another one, and only then."""

import json

from tests import campaigns


def test_a_campaign_has_changed_when_a_guarded_file_has(tmp_path, monkeypatch):
    for name in ("a/one.py", "a/deep/two.py", "b.py", "c.py"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    monkeypatch.setattr(campaigns.source_imports, "ROOT", tmp_path)
    monkeypatch.setattr(campaigns, "GUARDED", {"first": "a", "second": "b.py"})
    monkeypatch.setattr(campaigns, "SHARED", "c.py")
    record = tmp_path / "campaigns.json"
    monkeypatch.setattr(campaigns, "RECORD", record)
    record.write_text("{}")
    assert campaigns.changed() == ["first", "second"]
    record.write_text(json.dumps({n: campaigns.fingerprint(g) for n, g in campaigns.GUARDED.items()}))
    assert campaigns.changed() == []
    (tmp_path / "a/deep/two.py").write_text("other")
    assert campaigns.changed() == ["first"]
    (tmp_path / "a/deep/two.py").write_text("a/deep/two.py")
    assert campaigns.changed() == []
    (tmp_path / "c.py").write_text("other")
    assert campaigns.changed() == ["first", "second"]


def test_every_guarded_place_is_there():
    for place in " ".join([*campaigns.GUARDED.values(), campaigns.SHARED]).split():
        assert (campaigns.source_imports.ROOT / place).exists(), place


def test_comments_and_docstrings_do_not_count_and_all_else_does():
    said = '"""What it is."""\n\nX = "#1"  # why\n\n\nclass A:\n    """One\n    more."""\n\n    # note\n    def f(self):\n        return """2"""\n'
    bare = 'X = "#1"\nclass A:\n    def f(self):\n        return """2"""'
    assert campaigns.code(said) == bare
    assert (
        campaigns.code(said.replace("#1", "#2")) != bare
        and campaigns.code(said.replace('"2"', '"3"')) != bare
    )
