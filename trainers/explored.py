"""Makes what `ltgans explore` shows of a run or of an export: images and words for the user's choices.

Nothing here depends on gradio or its page, so that a program or a notebook may call it too.
"""

import glob
import os

import numpy as np

from ltgans_tf import loading
from ltgans_tf.data import images, sources
from ltgans_tf.figures import sheets
from ltgans_tf.files import ordering
from ltgans_tf.networks import code_paths
from ltgans_tf.settings import seeds
from ltgans_tf.trainers import encode, report
from ltgans_tf.trainers.reporting import html_page, phrases, runs, score_sections
from ltgans_tf.training import boundaries, checkpoints


class Explored:
    """A model that answers requests: `explored = Explored("runs/demo"); explored.draw(domain=1, count=8)`.

    A domain is given by its number, from 1 on. Images are uint8 [n, H, W, C]. All methods raise a ValueError that says
    in one sentence what cannot be shown.

    Args:
      path, method: see `loading.load`.

    Attributes:
      is_run: whether `path` is a workdir and not an export.
      domains: names of the domains that can be asked for; [] if the latents have no domain codes.
      title, about: two lines that say what is shown.
    """

    MOST = 64  # images of a domain at a time
    NEEDS_RUN = "An export has the last state alone; give the workdir of a run to see what it drew after each of its tasks."

    def __init__(self, path, method=None):
        self._path, self._model = path, loading.load(path, method)
        self._settings = encode.image_settings(path, self._model)
        self._dims = self._model.latent_law.domain_dim
        self.is_run = os.path.isfile(os.path.join(path, checkpoints.CONFIG))
        self.domains = list(self._model.domains) if self._dims else []
        self.title = os.path.basename(os.path.abspath(path)) if self.is_run else path
        height, width, _ = self._settings[0]
        self.about = f"{phrases.stream(self._model.domains)} \N{MIDDLE DOT} images of {height}x{width}"
        if self.is_run:
            learnt, planned = int(self._model.task_index.numpy()), len(self._model.domain_names)
            self.about += f" \N{MIDDLE DOT} {learnt} of {phrases.count(range(planned), 'task')} learnt"

    @property
    def student(self):
        """The Student, which encodes and decodes; ValueError if there is none."""
        if (found := getattr(self._model, "student", None)) is None:
            raise ValueError(f"{self.title} has no Student, which encodes images; train with --student.")
        return found

    def draw(self, domain=None, count=16, seed=0, truncation=1.0):
        """Draws the images of `ltgans sample --domain=... --seed=...`, or of each domain for None: [(name, images)].

        Args:
          truncation: in [0, 1], scales the noise of the latents, but not the domain code. With a smaller value,
            images vary less and are more typical.
        """
        count, seed = _whole("number of images", count, 1, self.MOST), _whole("seed", seed, 0, seeds.LARGEST)
        if truncation is None or not 0 <= truncation <= 1:
            raise ValueError(f"the truncation is {truncation}; give one from 0 to 1.")
        wanted = [domain] if domain or not self.domains else range(1, len(self.domains) + 1)
        return [(self._name(one), self._drawn(one or None, count, seed, truncation)) for one in wanted]

    def _name(self, domain):
        if not domain:
            return "all domains together"
        return self.domains[_whole("number of the domain", domain, 1, len(self.domains)) - 1]

    def _drawn(self, domain, count, seed, truncation):
        latents = np.array(self._model.latents(count, seed, domain))
        latents[:, self._dims :] *= truncation
        return images.to_uint8(self._model.generate(latents)).numpy()

    def over_time(self, domain=None, count=8):
        """Returns what the same latents of a domain gave after each task from its own on: [(after which task, images)].

        The images are those that the run kept.
        """
        count, name, found = _whole("number of images", count, 1, self.MOST), self._name(domain), []
        kept = self._boundaries()
        if not kept:
            raise ValueError(
                f"{self.title} has not ended its first task; what it draws is kept from then on."
            )
        for i, path in enumerate(kept):
            made, domains, task = boundaries.read_samples(path)
            if domain and domains is not None:
                made = made[domains == domain - 1]
            if len(made):
                found.append((f"after task {i + 1} ({task})", made[:count]))
        if not found:
            raise ValueError(f"{name} is not learnt yet; look again after its task.")
        return found

    def _boundaries(self):
        if not self.is_run:
            raise ValueError(self.NEEDS_RUN)
        return ordering.by_number(glob.glob(os.path.join(glob.escape(self._path), "boundary", "task_*.npz")))

    def scores(self):
        """Returns forgetting sheet, scores of each task after each task and what was lost, as in the report: Markup.

        It is empty before the end of the first task.
        """
        if not self._boundaries():
            return html_page.Markup()
        run = runs.Run(self._path)
        kept = html_page.Section("kept", "All domains, task after task", report.remembered(run))
        sections = [kept, *score_sections.forgotten(run)]
        return html_page.join(
            [html_page.tag("h3", s.title), s.parts] for s in sections if html_page.join(s.parts)
        )

    def end(self, domain=None, seed=0, file=None):
        """Returns (name, image [H, W, C]) of one end of `between`: the image in `file`, or a drawn one."""
        if file:
            return os.path.basename(file), self.read(file)
        ((name, made),) = self.draw(domain or (1 if self.domains else None), 1, seed)
        return name if self.domains else f"seed {seed:.0f}", made[0]

    def between(self, first, last, steps=10):
        """Decodes the way between the codes of two `end`s, straight and on an arc; returns a sheet, uint8 [h, w, 3]."""
        codes, lines = self._codes([first[1], last[1]]), []
        for kind in code_paths.KINDS:
            decoded = self._decoded(code_paths.interpolate(*codes, steps, kind))
            lines.append((first[0], last[0], kind, np.stack([first[1], *decoded, last[1]])))
        return sheets.interpolation_sheet(lines, ends="given")

    def rebuild(self, file):
        """Returns an image as the networks get it, and as the Student rebuilds it from its code: [(what it is, images)]."""
        given = self.read(file)[None]
        codes = self._codes(given)
        rebuilt = f"rebuilt from its code of {codes.shape[1]} numbers"
        return [(f"{os.path.basename(file)}, as it is encoded", given), (rebuilt, self._decoded(codes))]

    def read(self, file):
        """Reads an image file and prepares it like the images of the run, as `ltgans encode` does: uint8 [H, W, C]."""
        shape, fit, upright = self._settings
        try:
            return images.fit_image(sources.decode(file, upright), shape, fit).numpy()
        except ValueError as error:
            raise ValueError(f"{os.path.basename(file)} {error}.") from error

    def _codes(self, given):
        return self.student.encode(images.normalize(np.stack(given))).mean().numpy()

    def _decoded(self, codes):
        return images.to_uint8(self.student.decode(np.float32(codes))).numpy()


def _whole(what, value, least, most):
    """Returns `value` as an int; ValueError if it is not a whole number from `least` to `most`."""
    if value is None or value != int(value) or not least <= value <= most:
        raise ValueError(
            f"the {what} is {'empty' if value is None else value}; give one from {least} to {most}."
        )
    return int(value)
