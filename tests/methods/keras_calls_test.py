"""What a Keras user tries first: it works, or one sentence names the right call."""

import keras
import numpy as np
import pytest

import ltgans_tf as lt
from ltgans_tf.methods import curl, lgm
from ltgans_tf.settings import presets
from tests.tiny import TINY

SHAPE = (8, 8, 3)
CODES = presets.Recipe(domain_dim=4)


def _images(seed=0, shape=SHAPE):
    return np.random.default_rng(seed).integers(0, 256, (40, *shape), dtype=np.uint8)


def _stream(shape=SHAPE):
    return lt.TaskStream({"one": _images(), "two": _images(1)}, shape, 4)


def _model(**compiled):
    model = lt.TwinGAN.from_architecture(TINY, recipe=CODES, seed=0)
    model.compile(**compiled)
    return model


@pytest.mark.parametrize(
    "call, named",
    [
        ("fit", "model.fit_stream(stream"),
        ("train_on_batch", "model.fit_stream(stream"),
        ("predict", "model.sample(64) draws"),
        ("predict_on_batch", "model.sample(64) draws"),
        ("test_on_batch", "model.evaluate_stream(stream)"),
        ("__call__", "model.sample(64) draws"),
        ("evaluate", "model.evaluate_stream(stream)"),
        ("save", "ltgans_tf.load('runs/mine')"),
        ("export", "ltgans_tf.export.push.BoundaryExport()"),
    ],
)
def test_what_keras_models_have_and_this_one_has_not_names_the_right_call(call, named):
    model = _model()
    with pytest.raises(ValueError, match="is not for a TwinGAN, which") as raised:
        getattr(model, call)("x.keras" if call in ("save", "export") else _images().astype(np.float32))
    assert named in str(raised.value)


def test_a_summary_can_be_had():
    lines = []
    _model().summary(print_fn=lambda line, **_: lines.append(line))
    assert "generator_0" in "\n".join(lines)


@pytest.mark.parametrize(
    "stream, steps, sentence",
    [
        (_images(), 2, r"fit_stream takes a TaskStream, got ndarray; make one: ltgans_tf.TaskStream\("),
        (["digits"], 2, "fit_stream takes a TaskStream, got list"),
        (_stream(), 0, "steps_per_task is 0; give a whole number, 1 or more"),
        (
            _stream((16, 16, 3)),
            2,
            r"images of \[16, 16, 3\] and the networks are made for \[8, 8, 3\]; .*small16",
        ),
        (_stream(), 1.5, "steps_per_task is 1.5; give a whole"),
        (_stream((8, 8, 1)), 2, r"images of \[8, 8, 1\] and .* with channels=1"),
    ],
)
def test_what_is_no_stream_for_this_model_is_refused_before_a_step(stream, steps, sentence):
    with pytest.raises(ValueError, match=sentence):
        _model().fit_stream(stream, steps)


def test_one_optimizer_for_all_and_a_loss_are_refused():
    model = _model()
    for given in ((("adam",), {}), ((), {"optimizer": "adam"})):
        with pytest.raises(
            ValueError, match="optimizer is 'adam', and each network of a TwinGAN has an optimizer"
        ):
            model.compile(*given[0], **given[1])
    with pytest.raises(ValueError, match="loss is 'mse', and a TwinGAN has losses of its own; leave it out"):
        model.compile(loss="mse")


@pytest.mark.parametrize(
    "callbacks, sentence",
    [
        (
            [keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate)],
            "LearningRateScheduler sets .* give compile",
        ),
        (
            [keras.callbacks.ReduceLROnPlateau("student/loss")],
            "ReduceLROnPlateau sets .*schedules.CosineDecay",
        ),
        (keras.callbacks.TerminateOnNaN(), "give a list of Keras callbacks"),
    ],
)
def test_callbacks_of_one_learning_rate_are_refused_before_a_step(callbacks, sentence):
    with pytest.raises(ValueError, match=sentence):
        _model().fit_stream(_stream(), 2, callbacks=callbacks)


def test_optimizers_are_named_as_in_keras_or_in_a_recipe():
    model = _model(critic_optimizer="sgd", generator_optimizer="adam(0.5, 0.25, 0.75)")
    assert type(model.critic_optimizer) is keras.optimizers.SGD
    assert [float(o.learning_rate) for o in model.generator_optimizers] == [0.5, 0.5]
    for cls in (lgm.LGM, curl.CURL):
        other = cls.from_architecture(TINY)
        other.compile("rmsprop")
        assert type(other.student_optimizer) is keras.optimizers.RMSprop


@pytest.mark.program
@pytest.mark.parametrize(
    "optimizers",
    [
        {"generator_optimizer": keras.optimizers.SGD(1e-3)},
        {
            "critic_optimizer": keras.optimizers.Adam(
                keras.optimizers.schedules.ExponentialDecay(1e-3, 10, 0.9)
            )
        },
        {"student_optimizer": keras.optimizers.Adam(1e-3, clipnorm=1.0, use_ema=True)},
    ],
)
def test_a_run_is_loaded_whatever_optimizers_trained_it_and_goes_on_with_these_alone(tmp_path, optimizers):
    def fresh():
        return {name: type(o).from_config(o.get_config()) for name, o in optimizers.items()}

    workdir, model = str(tmp_path / "run"), _model(**fresh())
    model.fit_stream(_stream(), 2, workdir, callbacks=[], stop_after_task=0)
    loaded = lt.load(workdir)
    np.testing.assert_array_equal(loaded.sample(4), model.sample(4))
    for own, its in zip(loaded.weights, model.weights, strict=True):
        np.testing.assert_array_equal(own, its)
    with pytest.raises(ValueError, match="other networks or other optimizers than the model has; build and"):
        _model().fit_stream(_stream(), 2, workdir, callbacks=[])
    again = _model(**fresh())
    again.fit_stream(_stream(), 2, workdir, callbacks=[])
    assert int(again.global_step.numpy()) == 4


def test_keras_callbacks_that_keep_a_model_name_the_right_call(tmp_path):
    with pytest.raises(ValueError, match=r"save is not for a TwinGAN"):
        _model().fit_stream(
            _stream(), 1, callbacks=[keras.callbacks.ModelCheckpoint(str(tmp_path / "x.keras"))]
        )


def test_four_channels_are_refused():
    with pytest.raises(ValueError, match=r"channels is 4; it must be 1 \(grey\) or 3"):
        lt.TwinGAN.from_architecture(TINY, channels=4)


def test_images_of_uint8_are_not_taken_for_floats():
    with pytest.raises(
        ValueError, match=r"images are .*uint8.*; give floats in \[-1, 1\]: images / 127.5 - 1"
    ):
        _model().student.encode(_images())
