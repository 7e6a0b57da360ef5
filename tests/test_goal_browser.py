"""The sliders that reach a goal, in JupyterLab: moved by keys, tries on the map and in the table, the goal said."""

import nbformat
import pytest
from browser import BROWSER, PATIENCE, SCREENSHOTS, contrasts, serve_lab
from nbformat.v4 import new_code_cell, new_notebook
from playwright.sync_api import expect, sync_playwright

from scripts.browser import HOW, find

expect.set_options(timeout=PATIENCE)
BARS = """
import torch
import mnist_helpers as mh
from mnist_helpers.data import MNIST, Source
labels = torch.arange(1000) % 10
images = torch.zeros(1000, 28, 28, dtype=torch.uint8)
for digit in range(10):
    images[labels == digit, 2 * digit : 2 * digit + 6] = 255  # a bar at a height of its own is soon learnt
bars = mh.Split(images, labels)
goal = mh.reach_goal(MNIST(bars, bars[:100], bars[:100], Source("bars", is_sample=True)))
goal
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """JupyterLab with the sliders, for images that are few and easy. The browser ends with this file."""
    path = find()
    if path is None:
        pytest.skip(f"no browser was found: {HOW}")
    folder = tmp_path_factory.mktemp("lab")
    server = serve_lab(folder)
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    cells = [new_code_cell(BARS.strip()), new_code_cell("goal.best")]
    nbformat.write(new_notebook(cells=cells, metadata=kernel), folder / "root" / "goal.ipynb")
    try:
        server.wait()
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=path, args=BROWSER)
            page = browser.new_page(viewport={"width": 1280, "height": 1000})
            page.set_default_timeout(PATIENCE)
            page.goto(server.address.replace("pad.ipynb", "goal.ipynb"), timeout=120_000)
            page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status=idle]", timeout=120_000)
            run(page, 0)
            page.wait_for_selector(".digit-goal", timeout=120_000)
            yield page
            browser.close()
    finally:
        server.stop()


def run(page, index):
    cell = page.locator(".jp-CodeCell").nth(index)
    cell.locator(".jp-InputArea-editor").click()
    page.keyboard.press("Control+Enter")
    return cell.locator(".jp-OutputArea-output").first


def sliders(page):
    return page.get_by_role("slider", name="batch size"), page.get_by_role("slider", name="learning rate")


def train(page):
    """Press the button by key, and wait till the kernel has answered."""
    button = page.get_by_role("button", name="Train one epoch")
    button.focus()
    page.keyboard.press("Enter")
    expect(button).to_have_attribute("aria-disabled", "true")
    expect(button).not_to_have_attribute("aria-disabled", "true")
    expect(button).to_be_focused()


def test_the_sliders_are_named_and_moved_by_keys(page):
    batch, rate = sliders(page)
    expect(page.get_by_role("group", name="Reach 87.0\u00a0% on validation with one epoch")).to_be_visible()
    expect(batch).to_have_attribute("aria-valuetext", "512")
    expect(rate).to_have_attribute("aria-valuetext", "0.008")
    rate.focus()
    page.keyboard.press("ArrowLeft")
    expect(rate).to_have_attribute("aria-valuetext", "0.004")
    page.keyboard.press("Home")
    expect(rate).to_have_attribute("aria-valuetext", "0.0005")
    batch.focus()
    page.keyboard.press("ArrowDown")
    expect(batch).to_have_attribute("aria-valuetext", "256")
    expect(batch).to_be_focused()  # and not the notebook's next cell
    page.keyboard.press("End")
    expect(batch).to_have_attribute("aria-valuetext", "512")  # no batch is larger than the images there are
    expect(page.locator(".digit-goal tbody tr")).to_have_count(0)
    expect(page.get_by_role("status").filter(has_text="Nothing tried yet.")).to_be_visible()


def test_a_try_is_one_row_and_one_place_on_the_map(page):
    train(page)
    rows, places = page.locator(".digit-goal tbody tr"), page.locator(".digit-goal rect.tried")
    expect(rows).to_have_count(1)
    expect(places).to_have_count(1)
    expect(rows.first.locator("td").nth(3)).to_have_text("2")  # steps
    said = page.get_by_role("status").filter(has_text="Batch size 512, learning rate 0.0005: 2 steps,")
    expect(said).to_contain_text("The goal is 87.0\u00a0%.")
    train(page)  # the same again is no other try
    expect(rows).to_have_count(1)


def test_a_try_that_reaches_the_goal_is_said_so(page):
    batch, rate = sliders(page)
    for slider, key, times in ((batch, "ArrowLeft", 5), (rate, "ArrowRight", 2)):
        slider.focus()
        for _ in range(times):
            page.keyboard.press(key)
    train(page)
    rows = page.locator(".digit-goal tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.first.locator("td").nth(1)).to_have_text("16")  # the latest stands on top
    expect(page.get_by_role("status").filter(has_text="Batch size 16")).to_contain_text("That is the goal.")
    expect(page.locator(".digit-goal rect.reached")).to_have_count(1)
    expect(page.locator(".digit-goal text.reached")).to_contain_text("★")
    expect(run(page, 1)).to_have_text("(16, 0.002)")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_word_can_be_read(page, scheme):
    page.emulate_media(color_scheme=scheme)
    page.wait_for_timeout(1500)  # the theme is fetched
    box = page.locator(".digit-goal")
    for text, contrast, _large in contrasts(box):
        assert contrast >= 4.5, (text, contrast)
    for width in (1280, 1024):
        page.set_viewport_size({"width": width, "height": 1000})
        assert not box.evaluate("box => box.scrollWidth > box.clientWidth + 1")
        SCREENSHOTS.mkdir(exist_ok=True)
        page.screenshot(path=SCREENSHOTS / f"goal_{scheme}_{width}.png")
