"""Networks of one's own: checked when the model is made, kept in a workdir by the name of their builder."""

import pathlib
import re
import sys

import keras
import numpy as np
import pytest

import ltgans_tf as lt
from ltgans_tf.methods import lgm, own_code
from tests import source_imports

RECIPE = lt.Recipe()
L = keras.layers


def _upward(inputs=4, side=8):
    return keras.Sequential([keras.Input([inputs]), L.Dense(side * side * 3), L.Reshape([side, side, 3])])


def _critic(side=8, heads=2):
    return keras.Sequential([keras.Input([side, side, 3]), L.Flatten(), L.Dense(heads)])


def _encoder(outputs=2):
    images = keras.Input([8, 8, 3])
    made = [L.Dense(5, activation="softplus")(L.Flatten()(images)) for _ in range(outputs)]
    return keras.Model(images, made)


class Subclassed(keras.Model):
    def call(self, images):
        return images


def _given(**changes):
    fit = {"generators": [_upward(), _upward()], "critic": _critic(), "student": None, "recipe": RECIPE}
    return fit | changes


def make():
    return lt.TwinGAN(**_given(student=lt.Student(_encoder(), _upward(5))))


def make_nothing():
    return None


@pytest.mark.parametrize(
    "changes, sentence",
    [
        (lambda: {"generators": _upward()}, "generators is .*; give a list of 2 different Keras models"),
        (lambda: {"generators": [_upward()] * 2}, "give a list of 2 different"),
        (
            lambda: {"generators": [_upward(), _upward(5)]},
            r"generators\[1\] maps .* must map \(None, 4\) to",
        ),
        (
            lambda: {"critic": _critic(side=16)},
            r"critic maps .*; it must map \(None, 8, 8, 3\) to \(None, 2\)",
        ),
        (
            lambda: {"critic": _critic(heads=1)},
            r"critic maps .* to \(None, 1\); it must map .* to \(None, 2\)",
        ),
        (lambda: {"critic": Subclassed()}, "critic is .*; make it with keras.Sequential"),
        (lambda: {"student": _encoder()}, r"give an ltgans_tf.Student\(encoder, decoder\)"),
        (lambda: {"student": lt.Student(_encoder(1), _upward(5))}, "student.encoder maps"),
        (lambda: {"student": lt.Student(_encoder(), _upward(6))}, "student.encoder maps"),
        (lambda: {"student": lt.Student(_encoder(), _upward(5, 16))}, "student.decoder maps"),
        (lambda: {"recipe": "recommended"}, "recipe is 'recommended'; give an ltgans_tf.Recipe"),
    ],
)
def test_networks_that_do_not_fit_are_refused_in_one_sentence(changes, sentence):
    with pytest.raises(ValueError, match=sentence) as raised:
        lt.TwinGAN(**_given(**changes()))
    assert "\n" not in str(raised.value)


def test_generators_of_different_layers_are_refused():
    other = keras.Sequential([keras.Input([4]), L.Dense(9), L.Dense(192), L.Reshape([8, 8, 3])])
    with pytest.raises(ValueError, match="the generators have different layers"):
        lt.TwinGAN(**_given(generators=[_upward(), other]))


@pytest.mark.parametrize(
    "cls, builder, sentence",
    [
        (lt.TwinGAN, f"{__name__}:make_nothing", "which returned None; name a function without arguments"),
        (lt.TwinGAN, f"{__name__}:missing", "which is no function"),
        (lt.TwinGAN, f"{__name__}:Subclassed", "which is no function"),
        (lgm.LGM, make, "which returned .* that returns a LGM"),
        (lt.TwinGAN, "nowhere_at_all:make", "there is no module 'nowhere_at_all'"),
    ],
)
def test_what_is_no_builder_is_refused(cls, builder, sentence):
    with pytest.raises(ValueError, match=sentence):
        cls.from_builder(builder)


def test_a_class_of_ones_own_has_its_own_name_and_one_that_cannot_be_imported_is_refused(monkeypatch):
    class Mine(lt.TwinGAN):
        pass

    assert Mine.method.endswith("<locals>.Mine") and lt.TwinGAN.method == "ltgan"
    for name in (Mine.method, "__main__:Mine", "__main__:make"):
        with pytest.raises(ValueError, match="put it into a file of its own and import it from there"):
            own_code.check_lasting(name)
    own_code.check_lasting("ltgan")
    own_code.check_lasting("package.my_idea:Mine")


def test_a_class_derived_from_a_method_has_the_recipes_of_that_method():
    class Mine(lt.methods.Finetune):
        pass

    assert Mine._base_method() == "finetune"


@pytest.mark.program
def test_the_networks_of_the_docs_are_trained_loaded_and_gone_on_with(tmp_path, monkeypatch):
    page = (pathlib.Path(source_imports.ROOT) / "docs/runs.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(# my_networks.py.*?)```", page, re.DOTALL)
    (tmp_path / "my_networks.py").write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path))
    draw, workdir = np.random.default_rng(0), str(tmp_path / "run")
    arrays = {name: draw.integers(0, 256, (40, 32, 32, 3), dtype=np.uint8) for name in ("one", "two")}

    def fit(tasks):
        model = lt.TwinGAN.from_builder("my_networks:make")
        model.compile()
        stream = lt.TaskStream(arrays, (32, 32, 3), 4)
        assert model.evaluate_stream(stream)  # which asks for no workdir
        model.fit_stream(stream, 2, workdir, callbacks=[], boundary_callbacks=[], stop_after_task=tasks - 1)
        return model

    try:
        fit(1)
        model = fit(2)
        assert int(model.global_step.numpy()) == 4
        with pytest.raises(ValueError, match="name it if you trust it: --method=my_networks:make"):
            lt.load(workdir)
        loaded = lt.load(workdir, method="my_networks:make")
        np.testing.assert_array_equal(loaded.sample(4, domain="two"), model.sample(4, domain="two"))
        assert loaded.get_settings() == model.get_settings() and loaded.method == "my_networks:make"
    finally:
        sys.modules.pop("my_networks", None)
