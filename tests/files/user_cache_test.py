"""Where files that can be made anew are kept, and what happens to one that cannot be used."""

from ltgans_tf.files import user_cache


def test_the_cache_folder_follows_the_users_setting(monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert user_cache.folder() == "/somewhere/ltgans_tf"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/me")
    assert user_cache.folder() == "/home/me/.cache/ltgans_tf"


def test_without_a_home_folder_there_is_a_warning_and_no_cache(monkeypatch, caplog):
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr("os.path.expanduser", lambda path: path)
    assert user_cache.folder() is None
    assert "There is no cache: ~/.cache: this user has no home" in caplog.text
