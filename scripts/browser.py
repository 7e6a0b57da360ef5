"""The tests' browser. `python -m scripts.browser` says which one, and tries to get one if none is there."""

import os
import shutil
import subprocess
import sys

from playwright.sync_api import sync_playwright

from . import packages

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PLACES = (  # where it is on systems that do not put it on the PATH
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    r"C:\Program Files\Google\Chrome\Application\chrome.exe",
    r"C:\Program Files (x86)\Microsoft\Edge\Application\msedge.exe",
)
HOW = "install Chromium or Google Chrome, or set BROWSER_PATH to the program of one"


def find():
    """The path of a Chromium: what BROWSER_PATH names, else an installed one, else Playwright's; None if there is
    none."""
    if os.environ.get("BROWSER_PATH"):
        return os.environ["BROWSER_PATH"]
    for path in (*map(shutil.which, NAMES), *PLACES):
        if path and _runs(path):
            return path
    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if _runs(path) else None


def _runs(path):
    """Whether the program is there, and all that it needs: on Ubuntu, `chromium-browser` may but point to a snap."""
    if not os.path.exists(path):
        return False
    if os.name == "nt":  # there it would open a window
        return True
    try:
        return subprocess.run([path, "--version"], capture_output=True, timeout=60).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def install():
    """Try to get a Chromium, from the system's packages, else by Playwright."""
    packages.install("chromium")
    if not find():
        packages.attempt([sys.executable, "-m", "playwright", "install", "chromium"], 300)


if __name__ == "__main__":
    path = find()
    if path is None:
        install()
        path = find()
    print(f"The browser tests use {path}." if path else f"The browser tests will be skipped; to run them, {HOW}.")
