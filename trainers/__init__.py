"""The programs: `python -m trainers.<name>`; each ends on bad input in one sentence."""

# For all programs of this folder.
from export.program import define_method as define_method
from export.program import import_tensorflow as import_tensorflow
from export.program import run as run
