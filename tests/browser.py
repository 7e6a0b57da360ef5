"""What the browser tests need: the programs that show the pad, a notebook in JupyterLab and the web app, and the pad as
a person meets it, who draws and looks."""

import base64
import io
import os
import re
import secrets
import socket
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import numpy as np
import psutil
from nbformat.v4 import new_code_cell, new_notebook
from PIL import Image
from playwright.sync_api import expect

from mnist_helpers.pad.strokes import Drawing, render

ROOT = Path(__file__).resolve().parent.parent
SCREENSHOTS = ROOT / "screenshots"
PATIENCE = 30_000  # milliseconds; a slow machine may need seconds for what takes a hundredth on a fast one
BROWSER = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
CODE = [
    "import mnist_helpers as mh\npad = mh.draw(mh.load_pretrained(), mh.load_mnist())\npad",
    "pad.as_mnist",
    "1 + 1",
]
EMPTY = "The pad is empty"

# Figures, as strokes from 0 to 1. The network is sure of the digits on the full data and on the offline sample, and
# not of the others.
SEVEN = [[(0.3, 0.25), (0.7, 0.25), (0.45, 0.8)]]
CORNER_SEVEN = [[(0.05, 0.05), (0.25, 0.05), (0.12, 0.3)]]
ONE = [[(0.52, 0.2), (0.48, 0.8)]]
FOUR = [[(0.35, 0.2), (0.3, 0.55), (0.7, 0.55)], [(0.62, 0.3), (0.6, 0.85)]]
LETTER_A = [[(0.2, 0.9), (0.5, 0.1), (0.8, 0.9)], [(0.3, 0.6), (0.7, 0.6)]]
SCRIBBLE = [
    [(0.2, 0.2), (0.8, 0.3), (0.2, 0.4), (0.8, 0.5), (0.2, 0.6), (0.8, 0.7), (0.2, 0.8), (0.5, 0.1), (0.9, 0.9)]
]


# The programs


class Server:
    """A program of Jupyter on a free port of this machine, away from the user's settings."""

    def __init__(self, name, module, folder, *arguments):
        self.name = name
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.host = f"127.0.0.1:{self.port}"
        self.log = folder / "log"
        kinds = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "JUPYTERLAB_WORKSPACES_DIR")
        folders = {kind: str(folder / kind.lower()) for kind in kinds}
        for place in folders.values():
            os.mkdir(place)  # nbformat's older versions do not, and fail
        with open(self.log, "w") as log:
            self.process = psutil.Popen(
                [sys.executable, "-m", module, "--no-browser", f"--port={self.port}", *arguments],
                cwd=ROOT,
                env=os.environ | folders | {"JUPYTERLAB_SETTINGS_DIR": str(folder / "settings")},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def wait(self, seconds=180):
        """Until it listens."""
        for _ in range(10 * seconds):
            if self.process.poll() is not None:
                break
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.1)
        raise RuntimeError(f"{self.process.args} does not answer:\n{self.log.read_text()[-3000:]}")

    def stop(self):
        """End it and its kernels, which are no part of its process group."""
        if not self.process.is_running():
            return
        self.process.suspend()  # or it would start another kernel meanwhile
        processes = [*self.process.children(recursive=True), self.process]
        for process in processes:
            process.kill()
        psutil.wait_procs(processes, timeout=30)


def serve_lab(folder):
    """JupyterLab with a notebook that shows the pad, and no questions about news."""
    settings = folder / "settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    (settings / "notification.jupyterlab-settings").write_text('{"fetchNews": "false", "checkForUpdates": false}')
    notebooks = settings.parent / "notebook-extension"
    notebooks.mkdir()
    (notebooks / "tracker.jupyterlab-settings").write_text('{"windowingMode": "none"}')  # all cells can be looked at
    (settings / "themes.jupyterlab-settings").write_text('{"adaptive-theme": true}')  # dark where the browser is
    (folder / "root").mkdir()
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    nbformat.write(new_notebook(cells=[*map(new_code_cell, CODE)], metadata=kernel), folder / "root" / "pad.ipynb")
    token = secrets.token_hex()
    as_root = ["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    server = Server(
        "lab",
        "jupyterlab",
        folder,
        "--ip=127.0.0.1",
        "--ServerApp.port_retries=0",
        f"--IdentityProvider.token={token}",
        f"--ServerApp.root_dir={folder / 'root'}",
        *as_root,
    )
    server.address = f"http://{server.host}/lab/tree/pad.ipynb?reset&token={token}"
    return server


def serve_app(folder):
    """The web app as `make app` serves it."""
    server = Server(
        "app",
        "scripts.app",
        folder,
        "--Voila.ip=127.0.0.1",
        "--Voila.port_retries=0",
        f"--Voila.connection_dir_root={folder}",
    )
    server.address = f"http://{server.host}/"
    return server


# The pad


class Pad:
    """A pad on a page, as a person meets it.

    Attributes:
        name: of the front end, "lab" or "app".
        page: Playwright's.
        surface: what one draws on.
        sentence: the answer in words.
        requests: of the page since it was opened, each `(url, "answered" or why it failed)`.
        errors: of the page's JavaScript.
    """

    def __init__(self, context, server):
        self.name, self.host = server.name, server.host
        self.page = context.new_page()
        self.size = self.page.viewport_size
        self.page.set_default_timeout(PATIENCE)
        self.errors, self.requests = [], []
        self.page.on("pageerror", lambda error: self.errors.append(error.stack or str(error)))
        self.page.on("requestfailed", lambda request: self.requests.append((request.url, request.failure)))
        self.page.on("requestfinished", lambda request: self.requests.append((request.url, "answered")))
        self.page.goto(server.address, timeout=120_000)
        self.root = self.page.locator(".digit-pad")
        self.surface, self.sentence = self.part("pad"), self.part("sentence")
        self.bars = self.part("bars").locator(".bar")

    def run_all_cells(self):
        """Of a notebook, until the pad is there. Before the kernel is ready, JupyterLab calls it idle, and forgets what
        it was told to run."""
        self.page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status=idle]", timeout=120_000)
        prompt = self.page.locator(".jp-CodeCell .jp-InputPrompt").first
        deadline = time.monotonic() + 120
        while not self.root.count():
            assert time.monotonic() < deadline, "the notebook does not run"
            if prompt.inner_text() == "[ ]:":
                self.page.get_by_role("menuitem", name="Run", exact=True).click()
                self.page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
            self.page.wait_for_timeout(1000)

    def part(self, name):
        return self.root.locator(f"[data-part={name}]")

    def panel(self, name):
        return self.root.locator(f"details[data-panel={name}]")

    def open(self, *names):
        """Open these panels and close the others."""
        for name in ("layers", "map", "mine", "fool"):
            if (self.panel(name).get_attribute("open") is not None) != (name in names):
                self.panel(name).locator("summary").click()

    def reset(self):
        """Make it as new, except for the chosen unit and the keyboard's cursor, whatever the last test left."""
        self.page.mouse.up()
        self.page.emulate_media(color_scheme="light")
        self.page.set_viewport_size(self.size)
        if self.part("kept").locator("button").count():
            self.open("mine")
        for left in reversed(range(self.part("kept").locator("button").count())):
            self.part("forget").click()
            expect(self.part("kept").locator("button")).to_have_count(left)
        if self.part("clear").is_enabled():
            self.part("clear").click()
        self.open("layers")
        self.part("fit").get_by_label("centred like MNIST").check()
        if self.part("network").count():
            self.part("network").get_by_label("MLP").check()
            expect(self.sentence).not_to_contain_text("Preparing", timeout=180_000)
        expect(self.sentence).to_contain_text(EMPTY)
        assert not self.image().any()

    def screenshot(self, name):
        """Keep what the page looks like, for people."""
        SCREENSHOTS.mkdir(exist_ok=True)
        self.page.mouse.move(1, 1)
        self.surface.evaluate("pad => pad.scrollIntoView({block: 'center'})")
        self.page.screenshot(path=SCREENSHOTS / f"{self.name}_{name}.png")

    # Drawing

    def at(self, x, y):
        """Where a point of the pad is on the page."""
        box = self.surface.bounding_box()
        return box["x"] + x * box["width"], box["y"] + y * box["height"]

    def draw(self, strokes, steps=6):
        """With the mouse."""
        self.surface.scroll_into_view_if_needed()
        for stroke in strokes:
            self.page.mouse.move(*self.at(*stroke[0]))
            self.page.mouse.down()
            for point in stroke[1:]:
                self.page.mouse.move(*self.at(*point), steps=steps)
            self.page.mouse.up()

    def settle(self):
        """Wait till the image is the one that Python makes of the strokes; a look at half a stroke may come first."""
        fit = self.part("fit").get_by_label("centred like MNIST").is_checked()
        deadline = time.monotonic() + PATIENCE / 1000
        while (self.image() != render(Drawing(self.strokes()), fit=fit).numpy()).any():
            assert time.monotonic() < deadline, "the image that is shown is not that of the strokes that are shown"
            self.page.wait_for_timeout(20)

    def answers(self, digit):
        """Wait till the network says that it is this digit."""
        self.settle()
        expect(self.sentence).to_contain_text(f"The network says {digit} with")
        expect(self.part("verdict")).to_have_text(str(digit))

    def doubts(self):
        """Wait till it says that it is not sure."""
        self.settle()
        expect(self.sentence).to_contain_text(re.compile("^Not sure"))
        expect(self.part("verdict")).to_have_text("?")

    # Looking

    def strokes(self):
        """The strokes that are on the pad, each an array `(points, 2)`."""
        lines = self.part("ink").locator("polyline").evaluate_all("all => all.map(each => each.getAttribute('points'))")
        return [np.array(re.split("[ ,]", line), float).reshape(-1, 2) for line in lines]

    def image(self):
        """The 28×28 image that the network sees."""
        picture = canvas(self.part("image"))
        assert picture.shape == (28, 28, 3)
        assert (picture == picture[..., :1]).all()  # grey
        return picture[..., 0]

    def shares(self):
        """How far each bar is filled, from 0 to 1, as it is on the screen."""
        inner = "bar => bar.firstChild.getBoundingClientRect().width / bar.getBoundingClientRect().width"
        return np.array(self.bars.evaluate_all(f"bars => bars.map({inner})"))

    def colour(self, name):
        """One of the pad's colours, such as "accent", as the screen shows it."""
        return self.root.evaluate(
            """(root, name) => {
              const probe = root.appendChild(document.createElement("i"));
              probe.style.color = `var(--${name})`;
              const brush = new OffscreenCanvas(1, 1).getContext("2d");
              brush.fillStyle = getComputedStyle(probe).color;
              brush.fillRect(0, 0, 1, 1);
              probe.remove();
              return [...brush.getImageData(0, 0, 1, 1).data].slice(0, 3);
            }""",
            name,
        )

    def inked(self, *points):
        """Whether the screen shows a dark pixel within two pixels of these points of the pad."""
        screen = pixels(self.surface).max(2)
        places = [(round(y * (len(screen) - 1)), round(x * (len(screen[0]) - 1))) for x, y in points]
        return [screen[max(0, y - 2) : y + 3, max(0, x - 2) : x + 3].min() < 90 for y, x in places]


def canvas(locator):
    """What was painted on a canvas, `uint8 (height, width, 3)`."""
    address = locator.evaluate("canvas => canvas.toDataURL()")
    with io.BytesIO(base64.b64decode(address.partition(",")[2])) as file:
        return np.array(Image.open(file).convert("RGB"))


def pixels(shown, **how):
    """What the screen shows of something, `uint8 (height, width, 3)`."""
    with io.BytesIO(shown.screenshot(**how)) as file:
        return np.array(Image.open(file).convert("RGB"))


def centre(image):
    """Of the ink's mass: x and y, in pixels."""
    rows, columns = np.indices(image.shape)
    return (columns * image).sum() / image.sum(), (rows * image).sum() / image.sum()


def has(picture, colour):
    """Where a picture has this colour, up to rounding: `bool (height, width)`."""
    return (abs(picture.astype(int) - colour) <= 2).all(2)


def colours(picture):
    """How many pixels each of a picture's colours has."""
    return np.unique(picture.astype(int) @ (65536, 256, 1), return_counts=True)[1]


def names(pad):
    """What a screen reader says: role and name of everything on the pad that can be used, and of every picture."""
    session = pad.page.context.new_cdp_session(pad.page)
    document = session.send("DOM.getDocument")["root"]["nodeId"]
    node = session.send("DOM.querySelector", {"nodeId": document, "selector": ".digit-pad"})["nodeId"]
    nodes = session.send("Accessibility.queryAXTree", {"nodeId": node})["nodes"]
    said = [(each["role"]["value"], each.get("name", {}).get("value", "")) for each in nodes if not each["ignored"]]
    kinds = ("button", "radio", "checkbox", "textbox", "link", "application", "image", "img")
    return [(role, name) for role, name in said if role in kinds]


def contrasts(root):
    """Of every text in `root` that can be seen: the text, its contrast to what is behind it as WCAG measures it, from 1
    to 21, and whether it is large."""
    return root.evaluate(
        """root => {
          const brush = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
          const paint = (colour, alpha = 1) =>
            Object.assign(brush, { fillStyle: colour, globalAlpha: alpha }).fillRect(0, 0, 1, 1);
          const luminance = () => {
            const [r, g, b] = [...brush.getImageData(0, 0, 1, 1).data].map((value) => value / 255)
              .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
          };
          const found = [], walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
          while (walker.nextNode()) {
            const text = walker.currentNode.data.trim(), holder = walker.currentNode.parentElement;
            if (!text || !holder.checkVisibility({ visibilityProperty: true, opacityProperty: true })) continue;
            if (holder.closest("svg, style, script, :disabled")) continue;
            const style = getComputedStyle(holder), around = [];
            for (let box = holder; box; box = box.parentElement) around.unshift(getComputedStyle(box));
            paint("white");
            for (const each of around) paint(each.backgroundColor);
            const behind = luminance();
            paint(style.color, around.reduce((alpha, each) => alpha * each.opacity, 1));
            const [low, high] = [behind, luminance()].sort((a, b) => a - b), size = parseFloat(style.fontSize);
            found.push([text, (high + 0.05) / (low + 0.05), size >= 24 || (size >= 18.6 && style.fontWeight >= 700)]);
          }
          return found;
        }"""
    )
