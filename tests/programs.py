"""Programs as users start them, without the seconds that each would spend on imports.

A server forks a process for each program, which has its own flags, memory, environment and exit status.
With `imported` the server has imported TensorFlow; nothing of it runs there, so a fork is safe. Without, a
program that needs TensorFlow imports it. Tests of imports, of signals and of the first second of a program
start Python itself.
"""

import atexit
import contextlib
import functools
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import traceback

from tests import source_imports

imported = True  # conftest.py sets it to False where nothing but refusals is to be run


class Server:
    """One process that forks programs; `run` takes the place of `subprocess.run`."""

    def __init__(self):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)  # keeps messages apart
        self._socket = ours
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.programs", str(theirs.fileno()), *["imported"] * imported],
                cwd=source_imports.ROOT,
                pass_fds=[theirs.fileno()],
            )

    def run(self, module, *flags, cwd=source_imports.ROOT, env=None, timeout=120):
        """Runs `python -m module *flags`.

        Args:
          module: dotted name of the program.
          *flags: its arguments.
          cwd: folder that it runs in.
          env: variables on top of those of this process.
          timeout: seconds after which it is killed.

        Returns:
          a `subprocess.CompletedProcess` with text in stdout and stderr.

        Raises:
          subprocess.TimeoutExpired: it was killed.
        """
        command = [module, *map(str, flags)]
        request = {"command": command, "cwd": str(cwd), "env": {**os.environ, **(env or {})}}
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            socket.send_fds(self._socket, [json.dumps(request).encode()], [out.fileno(), err.fileno()])
            pid = int(self._socket.recv(32))
            self._socket.settimeout(timeout)
            try:
                status = int(self._socket.recv(32))
            except TimeoutError:
                with contextlib.suppress(ProcessLookupError):  # it ended just now
                    os.kill(pid, signal.SIGKILL)
                self._socket.settimeout(None)
                self._socket.recv(32)
                raise subprocess.TimeoutExpired(command, timeout) from None
            finally:
                self._socket.settimeout(None)
            out.seek(0), err.seek(0)
            return subprocess.CompletedProcess(command, status, out.read().decode(), err.read().decode())

    def close(self):
        self._socket.close()
        self._process.wait(10)


@functools.cache
def _server():
    server = Server()
    atexit.register(server.close)
    return server


def run(module, *flags, **settings):
    """`Server.run` of the one server of this process."""
    return _server().run(module, *flags, **settings)


def _import():
    from ltgans_tf.trainers import import_tensorflow

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import_tensorflow()
    importlib.import_module("tensorflow_probability")


def _serve(connection):
    while True:
        request, fds, _, _ = socket.recv_fds(connection, 1 << 20, 2)
        if not request:
            return
        pid = os.fork()
        if not pid:
            connection.close()
            _become(json.loads(request), fds)
        for fd in fds:
            os.close(fd)
        connection.send(str(pid).encode())
        _, status = os.waitpid(pid, 0)
        connection.send(str(os.waitstatus_to_exitcode(status)).encode())


def _become(request, fds):
    """Makes this process the program that was asked for, and ends it."""
    import runpy

    os.setpgid(0, 0)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for fd, own in zip(fds, (1, 2)):
        os.dup2(fd, own)
        os.close(fd)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    module, *arguments = request["command"]
    sys.path[0] = request["cwd"]
    sys.argv = [module, *arguments]
    status = 0
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as leave:
        status = leave.code
        if isinstance(status, str):
            print(status, file=sys.stderr)
            status = 1
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush(), sys.stderr.flush()
    # As in the end of a process: what was registered, then out, without the rest of this server.
    atexit._run_exitfuncs()
    sys.stdout.flush(), sys.stderr.flush()
    os._exit(status or 0)


if __name__ == "__main__":
    if sys.argv[2:] == ["imported"]:
        _import()
    _serve(socket.socket(fileno=int(sys.argv[1])))
