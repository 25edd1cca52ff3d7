"""The terms of Eqs. 1, 2 and 4-6: pure functions that return one value per example.

Reduction, weights and the sum over generators are left to the caller, so that a step under
`tf.distribute` divides by the global batch and not by its own share of it.
"""

import tensorflow as tf


def critic_loss(real_values, fake_values):
    """Wasserstein critic loss D(G(z)) - D(x), which the critic minimises (Eqs. 1 and 2).

    Args:
      real_values: critic values of real (or mixed) images, [B].
      fake_values: critic values of generated images, [B].

    Returns:
      float [B]; its negative mean estimates the Wasserstein distance.
    """
    return fake_values - real_values


def generator_loss(fake_values):
    """Generator loss -D(G(z)), [B] -> [B] (Eqs. 1 and 2)."""
    return -fake_values


def interpolate(real_images, fake_images, epsilon):
    """Points between real and generated images at which the gradient penalty is taken.

    Args:
      real_images, fake_images: [B, H, W, C].
      epsilon: weight of the real image, one per image, uniform in [0, 1): [B, 1, 1, 1].
        (One epsilon for the whole batch, as in the authors' later code, would sample a single
        ratio per step; Gulrajani et al. 2017, Algorithm 1, draw one per example.)
    """
    return epsilon * real_images + (1.0 - epsilon) * fake_images


def gradients(tape, target, variables, scale=1.0, upstream=None):
    """Computes gradients that are multiplied by `scale` in the backward pass and divided by it at the end.

    Args:
      tape: a GradientTape that recorded `target`.
      target: tensor whose sum is differentiated.
      variables: list of float32 variables or tensors.
      scale: a power of two, so that scaling rounds nothing; above 1 for layers in float16, where values
        below 6e-8 become 0.
      upstream: gradient of a later value with respect to `target`, for the chain rule; None for ones.

    Returns:
      list of float32 tensors.
    """
    if scale == 1.0:
        return tape.gradient(target, variables, output_gradients=upstream)
    upstream = tf.ones_like(target) if upstream is None else upstream
    found = tape.gradient(target, variables, output_gradients=scale * upstream)
    return [gradient / scale for gradient in found]


def norm(gradients):
    """Returns the Euclidean norm of all float32 tensors of a list together, a scalar, with a single reduction."""
    packed = tf.concat([tf.reshape(gradient, [-1]) for gradient in gradients], axis=0)
    return tf.sqrt(2.0 * tf.nn.l2_loss(packed))


def descend(optimizer, gradients, variables, target):
    """Updates variables by the gradients of `target`, but only after `target` has been computed.

    A gradient need not depend on everything that its target reads: that of a critic's last kernel does not depend on
    the critic's values. TensorFlow 2.21 orders the reads of a variable before its update, but its graph optimiser
    can lose that order in such a step: then a weight is occasionally read after its update.

    Args:
      optimizer: a Keras optimizer.
      gradients, variables: lists of equal length.
      target: tensor that was differentiated.
    """
    with tf.control_dependencies([target]):
        optimizer.apply(gradients, variables)


def gradient_penalty(critic_values_fn, images, scale=1.0):
    """(||grad_u D(u)||_2 - 1)^2 per image (Gulrajani et al. 2017, Eq. 3).

    The norm is over all pixels and channels of an image. The authors' later code sums over one image
    axis only, which pulls 96 column norms to 1 and so the total norm to about 9.8.

    Args:
      critic_values_fn: maps [B, H, W, C] to one value per image, [B]. A value must depend only on its
        own image (no batch statistics); otherwise the penalty is not that of a function of u.
      images: points u at which the penalty is taken, [B, H, W, C].
      scale: see `gradients`.

    Returns:
      float32 [B], at least 0; finite, with finite gradients, even where the gradient of D vanishes.
    """
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(images)
        values = critic_values_fn(images)
    (slopes,) = gradients(tape, values, [images], scale)
    squared_norm = tf.reduce_sum(tf.square(tf.cast(slopes, tf.float32)), axis=[1, 2, 3])
    # The derivative of sqrt is infinite at 0; 1e-12 bounds it and moves a norm of 1 by 5e-13.
    return tf.square(tf.sqrt(squared_norm + 1e-12) - 1.0)


def sum_squared_error(images, reconstructions):
    """Squared error summed over pixels and channels, [B, H, W, C] twice -> [B].

    For images in [-1, 1] this is -log p(x|z) of the decoder N(x_hat, I/2) minus the constant
    (D / 2) log(pi). It is the "reconstruction error" of the paper's NLOG.
    """
    return tf.reduce_sum(tf.math.squared_difference(images, reconstructions), axis=[1, 2, 3])


def kl_to_normal(mean, stddev):
    """KL(N(mean, diag stddev^2) || N(0, I)) in nats, [B, D] twice -> [B]."""
    terms = tf.square(mean) + tf.square(stddev) - 2.0 * tf.math.log(stddev)
    return 0.5 * (tf.reduce_sum(terms, axis=1) - mean.shape[1])


def negative_elbo(sse, kl, beta=1.0):
    """SSE + beta * KL per image, [B] and [B] -> [B] (Eqs. 4-6).

    Args:
      sse: reconstruction error, from `sum_squared_error`.
      kl: KL(q(z|x) || p(z)) in nats.
      beta: 1 is Eq. 5; 4 is the paper's disentangled variant, Eq. 6.
    """
    return sse + beta * kl
