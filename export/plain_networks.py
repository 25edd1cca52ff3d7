"""A model's generator and Student as plain Keras networks, which load without this package.

Layers of this package become Keras' own with the same weights, and all layers compute in float32. Inputs and
outputs have names, and take any number of rows:

  generator: noise float32 [n, noise_dim] and, if there are domain codes, domain int32 [n] from 1 to k
             -> images float32 [n, H, W, C] in [-1, 1]
  encoder:   images -> mean and stddev float32 [n, code_dim] of q(z|x)
  decoder:   codes float32 [n, code_dim] -> images
"""

import keras
import numpy as np

from ltgans_tf.networks import domain_codes, normalization
from ltgans_tf.networks.student import Student

PAINTER = "from_latents"  # layer of the generator: latents (domain code, then noise) -> images


def networks(model):
    """Returns the networks of a `LifelongModel`: {'generator': keras.Model, with a Student also 'encoder', 'decoder'}.

    Raises:
      ValueError: `model` draws or encodes with more than a Keras network, as CURL and LGM do.
    """
    painter, student = getattr(model, "latest_teacher", None), getattr(model, "student", None)
    if not isinstance(painter, keras.Model) or not isinstance(student, Student | None):
        raise ValueError(
            f"{model.method} draws by more than a Keras network; export it as a SavedModel: ltgans push --workdir=..."
        )
    made = {"generator": _generator(painter, model.latent_law, len(model.domains))}
    if student is not None:
        made |= {"encoder": _encoder(student.encoder), "decoder": _decoder(student.decoder)}
    return made


def _generator(painter, law, learnt):
    noise = keras.Input([law.noise_dim], name="noise")
    inputs, latents = {"noise": noise}, noise
    if law.domain_dim:
        inputs["domain"] = domain = keras.Input([], dtype="int32", name="domain")
        codes = np.float32(law.domain_length * domain_codes.code_book(law.domain_dim, learnt))
        table = keras.layers.Embedding(learnt, law.domain_dim, weights=[codes], trainable=False, name="codes")
        # Runtimes count negative rows from the end. So a domain below 1 gets row `learnt`, which all of them refuse.
        row = keras.ops.where(domain < 1, learnt, domain - 1)
        latents = keras.ops.concatenate([table(row), noise], axis=1)
    return keras.Model(inputs, {"images": _plain(painter, PAINTER)(latents)}, name="generator")


def _encoder(encoder):
    images = keras.Input(encoder.input_shape[1:], name="images")
    mean, stddev = _plain(encoder, "moments")(images)
    outputs = {"mean": mean, "stddev": stddev + 1e-6}  # as in Student.encode
    return keras.Model({"images": images}, outputs, name="encoder")


def _decoder(decoder):
    codes = keras.Input(decoder.input_shape[1:], name="codes")
    return keras.Model({"codes": codes}, {"images": _plain(decoder, "from_codes")(codes)}, name="decoder")


def _plain(network, name):
    """Returns a copy of a network without layers of this package."""
    calls = {} if isinstance(network, keras.Sequential) else {"call_function": _call}
    made = keras.models.clone_model(network, clone_function=_layer, **calls)
    for layer in network.layers:
        if layer.weights and not isinstance(layer, keras.Model):
            made.get_layer(layer.name).set_weights(layer.get_weights())
    made.name = name
    return made


def _layer(layer):
    if isinstance(layer, keras.Model):
        return _plain(layer, layer.name)
    its_class, config = type(layer), layer.get_config() | {"dtype": "float32"}
    if its_class is normalization.BatchNormalization:
        its_class = keras.layers.BatchNormalization
        config["synchronized"] = False
    return layer if its_class is normalization.DomainScale else its_class.from_config(config)


def _call(layer, *args, **kwargs):
    """Calls a layer of the copy; replaces a DomainScale by a Dense layer of the same name."""
    if not isinstance(layer, normalization.DomainScale):
        return layer(*args, **kwargs)
    x, latents = args[0]
    code = latents[:, : layer.code_dim]
    both = keras.ops.concatenate([keras.ops.relu(code), keras.ops.relu(-code)], axis=1)
    width = layer.kernel.shape[1]
    both = keras.layers.Dense(width, use_bias=False, name=layer.name)(both)
    scale, shift = keras.ops.split(keras.ops.reshape(both, [-1, 1, 1, width]), 2, axis=-1)
    return x * (1.0 + scale) + shift
