"""Extractors: networks that compute the features for distances between sets of images.

The default is a small classifier of the real training images, trained to predict their labels and their
domain; images without labels are reconstructed instead. Distances on it are called FCD and KCD, for Frechet
and kernel classifier distance, and never FID: that name belongs to the Inception weights of 2015 (see
inception.py). Compare distances only under the same extractor, that is, under the same sha256.
"""

import dataclasses
import hashlib
import os
import uuid

import numpy as np
import tensorflow as tf

from ltgans_tf.data import images as images_lib
from ltgans_tf.evaluation import extractor_cache, extractor_network
from ltgans_tf.files import array_files, jsonfiles, keras_config, user_cache

FEATURES = extractor_network.FEATURES
EPOCHS = 4
MOST_IMAGES = 12_000  # of each domain, for training
_MOST_SIDE = 4096  # largest image side that a file may state
_FORMAT_VERSION = 1  # raise it if the file format, the network or its training changes


@dataclasses.dataclass(frozen=True)
class Domain:
    """The real training images of one domain.

    Attributes:
      name: name of its task.
      images: uint8 [N, H, W, C], of the training split; the test split must stay unseen, or distances to it
        become too small.
      labels: ints [N], or None.
    """

    name: str
    images: np.ndarray
    labels: np.ndarray | None = None


class Extractor:
    """A trained network of features and classes, as `train` and `load` return it.

    ```python
    extractor = features.train([features.Domain("digits", task.train_images(), task.train_labels())])
    real = metrics.features_of(extractor.features, images.normalize(task.test_images()))
    made = metrics.features_of(extractor.features, model.sample(1000))
    fcd = metrics.frechet_distance(real, made)
    ```

    Args:
      network: Keras model images [B, H, W, C] -> [features [B, 64], logits [B, classes]].
      classes: for each logit its (index of the domain, label); the label is None if the
        domain has no labels.
      about: JSON-ready dict: kind, domains, what it was trained on and how well.
    """

    frechet, kernel = "fcd", "kcd"  # names of the distances on these features
    dimensions = FEATURES

    def __init__(self, network, classes, about):
        self.network = network
        self.class_table = tuple(classes)
        self.domain_names = tuple(about["domains"])
        self.about = {
            **about,
            "name": self.frechet.upper(),
            "features": FEATURES,
            "sha256": _weights_hash(network),
        }
        spec = tf.TensorSpec([None, *network.input_shape[1:]], tf.float32)
        # A concrete function, because TensorFlow takes the graphs of several extractors for retracing and warns.
        apply = tf.function(lambda images: network(images, training=False), input_signature=[spec])
        self._apply = apply.get_concrete_function()

    @property
    def sha256(self):
        """The hash of the weights: do not compare distances under different ones."""
        return self.about["sha256"]

    def features(self, images):
        """Penultimate layer, after its ReLU: float [B, H, W, C] in [-1, 1] -> float32 [B, 64]."""
        return self._outputs(images)[0]

    def classify(self, images):
        """Class probabilities: float [B, H, W, C] in [-1, 1] -> float32 [B, classes]."""
        return tf.nn.softmax(self._outputs(images)[1])

    def classes(self, images, batch_size=250):
        """The likeliest class of each image: float [N, H, W, C] in [-1, 1] -> int64 [N]."""
        return self._probabilities(images, batch_size).argmax(axis=-1)

    def domains(self, images, batch_size=250):
        """The likeliest domain of each image: float [N, H, W, C] in [-1, 1] -> int64 [N].

        A domain's probability is the sum over its classes.
        """
        probabilities = self._probabilities(images, batch_size)
        places = np.array([domain for domain, _ in self.class_table])
        sums = np.stack(
            [probabilities[:, places == i].sum(axis=1) for i in range(len(self.domain_names))], axis=1
        )
        return sums.argmax(axis=-1)

    def accuracy(self, images, labels, batch_size=250):
        """Share of images whose likeliest class is their label, a float in [0, 1].

        Check it on test images before you trust a distance: the features of a classifier that confuses
        the classes measure little.

        Args:
          images: float [N, H, W, C] in [-1, 1].
          labels: places in `class_table`, ints [N].
          batch_size: images per forward pass.
        """
        return float(np.mean(self.classes(images, batch_size) == np.asarray(labels)))

    def check(self, tests):
        """Measures how well the extractor tells domains and classes of unseen images apart; stores this in `about`.

        Args:
          tests: for each domain that it was trained on, in order, a `Domain` of test images, or
            None if there are none.

        Returns:
          {'domain_accuracy', 'class_accuracy'}: means over domains in [0, 1], so that a large
          test part does not hide a small one; None without test images, and the class accuracy
          also without labels.
        """
        of_domains, of_classes = [], []
        for place, test in enumerate(tests):
            if test is None:
                continue
            batch = images_lib.normalize(test.images)
            of_domains.append(np.mean(self.domains(batch) == place))
            if test.labels is not None and (place, None) not in self.class_table:
                of_classes.append(self.accuracy(batch, self._rows_of(place, test.labels)))
        noted = {
            "domain_accuracy": float(np.mean(of_domains)) if of_domains else None,
            "class_accuracy": float(np.mean(of_classes)) if of_classes else None,
        }
        self.about |= noted
        return noted

    def save(self, path):
        """Writes weights and description to one .npz file, atomically and without pickle."""
        weights = {f"weight_{i:03d}": w for i, w in enumerate(self.network.get_weights())}
        description = {
            "image_shape": self.network.input_shape[1:],
            "classes": self.class_table,
            "about": self.about,
        }
        # Each writer has its own staging file, because several machines may share the cache.
        array_files.write(path, _FORMAT_VERSION, description, weights, f"{path}.{uuid.uuid4().hex}.tmp")

    def _outputs(self, images):
        return self._apply(tf.convert_to_tensor(images, tf.float32))

    def _rows_of(self, domain, labels):
        """Places in `class_table` of a domain's labels; -1 for labels that it was not trained on."""
        rows = {label: row for row, (place, label) in enumerate(self.class_table) if place == domain}
        return np.array([rows.get(int(label), -1) for label in labels])

    def _probabilities(self, images, batch_size):
        return np.concatenate(
            [self.classify(images[i : i + batch_size]) for i in range(0, len(images), batch_size)]
        )


def train(domains, seed=0, epochs=EPOCHS, cache=None):
    """Trains an extractor on real training images of one domain or of several.

    Each pair of domain and label is a class. A domain without labels is one class, and its images are also
    reconstructed from their features, so that these have to tell more than the domain. The optimizer is Adam,
    in batches of 64, with a learning rate that falls to 0. `seed` determines the order of the images and the
    initial weights.

    Args:
      domains: list of `Domain`; all their images are used, so cap them.
      seed: int.
      epochs: passes over the images.
      cache: folder where the result is stored and looked up, under a hash of these arguments; None for no
        cache.

    Returns:
      an `Extractor`.

    Raises:
      ValueError: images or labels do not fit this description.
    """
    for domain in domains:
        _check(domain)
    keras_config.check()
    path = None
    if cache is not None:
        key = extractor_cache.content_hash(domains, seed, epochs, _FORMAT_VERSION)
        path = os.path.join(cache, f"extractor-{key[:24]}.npz")
        if (kept := user_cache.read(path, load, "the extractor")) is not None:
            return kept
    classes = _class_table(domains)
    unlabelled = [domain.labels is None for domain in domains]
    network, decoder = extractor_network.build(
        domains[0].images.shape[1:], len(classes), seed, any(unlabelled)
    )
    extractor_network.fit(network, decoder, domains, classes, seed, epochs)
    kind = (
        "autoencoder"
        if all(unlabelled)
        else "classifier and autoencoder"
        if any(unlabelled)
        else "classifier"
    )
    extractor = Extractor(
        network,
        classes,
        {
            "kind": kind,
            "domains": [domain.name for domain in domains],
            "trained_on": {domain.name: len(domain.images) for domain in domains},
            "seed": seed,
            "epochs": epochs,
        },
    )
    if path is not None:
        user_cache.keep(path, extractor.save, "the extractor")
    return extractor


def load(path):
    """Loads what `Extractor.save` wrote.

    Raises:
      jsonfiles.Damaged: the file is no extractor, or is damaged.
      ValueError: the file has another format version, or its weights were changed.
    """
    try:
        extractor, sha256 = array_files.read(path, _FORMAT_VERSION, _described)
    except jsonfiles.Damaged as error:
        raise jsonfiles.Damaged(
            f"{path} is no extractor of this package ({error.__cause__}); remove it, or name another."
        ) from error
    if extractor.sha256 != sha256:
        raise ValueError(f"{path} has changed since it was written; remove it, so that it is made again.")
    return extractor


def _described(description, arrays):
    """Returns (the extractor in a file, the sha256 that was written with it)."""
    shape, about = description["image_shape"], description["about"]
    if len(shape) != 3 or not all(type(n) is int and 0 < n <= _MOST_SIDE for n in shape):
        raise ValueError(f"image_shape is {shape!r}; it must be three numbers from 1 to {_MOST_SIDE}")
    if not isinstance(about, dict):
        raise TypeError(f"about is {about!r}")
    classes = tuple(tuple(row) for row in description["classes"])
    network, _ = extractor_network.build(tuple(shape), len(classes), 0, False)
    network.set_weights([arrays[name] for name in sorted(arrays) if name.startswith("weight_")])
    return Extractor(network, classes, about), about.get("sha256")


def _class_table(domains):
    return [
        (place, label)
        for place, domain in enumerate(domains)
        for label in ([None] if domain.labels is None else np.unique(domain.labels).tolist())
    ]


def _check(domain):
    images = np.asarray(domain.images)
    if images.dtype != np.uint8 or images.ndim != 4 or not len(images):
        raise ValueError(
            f"images of {domain.name} are {images.dtype} of shape {images.shape}; an extractor is trained"
            " on uint8 [N, H, W, C] with N of at least 1."
        )
    if domain.labels is None:
        return
    labels = np.asarray(domain.labels)
    if labels.shape != (len(images),) or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            f"labels of {domain.name} are {labels.dtype} of shape {labels.shape}; there must be one integer"
            f" for each of the {len(images)} images."
        )


def _weights_hash(network):
    digest = hashlib.sha256()
    for weight in network.get_weights():
        digest.update(np.ascontiguousarray(weight))
    return digest.hexdigest()
