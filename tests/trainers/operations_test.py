"""The operations of a step, as they are counted by method, against the graph of that step."""

import dataclasses
import math
import types

import pytest
import tensorflow as tf

from ltgans_tf.methods import registry
from ltgans_tf.settings import architectures, presets
from ltgans_tf.settings.method_settings import CURLSettings, LGMSettings
from tests.tiny import TINY
from trainers import estimate

ROWS, N_CRITIC = 4, 2


def _graph(method, task_index, student=True, parts=1, heads=2, **fields):
    """The graph of one step of a tiny model."""
    settings = {
        "lgm": {"settings": LGMSettings(parts)},
        "curl": {"settings": CURLSettings(parts, parts)},
    }.get(method, {})
    recipe = presets.Recipe(N_CRITIC, critic_heads=heads, student_optimizer="adam(0.001)", **fields)
    model = registry.method_class(method).from_architecture(TINY, 3, student, recipe, 0, **settings)
    model.compile()
    if method == "curl":
        model.student.static_shapes = True  # or the shapes would not tell how many are in use
    model.task_index.assign(task_index)
    model.make_train_function()
    data = tf.TensorSpec([ROWS, model.new_batches(task_index), 8, 8, 3], tf.uint8)
    return tf.function(model.train_step).get_concrete_function(data).graph


def _needed(graph):
    """The operations of a graph that an output or an assignment waits for, as TensorFlow prunes it."""
    todo = [tensor.op for tensor in graph.outputs] + list(graph.control_outputs)
    todo += [op for op in graph.get_operations() if op.type.startswith("Assign")]
    needed = {}
    while todo:
        op = todo.pop()
        if op.name not in needed:
            needed[op.name] = op
            todo += [tensor.op for tensor in op.inputs] + list(op.control_inputs)
    return needed.values()


def _operations(op):
    """Two per multiply-add, from the shapes that an operation of the graph has."""
    shapes, out = [tensor.shape.as_list() for tensor in op.inputs], op.outputs and op.outputs[0].shape
    if op.type == "MatMul":
        return 2 * math.prod(out) * shapes[0][0 if op.get_attr("transpose_a") else 1]
    if op.type == "Einsum":
        letters = op.get_attr("equation").decode().split("->")[0].split(",")
        sizes = {letter: n for term, shape in zip(letters, shapes) for letter, n in zip(term, shape)}
        return 2 * math.prod(sizes.values())
    if op.type in ("Conv2D", "Conv2DBackpropInput"):
        kernel, pixels = shapes[1], out if op.type == "Conv2D" else shapes[2]
        return 2 * math.prod(kernel[:3]) * math.prod(pixels)
    if op.type == "Conv2DBackpropFilter":
        return 2 * math.prod(out[:3]) * math.prod(shapes[2])
    assert "MatMul" not in op.type and "Conv" not in op.type, op.type
    return 0


def _counted(graph):
    return sum(_operations(op) for op in _needed(graph))


# One pass through the first layers of the critic and of a generator, and through a head of the critic.
FIRST_CONVOLUTION = 2 * 4 * 4 * 9 * 3 * 8
FIRST_DENSE = 2 * 4 * 2 * 2 * 8
HEAD = 2 * 2 * 2 * 16


def _spared(method, learners, students, heads, batches=1, latents=1):
    """By how much the count with a backward pass at twice the forward pass is too high for one image.

    No first layer needs the gradient of its input, where that is data or noise. Nobody reads the critic's
    values at the penalty's points; and what comes in from above at the head, where the penalty's
    gradient begins, is constant.
    """
    if method in ("lgm", "curl"):
        return FIRST_CONVOLUTION
    head = heads * HEAD
    update = (1 + learners) * FIRST_CONVOLUTION + learners * 2 * head
    generators = learners * latents * FIRST_DENSE
    return batches * (N_CRITIC * update + generators) + students * FIRST_CONVOLUTION


@pytest.mark.program
@pytest.mark.parametrize("task_index", [0, 1])
@pytest.mark.parametrize(
    "method, learners, teachers",
    [
        ("ltgan", (2, 1), (0, 1)),
        ("joint_twins", (2, 2), (0, 1)),
        ("replay", (1, 1), (0, 1)),
        ("finetune", (1, 1), (0, 0)),
        ("joint", (1, 1), (0, 0)),
        ("lgm", (0, 0), (0, 0)),
        ("curl", (0, 0), (0, 0)),
    ],
)
def test_a_step_has_the_operations_of_its_graph(method, learners, teachers, task_index):
    parts, heads = 5, 2 if learners[0] == 2 else 1
    ours = architectures.step_flops(TINY, 3, ROWS, N_CRITIC, task_index == 0, True, method, heads, parts)
    spared = _spared(method, learners[task_index], 2, heads)
    assert _counted(_graph(method, task_index, parts=parts, heads=heads)) == ours - ROWS * spared


@pytest.mark.program
@pytest.mark.parametrize("task_index", [0, 1])
def test_a_step_with_codes_has_the_operations_of_its_graph(task_index):
    arch = dataclasses.replace(TINY, latent_dim=2 * TINY.latent_dim)
    ours = architectures.step_flops(arch, 3, ROWS, N_CRITIC, task_index == 0, heads=2, coded=True)
    spared = _spared("ltgan", 1 if task_index else 2, 2, 2, batches=1 + task_index, latents=2)
    codes = {"domain_dim": TINY.latent_dim, "distillation": 0.1}
    assert _counted(_graph("ltgan", task_index, **codes)) == ours - ROWS * spared


@pytest.mark.program
def test_a_step_without_student_has_the_operations_of_its_graph():
    ours = architectures.step_flops(TINY, 3, ROWS, N_CRITIC, student=False, method="replay")
    assert _counted(_graph("replay", 1, student=False, heads=1)) == ours - ROWS * _spared("replay", 1, 0, 1)


@pytest.mark.program
def test_parts_that_are_in_use_are_paid_for():
    few, many = (_counted(_graph("curl", 1, parts=parts)) for parts in (1, 4))
    cost = lambda parts: architectures.step_flops(TINY, 3, ROWS, method="curl", parts=parts)
    assert many - few == cost(4) - cost(1) > 0


def test_the_roles_counted_are_those_of_the_methods():
    for method in ("ltgan", "joint_twins", "replay", "finetune", "joint"):
        cls = registry.method_class(method)
        # None of them asks for more than the task and the recipe; TwinGAN's own roles alternate.
        model = types.SimpleNamespace(recipe=presets.Recipe())
        roles = [cls.roles(model, task_index) for task_index in range(4)]
        found = [(len(r.learners), len(r.teachers)) for r in roles]
        assert found == [architectures._ROLES[method][min(i, 1)] for i in range(4)], method


def test_every_method_is_counted_and_another_is_refused():
    assert set(architectures.COUNTED) == set(registry.METHODS)
    with pytest.raises(ValueError, match="operations of 'mine' are not counted; there are ltgan, .*curl"):
        architectures.step_flops(TINY, 3, 8, method="mine")


def test_a_run_has_the_steps_of_all_tasks_and_a_range_where_parts_may_be_added():
    preset, recipe = presets.Preset(steps_per_task=7, batch_size=2), presets.Recipe(n_critic=3)
    small32 = architectures.architecture("small32")

    def run(method, parts=1):
        step = lambda first: architectures.step_flops(small32, 3, 2, 3, first, True, method, 2, parts)
        return 7 * (step(True) + 2 * step(False))

    assert estimate.operations("replay", preset, recipe, None) == (run("replay"), run("replay"))
    assert estimate.operations("lgm", preset, recipe, LGMSettings(6)) == (run("lgm", 6), run("lgm", 6))
    found = estimate.operations("curl", preset, recipe, CURLSettings(8, 2))
    assert found == (run("curl", 2), run("curl", 8)) and found[0] < found[1]
    line = estimate.duration("nowhere", "curl", preset, recipe, CURLSettings(8, 2))
    assert line.startswith(f"estimate: {found[0]:.2e} to {found[1]:.2e} operations in 21 steps: ")
    line = estimate.duration("nowhere", "joint", preset, recipe, None)
    assert line.startswith(f"estimate: {run('joint'):.2e} operations in 21 steps: between ")


def test_a_run_that_has_begun_is_judged_by_its_own_speed(tmp_path):
    (tmp_path / "metrics.jsonl").write_text(
        "".join(f'{{"speed/steps_per_second": {s}}}\n' for s in (1, 2, 9))
    )
    preset = presets.Preset(steps_per_task=40)
    line = estimate.duration(str(tmp_path), "mine", preset, presets.Recipe(), None)
    assert line == "estimate: 120 steps at the 2.0 steps/s seen here: 1.0 min"
