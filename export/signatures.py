"""The two SavedModels of an export and their signatures.

Both run without this package and without Keras, take batches of any size, and hold only the variables that their
signatures read. Every input is required and has one entry for each row, so that servers can join requests into
batches. Output images are numbers in [-1, 1], or PNG files if the output's name ends in `_bytes`. These inputs
give the error INVALID_ARGUMENT with a sentence: numbers that are not finite, weights outside [0, 1], files that are not
images, wrong shapes, and requests without rows.
"""

import functools

import tensorflow as tf

from ltgans_tf.data import images

# Nothing here needs autograph, which takes a tenth of the time of tracing.
_function = functools.partial(tf.function, autograph=False)


def save_generator(model, path):
    """Saves the generator of `model`.

    Signatures:
      `serving_default`: latents float32 [B, latent_dim] of the model's law -> images float32 [B, H, W, C]. If the
        model has domain codes, latents begin with one.
      `generate_png`: latents -> images_bytes string [B].
      `sample_png`: seed int64 [B], truncation float32 [B] in [0, 1] -> images_bytes string [B], and their
        latents. A row depends only on its own seed and truncation; its domain is number 1 + seed mod k of k
        domains.
      `sample_domain_png`, if there are domain codes: seed, domain int64 [B] from 1 to k, truncation
        -> the same for that domain.
      `domains`, if there are domain codes: domain int64 [B] from 1 to k -> name_bytes string [B], and
        `learnt` int64 [B], which is k in each row.

    Args:
      model: a `LifelongModel`.
      path: folder to write; made if it does not exist.
    """
    latents_spec = tf.TensorSpec([None, model.latent_dim], tf.float32, "latents")
    seeds, numbers = (tf.TensorSpec([None], tf.int64, name) for name in ("seed", "domain"))
    shares = tf.TensorSpec([None], tf.float32, "truncation")
    law, names = model.latent_law, model.domains
    learnt = len(names)

    # Steps that several signatures share are functions of their own, which are traced, saved and loaded once.
    @_function(input_signature=[latents_spec])
    def draw(latents):
        (latents,) = _rows(latents)
        return tf.cast(model.generate(_finite(latents, "latents")), tf.float32)

    @_function(input_signature=[latents_spec])
    def generate(latents):
        return {"images": draw(latents)}

    @_function(input_signature=[latents_spec])
    def generate_png(latents):
        return {"images_bytes": _png(draw(latents))}

    @_function(input_signature=[seeds, numbers, shares])
    def sample(seed, domain, truncation):
        latents = law.seeded(seed, _share(truncation, "truncation"), domain, learnt)
        return {"images_bytes": _png(draw(latents)), "latents": latents}

    @_function(input_signature=[seeds, shares])
    def sample_png(seed, truncation):
        seed, truncation = _rows(seed, truncation)
        return sample(seed, tf.math.floormod(seed, learnt), truncation)

    @_function(input_signature=[seeds, numbers, shares])
    def sample_domain_png(seed, domain, truncation):
        seed, domain, truncation = _rows(seed, domain, truncation)
        return sample(seed, _learnt(domain, learnt) - 1, truncation)

    @_function(input_signature=[numbers])
    def domains(domain):
        (domain,) = _rows(domain)
        told = tf.gather(tf.constant(names), _learnt(domain, learnt) - 1)
        return {"name_bytes": told, "learnt": tf.fill(tf.shape(domain), tf.constant(learnt, tf.int64))}

    signatures = {"serving_default": generate, "generate_png": generate_png, "sample_png": sample_png}
    if law.domain_dim:
        signatures |= {"sample_domain_png": sample_domain_png, "domains": domains}
    _save(path, signatures)


def save_encoder(model, image_shape, fit, path, upright=True):
    """Saves the Student of `model` with the preprocessing of its training images.

    Signatures; image_bytes are string [B], each a PNG, JPEG, GIF, WebP or BMP file of any size:
      `serving_default`: image_bytes -> mean and stddev float32 [B, code_dim] of q(z|x).
      `encode`: images float32 [B, H, W, C] in [-1, 1] -> mean and stddev.
      `decode`: codes float32 [B, code_dim] -> images float32 [B, H, W, C].
      `reconstruct`: image_bytes -> images_bytes, decoded from the posterior mean.
      `interpolate`: image_a_bytes, image_b_bytes, weight float32 [B] in [0, 1] -> images_bytes at the
        code (1 - weight) mean(a) + weight mean(b).
      `score`: image_bytes -> sse, kl and nlog = sse + kl float32 [B], see `likelihood.nlog`. They are high
        for images that the Student cannot explain.

    Args:
      model: a model with a `student`.
      image_shape: (height, width, channels) of the stream.
      fit: 'crop', 'pad' or 'stretch', as in the stream.
      path: folder to write; made if it does not exist.
      upright: whether to apply the rotation that a camera noted in a file, as the stream does.
    """
    student, image_shape = model.student, tuple(image_shape)

    pictures_spec = tf.TensorSpec([None, *image_shape], tf.float32, "images")
    codes_spec = tf.TensorSpec([None, student.code_dim], tf.float32, "codes")

    # Steps that several signatures share are functions of their own, which are traced, saved and loaded once.
    @_function(input_signature=[_files("image_bytes")])
    def read(image_bytes):
        (image_bytes,) = _rows(image_bytes)
        return images.read_all(image_bytes, image_shape, fit, upright)

    @_function(input_signature=[pictures_spec])
    def posterior(pictures):
        found = student.encode(pictures)
        return {"mean": found.mean(), "stddev": found.stddev()}

    @_function(input_signature=[codes_spec])
    def decoded(codes):
        return student.decode(codes)

    def code(image_bytes):
        return posterior(read(image_bytes))["mean"]

    @_function(input_signature=[pictures_spec])
    def encode(images):
        (images,) = _rows(images)
        return posterior(_finite(images, "images"))

    @_function(input_signature=[_files("image_bytes")])
    def encode_bytes(image_bytes):
        return posterior(read(image_bytes))

    @_function(input_signature=[codes_spec])
    def decode(codes):
        (codes,) = _rows(codes)
        return {"images": decoded(_finite(codes, "codes"))}

    @_function(input_signature=[_files("image_bytes")])
    def reconstruct(image_bytes):
        return {"images_bytes": _png(decoded(code(image_bytes)))}

    weights = tf.TensorSpec([None], tf.float32, "weight")

    @_function(input_signature=[_files("image_a_bytes"), _files("image_b_bytes"), weights])
    def interpolate(image_a_bytes, image_b_bytes, weight):
        image_a_bytes, image_b_bytes, weight = _rows(image_a_bytes, image_b_bytes, weight)
        weight = _share(weight, "weight")[:, None]
        first, second = tf.split(code(tf.concat([image_a_bytes, image_b_bytes], 0)), 2)
        codes = (1.0 - weight) * first + weight * second
        return {"images_bytes": _png(decoded(codes))}

    @_function(input_signature=[_files("image_bytes")])
    def score(image_bytes):
        sse, kl = student.elbo_terms(read(image_bytes))
        return {"sse": sse, "kl": kl, "nlog": sse + kl}

    _save(
        path,
        {
            "serving_default": encode_bytes,
            "encode": encode,
            "decode": decode,
            "reconstruct": reconstruct,
            "interpolate": interpolate,
            "score": score,
        },
    )


def _files(name):
    return tf.TensorSpec([None], tf.string, name)


def _rows(*inputs):
    """Refuses a request without rows, with unequal numbers of rows, or with inputs of other shapes.

    Runtimes do not check inputs against the shapes in a signature.
    """
    inputs = [tf.ensure_shape(values, values.shape) for values in inputs]
    rows = tf.stack([tf.shape(values)[0] for values in inputs])
    message = "A request must have one row or more, as many in each input, got"
    check = tf.debugging.Assert(tf.reduce_all((rows > 0) & (rows == rows[0])), [message, rows])
    with tf.control_dependencies([check]):
        return [tf.identity(values) for values in inputs]


def _finite(values, name):
    return tf.debugging.check_numerics(values, f"{name} must be finite numbers")


def _share(values, name):
    """Refuses values outside [0, 1], and NaN."""
    within = tf.reduce_all((values >= 0.0) & (values <= 1.0))
    with tf.control_dependencies([tf.debugging.Assert(within, [f"{name} must be in [0, 1], got", values])]):
        return tf.identity(values)


def _learnt(domain, count):
    """Refuses numbers of unknown domains."""
    within = tf.reduce_all((domain >= 1) & (domain <= count))
    message = f"domain must be from 1 to {count}, which are the domains learnt, got"
    with tf.control_dependencies([tf.debugging.Assert(within, [message, domain])]):
        return tf.identity(domain)


def _png(pictures):
    """float [B, H, W, C] in [-1, 1] -> string [B], each a PNG file."""
    return tf.io.encode_png(images.to_uint8(pictures))


def _save(path, functions):
    signatures = {name: function.get_concrete_function() for name, function in functions.items()}
    module = tf.Module()
    # Only what the graphs read: no optimizer slots, no critic, no other generator.
    module.weights = list({id(v): v for s in signatures.values() for v in _captured(s)}.values())
    tf.saved_model.save(module, path, signatures=signatures)


def _captured(signature):
    """Returns the variables that a graph reads; `signature.variables` also has those that only its tracing read."""
    handles = {id(tensor) for tensor in signature.captured_inputs}
    return [variable for variable in signature.variables if id(variable.handle) in handles]
