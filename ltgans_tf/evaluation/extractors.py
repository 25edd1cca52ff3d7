"""The extractors of an evaluator: given, kept in a workdir, made again, or trained."""

import contextlib
import glob
import hashlib
import os
import time

from ltgans_tf.evaluation import features, restoring
from ltgans_tf.files import jsonfiles


class Extractors:
    """Loads, trains and keeps the extractors of an evaluator, each once.

    Args:
      settings: `evaluator_settings.EvaluatorSettings`.
      given: a `features.Extractor` to use instead of training one, or None.
      cache: folder of trained extractors, or None.
      progress: called with a line of text.
    """

    def __init__(self, settings, given, cache, progress):
        self._settings, self._cache, self._progress = settings, cache, progress
        self._given, self._main, self._of_seeds = given, None, {}
        self._loaded = {}

    def prepare(self, stream, workdir):
        """Returns the extractor of all distances; if it is new, also makes those of other seeds. See `Evaluator.prepare`."""
        path = None if workdir is None else os.path.join(workdir, "eval", "extractor.npz")
        known = None
        if path is not None:
            if os.path.isfile(path):
                with contextlib.suppress(jsonfiles.Damaged):
                    return self._load(path)
            known = restoring.known_extractor(workdir)
        if known:
            at_hand = (self._main, self._given)
            self._main = restoring.extractor(path, known, at_hand, lambda of: self._retrain(stream, of))
        elif self._main is None:
            self._main = self._given or self._train(stream)
        if path is not None:
            for remains in glob.glob(f"{glob.escape(path)}.*.tmp"):  # left by a killed run
                os.remove(remains)
            self._main.save(path)
        for seed in self._settings.extractor_seeds:
            self.of_seed(stream, workdir, seed)
        return self._main

    def of_seed(self, stream, workdir, seed):
        """Loads or trains the extractor of another seed; raises a ValueError if its images are gone."""
        path = None if workdir is None else os.path.join(workdir, "eval", f"extractor_seed{seed}.npz")
        if path is not None and os.path.isfile(path):
            self._of_seeds[seed] = self._load(path)
        elif seed not in self._of_seeds:
            self._of_seeds[seed] = self._train(stream, seed=seed)
        found = self._of_seeds[seed]
        found.frechet, found.kernel = f"fcd_seed{seed}", f"kcd_seed{seed}"
        if path is not None and not os.path.isfile(path):
            found.save(path)
        return found

    def _load(self, path):
        """Loads the extractor of a file; returns the same object, with its graph, while the file is unchanged."""
        with open(path, "rb") as file:
            digest = hashlib.sha256(file.read()).digest()
        if self._loaded.get(path, (None,))[0] != digest:
            self._loaded[path] = digest, features.load(path)
        return self._loaded[path][1]

    def _retrain(self, stream, known):
        """Trains an extractor on the images that a row names; raises a KeyError if the stream lacks a task."""
        by_name = {task.name: task for task in stream.tasks}
        most = known["trained_on"]
        return self._train(stream, {by_name[name]: most[name] for name in known["domains"]})

    def _train(self, stream, most=None, seed=0):
        """Trains an extractor; `most` is {task: most images of it}, None for the tasks of the protocol."""
        begin = time.monotonic()
        if most is None:
            tasks = stream.tasks if self._settings.protocol == "research" else stream.tasks[:1]
            most = dict.fromkeys(tasks, self._settings.extractor_images)
        domains = [features.Domain(t.name, t.train_images(n), t.train_labels(n)) for t, n in most.items()]
        self._progress(
            f"training the extractor of the distances on {sum(len(d.images) for d in domains)} images"
        )
        # The seed is not that of the run, so that runs of several seeds are compared under one extractor.
        extractor = features.train(domains, seed, cache=self._cache)
        checked = extractor.check([_test_domain(task, self._settings.test_images) for task in most])
        for task in stream.tasks:
            task.release()
        told = [
            f"{name.replace('_', ' ')} {value:.3f}" for name, value in checked.items() if value is not None
        ]
        self._progress(
            f"extractor, {time.monotonic() - begin:.0f} s:"
            f" {', '.join(told) or 'not checked, because there are no test images'}"
        )
        return extractor


def _test_domain(task, limit):
    """Returns the test images to check an extractor on; None if there are none."""
    try:
        return features.Domain(task.name, task.test_images(limit), task.test_labels(limit))
    except ValueError:  # a folder of few images has none; its scores will be absent with the reason
        return None
