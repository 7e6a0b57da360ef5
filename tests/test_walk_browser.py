"""The walk of a kernel and the drawings as people meet them: in JupyterLab, by mouse and keys, live and stored."""

import nbformat
import numpy as np
import pytest
import torch
from browser import BROWSER, PATIENCE, SCREENSHOTS, contrasts, pixels, serve_lab
from nbformat.v4 import new_code_cell, new_notebook, new_output
from playwright.sync_api import TimeoutError, expect, sync_playwright

import mnist_helpers as mh
from scripts.browser import HOW, find

expect.set_options(timeout=PATIENCE)
CODE = """import torch
import mnist_helpers as mh
image = torch.arange(64.0).view(8, 8) / 64
kernel = torch.tensor([[-1.0, -1.0, -1.0], [0.0, 0.0, 0.0], [1.0, 0.5, 1.0]])
walk = mh.walk(image, kernel, place=(0, 0))
walk"""
SIZE = {"width": 1024, "height": 900}
LAST = 6 * 6 - 1  # of the places, in the order of reading


def stored_notebook():
    """As it comes from a repository, never run here: JupyterLab does not trust its outputs."""
    drawing = mh.draw_neuron([0.5, 1.0, -0.4], [0.8, -0.3, 0.5], 0.1)
    walk = mh.walk(torch.eye(8), torch.eye(3), place=(2, 3))
    bundles = [drawing._repr_mimebundle_(), walk.still()._repr_mimebundle_()]
    outputs = [new_output("execute_result", bundle, execution_count=1) for bundle in bundles]
    cells = [new_code_cell("1 + 1", execution_count=1, outputs=[output]) for output in outputs]
    return new_notebook(cells=cells), [drawing.sentence, walk.still().sentence]


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """A page of JupyterLab and the address of its files; in a module of its own, as Playwright's event loop ends with
    it."""
    path = find()
    if path is None:
        pytest.skip(f"no browser was found: {HOW}")
    folder = tmp_path_factory.mktemp("lab")
    server = serve_lab(folder)
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    nbformat.write(new_notebook(cells=[new_code_cell(CODE)], metadata=kernel), folder / "root" / "walk.ipynb")
    book, _ = stored_notebook()
    book.metadata.update(kernel)
    nbformat.write(book, folder / "root" / "stored.ipynb")
    try:
        server.wait()
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=path, args=BROWSER)
            with browser.new_context(viewport=SIZE) as context:
                page = context.new_page()
                page.set_default_timeout(PATIENCE)
                yield page, server.address
            browser.close()
    finally:
        server.stop()


def open_notebook(lab, name):
    page, address = lab
    page.goto(address.replace("pad.ipynb", name), timeout=120_000)
    page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status=idle]", timeout=120_000)
    return page


@pytest.fixture(scope="module")
def walk(lab):
    """The live walk, and what JavaScript complained of."""
    page, errors = open_notebook(lab, "walk.ipynb"), []
    page.on("pageerror", lambda error: errors.append(str(error)))
    for _ in range(30):  # before the kernel is ready, JupyterLab may forget what it was told to run
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        try:
            page.wait_for_selector(".kernel-walk", timeout=4000)
            break
        except TimeoutError:
            continue
    root = page.locator(".kernel-walk")
    yield root
    assert not errors


def says(root, row, column):
    """Wait till the walk is there, and check the nine products, the sum and the place of the marks."""
    image = torch.arange(64.0).view(8, 8) / 64
    kernel = torch.tensor([[-1.0, -1.0, -1.0], [0.0, 0.0, 0.0], [1.0, 0.5, 1.0]])
    products = image[row : row + 3, column : column + 3] * kernel
    total = f"{products.sum():.2f}".replace("-", "−")
    expect(root.locator("[data-part=said]")).to_have_text(
        f"At row {row}, column {column}: the nine products add up to {total}."
    )
    expect(root.locator(".sum")).to_have_text(f"sum {total}")
    shown = [float(text.lstrip("= ").replace("−", "-")) for text in root.locator("td b").all_inner_texts()]
    assert np.allclose(shown, products.flatten(), atol=0.0051)
    frame, mark = (root.locator(f".map {part}").bounding_box() for part in (".frame", ".mark"))
    edge = frame["width"] / 6
    assert abs(mark["x"] - frame["x"] - edge * column) < 4
    assert abs(mark["y"] - frame["y"] - edge * row) < 4


def filled(root):
    """How many places of the map have a colour."""
    context = "canvas => [...canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data]"
    alpha = np.array(root.locator(".map canvas").evaluate(context)).reshape(-1, 4)[:, 3]
    return int((alpha > 0).sum())


def test_a_kernel_walks_by_buttons_keys_slider_and_mouse(walk):
    page, button = walk.page, lambda name: walk.get_by_role("button", name=name, exact=True)
    says(walk, 0, 0)
    assert filled(walk) == 1
    expect(button("Step back")).to_be_disabled()
    button("Step").click()
    says(walk, 0, 1)
    assert filled(walk) == 2
    walk.locator(".map .frame").focus()
    for key, place in (("ArrowDown", (1, 1)), ("ArrowLeft", (1, 0)), ("ArrowLeft", (1, 0)), ("End", (1, 5)),
                       ("PageDown", (5, 5)), ("Home", (5, 0)), ("ArrowUp", (4, 0))):  # fmt: skip
        page.keyboard.press(key)
        says(walk, *place)
    slider = walk.get_by_role("slider", name="place")
    slider.focus()
    page.keyboard.press("ArrowRight")
    says(walk, 4, 1)
    assert slider.get_attribute("aria-valuetext").startswith("row 4, column 1: ")
    box = walk.locator(".image .frame").bounding_box()  # the window's middle goes under the pointer
    page.mouse.click(box["x"] + 3.5 * box["width"] / 8, box["y"] + 2.5 * box["height"] / 8)
    says(walk, 1, 2)
    box = walk.locator(".map .frame").bounding_box()
    page.mouse.move(box["x"] + 2.5 * box["width"] / 6, box["y"] + 3.5 * box["height"] / 6)
    says(walk, 3, 2)
    button("Start again").click()
    says(walk, 0, 0)
    assert filled(walk) == 1


def test_it_plays_pauses_and_fills_the_map(walk):
    button = walk.locator("[data-part=play]")
    walk.get_by_role("button", name="Start again").click()
    button.click()
    expect(button).to_have_text("Pause")
    expect(walk.locator("[data-part=said]")).to_have_attribute("aria-live", "off")
    walk.page.wait_for_function("document.querySelector('.kernel-walk input').value >= 3")
    button.click()
    expect(button).to_have_text("Play")
    expect(walk.locator("[data-part=said]")).to_have_attribute("aria-live", "polite")
    place = int(walk.locator("input").input_value())
    walk.page.wait_for_timeout(1200)
    assert int(walk.locator("input").input_value()) == place < LAST
    says(walk, *divmod(place, 6))
    button.click()
    expect(walk.locator("[data-part=next]")).to_be_disabled()  # it has arrived
    says(walk, 5, 5)
    assert filled(walk) == LAST + 1
    expect(button).to_have_text("Play")


def test_who_wants_no_motion_gets_the_map_at_once(walk):
    walk.page.emulate_media(reduced_motion="reduce")
    try:
        walk.get_by_role("button", name="Start again").click()
        walk.get_by_role("button", name="Fill the map").click()
        says(walk, 5, 5)
        assert filled(walk) == LAST + 1
    finally:
        walk.page.emulate_media(reduced_motion="no-preference")


@pytest.fixture(params=["light", "dark"])
def scheme(request, walk):
    walk.page.emulate_media(color_scheme=request.param)
    yield request.param
    walk.evaluate("root => root.style.width = ''")
    walk.page.set_viewport_size(SIZE)
    walk.page.emulate_media(color_scheme="light")


@pytest.mark.parametrize("width", [1280, 1024, 390])
def test_all_is_legible_and_fits(walk, scheme, width):
    if width == 390:  # JupyterLab's file browser would leave nothing of a page as narrow as a phone
        walk.evaluate("root => root.style.width = '330px'")
    else:
        walk.page.set_viewport_size({"width": width, "height": 900})
    walk.page.wait_for_timeout(500)
    SCREENSHOTS.mkdir(exist_ok=True)
    walk.scroll_into_view_if_needed()
    walk.page.screenshot(path=SCREENSHOTS / f"walk_{scheme}_{width}.png")
    low = {text: round(ratio, 2) for text, ratio, large in contrasts(walk) if ratio < (3 if large else 4.5)}
    assert not low
    assert walk.evaluate("root => root.scrollWidth <= root.clientWidth")
    assert not walk.locator("td > *").evaluate_all(
        "all => all.filter((one) => one.scrollWidth > one.clientWidth).length"
    )


def test_a_stored_drawing_is_seen_and_described_where_nothing_runs(lab):
    page = open_notebook(lab, "stored.ipynb")
    _, sentences = stored_notebook()
    pictures = page.locator(".jp-OutputArea-output img")
    expect(pictures).to_have_count(2)
    for picture, sentence in zip(pictures.all(), sentences, strict=True):
        assert picture.get_attribute("alt") == sentence
        picture.scroll_into_view_if_needed()
        assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") == 648
        box, outer = picture.bounding_box(), picture.locator("..").bounding_box()
        assert 500 < box["width"] <= outer["width"] + 1
        assert len(np.unique(pixels(picture).reshape(-1, 3), axis=0)) > 20
    page.screenshot(path=SCREENSHOTS / "stored_drawings.png")
