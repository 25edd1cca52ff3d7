"""A push or a release whose process dies, or meets a full disk, at a chosen change of the base.

  python -m tests.export.injected BASE FAULT NUMBER push TASK
  python -m tests.export.injected BASE FAULT NUMBER rollback

Python tells of every change of a file before it is made (`sys.addaudithook`): at the change of this number the
process kills itself (`kill`), or it and all later ones that need room fail (`full`). 0 is none. The model
costs nothing, and each version has the files that a server looks for.
"""

import errno
import os
import signal
import sys

from ltgans_tf.export import continuation, program, push, release, staging, warmup

_NEED_ROOM = ("os.rename", "os.mkdir", "os.link", "open")
_CHANGES = (*_NEED_ROOM, "os.remove", "os.rmdir")


class Model:
    student = object()
    get_weights = list


def inject(base, fault, number):
    made = [0]

    def hook(event, args):
        if event not in _CHANGES or not str(args[0]).startswith(base):
            return
        if event == "open" and not args[2] & (os.O_WRONLY | os.O_RDWR):
            return
        made[0] += 1
        if fault == "kill" and made[0] == number:
            os.kill(os.getpid(), signal.SIGKILL)
        if fault == "full" and made[0] >= number and event in _NEED_ROOM:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), args[0])

    if number:
        sys.addaudithook(hook)


def save(model, kind, folder, about):
    for name in ("saved_model.pb", warmup.FILE):
        os.makedirs(os.path.dirname(os.path.join(folder, name)), exist_ok=True)
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            file.write(kind)


def copy(workdir, target, tasks):
    os.makedirs(target)
    with open(os.path.join(target, "config.json"), "w", encoding="utf-8") as file:
        file.write(f"{tasks} tasks of {workdir}")


def main(base, fault, number, command, *task):
    staging._save, continuation._copy = save, copy
    staging.describe = lambda model, task, info, row: {**info, "task_index": task.index, "scores": None}
    inject(base, fault, int(number))
    if command == "rollback":
        release.rollback(base)
        return 0
    settings = push.PushSettings("always", validate=False, keep=2)
    push.push(Model(), push.Task(int(*task), "task"), base, {"run_id": "run"}, settings, None, "run")
    return 0


if __name__ == "__main__":
    given, sys.argv[1:] = sys.argv[1:], []  # absl takes nothing but flags
    program.run(lambda _: main(*given))
