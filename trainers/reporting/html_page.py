"""Building blocks of a self-contained HTML page: no network, no script, pictures inside.

`tag` escapes everything that is not `Markup`, so that a task name or a path cannot become HTML.
"""

import base64
import dataclasses
import html
import io

import numpy as np
from PIL import Image

CHART_DENSITY = 150 / 96  # charts are drawn with 150 pixels per inch, a page has 96
_VOID = ("img", "meta")
_INLINE = ("a", "code", "em", "small", "span", "strong")


class Markup(str):
    """Text that is HTML already."""


def tag(name, /, *children, **attributes):
    """Makes an HTML element.

    Args:
      name: name of the element.
      children: Markup stays as it is, lists are taken child by child, None and False are left out, and all else
        becomes escaped text.
      attributes: values are escaped, and None leaves one out; `class_` is class, `aria_label` aria-label.

    Returns:
      Markup.
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID:
        return Markup(f"<{name}{written}>")
    return Markup(f"<{name}{written}>{join(children)}</{name}>" + "\n" * (name not in _INLINE))


def join(children):
    """Joins children (see `tag`): Markup."""
    return Markup("".join(_written(child) for child in children))


def _written(child):
    if child is None or child is False:
        return ""
    if isinstance(child, (list, tuple)):
        return join(child)
    return child if isinstance(child, Markup) else html.escape(str(child))


def text(*children):
    """A paragraph."""
    return tag("p", *children)


def bullets(items):
    """A list of sentences."""
    return tag("ul", [tag("li", item) for item in items])


def command(line):
    """A command line in a box that scrolls."""
    return tag("pre", tag("code", line), tabindex="0")


def folded(summary, *children):
    """Content that is hidden until the reader unfolds its summary line."""
    return tag("details", tag("summary", summary), *children)


def table(head, rows, caption=None, words=False):
    """A table in a box that scrolls if the window is narrow.

    Args:
      head: texts over the columns.
      rows: lists of cells, the first of each names the row.
      caption: sentence below the table, or None.
      words: whether the cells are words, which are left-aligned, and not numbers.
    """
    top = tag("tr", [tag("th", cell, scope="col") for cell in head])
    lines = [tag("tr", tag("th", first, scope="row"), [tag("td", c) for c in rest]) for first, *rest in rows]
    body = tag("table", tag("thead", top), tag("tbody", lines), class_="words" if words else None)
    label = ", ".join(str(cell) for cell in head if cell and not isinstance(cell, Markup))
    box = tag("div", body, class_="scroll", tabindex="0", role="region", aria_label=f"table: {label}")
    return join([box, caption and tag("p", caption, class_="note")])


def pairs(items):
    """Names and values (a dict or list of pairs), as many side by side as the window holds."""
    items = items.items() if isinstance(items, dict) else items
    return tag("dl", [tag("div", tag("dt", name), tag("dd", value)) for name, value in items])


def gallery(pictures):
    """Pictures side by side if the window is wide enough."""
    return tag("div", list(pictures), class_="gallery")


def picture(data, alt, caption=None, density=1.0):
    """A picture inside the page.

    Args:
      data: bytes of a PNG file, or uint8 [h, w, 3].
      alt: what it shows, for those who do not see it.
      caption: line below it, or None.
      density: pixels of the picture for each pixel of the page, if the window is wide enough.

    Raises:
      ValueError: the bytes are not a whole PNG file.
    """
    data = data if isinstance(data, bytes) else png(data)
    width, height = _size(data)
    source = "data:image/png;base64," + base64.b64encode(data).decode("ascii")
    size = {"width": round(width / density), "height": round(height / density)}
    image = tag("img", src=source, alt=alt, **size, style=f"--natural: {size['width']}px")
    box = tag("div", image, class_="card", tabindex="0")
    return tag("figure", box, caption and tag("figcaption", caption))


def png(pixels):
    """Returns the bytes of a PNG file of uint8 [h, w, 3]."""
    buffer = io.BytesIO()
    Image.fromarray(np.asarray(pixels)).save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def _size(data):
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            image.load()
            return image.size
    except (OSError, SyntaxError) as error:  # Pillow raises either for a broken PNG
        raise ValueError(f"a picture of {len(data)} bytes is no whole PNG file; make it again.") from error


@dataclasses.dataclass(frozen=True)
class Section:
    """A part of a page: `anchor` in its address, `title`, and `parts` (Markup, text, None)."""

    anchor: str
    title: str
    parts: list


def document(title, lead, sections):
    """Makes the whole page.

    Args:
      title: str, title of the window.
      lead: content above the first section: Markup, text, lists.
      sections: list of Section; those without any part are left out.

    Returns:
      str, a page that loads nothing: its policy forbids all but its own style and data: images.
    """
    sections = [section for section in sections if join(section.parts)]
    links = [tag("li", tag("a", s.title, href=f"#{s.anchor}")) for s in sections]
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", title),
        tag("style", Markup(_STYLE)),
    )
    parts = [tag("section", tag("h2", s.title), s.parts, id=s.anchor) for s in sections]
    nav = tag("nav", tag("ol", links), aria_label="contents")
    body = tag("body", tag("header", lead), nav, tag("main", parts))
    return "<!doctype html>\n" + tag("html", head, body, lang="en")


_STYLE = """
:root {
  color-scheme: light dark;
  --page: #fcfcfa; --ink: #1d2126; --quiet: #5c646e; --line: #dfe1e0; --soft: #f1f2ef; --link: #1f5f99;
}
@media (prefers-color-scheme: dark) {
  :root { --page: #16191d; --ink: #e4e6e8; --quiet: #9aa3ad; --line: #32383f; --soft: #20252b; --link: #82b8ec; }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0 auto; max-width: 80rem; padding: 2.5rem 2rem 5rem; background: var(--page); color: var(--ink);
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Liberation Sans", sans-serif;
  display: grid; grid-template-columns: 12rem minmax(0, 1fr); column-gap: 3.5rem;
  overflow-wrap: break-word;
}
header, main { grid-column: 2; min-width: 0; }
nav { grid-column: 1; grid-row: 1 / span 2; position: sticky; top: 2.5rem; align-self: start; font-size: .875rem; }
nav ol { list-style: none; margin: 0; padding: 0; border-left: 1px solid var(--line); }
nav li { margin: 0; padding: .15rem 0 .15rem .9rem; }
a { color: var(--link); text-decoration: none; }
a:hover { text-decoration: underline; }
nav a { color: var(--quiet); }
h1 { font-size: 2.1rem; line-height: 1.18; letter-spacing: -.015em; margin: 0 0 .6rem; font-weight: 650;
  overflow-wrap: anywhere; }
h2 { font-size: 1.35rem; line-height: 1.3; letter-spacing: -.01em; margin: 0 0 .9rem; font-weight: 650; }
h3 { font-size: 1rem; margin: 2rem 0 .6rem; font-weight: 650; }
section { padding-top: 1.6rem; margin-top: 2.4rem; border-top: 1px solid var(--line); }
p, ul { max-width: 44rem; margin: .6rem 0; }
ul { padding-left: 1.2rem; }
li { margin: .3rem 0; overflow-wrap: anywhere; }
.about { color: var(--quiet); font-size: .9rem; margin: 0 0 1.2rem; }
.verdict { font-size: 1.2rem; line-height: 1.5; max-width: 46rem; overflow-wrap: anywhere; }
.note, figcaption, small { color: var(--quiet); font-size: .875rem; line-height: 1.45; }
.missing { color: var(--quiet); border-left: 3px solid var(--line); padding-left: .9rem; overflow-wrap: anywhere; }
figure { margin: 1.4rem 0; }
figcaption { margin-top: .5rem; max-width: 44rem; overflow-wrap: anywhere; }
.card { background: #fff; border: 1px solid var(--line); border-radius: 6px; padding: .75rem; overflow-x: auto;
  width: fit-content; max-width: 100%; }
img { display: block; max-width: 100%; height: auto; }
.gallery { display: grid; gap: 1.2rem 1.5rem; grid-template-columns: repeat(auto-fill, minmax(min(24rem, 100%), 1fr));
  margin: 1.4rem 0; align-items: start; }
.gallery figure { margin: 0; min-width: 0; }
.scroll { overflow-x: auto; margin: 1.2rem 0 .6rem; max-width: 100%; width: fit-content; }
table { border-collapse: collapse; font-size: .925rem; font-variant-numeric: tabular-nums; line-height: 1.35; }
th, td { padding: .45rem .85rem; text-align: right; vertical-align: top; border-bottom: 1px solid var(--line);
  white-space: nowrap; }
thead th { font-weight: 600; color: var(--quiet); font-size: .825rem; vertical-align: bottom;
  border-bottom-color: var(--quiet); }
th:first-child { text-align: left; padding-left: 0; position: sticky; left: 0; background: var(--page);
  font-weight: 600; min-width: 6.5rem; max-width: 15rem; white-space: normal; overflow-wrap: anywhere; }
thead th { white-space: normal; max-width: 11rem; }
td small { display: block; font-size: .78rem; }
td .name { white-space: normal; max-width: 11rem; margin-left: auto; }
.words th, .words td { text-align: left; }
.words td { white-space: normal; min-width: 6rem; max-width: 34rem; overflow-wrap: anywhere; }
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(13rem, 100%), 1fr)); gap: .8rem 1.5rem;
  margin: 1rem 0; }
dl div { min-width: 0; }
dt { color: var(--quiet); font-size: .8rem; }
dd { margin: 0; overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
pre { background: var(--soft); border-radius: 6px; padding: .8rem 1rem; overflow-x: auto; font-size: .85rem;
  line-height: 1.5; margin: .8rem 0; }
code { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", monospace; }
:not(pre) > code { font-size: .88em; overflow-wrap: anywhere; }
details { margin: 1rem 0; }
summary { cursor: pointer; color: var(--link); width: fit-content; }
:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
@media (max-width: 60rem) {
  body { display: block; padding: 1.5rem 1.1rem 3rem; }
  nav { position: static; margin: 1.6rem 0 0; }
  nav ol { display: flex; flex-wrap: wrap; gap: .2rem 1rem; border: 0; }
  nav li { padding: 0; }
  h1 { font-size: 1.6rem; }
  .verdict { font-size: 1.08rem; }
  section { margin-top: 1.8rem; }
}
@media (max-width: 36rem) {
  .card { padding: .4rem; }
  .card img { min-width: calc(.7 * var(--natural)); }
  th, td { padding: .4rem .6rem; }
  th:first-child { min-width: 6.9rem; max-width: 7.5rem; }
  dl { grid-template-columns: repeat(auto-fill, minmax(9rem, 1fr)); }
}
@media print { nav { display: none; } body { display: block; } section { break-inside: avoid-page; } }
"""
