"""Counts what a train step of TwinGAN executes and how large its graph is, from task 2 on.

  python -m benchmarks.kernels --architecture=small32 --n_critic=1

A kernel is a node of the graph after TensorFlow's optimiser on this machine. Nodes that compute nothing do not
count: constants, arguments, results, reads of variables, control flow, and changes of shape alone. Nodes of the loop
over critic updates count once. Operations are the nodes of the traced graph and of the functions that it calls, once
each. With --xla it also measures how long XLA takes to compile the functions of a step, without running them.
"""

import collections
import dataclasses
import time

from absl import flags

import benchmarks
from ltgans_tf.settings import architectures, presets
from ltgans_tf.trainers import import_tensorflow, run

_NO_KERNEL = set(
    "Const Identity IdentityN NoOp Placeholder _Arg _Retval VarHandleOp ReadVariableOp Reshape Squeeze ExpandDims"
    " StopGradient PreventGradient Enter Exit Merge NextIteration Switch LoopCond While StatelessWhile"
    " PartitionedCall StatefulPartitionedCall".split()
)


def main(_):
    given = flags.FLAGS
    arch = architectures.architecture(given.architecture)
    recipe = dataclasses.replace(presets.recipe(given.recipe, arch.name), n_critic=given.n_critic)
    import_tensorflow()
    seconds, processor_seconds, operations = traced(made(arch, recipe))
    kernels = executed(made(arch, recipe))
    xla = compiled(made(arch, recipe, True), given.batch_size) if given.xla else {}
    results = {
        "conditions": benchmarks.conditions(),
        "xla_processor_seconds": xla,
        "operations": operations,
        "trace_seconds": seconds,
        "trace_processor_seconds": processor_seconds,
        "kernels": kernels.total(),
        "of_each": dict(kernels.most_common()),
    }
    benchmarks.publish(results, report(results))


def report(results):
    """The table of the counts, as text."""
    numbers = [
        ["kernels of a step", results["kernels"]],
        ["operations of its graph", results["operations"]],
        ["seconds to trace it", f"{results['trace_seconds']:.1f}"],
        ["of the processor", f"{results['trace_processor_seconds']:.1f}"],
    ]
    if xla := results["xla_processor_seconds"]:
        numbers += [[f"XLA compiles {name}", f"{seconds:.1f}"] for name, seconds in xla.items()]
        numbers += [["XLA, processor seconds in all", f"{sum(xla.values()):.1f}"]]
    return benchmarks.table(["", "count"], [*numbers, *[*results["of_each"].items()][:10]])


def made(arch, recipe, jit_compile=False):
    """A compiled TwinGAN whose next step is one of task 2."""
    from ltgans_tf.methods import twin_gan

    model = twin_gan.TwinGAN.from_architecture(arch, 3, True, recipe)
    model.compile(jit_compile=jit_compile, steps_per_execution=1)
    model.task_index.assign(1)
    model.traced_task = 1
    return model


def executed(model, rows=2):
    """Takes one step on `rows` images and returns its kernels by operation: a Counter."""
    import tensorflow as tf
    from tensorflow.python.eager import context  # the only access to graphs as they run

    step = model.make_train_function()
    batch = tf.zeros([rows, model.new_batches(1), *model.image_shape], tf.uint8)
    with context.collect_graphs(optimized=True) as graphs:
        step(iter([batch]))
    graph = max(graphs, key=lambda graph: len(graph.node))
    return collections.Counter(node.op for node in graph.node if node.op not in _NO_KERNEL)


def traced(model, rows=2):
    """(seconds, processor seconds, operations) of tracing a step on `rows` images."""
    import tensorflow as tf

    spec = tf.TensorSpec([rows, model.new_batches(1), *model.image_shape], tf.uint8)
    begin, used = time.perf_counter(), time.process_time()
    step = tf.function(model.train_step, autograph=False)  # as training traces it
    graph = step.get_concrete_function(spec).graph
    taken = time.perf_counter() - begin, time.process_time() - used
    definition = graph.as_graph_def()
    called = sum(len(function.node_def) for function in definition.library.function)
    return *taken, len(definition.node) + called


def compiled(model, rows):
    """Measures how long XLA takes to compile each function of a step on `rows` images; runs none of them.

    Args:
      model: from `made`, with jit_compile.
      rows: images of a batch.

    Returns:
      {name: processor seconds}; a network that learns is compiled with its gradients.
    """
    import tensorflow as tf

    seen, by_xla = {}, model.by_xla

    def noting(function):
        def call(*given, **settings):
            specs = tf.nest.map_structure(
                lambda t: tf.TensorSpec.from_tensor(t) if tf.is_tensor(t) else t, given
            )
            seen[getattr(function, "name", None) or function.__name__] = function, specs, settings
            return by_xla(function)(*given, **settings)

        return call

    model.by_xla = noting
    traced(model, rows)
    seconds = {}
    for name, asked in seen.items():
        function, specs = _of_tensors_alone(*asked)
        begin = time.process_time()
        function.experimental_get_compiler_ir(*specs)(stage="optimized_hlo")
        seconds[name] = time.process_time() - begin
    return seconds


def _of_tensors_alone(function, specs, settings):
    """Returns `function` as XLA compiles it, and the specs of its inputs, which are all tensors."""
    import tensorflow as tf

    learns, is_spec = settings.get("training"), lambda value: isinstance(value, tf.TensorSpec)
    inputs = [*filter(is_spec, tf.nest.flatten(specs))]
    if learns:
        inputs.append(tf.TensorSpec([inputs[0].shape[0], *function.output_shape[1:]]))

    @tf.function(jit_compile=True, autograph=False)
    def call(*tensors):
        left = iter(tensors)
        given = tf.nest.map_structure(lambda value: next(left) if is_spec(value) else value, specs)
        with tf.GradientTape() as tape:
            found = function(*given, **settings)
        gradients = tape.gradient(found, function.trainable_variables, next(left)) if learns else []
        return [*filter(tf.is_tensor, tf.nest.flatten(found)), *gradients]

    call.get_concrete_function(*inputs)
    return call, inputs


if __name__ == "__main__":
    flags.DEFINE_string("architecture", "small32", "Networks, a name of ARCHITECTURES.")
    flags.DEFINE_string("recipe", "recommended", "The method's settings, paper or recommended.")
    flags.DEFINE_integer("n_critic", 1, "Critic updates per step.", 1)
    flags.DEFINE_bool(
        "xla", False, "Whether XLA compiles what a step hands to it, for a batch of --batch_size."
    )
    flags.DEFINE_integer("batch_size", 32, "Images per critic update, for --xla.", 1)
    benchmarks.define_output()
    run(main)
