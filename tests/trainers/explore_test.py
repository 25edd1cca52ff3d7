"""The page of `ltgans explore`: its answers, how the program starts and ends, and the page in a browser."""

import base64
import contextlib
import importlib.util
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import types
import urllib.request
from unittest import mock

import numpy as np
import pytest
from PIL import Image

from ltgans_tf import loading
from ltgans_tf.data import images
from ltgans_tf.trainers import explore
from tests import programs, source_imports

NAME = "ltgans_tf.trainers.explore"
BROWSER, DRIVER = "/usr/bin/chromium", "/usr/bin/chromedriver"
needs_gradio = pytest.mark.skipif(
    importlib.util.find_spec("gradio") is None, reason="gradio is not installed (requirements-explore.txt)"
)
needs_browser = pytest.mark.skipif(
    not (os.path.exists(BROWSER) and os.path.exists(DRIVER)), reason=f"there is no {BROWSER} with {DRIVER}"
)


def _decoded(page):
    """Returns the pictures in HTML, uint8 [h, w, 3] each."""
    found = re.findall(r"data:image/png;base64,([\w+/=]+)", page)
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(data)))) for data in found]


def test_answers_are_grids_with_their_names():
    made = np.zeros([9, 8, 8, 3], np.uint8) + np.arange(9, dtype=np.uint8)[:, None, None, None]
    page = explore.answered(lambda: [("cats & dogs", made), ("alone", made[:1])])
    grid, alone = _decoded(page)
    assert grid.shape == (2 * 68 - 4, 8 * 68 - 4, 3) and alone.shape == (192, 192, 3)
    assert grid[0, 68, 0] == 1 and grid[63, 68 + 63, 0] == 1 and grid[68, 0, 0] == 8
    assert "<figcaption>cats &amp; dogs</figcaption>" in page and 'alt="1 image: alone"' in page


def test_answers_are_sentences_where_nothing_can_be_shown():
    def refuse(name):
        raise ValueError(f"{name} is broken.")

    assert explore.answered(refuse, "<b>.png").strip() == '<p class="missing">&lt;b&gt;.png is broken.</p>'


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (["--workdir=/nowhere"], "there is no folder /nowhere; --workdir names a run or an export."),
        (["--port=1"], "--workdir is missing"),
        (["--workdir=.", "--port=70000"], "flag --port=70000"),
        (["--workdir=.", "--host=192.0.2.1"], "--host=192.0.2.1 --port=0 is not available"),
    ],
)
def test_bad_input_ends_in_one_sentence_and_status_2(arguments, sentence):
    done = programs.run(NAME, *arguments)
    assert done.returncode == 2 and not done.stdout
    assert done.stderr.startswith(f"error: {sentence}") and done.stderr.count("\n") == 1


def test_a_port_in_use_is_refused():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ValueError, match=f"--port={port} is not available"):
            explore.free_port("127.0.0.1", port)
    assert explore.free_port("127.0.0.1", 0) > 0


@pytest.mark.parametrize("domains, seeds", [([], [0, 1]), (["cats"], [0, 1]), (["cats", "dogs"], [0, 0])])
def test_the_ends_differ_by_their_seeds_where_there_is_no_other_collection(domains, seeds):
    gradio = mock.MagicMock()
    explore._Tabs(gradio, types.SimpleNamespace(domains=domains)).between(mock.MagicMock())
    asked = [(call.args[0], call.kwargs["label"]) for call in gradio.Number.call_args_list]
    assert asked == [(seeds[0], "From: seed"), (seeds[1], "To: seed")]


def test_a_page_that_does_not_answer_gets_a_sentence_of_its_own():
    def launch(**_):
        raise ValueError("When localhost is not accessible, a shareable link must be created.")

    gradio = types.SimpleNamespace(themes=types.SimpleNamespace(Default=dict))
    with pytest.raises(ValueError, match="^the page at http://127.0.0.1:8000 gave no answer within 3 sec"):
        explore._launch(gradio, types.SimpleNamespace(launch=launch), "127.0.0.1", 8000, False)


def test_without_gradio_one_sentence_says_what_to_install(tmp_path):
    (tmp_path / "gradio.py").write_text("raise ImportError('none here')")
    done = subprocess.run(
        [sys.executable, "-m", NAME, "--workdir=."],
        cwd=source_imports.ROOT,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2 and not done.stdout and done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: ltgans explore needs gradio") and "gradio==6.31.*" in done.stderr


@contextlib.contextmanager
def _served(workdir, temporary):
    """Starts the program; gives the process and the address that it prints."""
    process = subprocess.Popen(
        [sys.executable, "-m", NAME, f"--workdir={workdir}"],
        cwd=source_imports.ROOT,
        env={
            **os.environ,
            "TMPDIR": str(temporary),
            "GRADIO_SHARE": "True",
            "HTTP_PROXY": "http://127.0.0.1:9",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        lines = [process.stdout.readline(), process.stdout.readline()]
        assert "(Ctrl-C ends it)" in lines[1], (lines, process.poll() and process.stderr.read())
        yield process, re.search(r"http://127\.0\.0\.1:\d+", lines[1])[0]
    finally:
        process.kill()
        process.wait()


@needs_gradio
@pytest.mark.program
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_status_0_and_nothing_is_left(trained_by_program, tmp_path, number):
    workdir = trained_by_program("ltgan").workdir
    before = sorted(os.walk(workdir))
    with _served(workdir, tmp_path) as (process, address):
        with urllib.request.urlopen(address) as answer:
            assert "ltgans explore" in answer.read().decode()
        assert os.listdir(tmp_path)
        process.send_signal(number)
        assert process.wait(60) == 0 and process.stderr.read() == ""
    assert os.listdir(tmp_path) == [] and sorted(os.walk(workdir)) == before


class _Browser:
    """Chromium without a window, by the WebDriver protocol."""

    def __init__(self, folder):
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self._driver = subprocess.Popen([DRIVER, f"--port={port}"], stdout=subprocess.DEVNULL)
        self._address = f"http://127.0.0.1:{port}/session"
        words = ["headless", "no-sandbox", "disable-gpu", "disable-background-networking", "disable-sync"]
        options = {"binary": BROWSER, "args": [*words, f"user-data-dir={folder}", "window-size=1280,900"]}
        wanted = {"capabilities": {"alwaysMatch": {"goog:chromeOptions": options}}}
        self._address += "/" + wait_for(lambda: self._ask("", wanted), OSError)["sessionId"]

    def _ask(self, path, content):
        request = urllib.request.Request(self._address + path, json.dumps(content).encode())
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.load(answer)["value"]

    def open(self, address):
        self._ask("/url", {"url": address})

    def run(self, script, *arguments):
        """Returns what JavaScript returns."""
        return self._ask("/execute/sync", {"script": script, "args": arguments})

    def upload(self, path):
        """Gives a file to the last place for one; OSError where there is none yet."""
        found = {"using": "xpath", "value": "(//input[@type='file'])[last()]"}
        (element,) = self._ask("/element", found).values()
        self._ask(f"/element/{element}/value", {"text": str(path)})
        return True

    def close(self):
        with contextlib.suppress(OSError):
            urllib.request.urlopen(urllib.request.Request(self._address, method="DELETE"), timeout=30)
        self._driver.kill()
        self._driver.wait()


def wait_for(ask, expected=(), seconds=60):
    """Returns what `ask` returns as soon as that is true; `expected` are exceptions that mean: not yet."""
    end = time.monotonic() + seconds
    while True:
        with contextlib.suppress(*([expected] if isinstance(expected, type) else expected)):
            if found := ask():
                return found
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.2)


@pytest.fixture
def on_page(trained_by_program, tmp_path):
    """The page in a browser: gives the workdir, the browser, and the process that serves the page."""
    (tmp_path / "temporary").mkdir()
    workdir = trained_by_program("ltgan").workdir
    with _served(workdir, tmp_path / "temporary") as (process, address):
        with contextlib.closing(_Browser(tmp_path / "browser")) as browser:
            browser.open(address)
            yield workdir, browser, process


GRIDS = "return [...document.querySelectorAll('.grids img')].map(i => i.src).join()"
SENTENCES = "return [...document.querySelectorAll('.missing')].map(p => p.innerText).join()"
TYPE = """const box = document.querySelector(`input[type=number][aria-label*='${arguments[0]}']`);
          box.value = arguments[1]; for (const e of ['input', 'change']) box.dispatchEvent(new Event(e, {bubbles: true}))"""


def _turn_to(browser, tab):
    browser.run(
        "[...document.querySelectorAll('[role=tab]')].find(t => t.innerText == arguments[0]).click()", tab
    )


@needs_gradio
@needs_browser
@pytest.mark.program
def test_page_draws_other_images_for_another_seed_and_loads_nothing_from_elsewhere(on_page):
    workdir, browser, _ = on_page
    model = loading.load(workdir)
    drawn = {0: wait_for(lambda: browser.run(GRIDS))}
    browser.run("document.querySelector('button.others').click()")
    drawn[1] = wait_for(lambda: (now := browser.run(GRIDS)) != drawn[0] and now)
    for seed, page in drawn.items():
        grids = _decoded(page)
        assert len(grids) == len(model.domains) == 2
        for name, grid in zip(model.domains, grids):
            wanted = images.to_uint8(model.sample(16, seed, name)).numpy()
            np.testing.assert_array_equal(grid[:64:2, 68:132:2], wanted[1])
    for tab, words in (
        ("Over time", "after task 2"),
        ("Over time", "What was lost"),
        ("Between", "on the way"),
    ):
        _turn_to(browser, tab)
        wait_for(lambda: words in browser.run("return document.body.innerText"))
    loaded = browser.run("return performance.getEntriesByType('resource').map(e => e.name)")
    here = (browser.run("return location.origin"), "data:", "blob:")
    assert loaded and not [name for name in loaded if not name.startswith(here)]


@needs_gradio
@needs_browser
@pytest.mark.program
def test_what_cannot_be_shown_gets_a_sentence_on_the_page_and_no_traceback(on_page, tmp_path):
    _, browser, process = on_page
    wait_for(lambda: browser.run(GRIDS))
    browser.run(TYPE, "Images of each", "9999")
    wait_for(lambda: "the number of images is 9999; give one from 1 to 64." in browser.run(SENTENCES))
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    _turn_to(browser, "Rebuild")
    wait_for(lambda: browser.upload(tmp_path / "broken.jpg"), OSError)
    wait_for(lambda: "broken.jpg is broken or not an image." in browser.run(SENTENCES))
    process.terminate()
    assert process.wait(60) == 0 and process.stderr.read() == ""
