"""Compares generated with real images: one set of samples with each task and with all tasks together.

The comparison uses what is available of a task: its test and training images, its test images alone, or
the moments in its reference.
"""

import functools

import numpy as np

from ltgans_tf.data import images
from ltgans_tf.evaluation import distances, memorisation, metrics, references, scores

_AUDITED = 1000  # generated images, and held-out ones, of a domain in its audit
_TRAINING = 12_000  # training images that the audit compares them with, at most
_BATCH = 250
_CREDENTIALS = scores.SCORES["share"].baseline.name
_RECONSTRUCTED = 500  # test images of a domain that are reconstructed to check its share
_CERTAIN = 0.8  # share of these reconstructions that the classifier must assign to the domain


class Comparison:
    """Compares what a model generates with what the evaluator holds.

    Args:
      model: a `LifelongModel`.
      tasks: list of `task_images.TaskImages`, what may be read of each task learnt.
      extractors: the `features.Extractor` for all distances and, if one was given, an `inception.Inception` for
        only the Frechet and the kernel distance.
      settings: `evaluator_settings.EvaluatorSettings`.
      of_other_seeds: further `features.Extractor`s, for these two distances of all tasks together.
      nearest: the dict `kept` for `memorisation.memorisation`; None to keep nothing between calls.
    """

    def __init__(self, model, tasks, extractors, settings, of_other_seeds=(), nearest=None):
        self._model, self._tasks = model, tasks
        self._extractor, *self._others = extractors
        self._of_other_seeds = of_other_seeds
        self._settings, self._nearest = settings, nearest
        self._kept, self._reconstructed = {}, {}

    def distances(self, clock):
        """Measures distances, shares and the mix with a `measuring.Clock`.

        Returns:
          (accuracy, list of `measuring.Measured`). accuracy is {'domain_accuracy': share of test images
          assigned to their own domain, mean over the domains that can be read}, or {} if none can.
        """
        measure = functools.partial(clock.measure, "distances")
        accuracy = measure(None, self._domain_accuracy, ["domain_accuracy"]).scores
        found = [
            measure(task.name, functools.partial(self._share, place), ["share"])
            for place, task in enumerate(self._tasks)
        ]
        found.append(measure(None, self._mix, ["mix_entropy", "mix_gap"]))
        for place, task in enumerate(self._tasks):
            measure_domain = functools.partial(measure, task.name)
            found += self._compare(measure_domain, functools.partial(self._of_domain, place), self._others)
            drawn = functools.cache(functools.partial(self._drawn, place))
            found += self._compare(measure_domain, drawn, suffix=distances.DRAWN)
        others = (*self._others, *self._of_other_seeds)
        return accuracy, found + self._compare(functools.partial(measure, None), self._of_all, others)

    def audit(self, task):
        """Audits the domain of a task for memorisation; see `memorisation.memorisation`."""
        place = self._tasks.index(task)
        made = self._made[self._assigned == place][:_AUDITED]
        if not len(made):
            raise distances.Absent("No generated image is in this domain.")
        held_out, training = task.test(_AUDITED), task.train(_TRAINING)
        rows = [part.reshape(len(part), -1) for part in (made, held_out, training)]
        try:
            return {**memorisation.memorisation(*rows, kept=self._nearest), "audit_images": len(made)}
        except ValueError as error:  # too few held-out images, or copies of training images among them
            raise distances.Absent(str(error)) from error

    def moments(self, task):
        """Returns {sha256 of an extractor: (test, train) moments} of a task."""
        place, kept = self._tasks.index(task), {}
        for extractor in (self._extractor, *self._others):
            try:
                real = self._real(place, extractor)
            except distances.Absent:  # nothing to keep of images that cannot be read
                continue
            kept[extractor.sha256] = (real.test_moments, real.train_moments)
        return kept

    def _compare(self, measure, pair_of, others=(), suffix=""):
        """Measures each distance separately, since each may be absent for its own reason.

        Args:
          measure: `measuring.Clock.measure`, for one task or for all together.
          pair_of: function of an extractor that returns (features of generated images, `distances.Real`).
          others: extractors beside the classifier, for the Frechet and the kernel distance.
          suffix: distances.DRAWN for images drawn with a domain's code, which have only these two.

        Returns:
          list of `measuring.Measured`.
        """
        subsets = self._settings.kernel_subsets
        return [
            measure(lambda f=function, e=extractor: f(*pair_of(e)), names)
            for extractor in (self._extractor, *others)
            for names, function in distances.of_features(extractor, subsets, suffix)
        ]

    def _drawn(self, place, extractor):
        """Returns features of images drawn with a domain's code, and the `distances.Real` to compare them with.

        Images already drawn for the union come first. The number of images is the same in every row, so that
        rows can be compared.
        """
        if not self._model.latent_law.domain_dim:
            raise distances.Absent(
                "The latents of this model have no domain codes, so that no domain can be drawn by itself."
            )
        count, real = distances.PER_DIMENSION * extractor.dimensions, self._real(place, extractor)
        try:
            real = real.beside(_features(extractor, self._tasks[place].train(count)))
        except distances.Absent:  # the floor then uses the moments that were kept, if there are any
            pass
        made = self._features(extractor)[self._codes == place][:count]
        if len(made) < count:
            seed = (self._settings.seed + 1) * 1_000_000 - 1 - place  # below the seeds of the union
            more = self._model.sample(count - len(made), seed, place + 1)
            made = np.concatenate([made, _features(extractor, images.to_uint8(more).numpy())])
        return made, real

    def _of_domain(self, place, extractor):
        made = self._features(extractor)[self._assigned == place]
        needed = distances.PER_DIMENSION * self._extractor.dimensions
        if len(made) < needed:
            raise distances.Absent(
                f"{len(made)} of {len(self._made)} generated images are in this domain; {needed} are needed,"
                f" {distances.PER_DIMENSION} for each of the {self._extractor.dimensions} features."
            )
        return made, self._real(place, extractor)

    def _of_all(self, extractor):
        reals = [self._real(place, extractor) for place in range(len(self._tasks))]
        return self._features(extractor), distances.union(reals)

    def _share(self, place):
        """Returns the share of a domain, if the classifier can be trusted on the model's images of it.

        A classifier of sharp images says little about blurred ones. If the Student decodes the model's images,
        the classifier therefore has to recognise the domain in the Student's reconstructions of it.
        """
        share = float(self._shares[0][place])
        if not self._model.images_are_decoded:
            return {"share": share}
        name, called = self._tasks[place].name, self._share_recognised(place)
        if called < _CERTAIN:
            raise distances.Absent(
                f"The classifier recognises {called:.0%} of the model's reconstructions of test images of {name}; below"
                f" {_CERTAIN:.0%} the share of {name} cannot be trusted."
            )
        return {"share": share, _CREDENTIALS: called}

    def _share_recognised(self, place):
        """Returns the share of the Student's reconstructions of a domain's test images that are assigned to it."""
        student = self._model.student
        if place not in self._reconstructed:
            task = self._tasks[place]
            try:
                test = images.normalize(task.test(_RECONSTRUCTED))
            except distances.Absent:  # the reference has the share from when the task was new
                if task.reference is None or _CREDENTIALS not in task.reference.numbers:
                    raise
                return task.reference.numbers[_CREDENTIALS]
            batches = (test[i : i + _BATCH] for i in range(0, len(test), _BATCH))
            made = [
                images.to_uint8(student.decode(student.encode(batch).mean())).numpy() for batch in batches
            ]
            made = np.concatenate(made)
            assigned = self._assign(made, _features(self._extractor, made))
            self._reconstructed[place] = float(np.mean(assigned == place))
        return self._reconstructed[place]

    def _mix(self):
        """Returns how even the shares are, if every share can be trusted."""
        for place in range(len(self._tasks)):
            self._share(place)
        return self._shares[1]

    @functools.cached_property
    def _made(self):
        """Generated images as they would be stored, uint8 [N, H, W, C]; drawn in batches."""
        first = (self._settings.seed + 1) * 1_000_000
        batches = [
            images.to_uint8(self._model.sample(count, first + start)).numpy()
            for start, count in self._batches
        ]
        return np.concatenate(batches)

    @property
    def _batches(self):
        """(first row, number of rows) of each batch of generated images."""
        count = self._settings.samples
        return [(start, min(_BATCH, count - start)) for start in range(0, count, _BATCH)]

    @functools.cached_property
    def _codes(self):
        """Domain whose code each generated image was drawn with, int [N]; only if there are domain codes."""
        law, learnt = self._model.latent_law, [task.name for task in self._tasks]
        return np.concatenate([law.domains_of_rows(count, None, learnt) for _, count in self._batches])

    def _features(self, extractor):
        """Features of the generated images, float32 [N, D]."""
        if extractor.sha256 not in self._kept:
            self._kept[extractor.sha256] = _features(extractor, self._made)
        return self._kept[extractor.sha256]

    def _real(self, place, extractor):
        """`distances.Real` of the task at `place`."""
        if (place, extractor.sha256) not in self._kept:
            self._kept[place, extractor.sha256] = self._read(place, extractor)
        return self._kept[place, extractor.sha256]

    def _read(self, place, extractor):
        task = self._tasks[place]
        try:
            test = task.test()
        except distances.Absent:
            if task.reference is None or extractor.sha256 not in task.reference.moments:
                raise
            return distances.Real(None, None, *task.reference.moments[extractor.sha256])
        if len(test) < 2:
            raise distances.Absent(f"{len(test)} test image is too few; at least 2 are needed.")
        try:
            train = task.train(training_images(len(self._made), len(self._tasks), audit=False))
        except distances.Absent:
            train = None
        return distances.Real.of(
            _features(extractor, test), None if train is None else _features(extractor, train)
        )

    @functools.cached_property
    def _assigned(self):
        """Domain of each generated image, int [N]: an index of the tasks, or their number for no domain."""
        return self._assign(self._made, self._features(self._extractor))

    def _assign(self, shown, found):
        known, names = self._extractor.domain_names, [task.name for task in self._tasks]
        if set(names) <= set(known):
            places = np.array([names.index(name) if name in names else len(names) for name in known])
            batches = range(0, len(shown), _BATCH)
            domains = [self._extractor.domains(images.normalize(shown[i : i + _BATCH])) for i in batches]
            return places[np.concatenate(domains)]
        members = [self._real(place, self._extractor).test_moments for place in range(len(names))]
        return references.likeliest(found, members)

    @functools.cached_property
    def _shares(self):
        return distances.mix(self._assigned, len(self._tasks))

    def _domain_accuracy(self):
        """Returns the share of test images assigned to their own domain, mean over the domains that can be read."""
        right = []
        for place, task in enumerate(self._tasks):
            try:
                shown = task.test()
            except distances.Absent:
                continue
            right.append(np.mean(self._assign(shown, self._real(place, self._extractor).test) == place))
        return {"domain_accuracy": float(np.mean(right))} if right else {}


def training_images(samples, domains, audit, extractor=None):
    """Returns how many training images of a domain are read, at most.

    The distances need as many as there are generated images, over all domains together; with an `extractor`
    also as many as are drawn of each domain; the audit needs _TRAINING.
    """
    drawn = distances.PER_DIMENSION * extractor.dimensions if extractor else 0
    return max(2, samples // domains, drawn, _TRAINING if audit else 0)


def _features(extractor, shown):
    """Computes the features of uint8 images, float32 [N, D], batch by batch."""

    def feature_fn(batch):
        return extractor.features(images.normalize(batch))

    return metrics.features_of(feature_fn, shown, _BATCH)
