"""The command `ltgans`: `ltgans train --preset=demo --workdir=runs/demo` starts the program `train`.

Each program reads its own flags: all words after its name go to it. `python -m ltgans_tf.trainers.train` does the same.
"""

import os
import runpy
import sys

import ltgans_tf
from ltgans_tf.export import program
from ltgans_tf.files import near_names

# {name of the program: (its module, what it does)}
PROGRAMS = {
    "train": ("ltgans_tf.trainers.train", "train on image sets one after another, or go on with a run"),
    "sample": ("ltgans_tf.trainers.sample", "draw images from a run or an export"),
    "encode": ("ltgans_tf.trainers.encode", "encode a folder of images"),
    "evaluate": ("ltgans_tf.trainers.evaluate", "measure all scores of a run"),
    "figures": ("ltgans_tf.trainers.make_figures", "draw the figures of a run"),
    "report": ("ltgans_tf.trainers.report", "write the page of a run: pictures, scores, what was forgotten"),
    "compare": ("ltgans_tf.trainers.compare", "write a page with several runs side by side"),
    "reproduce": ("ltgans_tf.trainers.reproduce", "train an experiment of the paper, with tables"),
    "explore": ("ltgans_tf.trainers.explore", "open a page on which a run or an export is tried out"),
    "export": (
        "ltgans_tf.trainers.export_files",
        "write the networks as files for Keras, LiteRT or ONNX Runtime",
    ),
    "push": ("ltgans_tf.export.push", "export the last state of a run for TensorFlow Serving"),
    "release": ("ltgans_tf.export.release", "list exported versions, approve one, go back"),
    "serve-kit": ("ltgans_tf.export.kit", "write what starts a server: for docker and Kubernetes"),
    "client": ("ltgans_tf.export.client", "ask a server for images or codes"),
}
_HELP = ("--help", "-help", "-h", "help")


def main():
    """Starts the program that the first word of the command line names; returns the exit status."""
    name, *rest = sys.argv[1:] or _HELP
    if name in _HELP:
        program.print_help(_help())
        return 0
    if name == "--version":
        print(f"ltgans_tf {ltgans_tf.__version__}")
        return 0
    if name not in PROGRAMS:
        print(f"error: {near_names.unknown('command', name, PROGRAMS)}", file=sys.stderr)
        return 2
    # As with `python -m`, a method of the user's own may lie in the present folder. That folder comes last, so that
    # nothing in it hides an installed module.
    sys.path.append(os.getcwd())
    sys.argv[1:] = rest
    runpy.run_module(PROGRAMS[name][0], run_name="__main__", alter_sys=True)
    return 0


def _help():
    width = max(map(len, PROGRAMS)) + 2
    lines = [f"  {name:{width}}{about}" for name, (_, about) in PROGRAMS.items()]
    return "\n".join(
        [
            "Lifelong Twin GANs: ltgans COMMAND --FLAG=VALUE ...",
            "",
            *lines,
            "",
            "ltgans COMMAND --help lists the flags of a command.",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
