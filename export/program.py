"""How the programs of `export` and `trainers` start, and how they end on bad input.

It stands here because `trainers` may import `export` and not the other way round.
"""

import difflib
import os
import re
import sys

from absl import app, flags, logging


def run(main):
  """Runs `main(argv)` behind absl's flags; bad input ends in one sentence and exit status 2.

  ValueError, OSError and ArithmeticError (which `lifelong.NonFiniteError` is) out of `main`,
  a wrong flag and an argument that is none are printed as `error: <sentence>` on stderr. Any
  other exception is a mistake in the program and keeps its traceback; `--verbosity=1` shows
  that of the former too. `--help` exits with 0. What `main` returns is the exit status.
  """
  # TensorFlow's start-up notes would bury the one sentence.
  os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

  def guarded(argv):
    try:
      return main(argv)
    except (ValueError, OSError, ArithmeticError) as error:
      logging.debug("", exc_info=True)
      return _fail(_sentence(error))

  app.run(guarded, flags_parser=_parse)


def _parse(argv):
  try:
    rest = flags.FLAGS(argv)
  except flags.UnrecognizedFlagError as error:
    sys.exit(_fail(f"unknown flag --{error.flagname}{_nearest(error.flagname)}"))
  except flags.Error as error:
    sys.exit(_fail(_flag_sentence(str(error))))
  except SystemExit:  # --help prints and leaves, with status 1 in absl
    sys.exit(0)
  if len(rest) > 1:
    sys.exit(_fail(f"unexpected argument {rest[1]!r}; everything is given as --flag=value, see"
                   " --help."))
  return rest


def _nearest(name):
  near = difflib.get_close_matches(name, flags.FLAGS, n=1, cutoff=0.5)
  return f"; did you mean --{near[0]}?" if near else "; --help lists the flags."


def _flag_sentence(message):
  """absl's message in one line; a flag that was left out is named as such."""
  line = next(line for line in message.splitlines() if line.strip()).strip()
  if missing := re.match(r"flag (--\w+)=None: Flag .* must have a value", line):
    return f"{missing[1]} is missing; give it as {missing[1]}=..., see --help."
  return line


def _sentence(error):
  if isinstance(error, OSError) and error.strerror and error.filename:
    return f"{error.filename}: {error.strerror}."
  return " ".join(str(error).split()) or type(error).__name__


def _fail(sentence):
  print(f"error: {sentence}", file=sys.stderr)
  return 2
