"""A folder for one process at a time: what the kernel gives, and what is said where it gives nothing."""

import errno
import fcntl
import os
import stat

import pytest

from ltgans_tf.files import locks


def _tried(folder):
    """How it goes for another process: a child takes the lock and says so, or says who has it."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            with locks.hold(folder):
                os.write(writer, b"taken")
        except OSError as error:
            os.write(writer, str(error).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as answer:
        said = answer.read().decode()
    os.waitpid(child, 0)
    return said


def _without_locks_of(kind, number):
    """An flock that fails on files of a kind, as on a file system without such locks."""
    real = fcntl.flock

    def flock(file, operation):
        descriptor = file if isinstance(file, int) else file.fileno()
        if kind(os.fstat(descriptor).st_mode):
            raise OSError(number, os.strerror(number))
        real(file, operation)

    return flock


def test_one_process_has_the_lock_and_says_who_it_is(tmp_path):
    with locks.hold(tmp_path) as (file, check):
        file.write("me")
        file.flush()
        check()
        assert _tried(tmp_path) == "me"
    assert _tried(tmp_path) == "taken"


@pytest.mark.parametrize("how", ["removed", "replaced"])
def test_nobody_gets_in_where_the_file_was_removed_under_its_holder(tmp_path, how):
    with locks.hold(tmp_path) as (_, check):
        os.remove(tmp_path / ".lock")
        if how == "replaced":
            (tmp_path / ".lock").write_text("")
        assert _tried(tmp_path) == "another process"
        check()  # the folder is locked, so nothing is lost
    assert _tried(tmp_path) == "taken"


@pytest.mark.parametrize("how", ["removed", "replaced"])
def test_a_holder_is_told_where_only_files_can_be_locked(tmp_path, monkeypatch, how):
    monkeypatch.setattr(fcntl, "flock", _without_locks_of(stat.S_ISDIR, errno.EBADF))
    with locks.hold(tmp_path) as (_, check):
        assert _tried(tmp_path) == "another process"
        check()
        os.remove(tmp_path / ".lock")
        if how == "replaced":
            assert _tried(tmp_path) == "taken"
        with pytest.raises(
            OSError, match="the lock of this process, was removed or replaced.*this one stops writing"
        ):
            check()


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL])
def test_a_file_system_without_locks_is_named_and_nobody_is_blamed(tmp_path, monkeypatch, number):
    monkeypatch.setattr(fcntl, "flock", _without_locks_of(stat.S_ISREG, number))
    with pytest.raises(OSError) as refused, locks.hold(tmp_path):
        pass
    assert not isinstance(refused.value, locks.InUse)
    assert f".lock cannot be locked ({os.strerror(number)})" in str(refused.value)


def test_a_lock_that_was_removed_while_another_waited_for_it_is_taken_anew(tmp_path, monkeypatch):
    real, removed = fcntl.flock, []

    def flock(file, operation):
        real(file, operation)
        if not removed:  # by the holder before, just as this process gets it
            removed.append(os.remove(tmp_path / ".lock"))

    monkeypatch.setattr(fcntl, "flock", flock)
    with locks.hold(tmp_path) as (file, _):
        assert os.path.samestat(os.stat(tmp_path / ".lock"), os.fstat(file.fileno()))
