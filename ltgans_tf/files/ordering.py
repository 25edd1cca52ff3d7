"""Sorts files by the numbers in their names."""

import os
import re


def by_number(paths):
    """Sorts paths by the numbers in their last part: task_11 comes before task_100."""
    return sorted(paths, key=lambda path: [int(n) for n in re.findall(r"\d+", os.path.basename(path))])
