"""The evaluator: one row of scores after a task, by one of two protocols.

The learner never sees old data; whether the evaluator may is the protocol. Each score is measured
or is absent with its reason; no score of an earlier row is needed for a later one.
"""

import contextlib
import functools
import glob
import os
import time

import numpy as np
import tensorflow as tf

from ltgans_tf.data import images
from ltgans_tf.evaluation import (
    comparison,
    distances,
    features,
    holdings,
    likelihood,
    references,
    representations,
    restoring,
    scores,
)
from ltgans_tf.files import provenance

PROTOCOLS = {
    "research": "The evaluator kept the test parts of all tasks, and one extractor that was made of real"
    " training images alone; the learner saw neither.",
    "production": "Of past tasks the evaluator kept a mean and a covariance of features, counts and the NLOG"
    " when they were new, and no image; the extractor was given or made of the first task alone.",
}
PARTS = ("likelihood", "distances", "representation", "smoothness", "iwae", "audit")
_ON_FEATURES = frozenset({"distances", "smoothness", "audit"})
_PAIRS = 32  # of codes, whose interpolations are looked at


class Evaluator:
    """Measures what a model has kept.

    ```python
    evaluator = Evaluator(samples=2000)
    row = evaluator.evaluate(model, stream)
    row["scores"]["digits"]["nlog"], row["union"]["fcd"]
    ```

    Args:
      protocol: 'research' or 'production', see PROTOCOLS.
      samples: generated images for the distances.
      test_images: at most so many test images of each task.
      iwae_k: importance samples of the IWAE bound.
      iwae_images: test images of each task for it; 0 leaves it out.
      kernel_subsets: subsets of the kernel distance.
      max_seconds: no part is begun once an evaluation has taken so long; what is left is absent
        with this reason. None for no limit. The extractor is not counted: see `prepare`.
      extractor: a `features.Extractor` that was given, or None for one that is trained: on all
        tasks for 'research', on the first for 'production'.
      inception: an `inception.Inception` for FID and KID beside the others, or None.
      extractor_images: training images of each task that an extractor is trained on, at most.
      extractor_seeds: of `scores.EXTRACTOR_SEEDS`: distances of all tasks together are also measured on the features
        of extractors of these seeds, so that it is seen how much hangs on the one of seed 0.
      parts: which of PARTS to measure.
      seed: of the generated images and of all draws; the extractor's is always 0.
      cache: folder of trained extractors, see `features.train`; None for none.
      about: dict that a row carries: preset, recipe.
      progress: called with a line of text before each part, or None.
    """

    def __init__(
        self,
        protocol="research",
        samples=5000,
        test_images=2000,
        iwae_k=64,
        iwae_images=500,
        kernel_subsets=100,
        max_seconds=None,
        extractor=None,
        inception=None,
        extractor_images=features.MOST_IMAGES,
        parts=PARTS,
        seed=0,
        cache=None,
        about=None,
        progress=None,
        extractor_seeds=(),
    ):
        _check_choice("extractor_seeds", extractor_seeds, scores.EXTRACTOR_SEEDS)
        self.extractor_seeds, self._of_seeds = tuple(extractor_seeds), {}
        _check_choice("protocol", [protocol], PROTOCOLS)
        _check_choice("parts", parts, PARTS)
        self.protocol, self.parts, self.seed = protocol, tuple(parts), seed
        self.settings = {
            "samples": samples,
            "test_images": test_images,
            "iwae_k": iwae_k,
            "iwae_images": iwae_images,
            "kernel_subsets": kernel_subsets,
            "extractor_images": extractor_images,
            "max_seconds": max_seconds,
            "seed": seed,
        }
        for name, least in zip(self.settings, (1, 1, 1, 0, 1, 1)):
            if self.settings[name] < least:
                raise ValueError(f"{name} is {self.settings[name]}; it must be at least {least}.")
        self.about, self.cache = dict(about or {}), cache
        self.progress = progress or (lambda text: None)
        self.inception = inception
        self._given, self._prepared = extractor, None

    def prepare(self, stream, workdir=None):
        """Fixes the extractor before the first task is learnt; later calls find it fixed.

        With a `workdir` it is kept in eval/extractor.npz, and one that is there is taken. Where that is gone
        or damaged and rows were measured on it, it is made again on the images that they name.

        Returns:
          a `features.Extractor`; None where no part needs one.

        Raises:
          ValueError: training images that cannot be read.
          distances.Absent: rows were measured on an extractor that cannot be made again.
        """
        if _ON_FEATURES.isdisjoint(self.parts):
            return None
        path = None if workdir is None else os.path.join(workdir, "eval", "extractor.npz")
        known = None
        if path is not None:
            if os.path.isfile(path):
                with contextlib.suppress(features.Damaged):
                    return features.load(path)
            known = restoring.known_extractor(workdir)
        if known:
            at_hand = (self._prepared, self._given)
            self._prepared = restoring.extractor(path, known, at_hand, lambda of: self._retrain(stream, of))
        elif self._prepared is None:
            self._prepared = self._given or self._train_extractor(stream)
        if path is not None:
            for remains in glob.glob(f"{glob.escape(path)}.*.tmp"):  # of a run that was killed while it wrote
                os.remove(remains)
            self._prepared.save(path)
        for seed in self.extractor_seeds:
            self._of_seed(stream, workdir, seed)
        return self._prepared

    def _of_seed(self, stream, workdir, seed):
        """The extractor of another seed, from the workdir or else trained; a ValueError where its images are gone."""
        path = None if workdir is None else os.path.join(workdir, "eval", f"extractor_seed{seed}.npz")
        if path is not None and os.path.isfile(path):
            self._of_seeds[seed] = features.load(path)
        elif seed not in self._of_seeds:
            self._of_seeds[seed] = self._train_extractor(stream, seed=seed)
        found = self._of_seeds[seed]
        found.frechet, found.kernel = f"fcd_seed{seed}", f"kcd_seed{seed}"
        if path is not None and not os.path.isfile(path):
            found.save(path)
        return found

    def _retrain(self, stream, known):
        """One on the images that a row names; a KeyError where the stream has no such task."""
        by_name = {task.name: task for task in stream.tasks}
        most = known["trained_on"]
        return self._train_extractor(stream, {by_name[name]: most[name] for name in known["domains"]})

    def _train_extractor(self, stream, most=None, seed=0):
        """Trains on at most {task: images}; None for the tasks of the protocol."""
        begin = time.monotonic()
        if most is None:
            tasks = stream.tasks if self.protocol == "research" else stream.tasks[:1]
            most = dict.fromkeys(tasks, self.settings["extractor_images"])
        tasks = list(most)
        domains = [features.Domain(t.name, t.train_images(n), t.train_labels(n)) for t, n in most.items()]
        self.progress(
            f"training the extractor of the distances on {sum(len(d.images) for d in domains)} images"
        )
        # Its seed is not the run's: runs of several seeds are compared under one extractor.
        extractor = features.train(domains, seed, cache=self.cache)
        checked = extractor.check([_test_domain(task, self.settings["test_images"]) for task in tasks])
        for task in stream.tasks:
            task.release()
        told = [
            f"{name.replace('_', ' ')} {value:.3f}" for name, value in checked.items() if value is not None
        ]
        seconds = time.monotonic() - begin
        self.progress(
            f"extractor, {seconds:.0f} s: {', '.join(told) or 'not checked, for want of test images'}"
        )
        return extractor

    def evaluate(self, model, stream, workdir=None):
        """Measures the model as it is: the row after the task that it learnt last.

        Args:
          model: a `LifelongModel`.
          stream: its `TaskStream`.
          workdir: folder of the run, where the extractor and the references of past tasks are and
            the reference of the last task is kept; None for a model without.

        Returns:
          the row, a JSON-ready dict: 'after_task', 'task', 'step', 'protocol', 'about',
          'tuning' (whether the test images are a held-out tenth of the training part, see `TaskStream`),
          'extractor', 'settings', 'data', 'notes' (sentences), 'scores' ({task: {score: number}}), 'absent' ({task:
          {score or part: reason}}), 'union' ({score: number}), 'seconds' ({part: seconds}).
          `scores.SCORES` says what each number is.

        Raises:
          ValueError: see `prepare`.
        """
        extractor, lost = None, ""
        try:
            extractor = self.prepare(stream, workdir)
        except distances.Absent as absent:
            lost = str(absent)
        learnt = max(int(model.task_index.numpy()), 1)
        held = [self._hold(task, workdir, learnt, extractor) for task in stream.tasks[:learnt]]
        row = Row([holding.name for holding in held], self.settings["max_seconds"], self.progress)
        extractors = [extractor, *([self.inception] if self.inception else [])]
        of_seeds = {} if lost else self._read_of_seeds(stream, workdir, row)
        compared = comparison.Comparison(model, held, extractors, self.settings, of_seeds.values())
        graphs = {}  # of the Student as it is now
        measures = {
            "likelihood": self._likelihood,
            "representation": self._representation,
            "smoothness": functools.partial(self._smoothness, extractor=extractor),
            "iwae": self._iwae,
        }
        student = getattr(model, "student", None)
        for part in self.parts:
            if lost and part in _ON_FEATURES:
                for name in [*row.scores, *([None] if part == "distances" else [])]:
                    row.measure(part, name, functools.partial(_raise_absent, lost))
                continue
            if part == "distances":
                compared.measure(row)
                continue
            for place, holding in enumerate(held):
                if part == "audit":
                    row.measure(part, holding.name, lambda: compared.audit(place))
                else:
                    row.measure(part, holding.name, lambda: measures[part](student, holding, graphs))
        row.union.update(getattr(model, "own_scores", dict)())
        if workdir is not None and (extractor is not None or lost):
            self._keep_references(workdir, held, row, lambda place: {} if lost else compared.moments(place))
        return {
            "format_version": scores.FORMAT_VERSION,
            "after_task": learnt - 1,
            "task": held[-1].name,
            "step": int(model.global_step.numpy()),
            "protocol": self.protocol,
            "protocol_text": PROTOCOLS[self.protocol],
            "tuning": stream.tuning,
            "about": {
                **self.about,
                "method": model.get_settings().get("method"),
                "seed": model.seed,
                "commit": provenance.commit(),
                "weights": sum(int(np.prod(weight.shape)) for weight in getattr(model, "weights", ())),
                "ltgans_tf": provenance.VERSION,
            },
            "extractor": {**extractor.about, **compared.accuracy} if extractor else None,
            **({"inception": self.inception.about} if self.inception else {}),
            **{f"extractor_seed{seed}": other.about for seed, other in of_seeds.items()},
            "settings": {**self.settings, "parts": list(self.parts)},
            "data": {holding.name: holding.about() for holding in held},
            "notes": holdings.notes(held, getattr(model, "data_read", {})),
            "scores": row.scores,
            "absent": row.absent,
            "union": row.union,
            "union_absent": row.union_absent,
            "seconds": {part: round(seconds, 2) for part, seconds in row.seconds.items()},
        }

    def _read_of_seeds(self, stream, workdir, row):
        """{seed: extractor}; those that cannot be had are absent from the row with the reason."""
        found = {}
        for seed in self.extractor_seeds if "distances" in self.parts else ():
            try:
                found[seed] = self._of_seed(stream, workdir, seed)
            except ValueError as error:
                names = [f"fcd_seed{seed}", f"kcd_seed{seed}"]
                row.measure("distances", None, functools.partial(_raise_absent, str(error)), names)
        return found

    def _hold(self, task, workdir, learnt, extractor):
        past = task.index < learnt - 1
        may_read = not past or self.protocol == "research"
        kept, lost = (None, "") if workdir is None else restoring.load_reference(workdir, task, learnt)
        training = comparison.training_images(
            self.settings["samples"], learnt, "audit" in self.parts, extractor
        )
        return holdings.Holding(task, self.settings["test_images"], training, may_read, kept, past, lost)

    def _likelihood(self, student, holding, graphs):
        test = images.normalize(holding.test())
        return likelihood.nlog(_checked(student), test, seed=self.seed, graphs=graphs)

    def _representation(self, student, holding, graphs):
        codes = likelihood.codes(_checked(student), images.normalize(holding.test()), graphs=graphs)
        labels, factors, found = holding.test_labels(), holding.test_factors(), {}
        if labels is None and not factors:
            raise distances.Absent("Its images have neither labels nor known factors.")
        with _absent_where_undefined():
            if factors:
                found["mig"] = representations.mutual_information_gap(codes, factors)["mig"]
            if labels is not None:
                found |= representations.scores(codes, labels, self.seed)
        return found

    def _smoothness(self, student, holding, graphs, extractor):
        test = images.normalize(holding.test(2 * _PAIRS))
        codes = likelihood.codes(_checked(student), test, graphs=graphs)
        half = len(codes) // 2
        if not half:
            raise distances.Absent("There is one test image; an interpolation needs two.")
        with _absent_where_undefined():
            rough = representations.interpolation_smoothness(
                lambda rows: student.decode(tf.convert_to_tensor(rows, tf.float32)),
                extractor.features,
                codes[:half],
                codes[half : 2 * half],
            )
        return {"smoothness": rough}

    def _iwae(self, student, holding, graphs):
        if not self.settings["iwae_images"]:
            raise distances.Absent("It was not asked for: iwae_images is 0.")
        test = images.normalize(holding.test(self.settings["iwae_images"]))
        student, k = _checked(student), self.settings["iwae_k"]
        return likelihood.iwae(student, test, k, seed=self.seed, graphs=graphs)

    def _keep_references(self, workdir, held, row, moments):
        for place, holding in enumerate(held[:-1]):
            if holding.lost and holding.can_read():
                restoring.restore_reference(workdir, holding, functools.partial(moments, place))
        holding = held[-1]
        if not holding.can_read():
            return  # what was kept when it could be read is all that is left
        found = row.scores[holding.name]
        numbers = {name: found[name] for name in references.NUMBERS if name in found}
        kept = moments(len(held) - 1)
        reference = references.Reference(holding.name, kept, {**numbers, **holding.about()})
        references.save(workdir, holding.task.index, reference)


@contextlib.contextmanager
def _absent_where_undefined():
    """For scores that some data do not have: a task of one class, factors that never vary."""
    try:
        yield
    except ValueError as error:
        raise distances.Absent(str(error)) from error


def _test_domain(task, limit):
    """The test images that an extractor is checked on; None where there are none."""
    try:
        return features.Domain(task.name, task.test_images(limit), task.test_labels(limit))
    except ValueError:  # a folder of few images has none; its scores will be absent with the reason
        return None


def _raise_absent(reason):
    raise distances.Absent(reason)


def _checked(student):
    if student is None:
        raise distances.Absent("The model has no Student.")
    return student


def _check_choice(name, values, choices):
    for value in values:
        if value not in choices:
            raise ValueError(f"{name} is {value!r}; choose of {', '.join(map(str, choices))}.")


class Row:
    """Scores and reasons as they come in, and the time that is left.

    Args:
      names: of the tasks.
      max_seconds: time for the whole row, or None.
      progress: called with a line of text.

    Attributes:
      scores: {task: {score: number}}.
      absent: {task: {score or part: reason}}.
      union, union_absent: the same of all tasks together.
      seconds: {part: seconds}.
    """

    def __init__(self, names, max_seconds, progress):
        self.scores = {name: {} for name in names}
        self.absent = {}
        self.union, self.union_absent = {}, {}
        self.seconds = {}
        self._names, self._limit, self._progress = names, max_seconds, progress
        self._begin = time.monotonic()

    def measure(self, part, name, function, keys=None):
        """Adds the scores that `function` returns to those of task `name`, or the reason why not.

        Args:
          part: what the time is booked on.
          name: of the task, or None for all tasks together.
          function: without arguments, returns {score: number} or raises `distances.Absent`.
          keys: scores that are absent where it raises; None for the part as a whole.

        Returns:
          whether there are scores.
        """
        begin = time.monotonic()
        found, reason = None, None
        if self._limit is not None and begin - self._begin > self._limit:
            reason = f"The time for the evaluation, {self._limit:g} s, was over."
        else:
            place = f" {name} ({self._names.index(name) + 1}/{len(self._names)})" if name else ""
            self._progress(f"evaluating{place}: {', '.join(keys or [part])}")
            try:
                found = function()
            except distances.Absent as absent:
                reason = str(absent)
            self.seconds[part] = self.seconds.get(part, 0.0) + time.monotonic() - begin
        if found is None:
            reasons = self.union_absent if name is None else self.absent.setdefault(name, {})
            reasons.update(dict.fromkeys(keys or [part], reason))
            return False
        (self.union if name is None else self.scores[name]).update(found)
        return True
