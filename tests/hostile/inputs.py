"""Sends made-up bad and hostile input through everything that reads some.

  python -m tests.hostile.inputs --examples=3000 --out=inputs.json

Hypothesis draws the inputs, the same ones for the same number of examples. An input must be read or refused in one
sentence (ValueError; InvalidArgumentError of a graph); anything else ends the campaign with the input that did it.
What takes more than SECONDS is counted. inputs_test.py runs a few of each. Linux only.
"""

import functools
import io
import json
import logging
import os
import resource
import tempfile
import time

import numpy as np
from absl import flags
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import benchmarks
from ltgans_tf.data import specs
from ltgans_tf.trainers import import_tensorflow, run
from tests.hostile import drawn_inputs as drawn
from tests.hostile import operator_inputs, served

SECONDS = 5.0
_SHAPE = (8, 8, 3)
# What reads them; `folder` is one that each may use.


def read_spec(folder, text):
    del folder
    specs.check(text)


def read_flags(folder, given):
    """Flags of ltgans train, up to where training would begin."""
    from ltgans_tf.trainers import train

    try:
        train.FLAGS(
            ["train", f"--workdir={folder}/run", *(f"--{name}={value}" for name, value in given.items())]
        )
        preset, *_ = train.resolve()
        for spec in preset.tasks:
            specs.check(spec, train.FLAGS.data_dir)
    except flags.Error as error:  # which the programs print in one line
        raise ValueError(str(error)) from error
    finally:
        for name in given:
            train.FLAGS[name].unparse()
        train.FLAGS.mark_as_parsed()


def read_archive(folder, data):
    from ltgans_tf.data import datasets

    path = os.path.join(folder, "set.npz")
    with open(path, "wb") as file:
        file.write(data)
    source = datasets.load(f"npz:{path}", "train", _SHAPE)
    if source.gather(np.arange(len(source))).shape != (len(source), *_SHAPE):
        raise RuntimeError(f"{path} gave images of another shape")


def read_folder(folder, tree):
    """All but the pipeline, which takes a second to be traced."""
    from ltgans_tf.data import folders

    with tempfile.TemporaryDirectory(dir=folder) as root:
        files, links = tree
        for name, data in files.items():
            path = os.path.join(os.fsencode(root), name)
            try:
                os.makedirs(os.path.dirname(path), exist_ok=True)
                with open(path, "wb") as file:
                    file.write(data)
            except (NotADirectoryError, FileExistsError, IsADirectoryError):
                continue  # two names of which one is inside the other
        for name, to in links.items():
            if not os.path.lexists(path := os.path.join(os.fsencode(root), name)):
                os.symlink(to, path)
        specs.check(f"folder:{root}")
        folder = folders.Folder(root)
        folder.without_broken(np.arange(len(folder.names)), skip_broken=True)


def read_image(folder, data):
    """Through the file, as training reads it."""
    from ltgans_tf.data import images, sources

    path = os.path.join(folder, "picture")
    with open(path, "wb") as file:
        file.write(data)
    images.preprocess(sources.decode(path), _SHAPE)


def read_config(folder, data):
    from ltgans_tf.training import checkpoints

    _write(folder, "config.json", data)
    checkpoints.read_config(folder)


def read_manifest(folder, data):
    """A checkpoint's manifest; nothing that hypothesis writes names the files that are there."""
    from ltgans_tf.training import checkpoints

    _write(folder, "checkpoints/task_000_step_000000001/manifest.json", data)
    checkpoints.restore_newest(folder, None)


def read_scores(folder, data):
    from ltgans_tf.evaluation import scores

    _write(folder, "eval/task_00/scores.json", data)
    scores.score_matrix(folder)


def read_extractor(folder, description):
    from ltgans_tf.evaluation import features

    features.load(_described(folder, "extractor.npz", description))


def read_reference(folder, description):
    from ltgans_tf.evaluation import references

    _described(folder, "eval/references/task_00.npz", description)
    references.load(folder, 0)


def _described(folder, name, description):
    """Writes an .npz with such a description and two arrays; returns its path."""
    file = io.BytesIO()
    text = description.decode(errors="replace")
    np.savez(file, description=text, weight_000=np.zeros(3), ab_test_count=np.int64(1))
    _write(folder, name, file.getvalue())
    return os.path.join(folder, name)


def read_export(folder, data):
    from ltgans_tf import exported

    _write(folder, "exports/latest.json", data)
    _write(folder, "exports/generator/1/assets.extra/export_info.json", data)
    _write(folder, "exports/generator/1/saved_model.pb", data)
    for place in ("exports", "exports/generator"):
        try:
            exported.load(os.path.join(folder, place))
        except ValueError as error:
            refused = error
        except OSError as error:  # of TensorFlow, about saved_model.pb
            refused = ValueError(str(error))
    raise refused


def _write(folder, name, data):
    path = os.path.join(folder, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data)


@functools.cache
def _served_encoder():
    """The signatures of a tiny encoder that take files."""
    import tensorflow as tf

    from ltgans_tf.export import signatures

    with tempfile.TemporaryDirectory() as path:
        signatures.save_encoder(served.tiny_model(), _SHAPE, "crop", path)
        return tf.saved_model.load(path).signatures


def read_served(folder, files):
    import tensorflow as tf

    del folder
    _served_encoder()["score"](image_bytes=tf.constant(files, tf.string, [len(files)]))


def _json_bytes(**usual):
    """JSON of any kind, mostly an object of usual fields some of which are others, and some of it damaged."""
    whole = st.dictionaries(st.sampled_from(sorted(usual)), drawn.jsons, max_size=2).map(
        lambda more: {**usual, **more}
    )
    whole = whole | st.just(usual) | drawn.jsons
    return drawn.damaged(whole.map(lambda value: json.dumps(value).encode())) | st.binary(max_size=30)


def targets():
    """{name: (what reads, what is read)}."""
    from ltgans_tf.trainers import train

    names = sorted(_flags_of(train))
    row = {"format_version": 2, "after_task": 0, "scores": {"a": {"nlog": 1.0}}, "union": {}}
    export = {
        "version": 1,
        "generator": "generator/1",
        "format_version": 1,
        "kind": "generator",
        "fit": "crop",
    }
    extractor = {"format_version": 1, "image_shape": [8, 8, 3], "classes": [[0, 1]], "about": {"sha256": ""}}
    reference = {"format_version": 1, "task": "a", "extractors": ["ab"], "numbers": {}}
    return {
        "task specs": (read_spec, drawn.texts | st.text(max_size=20)),
        "flags and presets": (
            read_flags,
            st.dictionaries(st.sampled_from(names), drawn.values, min_size=1, max_size=3),
        ),
        "folders": (read_folder, drawn.trees()),
        "npz files": (
            read_archive,
            drawn.damaged(st.builds(drawn.archive, st.integers(1, 9), st.integers(3, 12))) | drawn.archives(),
        ),
        "images in training": (read_image, drawn.image_bytes),
        "images in signatures": (read_served, st.lists(drawn.image_bytes, max_size=3)),
        "config.json": (read_config, _json_bytes(format_version=1, stream={"specs": []}, model={})),
        "manifests": (read_manifest, _json_bytes(format_version=1, files={"state.index": ""})),
        "scores.json": (read_scores, _json_bytes(**row)),
        "exports": (read_export, _json_bytes(**export)),
        "extractors": (read_extractor, _json_bytes(**extractor)),
        "references": (read_reference, _json_bytes(**reference)),
        **operator_inputs.targets(),
    }


def _flags_of(module):
    """Names of the flags that a module defines, but for those that name files of the user."""
    return {flag.name for flag in flags.FLAGS.flags_by_module_dict()[module.__name__]} - {
        "workdir",
        "init_from",
    }


def campaign(read, inputs, examples):
    """Sends `examples` inputs through a target.

    Returns:
      JSON-ready dict: how many were 'tried', 'read' and 'refused', 'hangs' over SECONDS, 'slowest' in seconds with 'slowest_input',
      and 'peak_mb', the most memory that the process has held so far.

    Raises:
      Exception: whatever was neither read nor refused in a sentence; hypothesis names the input.
    """
    import tensorflow as tf

    found = {"tried": 0, "read": 0, "refused": 0, "hangs": 0, "slowest": 0.0, "slowest_input": ""}
    with tempfile.TemporaryDirectory() as folder:

        @settings(
            max_examples=examples,
            database=None,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        )
        @given(inputs)
        def attempt(value):
            begin = time.perf_counter()
            try:
                read(folder, value)
                outcome = "read"
            except (ValueError, tf.errors.InvalidArgumentError) as error:
                if not str(error).strip():
                    raise RuntimeError(f"{value!r} is refused without a word") from error
                outcome = "refused"
            taken = time.perf_counter() - begin
            found["tried"] += 1
            found[outcome] += 1
            if found["tried"] == 1:  # in which graphs are traced
                return
            found["hangs"] += taken > SECONDS
            if taken > found["slowest"]:
                found.update(slowest=taken, slowest_input=repr(value)[:200])

        attempt()
    return {**found, "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024e-6}


def main(_):
    given_flags = flags.FLAGS
    import_tensorflow()
    logging.getLogger("ltgans_tf").setLevel(logging.ERROR)  # it warns of each damaged checkpoint
    rows = {}
    known = targets()
    if unknown := set(given_flags.targets or ()) - set(known):
        raise ValueError(f"--targets has {sorted(unknown)[0]!r}; choose one of {', '.join(known)}.")
    for name in given_flags.targets or known:
        read, inputs = known[name]
        rows[name] = campaign(read, inputs, given_flags.examples)
        print(name, rows[name], flush=True)
    benchmarks.publish({"conditions": benchmarks.conditions(), "targets": rows}, report(rows))


def report(rows):
    """The table of `campaign`'s results, as text."""
    header = ["target", "tried", "read", "refused", f"over {SECONDS:.0f} s", "slowest, s", "peak, MB"]
    counts = ("tried", "read", "refused", "hangs")
    cells = [
        [name, *(row[key] for key in counts), f"{row['slowest']:.2f}", f"{row['peak_mb']:.0f}"]
        for name, row in rows.items()
    ]
    total = ["all", *(sum(row[key] for row in rows.values()) for key in counts), "", ""]
    return benchmarks.table(header, [*cells, total])


if __name__ == "__main__":
    flags.DEFINE_integer("examples", 2500, "Inputs of each target.", 1)
    flags.DEFINE_list("targets", None, "Names of the targets to try; all by default.")
    benchmarks.define_output()
    run(main)
