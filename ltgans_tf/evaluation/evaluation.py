"""The evaluator: one row of scores after a task, by one of two protocols.

The learner never sees old data; the protocol says whether the evaluator may. Each score is either measured
or absent with a reason. No row needs the scores of an earlier row.
"""

import dataclasses

import numpy as np

from ltgans_tf.evaluation import (
    comparison,
    distances,
    evaluator_settings,
    extractors,
    likelihood,
    measuring,
    restoring,
    row,
    scores,
    student_scores,
    task_images,
)
from ltgans_tf.files import provenance
from ltgans_tf.networks import student as student_lib


class Evaluator:
    """Measures what a model has kept.

    ```python
    evaluator = Evaluator(samples=2000)
    row = evaluator.evaluate(model, stream)
    row.scores["digits"]["nlog"], row.union["fcd"]
    ```

    Args:
      protocol: 'research' or 'production'; None for that of `settings`.
      settings: an `evaluator_settings.EvaluatorSettings`.
      extractor: a `features.Extractor` to use, or None to train one: on all tasks for 'research', on the
        first task for 'production'.
      inception: an `inception.Inception` for FID and KID besides the other distances, or None.
      cache: folder of trained extractors, see `features.train`; None for none.
      about: dict to store in each row: preset, recipe.
      progress: called with a line of text before each part, or None.
      **changes: fields of `settings` to replace.

    Raises:
      ValueError: see `evaluator_settings.EvaluatorSettings`.
    """

    def __init__(
        self,
        protocol=None,
        settings=evaluator_settings.EvaluatorSettings(),
        *,
        extractor=None,
        inception=None,
        cache=None,
        about=None,
        progress=None,
        **changes,
    ):
        changes |= {} if protocol is None else {"protocol": protocol}
        self.settings = dataclasses.replace(settings, **changes)
        self.about, self.inception = dict(about or {}), inception
        self.progress = progress or (lambda text: None)
        self._graphs, self._nearest = (None, {}), {}  # reused from row to row
        self._extractors = extractors.Extractors(self.settings, extractor, cache, self.progress)

    def prepare(self, stream, workdir=None):
        """Makes the extractor before the first task is learnt; later calls return the same one.

        With a `workdir` the extractor is stored in eval/extractor.npz, and loaded if that file exists. If the
        file is lost or damaged and rows were measured on it, it is trained again on the images that they name.

        Returns:
          a `features.Extractor`; None if no part needs one.

        Raises:
          ValueError: training images that cannot be read.
          distances.Absent: rows were measured on an extractor that cannot be made again.
        """
        if scores.ON_FEATURES.isdisjoint(self.settings.parts):
            return None
        return self._extractors.prepare(stream, workdir)

    def evaluate(self, model, stream, workdir=None):
        """Measures the model's present state; returns the row after the task that it learnt last.

        Args:
          model: a `LifelongModel`.
          stream: its `TaskStream`.
          workdir: folder of the run, which holds the extractor and the references of past tasks, and where
            the reference of the last task is stored; None for a model without a workdir.

        Returns:
          a `row.Row`.

        Raises:
          ValueError: see `prepare`.
        """
        extractor, lost = self._prepared(stream, workdir)
        of_seeds, measured = ({}, []) if lost else self._of_seeds(stream, workdir)
        learnt = max(int(model.task_index.numpy()), 1)
        held = [self._hold(task, workdir, learnt, extractor) for task in stream.tasks[:learnt]]
        names = [one.name for one in held]
        used = [extractor, *([self.inception] if self.inception else [])]
        others = of_seeds.values()
        generated = comparison.Comparison(model, held, used, self.settings, others, self._nearest)
        waiting, student = self._out_of_turn(names, len(stream.tasks)), getattr(model, "student", None)
        graphs = self._graphs_of(student)
        student = student_scores.StudentScores(student, self.settings, extractor, graphs, waiting)
        of_task = {
            "likelihood": student.likelihood,
            "representation": student.representation,
            "smoothness": student.smoothness,
            "iwae": student.iwae,
            "audit": generated.audit,
        }
        clock = measuring.Clock(names, self.settings.max_seconds, self.progress, waiting)
        accuracy = {}
        for part in self.settings.parts:
            if lost and part in scores.ON_FEATURES:
                every = [*names, None] if part == "distances" else names
                measured += [measuring.Measured(part, name, absent={part: lost}) for name in every]
            elif part == "distances":
                accuracy, found = generated.distances(clock)
                measured += found
            else:
                measured += [clock.measure(part, h.name, lambda h=h: of_task[part](h)) for h in held]
        if "likelihood" in self.settings.parts and getattr(model, "student", None):
            measured += [
                measuring.Measured("likelihood", name, absent=dict.fromkeys(likelihood.SAMPLED, reason))
                for name, reason in waiting.items()
            ]
        measured.append(measuring.Measured("", None, getattr(model, "own_scores", dict)()))
        found = measuring.collect(names, measured)
        if workdir is not None and (extractor is not None or lost):
            moments = (lambda one: {}) if lost else generated.moments
            restoring.keep_references(workdir, held, found["scores"], moments)
        return row.Row(
            after_task=learnt - 1,
            task=names[-1],
            step=int(model.global_step.numpy()),
            protocol=self.settings.protocol,
            protocol_text=evaluator_settings.PROTOCOLS[self.settings.protocol],
            tuning=stream.tuning,
            about=self._about(model),
            extractor={**extractor.about, **accuracy} if extractor else None,
            inception=self.inception.about if self.inception else None,
            of_seeds={seed: other.about for seed, other in of_seeds.items()},
            settings=self.settings.as_json(),
            data={one.name: one.about() for one in held},
            notes=task_images.notes(held, getattr(model, "data_read", {})),
            **found,
        )

    def _prepared(self, stream, workdir):
        """Returns (extractor or None, ''), or (None, reason) if the extractor of earlier rows is lost."""
        try:
            return self.prepare(stream, workdir), ""
        except distances.Absent as absent:
            return None, str(absent)

    def _of_seeds(self, stream, workdir):
        """Returns ({seed: extractor}, list of `measuring.Measured` with the reasons for missing extractors)."""
        found, absent = {}, []
        for seed in self.settings.extractor_seeds if "distances" in self.settings.parts else ():
            try:
                found[seed] = self._extractors.of_seed(stream, workdir, seed)
            except ValueError as error:
                reasons = dict.fromkeys((f"fcd_seed{seed}", f"kcd_seed{seed}"), str(error))
                absent.append(measuring.Measured("distances", None, absent=reasons))
        return found, absent

    def _graphs_of(self, student):
        """Returns the dict of a Student's graphs; a new one in each row if more than its weights may have changed."""
        if type(student) is not student_lib.Student:
            return {}
        if self._graphs[0] is not student:
            self._graphs = student, {}
        return self._graphs[1]

    def _out_of_turn(self, names, tasks):
        """Returns {name of a past task: why it is not measured in full}; the stream has `tasks` tasks."""
        learnt, settings = len(names), self.settings
        if (
            learnt == tasks or settings.protocol == "production"
        ):  # production has little of past tasks to measure
            return {}
        reason = f"Not this task's turn (past_tasks is {settings.past_tasks}); ltgans evaluate measures it."
        return {name: reason for i, name in enumerate(names) if not settings.in_full(i, learnt)}

    def _hold(self, task, workdir, learnt, extractor):
        past = task.index < learnt - 1
        may_read = not past or self.settings.protocol == "research"
        kept, lost = (None, "") if workdir is None else restoring.load_reference(workdir, task, learnt)
        training = comparison.training_images(
            self.settings.samples, learnt, "audit" in self.settings.parts, extractor
        )
        return task_images.TaskImages(task, self.settings.test_images, training, may_read, kept, past, lost)

    def _about(self, model):
        return {
            **self.about,
            "method": getattr(model, "method", None),
            "seed": model.seed,
            "commit": provenance.commit(),
            "weights": sum(int(np.prod(weight.shape)) for weight in getattr(model, "weights", ())),
            "ltgans_tf": provenance.VERSION,
        }
