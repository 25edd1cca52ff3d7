"""LGM with linear networks on images [2, 2, 1] and with tiny ones, and its formulas in NumPy."""

import keras
import numpy as np

from ltgans_tf.methods import lgm
from ltgans_tf.settings import presets
from ltgans_tf.settings.method_table import LGMSettings
from tests.tiny import TINY

D, K = 2, 3  # of the linear nets on images [2, 2, 1]


PARTS = ("mean", "stddev", "logits", "decoder")


def draw_params(seed):
    draw = np.random.default_rng(seed)
    shapes = {"mean": (4, D), "stddev": (4, D), "logits": (4, K), "decoder": (D + K, 4)}
    return {
        name: (draw.normal(0, 0.5, shape), draw.normal(0, 0.5, shape[1])) for name, shape in shapes.items()
    }


def linear_vae(params, name="student", active=None):
    """A `MixedVAE` of dense layers with these weights and biases."""
    images, codes = keras.Input([2, 2, 1]), keras.Input([D + K])
    flat = keras.layers.Flatten()(images)
    activations = {"stddev": "softplus"}
    layers = {p: keras.layers.Dense(len(params[p][1]), activations.get(p), name=p) for p in PARTS}
    heads = tuple(layers[p](flat) for p in PARTS[:3])
    decoder = keras.Model(codes, keras.layers.Reshape([2, 2, 1])(layers["decoder"](codes)))
    vae = lgm.MixedVAE(keras.Model(images, heads), decoder, name)
    for part, layer in layers.items():
        layer.set_weights(params[part])
    if active is not None:
        vae.active.assign(active)
    return vae


def affine(params, part, x):
    return x @ params[part][0] + params[part][1]


def softmax(x, active=K):
    e = np.exp(x[:, :active] - x[:, :active].max(-1, keepdims=True))
    return np.pad(e / e.sum(-1, keepdims=True), ((0, 0), (0, K - active)))


def kls_of(params, x):
    """KL of z_c and of z_d to their priors by their formulas, and the probabilities of z_d."""
    mean, stddev = affine(params, "mean", x), np.log1p(np.exp(affine(params, "stddev", x)))
    probabilities = softmax(affine(params, "logits", x))
    normal = 0.5 * (mean**2 + stddev**2 - 1 - 2 * np.log(stddev)).sum(-1)
    return mean, stddev, probabilities, normal + (probabilities * np.log(K * probabilities)).sum(-1)


def draw_images(count, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (count, 2, 2, 1)).astype(np.float32)


def make_lgm(seed=0, recipe=presets.Recipe(), **settings):
    model = lgm.LGM.from_architecture(TINY, recipe=recipe, seed=seed, settings=LGMSettings(**settings))
    model.compile()
    return model
