"""CURL's mixture by loops in NumPy, and mixtures and images to compare it on."""

import numpy as np
import tensorflow as tf

from ltgans_tf.methods import curl_mixture


def some_images(rows=5, seed=0):
    return tf.constant(np.random.default_rng(seed).uniform(-1, 1, (rows, 8, 8, 3)), tf.float32)


def shaken(student, active, seed=0, scale=0.5):
    """Gives every row of the mixture, in use or not, values of its own."""
    draw = np.random.default_rng(seed)
    rows = [rows.numpy() + draw.normal(size=rows.shape) * scale for rows in student.mixture()]
    student.set_mixture(curl_mixture.Mixture(*(tf.constant(r, tf.float32) for r in rows)))
    student.active.assign(active)
    return student


def softplus(values):
    return np.log1p(np.exp(np.float64(values)))


def numpy_terms(student, images, noise):
    """SSE and KL of every image and component in use, and log q(y|x), by loops in float64."""
    rows = [np.float64(rows.numpy()) for rows in student.mixture()]
    head_kernel, head_bias, logit_kernel, logit_bias, prior_mean, prior_raw = rows
    active, width = int(student.active.numpy()), student.code_dim
    features = np.float64(student.trunk(images))
    sse, kl, log_q = (np.zeros((len(images), active)) for _ in range(3))
    for i, feature in enumerate(features):
        logits = np.array([logit_kernel[y] @ feature + logit_bias[y] for y in range(active)])
        log_q[i] = logits - np.log(np.exp(logits).sum())
        for y in range(active):
            head = feature @ head_kernel[y] + head_bias[y]
            mean, stddev = head[:width], softplus(head[width:])
            variance = softplus(prior_raw[y])
            code = mean if noise is None else mean + stddev * np.float64(noise[i])
            decoded = np.float64(student.decoder(np.float32(code[None])))[0]
            sse[i, y] = np.square(np.float64(images[i]) - decoded).sum()
            ratio = (stddev**2 + (mean - prior_mean[y]) ** 2) / variance
            kl[i, y] = 0.5 * np.sum(ratio - 1 - np.log(stddev**2 / variance))
    return sse, kl, log_q
