"""The help of `ltgans train`: its flags in groups, each with its value for the preset and the method."""

import textwrap

from absl import flags

from ltgans_tf.settings import checked, presets
from ltgans_tf.settings.method_table import SETTINGS

FLAGS = flags.FLAGS
RECIPE = "The method's recipe"
_WIDTH = 100
_INDENT = 6

_EXPERIMENT = (
    "preset method recipe workdir tasks init_from steps_per_task batch_size image_size architecture channels student"
    " seed"
)
_DATA = "data_dir fit horizontal_flips upright skip_broken_images accept_changed_data"
_RUN = (
    "resume stop_after_task checkpoint_every log_every sample_every on_nonfinite dry_run verify_checkpoint"
    " profile_steps tracker"
)
_MACHINE = "distribution replicas deterministic jit_compile steps_per_execution precision"
_SCORES = (
    "protocol tuning score_first_task eval_images eval_samples eval_iwae_images max_eval_seconds extractor_images extractor_path"
    " extractor_seed inception_path inception_sha256"
)


def groups(program):
    """Returns the flags of the program in groups.

    Args:
      program: names of its flags. Those that are in no group go into "The run".

    Returns:
      list of (title, names of flags).
    """
    run = _RUN.split()
    named = [
        ("What is learnt", _EXPERIMENT.split()),
        ("Images", _DATA.split()),
        ("The run", run),
        ("The machine", _MACHINE.split()),
        ("Scores after each task", _SCORES.split()),
        ("Export after each task", [name for name in FLAGS if name.startswith("push")]),
    ]
    placed = {name for _, names in named for name in names}
    recipe = [field.name for field in checked.flag_fields(presets.Recipe) if field.name not in placed]
    own = [
        (
            f"Settings of {method} alone",
            [f"{method}_{field.name}" for field in checked.flag_fields(cls)],
        )
        for method, cls in SETTINGS.items()
    ]
    grouped = [*named, (RECIPE, recipe), *own]
    run += sorted(set(program) - {name for _, names in grouped for name in names})
    return grouped


def text(program, purpose, held):
    """Returns the text of the help.

    Args:
      program: names of the program's flags.
      purpose: what the program is for and how it is called.
      held: {name: value} of settings that the preset, the recipe and the command line decide; all other flags
        show their own value.
    """
    held = {**defaults(), **held}
    lines = [purpose.strip(), "", "Values are those that hold with the flags given beside --help."]
    for title, names in groups(program):
        lines += ["", f"{title}:"]
        for name in names:
            lines += _lines(FLAGS[name], held.get(name, FLAGS[name].value))
    return "\n".join([*lines, "", "--helpfull lists the flags of absl, too."])


def defaults():
    """Returns the defaults of all methods' settings by flag name; the flags' own default is None."""
    return {
        f"{method}_{field.name}": field.default
        for method, cls in SETTINGS.items()
        for field in checked.flag_fields(cls)
    }


def _lines(flag, value):
    head = f"  --{flag.name}"
    if flag.boolean:
        head = f"  --[no]{flag.name}" + ("" if value is None else f"  ({'on' if value else 'off'})")
    elif value not in (None, [], ()):
        head += f"={','.join(map(str, value)) if isinstance(value, (list, tuple)) else value}"
    indent = " " * _INDENT
    return [
        *textwrap.wrap(head, _WIDTH, subsequent_indent=indent, break_on_hyphens=False),
        *textwrap.wrap(flag.help, _WIDTH, initial_indent=indent, subsequent_indent=indent),
    ]
