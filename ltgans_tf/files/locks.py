"""Locks a folder for one process at a time."""

import contextlib
import fcntl
import os

NAME = ".lock"


class InUse(OSError):
    """Another process holds the lock; the message is the text that this process wrote into the lock file."""


@contextlib.contextmanager
def hold(folder, wait=False, name=NAME):
    """Holds the lock of a folder.

    The lock is an flock on the file `name` in the folder and, if the file system can lock folders, on the folder
    itself, so that removing the file does not release the lock. The kernel drops both when the process ends, for
    whatever reason, so no lock is ever stale.

    Args:
      folder: an existing folder.
      wait: whether to wait until another holder releases the lock.
      name: name of the lock file; it is created if it does not exist, and never removed.

    Yields:
      (file, check): the locked file, open for reading and writing; and a function without arguments that
      raises an OSError if the lock is lost.

    Raises:
      InUse: another process holds the lock, and `wait` is False.
      OSError: the file cannot be opened, or its file system has no locks.
    """
    path = os.path.join(folder, name)
    flags = fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB)
    with contextlib.ExitStack() as opened:
        file = _locked_file(path, flags, opened)
        descriptor = os.open(folder, os.O_RDONLY)
        opened.callback(os.close, descriptor)
        try:
            fcntl.flock(descriptor, flags)
            guarded = True
        except BlockingIOError as error:
            raise InUse(_holder(file)) from error
        except OSError:  # NFS can lock files only; `check` then tests that the lock file is still in place
            guarded = False

        def check():
            if not guarded and not _is_at(path, file):
                raise OSError(
                    f"{path}, the lock of this process, was removed or replaced, so another process may be writing"
                    f" to {folder}; this one stops writing. Make sure that no other process runs there, and run the same"
                    " command again."
                )

        yield file, check


def _locked_file(path, flags, opened):
    while True:
        file = open(path, "a+", encoding="utf-8")
        with contextlib.ExitStack() as failed:
            failed.callback(file.close)
            try:
                fcntl.flock(file, flags)
            except BlockingIOError as error:
                raise InUse(_holder(file)) from error
            except OSError as error:
                raise OSError(_without_locks(path, error)) from error
            if _is_at(path, file):  # it may have been removed while this process waited
                failed.pop_all()
                opened.callback(file.close)
                return file


def _is_at(path, file):
    try:
        return os.path.samestat(os.stat(path), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


def _holder(file):
    file.seek(0)
    return file.read().strip() or "another process"


def _without_locks(path, error):
    return (
        f"{path} cannot be locked ({error.strerror or error}), so two processes could write there at one time; use a"
        " folder on a file system with locks, such as a local disk, or enable the lock service of NFS."
    )
