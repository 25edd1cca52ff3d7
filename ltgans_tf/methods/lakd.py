"""Who teaches and who learns: the role exchange of LAKD (Ye and Bors 2021, section 2).

Each twin has a fixed identity, `generators[0]` or `generators[1]`. Its role depends on the
task alone, and only this file defines how. In the paper's words generator 0 is "the Teacher"
of task 2 and generator 1 its "Assistant"; from task 3 on they exchange roles at every task
switch.

| task_index | teachers | learners | what happens                                          |
|------------|----------|----------|-------------------------------------------------------|
| 0          | ()       | (0, 1)   | Eq. 1: both learn from the data, nothing to replay    |
| 1          | (0,)     | (1,)     | Eq. 2: 0 is frozen and replays, 1 learns              |
| 2          | (1,)     | (0,)     | exchanged                                             |
| k          | ((k - 1) % 2,) | (k % 2,) | and so on, in turn                                |
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Roles:
    """Identities of the generators by role, in one task.

    Attributes:
      teachers: frozen generators that supply the replay; empty in the first task.
      learners: generators that are trained; the single one of a later task is the Assistant.
    """

    teachers: tuple[int, ...]
    learners: tuple[int, ...]


def roles_for_task(task_index, first_learners=2):
    """Returns the `Roles` of the task at `task_index` (0-based, any non-negative int).

    If `first_learners` is 1, generator 0 learns the first task alone.
    """
    if task_index < 0:
        raise ValueError(f"task_index is {task_index}; tasks are counted from 0.")
    if task_index == 0:
        return Roles(teachers=(), learners=(0, 1)[:first_learners])
    assistant = task_index % 2
    return Roles(teachers=(1 - assistant,), learners=(assistant,))


def latest_teacher(finished_tasks, roles=roles_for_task):
    """Returns the identity of the most knowledgeable generator after `finished_tasks` tasks.

    That is the generator trained last, the Teacher of the next task. After the first task, which
    trains both twins, it is the paper's Teacher, generator 0. Before the end of the first task it is
    generator 0 too, because neither twin knows more. `roles` maps the index of a task to its
    `Roles`.
    """
    return roles(max(finished_tasks - 1, 0)).learners[0]
