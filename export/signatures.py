"""The two SavedModels of an export and their signatures.

Both run without this package and without Keras, take a batch of any size, name their inputs and
outputs, and hold only the variables that their signatures read.
"""

import tensorflow as tf

from ltgans_tf import images


def save_generator(model, path):
    """Saves what `model.generate` draws.

    Signature `serving_default`: latents float32 [B, latent_dim] of the model's law -> images
    float32 [B, H, W, C] in [-1, 1].

    Args:
      model: a `LifelongModel`.
      path: folder to write; made if it does not exist.
    """

    @tf.function(input_signature=[tf.TensorSpec([None, model.latent_dim], tf.float32, "latents")])
    def sample(latents):
        return {"images": tf.cast(model.generate(latents), tf.float32)}

    _save(path, {"serving_default": sample})


def save_encoder(model, image_shape, fit, path):
    """Saves the Student of `model`, together with the preprocessing that it was trained behind.

    Signatures, all float32 but for the bytes:
      `serving_default`: image_bytes string [B], each a PNG, JPEG, GIF, WebP or BMP file of any
        size -> mean and stddev [B, code_dim] of q(z|x).
      `encode`: images [B, H, W, C] in [-1, 1] -> mean and stddev [B, code_dim].
      `decode`: codes [B, code_dim] -> images [B, H, W, C] in [-1, 1].

    Args:
      model: a model with a `student`.
      image_shape: (height, width, channels) of the stream.
      fit: 'crop', 'pad' or 'stretch', of the stream.
      path: folder to write; made if it does not exist.
    """
    student, image_shape = model.student, tuple(image_shape)

    @tf.function(input_signature=[tf.TensorSpec([None, *image_shape], tf.float32, "images")])
    def encode(images):
        posterior = student.encode(images)
        return {"mean": posterior.mean(), "stddev": posterior.stddev()}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "image_bytes")])
    def encode_bytes(image_bytes):
        return encode(
            tf.map_fn(
                lambda data: images.preprocess(images.decode(data, 3), image_shape, fit),
                image_bytes,
                fn_output_signature=tf.TensorSpec(image_shape, tf.float32),
            )
        )

    @tf.function(input_signature=[tf.TensorSpec([None, student.code_dim], tf.float32, "codes")])
    def decode(codes):
        return {"images": student.decode(codes)}

    _save(path, {"serving_default": encode_bytes, "encode": encode, "decode": decode})


def _save(path, functions):
    signatures = {name: function.get_concrete_function() for name, function in functions.items()}
    module = tf.Module()
    # What the graphs read and nothing else: no optimizer slots, no critic, no other generator.
    module.weights = list({id(v): v for s in signatures.values() for v in _captured(s)}.values())
    tf.saved_model.save(module, path, signatures=signatures)


def _captured(signature):
    """The variables that a graph reads; `variables` has those too that were read while it was made."""
    handles = {id(tensor) for tensor in signature.captured_inputs}
    return [variable for variable in signature.variables if id(variable.handle) in handles]
