"""Measures the train step of TwinGAN against a plain version (`benchmarks.plain`) and against a GEMM.

  python -m benchmarks.step --architecture=small32 --batch_size=32 --out=step.json

It measures steps of task 1 (both twins learn, no Teacher) and of a later task (replay), each as one compiled
graph on real digits. All candidates take turns in every repeat, so that a change of the machine's
speed affects all of them. A step takes n_critic * batch_size new images.
"""

import dataclasses
import time

from absl import flags

import benchmarks
from ltgans_tf.settings import architectures, presets
from ltgans_tf.trainers import import_tensorflow, run

_GEMM = 2048  # rows and columns of the matrix product
_BATCHES = 32  # different batches, in turn
FIRST, LATER = "task 1", "task 2 on"
OURS = "package"


def main(_):
    given = flags.FLAGS
    arch, recipe = set_up()
    conditions = benchmarks.conditions()
    results = measure(
        arch,
        recipe,
        digits(arch, given.channels, given.batch_size, given.n_critic + 1),
        given.student,
        given.repeats,
        given.seconds,
    )
    results = {"conditions": conditions, "deterministic": given.deterministic, **results}
    benchmarks.publish(results, report(results))


def define_flags():
    """Defines the flags that say which step is measured, and how."""
    flags.DEFINE_string("architecture", "small32", "Networks, a name of ARCHITECTURES.")
    flags.DEFINE_string("recipe", "recommended", "The method's settings, paper or recommended.")
    flags.DEFINE_integer("batch_size", 32, "Images per critic update.", 1)
    flags.DEFINE_integer("n_critic", 1, "Critic updates per step.", 1)
    flags.DEFINE_bool("deterministic", True, "Whether operations are deterministic, as in train.")
    flags.DEFINE_integer("repeats", 7, "Turns of each candidate.", 1)
    flags.DEFINE_float("seconds", 0.5, "How long a turn takes.", 0.0)


def set_up():
    """Starts TensorFlow as the flags say; returns the architecture and the recipe."""
    given = flags.FLAGS
    arch = architectures.architecture(given.architecture)
    recipe = dataclasses.replace(presets.recipe(given.recipe, arch.name), n_critic=given.n_critic)
    tf = import_tensorflow()
    if given.deterministic:
        tf.config.experimental.enable_op_determinism()
    return arch, recipe


def measure(arch, recipe, batches, student=True, repeats=7, seconds=0.5, warm_up=2.5, tasks=(FIRST, LATER)):
    """Measures all candidates in turns.

    Args:
      arch: an `architectures.Architecture`.
      recipe: a `presets.Recipe`.
      batches: uint8 [N, B, n_critic + 1, H, W, C], N batches to take in turn. In the first task the Student
        also takes the last images along axis 2.
      student: whether the Student is trained in step.
      repeats: number of turns of each candidate.
      seconds: approximate time of a turn.
      warm_up: seconds that each candidate runs before its turns.
      tasks: the kinds of task to measure: 'task 1', 'task 2 on' or both.

    Returns:
      JSON-ready dict: 'settings', 'gemm_gflops' and the 'rows', one for each candidate with its
      milliseconds and the numbers derived from them.
    """
    channels, batch_size = batches.shape[-1], batches.shape[1]
    candidates = {}
    for task in tasks:
        candidates |= _candidates(arch, recipe, batches, student, task)
    multiply, gemm_flops = gemm()
    candidates["GEMM", ""] = multiply
    times = in_turns(candidates, repeats, seconds, warm_up)
    peak = gemm_flops / times["GEMM", ""]["median"] * 1e-6  # ms to GFLOP/s
    rows = []
    for (name, task), timed in times.items():
        row = {"name": name, "task": task, "ms": timed}
        if name in ("package", "plain"):
            row["new_images_per_second"] = 1e3 * recipe.n_critic * batch_size / timed["median"]
        if name == "package":
            row["plain_over_package"] = times["plain", task]["median"] / timed["median"]
        rows.append(row)
    return {
        "settings": {
            "architecture": arch.name,
            "channels": channels,
            "batch_size": batch_size,
            "student": student,
            "repeats": repeats,
            **dataclasses.asdict(recipe),
        },
        "gemm_gflops": peak,
        "rows": rows,
    }


def report(results):
    """The table of `measure`'s results, as text."""
    rows = []
    for row in results["rows"]:
        ms = row["ms"]
        ratio = row.get("plain_over_package")
        rows.append(
            [
                f"{row['name']} {row['task']}".strip(),
                f"{ms['median']:.2f}",
                f"{ms['min']:.2f} to {ms['max']:.2f}",
                _shown(row.get("new_images_per_second"), ".0f"),
                _shown(ratio, ".2f"),
            ]
        )
    settings = results["settings"]
    return benchmarks.table(["step", "ms (median)", "min to max", "new images/s", "plain/package"], rows) + (
        f"\nA step takes n_critic * batch_size = {settings['n_critic']} *"
        f" {settings['batch_size']} new images. The matrix product: {results['gemm_gflops']:.0f} GFLOP/s."
    )


def _shown(value, form):
    return "" if value is None else format(value, form)


def one(arch, recipe, batches, student, repeats, seconds, warm_up):
    """Returns the milliseconds of the package's step alone, from task 2 on: a `benchmarks.summary`."""
    from ltgans_tf.methods import twin_gan

    step = compiled_step(model_at(twin_gan.TwinGAN, arch, recipe, batches, student, LATER), batches)
    return in_turns({OURS: step}, repeats, seconds, warm_up)[OURS]


def digits(arch, channels, batch_size, count):
    """Batches of real digits, uint8 [N, B, count, H, W, C]."""
    import numpy as np

    from ltgans_tf.data import streams

    shape = (arch.image_size, arch.image_size, channels)
    (task,) = streams.TaskStream(["digits"], shape, batch_size).tasks
    return np.stack([*task.batches(0, count).take(_BATCHES).as_numpy_iterator()])


def _candidates(arch, recipe, batches, student, task):
    """Returns the functions to measure, by (name, task); each returns a scalar that is ready when its work is done."""
    from benchmarks import plain
    from ltgans_tf.methods import twin_gan

    models = {
        "package": model_at(twin_gan.TwinGAN, arch, recipe, batches, student, task),
        "plain": model_at(plain.PlainTwinGAN, arch, recipe, batches, student, task),
    }
    made = {(name, task): compiled_step(model, batches) for name, model in models.items()}
    stages = _stages(models["package"], batches[0])
    return made | {(f"  {name}", task): stage for name, stage in stages.items()}


def model_at(method, arch, recipe, batches, student, task, jit_compile=False, steps=1):
    """Returns a compiled model of the class `method`, whose next step belongs to `task`, FIRST or LATER."""
    model = method.from_architecture(arch, batches.shape[-1], student, recipe)
    model.compile(jit_compile=jit_compile, steps_per_execution=steps)
    model.task_index.assign(0 if task == FIRST else 1)
    return model


def compiled_step(model, batches):
    """Returns a function that takes one train step, through the compiled function of `fit`, and returns its loss."""
    import tensorflow as tf

    step = model.make_train_function()
    iterator = iter(tf.data.Dataset.from_tensor_slices(batches).repeat())
    return lambda: step(iterator)["critic/loss"]


def several(model, batches, steps):
    """Returns a function that takes `steps` train steps, in as few graph calls as training, and returns the last loss."""
    take, model.step_calls.free = compiled_step(model, batches), steps
    return lambda: [take() for _ in range(steps)][-1]


def _stages(model, batch):
    """Returns the parts of one step, each compiled separately, to show where a step spends its time.

    The sum of their times differs from that of the step: the whole graph overlaps them, and the learners' stage
    makes its own fakes, while the step reuses those of the critic.
    """
    import tensorflow as tf

    from ltgans_tf.data import images

    rows, n_critic = batch.shape[0], model.recipe.n_critic
    model.global_rows = rows
    roles = model.roles(int(model.task_index.numpy()))
    real, all_replay = images.normalize(batch[:, 0]), model._replay(rows, n_critic, roles)
    judged = range(n_critic if model.recipe.critic_on_past else 1) if roles.teachers else []
    replay = [None] * (n_critic - len(judged)) + [all_replay.at(i) for i in judged]
    fakes = [model._fakes(i, rows, roles, replay[i])[0] for i in range(n_critic)]

    def critic():
        for i in range(n_critic):
            heads = model._heads(i, rows, roles, replay[i])
            report = model._update_critic(i, model._real(real, replay[i]), fakes[i], roles, heads)
        return report["critic/loss"]

    def learners():
        made, tapes = model._fakes(n_critic - 1, rows, roles, replay[-1])
        heads = model._heads(n_critic - 1, rows, roles, replay[-1])
        return model._update_learners(made, tapes, roles, heads, replay[-1])["generator/loss"]

    stages = {"critic": critic, "fakes and learners": learners}
    if roles.teachers:
        stages["Teacher"] = lambda: tf.reduce_sum(model._replay(rows, n_critic, roles).images)
    if model.student is not None:
        second = images.normalize(batch[:, -1]) if all_replay is None else replay[-1].images
        stages["Student"] = lambda: model._update_student(real, second, all_replay is not None)[0]
    return {name: tf.function(stage) for name, stage in stages.items()}


def gemm():
    """Returns a float32 matrix product: (function, its number of floating-point operations)."""
    import tensorflow as tf

    a, b = (tf.random.stateless_normal([_GEMM, _GEMM], [0, i]) for i in (0, 1))
    return tf.function(lambda: tf.matmul(a, b)[0, 0]), 2 * _GEMM**3


def in_turns(candidates, repeats, seconds, warm_up):
    """Measures the milliseconds per call of each candidate, over `repeats` turns: {name: summary}."""
    calls = {}
    for name, call in candidates.items():
        call()  # compiles
        count, begin = 0, time.perf_counter()
        while count < 1 or time.perf_counter() - begin < warm_up:
            float(call())
            count += 1
        calls[name] = max(1, round(count * seconds / (time.perf_counter() - begin)))
    times = {name: [] for name in candidates}
    for _ in range(repeats):
        for name, call in candidates.items():
            begin = time.perf_counter()
            for _ in range(calls[name]):
                last = call()
            float(last)  # waits for the end of the work, as a GPU works asynchronously
            times[name].append(1e3 * (time.perf_counter() - begin) / calls[name])
    return {name: benchmarks.summary(values) for name, values in times.items()}


if __name__ == "__main__":
    define_flags()
    flags.DEFINE_integer("channels", 3, "Channels of the images, 1 or 3.", 1, 3)
    flags.DEFINE_bool("student", True, "Whether a Student is trained in step.")
    benchmarks.define_output()
    run(main)
