"""Likelihood of a Student, in the paper's units and in others: NLOG, ELBO, IWAE, bits per dimension.

Images are in [-1, 1] and the decoder is p(x|z) = N(x_hat, I/2), so that -log p(x|z) is the SSE over
all D pixels and channels plus (D/2) ln pi. Values in the units of NLOG leave that constant out. Never
judge a model by its likelihood alone, which says nothing about its samples.

Here a Student is any object with the `encode`, `decode`, `prior` and `elbo_terms` of `student.Student`. The
noise of image i and sample k depends only on (seed, k, i), so a score does not depend on the batch size, and the
codes of `nlog` are the first samples of `iwae`.
"""

import math

import numpy as np
import tensorflow as tf

SAMPLED = ("nlog_sampled", "elbo", "bits_per_dim")  # scores that need a sampled code
ACTIVE_VARIANCE = 0.01  # Burda et al. 2016, section 5.2


def nlog(student, images, batch_size=250, seed=0, graphs=None, sampled=True):
    """Computes NLOG of a Student, the paper's figure of merit, and the other scores of the same pass.

    NLOG is the SSE over all pixels of images in [-1, 1] plus KL, lower is better; KL has weight 1
    whatever beta training used. The paper does not say which code is decoded: 'nlog' decodes the
    posterior mean, so it has no noise; 'nlog_sampled' draws one code from q(z|x) for each image, and
    only this one is a bound on the likelihood.

    Args:
      student: a `Student`.
      images: float [N, H, W, C] in [-1, 1].
      batch_size: images per forward pass.
      seed: int, of the codes drawn.
      graphs: a dict that keeps the graphs of a Student for further calls of this module, between which only its
        weights may change; None to make the graphs anew, which takes 0.3 s.
      sampled: whether to draw codes too; without them, the result lacks SAMPLED and takes a third less time.

    Returns:
      dict of means per image, floats except for the two counts: 'nlog' = 'sse' + 'kl' and 'nlog_sampled'
      (nats up to the decoder's constant), 'elbo' = -('nlog_sampled' + (D/2) ln pi) in nats,
      'bits_per_dim' (the same in bits, see `bits_per_dim`), 'mse' = 'sse' / D, 'active_units' (the
      codes whose posterior mean has a variance over the images above 0.01; Burda et al. 2016),
      'mean_image_nlog' (the SSE of predicting the mean of `images`, which a Student that has learnt
      nothing reaches) and 'images', their number.

    Raises:
      ValueError: images are of another kind, or none.
    """
    images = _checked(images)

    width = _code_dim(student, images)

    def at_mean(batch):
        return [*student.elbo_terms(batch), student.encode(batch).mean()]

    if sampled:

        @_compiled(graphs, images, [None, width])
        def terms(batch, noise):
            return [student.elbo_terms(batch, noise)[0], *at_mean(batch)]
    else:

        @_compiled(graphs, images, [None, width])
        def mean_terms(batch, noise):
            return at_mean(batch)

        terms = mean_terms

    noise = _noise(len(images), width, seed, 0)
    sums, pixels, means = np.zeros(3 if sampled else 2), _Moments(), _Moments()
    for rows in _batches(len(images), batch_size):
        batch = np.asarray(images[rows], np.float32)
        *values, code = terms(batch, noise[rows])
        sums += [np.float64(value).sum() for value in values]
        pixels.add(batch)
        means.add(code)
    *drawn, sse, kl = (float(total) / len(images) for total in sums)
    shape = images.shape[1:]
    found = {}
    if sampled:
        bound = drawn[0] + kl
        found = dict(zip(SAMPLED, (bound, -(bound + constant(shape)), bits_per_dim(bound, shape))))
    return {
        "nlog": sse + kl,
        "sse": sse,
        "kl": kl,
        **found,
        "mse": sse / math.prod(shape),
        "active_units": int((means.variance() > ACTIVE_VARIANCE).sum()),
        "mean_image_nlog": float(pixels.variance().sum()),
        "images": len(images),
    }


def iwae(student, images, k=64, batch_size=125, chunk=4, seed=0, graphs=None):
    """Computes the importance-weighted bound on the likelihood (Burda et al. 2016, Eq. 8); lower is better.

    The mean over the images of -log 1/K sum_k exp(-SSE_k - log q(z_k|x) + log p(z_k)), z_k ~ q(z|x).
    Its expectation falls as K grows, from that of 'nlog_sampled' at K = 1 towards -log p(x). q is the
    normal distribution with the posterior's mean and standard deviation: for a `Student` the
    posterior itself, for any other posterior a valid proposal.

    Memory is constant in K; a pass decodes batch_size * chunk codes.

    Args:
      student: a `Student`.
      images: float [N, H, W, C] in [-1, 1].
      k: codes drawn for each image.
      batch_size: images per pass.
      chunk: codes of each image per pass.
      seed: int, of the codes.
      graphs: see `nlog`.

    Returns:
      dict: 'iwae' in the units of NLOG (nats up to the decoder's constant), 'iwae_bits_per_dim',
      'iwae_images' = N and 'iwae_k' = K.

    Raises:
      ValueError: images are of another kind, or none, or k is below 1.
    """
    images = _checked(images)
    if k < 1:
        raise ValueError(f"k is {k}; the bound needs at least one code for each image.")

    width = _code_dim(student, images)

    @_compiled(graphs, images)
    def encode(batch):
        posterior = student.encode(batch)
        return posterior.mean(), posterior.stddev()

    @_compiled(graphs, images, [None, width], [None, width], [None, None, width])
    def log_weights(batch, mean, stddev, noise):
        codes = mean + stddev * noise  # [chunk, B, code_dim]
        decoded = student.decode(tf.reshape(codes, [-1, width]))
        decoded = tf.reshape(decoded, tf.concat([tf.shape(noise)[:2], tf.shape(batch)[1:]], axis=0))
        sse = tf.reduce_sum(tf.math.squared_difference(decoded, batch), axis=[2, 3, 4])
        # log q(z|x) without its constant, which is added later in float64.
        log_q = -tf.reduce_sum(0.5 * tf.square(noise) + tf.math.log(stddev), axis=-1)
        return student.prior().log_prob(codes) - log_q - sse

    batches = list(_batches(len(images), batch_size))
    posteriors = [encode(np.asarray(images[rows], np.float32)) for rows in batches]
    log_sums = np.full(len(images), -np.inf)
    for samples in _batches(k, chunk):
        noise = np.stack([_noise(len(images), width, seed, s) for s in range(k)[samples]])
        for rows, (mean, stddev) in zip(batches, posteriors):
            batch = np.asarray(images[rows], np.float32)
            weights = np.float64(log_weights(batch, mean, stddev, noise[:, rows]))
            log_sums[rows] = np.logaddexp(log_sums[rows], np.logaddexp.reduce(weights, axis=0))
    bound = float(np.mean(np.log(k) - log_sums) - width / 2 * math.log(2 * math.pi))
    return {
        "iwae": bound,
        "iwae_bits_per_dim": bits_per_dim(bound, images.shape[1:]),
        "iwae_images": len(images),
        "iwae_k": k,
    }


def codes(student, images, batch_size=250, graphs=None):
    """Computes posterior means: float [N, H, W, C] in [-1, 1] -> float32 [N, code_dim]; for `graphs` see `nlog`."""
    images = _checked(images)
    encode = _compiled(graphs, images)(lambda batch: student.encode(batch).mean())
    batches = _batches(len(images), batch_size)
    return np.concatenate([encode(np.asarray(images[rows], np.float32)) for rows in batches])


def constant(image_shape):
    """Returns (D/2) ln pi with D = H * W * C, in nats: the difference between -log p(x|z) and the SSE."""
    return math.prod(image_shape) / 2 * math.log(math.pi)


def bits_per_dim(nats, image_shape):
    """Converts nats per image, in the units of NLOG, to bits per pixel and channel of 8-bit images.

    (nats + (D/2) ln pi) / (D ln 2) + log2(127.5): the density in [-1, 1] times the distance 1/127.5
    of two levels there, so a uniform distribution over the 256 levels has 8 bits. No noise is added to
    the levels of the images: compare only with figures computed in the same way.
    """
    return (nats + constant(image_shape)) / (math.prod(image_shape) * math.log(2)) + math.log2(127.5)


def _compiled(graphs, images, *shapes):
    """Decorates a function of a batch of `images` and of float32 tensors of these shapes.

    One graph serves every batch size. Without `graphs`, each call of this module makes it anew, because a graph
    kept after the call would miss changes in a Student other than its weights.
    """
    graphs = {} if graphs is None else graphs
    batch = tf.TensorSpec([None, *images.shape[1:]], tf.float32)
    signature = (batch, *(tf.TensorSpec(shape, tf.float32) for shape in shapes))

    def compiled(function):
        key = function.__qualname__, signature
        if key not in graphs:
            # A concrete function, because TensorFlow takes several graphs of one line of code for retracing and warns.
            graphs[key] = tf.function(function, input_signature=signature).get_concrete_function()
        return graphs[key]

    return compiled


def _noise(count, width, seed, sample):
    """Standard normal float32 [count, width]; row i depends only on (seed, sample, i)."""
    return tf.random.stateless_normal([count, width], [seed, sample], alg="philox").numpy()


def _code_dim(student, images):
    return student.encode(np.asarray(images[:1], np.float32)).mean().shape[-1]


def _batches(count, size):
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]


class _Moments:
    """Variance of rows that come in batches, in float64 (Chan et al. 1983)."""

    def __init__(self):
        self.count, self.mean, self.squares = 0, 0.0, 0.0

    def add(self, rows):
        rows = np.float64(rows)
        mean, count = rows.mean(axis=0), self.count + len(rows)
        shift = mean - self.mean
        self.squares += np.square(rows - mean).sum(axis=0)
        self.squares += np.square(shift) * self.count * len(rows) / count
        self.mean += shift * len(rows) / count
        self.count = count

    def variance(self):
        return self.squares / self.count


def _checked(images):
    images = np.asarray(images)
    if images.dtype.kind != "f" or images.ndim != 4 or not len(images):
        raise ValueError(
            f"images are {images.dtype} of shape {images.shape}; they must be float [N, H, W, C] in [-1, 1]"
            " with N of at least 1."
        )
    return images
