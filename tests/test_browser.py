"""The drawing pad as people meet it: in a browser, by mouse, finger and keys, in a notebook and in the web app.

A text can arrive where no picture does, so what is shown is checked by its pixels, too. `tests/browser.py` holds the
programs and the pad as a person uses it. What was seen is kept in the folder `screenshots`.
"""

import itertools
import json
import re
from contextlib import suppress

import nbformat
import numpy as np
import pytest
from browser import (
    BROWSER,
    CORNER_SEVEN,
    EMPTY,
    FOUR,
    LETTER_A,
    ONE,
    PATIENCE,
    SCREENSHOTS,
    SCRIBBLE,
    SEVEN,
    Pad,
    canvas,
    centre,
    colours,
    contrasts,
    has,
    names,
    pixels,
    serve_app,
    serve_lab,
)
from nbformat.v4 import new_code_cell, new_notebook
from playwright.sync_api import TimeoutError, expect, sync_playwright

import mnist_helpers as mh
from mnist_helpers.pad import flow, ink
from mnist_helpers.pad.drawings import load_drawings
from mnist_helpers.pad.strokes import Drawing, render
from scripts.browser import HOW, find

expect.set_options(timeout=PATIENCE)
SERVE = {"lab": serve_lab, "app": serve_app}
WIDE = {"width": 1280, "height": 1000}
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}

# All fixtures end with this file: Playwright's event loop is not for later tests to meet, and a pad takes a gigabyte.


@pytest.fixture(scope="module")
def browser():
    path = find()
    if path is None:
        pytest.skip(f"no browser was found: {HOW}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=BROWSER)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def servers(request, browser, tmp_path_factory):
    """All that the chosen tests need, at once: the app makes its first page ready while the notebook is tested."""
    chosen = {item.callspec.params.get("front") for item in request.session.items if hasattr(item, "callspec")}
    started = {}
    try:
        for name, serve in SERVE.items():
            if name in chosen:
                started[name] = serve(tmp_path_factory.mktemp(name))
        yield started
    finally:
        for server in started.values():
            server.stop()


@pytest.fixture(scope="module", params=["lab", "app"])
def front(request, browser, servers, tmp_path_factory):
    """The pad in a front end, on one page for all tests."""
    with browser.new_context(viewport=WIDE, has_touch=True) as context:
        try:
            pad = opened(context, servers[request.param])
        except (AssertionError, TimeoutError):
            # A kernel that starts may stay idle for ever (ipykernel's issue 1554): that is not what is tested here.
            servers[request.param].stop()
            servers[request.param] = SERVE[request.param](tmp_path_factory.mktemp(request.param))
            pad = opened(context, servers[request.param])
        yield pad
    servers[request.param].stop()


def opened(context, server):
    """The pad of a front end, ready to draw on."""
    server.wait()
    pad = Pad(context, server)
    if pad.name == "lab":
        pad.run_all_cells()
    expect(pad.sentence).to_contain_text(EMPTY, timeout=120_000)
    if pad.part("network").count():  # before any click the switch shows what Python has chosen
        expect(pad.part("network").get_by_label("MLP", exact=True)).to_be_checked()
    return pad


@pytest.fixture
def pad(front):
    front.reset()
    yield front
    expect(front.part("notice")).to_be_empty()
    assert not front.errors


@pytest.fixture(scope="module")
def own_phone(browser, servers):
    with browser.new_context(**PHONE) as context:
        pad = Pad(context, servers["app"])
        expect(pad.sentence).to_contain_text(EMPTY, timeout=180_000)
        yield pad


@pytest.fixture
def phone(own_phone):
    own_phone.reset()
    yield own_phone
    assert not own_phone.errors


@pytest.fixture
def touched(pad, request):
    """The pad where it is touched: a notebook on a screen that feels fingers, the app on a phone."""
    return request.getfixturevalue("phone") if pad.name == "app" else pad


only_app = pytest.mark.parametrize("front", ["app"], indirect=True)
only_lab = pytest.mark.parametrize("front", ["lab"], indirect=True)


@pytest.fixture(scope="module")
def model():
    return mh.load_pretrained()


def bounds(image):
    """The first and last row and column with ink."""
    rows, columns = np.nonzero(image)
    return rows.min(), rows.max(), columns.min(), columns.max()


def be(pad, scheme):
    """Light or dark, once the front end has changed its theme, which may take a while."""
    pad.page.emulate_media(color_scheme=scheme)
    red = "parseInt(getComputedStyle(document.querySelector('.digit-pad')).color.match(/[0-9]+/)[0])"
    pad.page.wait_for_function(f"dark => ({red} > 127) === dark", arg=scheme == "dark")
    expect(pad.page.locator("#jupyterlab-splash")).to_have_count(0)  # JupyterLab covers all meanwhile


def all_differ(tiles):
    """Whether each tile has a picture of its own."""
    pictures = [canvas(tile) for tile in tiles.locator("canvas").all()]
    assert all(len(colours(picture)) > 4 for picture in pictures)
    return len({picture.tobytes() for picture in pictures}) == len(pictures)


# Drawing, and what comes of it


def test_what_is_drawn_is_shown_and_read(pad, model):
    assert not pad.strokes()
    assert pad.shares().shape == (10,)
    assert not pad.shares().any()
    pad.draw(SEVEN)
    pad.answers(7)
    (stroke,) = pad.strokes()
    assert stroke == pytest.approx(np.array(SEVEN[0]), abs=0.01)
    assert all(pad.inked((0.3, 0.25), (0.5, 0.25), (0.7, 0.25), (0.575, 0.525), (0.45, 0.8)))
    assert not any(pad.inked((0.5, 0.1), (0.4, 0.5), (0.8, 0.5), (0.45, 0.95)))
    # What Python made of the strokes is what the browser shows, up to the screen's own pixels.
    prediction = mh.predict(model, Drawing(pad.strokes()))
    assert (pad.image() == prediction.image.numpy()).all()
    screen = pixels(pad.part("image"))[..., 0].astype(int)
    rows, columns = ((np.arange(28) + 0.5) / 28 * side for side in screen.shape)
    assert abs(screen[np.ix_(rows.astype(int), columns.astype(int))] - pad.image()).max() <= 2
    assert pad.shares() == pytest.approx(prediction.probabilities.numpy(), abs=0.005)
    assert pad.shares().argmax() == 7
    assert pad.shares()[7] > 0.9
    texts = pad.part("bars").locator(".share").all_inner_texts()
    assert texts[7] == ">\u00a099.9\u00a0%"  # nothing is certain, and the line does not break there
    assert [float(text.strip("> %\u00a0")) / 100 for text in texts] == pytest.approx(pad.shares(), abs=0.005)
    assert has(pixels(pad.bars.nth(7)), pad.colour("accent")).mean() > 0.9
    assert has(pixels(pad.bars.nth(6)), pad.colour("soft")).mean() > 0.9


def test_each_layer_is_shown(pad, model):
    pad.draw(SEVEN)
    pad.answers(7)
    layers = pad.part("layers").locator("figure")
    expect(layers).to_have_count(3)
    assert layers.locator("figcaption").all_inner_texts() == [
        "128 neurons: click a square to see what it looks for",
        "64 neurons",
        "10 probabilities",
    ]
    for layer in layers.locator("canvas").all():
        assert len(colours(pixels(layer))) > 2
    cells = canvas(layers.locator("canvas").last)[4, 4::7, 0]  # the middle of each cell
    assert cells.argmax() == 7
    assert (cells > 200).sum() == 1
    hidden = mh.activations(model, mh.predict(model, Drawing(pad.strokes())).image.unsqueeze(0))[0][0].numpy()
    cells = canvas(layers.locator("canvas").first)[4::7, 4::7, 0].ravel()
    assert cells == pytest.approx(255 * hidden / hidden.max(), abs=1)


def test_the_answer_follows_every_stroke(pad):
    pad.draw(FOUR[:1])
    expect(pad.sentence).not_to_contain_text(EMPTY)
    pad.settle()
    before = pad.shares()
    assert before.sum() == pytest.approx(1, abs=0.01)
    pad.draw(FOUR[1:])
    pad.answers(4)
    assert len(pad.strokes()) == 2
    assert abs(pad.shares() - before).max() > 0.01


def test_the_answer_follows_while_a_stroke_is_still_being_drawn(pad):
    mouse, corner = pad.page.mouse, pad.at(0.7, 0.25)

    def tremble_until(is_so, x, y):
        """Looks are taken when the pen moves."""
        for turn in range(PATIENCE // 20):
            mouse.move(x + turn % 2, y)
            if is_so():
                return
            pad.page.wait_for_timeout(20)
        pytest.fail("no answer while the stroke is being drawn")

    mouse.move(*pad.at(0.3, 0.25))
    mouse.down()
    mouse.move(*corner, steps=5)
    assert len(pad.strokes()) == 1
    tremble_until(lambda: EMPTY not in pad.sentence.inner_text(), *corner)
    assert pad.shares().any()
    mouse.move(*pad.at(0.45, 0.8), steps=5)
    tremble_until(lambda: "says 7" in pad.sentence.inner_text(), *pad.at(0.45, 0.8))
    assert pad.shares()[7] > 0.9
    mouse.up()
    pad.answers(7)
    assert len(pad.strokes()) == 1
    assert pad.strokes()[0][0] == pytest.approx((0.3, 0.25), abs=0.01)


def watch(locator):
    """Count how often what is shown there is written anew; returns a function that says how often it was."""
    locator.evaluate(
        """place => {
          place.written = [];
          const note = () => place.written.push(place.textContent);
          new MutationObserver(note).observe(place, { childList: true, subtree: true });
        }"""
    )
    return lambda: locator.evaluate("place => place.written")


def test_while_a_stroke_is_drawn_answers_come_as_quickly_as_they_can_and_are_read_out_once(pad):
    """Seldom would look like a film that stutters, and a screen reader would talk without end."""
    shown, said = watch(pad.part("sentence")), watch(pad.part("said"))
    pad.page.mouse.move(*pad.at(0.3, 0.25))
    pad.page.mouse.down()
    for step in range(100):
        pad.page.mouse.move(*pad.at(0.3 + 0.4 * step / 100, 0.25 + 0.02 * (step % 5)))
        pad.page.wait_for_timeout(20)
    looks = len(shown())
    assert looks > 12  # in two seconds and a little; four a second would be nine
    assert said() == []
    pad.page.mouse.move(*pad.at(0.45, 0.8), steps=10)
    pad.page.mouse.up()
    pad.settle()
    sentence = pad.sentence.inner_text()
    expect(pad.part("said")).to_have_text(sentence)
    assert said() == [sentence]


def test_one_is_drawn_for_who_cannot_or_does_not_dare(pad):
    """By a button, also without a mouse, before one's eyes; and at once if nothing is to move."""
    example = pad.part("example")
    example.focus()
    pad.page.keyboard.press("Enter")
    expect(pad.part("ink").locator("polyline").first).to_be_visible()
    begun = sum(map(len, pad.strokes()))
    expect(pad.sentence).not_to_contain_text(EMPTY)
    pad.page.wait_for_timeout(3000)
    pad.settle()
    drawn = pad.strokes()
    assert sum(map(len, drawn)) > begun
    expect(example).to_be_focused()
    recorded = [drawing for drawing in load_drawings() if drawing.label is not None]
    ends = [[np.concatenate([stroke[0], stroke[-1]]) for stroke in strokes] for strokes in
            (drawn, *(drawing.strokes for drawing in recorded))]  # fmt: skip
    assert any(len(each) == len(ends[0]) and np.allclose(each, ends[0], atol=0.01) for each in ends[1:])

    pad.page.emulate_media(reduced_motion="reduce")
    counts = watch(pad.part("sentence"))
    example.click()
    pad.page.wait_for_timeout(1000)
    pad.settle()
    assert len(counts()) <= 2
    pad.page.emulate_media(reduced_motion="no-preference")


def test_who_takes_the_pen_stops_the_example(pad):
    pad.part("example").click()
    expect(pad.part("ink").locator("polyline").first).to_be_visible()
    pad.part("clear").click()
    pad.draw(SEVEN)
    pad.page.wait_for_timeout(500)
    pad.answers(7)
    assert len(pad.strokes()) == 1


def test_a_pen_takes_over_from_the_palm_that_lay_there_before(pad):
    pad.draw(ONE)
    pad.answers(1)
    pad.root.evaluate(
        """(root, strokes) => {
          const pad = root.querySelector("[data-part=pad]"), box = pad.getBoundingClientRect();
          pad.setPointerCapture = () => {};  // it would ask for a real pointer
          const act = (kind, pointerType, pointerId, [x, y]) => {
            const place = { clientX: box.left + x * box.width, clientY: box.top + y * box.height };
            pad.dispatchEvent(new PointerEvent(kind, { pointerType, pointerId, bubbles: true, ...place }));
          };
          act("pointerdown", "touch", 5, [0.9, 0.9]);
          act("pointermove", "touch", 5, [0.92, 0.95]);
          act("pointerdown", "pen", 6, strokes[0]);
          act("pointermove", "touch", 5, [0.95, 0.95]);
          for (const point of strokes) act("pointermove", "pen", 6, point);
          act("pointerup", "touch", 5, [0.95, 0.95]);
          act("pointerup", "pen", 6, strokes.at(-1));
          delete pad.setPointerCapture;
        }""",
        [[0.2, 0.5], [0.8, 0.5]],
    )
    pad.settle()
    strokes = pad.strokes()
    assert len(strokes) == 2  # none by the palm
    assert strokes[1] == pytest.approx(np.array([(0.2, 0.5), (0.8, 0.5)]), abs=0.01)


def test_an_empty_pad_invites_and_shows_no_blank_pictures(pad):
    assert pad.root.get_by_text("draw here").is_visible()
    assert pad.root.get_by_text("28×28 pixels, once you draw").is_visible()
    assert pad.root.get_by_text("Once you draw, you see here").is_visible()
    expect(pad.root.locator("canvas:visible")).to_have_count(0)
    pad.draw(ONE)
    pad.answers(1)
    for text in "draw here", "28×28 pixels, once you draw", "Once you draw, you see here":
        expect(pad.root.get_by_text(text)).to_be_hidden()


def test_a_stroke_that_begins_with_a_rest_is_kept_whole(pad):
    """The first look is at a dot. What it brings back must not take the place of the stroke."""
    pad.root.evaluate(
        """async (root, [points]) => {
          const pad = root.querySelector("[data-part=pad]"), box = pad.getBoundingClientRect();
          const act = (kind, [x, y]) => pad.dispatchEvent(new PointerEvent(kind, { pointerId: 1, bubbles: true,
            clientX: box.left + x * box.width, clientY: box.top + y * box.height }));
          act("pointerdown", points[0]);
          await new Promise((done) => setTimeout(done, 300));
          for (const point of [points[0], ...points]) act("pointermove", point);
          act("pointerup", points.at(-1));
        }""",
        SEVEN,
    )
    pad.answers(7)
    (stroke,) = pad.strokes()
    assert stroke == pytest.approx(np.array(SEVEN[0]), abs=0.01)


def test_keys_and_buttons_in_the_middle_of_a_stroke(pad):
    mouse, press = pad.page.mouse, pad.page.keyboard.press
    mouse.move(*pad.at(0.3, 0.25))
    mouse.down()
    mouse.move(*pad.at(0.7, 0.25), steps=5)
    for key in "Escape", "Space", "ArrowLeft", "Backspace", "Delete":
        press(key)
    mouse.move(*pad.at(0.45, 0.8), steps=5)
    mouse.up()
    pad.answers(7)
    assert len(pad.strokes()) == 1
    mouse.move(*pad.at(0.2, 0.2))
    mouse.down()
    mouse.move(*pad.at(0.3, 0.3), steps=3)
    pad.part("clear").evaluate("button => button.click()")  # as another finger would
    mouse.move(*pad.at(0.4, 0.4), steps=3)
    mouse.up()
    expect(pad.sentence).to_contain_text(EMPTY)
    assert not pad.strokes()
    pad.draw(ONE)  # and the pen works on
    pad.answers(1)


def test_the_focus_stays_on_the_pad_when_a_button_goes(pad):
    pad.draw(ONE)
    pad.answers(1)
    pad.part("clear").focus()
    pad.page.keyboard.press("Enter")
    expect(pad.sentence).to_contain_text(EMPTY)
    expect(pad.surface).to_be_focused()


def test_undo_takes_back_the_last_stroke_and_clear_all(pad):
    expect(pad.part("undo")).to_be_disabled()
    expect(pad.part("clear")).to_be_disabled()
    pad.draw(ONE)
    pad.answers(1)
    (one,) = pad.strokes()
    pad.draw([[(0.2, 0.2), (0.5, 0.2), (0.52, 0.15)]])
    expect(pad.sentence).not_to_contain_text("says 1 with")
    pad.part("undo").click()
    pad.answers(1)
    assert [stroke.tolist() for stroke in pad.strokes()] == [one.tolist()]
    pad.draw(FOUR)
    pad.part("clear").click()
    expect(pad.sentence).to_contain_text(EMPTY)
    assert not pad.strokes()
    assert not pad.image().any()
    assert not pad.shares().any()
    assert not any(pad.inked((0.5, 0.5), (0.62, 0.5)))


def test_a_digit_in_the_corner_is_read_only_centred_like_mnist(pad):
    pad.draw(CORNER_SEVEN)
    pad.answers(7)
    x, y = centre(pad.image())
    assert 13 <= x <= 15
    assert 13 <= y <= 15
    pad.part("fit").get_by_label("as drawn").check()
    pad.doubts()
    assert pad.root.get_attribute("data-sure") == "false"
    assert not has(pixels(pad.part("bars")), pad.colour("accent")).any()  # an answer in doubt has another colour
    assert has(pixels(pad.part("bars")), pad.colour("doubt")).any()
    _top, bottom, _left, right = bounds(pad.image())
    assert bottom < 12
    assert right < 12
    assert "as drawn" in pad.part("image").get_attribute("aria-label")
    pad.part("fit").get_by_label("centred like MNIST").check()
    pad.answers(7)
    assert 13 <= centre(pad.image())[0] <= 15


def test_beyond_the_edge_the_pen_slides_along_it(pad):
    pad.draw(ONE)
    pad.answers(1)
    undo = pad.part("undo").bounding_box()
    mouse = pad.page.mouse
    mouse.move(*pad.at(0.3, 0.5))
    mouse.down()
    for point in (-0.2, 0.4), (0.5, -0.1), (1.15, 0.3):
        mouse.move(*pad.at(*point), steps=8)
    mouse.move(undo["x"] + 10, undo["y"] + 10, steps=8)
    mouse.up()
    expect(pad.part("ink").locator("polyline")).to_have_count(2)
    assert len(pad.strokes()) == 2  # letting go over a button does not press it
    points = pad.strokes()[1]
    assert points.min() == 0
    assert points.max() == 1
    assert points[-1] == pytest.approx(
        ((undo["x"] + 10 - pad.at(0, 0)[0]) / (pad.at(1, 0)[0] - pad.at(0, 0)[0]), 1), abs=0.01
    )
    assert pad.page.evaluate("String(getSelection())") == ""
    mouse.move(*pad.at(0.8, 0.8))  # the pen is up
    assert len(pad.strokes()[1]) == len(points)


def test_only_the_left_button_draws(pad):
    pad.page.mouse.move(*pad.at(0.5, 0.5))
    pad.page.mouse.down(button="middle")
    pad.page.mouse.move(*pad.at(0.6, 0.6))
    pad.page.mouse.up(button="middle")
    assert not pad.strokes()


def test_a_dot_is_ink_but_no_digit(pad):
    pad.draw([[(0.5, 0.5)]])
    pad.doubts()
    assert pad.inked((0.5, 0.5), (0.6, 0.5)) == [True, False]
    assert 13 <= centre(pad.image())[0] <= 15


@pytest.mark.parametrize("strokes", [SCRIBBLE, LETTER_A], ids=["scribble", "letter"])
def test_what_is_no_digit_gets_a_question_mark(pad, strokes):
    pad.draw(strokes)
    pad.doubts()
    assert pad.shares().sum() == pytest.approx(1, abs=0.01)


# By keys


def focus_by_key(pad):
    pad.part("example").focus()
    for _ in range(3):  # past the buttons that can be used
        pad.page.keyboard.press("Shift+Tab")
        if pad.surface.evaluate("pad => pad === document.activeElement"):
            break
    expect(pad.surface).to_be_focused()


def around(pad, margin=8):
    """The screen where the pad is, and a little around it."""
    box = pad.surface.bounding_box()
    clip = {"x": box["x"] - margin, "y": box["y"] - margin}
    return pixels(pad.page, clip=clip | {side: box[side] + 2 * margin for side in ("width", "height")})


def test_who_draws_by_keys_sees_where(pad):
    accent = pad.colour("accent")
    assert (
        max(abs(np.subtract(accent, pad.colour("ink"))).sum(), abs(np.subtract(accent, pad.colour("paper"))).sum()) > 90
    )
    pad.surface.scroll_into_view_if_needed()
    assert not has(around(pad), accent).any()
    focus_by_key(pad)
    style = pad.surface.evaluate("pad => ({...getComputedStyle(pad)})")
    assert style["outlineStyle"] != "none"
    assert float(style["outlineWidth"].removesuffix("px")) >= 2
    shown = has(around(pad), accent)
    assert shown.sum() > 4 * 2 * pad.surface.bounding_box()["width"]  # a frame
    assert shown[20:-20, 20:-20].sum() > 10  # the cross
    pad.draw(ONE)  # the mouse shows by itself where it is
    pad.part("undo").click()
    assert not has(around(pad)[20:-20, 20:-20], accent).any()


def test_drawing_by_keys(pad):
    press = pad.page.keyboard.press
    focus_by_key(pad)
    for key in 8 * ["Shift+ArrowLeft", "Shift+ArrowUp"]:  # more than the whole way
        press(key)
    for key in [*3 * ["Shift+ArrowRight"], *2 * ["ArrowRight"], "Shift+ArrowDown", "Space"]:
        press(key)
    assert len(pad.strokes()) == 1  # the pen is down: a dot
    for key in [*5 * ["Shift+ArrowDown"], "ArrowDown", "Space"]:
        press(key)
    pad.answers(1)
    assert pad.strokes()[0] == pytest.approx(np.array([(14, 4), (14, 25)]) / 28, abs=0.004)
    press("Shift+ArrowLeft")  # the pen is up
    expect(pad.part("ink").locator("polyline")).to_have_count(1)
    for key in ["Enter", *3 * ["Shift+ArrowUp"], "Escape", "ArrowUp"]:
        press(key)
    expect(pad.part("ink").locator("polyline")).to_have_count(2)
    assert pad.strokes()[1] == pytest.approx(np.array([(10, 25), (10, 13)]) / 28, abs=0.004)
    press("Backspace")
    expect(pad.part("ink").locator("polyline")).to_have_count(1)
    pad.answers(1)
    assert pad.strokes()[0][0] == pytest.approx((0.5, 4 / 28), abs=0.004)
    for key in "Space", "Shift+ArrowLeft", "Space", "Control+z":
        press(key)
    pad.answers(1)
    expect(pad.part("ink").locator("polyline")).to_have_count(1)
    press("Delete")
    expect(pad.sentence).to_contain_text(EMPTY)
    assert not pad.strokes()
    expect(pad.surface).to_be_focused()


def test_who_draws_by_keys_is_told_which_and_what_comes_of_it(pad):
    press, help = pad.page.keyboard.press, pad.root.locator(".help")
    pad.part("example").focus()
    expect(help).to_be_hidden()
    focus_by_key(pad)
    expect(help).to_be_visible()
    for word in "arrows", "Shift", "Space", "Backspace", "Delete":
        expect(help).to_contain_text(word)
    for key in "Space", *3 * ["Shift+ArrowDown"]:
        press(key)
    assert len(pad.strokes()) == 1  # the pen is still down,
    expect(pad.sentence).to_contain_text("says 1")  # and the stroke is read
    assert pad.shares()[1] > 0.5
    expect(pad.part("where")).to_have_text(re.compile(r"^row \d+, column \d+$"))
    row = int(re.search(r"row (\d+)", pad.part("where").inner_text())[1])
    press("ArrowUp")
    expect(pad.part("where")).to_contain_text(f"row {row - 1},")
    press("Space")
    expect(pad.part("where")).to_contain_text(f"pen up, row {row - 1},")
    expect(pad.part("said")).to_contain_text("says 1")
    assert pad.part("where").get_attribute("aria-live") == "polite"


def test_a_stroke_by_keys_ends_where_the_pad_is_left(pad):
    focus_by_key(pad)
    for key in "Space", "Shift+ArrowDown", "Shift+Tab":
        pad.page.keyboard.press(key)
    expect(pad.sentence).not_to_contain_text(EMPTY)
    assert len(pad.strokes()) == 1


@only_lab
def test_keys_on_the_pad_are_not_commands_of_the_notebook(pad):
    def cells():
        return pad.page.locator(".jp-CodeCell .jp-InputArea .cm-content").all_inner_texts()

    active = pad.page.locator(".jp-CodeCell.jp-mod-active .jp-InputArea .cm-content")
    expect(pad.page.locator(".jp-CodeCell .jp-InputArea .cm-content")).to_have_text(
        [*map(re.compile, ("draw", "as_mnist", "1"))]
    )
    focus_by_key(pad)
    before, chosen = cells(), active.inner_text()
    for keys in ("a", "b", "x", "dd", "abxz", "ArrowDown", "ArrowUp", "Shift+ArrowDown", "Enter", "Delete"):
        for key in keys if keys.islower() else [keys]:
            pad.page.keyboard.press(key)
        assert cells() == before
        assert active.inner_text() == chosen
        expect(pad.surface).to_be_focused()
    pad.draw(ONE)
    pad.part("undo").focus()
    for key in "abxdd":
        pad.page.keyboard.press(key)
    assert cells() == before


def test_arrow_keys_turn_a_switch(pad):
    pad.draw(CORNER_SEVEN)
    pad.answers(7)
    pad.part("fit").get_by_label("centred like MNIST").focus()
    pad.page.keyboard.press("ArrowUp")
    expect(pad.part("fit").get_by_label("as drawn")).to_be_checked()
    expect(pad.part("fit").get_by_label("as drawn")).to_be_focused()
    pad.doubts()
    pad.page.keyboard.press("ArrowDown")
    pad.answers(7)


# Several networks


@only_lab
def test_where_there_is_one_network_there_is_no_choice(pad):
    expect(pad.part("network")).to_have_count(0)
    assert "Which network" not in pad.root.inner_text()


@only_app
def test_the_network_is_chosen_by_keys_and_reads_the_drawing_anew(pad, model):
    pad.draw(SEVEN)
    pad.answers(7)
    strokes, image, before = pad.strokes(), pad.image(), pad.shares()
    mlp, cnn = (pad.part("network").get_by_label(name, exact=True) for name in ("MLP", "CNN"))
    expect(mlp).to_be_checked()
    mlp.focus()
    pad.page.keyboard.press("ArrowRight")
    expect(cnn).to_be_checked()
    expect(cnn).to_be_focused()
    layers = pad.part("layers").locator("figure")
    expect(layers).to_have_count(5)
    expect(pad.part("verdict")).to_have_text(re.compile("^[7?]$"), timeout=180_000)
    network = mh.load_pretrained(name="cnn")
    prediction = mh.predict(network, Drawing(pad.strokes()))
    assert pad.shares() == pytest.approx(prediction.probabilities.numpy(), abs=0.005)
    assert abs(pad.shares() - before).max() > 0.005
    assert all((now == then).all() for now, then in zip(pad.strokes(), strokes, strict=True))
    assert (pad.image() == image).all()

    captions = ["16×24×24 neurons: click a picture to see what it looks for"]
    captions += ["32×10×10 neurons", "32×8×8 neurons", "32×4×4 neurons", "10 probabilities"]
    assert layers.locator("figcaption").all_inner_texts() == captions
    maps = mh.activations(network, prediction.image.unsqueeze(0))
    for shown, answers in zip(layers.locator("canvas").all()[:4], maps, strict=False):
        side, values = answers.shape[-1] + 1, 255 * answers[0].numpy() / answers.max().item()
        picture = canvas(shown)[..., 0]
        for unit, tile in enumerate(values):
            y, x = (side * place + 1 for place in divmod(unit, 8))
            assert abs(picture[y : y + side - 1, x : x + side - 1] - tile).max() <= 1
        assert len(colours(pixels(shown))) > 4
    first = layers.locator("canvas").first
    first.click(position={"x": 5, "y": 5})
    expect(pad.part("unit")).to_contain_text("Neuron 0 of the first layer", timeout=180_000)
    assert canvas(pad.part("unit").locator("canvas").first).shape == (5, 5, 3)
    for scheme in "light", "dark":
        pad.page.emulate_media(color_scheme=scheme)
        pad.page.set_viewport_size(WIDE | {"height": 1700})
        pad.screenshot(f"cnn_{scheme}")
    pad.page.set_viewport_size({"width": 390, "height": 2400})
    pad.screenshot("cnn_phone")
    widths = layers.evaluate_all("all => all.map(each => each.firstChild.clientWidth / each.clientWidth)")
    assert widths[:4] == pytest.approx([1, 1, 1, 1], abs=0.01)  # a small map is small enough on a large screen
    assert pad.page.evaluate("document.documentElement.scrollWidth <= innerWidth")

    mlp.check()
    expect(layers).to_have_count(3)  # both networks say 7: the layers tell that the new answer is there
    pad.answers(7)
    assert pad.shares() == pytest.approx(mh.predict(model, Drawing(strokes)).probabilities.numpy(), abs=0.005)


# The panels


def test_what_a_unit_looks_for(pad):
    pad.draw(SEVEN)
    pad.answers(7)
    layer = pad.part("layers").locator("canvas").first
    layer.scroll_into_view_if_needed()
    size = layer.bounding_box()
    column, row = 5, 2
    layer.click(position={"x": (column + 0.5) * size["width"] / 32, "y": (row + 0.5) * size["height"] / 4})

    def shows(unit):
        expect(pad.part("unit")).to_contain_text(f"Neuron {unit} of the first layer", timeout=60_000)
        y, x = np.nonzero((canvas(layer) == (213, 94, 0)).all(2))  # its frame
        assert (y.min() // 7, x.min() // 7) == divmod(unit, 32)
        assert (y.max() - y.min(), x.max() - x.min()) == (7, 7)
        tiles = pad.part("unit").locator(".tile")
        assert tiles.count() == 9
        assert tiles.first.inner_text() == "weights"
        assert all(text in "0123456789" for text in tiles.all_inner_texts()[1:])
        assert all_differ(tiles)
        assert len(colours(pixels(tiles.locator("canvas").nth(1)))) > 4
        return canvas(tiles.locator("canvas").first)

    weights = shows(69)
    reddish, bluish = weights[..., 0] > weights[..., 2] + 20, weights[..., 2] > weights[..., 0] + 20
    assert reddish.any()
    assert bluish.any()
    layer.focus()
    pad.page.keyboard.press("ArrowRight")
    assert (shows(70) != weights).any()
    pad.page.keyboard.press("ArrowUp")
    shows(38)
    expect(layer).to_be_focused()


def test_what_can_be_clicked_is_seen_to_be_and_the_neuron_is_told_of_right_there(pad):
    pad.draw(SEVEN)
    pad.answers(7)
    figures = pad.part("layers").locator("figure")
    first = figures.first.locator("canvas")
    expect(figures.first.locator("figcaption")).to_contain_text("click a square")
    first.scroll_into_view_if_needed()
    assert first.evaluate("canvas => getComputedStyle(canvas).cursor") == "pointer"
    before = canvas(first)
    first.hover(position={"x": 300, "y": 60})
    assert ((canvas(first) != before).any(2)).sum() >= 4 * 7 - 4  # a frame
    pad.page.mouse.move(1, 1)
    assert (canvas(first) == before).all()
    first.click(position={"x": 300, "y": 60})
    expect(pad.part("unit").locator("canvas").first).to_be_visible(timeout=60_000)
    boxes = [each.bounding_box() for each in (figures.nth(0), pad.part("unit"), figures.nth(1))]
    edges = [edge for box in boxes for edge in (box["y"], box["y"] + box["height"])]
    assert edges == sorted(edges)
    assert edges[2] - edges[1] < 30  # pixels


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_neuron_melts_into_the_gap_around_it(pad, scheme):
    """Whatever its grey."""
    pad.draw(SEVEN)
    pad.answers(7)
    be(pad, scheme)
    layer = pad.part("layers").locator("canvas").first
    alpha = "canvas => canvas.getContext('2d').getImageData(canvas.width - 1, canvas.height - 1, 1, 1).data[3]"
    assert layer.evaluate(alpha) == 0  # the theme shines through
    coloured = np.ptp(pixels(layer).astype(int), axis=2) > 30
    assert 0.1 < coloured.mean() < 0.5  # every neuron is grey, and the gap around it is not


@only_app
def test_keys_choose_a_unit_of_a_network_that_has_fewer(pad):
    pad.draw(SEVEN)
    pad.answers(7)
    layer = pad.part("layers").locator("canvas").first
    layer.click()
    expect(pad.part("unit")).to_contain_text(re.compile(r"^Neuron \d\d of the first layer"), timeout=60_000)
    pad.part("network").get_by_label("CNN", exact=True).check()
    expect(pad.part("verdict")).to_have_text(re.compile("^[7?]$"), timeout=180_000)
    expect(pad.part("unit")).to_be_empty()  # of its 16 units none is the one that was chosen
    for key, unit in ("ArrowRight", 0), ("ArrowRight", 1), ("ArrowDown", 9):
        layer.focus()
        pad.page.keyboard.press(key)
        expect(pad.part("unit")).to_contain_text(f"Neuron {unit} of the first layer", timeout=60_000)


def tints(picture):
    """Where a picture is bluish, and where it is orange: two arrays `bool (height, width)`."""
    red, blue = picture[..., 0].astype(int), picture[..., 2].astype(int)
    return blue > red + 25, red > blue + 25


def drawn_lines(pad):
    """The lines between the layers, by the neurons that they lead from and to: `{((layer, neuron), (layer, neuron)):
    ("for" or "against", how bold)}`."""
    drawing = pad.part("flow").locator("svg")
    circles = drawing.locator("circle").evaluate_all(
        "all => all.map(({ cx, cy }) => [cx.baseVal.value, cy.baseVal.value])"
    )
    neurons = [(layer, i) for layer, count in ((1, 128), (2, 64), (3, 10)) for i in range(count)]
    pixels = {(0, i): (150 / 28 * (i % 28 + 0.5), 125 + 150 / 28 * (i // 28 + 0.5)) for i in range(784)}
    places = pixels | dict(zip(neurons, circles, strict=True))
    where = np.array(list(places.values()))

    def at(x, y):
        away = np.hypot(*(where - (float(x), float(y))).T)
        assert away.min() < 0.15
        return list(places)[away.argmin()]

    found = {}
    for path in drawing.locator("path").all():
        kind, bold, shape = (path.get_attribute(name) for name in ("class", "stroke-width", "d"))
        for line in shape.split("M")[1:]:
            start, end = (at(*point.split()) for point in line.split("L"))
            found[start, end] = kind, float(bold)
    return found


def test_the_lines_between_the_layers_are_the_strongest(pad, model):
    expect(pad.part("flow")).to_be_hidden()
    pad.draw(SEVEN)
    pad.answers(7)
    image = mh.predict(model, Drawing(pad.strokes())).image
    expected = flow.flow(model, image, [layer[0] for layer in mh.activations(model, image.unsqueeze(0))])
    lines = drawn_lines(pad)
    assert len(lines) == 450
    for layer, between in enumerate(expected["lines"]):
        ends = [((layer, start), (layer + 1, end)) for start, end in zip(between["from"], between["to"], strict=True)]
        kinds, bold = zip(*(lines[each] for each in ends), strict=True)
        assert list(kinds) == ["for" if weight >= 0 else "against" for weight in between["weights"]]
        assert list(bold) == sorted(bold)  # as they are sent
        assert bold[0] < bold[-1]
    drawing = pad.part("flow").locator("svg")
    expect(drawing).to_have_attribute("role", "img")
    assert (canvas(pad.part("flow").locator("canvas"))[..., 0] == pad.image()).all()
    expect(drawing.locator("text.best")).to_have_text("7")
    assert drawing.locator("circle").nth(128 + 64 + 7).get_attribute("fill-opacity").startswith(("1", "0.99"))
    expect(pad.part("lines")).to_have_text(expected["sentence"])
    for scheme in "dark", "light":
        be(pad, scheme)
        blue, orange = tints(pixels(drawing))
        assert blue.mean() > 0.01
        assert orange.mean() > 0.01
    pad.part("clear").click()
    expect(pad.part("flow")).to_be_hidden()
    expect(pad.part("lines")).to_be_empty()


@only_app
def test_a_network_of_convolutions_has_no_lines_and_the_panel_says_why(pad):
    pad.draw(SEVEN)
    pad.answers(7)
    expect(pad.part("flow")).to_be_visible()
    pad.part("network").get_by_label("CNN", exact=True).check()
    expect(pad.part("lines")).to_contain_text("No lines here: a neuron of a convolution", timeout=180_000)
    expect(pad.part("flow")).to_be_hidden()


def explained(pad, model, asked):
    """Wait till the ink says why it is a 7, or not what is asked, in words and colours."""
    words = "Why 7? Blue" if asked == 7 else f"Why 7, not {asked}? Blue"
    expect(pad.part("why")).to_contain_text(words)
    expect(pad.part("why")).to_have_attribute("aria-live", "polite")
    prediction = mh.predict(model, Drawing(pad.strokes()))
    shares = np.frombuffer(ink.why(model, prediction, asked)["shares"], np.uint8).reshape(28, 28).astype(int) - 128
    blue, orange = tints(canvas(pad.part("shares")))
    assert blue[shares > 25].all()
    assert orange[shares < -25].all()
    assert not (blue & (shares <= 0)).any()
    assert not (orange & (shares >= 0)).any()
    screen = tints(pixels(pad.part("shares")))
    assert screen[0].mean() == pytest.approx(blue.mean(), rel=0.3)  # and nothing lies over it
    buttons = pad.part("bars").locator("button")
    pressed = buttons.evaluate_all("all => all.map(each => each.getAttribute('aria-pressed'))")
    assert [digit for digit, how in enumerate(pressed) if how == "true"] == [asked]


def plain(pad):
    """Wait till the image is grey again."""
    expect(pad.part("why")).to_be_empty()
    expect(pad.part("shares")).to_be_hidden()
    assert not any(tint.any() for tint in tints(pixels(pad.part("image"))))


def test_the_mouse_on_a_bar_asks_which_ink_speaks_for_it(pad, model):
    buttons = pad.part("bars").locator("button")
    assert buttons.evaluate_all("all => all.every(each => each.disabled)")
    pad.draw(SEVEN)
    pad.answers(7)
    plain(pad)
    for asked in 7, 2:
        buttons.nth(asked).hover()
        explained(pad, model, asked)
    buttons.nth(2).click()  # changes nothing
    explained(pad, model, 2)
    pad.page.mouse.move(1, 1)
    plain(pad)
    # Where there is room for two columns, the image is below the pad, and may be out of sight.
    pad.page.set_viewport_size({"width": 700 if pad.name == "app" else 1024, "height": 768})
    buttons.nth(2).hover()
    explained(pad, model, 2)
    assert pad.part("image").bounding_box()["y"] > pad.surface.bounding_box()["y"] + 100
    boxes = [pad.part(name).bounding_box() for name in ("shares", "pad")]
    assert boxes[0] == pytest.approx(boxes[1], abs=4)
    pad.page.mouse.move(1, 1)
    plain(pad)


def test_keys_ask_which_ink_speaks_for_a_digit(pad, model):
    pad.draw(SEVEN)
    pad.answers(7)
    keyboard, buttons = pad.page.keyboard, pad.part("bars").locator("button")
    assert buttons.evaluate_all("all => all.filter(each => each.tabIndex === 0).length") == 1
    pad.part("example").focus()
    for _ in range(4):
        keyboard.press("Tab")
        if buttons.evaluate_all("all => all.includes(all[0].getRootNode().activeElement)"):
            break
    first = buttons.evaluate_all("all => all.indexOf(all[0].getRootNode().activeElement)")
    explained(pad, model, first)
    for key, asked in ("Home", 0), ("ArrowDown", 1), ("End", 9), ("ArrowDown", 9), ("ArrowUp", 8):
        keyboard.press(key)
        expect(buttons.nth(asked)).to_be_focused()
        explained(pad, model, asked)
    assert buttons.nth(8).get_attribute("aria-label") == "8: 0.0\u00a0%. Why not 8?"
    # How sure it is depends on how many points of the stroke a busy browser has seen.
    assert re.fullmatch("7: (>\u00a0)?99\\.\\d\u00a0%\\. Why 7\\?", buttons.nth(7).get_attribute("aria-label"))
    keyboard.press("Escape")
    plain(pad)
    keyboard.press("Enter")
    explained(pad, model, 8)
    keyboard.press("Tab")
    plain(pad)
    assert len(pad.strokes()) == 1


def test_where_a_digit_lives(pad):
    pad.open("map")
    pad.draw(SEVEN)
    pad.answers(7)
    ring = pad.part("place").locator("circle").last
    expect(ring).to_be_visible(timeout=60_000)
    tiles = pad.part("neighbours").locator(".tile")
    assert tiles.all_inner_texts() == 5 * ["7"]
    assert all_differ(tiles)
    expect(pad.part("near")).to_contain_text("by the last hidden layer")

    def shown():
        assert (colours(canvas(pad.part("points"))) > 100).sum() >= 10
        screen, box = pixels(pad.part("points")).astype(int), ring.bounding_box()
        frame = pad.part("points").bounding_box()
        turn = np.linspace(0, 2 * np.pi, 24)
        # The ring's line is in the ink's colour all around, with a little less than its box for radius: half the line.
        x = box["x"] - frame["x"] + box["width"] / 2 * (1 + 0.86 * np.cos(turn))
        y = box["y"] - frame["y"] + box["height"] / 2 * (1 + 0.86 * np.sin(turn))
        inside = (x > 1) & (y > 1) & (x < frame["width"] - 1) & (y < frame["height"] - 1)
        assert (screen[y[inside].astype(int), x[inside].astype(int)].max(1) < 120).mean() > 0.9
        return screen, (box["x"] - frame["x"], box["y"] - frame["y"])

    by_layer, place = shown()
    pad.part("space").get_by_label("the pixels").check()
    expect(pad.part("near")).to_contain_text("by the pixels", timeout=60_000)
    by_pixels, elsewhere = shown()
    assert (by_pixels != by_layer).any(2).mean() > 0.01
    assert elsewhere != place
    expect(pad.part("space").get_by_label("the pixels")).to_be_checked()
    pad.part("space").get_by_label("the last hidden layer").check()
    expect(pad.part("near")).to_contain_text("by the last hidden layer")
    assert (shown()[0] == by_layer).all()
    pad.part("clear").click()
    expect(pad.part("place").locator("circle")).to_have_count(0)
    expect(tiles).to_have_count(0)


def test_a_point_of_the_map_tells_which_digit_it_is(pad):
    pad.open("map")
    points = pad.part("points")
    expect(pad.part("place").locator("text")).to_have_count(10, timeout=60_000)
    points.scroll_into_view_if_needed()
    six = pad.part("place").locator("text").nth(6).bounding_box()  # in the middle of its points
    pad.page.mouse.move(six["x"] + six["width"] / 2, six["y"] + six["height"] / 2)
    expect(pad.part("hovered")).to_have_text(re.compile(r"^Under the pointer: test digit \d+, a \d\.$"))
    pad.page.mouse.move(1, 1)
    expect(pad.part("hovered")).to_be_empty()


def reload(pad, text, name="digits.json"):
    file = {"name": name, "mimeType": "application/json", "buffer": text.encode()}
    pad.part("reload").set_input_files(file)


def download(pad, folder):
    with pad.page.expect_download() as waiting:
        pad.part("download").click()
    assert waiting.value.suggested_filename == "my_digits.json"
    waiting.value.save_as(folder / "my_digits.json")
    return folder / "my_digits.json"


def keep(pad, digit):
    pad.part("keep").get_by_role("button", name=str(digit), exact=True).click()


def test_digits_are_kept_downloaded_forgotten_and_reloaded(pad, tmp_path):
    pad.open("mine")
    tiles, tally = pad.part("kept").locator("button"), pad.part("tally")
    expect(tally).to_contain_text("None kept yet")
    expect(pad.part("forget")).to_be_disabled()
    expect(pad.part("download")).to_be_disabled()
    pad.draw(CORNER_SEVEN)
    keep(pad, 7)
    expect(tally).to_have_text("1 kept. Read right as drawn: 0; centred like MNIST: 1.")
    expect(tiles).to_have_text(["7"])
    assert len(colours(pixels(tiles.locator("canvas").first))) > 5
    (seven,) = pad.strokes()
    pad.part("clear").click()
    pad.draw(ONE)
    pad.answers(1)
    keep(pad, 1)
    expect(tally).to_contain_text("2 kept.")
    expect(tiles).to_have_text(["7", "1"])

    path = download(pad, tmp_path)
    first, second = load_drawings(path)
    assert (first.label, second.label) == (7, 1)
    assert first.strokes[0] == pytest.approx(seven, abs=0.001)
    for tile, drawing in zip(tiles.locator("canvas").all(), (first, second), strict=True):
        assert (canvas(tile)[..., 0] == render(drawing, fit=False).numpy()).all()

    tiles.first.click()  # puts it on the pad
    pad.answers(7)
    assert pad.strokes()[0] == pytest.approx(seven, abs=0.001)

    pad.part("forget").click()
    expect(tiles).to_have_text(["7"])
    pad.part("forget").click()
    expect(tiles).to_have_count(0)
    expect(tally).to_contain_text("None kept yet")

    reload(pad, path.read_text())
    expect(tiles).to_have_text(["7", "1"])
    reload(pad, path.read_text())  # the same file once more
    expect(tiles).to_have_text(["7", "1", "7", "1"])


def test_a_file_that_holds_no_drawings_is_refused_and_nothing_is_lost(pad):
    pad.open("mine")
    pad.draw(SEVEN)
    keep(pad, 7)
    tiles = pad.part("kept").locator("button")
    expect(tiles).to_have_count(1)
    for text in "no drawings", "{}", '{"drawings": [{"strokes": [[["a", "b"]]]}]}':
        reload(pad, text, "notes.txt")
        expect(pad.part("notice")).to_contain_text("does not hold drawings")
        expect(pad.part("notice")).to_have_attribute("role", "alert")
        expect(tiles).to_have_count(1)
        expect(pad.part("tally")).to_contain_text("1 kept.")
        pad.answers(7)
        tiles.first.click()  # what works takes the notice away
        expect(pad.part("notice")).to_be_empty()


def test_a_file_too_large_to_arrive_is_refused_in_words(pad):
    """The connection to Python would drop it without one."""
    pad.open("mine")
    reload(pad, 9_500_000 * " ", "large.json")
    expect(pad.part("notice")).to_have_text("large.json has 9.5 MB, and at most 8 can be read here.")
    pad.draw(ONE)
    keep(pad, 1)
    expect(pad.part("kept").locator("button")).to_have_text(["1"])
    expect(pad.part("notice")).to_be_empty()


def test_a_drawing_is_kept_whole_even_if_it_was_drawn_in_no_time(pad, tmp_path):
    """Changes of the strokes may wait for an answer of Python's, and the wish to keep must not overtake them."""
    pad.open("mine")
    pad.root.evaluate(
        """(root, strokes) => {
          const pad = root.querySelector("[data-part=pad]"), box = pad.getBoundingClientRect();
          const act = (kind, [x, y]) => pad.dispatchEvent(new PointerEvent(kind, { pointerId: 1, bubbles: true,
            clientX: box.left + x * box.width, clientY: box.top + y * box.height }));
          for (const points of strokes) {
            act("pointerdown", points[0]);
            for (const point of points) act("pointermove", point);
            act("pointerup", points.at(-1));
          }
          root.querySelector("[data-part=keep] button:nth-of-type(5)").click();
        }""",
        FOUR,
    )
    expect(pad.part("kept").locator("button")).to_have_text(["4"])
    (kept,) = load_drawings(download(pad, tmp_path))
    assert kept.label == 4
    assert len(kept.strokes) == len(FOUR)
    for stroke, drawn in zip(kept.strokes, FOUR, strict=True):
        assert stroke == pytest.approx(np.array(drawn), abs=0.01)
    pad.answers(4)


def test_an_empty_pad_is_not_kept(pad, tmp_path):
    pad.open("mine")
    keep(pad, 3)
    expect(pad.part("notice")).to_contain_text("Draw a digit first")
    assert pixels(pad.part("notice")).std() > 5
    pad.draw(ONE)
    keep(pad, 1)
    expect(pad.part("kept").locator("button")).to_have_text(["1"])
    assert [drawing.label for drawing in load_drawings(download(pad, tmp_path))] == [1]


def test_a_tile_stands_for_its_own_drawing(pad):
    """Even if the file that it came from holds others, of which nobody knows what they are."""
    pad.open("mine")
    entries = [{"strokes": CORNER_SEVEN}, {"strokes": ONE, "label": 1}]
    reload(pad, json.dumps({"drawings": entries}))
    tiles = pad.part("kept").locator("button")
    expect(tiles).to_have_text(["?", "1"])
    expect(pad.part("tally")).to_contain_text("1 kept.")
    tiles.nth(1).click()
    pad.answers(1)
    tiles.nth(0).click()
    pad.answers(7)


def test_who_fools_the_network_gets_a_trophy(pad, tmp_path):
    """Whether it really is no digit, the pad cannot know: here it is one."""
    pad.open("fool")
    trophies, score, outcome = pad.part("trophies").locator(".tile"), pad.part("score"), pad.part("outcome")
    expect(score).to_have_text("Fooled: 0. Refused: 0.")
    expect(pad.part("prizes")).to_be_disabled()
    pad.draw(LETTER_A)
    pad.doubts()
    for _ in range(2):  # the same strokes count once
        pad.part("claim").click()
        expect(outcome).to_contain_text(re.compile("^Refused as (unfamiliar|undecided): "))
        expect(score).to_have_text("Fooled: 0. Refused: 1.")
    pad.part("clear").click()
    pad.part("claim").click()
    expect(pad.part("notice")).to_contain_text("Draw something first")
    pad.draw(SEVEN)
    pad.answers(7)
    pad.part("claim").focus()
    pad.page.keyboard.press("Enter")
    expect(outcome).to_contain_text("Fooled! It is read as 7 with more than 99.9")
    expect(pad.part("notice")).to_be_empty()
    expect(trophies).to_have_text(["read as 7"])
    pad.page.keyboard.press("Enter")
    expect(outcome).to_contain_text("has its trophy already")
    expect(score).to_have_text("Fooled: 1. Refused: 1.")
    with pad.page.expect_download() as waiting:
        pad.part("prizes").click()
    assert waiting.value.suggested_filename == "my_trophies.json"
    waiting.value.save_as(tmp_path / "trophies.json")
    (trophy,) = load_drawings(tmp_path / "trophies.json")
    assert (trophy.label, trophy.style) == (None, "read as 7 by MLP")
    assert trophy.strokes[0] == pytest.approx(pad.strokes()[0], abs=0.001)
    assert (canvas(trophies.locator("canvas"))[..., 0] == render(trophy, fit=False).numpy()).all()


# For everybody


def test_everything_has_a_name(pad):
    pad.draw(SEVEN)
    pad.answers(7)
    pad.open("layers", "map", "mine", "fool")
    keep(pad, 7)
    expect(pad.part("kept").locator("button")).to_have_count(1)
    for count, text in (1, "1 stroke."), (2, "2 strokes."):
        expect(pad.root.get_by_role("application", name=re.compile(f"^Drawing pad, {re.escape(text)}"))).to_have_count(
            1
        )
        assert len(pad.strokes()) == count
        pad.draw(ONE)
    expect(pad.root.get_by_role("status")).to_have_attribute("data-part", "said")
    named = names(pad)
    assert {role for role, name in named} >= {"button", "radio", "application", "image"}
    assert all(name.strip() for role, name in named)
    wanted = [
        "Undo",
        "Clear",
        "as drawn",
        "centred like MNIST",
        "Draw one for me",
        "the pixels",
        "Forget the last",
        "Download",
    ]
    wanted += ["Kept drawing 1, label 7: put it on the pad", "It is no digit!", "Download the trophies"]
    wanted += ["MLP", "CNN"] if pad.name == "app" else []
    assert {*wanted, "Reload a file", *"0123456789"} <= {name for role, name in named}


def test_headings_and_regions_lead_through_the_page(pad):
    levels = pad.page.locator("h1:visible, h2:visible, h3:visible").evaluate_all("all => all.map(each => each.tagName)")
    assert levels == ["H1", "H2", "H2", "H2"] if pad.name == "app" else ["H3", "H3", "H3"]
    expect(pad.page.get_by_role("region", name="Drawing pad", exact=True)).to_have_count(1)
    if pad.name == "app":
        assert "underline" in pad.page.locator("footer a").evaluate("link => getComputedStyle(link).textDecoration")


def test_where_the_system_chooses_the_colours_the_bars_are_seen(pad):
    pad.draw(SEVEN)
    pad.answers(7)
    pad.page.emulate_media(forced_colors="active")
    full, empty = (pixels(pad.bars.nth(digit)).astype(int) for digit in (7, 6))
    pad.screenshot("forced_colours")
    pad.page.emulate_media(forced_colors="none")
    middle = full.shape[0] // 2
    assert abs(full[middle, 20:-20] - empty[middle, 20:-20]).sum(1).min() > 150
    assert abs(empty[middle, 20] - empty[:3, 20]).sum(1).max() > 150  # and how long it could be


def test_the_pad_has_a_ground_of_its_own(pad):
    """Or its text would be white on white where a program paints what a cell shows white, also in its dark theme."""
    assert pad.root.evaluate("root => getComputedStyle(root).backgroundColor") != "rgba(0, 0, 0, 0)"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read(pad, scheme):
    be(pad, scheme)
    pad.screenshot(f"empty_{scheme}")
    pad.open("layers", "map", "mine", "fool")
    pad.draw(FOUR)
    pad.answers(4)
    pad.screenshot(f"drawn_{scheme}")
    keep(pad, 4)
    expect(pad.part("kept").locator("button")).to_have_count(1)
    layer = pad.part("layers").locator("canvas").first
    layer.click(position={"x": 100, "y": 20})
    expect(pad.part("unit")).to_contain_text("of the first layer")
    expect(pad.part("place").locator("circle")).to_have_count(2, timeout=60_000)
    pad.page.set_viewport_size(WIDE | {"height": 2000})
    pad.screenshot(f"all_{scheme}")
    found = contrasts(pad.root if pad.name == "lab" else pad.page.locator("body"))
    assert any("The network says 4" in text for text, *_ in found)
    assert [each for each in found if each[1] < (3 if each[2] else 4.5)] == []
    ink = pixels(pad.sentence).astype(int).sum(2)
    assert ink.max() - ink.min() > 400
    assert (np.median(ink) < 384) == (scheme == "dark")


# By finger, and on a phone, whose page is made ready meanwhile


class Fingers:
    """Real touches, which scroll where they may."""

    def __init__(self, pad):
        self.pad, self.session = pad, pad.page.context.new_cdp_session(pad.page)

    def send(self, kind, *points):
        places = [{"x": x, "y": y, "id": i} for i, (x, y) in enumerate(self.pad.at(*point) for point in points)]
        self.session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": places})

    def draw(self, stroke, steps=6):
        self.send("touchStart", stroke[0])
        for start, end in itertools.pairwise(stroke):
            for step in range(1, steps + 1):
                self.send("touchMove", tuple(np.array(start) + (np.array(end) - start) * step / steps))
        self.send("touchEnd")


def test_a_finger_draws_and_does_not_scroll(touched):
    pad = touched
    scrolled = pad.surface.evaluate(
        """pad => {
          for (let box = pad; box; box = box.parentElement) {
            box.scrollTop = 50;
            if (box.scrollTop) return true;
          }
        }"""
    )
    assert scrolled  # else the page could not be scrolled by a finger either
    place = pad.surface.bounding_box()
    fingers = Fingers(pad)
    fingers.draw(list(reversed(ONE[0])))
    pad.answers(1)
    fingers.draw(FOUR[0])
    expect(pad.part("ink").locator("polyline")).to_have_count(2)
    assert pad.strokes()[0] == pytest.approx(np.array(ONE[0][::-1]), abs=0.02)
    assert pad.strokes()[1] == pytest.approx(np.array(FOUR[0]), abs=0.02)
    assert pad.surface.bounding_box() == place
    assert pad.inked(*ONE[0], (0.8, 0.2)) == [True, True, False]


def test_a_tap_after_a_quick_stroke_is_not_lost(touched):
    """Browsers take the end of the stroke for a flick, and the tap for what stops it."""
    fingers, clear = Fingers(touched), touched.part("clear")
    touched.surface.scroll_into_view_if_needed()
    for _ in range(4):
        fingers.draw(SEVEN[0], steps=3)
        expect(clear).to_be_enabled()
        touched.page.wait_for_timeout(300)
        box = clear.bounding_box()
        touched.page.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        expect(touched.part("ink").locator("polyline")).to_have_count(0, timeout=1500)


def test_a_second_finger_does_not_draw(touched):
    fingers, left, right = Fingers(touched), 0.3, 0.8
    fingers.send("touchStart", (left, 0.2))
    fingers.send("touchMove", (left, 0.3))
    fingers.send("touchStart", (left, 0.3), (right, 0.3))
    for y in 0.4, 0.5, 0.6, 0.7:
        fingers.send("touchMove", (left, y), (right, y))
    fingers.send("touchEnd")
    touched.answers(1)
    (stroke,) = touched.strokes()
    assert stroke == pytest.approx(np.array([(left, 0.2), (left, 0.7)]), abs=0.02)


def test_a_tap_on_a_bar_asks_which_ink_speaks_for_it_and_the_next_one_ends_it(touched, model):
    """On a phone without scrolling, and nothing moves: image and reason are where pad and sentence are."""
    touched.draw(SEVEN)
    touched.answers(7)
    buttons = touched.part("bars").locator("button")
    buttons.nth(2).scroll_into_view_if_needed()
    before = buttons.nth(2).bounding_box()
    buttons.nth(2).tap()
    explained(touched, model, 2)
    assert buttons.nth(2).bounding_box() == pytest.approx(before, abs=2)
    if touched.page.viewport_size["width"] == 390:
        assert touched.part("shares").bounding_box() == pytest.approx(touched.surface.bounding_box(), abs=4)
        touched.screenshot("phone_why")
    buttons.nth(4).tap()
    explained(touched, model, 4)
    buttons.nth(4).tap()
    plain(touched)
    buttons.nth(4).tap()
    explained(touched, model, 4)
    Fingers(touched).draw(ONE[0])  # who draws has done asking
    expect(touched.part("ink").locator("polyline")).to_have_count(2)
    plain(touched)


@only_app
def test_the_app_fits_a_phone(pad, phone):
    def too_wide():
        return phone.page.evaluate(
            """() => [...document.querySelectorAll("*")].filter((each) => each.checkVisibility() &&
              (each.getBoundingClientRect().right > innerWidth + 1 ||
               each.scrollWidth > each.clientWidth + 1 && /auto|scroll/.test(getComputedStyle(each).overflowX)))
              .map((each) => each.outerHTML.slice(0, 100))"""
        )

    assert phone.page.evaluate("innerWidth") == 390
    assert too_wide() == []
    phone.screenshot("phone_empty")
    phone.draw(SEVEN)
    phone.answers(7)
    phone.screenshot("phone_drawn")
    phone.open("layers", "map", "mine", "fool")
    keep(phone, 7)
    expect(phone.part("kept").locator("button")).to_have_count(1)
    expect(phone.part("place").locator("circle")).to_have_count(2, timeout=60_000)
    assert too_wide() == []
    phone.page.set_viewport_size({"width": 390, "height": 3000})
    phone.screenshot("phone_all")
    buttons = phone.root.locator("button:visible")
    assert (
        min(buttons.evaluate_all("all => all.map(each => each.getBoundingClientRect().height)")) >= 24
    )  # for a finger


@only_app
@pytest.mark.parametrize(("width", "height"), [(390, 664), (375, 553), (412, 732)])
def test_on_a_phone_the_answer_is_seen_without_scrolling(pad, phone, width, height):
    """With the bars of its browser a phone has so much room."""
    phone.page.set_viewport_size({"width": width, "height": height})
    for strokes, wait in (SEVEN, lambda: phone.answers(7)), (LETTER_A, phone.doubts):
        phone.part("example").scroll_into_view_if_needed()
        phone.page.evaluate("for (const box of document.querySelectorAll('*')) box.scrollTop = 0")
        phone.draw(strokes)
        wait()
        phone.page.screenshot(path=SCREENSHOTS / f"phone_{height}_{len(strokes)}.png")
        places = [place.bounding_box() for place in (phone.surface, phone.part("clear"), phone.part("verdict"),
                                                     phone.sentence, phone.bars.nth(0), phone.bars.nth(4))]  # fmt: skip
        assert all(box["y"] >= 0 and box["y"] + box["height"] <= height for box in places)
        assert places[0]["width"] > 0.6 * width
        phone.part("clear").click()


@only_app
def test_two_pages_of_the_app_do_not_share_strokes(pad, phone):
    pad.draw(SEVEN)
    pad.answers(7)
    phone.draw(ONE)
    phone.answers(1)
    pad.draw([[(0.2, 0.9)]])
    expect(pad.part("ink").locator("polyline")).to_have_count(2)
    assert len(phone.strokes()) == 1
    pad.part("clear").click()
    expect(pad.sentence).to_contain_text(EMPTY)
    phone.answers(1)
    assert len(phone.strokes()) == 1


def test_nothing_leaves_the_machine(pad, touched):
    for each in pad, touched:
        own = (f"http://{each.host}/", "data:", f"blob:http://{each.host}/")
        assert len([url for url, how in each.requests if url.startswith(own) and how == "answered"]) > 10
        # The app's page may ask for something elsewhere, but its Content-Security-Policy does not let it.
        allowed = {"csp"} if each.name == "app" else set()
        assert {how for url, how in each.requests if not url.startswith(own)} <= allowed


def choose(pad, menu, command):
    pad.page.get_by_role("menuitem", name=menu, exact=True).click()
    pad.page.locator(f".lm-Menu [data-command='{command}']").click()


WIDGETS = """import mnist_helpers as mh
from PIL import Image
mnist, model = mh.load_mnist(), mh.load_pretrained()
display(mh.transform(model, mnist.test.images[0]))
mh.read_picture(model, {"a digit": Image.fromarray(mnist.test.images[0].numpy())})"""


@only_lab
def test_the_widgets_of_05_have_names_and_are_read_out(front, servers):
    """ipywidgets gives none to its sliders, and does not say which button is pressed."""
    lab = servers["lab"]
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    book = new_notebook(cells=[new_code_cell(WIDGETS)], metadata=kernel)
    nbformat.write(book, lab.log.parent / "root" / "widgets.ipynb")
    page = front.page.context.new_page()
    page.goto(lab.address.replace("pad.ipynb", "widgets.ipynb"), timeout=120_000)
    page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status=idle]", timeout=120_000)
    box = page.locator(".widget-vbox")
    for _ in range(60):  # before the kernel is ready, JupyterLab forgets what it was told to run
        if page.locator(".jp-InputPrompt", has_text="[ ]:").count():
            with suppress(TimeoutError):  # of Playwright's: what JupyterLab is still doing can close the menu
                page.get_by_role("menuitem", name="Run", exact=True).click(timeout=3000)
                page.locator(".lm-Menu [data-command='runmenu:run-all']").click(timeout=3000)
        if box.count() == 2:
            break
        page.wait_for_timeout(2000)
    moved, read = box.nth(0), box.nth(1)
    for name in ("rotate (°)", "right (px)", "down (px)", "scale (×)"):
        expect(moved.get_by_role("slider", name=name, exact=True)).to_have_count(1)
    sentence, picture = moved.locator(".widget-html-content"), moved.locator("> img")
    expect(sentence).to_have_attribute("aria-live", "polite")
    before = sentence.inner_text()
    assert before.startswith("The network says")
    expect(picture).to_have_attribute("alt", before)
    moved.get_by_role("slider", name="down (px)").press("PageUp")
    expect(sentence).not_to_have_text(before)
    expect(picture).to_have_attribute("alt", sentence.inner_text())

    expect(read.get_by_role("button", pressed=True)).to_have_text("centred like MNIST")
    read.get_by_role("button", name="only shrunk").click()
    expect(read.get_by_role("button", pressed=True)).to_have_text("only shrunk")
    page.close()


@only_lab
def test_without_its_kernel_the_pad_says_so_until_the_cell_is_run_again(front):
    """The last test of the notebook: it takes the kernel away from the others."""
    front.reset()
    front.draw(ONE)
    front.answers(1)
    choose(front, "Kernel", "kernelmenu:restart")
    front.page.locator(".jp-Dialog .jp-mod-accept").click()
    expect(front.part("notice")).to_contain_text("Python does not answer")
    front.screenshot("kernel_gone")
    choose(front, "Run", "runmenu:run-all")
    expect(front.sentence).to_contain_text(EMPTY, timeout=120_000)
    expect(front.part("notice")).to_be_empty()
    front.draw(SEVEN)
    front.answers(7)
    assert not front.errors
