"""Writes the networks of a run as files that need neither this package nor its training code.

  ltgans export --workdir=runs/demo --format=onnx --out=demo-onnx

The folder gets the newest generator, encoder and decoder of the Student if there is one, export_info.json, and a
README.md that says how to draw: a model card for the Hugging Face Hub. Each file is tried in a process of its own; if it
differs too much from the networks, nothing is written and the exit status is 3.
"""

import os
import shutil

from absl import flags

from ltgans_tf import trainers
from ltgans_tf.evaluation import row as rows
from ltgans_tf.export import judge, path_flags, push, staging, standalone
from ltgans_tf.files import atomic, paths, run_ids

_IMAGES, _LINES = 8, 12  # images in a line and most lines of example.png


def main(_):
    """Exports what the flags ask for, and says what was written where; the exit status is 3 for a refusal."""
    given = flags.FLAGS
    try:
        print(export(given.workdir, given.format, given.out, given.method))
    except judge.NotBlessed as error:
        print(f"not exported: {error}")
        return 3
    return 0


def export(workdir, form, out, method=None):
    """Writes the folder `out`; for `method` see `loading.load`.

    Returns:
      a sentence that says what was written where.

    Raises:
      judge.NotBlessed: a file differs from the networks, see `standalone.write`; there is no `out` then.
      ValueError: no finished task in `workdir`, a missing package, or an `out` that must not be written.
    """
    paths.ending(out, (), folder=True)
    if os.path.isfile(out) or os.path.isdir(out) and os.listdir(out):
        raise ValueError(f"--out={out} is there already; give a folder that is not there, or an empty one.")
    standalone.check_packages(form)
    model, stream, task = push.load_finished(workdir, method)
    about = {"run_id": run_ids.keep(workdir), **push.prepared(stream)}
    # The name of the domain, not the task's spec, which may be a path.
    info = staging.describe(model, task._replace(name=model.domains[-1]), about, None)
    info = {"kind": form, **{key: value for key, value in info.items() if key not in ("data", "scores")}}
    out = os.path.abspath(out)
    staged = os.path.join(os.path.dirname(out), f".tmp-{os.path.basename(out)}")
    shutil.rmtree(staged, ignore_errors=True)  # which a killed process may have left
    os.makedirs(staged)
    try:
        tried = standalone.write(model, staged, form)
        _describe(
            model, workdir, stream["specs"][: len(model.domains)], staged, os.path.basename(out), info, tried
        )
        atomic.publish(staged, out)
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    largest = max(tried["apart"].values())
    return (
        f"Wrote {', '.join(tried['apart'])} to {out}; in {tried['runtime']} they are at most {largest:.1e} away from the"
        f" networks (allowed: {tried['absolute']:g} + {tried['relative']:g} of a number). README.md there says how to draw."
    )


def _describe(model, workdir, planned, folder, name, info, tried):
    """Writes the files that are not networks: export_info.json, README.md and example.png."""
    from ltgans_tf import exported
    from ltgans_tf.trainers.reporting import card, runs

    measured = os.path.isfile(rows.row_path(workdir, len(planned) - 1))
    atomic.write_json(os.path.join(folder, exported.FILES_INFO), info)
    run = runs.Run(workdir).up_to(len(planned) - 1) if measured else None
    atomic.write_text(os.path.join(folder, "README.md"), card.text(name, info, planned, run, tried))
    _example(model, os.path.join(folder, "example.png"))


def _example(model, path):
    """Draws a line of images for each collection, or one line for all together if the latents have no domain codes."""
    from ltgans_tf.data import images
    from ltgans_tf.figures import sheets

    domains = model.domains[-_LINES:] if model.latent_law.domain_dim else [None]
    lines = {
        domain or "all together": {"generated": images.to_uint8(model.sample(_IMAGES, 0, domain)).numpy()}
        for domain in domains
    }
    sheets.save_png(path, sheets.domains_sheet(lines))


if __name__ == "__main__":
    path_flags.define_path("workdir", None, "A run.", required=True)
    flags.DEFINE_enum(
        "format",
        None,
        list(standalone.FORMATS),
        "What runs the files: Keras, LiteRT or ONNX Runtime.",
        required=True,
    )
    path_flags.define_path("out", None, "Folder to write.", required=True)
    trainers.define_method()
    trainers.run(main)
