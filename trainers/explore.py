"""Opens a page, on this machine only, to try out a run or an export.

  ltgans explore --workdir=runs/demo

The page draws images, shows what the same latents gave after each task, goes from one image to another through the
Student's codes, and rebuilds images of your own. It needs no internet. It needs gradio, which is not in
requirements.txt but in requirements-explore.txt.
"""

import importlib
import os
import socket
import sys
import tempfile
import threading

from absl import flags

from ltgans_tf import trainers
from ltgans_tf.export import path_flags
from ltgans_tf.figures import sheets
from ltgans_tf.trainers import stopping
from ltgans_tf.trainers.reporting import html_page, phrases

_SIDE, _ALONE = 64, 192  # pixels to which small images are enlarged, in a grid and alone
_NO_GRADIO = (
    'ltgans explore needs gradio, which cannot be imported ({}): pip install "gradio==6.31.*", or in a checkout make'
    " explore, which installs it into an environment of its own."
)
_STYLE = """
footer { display: none !important; } .others { width: fit-content; }
.tab-container button { padding-inline: .7rem !important; }
figure { margin: 0 0 1rem; } figcaption, .note, small { color: var(--body-text-color); opacity: .75; font-size: .875rem; }
.card { overflow-x: auto; width: fit-content; max-width: 100%; background: #fff; padding: .5rem; border-radius: 6px;
  border: 1px solid var(--border-color-primary); }
.card img { display: block; max-width: 100%; height: auto; margin: 0; } .scroll { overflow-x: auto; }
.side .grids { display: flex; flex-wrap: wrap; gap: 0 1.5rem; } .side figure { min-width: 0; }
.gallery { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill, minmax(min(22rem, 100%), 1fr)); }
.missing { border-left: 3px solid var(--border-color-primary); padding-left: .9rem; }
h3 { margin: 1.5rem 0 .5rem; font-weight: 600; } ul { padding-left: 1.2rem; list-style: disc; }
th, td { padding: .3rem .8rem; text-align: right; white-space: nowrap; } td small { display: block; }
summary { cursor: pointer; margin: .5rem 0; }
@media (max-width: 36rem) { .wide figure > .card > img { min-width: calc(.7 * var(--natural)); } }
"""


def main(argv):
    """Serves the page until Ctrl-C or SIGTERM, and ends with status 0."""
    del argv
    given = flags.FLAGS
    stopping.on_signals(lambda *_: sys.exit(0))
    if not os.path.isdir(given.workdir):
        raise ValueError(f"there is no folder {given.workdir}; --workdir names a run or an export.")
    port = free_port(given.host, given.port)
    with tempfile.TemporaryDirectory(prefix="ltgans_explore_") as folder:
        gradio = _gradio(folder)
        print(f"loading {given.workdir}", flush=True)
        trainers.import_tensorflow()
        from ltgans_tf.trainers import explored

        shown = explored.Explored(given.workdir, given.method)
        _launch(gradio, _blocks(gradio, shown), given.host, port, given.open)
        print(f"{shown.title} is at http://{given.host}:{port} (Ctrl-C ends it)", flush=True)
        threading.Event().wait()  # gradio serves in threads that end with this one


def free_port(host, port):
    """Returns `port`, or a free port for 0; ValueError if the address is not available."""
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((host, port))
        except OSError as error:
            raise ValueError(
                f"--host={host} --port={port} is not available ({error.strerror}); give another port, or --port=0 for a free one."
            ) from error
        return tried.getsockname()[1]


def _gradio(folder):
    """Imports gradio so that it keeps uploads in `folder`, reports nothing, and ignores settings in the environment."""
    for name in [name for name in os.environ if name.startswith("GRADIO_")]:
        del os.environ[name]
    os.environ |= {"GRADIO_TEMP_DIR": folder, "GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_OFFLINE": "1"}
    os.environ["no_proxy"] = "*"  # gradio asks its own server whether it is up
    try:
        return importlib.import_module("gradio")  # not a requirement of this project
    except ImportError as error:
        raise ValueError(_NO_GRADIO.format(error)) from error


def _launch(gradio, blocks, host, port, browser):
    fonts = {"font": ["system-ui", "sans-serif"], "font_mono": ["ui-monospace", "monospace"]}
    try:
        blocks.launch(
            server_name=host,
            server_port=port,
            inbrowser=browser,
            share=False,
            quiet=True,
            prevent_thread_lock=True,
            theme=gradio.themes.Default(primary_hue="teal", **fonts),
            css=_STYLE,
            footer_links=[],
            run_history=False,
            ssr_mode=False,
            mcp_server=False,
            enable_monitoring=False,
            max_file_size="100mb",
        )
    except ValueError as error:
        if "localhost is not accessible" not in str(error):
            raise
        raise ValueError(
            f"the page at http://{host}:{port} gave no answer within 3 seconds; try again when the machine is less busy."
        ) from error


def _blocks(gradio, explored):
    """Builds the page of an `explored.Explored`: gradio.Blocks."""
    tabs = _Tabs(gradio, explored)
    lead = html_page.join([html_page.tag("h1", explored.title), _note(explored.about)])
    with gradio.Blocks(title=f"{explored.title}: ltgans explore", analytics_enabled=False) as blocks:
        gradio.HTML(lead)
        with gradio.Tab("Draw"):
            tabs.draw(blocks)
        with gradio.Tab("Over time") as tab:
            tabs.over_time(tab) if explored.is_run else gradio.HTML(_missing(explored.NEEDS_RUN))
        with gradio.Tab("Between") as tab:
            tabs.with_student(tabs.between, tab)
        with gradio.Tab("Rebuild") as tab:
            tabs.with_student(tabs.rebuild, tab)
    return blocks


class _Tabs:
    """Fills the tabs of the page; a sentence takes the place of what cannot be shown."""

    def __init__(self, gradio, explored):
        self._gradio, self._explored = gradio, explored
        self._lock = threading.Lock()  # one answer at a time

    def draw(self, blocks):
        with self._gradio.Row():
            domain = self._domain("all")
            label = "Images of each" if self._explored.domains else "Images"
            count = self._slider(1, self._explored.MOST, 16, 1, label)
            seed = self._seed()
            truncation = self._slider(0, 1, 1, 0.05, "Variety (truncation)")
        self._button(seed)
        controls = [domain, count, seed, truncation]
        self._answer(self._explored.draw, controls, [blocks.load], "side", preprocess=False)

    def over_time(self, tab):
        with self._gradio.Row():
            controls = [self._domain(), self._slider(1, self._explored.MOST, 8, 1, "Images")]
        told = "The same latents (random inputs) after each task, as the run kept them."
        self._gradio.HTML(_note(told))
        self._answer(self._explored.over_time, controls, [tab.select], preprocess=False)
        self._answer(self._explored.scores, [], [tab.select], "wide")

    def between(self, tab):
        controls = []
        with self._gradio.Row():
            for last, title in enumerate(("From", "To")):
                with self._gradio.Column():
                    # If there is only one collection, different seeds make the ends differ.
                    other = last and len(self._explored.domains) < 2
                    controls.append(self._domain(label=f"{title}: collection", last=last))
                    controls.append(self._seed(f"{title}: seed", 1 if other else 0))
                    controls.append(self._gradio.File(label="or an image of your own", height=150))
        self._answer(self._between, controls, [tab.select], "wide")

    def _between(self, *asked):
        sheet = self._explored.between(self._explored.end(*asked[:3]), self._explored.end(*asked[3:]))
        caption = "Both images are encoded; the codes on the way from one to the other are decoded."
        return html_page.picture(sheet, "images on the way from one to the other", caption)

    def rebuild(self, tab):
        file = self._gradio.File(label="An image of your own", height=160)
        self._answer(lambda path: self._explored.rebuild(path) if path else "", [file], [tab.select], "side")

    def with_student(self, fill, tab):
        """Fills a tab that needs a Student, or says that there is none."""
        try:
            self._explored.student
        except ValueError as error:
            self._gradio.HTML(_missing(error))
        else:
            fill(tab)

    def _domain(self, everything=None, label="Collection", last=False):
        names = self._explored.domains
        choices = [(everything, 0)] * bool(everything) + [(name, i) for i, name in enumerate(names, 1)]
        value = choices[-1 if last else 0][1] if names else None
        return self._gradio.Dropdown(choices, value=value, label=label, visible=bool(names))

    def _slider(self, least, most, value, step, label):
        return self._gradio.Slider(least, most, value, step=step, label=label)

    def _seed(self, label="Seed", value=0):
        return self._gradio.Number(value, label=label, precision=0)

    def _button(self, seed):
        """Adds a button that chooses the next seed."""
        button = self._gradio.Button("Other images", size="sm", elem_classes="others")
        button.click(lambda n: (n or 0) + 1, seed, seed, api_visibility="private")

    def _answer(self, function, controls, events=(), style=None, preprocess=True):
        """Shows the result of `function` on the values of `controls`, on `events` and when a control changes.

        With `preprocess`, gradio first processes the values, which files need; for a wrong value it prints a traceback.
        """

        def answer(*values):
            with self._lock:
                return answered(function, *values)

        shown = self._gradio.HTML(_note("One moment."), elem_classes=style)
        events = [*events, *(control.change for control in controls)]
        settings = {"trigger_mode": "always_last", "api_visibility": "private", "show_progress": "minimal"}
        self._gradio.on(events, answer, controls, shown, preprocess=preprocess, **settings)


def answered(function, *values):
    """Returns the text or pictures of `function(*values)` as HTML; on an error, the error's sentence."""
    try:
        found = function(*values)
    except (ValueError, OSError) as error:
        return _missing(error)
    return found if isinstance(found, str) else _pictures(found)


def _pictures(named, columns=8):
    """Returns named images, [(name, uint8 [n, H, W, C])], as HTML: one grid for each name."""
    shown = []
    for name, made in named:
        zoom = max(1, (_SIDE if len(made) > 1 else _ALONE) // made.shape[2])
        grid = sheets.grid(made.repeat(zoom, 1).repeat(zoom, 2), min(columns, len(made)), pad=4)
        shown.append(html_page.picture(grid, f"{phrases.count(made, 'image')}: {name}", name))
    return html_page.tag("div", shown, class_="grids")


def _note(text):
    return html_page.tag("p", text, class_="note")


def _missing(error):
    return html_page.tag("p", error, class_="missing")


if __name__ == "__main__":
    path_flags.define_path(
        "workdir", None, "A run, its exports folder, or a version folder in it.", required=True
    )
    flags.DEFINE_string(
        "host", "127.0.0.1", "Address to listen on; others than 127.0.0.1 let other machines in."
    )
    flags.DEFINE_integer("port", 0, "Port to listen on; 0 for a free one.", 0, 65535)
    flags.DEFINE_bool("open", False, "Open the page in a browser.")
    trainers.define_method()
    trainers.run(main)
