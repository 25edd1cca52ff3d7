"""The programs: `python -m trainers.<name>`; each ends on bad input in one sentence."""

from export.program import run as run  # for all programs of this folder
