"""Drawing latents and images: the same for a model in training and for one that was exported."""

import tensorflow as tf

# Of the circle of the law 'circle': farther from the centre than N(0, I) would be (1.25 on average),
# so that a network can tell its sectors (see sectors.py) apart with few images between two of them.
RADIUS = 2.0


def draw_latents(count, width, law, seed=0):
    """Latents of one law; row i depends on (seed, i) alone, so not on how many are drawn.

    Args:
      count: rows, at least 1.
      width: numbers per row.
      law: 'normal' for N(0, I), 'circle' for N(0, I) but for the first two numbers (`on_circle`), or
        'uniform' in [-1, 1].
      seed: int.

    Returns:
      float32 [count, width].
    """
    if count < 1:
        raise ValueError(f"count is {count}; at least one sample must be asked for.")
    shape, seed = [count, width], [seed, 0]
    if law == "uniform":
        return tf.random.stateless_uniform(shape, seed, minval=-1.0, maxval=1.0, alg="philox")
    latents = tf.random.stateless_normal(shape, seed, alg="philox")
    return on_circle(latents) if law == "circle" else latents


def seeded_latents(seeds, truncation, width, law):
    """Latents with a seed for each row, so that an image can be asked for again by a number.

    Args:
      seeds: int64 [B].
      truncation: float [B] in [0, 1], by which a row is scaled: 1 = the law itself, 0 = its centre.
        On a circle the first two numbers stay, as they say which domain is drawn.
      width: numbers per row.
      law: as for `draw_latents`; row i is its row 0 with seed i where truncation is 1.

    Returns:
      float32 [B, width].
    """
    latents = tf.map_fn(
        lambda seed: draw_latents(1, width, law, seed)[0],
        seeds,
        fn_output_signature=tf.TensorSpec([width], tf.float32),
    )
    kept = 2 if law == "circle" else 0
    return tf.concat([latents[:, :kept], latents[:, kept:] * truncation[:, None]], axis=1)


def on_circle(latents):
    """Moves the first two numbers of latents [N, Z] of N(0, I) along their direction to RADIUS."""
    pair, rest = latents[:, :2], latents[:, 2:]
    return tf.concat([pair * (RADIUS / tf.norm(pair, axis=1, keepdims=True)), rest], axis=1)


def in_batches(draw, latents, batch_size=250):
    """Images that the function `draw` makes of `latents` [N, Z], batch by batch."""
    batches = range(0, len(latents), batch_size)
    return tf.concat([draw(latents[i : i + batch_size]) for i in batches], axis=0)
