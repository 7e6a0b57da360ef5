"""The drawing pad's speed: Python's share of a stroke, and in a real browser from the end of a stroke to updated bars.

    python benchmarks/pad.py          about two minutes; without a browser only Python's share

The strokes are those of the recorded digits. Browser, web app and kernel share this machine's cores.
"""

import itertools
import socket
import statistics
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

from hardware import describe
from playwright.sync_api import sync_playwright

import mnist_helpers as mh

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
from scripts.browser import find  # noqa: E402

# Notes when the pointer was last released on the pad, and when the bars were last painted after a change. (A stroke
# that takes long is looked at before it ends, so the first change after its end may be the answer to half of it.)
WATCH = """() => {
  document.querySelector(".pad").addEventListener("pointerup", () => (window.released = performance.now()), true);
  const painted = () => requestAnimationFrame(() => (window.painted = performance.now()));
  const changes = { childList: true, subtree: true, characterData: true };
  new MutationObserver(painted).observe(document.querySelector("[data-part=bars]"), changes);
}"""


def summary(milliseconds):
    """Median, 95th percentile and n."""
    p95 = statistics.quantiles(milliseconds, n=20)[-1]
    return f"median {statistics.median(milliseconds):.1f} ms, 95 % within {p95:.1f} ms (n = {len(milliseconds)})"


def growing(drawings):
    """Every state of the pad while `drawings` come into being, stroke by stroke."""
    for drawing in drawings:
        for count in range(1, len(drawing.strokes) + 1):
            yield [stroke.tolist() for stroke in drawing.strokes[:count]]


def python_share(drawings):
    """Render, fit, forward, judge, activations and what is sent: all that Python does for a stroke."""
    networks = {"MLP": mh.load_pretrained(), "CNN": mh.load_pretrained(name="cnn")}
    pad = mh.draw(networks, mh.load_mnist())
    for network, opened in itertools.product(networks, (["layers"], ["layers", "map"])):
        pad.network, pad.opened = network, opened
        taken = []
        for strokes in growing(drawings):
            start = time.perf_counter()
            pad.strokes = strokes
            taken.append(1000 * (time.perf_counter() - start))
        panels = " and ".join(opened)
        print(f"Python's share of a stroke, {network}, open panels {panels}: {summary(taken[10:])}")  # ten warm up


@contextmanager
def web_app():
    """The address of the web app, served as `make app` does."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "scripts.app"]
    options = ["--no-browser", f"--port={port}", "--Voila.ip=127.0.0.1"]
    server = subprocess.Popen([*command, *options], cwd=ROOT, stderr=subprocess.PIPE, text=True)
    try:
        next(line for line in server.stderr if "is running" in line)
        yield f"http://127.0.0.1:{port}/"
    finally:
        server.terminate()
        server.wait()


def browser_share(drawings, executable):
    """From the end of a stroke to the painted bars, and the bytes that travel for it."""
    with web_app() as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1280, "height": 1000})
        sent, received = [], []
        page.on("websocket", lambda socket: socket.on("framesent", lambda data: sent.append(len(data))))
        page.on("websocket", lambda socket: socket.on("framereceived", lambda data: received.append(len(data))))
        page.goto(address, timeout=120_000)
        pad = page.locator(".digit-pad .pad")
        pad.wait_for(timeout=120_000)
        page.wait_for_function("document.querySelector('[data-part=sentence]').textContent")
        box = pad.bounding_box()
        page.evaluate(WATCH)
        up, down, taken = [], [], []
        for drawing in drawings:
            for stroke in drawing.strokes:
                points = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in stroke]
                sent.clear()
                received.clear()
                page.mouse.move(*points[0])
                page.mouse.down()
                for point in points[1:]:
                    page.mouse.move(*point)
                page.mouse.up()
                page.wait_for_timeout(1000)
                taken.append(page.evaluate("window.painted - window.released"))
                up.append(sum(sent))
                down.append(sum(received))
            page.locator("[data-part=clear]").click()
            page.wait_for_timeout(200)  # until the answer to that has come
        late = [milliseconds for milliseconds in taken[10:] if milliseconds > 0]  # else it was all looked at before
        print(f"Browser, end of a stroke to painted bars: {summary(late)}")
        for name, sizes in (("from the browser", up), ("to the browser", down)):
            middle, largest = statistics.median(sizes), max(sizes)
            print(f"Bytes a stroke {name}: median {middle:,.0f}, largest {largest:,} (n = {len(sizes)})")
        browser.close()


def main():
    print(describe())
    drawings = [drawing for drawing in mh.load_drawings() if drawing.label is not None]
    python_share(drawings)
    executable = find()
    if executable is None:
        raise SystemExit("No browser was found: `python scripts/browser.py` tries to install one.")
    browser_share(drawings[::2], executable)


if __name__ == "__main__":
    main()
