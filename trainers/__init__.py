"""The programs, which `ltgans` starts (see `command`); on bad input each ends with one sentence."""

# For all programs of this folder.
from ltgans_tf.export.program import define_method as define_method
from ltgans_tf.export.program import import_tensorflow as import_tensorflow
from ltgans_tf.export.program import run as run


def extractor_seeds(texts):
    """Returns the value of --extractor_seed as integers; ValueError if one is not in `scores.EXTRACTOR_SEEDS`."""
    from ltgans_tf.evaluation import scores  # here, so that --help does not wait for NumPy

    known = [str(seed) for seed in scores.EXTRACTOR_SEEDS]
    if wrong := [text for text in texts if text not in known]:
        raise ValueError(
            f"--extractor_seed has {wrong[0]!r}; give {' or '.join(known)}, or both, as {','.join(known)}."
        )
    return tuple(dict.fromkeys(map(int, texts)))
