"""Hooks of mkdocs, which mkdocs.yml names: what the site does with docs/ beyond plain Markdown.

Links that leave docs/ lead to files of the repository. The site has a page of its own for each of
them, so that every link works without a network. A line `<!-- public names of PACKAGE -->` becomes
the package's docstring and those of the names that its `__init__.py` lists. A figure in SVG becomes part of
its page, so that it takes the page's colours.
"""

import ast
import logging
import pathlib
import posixpath
import re

import markdown
import mkdocs_autorefs
from mkdocs import plugins
from mkdocs.structure import files

ROOT = pathlib.Path(__file__).parents[1]
LINK = re.compile(r"\]\(((?:\.\./)+[^)#\s]+)(#[^)\s]*)?\)")
FIGURE = re.compile(r"^!\[([^\]]*)\]\((figures/[\w-]+\.svg)\)$", re.MULTILINE)
NAMES = re.compile(r"^<!-- public names of ([\w.]+) -->$", re.MULTILINE)
LANGUAGES = {".py": "python", ".md": "markdown", ".toml": "toml", ".txt": "text"}
_log = logging.getLogger("mkdocs.hooks.site")  # a warning ends `mkdocs build --strict`


class PlainBrackets(markdown.Extension):
    """Leaves `R[i][j]` as it stands, which mkdocs_autorefs takes for a reference to an object."""

    def extendMarkdown(self, md):  # Python-Markdown's name
        md.inlinePatterns.deregister(mkdocs_autorefs.AutorefsInlineProcessor.name, strict=False)


@plugins.event_priority(-100)
def on_config(config):
    """Adds `PlainBrackets`, after the extensions of the plugins."""
    config.markdown_extensions.append(PlainBrackets())
    return config


def on_files(found, config):
    """Adds a page for each file of the repository that a page of docs/ links to."""
    outside = {path for file in found.documentation_pages() for path in _outside(file.src_uri)}
    for path in sorted(outside):
        if not (ROOT / path).is_file():
            _log.warning("a page links to %s, which is no file of the repository", path)
            continue
        language = LANGUAGES.get(pathlib.Path(path).suffix, "text")
        text = (ROOT / path).read_text(encoding="utf-8")
        content = f"---\ntitle: {path}\nsearch: {{exclude: true}}\n---\n\n````{language}\n{text}\n````\n"
        found.append(files.File.generated(config, f"source/{path}.md", content=content))
    return found


def on_page_markdown(text, page, config, **_):
    """Puts in the links, figures and public names of one page."""
    here = page.file.src_uri
    if here.startswith("source/"):
        return text
    if here.startswith("results/"):
        page.meta["hide"] = ["toc"]  # their tables are wide
    text = LINK.sub(lambda found: _link(here, found), text)
    text = FIGURE.sub(lambda found: _figure(config, *found.groups()), text)
    return NAMES.sub(lambda found: _names(found[1]), text)


def _outside(page):
    """Paths, relative to the root, of the files outside docs/ that a page of docs/ links to."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    paths = (
        posixpath.normpath(posixpath.join("docs", posixpath.dirname(page), m[1])) for m in LINK.finditer(text)
    )
    return {path for path in paths if not path.startswith("docs/")}


def _link(page, found):
    folder = posixpath.join("docs", posixpath.dirname(page))
    path = posixpath.normpath(posixpath.join(folder, found[1]))
    if path.startswith("docs/"):
        return found[0]
    return f"]({posixpath.relpath(f'docs/source/{path}.md', folder)})"


def _figure(config, title, path):
    svg = (pathlib.Path(config["docs_dir"]) / path).read_text(encoding="utf-8")
    return f'<figure markdown="0">\n{svg.strip()}\n<figcaption>{title}</figcaption>\n</figure>'


def _names(package):
    """Markdown for mkdocstrings: a package's docstring, then its public names in the order in which that has them."""
    about = ast.get_docstring(_tree(package))
    names = sorted(_homes(package), key=lambda name: (f"`{name}`" not in about, about.find(f"`{name}`")))
    blocks = [about.partition("\n")[2], *(_name(package, name) for name in names)]
    return "\n\n".join(block for block in blocks if block)


def _name(package, name):
    path = _path(package, name)
    if _is_package(path):
        return ""  # it has a page of its own
    options = "    options:\n      members: true\n" if name == _homes(package)[name] else ""
    return f"## {name}\n\n::: {path}\n{options}"


def _path(package, name):
    """The dotted path of what a package calls `name`, where it is defined."""
    home = _homes(package)[name]
    if home == name:
        return f"{package}.{name}"
    if _is_package(f"{package}.{home}"):
        return _path(f"{package}.{home}", name)
    return f"{package}.{home}.{name}"


def _is_package(path):
    return (ROOT / path.replace(".", "/")).is_dir()


def _homes(package):
    """The dict of public names in a package's `__init__.py`, read without importing it."""
    for node in ast.walk(_tree(package)):
        if isinstance(node, ast.Dict) and node.keys and all(isinstance(k, ast.Constant) for k in node.keys):
            return ast.literal_eval(node)
    raise ValueError(f"{package} lists no public names.")


def _tree(package):
    path = ROOT / package.replace(".", "/") / "__init__.py"
    return ast.parse(path.read_text(encoding="utf-8"))
