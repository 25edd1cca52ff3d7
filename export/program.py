"""Starts the programs of `export` and `trainers`, and ends them with one sentence on bad input."""

import contextlib
import errno
import importlib
import os
import re
import sys
import tempfile

from absl import app, flags, logging

from ltgans_tf import _import_notes
from ltgans_tf.export import environment_variables, terminal
from ltgans_tf.files import near_names
from ltgans_tf.settings import seeds

flags.disclaim_key_flags()  # --help lists them with the program that defines them

_LARGEST_FLAGFILE = 1 << 20  # bytes
_FULL = os.strerror(errno.ENOSPC)
_HELP = {"--help", "-help", "-h", "-?"}
# Flag names of other projects, and the flag to suggest instead if the program has it.
_ELSEWHERE = {
    **dict.fromkeys(("steps", "iterations", "iters", "train_steps", "num_steps", "epochs"), "steps_per_task"),
    **dict.fromkeys(("batch", "bs", "minibatch"), "batch_size"),
    **dict.fromkeys(("lr", "learning_rate", "learningrate"), "generator_optimizer"),
    **dict.fromkeys(("data", "dataset", "datasets", "folder", "images", "images_dir", "train_dir"), "tasks"),
    **dict.fromkeys(("size", "resolution"), "image_size"),
    **dict.fromkeys(("network", "model"), "architecture"),
    **dict.fromkeys(
        ("out", "output", "outdir", "out_dir", "output_dir", "results_dir", "logdir", "model_dir", "run_dir"),
        "workdir",
    ),
    **dict.fromkeys(("gpus", "num_gpus", "ngpus", "devices", "num_devices"), "replicas"),
    **dict.fromkeys(("device", "strategy", "workers", "num_workers"), "distribution"),
    **dict.fromkeys(("save_every", "save_steps", "ckpt_every"), "checkpoint_every"),
    **dict.fromkeys(("checkpoint", "restore", "continue"), "resume"),
    **dict.fromkeys(("pretrained", "init", "init_checkpoint"), "init_from"),
    **dict.fromkeys(("n", "num", "num_images", "num_samples", "samples"), "count"),
    **dict.fromkeys(("amp", "fp16", "bf16", "mixed_precision"), "precision"),
    **dict.fromkeys(("config", "experiment"), "preset"),
    **dict.fromkeys(("aug", "augment", "augmentation", "ada"), "diffaugment"),
    **dict.fromkeys(("mirror", "flip", "hflip", "flips"), "horizontal_flips"),
    **dict.fromkeys(("server", "address"), "url"),
    **dict.fromkeys(("wandb", "mlflow", "logger", "report_to"), "tracker"),
}
# What a user should know of a suggested flag.
_MEANT = {
    "replicas": " It goes with --distribution=mirrored, which takes all GPUs by itself.",
    "steps_per_task": " It counts steps, not epochs: an epoch is the number of images over --batch_size.",
}
# Keras imports these packages if they are installed. No program needs them, and they take a quarter of the time of all
# imports.
_OPTIONAL_TO_KERAS = ("matplotlib", "sklearn")


def run(main, help_text=None):
    """Runs `main(argv)` with absl's flags and exits with the status that it returns; `--help` exits with 0.

    Bad input ends with `error: <sentence>` on stderr and exit status 2: a wrong flag or argument, a ValueError,
    OSError or ArithmeticError (such as `lifelong.NonFiniteError`) from `main`, and any error that reports a full
    disk or exhausted memory. Any other exception is a mistake in the program and keeps its traceback;
    `--verbosity=1` shows tracebacks of bad input too.

    Args:
      main: the program.
      help_text: function without arguments that returns the text of --help, called after the other flags are
        parsed; None for absl's list of flags.
    """
    environment_variables.pin()
    terminal.never_fail()

    def guarded(argv):
        try:
            environment_variables.check()
            return main(argv)
        except (ValueError, OSError, ArithmeticError, flags.Error) as error:
            logging.debug("", exc_info=True)
            return _fail(_sentence(error))
        except Exception as error:
            if not (_FULL in str(error) or _is_of_memory(error)):
                raise
            return _fail(_sentence(error))  # TensorFlow reports a full disk with other exceptions too

    app.run(guarded, flags_parser=lambda argv: _parse(argv, help_text))


def define_seed(default, text):
    """Defines --seed, an integer that every random generator accepts."""
    flags.DEFINE_integer("seed", default, text, lower_bound=0, upper_bound=seeds.LARGEST)


def define_method():
    """Defines --method, for a program that loads a workdir."""
    flags.DEFINE_string(
        "method",
        None,
        "MODULE:CLASS of the run's method, if it is not part of this package; its code is executed.",
    )


def import_tensorflow():
    """Imports TensorFlow and Keras without packages that they do not need, and without the notes that they print.

    A program calls this in `main`, after it has checked the flags. The notes (oneDNN, CUDA) would hide the one
    sentence of an error.

    Returns:
      the module `tensorflow`.
    """
    try:
        tempfile.gettempdir()
    except OSError as error:
        raise ValueError(
            f"there is no folder for temporary files that can be written ({error.strerror or error}); let TMPDIR name"
            " one."
        ) from error
    with _hidden(_OPTIONAL_TO_KERAS), _import_notes.hidden():
        # If TensorFlow were imported first, TensorFlow Probability would import all of its `experimental`.
        importlib.import_module("tensorflow_probability")
        return importlib.import_module("tensorflow")


@contextlib.contextmanager
def _hidden(names):
    """Makes the import of these packages fail, as if they were not installed."""
    hidden = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # None makes an import fail
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


def _parse(argv, help_text=None):
    try:
        _check_flagfiles(argv[1:])
        if help_text is not None and not _HELP.isdisjoint(argv[1:]):
            sys.exit(_help(argv, help_text))
        rest = flags.FLAGS(argv)
    except flags.UnrecognizedFlagError as error:
        sys.exit(_fail(f"unknown flag --{error.flagname[:60]}{_nearest(error.flagname[:60])}"))
    except RecursionError:  # absl searches for a similar name recursively, letter by letter
        sys.exit(_fail("the name of a flag has hundreds of letters; --help lists the flags."))
    except flags.Error as error:
        sys.exit(_fail(_flag_sentence(str(error))))
    except (OSError, UnicodeError) as error:
        sys.exit(
            _fail(
                f"a flagfile cannot be read ({_sentence(error)}); give a text of one --flag=value to a line."
            )
        )
    except ValueError as error:  # from one of absl's own flags, such as --stderrthreshold
        sys.exit(_fail(_sentence(error)))
    except SystemExit:  # absl exits with 1 after --help
        sys.exit(0)
    if flags.FLAGS["verbosity"].using_default_value:
        # At absl's default, INFO, TensorFlow prints a dozen lines about each SavedModel.
        flags.FLAGS.verbosity = logging.WARNING
    if len(rest) > 1:
        sys.exit(_fail(f"unexpected argument {rest[1]!r}; everything is given as --flag=value, see --help."))
    return rest


def _help(argv, help_text):
    """Prints the help, even if a flag is missing or has a wrong value; returns the exit status."""
    with contextlib.suppress(flags.IllegalFlagValueError):
        flags.FLAGS([word for word in argv if word not in _HELP])
    flags.FLAGS.mark_as_parsed()
    print_help(help_text())
    return 0


def print_help(text):
    """Prints a help text; a user may leave the pager before its end without an error."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _check_flagfiles(words):
    """Refuses flagfiles, nested ones too, that are too large, or are devices or pipes, which may have no end."""
    waiting, seen = _flagfiles(words), set()
    while waiting:
        if not (path := waiting.pop()) or path in seen:
            continue  # as absl does
        seen.add(path)
        if os.path.exists(path) and not (os.path.isfile(path) or os.path.isdir(path)):
            raise OSError(f"{path} is a device or a pipe")
        with open(path) as file:
            if os.path.getsize(path) > _LARGEST_FLAGFILE:
                raise OSError(f"{path} is larger than {_LARGEST_FLAGFILE >> 20} MiB")
            waiting += _flagfiles(file)


def _flagfiles(words):
    """Returns the flagfiles named in the words of a command line or in the lines of a flagfile."""
    found, words = [], iter(words)
    for word in words:
        name, equals, value = word.strip().partition("=")
        if name in ("--flagfile", "-flagfile"):
            found.append(os.path.expanduser(value if equals else next(words, "")).strip())
    return found


def _nearest(name):
    meant = _ELSEWHERE.get(name.lower().replace("-", "_"))
    near = meant if meant in flags.FLAGS else near_names.nearest(name, flags.FLAGS, most=1, cutoff=0.6)
    return f"; did you mean --{near}?{_MEANT.get(near, '')}" if near else "; --help lists the flags."


def _flag_sentence(message):
    """Returns absl's message in one line, rewritten for a missing flag."""
    line = next(line for line in message.splitlines() if line.strip()).strip()
    if missing := re.match(r"flag (--\w+)=None: Flag .* must have a value", line):
        return f"{missing[1]} is missing; give it as {missing[1]}=..., see --help."
    return line


def _is_of_memory(error):
    """Whether Python, NumPy or TensorFlow ran out of memory; tf.data reports a MemoryError only in its text."""
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "ResourceExhaustedError"
        or "MemoryError" in str(error)
    )


def _sentence(error):
    if _is_of_memory(error):
        told = " ".join(str(error).split())[:200] or "no more is available"
        return (
            f"the memory is exhausted ({told}); lower --batch_size, --eval_samples or the number of images, or give the"
            " process more. What a run has saved is as it was."
        )
    if _FULL in str(error):
        return f"{' '.join(str(error).split())}; make room there and run the same command again."
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.filename}: {error.strerror}."
    return " ".join(str(error).split()) or type(error).__name__


def _fail(sentence):
    print(f"error: {sentence}", file=sys.stderr)
    return 2
