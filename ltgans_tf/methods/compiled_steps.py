"""How the train step is compiled, where a lifelong model needs more than Keras 3.15 does by itself.

Keras compiles one train function and keeps it, and has one optimizer. Here the function changes with the roles, each
network has its own optimizer, and XLA compiles parts of a step.
"""

import tensorflow as tf
from tensorflow.python.framework import config  # which alone tells whether it is enabled

from ltgans_tf.methods import keras_calls
from ltgans_tf.training import step_calls


class CompiledSteps(keras_calls.KerasCalls):
    """A Keras model with a `task_index`, the number of tasks learnt, and a train function for each kind of task.

    Attributes:
      step_calls: a `step_calls.StepCalls`, how many steps a call of the train function takes.
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
          jit_compile: whether XLA compiles what a step hands to `by_xla`; slower on CPU. Noise, updates and what
            replicas exchange stay outside, so that it changes no random number. Tried on one machine alone.
          steps_per_execution: how many steps one call of a graph takes at most: fewer where a callback needs the model
            (`StepCallback.needs_model`) or they take long. It changes no weight. None for 50 on a GPU and 1 elsewhere.
          optimizer: None; networks have optimizers of their own, each with an argument of its own.
          **kwargs: further arguments of `keras.Model.compile`.

        Raises:
          ValueError: an `optimizer` or a loss is given; or operations are to be deterministic, which is not known of XLA's on a GPU.
        """
        keras_calls.check_compiled(self, {"optimizer": optimizer, **kwargs})
        if jit_compile and config.is_op_determinism_enabled():
            raise ValueError(
                "jit_compile is True, and operations are to be deterministic, which is not known of those that XLA"
                " makes; do not call enable_op_determinism, or leave jit_compile out."
            )
        # Without optimizer=None Keras makes, and saves, a hidden RMSprop.
        super().compile(optimizer=None, jit_compile=False, **kwargs)
        most = step_calls.most_steps(steps_per_execution, self.distribute_strategy, self.run_eagerly)
        self.step_calls = step_calls.StepCalls(most)
        self._train_functions = {}
        self.jit = bool(jit_compile)

    def reset_optimizers(self):
        """Sets all slots and step counts to 0, for the beginning of a task; learning rates stay."""
        for optimizer in self.optimizers:
            for variable in optimizer.variables:
                if variable is not optimizer._learning_rate:
                    variable.assign(tf.zeros_like(variable.value))

    def by_xla(self, function):
        """`function`, compiled by XLA where `compile` was told so.

        Args:
          function: takes and returns tensors, and what it does follows from them and from the traced task alone: a
            bound method or a network, so that each is compiled once for its shapes and, with its variables, for each
            replica.
        """
        if not self.jit:
            return function
        if function not in self._xla_functions:
            self._xla_functions[function] = tf.function(function, jit_compile=True, autograph=False)
        return self._xla_functions[function]

    def trace_key(self, task_index):
        """A hashable value: tasks with equal values share one compiled train function."""
        return min(task_index, 1)

    def make_train_function(self, force=False):
        """Keeps one compiled function per `trace_key` and switches between them.

        Keras caches the first function that it traces, so that a role that changes in Python
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
        """All is built already; Keras would average a batch of uint8 over the workers, which fails."""
