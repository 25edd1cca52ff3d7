"""Makes the pictures of a run, and says why one cannot be made.

```python
pictures, left_out = figures_of_run(model, stream.tasks, workdir)  # {name: uint8 [h, w, 3]}, {name: why not}
save(f"{workdir}/figures", pictures)
```
"""

import functools
import glob
import os
import zipfile

import numpy as np
import tensorflow as tf

from ltgans_tf.data import images
from ltgans_tf.evaluation import row, scores
from ltgans_tf.figures import charts, sheets, training_curves
from ltgans_tf.files import metrics_log, near_names, ordering
from ltgans_tf.networks import code_paths

_COLUMNS = 12  # images in a line of fig2_domains
_STEPS = 10  # codes on a path of fig2_interpolation
_VALUES = np.linspace(-3.0, 3.0, 13)  # of a latent variable in fig3_traversal
_LINES = 24  # of fig3_traversal, divided among the domains
_TESTED = 256  # test images of a domain that are read
_DRAWN = 512  # images that are generated for fig2_domains
_NO_DOMAINS = "there is no extractor to tell them apart, so the latents are shown in their order."


def figures_of_run(model, tasks, workdir, domains_fn=None, seed=0, only=None, units=None):
    """Makes the pictures of a run; gives a reason for each that cannot be made.

    Needs only the present state of the model: for earlier tasks it reads the stored boundary samples, the rows
    of scores and metrics.jsonl.

    Args:
      model: a `LifelongModel` that has learnt one task or more; without a `student` the figures
        of codes are left out.
      tasks: the tasks of its `TaskStream`. Test images of learnt tasks are read if possible; a task that
        raises a ValueError instead of giving them is left out of the figures.
      workdir: folder of the run.
      domains_fn: function of images, float32 [N, H, W, C] in [-1, 1], to the index of each image's task, int [N],
        such as `features.Extractor.domains`; if None, the domains of generated images are not told apart.
      seed: chooses the test images and the latents that are shown.
      only: names of the figures to make; None for all.
      units: latent variables for fig3_traversal; None for those with the most KL.

    Returns:
      (pictures, left_out): {name: uint8 [h, w, 3]}, and {name: reason} with a name for each figure
      that is missing and for each part that is missing in one, such as "test images of digits".

    Raises:
      ValueError: a name or a latent variable that does not exist.
    """
    check_names(only or ())
    _check_units(model, units or ())
    material = _Material(model, tasks, workdir, domains_fn, seed, units)
    makers = {
        **{name: functools.partial(make, material) for name, make in _SHEET_MAKERS.items()},
        "training_curves": lambda: training_curves.training_curves(_records(workdir)),
        **_chart_makers(workdir, only),
    }
    pictures, left_out = {}, {}
    for name, make in makers.items():
        if only is None or name in only:
            try:
                pictures[name] = make()
            except ValueError as error:
                left_out[name] = str(error)
    return pictures, {**material.left_out, **left_out}


def check_names(names):
    """Raises a ValueError for a name that no figure has; the message suggests the nearest one."""
    for name in names:
        if name not in NAMES:
            near = near_names.nearest(name, NAMES, most=1)
            offer = f"did you mean {near}?" if near else f"there are {', '.join(NAMES[:7])} and others."
            raise ValueError(f"no figure is called {name!r}; {offer}")


def save(folder, pictures):
    """Writes pictures to <name>.png in a folder."""
    for name, picture in pictures.items():
        sheets.save_png(os.path.join(folder, f"{name}.png"), picture)


def _check_units(model, units):
    if getattr(model, "student", None) is None:
        return
    for unit in units:
        if not 0 <= unit < model.student.code_dim:
            raise ValueError(
                f"there is no latent variable {unit}; codes of this model have the variables 0 to"
                f" {model.student.code_dim - 1}."
            )


class _Material:
    """The data that several figures need; each part is made once, when it is first needed.

    Attributes:
      left_out: {part: reason}, the parts that could not be made so far.
    """

    def __init__(self, model, tasks, workdir, domains_fn, seed, units):
        self.model, self.workdir, self.domains_fn = model, workdir, domains_fn
        self.seed, self.units = seed, units
        self.tasks = tasks[: max(int(model.task_index.numpy()), 1)]
        self.left_out = {}

    @functools.cached_property
    def tests(self):
        """{task name: uint8 [n, H, W, C]}, in an order that follows from the seed."""
        tests = {}
        for task in self.tasks:
            try:
                shown = task.test_images(_TESTED)
            except (ValueError, OSError) as error:
                self.left_out[f"test images of {task.name}"] = str(error)
                continue
            tests[task.name] = shown[np.random.default_rng(self.seed).permutation(len(shown))]
            task.release()
        return tests

    def student(self):
        if getattr(self.model, "student", None) is None:
            raise ValueError("the model has no Student, and so no codes; train with --student.")
        return self.model.student

    def reachable(self):
        """Returns `tests`; raises a ValueError if there are none."""
        if not self.tests:
            raise ValueError("of no task that was learnt can test images be read.")
        return self.tests

    @functools.cached_property
    def posteriors(self):
        """{task name: (means, stddevs)}, each [n, D], of the test images."""
        posteriors = {}
        for name, shown in self.reachable().items():
            posterior = self.student().encode(images.normalize(shown))
            posteriors[name] = (posterior.mean().numpy(), posterior.stddev().numpy())
        return posteriors

    def decode(self, codes):
        """Decodes codes [N, D] to uint8 [N, H, W, C]."""
        return images.to_uint8(self.student().decode(tf.convert_to_tensor(codes, tf.float32))).numpy()

    def generated(self):
        """Returns {task name: images}, at most a line of each; {None: images} if domains are not told apart."""
        if self.model.latent_law.domain_dim:
            drawn = {t.name: self.model.sample(_COLUMNS, self.seed, t.index + 1) for t in self.tasks}
            return {name: images.to_uint8(batch).numpy() for name, batch in drawn.items()}
        if self.domains_fn is None:
            return {None: images.to_uint8(self.model.sample(_COLUMNS, self.seed)).numpy()}
        shown = images.to_uint8(self.model.sample(_DRAWN, self.seed)).numpy()
        domains = self.domains_of(shown)
        return {task.name: shown[domains == task.index][:_COLUMNS] for task in self.tasks}

    def domains_of(self, shown):
        """Returns the index of each image's task: uint8 [N, H, W, C] -> int [N]."""
        return np.asarray(self.domains_fn(images.normalize(shown)))

    @functools.cached_property
    def boundaries(self):
        """(samples, tasks, domains), lists with an item for each boundary: uint8 [N, H, W, C], the task's name,
        and the domain of each latent's code, int [N], or None without codes."""
        samples, tasks, domains = [], [], []
        for path in ordering.by_number(
            glob.glob(os.path.join(glob.escape(self.workdir), "boundary", "task_*.npz"))
        ):
            try:
                with np.load(path, allow_pickle=False) as stored:
                    samples.append(stored["images"])
                    tasks.append(str(stored["task"]))
                    domains.append(stored.get("domains"))
            except (KeyError, OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
                raise ValueError(f"{path} is damaged ({error}).") from error
        if not samples:
            raise ValueError(f"{self.workdir} has no samples of a boundary (boundary/task_00.npz).")
        return samples, tasks, domains


def _domains(material):
    """Fig. 2 A, B: real, reconstructed and generated images of each domain."""
    with_student = getattr(material.model, "student", None) is not None
    if not with_student:
        material.left_out["reconstructions in fig2_domains"] = "the model has no Student."
    generated, rows = material.generated(), {}
    for task in material.tasks:
        lines = {}
        if task.name in material.tests:
            lines["real"] = material.tests[task.name][:_COLUMNS]
            if with_student:
                lines["reconstructed"] = material.decode(material.posteriors[task.name][0][:_COLUMNS])
        if len(generated.get(task.name, ())):
            lines["generated"] = generated[task.name]
        elif None not in generated:
            reason = f"none of {_DRAWN} generated images was taken for one."
            material.left_out[f"generated images of {task.name}"] = reason
        if lines:
            rows[task.name] = lines
    if None in generated:
        material.left_out["domains of generated images"] = _NO_DOMAINS
        rows["all domains"] = {"generated": generated[None]}
    return sheets.domains_sheet(rows)


def _interpolation(material):
    """Fig. 2 C, D: interpolates between two images of each domain, and from the first domain to each other one."""
    tests, lines = material.reachable(), []
    first, *others = tests
    pairs = [(name, name) for name in tests] + [(first, other) for other in others]
    for a, b in pairs:
        # Within a domain from image 0 to image 1, between two domains from image 2 to image 2.
        i, j = (0, 1) if a == b else (2, 2)
        i, j = i % len(tests[a]), j % len(tests[b])
        ends = material.posteriors[a][0][i], material.posteriors[b][0][j]
        for kind in code_paths.KINDS:
            between = material.decode(code_paths.interpolate(*ends, _STEPS, kind))
            lines.append((a, b, kind, np.stack([tests[a][i], *between, tests[b][j]])))
    return sheets.interpolation_sheet(lines)


def _traversal(material):
    """Fig. 3: changes the latent variables with the most KL over all test images, one at a time."""
    tests = material.reachable()
    means, stddevs = (np.concatenate([p[i] for p in material.posteriors.values()]) for i in (0, 1))
    units = material.units
    if units is None:
        count = min(means.shape[1], max(3, min(8, _LINES // len(tests))))
        units, _ = code_paths.most_informative_units(means, stddevs, count)
    kls, sections = code_paths.unit_kl(means, stddevs), []
    for name, shown in tests.items():
        code = material.posteriors[name][0][0]
        start = np.concatenate([shown[:1], material.decode(code[np.newaxis])])
        lines = {
            f"variable {unit}\nKL {kls[unit]:.2f} nats": material.decode(
                code_paths.traverse(code, unit, _VALUES)
            )
            for unit in units
        }
        sections.append((f"from an image of {name}", start, lines))
    return sheets.traversal_sheet(sections, _VALUES)


def _forgetting(material):
    samples, tasks, coded = material.boundaries
    if all(domains is not None for domains in coded):
        return sheets.kept_sheet(samples, coded, tasks)
    if material.domains_fn is None:
        material.left_out["domains of generated images"] = _NO_DOMAINS
        return sheets.forgetting_sheet(samples, tasks)
    domains = [material.domains_of(shown) for shown in samples]
    return sheets.forgetting_sheet(samples, tasks, domains)


def _stream(material):
    """Makes the sheet of `boundaries.BoundarySamples` again, with its letters at full resolution."""
    samples, tasks, coded = material.boundaries
    labels = [f"after task {i + 1} ({task})" for i, task in enumerate(tasks)]
    return sheets.stream_sheet(*sheets.shown_alike(list(zip(samples, coded))), labels, zoom=2)


def _records(workdir):
    """The points of metrics.jsonl."""
    path = os.path.join(workdir, metrics_log.NAME)
    if not os.path.isfile(path):
        raise ValueError(f"{workdir} has no metrics.jsonl.")
    return metrics_log.read(path)


def _chart_makers(workdir, only):
    """Returns {name: maker} of the charts of main scores that some row has, and always of those in `only`."""
    asked = [name for name in only or () if name.startswith(("matrix_", "curves_"))]
    try:
        rows = row.read_rows(workdir)
        matrices = scores.score_matrix(rows)
    except ValueError as error:
        reason = error
        names = ("domain_mix", "score matrices", "forgetting curves", *asked)
        return {name: lambda: _refuse(reason) for name in names}
    names = [f"matrix_{score}" for score in scores.shown("matrix") if score in matrices]
    if len(rows[-1].tasks) > 1:  # with one task each curve would be a point
        names += [f"curves_{score}" for score in scores.shown("lost") if score in matrices]
    makers = {"domain_mix": lambda: charts.domain_mix(rows)}
    for name in dict.fromkeys([*names, *asked]):
        makers[name] = functools.partial(_chart, *name.split("_", 1), rows, matrices)
    return makers


def _refuse(error):
    raise error


def _chart(kind, name, rows, matrices):
    if kind == "matrix":
        return charts.heat_map(_matrix(matrices, name))
    return charts.forgetting_curves(_matrix(matrices, name), _beside(rows, name))


def _matrix(matrices, name):
    if name not in matrices:
        raise ValueError(f"no row of scores has {name}; those with one are {', '.join(matrices)}.")
    return matrices[name]


def _beside(rows, name):
    """Returns the baseline of each task, from the last row that has one: {task: number}, None for none."""
    found = {}
    for one in rows:
        beside = {task: scores.SCORES[name].beside(own) for task, own in one.scores.items()}
        found |= {task: value for task, value in beside.items() if value is not None}
    return found or None


# The function that draws each sheet from a `_Material`; a new sheet needs a line here.
_SHEET_MAKERS = {
    "fig2_domains": _domains,
    "fig2_interpolation": _interpolation,
    "fig3_traversal": _traversal,
    "forgetting": _forgetting,
    "stream": _stream,
}
SHEETS = tuple(_SHEET_MAKERS)
NAMES = (
    *SHEETS,
    "training_curves",
    "domain_mix",
    *(f"{chart}_{score}" for chart in ("matrix", "curves") for score in scores.SCORES),
)
