"""Measures of what a model has kept: likelihood and the distance between sets of images."""

import numpy as np
import tensorflow as tf


def nlog(student, images, batch_size=250):
    """NLOG of a Student: SSE over all pixels of images in [-1, 1] plus KL, lower is better.

    The paper's figure of merit, here with the posterior mean as code, so without noise; KL has
    weight 1 whatever beta was in training.

    Args:
      student: a `Student`.
      images: float32 [N, H, W, C] in [-1, 1].
      batch_size: images per forward pass.

    Returns:
      dict of floats: 'nlog' = 'sse' + 'kl' (means per image, nats up to the decoder's
      constant), 'mean_image_nlog' (the SSE of predicting the mean of `images`, which a Student
      that has learnt nothing reaches), and 'images', their number.
    """
    terms = [student.elbo_terms(images[i : i + batch_size]) for i in range(0, len(images), batch_size)]
    sse, kl = (np.concatenate([np.float64(t[j]) for t in terms]).mean() for j in (0, 1))
    pixels = np.asarray(images, np.float64)
    return {
        "nlog": float(sse + kl),
        "sse": float(sse),
        "kl": float(kl),
        "mean_image_nlog": float(pixels.var(axis=0).sum()),
        "images": len(images),
    }


def frechet_distance(features_a, features_b):
    """Frechet distance of two Gaussians fitted to features (Heusel et al. 2017, Eq. 6).

    |mu_a - mu_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2)), in float64. The trace of the root is the
    nuclear norm of C_a^(1/2) C_b^(1/2), which is stable for covariances of any rank.

    Args:
      features_a, features_b: float [N, D] and [M, D], at least 2 rows each.

    Returns:
      float, at least 0 but for rounding; lower is better. It is biased upwards for small N:
      compare at the same N, with N well above D.
    """
    roots, means = [], []
    for features in (np.float64(features_a), np.float64(features_b)):
        if features.ndim != 2 or len(features) < 2:
            raise ValueError(
                f"features have shape {features.shape}; they must be [N, D] with N of at least 2."
            )
        means.append(features.mean(axis=0))
        # The rows of the centred, scaled features are a root of the covariance: C = R^T R.
        roots.append((features - means[-1]) / np.sqrt(len(features) - 1))
    if means[0].shape != means[1].shape:
        raise ValueError(
            f"features have {means[0].size} and {means[1].size} columns; both sets must"
            " come from one feature_fn."
        )
    covariances = sum(np.square(root).sum() for root in roots)
    # tr (C_a C_b)^(1/2) is the sum of the singular values of R_a R_b^T; QR keeps that D x D.
    triangles = [np.linalg.qr(root, mode="r") for root in roots]
    cross = np.linalg.svd(triangles[0] @ triangles[1].T, compute_uv=False).sum()
    return float(np.square(means[0] - means[1]).sum() + covariances - 2.0 * cross)


def features_of(feature_fn, images, batch_size=250):
    """Applies `feature_fn` ([B, H, W, C] in [-1, 1] -> [B, D]) batch by batch: float32 [N, D]."""
    return np.concatenate(
        [
            np.asarray(feature_fn(tf.convert_to_tensor(images[i : i + batch_size])))
            for i in range(0, len(images), batch_size)
        ]
    )
