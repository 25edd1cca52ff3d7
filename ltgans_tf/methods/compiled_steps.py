"""Compiles train steps for lifelong models, which need more than Keras 3.15 offers.

Keras compiles and keeps one train function, and has one optimizer. Here the function changes with the roles, each
network has its own optimizer, and XLA compiles parts of a step.
"""

import tensorflow as tf
from tensorflow.python.framework import config  # the only place that tells whether op determinism is enabled

from ltgans_tf.methods import keras_calls
from ltgans_tf.training import step_calls


class CompiledSteps(keras_calls.KerasCalls):
    """A Keras model with a `task_index`, the number of tasks learnt, and a train function for each kind of task.

    Attributes:
      step_calls: a `step_calls.StepCalls`, which decides how many steps a call of the train function takes.
    """

    def __init__(self, name=None):
        super().__init__(name=name)
        self._train_functions = {}
        self.step_calls = step_calls.StepCalls()
        self.jit = False
        self._xla_functions = {}

    def compile(self, *, optimizer=None, jit_compile=False, steps_per_execution=None, **kwargs):
        """Configures training as Keras does.

        Args:
          jit_compile: whether XLA compiles the functions that a step passes to `by_xla`; slower on CPU. Noise, updates
            and the exchange between replicas stay outside, so that random numbers do not change. Tested only on one
            machine.
          steps_per_execution: the most steps in one call of a graph; fewer if a callback needs the model
            (`StepCallback.needs_model`) or if steps are slow. It changes no weight. None for 50 on a GPU, else 1.
          optimizer: must be None; each network has its own optimizer, with its own argument.
          **kwargs: further arguments of `keras.Model.compile`.

        Raises:
          ValueError: an `optimizer` or a loss is given; or `jit_compile` is set and op determinism is enabled (XLA is
            not known to be deterministic on a GPU).
        """
        keras_calls.check_compiled(self, {"optimizer": optimizer, **kwargs})
        if jit_compile and config.is_op_determinism_enabled():
            raise ValueError(
                "jit_compile is True, but op determinism is enabled, and XLA is not known to be deterministic; do not"
                " call enable_op_determinism, or leave jit_compile out."
            )
        # Without optimizer=None Keras makes, and saves, a hidden RMSprop.
        super().compile(optimizer=None, jit_compile=False, **kwargs)
        most = step_calls.most_steps(steps_per_execution, self.distribute_strategy, self.run_eagerly)
        self.step_calls = step_calls.StepCalls(most)
        self._train_functions = {}
        self.jit = bool(jit_compile)

    def reset_optimizers(self):
        """Sets all slots and step counts to 0 for the beginning of a task; keeps learning rates."""
        for optimizer in self.optimizers:
            for variable in optimizer.variables:
                if variable is not optimizer._learning_rate:
                    variable.assign(tf.zeros_like(variable.value))

    def by_xla(self, function):
        """Returns `function`, compiled by XLA if `jit_compile` is set.

        Args:
          function: takes and returns tensors, and depends only on them and on the traced task. It is a bound method
            or a network, so that it is compiled only once for its shapes and, because of its variables, for each
            replica.
        """
        if not self.jit:
            return function
        if function not in self._xla_functions:
            self._xla_functions[function] = tf.function(function, jit_compile=True, autograph=False)
        return self._xla_functions[function]

    def trace_key(self, task_index):
        """Returns a hashable value; tasks with equal values share one compiled train function."""
        return min(task_index, 1)

    def make_train_function(self, force=False):
        """Keeps one compiled function per `trace_key` and switches between them.

        Keras caches the first function that it traces, so after a change of roles in Python it
        would silently keep training the old generator.
        """
        self.traced_task = int(self.task_index.numpy())
        key = self.trace_key(self.traced_task)
        if force or key not in self._train_functions:
            self._xla_functions = {}
            if self.step_calls.most > 1:
                self.train_function = self.step_calls.train_function(self)
            else:
                super().make_train_function(force=True)
            self._train_functions[key] = self.train_function
        self.train_function = self._train_functions[key]
        return self.train_function

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        """Does nothing, because all is built; Keras would average a uint8 batch over the workers, which fails."""
