"""Error messages for calls that Keras users try first: each names the right call in one sentence."""

import keras

_LEARN = (
    "learns a stream of tasks: stream = ltgans_tf.TaskStream({'cats': images});"
    " model.fit_stream(stream, steps_per_task=500)"
)
_USE = "has several networks: model.sample(64) draws, model.student.encode(images) and .decode(codes) encode and decode"
_SCORE = (
    "is scored for each task: model.evaluate_stream(stream), with an ltgans_tf.Evaluator for distances too"
)
_KEEP = (
    "is saved as it learns, model.fit_stream(..., workdir='runs/mine'), and loaded by ltgans_tf.load('runs/mine');"
    " for a server give fit_stream the boundary callback ltgans_tf.export.push.BoundaryExport()"
)


class KerasCalls(keras.Model):
    """A model for which `fit`, `predict` and the like raise a ValueError that names the right call."""

    def _instead(self, call, what):
        return ValueError(f"{call} is not for a {type(self).__name__}, which {what}.")

    def fit(self, *args, **kwargs):
        raise self._instead("fit", _LEARN)

    def train_on_batch(self, *args, **kwargs):
        raise self._instead("train_on_batch", _LEARN)

    def predict(self, *args, **kwargs):
        raise self._instead("predict", _USE)

    def predict_on_batch(self, *args, **kwargs):
        raise self._instead("predict_on_batch", _USE)

    def call(self, *args, **kwargs):
        raise self._instead("calling it", _USE)

    def evaluate(self, *args, **kwargs):
        raise self._instead("evaluate", _SCORE)

    def test_on_batch(self, *args, **kwargs):
        raise self._instead("test_on_batch", _SCORE)

    def save(self, *args, **kwargs):
        raise self._instead("save", _KEEP)

    def export(self, *args, **kwargs):
        raise self._instead("export", _KEEP)


def check_compiled(model, arguments):
    """Raises a ValueError if `compile` was given arguments that `model` sets for each network itself."""
    name = type(model).__name__
    if (optimizer := arguments.get("optimizer")) is not None:
        raise ValueError(
            f"optimizer is {optimizer!r}, and each network of a {name} has an optimizer of its own,"
            " critic_optimizer or student_optimizer for one; see its compile."
        )
    for argument in ("loss", "metrics", "weighted_metrics", "loss_weights"):
        if arguments.get(argument) is not None:
            raise ValueError(
                f"{argument} is {arguments[argument]!r}, and a {name} has losses of its own; leave it out."
            )


def check_networks(generators, count, critic, student, recipe):
    """Raises a ValueError if the arguments of `TwinGAN` are wrong or its networks do not fit each other.

    Args:
      count: how many generators there must be.
    """
    if not hasattr(recipe, "critic_heads"):
        raise ValueError(f"recipe is {recipe!r}; give an ltgans_tf.Recipe, or leave it out.")
    if not isinstance(generators, (list, tuple)) or len(set(map(id, generators))) != count:
        raise ValueError(f"generators is {generators!r}; give a list of {count} different Keras models.")
    if student is not None and not hasattr(student, "encoder"):
        raise ValueError(
            f"student is {student!r}; give an ltgans_tf.Student(encoder, decoder), or leave it out."
        )
    networks = {f"generators[{i}]": generator for i, generator in enumerate(generators)} | {"critic": critic}
    if student is not None:
        networks |= {"student.encoder": student.encoder, "student.decoder": student.decoder}
    for name, network in networks.items():
        if not (hasattr(network, "input_shape") and hasattr(network, "output_shape")):
            raise ValueError(
                f"{name} is {network!r}; make it with keras.Sequential, beginning with a keras.Input, or with"
                " keras.Model(inputs, outputs), so that its shapes are known."
            )
    latents, images = generators[0].input_shape, generators[0].output_shape
    needed = {f"generators[{i}]": (latents, images) for i in range(1, count)}
    needed["critic"] = images, (None, recipe.critic_heads)
    if student is not None:
        codes = student.decoder.input_shape
        needed |= {"student.encoder": (images, [codes, codes]), "student.decoder": (codes, images)}
    for name, shapes in needed.items():
        its = networks[name].input_shape, networks[name].output_shape
        if list(map(_listed, its)) != list(map(_listed, shapes)):
            raise ValueError(
                f"{name} maps {its[0]} to {its[1]}; it must map {shapes[0]} to {shapes[1]} to fit"
                f" {'critic_heads of the recipe and ' if name == 'critic' else ''}the other networks."
            )
    if any([w.shape for w in g.weights] != [w.shape for w in generators[0].weights] for g in generators[:2]):
        raise ValueError("the generators have different layers; both must be the same but for their weights.")


def _listed(shapes):
    return [_listed(each) for each in shapes] if isinstance(shapes, (list, tuple)) else shapes


def check_callbacks(model, callbacks):
    """Raises a ValueError for Keras callbacks that need a model with one optimizer."""
    if not isinstance(callbacks, (list, tuple)):
        raise ValueError(f"callbacks is {callbacks!r}; give a list of Keras callbacks.")
    for callback in callbacks:
        if isinstance(callback, (keras.callbacks.LearningRateScheduler, keras.callbacks.ReduceLROnPlateau)):
            raise ValueError(
                f"{type(callback).__name__} sets the learning rate of one optimizer, and a {type(model).__name__} has"
                " one for each network; give compile optimizers that have a schedule:"
                " student_optimizer=keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(1e-3, 2000))."
            )


def check_stream(model, stream, steps_per_task):
    """Raises a ValueError if `fit_stream` got no stream, one that does not fit the model, or wrong steps."""
    if not hasattr(stream, "tasks"):
        raise ValueError(
            f"fit_stream takes a TaskStream, got {type(stream).__name__}; make one:"
            " ltgans_tf.TaskStream({'cats': images})."
        )
    if steps_per_task < 1 or steps_per_task != int(steps_per_task):
        raise ValueError(f"steps_per_task is {steps_per_task}; give a whole number, 1 or more.")
    own, given = getattr(model, "image_shape", None), getattr(stream, "image_shape", None)
    if own is not None and given is not None and tuple(own) != tuple(given):
        raise ValueError(
            f"the stream has images of {list(given)} and the networks are made for {list(own)}; give TaskStream"
            f" image_shape={tuple(own)}, or take an architecture of that size, small{given[0]} say, with"
            f" channels={given[2]}."
        )
