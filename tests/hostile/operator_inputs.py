"""Made-up input for what an operator writes by hand or by script; targets of tests.hostile.inputs.

flagfiles, flags of a push, models.config and latest.json beside versions, layouts of folders of images. Each reader
also holds what it was given against what must follow, and raises a RuntimeError where it does not.
"""

import contextlib
import io
import json
import os
import shutil

import numpy as np
from absl import flags
from absl.testing import flagsaver
from hypothesis import strategies as st

from tests.hostile import served

_VERSIONS = (10, 11, 12)
_ROW = {"domain_accuracy": 0.95, "extractor": "e", "protocol": "research", "task": "b"}
_NEW = {**_ROW, "tasks": {"a": {"nlog": 2.0, "fcd": 1.0}, "b": {"nlog": 1.0, "mean_image_nlog": 3.0}}}
_SERVED = {**_ROW, "task": "a", "tasks": {"a": {"nlog": 1.5, "fcd": 0.5}}}
_OWN = "OWN"  # stands for the flagfile itself

words = st.sampled_from(
    (
        "",
        "1",
        "-1",
        "0",
        "nan",
        "inf",
        "1e400",
        "true",
        "²",
        "9" * 50,
        "if_blessed",
        "always",
        "Manual",
        "digits",
    )
) | st.text(max_size=5)
_places = st.sampled_from((_OWN, "/dev/zero", "/nothing", "~", "~/x", "gs://a/b", "/", "a\nb", "a b"))


@st.composite
def flagfiles(draw):
    """Lines of flags of ltgans train with values at random, comments and other flagfiles; or any bytes."""
    from ltgans_tf.trainers import train  # noqa: F401, whose flags they are

    names = sorted(set(flags.FLAGS) - {"help", "helpfull", "helpshort", "helpxml"})
    line = st.one_of(
        st.builds("--{}={}".format, st.sampled_from(names), words | _places),
        st.builds("--{}{}".format, st.sampled_from(("", "no")), st.sampled_from(names)),
        st.builds("--flagfile{}{}".format, st.sampled_from(("=", " ", "")), _places),
        st.sampled_from(("# a note", "//", "--", "-", "", "\ufeff--seed=1", "--seed\n1", "word")),
    )
    return draw(
        st.lists(line, max_size=5).map(lambda lines: "\n".join(lines).encode()) | st.binary(max_size=40)
    )


def read_flagfile(folder, content):
    """As `program.run` does it."""
    from ltgans_tf.export import program

    path = os.path.join(folder, "flags.txt")
    with open(path, "wb") as file:
        file.write(content.replace(_OWN.encode(), path.encode()))
    said, kept = io.StringIO(), flagsaver.save_flag_values()
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
            program._parse(["train", f"--workdir={folder}/run", f"--flagfile={path}"])
    except SystemExit as leave:
        lines = [
            line for line in said.getvalue().splitlines() if not line.startswith("Warning: Hit circular")
        ]
        if leave.code not in (0, 2) or (leave.code and (len(lines) != 1 or lines[0][:7] != "error: ")):
            raise RuntimeError(f"status {leave.code} and {said.getvalue()!r}") from leave
        if leave.code:
            raise ValueError(lines[0]) from leave
    finally:
        flagsaver.restore_flag_values(kept)


push_flags = st.dictionaries(
    st.sampled_from(("policy", "max_regression", "max_latency", "keep", "validate", "base")),
    words | st.integers(1, 4).map(str) | st.floats().map(str) | _places,
    min_size=1,
    max_size=3,
)


def read_push_flags(folder, given):
    """What is judged and kept by such flags."""
    from ltgans_tf.export import judge, release, versions
    from ltgans_tf.trainers import setting_flags, train

    kept, base = flagsaver.save_flag_values(), _base(folder)
    try:
        train.FLAGS(
            ["train", f"--workdir={folder}", *(f"--push_{name}={value}" for name, value in given.items())]
        )
        found = setting_flags.of_push()
    except flags.Error as error:  # which the programs print in one line
        raise ValueError(str(error)) from error
    finally:
        flagsaver.restore_flag_values(kept)
    refused = judge.reasons(_NEW, _SERVED, found.max_regression)
    if bool(refused) != (
        found.max_regression < 2**0.5 - 1 + 1e-12
    ):  # the FCD is doubled, the NLOG a third worse
        raise RuntimeError(f"{found.max_regression} refuses with {refused}")
    with versions.lock(base):
        release.prune(base, found.keep)
    there = versions.found(base, "generator")
    if there != list(_VERSIONS[-max(2, min(found.keep, 3)) :]):  # the served one and the way back stay
        raise RuntimeError(f"--push_keep={found.keep} kept {there}")


def _base(folder):
    """A base of three versions, as pushes leave it: its path."""
    base, whole = os.path.join(folder, "base"), os.path.join(folder, "whole")
    if not os.path.isdir(whole):
        _push_all(whole)
    shutil.rmtree(base, ignore_errors=True)
    return shutil.copytree(whole, base)


def _push_all(base):
    from ltgans_tf.export import continuation, release, versions

    for version in _VERSIONS:
        about = {"pair": list(versions.KINDS), "run_id": "r", "task_index": version - 10, "task_name": "a"}
        for kind in (*versions.KINDS, continuation.FOLDER):
            path = os.path.join(base, kind, str(version), versions.INFO)
            os.makedirs(os.path.dirname(path))
            with open(path, "w", encoding="utf-8") as file:
                json.dump(about, file)
        pair = {"version": version, **{key: about[key] for key in ("run_id", "task_index", "task_name")}}
        pair |= {kind: f"{kind}/{version}" for kind in (*versions.KINDS, continuation.FOLDER)}
        with versions.lock(base):
            release.add(base, pair, True)


_numbers = st.sampled_from(("10", "11", "12", "9", "0", "007", "²", "9" * 30, "-1", ""))
_config_lines = st.one_of(
    st.builds("# Written from latest.json, by which version {} is stable.".format, _numbers),
    st.builds("    versions: {}".format, _numbers),
    st.builds(
        'version_labels {{ key: "{}" value: {} }}'.format,
        st.sampled_from(("stable", "canary", "x", '"')),
        _numbers,
    ),
    st.sampled_from(("model_config_list {", "}", "", "# by hand", "\ufeff", "\r")),
    st.text(max_size=5),
)
_configs = st.lists(_config_lines, max_size=8).map(lambda lines: "\n".join(lines).encode(errors="replace"))
# What lies there in place of models.config, None for as it was; what became of latest.json; the command.
bases = st.tuples(
    st.none() | st.just(b"") | _configs | st.binary(max_size=40),
    st.sampled_from(("whole", "lost", "older", "cut", "withdrawn", "nothing served")),
    st.sampled_from(("list", "rebuild", "rebuild 11", "rollback", "stable 10", "canary 11", "prune", "push")),
)


def read_base(folder, given):
    """A release, rebuild or push on a base that a person has changed."""
    from google.protobuf import text_format
    from tensorflow_serving.config import model_server_config_pb2

    from ltgans_tf.export import desired, rebuild, release, versions

    config, state, command = given
    base = _base(folder)
    latest, path = versions.read_latest(base), os.path.join(base, "latest.json")
    if state == "lost":
        os.remove(path)
    elif state == "older":
        older = latest["pairs"][:2]
        desired.record(base, {**latest, **older[1], "pairs": older, "labels": {"stable": 11}})
    elif state == "cut":
        os.truncate(path, 100)
    elif state == "withdrawn":
        release.rollback(base)
    elif state == "nothing served":
        pairs = [{**pair, "pending": True, "withdrawn": True} for pair in latest["pairs"]]
        versions.write_latest(base, {"pairs": pairs, "canary": None, "labels": {}})
    if config is not None:
        with open(os.path.join(base, desired.CONFIG), "wb") as file:
            file.write(config)
    name, _, number = command.partition(" ")
    with contextlib.redirect_stdout(io.StringIO()):
        if name == "list":
            with versions.lock(base):
                desired.reconcile(base)
            release._listing(base)
        elif name == "rebuild":
            rebuild.rebuild(base, int(number) if number else None)
        elif name == "rollback":
            release.rollback(base)
        elif name == "stable":
            release.serve(base, int(number))
        elif name == "canary":
            release.try_as_canary(base, int(number))
        else:
            rebuild.check(base, versions.read_latest(base))
            with versions.lock(base):
                if name == "push":
                    pair = {
                        **latest["pairs"][-1],
                        "version": 13,
                        "generator": "generator/13",
                        "encoder": "encoder/13",
                    }
                    pair["continuation"] = "continuation/13"
                    release.add(base, pair, True)
                else:  # a push writes models.config before it removes anything
                    desired.reconcile(base)
                    release.prune(base, 2)
    latest, told = versions.read_latest(base), desired.remembered(base)
    if not desired.is_current(base):
        raise RuntimeError(f"models.config is not what latest.json says after {command}")
    if "version" in latest:
        with open(os.path.join(base, desired.CONFIG), encoding="utf-8") as file:
            found = text_format.Parse(file.read(), model_server_config_pb2.ModelServerConfig())
        models = {model.name for model in found.model_config_list.config}
        if models != set(versions.KINDS) or latest["version"] not in told.versions:
            raise RuntimeError(f"models.config serves {models} in {told.versions} after {command}")
    if command != "prune" and versions.found(base, "generator") != list(_VERSIONS):
        raise RuntimeError(f"{command} has left {versions.found(base, 'generator')}")


_parts = st.sampled_from(
    (
        *(
            "train",
            "Train",
            "test",
            "TEST",
            "val",
            "valid",
            "validation",
            "training",
            "cats",
            "dogs",
            "a b",
            "ä",
        ),
        *(
            ".git",
            ".ipynb_checkpoints",
            "__MACOSX",
            "._x",
            "@eaDir",
            "lost+found",
            "a,b",
            "?train",
            "\n",
            "x.png",
        ),
    )
)
_names = st.builds(
    "{}{}".format,
    st.sampled_from(("1", "2", "._1", ".hidden", "Thumbs")),
    st.sampled_from(
        (".png", ".PNG", ".jpg", ".tif", ".heic", ".txt", ".db", "", ".png.part"),
    ),
)
_PICTURE = served.picture("PNG", (9, 9))
_contents = st.sampled_from(
    (*("picture",) * 8, *("broken", "empty", "pipe", "nothing", "folder", "..", "twin"))
)
layouts = st.lists(st.tuples(st.lists(_parts, max_size=3), _names, _contents), min_size=1, max_size=8)


def read_layout(folder, entries):
    """One listing, held against all that lies there."""
    from ltgans_tf.data import folders, listing

    root = os.path.join(folder, "layout")
    shutil.rmtree(root, ignore_errors=True)
    os.makedirs(root)
    for parts, name, content in entries:
        with contextlib.suppress(FileExistsError, NotADirectoryError):  # two of them want one name
            _lay(os.path.join(root, *parts), name, content)
    found = listing.scan(root)
    beside = {name for names in found.left_out.values() for name in names}
    for place, inner, names in os.walk(root):
        for name in (*names, *(name for name in inner if os.path.islink(os.path.join(place, name)))):
            path = os.path.relpath(os.path.join(place, name), root)
            above = {os.path.join(*path.split(os.sep)[: i + 1]) for i in range(path.count(os.sep) + 1)}
            if (path in found.files) == bool(above & beside):
                raise RuntimeError(f"{path} is both taken and left out, or neither")
            if any(part.startswith(".") for part in path.split(os.sep)) and path in found.files:
                raise RuntimeError(f"{path} is hidden and taken")
    if "\n" in found.told():
        raise RuntimeError("a line of several lines is told")
    if (
        list(found.files) != sorted(set(found.files))
        or found.splits
        and set(found.splits) != {"train", "test"}
    ):
        raise RuntimeError(f"{found.files} with the splits {found.splits}")
    images = folders.Folder(root)
    good = images.without_broken(np.arange(len(images.names)), skip_broken=True)
    if images.labels is not None and len(images.labels) != len(images.names) or not len(good):
        raise RuntimeError(f"{len(images.names)} images, {len(good)} whole")


def _lay(place, name, content):
    os.makedirs(place, exist_ok=True)
    path = os.path.join(place, name)
    if content == "folder":
        os.makedirs(path)
    elif content == "pipe":
        os.mkfifo(path)
    elif content in ("nothing", ".."):
        os.symlink(content, path)
    elif content == "twin":
        os.symlink("1.png", path)
    elif not os.path.lexists(path):
        with open(path, "wb") as file:
            file.write({"picture": _PICTURE, "broken": _PICTURE[:40], "empty": b""}[content])


def targets():
    """{name: (what reads, what is read)}."""
    return {
        "flagfiles": (read_flagfile, flagfiles()),
        "push flags": (read_push_flags, push_flags),
        "models.config": (read_base, bases),
        "folder layouts": (read_layout, layouts),
    }
