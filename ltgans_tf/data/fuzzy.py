"""Fuzzy boundaries between tasks: data sets that exchange classes (Table 3 of the paper)."""

import dataclasses

from ltgans_tf.data import specs


def fuzzy_exchange(spec_a, spec_b, mode="paper", exchanged_class=9):
    """Exchanges classes between the training parts of two data sets (the paper's Table 3).

    The test splits are not exchanged: each of the two specs is tested on its own original set.

    Args:
        spec_a, spec_b: two names of data sets with ten classes each, such as 'mnist' and 'svhn_cropped'.
        mode: 'paper' gives each set one class of the other and keeps nine of its own, as in the paper's text;
            'code' follows the authors' later code: classes 0 to 7, class 3 once more, and classes 8 and 9
            of the other set.
        exchanged_class: the class that is exchanged in mode 'paper'.

    Returns:
        The two specs after the exchange, as texts.

    Raises:
        ValueError: the mode is unknown, or a spec has several parts, or already chooses classes or a split.
    """
    if mode not in ("paper", "code"):
        raise ValueError(f"mode must be 'paper' or 'code', got {mode!r}.")
    parts = [_whole_set(spec) for spec in (spec_a, spec_b)]
    return _exchange(*parts, mode, exchanged_class), _exchange(*parts[::-1], mode, exchanged_class)


def _whole_set(spec):
    parts = specs.parse(spec).parts
    if len(parts) != 1 or parts[0].classes is not None or parts[0].split is not None:
        raise ValueError(
            f"Classes are exchanged between two whole data sets, got {spec!r}; "
            "give one name without '@', 'train' or 'test'."
        )
    return parts[0]


def _exchange(own, other, mode, exchanged_class):
    if mode == "paper":
        kept = tuple(c for c in range(10) if c != exchanged_class)
        chosen = [(own, kept), (other, (exchanged_class,))]
    else:
        chosen = [(own, _counted(own, range(8))), (own, _counted(own, [3])), (other, _counted(other, [8, 9]))]
    train = [dataclasses.replace(part, classes=classes, split="train") for part, classes in chosen]
    return "+".join(str(part) for part in train + [dataclasses.replace(own, split="test")])


def _counted(part, positions):
    """Returns the classes at these positions in the authors' code, which orders SVHN's digits 1, ..., 9, 0."""
    shift = 1 if part.path_or_name == "svhn_cropped" else 0
    return tuple(sorted((p + shift) % 10 for p in positions))
