"""Networks without layers of this package: they give what the model gives, and need no code of it."""

import importlib

import numpy as np
import pytest

from ltgans_tf.export import plain_networks, standalone
from ltgans_tf.methods import registry
from ltgans_tf.settings import presets
from tests.tiny import TINY

pytestmark = pytest.mark.program


def _model(method="ltgan", **recipe):
    model = registry.method_class(method).from_architecture(TINY, 3, True, presets.Recipe(**recipe), seed=1)
    model.task_index.assign(3)
    draw = np.random.default_rng(0)
    for network in getattr(model, "generators", []):  # scales by code start at 1, statistics at 0 and 1
        network.set_weights(
            [w + np.abs(draw.normal(0, 0.1, w.shape)).astype(w.dtype) for w in network.get_weights()]
        )
    return model


@pytest.mark.parametrize(
    "method, recipe, tolerance",
    [
        ("ltgan", {"domain_dim": 4, "domain_length": 1.5}, 1e-5),
        ("replay", {"domain_dim": 0}, 1e-5),
        ("multiband", {"precision": "mixed_bfloat16"}, 0.02),  # networks in networks
    ],
)
def test_they_give_what_the_model_gives(method, recipe, tolerance):
    model = _model(method, **recipe)
    made, dims = plain_networks.networks(model), model.latent_law.domain_dim
    latents = model.latents(6, 4).numpy()
    given = {"noise": latents[:, dims:], **({"domain": np.int32([1, 2, 3, 1, 2, 3])} if dims else {})}
    drawn = model.generate(latents).numpy()
    assert drawn.std() > 0.05
    np.testing.assert_allclose(made["generator"](given)["images"], drawn, atol=tolerance)
    codes, wanted = made["encoder"]({"images": drawn}), model.student.encode(drawn)
    np.testing.assert_allclose(codes["mean"], wanted.mean(), atol=tolerance)
    np.testing.assert_allclose(codes["stddev"], wanted.stddev(), atol=tolerance)
    decoded = model.student.decode(wanted.mean())
    np.testing.assert_allclose(made["decoder"]({"codes": wanted.mean()})["images"], decoded, atol=tolerance)


@pytest.mark.parametrize("domain", [-1, 0, 4])
def test_an_unknown_domain_is_refused(domain):
    generator = plain_networks.networks(_model(domain_dim=4))["generator"]
    with pytest.raises(Exception, match="is not in"):
        generator({"noise": np.zeros([1, 4], np.float32), "domain": np.int32([domain])})


def test_onnx_runtime_refuses_an_unknown_domain_too(tmp_path):
    for name in ("tf2onnx", "onnx", "onnxruntime"):
        pytest.importorskip(name, reason=f"{name} is not installed (requirements-exits.txt)")
    generator = plain_networks.networks(_model(domain_dim=4))["generator"]
    standalone._save(generator, str(tmp_path / "generator.onnx"), "onnx")
    session = importlib.import_module("onnxruntime").InferenceSession(str(tmp_path / "generator.onnx"))
    noise = np.zeros([1, 4], np.float32)
    assert session.run(["images"], {"noise": noise, "domain": np.int32([3])})[0].shape == (1, 8, 8, 3)
    for domain in (-1, 0, 4):  # it counts negative rows from the end
        with pytest.raises(Exception, match="out of data bounds"):
            session.run(["images"], {"noise": noise, "domain": np.int32([domain])})


@pytest.mark.parametrize("method", ["curl", "lgm"])
def test_methods_that_draw_by_more_than_a_network_are_refused_with_what_to_do(method):
    with pytest.raises(ValueError, match=f"^{method} draws by more than a Keras network; .* ltgans push"):
        plain_networks.networks(_model(method))
