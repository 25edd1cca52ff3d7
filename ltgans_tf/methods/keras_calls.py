"""What Keras users try first, and what to call here: one sentence each."""

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

    def predict(self, *args, **kwargs):
        raise self._instead("predict", _USE)

    def call(self, *args, **kwargs):
        raise self._instead("calling it", _USE)

    def evaluate(self, *args, **kwargs):
        raise self._instead("evaluate", _SCORE)

    def save(self, *args, **kwargs):
        raise self._instead("save", _KEEP)

    def export(self, *args, **kwargs):
        raise self._instead("export", _KEEP)


def check_stream(model, stream, steps_per_task):
    """Raises a ValueError where `fit_stream` was given something that is no stream for this model."""
    if not hasattr(stream, "tasks"):
        raise ValueError(
            f"fit_stream takes a TaskStream, got {type(stream).__name__}; make one:"
            " ltgans_tf.TaskStream({'cats': images})."
        )
    if steps_per_task < 1:
        raise ValueError(f"steps_per_task is {steps_per_task}; give 1 or more.")
    own, given = getattr(model, "image_shape", None), getattr(stream, "image_shape", None)
    if own is not None and given is not None and tuple(own) != tuple(given):
        raise ValueError(
            f"the stream has images of {list(given)} and the networks are made for {list(own)}; give TaskStream"
            f" image_shape={tuple(own)}, or take an architecture of that size, small{given[0]} say, with"
            f" channels={given[2]}."
        )
