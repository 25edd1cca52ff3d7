"""What a browser would see in a page of ltgans report or ltgans compare, and how these programs end."""

import base64
import html.parser
import io
import subprocess
import sys

from PIL import Image

from ltgans_tf.evaluation import scores
from tests import programs, source_imports


class Page(html.parser.HTMLParser):
    """What a browser would see in a page.

    Attributes:
      tags: list of (name, {attribute: value}).
      tables: {id of the section: list of tables}, a table being a list of rows of texts of cells.
      texts: {id of the section, None above the first: text}.
    """

    def __init__(self, path):
        super().__init__()
        self.tags, self.tables, self.texts, self._section = [], {}, {}, None
        with open(path, encoding="utf-8") as f:
            self.source = f.read()
        self.feed(self.source)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.tags.append((tag, attrs))
        if tag == "section":
            self._section = attrs["id"]
        if tag == "table":
            self.tables.setdefault(self._section, []).append([])
        if tag == "tr":
            self.tables[self._section][-1].append([])
        if tag in ("td", "th"):
            self.tables[self._section][-1][-1].append("")
        if tag == "small":  # what stands below a number
            self.handle_data(" ")

    def handle_endtag(self, tag):
        if tag in ("td", "th", "table"):
            self.tags.append((f"/{tag}", {}))

    def handle_data(self, data):
        self.texts[self._section] = self.texts.get(self._section, "") + data
        opened = [tag for tag, _ in self.tags if tag.lstrip("/") in ("td", "th")]
        if opened and not opened[-1].startswith("/"):
            self.tables[self._section][-1][-1][-1] += data

    def rows(self, section, table=0):
        """{first cell: the others} of a table."""
        return {first: rest for first, *rest in self.tables[section][table]}

    def pictures(self):
        """[(alt, bytes)]"""
        found = [attrs for tag, attrs in self.tags if tag == "img"]
        start = "data:image/png;base64,"
        assert all(attrs["src"].startswith(start) for attrs in found)
        return [(a["alt"], base64.b64decode(a["src"].removeprefix(start), validate=True)) for a in found]


def assert_stands_alone(page):
    """Holds that a `Page` needs nothing from elsewhere, and that each picture is inside and whole."""
    anchors = {attrs["id"] for tag, attrs in page.tags if tag == "section"}
    for tag, attrs in page.tags:
        assert tag not in ("script", "link", "iframe", "object", "embed", "base", "form")
        assert not [name for name in attrs if name.startswith("on") or name in ("srcset", "action", "poster")]
        if "href" in attrs:
            assert attrs["href"][0] == "#" and attrs["href"][1:] in anchors
        if "src" in attrs:
            assert tag == "img" and attrs["src"].startswith("data:image/png;base64,") and attrs["alt"]
    assert "http://" not in page.source and "https://" not in page.source
    for _, data in page.pictures():
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            image.load()
            assert min(image.size) > 1


def as_shown(name, value):
    """A number with the digits that SCORES gives the score."""
    return f"{value:.{scores.SCORES[name].digits}f}".replace("-", "\N{MINUS SIGN}")


def run_program(name, *arguments):
    """Runs `python -m ltgans_tf.trainers.<name>`: (exit status, stdout, stderr)."""
    done = programs.run(f"ltgans_tf.trainers.{name}", *arguments)
    return done.returncode, done.stdout, done.stderr


def imports_tensorflow(name, call):
    """Whether a Python that imports trainers.<name> and calls `call` has loaded TensorFlow."""
    program = f"import sys\nfrom trainers import {name}\n{call}\nprint({{'tensorflow', 'keras'}} & {{*sys.modules}})"
    command = [sys.executable, "-c", program]
    done = subprocess.run(
        command, cwd=source_imports.ROOT, capture_output=True, text=True, timeout=120, check=True
    )
    return done.stdout.splitlines()[-1] != "set()"
