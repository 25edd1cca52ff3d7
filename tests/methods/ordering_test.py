"""In the graph that runs, every read of a variable is ordered before or after every update of it.

TensorFlow orders them where a step is traced; what its graph optimiser makes of that is looked at here.
"""

import collections

import pytest
import tensorflow as tf
from tensorflow.python.eager import context  # which alone hands out graphs as they run

from ltgans_tf.methods import registry
from ltgans_tf.networks import losses
from ltgans_tf.settings import presets
from tests.tiny import TINY

pytestmark = pytest.mark.program

METHODS = [
    "ltgan",
    *(pytest.param(m, marks=pytest.mark.campaign("graphs")) for m in registry.METHODS if m != "ltgan"),
]

# How many variables a fused kernel updates; they are its first inputs.
_UPDATED = {"ResourceApplyAdam": 3, "ResourceApplyGradientDescent": 1}


def _graph(method, task):
    """The largest graph of a step of the task at index `task`, as it runs: a GraphDef."""
    recipe = presets.Recipe(
        student_optimizer="adam(0.001)", ema=0.5, n_critic=2, domain_dim=4, distillation=0.3
    )
    model = registry.method_class(method).from_architecture(TINY, 3, True, recipe)
    model.compile()
    model.task_index.assign(task)
    model.begin_task()
    step = model.make_train_function()
    with context.collect_graphs(optimized=True) as graphs:
        step(iter([tf.zeros([4, model.new_batches(task), 8, 8, 3], tf.uint8)]))
    return max(graphs, key=lambda graph: len(graph.node))


def _unordered(graph):
    """Pairs of a read and an update of one variable of which neither waits for the other; and how many pairs there are."""
    nodes = {node.name: node for node in graph.node}
    before = {name: [i.lstrip("^").split(":")[0] for i in node.input] for name, node in nodes.items()}
    after = collections.defaultdict(list)
    for name, inputs in before.items():
        for given in inputs:
            after[given].append(name)

    def variable(name):
        while nodes[name].op != "_Arg":
            name = before[name][0]
        return name

    def waiting(name):
        seen, left = set(), [name]
        while left:
            new = [n for n in after[left.pop()] if n not in seen]
            seen.update(new)
            left += new
        return seen

    def of(wanted):
        return [
            (name, variable(given), waiting(name))
            for name, node in nodes.items()
            if wanted(node.op)
            for given in before[name][: _UPDATED.get(node.op, 1)]
        ]

    used = {given.split(":")[0] for node in graph.node for given in node.input if not given.startswith("^")}
    reads = [read for read in of(lambda op: op == "ReadVariableOp") if read[0] in used]
    updates = of(lambda op: op in _UPDATED or op.startswith("Assign") and op.endswith("VariableOp"))
    pairs = [(r, u) for r in reads for u in updates if r[1] == u[1]]
    return [(r[0], u[0]) for r, u in pairs if u[0] not in r[2] and r[0] not in u[2]], len(pairs)


@pytest.mark.parametrize("task", [0, 1])
@pytest.mark.parametrize("method", METHODS)
def test_no_weight_is_read_while_it_is_updated(method, task):
    unordered, pairs = _unordered(_graph(method, task))
    assert unordered == [] and pairs > 20


def test_without_the_order_of_gradients_the_last_kernel_of_the_critic_is_read_at_any_time(monkeypatch):
    monkeypatch.setattr(
        losses, "descend", lambda optimizer, gradients, weights, _: optimizer.apply(gradients, weights)
    )
    unordered, _ = _unordered(_graph("ltgan", 1))
    assert any("critic" in read and "dense" in read for read, _ in unordered)
