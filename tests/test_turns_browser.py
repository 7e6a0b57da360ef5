"""The student's turns in JupyterLab: a guess by mouse and keys; outputs that stay folded until their cell is run."""

import json
import re

import nbformat
import pytest
from browser import BROWSER, PATIENCE, SCREENSHOTS, contrasts, serve_lab
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from playwright.sync_api import expect, sync_playwright

from scripts.browser import HOW, find
from scripts.notebooks import fold_answers

expect.set_options(timeout=PATIENCE)
SETUP = """
import os
from mnist_helpers.exercises.guess import Asked, Guess
from mnist_helpers.exercises.scales import Choices, Scale
os.environ["MNIST_PROGRESS"] = os.path.abspath("progress.json")
bands = ((40, "Too little trust."), (100, "Pixels tell."))
share = Asked(Guess("99-share", "Which share is read correctly?", Scale(0, 100, bands, unit="%"), (0.7, 0.9)))
ideas = {"the small ones": "They take many steps.", "the large ones": "They are quick."}
which = Asked(Guess("99-which", "Which batches win?", Choices(ideas), ("the small ones",)))
count = Asked(Guess("99-count", "How many pass?", Scale(0, 60, ((60, "So many."),), typed=True), (1, 20)))
"""
STORED = new_output("stream", name="stdout", text="It is 80.8 %.\n")


def notebook():
    """Three guesses and what came out, with stored outputs, as the course's notebooks are committed."""
    book = new_notebook(
        cells=[
            new_code_cell(SETUP.strip()),
            new_code_cell("share"),
            new_code_cell("share.reveal(0.808)", outputs=[STORED]),
            new_code_cell("which"),
            new_code_cell("which.reveal('the small ones')", outputs=[STORED]),
            new_code_cell("count"),
            new_code_cell("count.reveal(14)", outputs=[STORED]),
            new_markdown_cell("> **Predict**: what is one and one?"),
            new_code_cell("print('It is', 1 + 1)", outputs=[new_output("stream", name="stdout", text="It is 2\n")]),
            new_code_cell("print('no secret')", outputs=[new_output("stream", name="stdout", text="no secret\n")]),
        ],
        metadata={"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}},
    )
    fold_answers(book)
    return book


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """The notebook in JupyterLab, not yet run, and the folder that it lies in. The browser ends with this file."""
    path = find()
    if path is None:
        pytest.skip(f"no browser was found: {HOW}")
    folder = tmp_path_factory.mktemp("lab")
    server = serve_lab(folder)
    nbformat.write(notebook(), folder / "root" / "turns.ipynb")
    try:
        server.wait()
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=path, args=BROWSER)
            page = browser.new_page(viewport={"width": 1280, "height": 1000})
            page.set_default_timeout(PATIENCE)
            page.goto(server.address.replace("pad.ipynb", "turns.ipynb"), timeout=120_000)
            page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status=idle]", timeout=120_000)
            yield page, folder / "root"
            browser.close()
    finally:
        server.stop()


def cell(page, words):
    """The code cell whose source holds these words."""
    return page.locator(".jp-CodeCell", has=page.locator(".jp-InputArea-editor", has_text=words)).first


def output(page, words):
    return cell(page, words).locator(".jp-OutputArea-output")


def run(page, words):
    cell(page, words).locator(".jp-InputArea-editor").click()
    page.keyboard.press("Control+Enter")


def test_answers_are_folded_until_their_cell_is_run(opened):
    page, _ = opened
    for words in ("share.reveal", "which.reveal", "count.reveal", "1 + 1"):
        expect(cell(page, words).locator(".jp-OutputPlaceholder")).to_be_visible()
        expect(cell(page, words).locator(".jp-OutputPlaceholder")).not_to_contain_text("It is")  # not its first line
        expect(output(page, words)).to_have_count(0)
    expect(output(page, "no secret")).to_have_text("no secret")
    screenshot(page, "folded")
    run(page, "1 + 1")
    expect(output(page, "1 + 1")).to_have_text("It is 2")
    expect(cell(page, "1 + 1").locator(".jp-OutputPlaceholder")).to_have_count(0)
    expect(cell(page, "share.reveal").locator(".jp-OutputPlaceholder")).to_be_visible()


def test_a_guess_by_keys_alone(opened):
    page, folder = opened
    run(page, "import os")
    run(page, "share")  # the first cell that holds the word is the set-up itself
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    slider = page.get_by_role("slider", name="Which share is read correctly?")
    expect(output(page, "share.reveal")).to_have_text("It is 80.8\u00a0%.")
    slider.focus()
    assert slider.get_attribute("aria-valuetext") == "not moved yet"
    page.keyboard.press("Enter")
    expect(page.get_by_text("Move the slider first.")).to_be_visible()
    for _ in range(5):
        page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    said = page.get_by_role("status").filter(has_text="Your guess: 45\u00a0%. Run on to see.")
    expect(said).to_be_visible()
    run(page, "share.reveal")
    expect(output(page, "share.reveal")).to_have_text("You said 45\u00a0%; it is 80.8\u00a0%. Pixels tell.")

    group = page.get_by_role("group", name="Which batches win?")
    group.get_by_role("radio", name="the small ones").focus()
    page.keyboard.press("ArrowDown")
    expect(group.get_by_role("radio", name="the large ones")).to_be_checked()
    expect(group.get_by_role("status")).to_contain_text("“the large ones”")
    run(page, "which.reveal")
    expect(output(page, "which.reveal")).to_contain_text("You said “the large ones”; the answer is “the small ones”.")

    kept = json.loads((folder / "progress.json").read_text())["guesses"]
    assert kept == {
        "99-share": {"guess": 0.45, "outcome": 0.808},
        "99-which": {"guess": "the large ones", "outcome": "the small ones"},
    }


def test_a_number_is_typed_and_what_is_none_is_not_taken(opened):
    page, folder = opened
    group = page.get_by_role("group", name="How many pass?")
    number = group.get_by_role("spinbutton", name="How many pass?")
    for wrong in ("99", "", "2.5"):
        number.fill(wrong)
        group.get_by_role("button", name="This is my guess").click()
        expect(group.get_by_role("status")).to_have_text("A whole number from 0 to 60 is needed.")
    assert "99-count" not in json.loads((folder / "progress.json").read_text())["guesses"]
    number.fill("9")
    number.press("Enter")
    expect(group.get_by_role("status")).to_have_text("Your guess: 9. Run on to see.")
    run(page, "count.reveal")
    expect(output(page, "count.reveal")).to_have_text("You said 9; it is 14. So many.")


def test_a_guess_is_there_again_when_its_cell_is_run_again(opened):
    page, _ = opened
    run(page, "import os")
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    said = page.get_by_role("group", name="Which share is read correctly?").get_by_role("status")
    expect(said).to_have_text("Your guess: 45\u00a0%. Run on to see.")
    expect(page.get_by_role("slider")).to_have_value("45")
    expect(page.get_by_role("radio", name="the large ones")).to_be_checked()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_word_of_a_guess_can_be_read(opened, scheme):
    page, _ = opened
    page.emulate_media(color_scheme=scheme)
    page.wait_for_timeout(1500)  # the theme is fetched
    for group in page.locator(".digit-guess").all():
        for text, contrast, _large in contrasts(group):
            assert contrast >= 4.5, (text, contrast)
        assert not group.evaluate("box => box.scrollWidth > box.clientWidth + 1")
    screenshot(page, f"guess_{scheme}")
    page.set_viewport_size({"width": 1024, "height": 768})
    screenshot(page, f"guess_{scheme}_1024")
    page.set_viewport_size({"width": 1280, "height": 1000})


def screenshot(page, name):
    SCREENSHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"turns_{re.sub(' ', '_', name)}.png")
