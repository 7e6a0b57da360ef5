"""Any picture to an MNIST-style digit: geometry against SciPy, all kinds of files, bad input."""

import base64
import io
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch
from nbconvert import HTMLExporter
from PIL import Image, ImageDraw
from scipy import ndimage

import mnist_helpers as mh
from mnist_helpers import widgets


def drawing(size=(300, 200), box=(40, 30, 100, 150), pen=12, ink="black", paper="white", mode="RGB"):
    """A 7 in the `box` (left, top, right, bottom) of a picture."""
    left, top, right, bottom = box
    picture = Image.new(mode, size, paper)
    stroke = [(left, top), (right, top), (left + (right - left) // 3, bottom)]
    ImageDraw.Draw(picture).line(stroke, fill=ink, width=pen, joint="curve")
    return picture


SEVEN = mh.to_mnist(drawing())


def centre_of_mass(image):
    return ndimage.center_of_mass(image.numpy().astype(float))


def difference(first, second):
    return (first.float() - second.float()).abs().mean().item()


def test_the_digit_fills_20_pixels_and_its_mass_is_in_the_middle():
    for box in [(40, 30, 100, 150), (5, 5, 40, 60), (200, 20, 290, 60), (10, 90, 280, 130)]:
        digit = mh.to_mnist(drawing(box=box))
        assert digit.shape == (28, 28)
        assert digit.dtype == torch.uint8
        assert digit.max() == 255
        rows, columns = ndimage.find_objects((digit.numpy() > 0).astype(int))[0]
        assert max(rows.stop - rows.start, columns.stop - columns.start) == 20
        for centre in centre_of_mass(digit):
            assert 13.45 <= centre < 14.55  # rounding to whole grey values moves it a little


def test_the_rounding_rule_is_mnists_own(mnist):
    """An MNIST digit is already made so: it must come back nearly unchanged and in the same place."""
    changes, shifts = [], []
    for image in mnist.test.images[:300]:
        again = mh.to_mnist(image)
        changes.append(difference(image, again))
        shifts.append(np.abs(np.subtract(centre_of_mass(image), centre_of_mass(again))).max())
    assert np.mean(changes) < 3  # of 255
    assert np.mean(np.array(shifts) < 0.6) > 0.97


def test_lopsided_ink_stays_on_the_canvas():
    """All the mass at the end of a long thin line: the centre cannot be in the middle."""
    array = np.zeros((100, 100), np.uint8)
    array[50, 2:98] = 90
    array[44:56, 88:98] = 255
    for turned in (array, array[:, ::-1].copy(), array.T.copy(), array.T[::-1].copy()):
        digit = mh.to_mnist(turned)
        assert max((digit > 0).any(0).sum(), (digit > 0).any(1).sum()) == 20


def test_position_and_size_of_the_drawing_do_not_matter():
    moved = mh.to_mnist(drawing(box=(200, 60, 260, 180)))
    assert torch.equal(moved, SEVEN)
    larger = drawing(size=(900, 600), box=(120, 90, 300, 450), pen=36)
    assert difference(mh.to_mnist(larger), SEVEN) < 4


def test_without_the_fit_the_picture_is_only_shrunk():
    small = mh.to_mnist(drawing(size=(280, 280), box=(20, 20, 60, 100)), fit=False)
    assert small[14:].sum() == 0  # still in its corner
    assert small[:, 14:].sum() == 0
    wide = mh.to_mnist(drawing(size=(560, 280), box=(20, 20, 500, 250)), fit=False)
    assert wide[:7].sum() == wide[21:].sum() == 0  # the aspect is kept


GREY = np.asarray(drawing().convert("L"))
CLEAR = (0, 0, 0, 0)
PICTURES = {
    "L": drawing().convert("L"),
    "light on dark": drawing(ink="white", paper="black"),
    "grey on grey": drawing(ink="#606060", paper="#b0b0b0"),
    "1": drawing().convert("1"),
    "P": drawing().convert("P"),
    "CMYK": drawing().convert("CMYK"),
    "LA": drawing().convert("LA"),
    "F": drawing().convert("F"),
    "dark ink on nothing": drawing(mode="RGBA", paper=CLEAR, ink=(20, 20, 20, 255)),
    "light ink on nothing": drawing(mode="RGBA", paper=CLEAR, ink=(240, 240, 240, 255)),
    "array": GREY,
    "inverted array": 255 - GREY,
    "float array": GREY / 255,
    "boolean array": GREY > 128,
    "16-bit array": GREY.astype(np.uint16) * 257,
    "32-bit array": GREY.astype(np.uint32),
    "colour array": np.asarray(drawing()),
    "H W 1": GREY[..., None],
    "tensor": torch.from_numpy(GREY.copy()),
    "bfloat16 tensor": torch.from_numpy(GREY / 255).bfloat16(),
    "tensor C H W": torch.from_numpy(np.asarray(drawing()).copy()).permute(2, 0, 1),
    "with an upside-down mark": None,
}


@pytest.mark.parametrize("kind", PICTURES)
def test_every_kind_of_picture_gives_the_same_digit(kind, tmp_path):
    picture = PICTURES[kind]
    if picture is None:
        exif = Image.Exif()
        exif[0x0112] = 3  # orientation: turned by 180 degrees
        drawing().rotate(180).save(tmp_path / "phone.png", exif=exif)
        picture = tmp_path / "phone.png"
    assert difference(mh.to_mnist(picture), SEVEN) < 2


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.gif", "a.bmp", "a.webp", "a.tif"])
def test_files(name, tmp_path):
    drawing().save(tmp_path / name, **({"quality": 95} if name.endswith(("jpg", "webp")) else {}))
    assert difference(mh.to_mnist(tmp_path / name), SEVEN) < 3
    assert difference(mh.to_mnist(str(tmp_path / name)), SEVEN) < 3


def test_16_bit_png_and_animated_gif(tmp_path):
    Image.fromarray(GREY.astype(np.uint16) * 257).save(tmp_path / "deep.png")
    assert difference(mh.to_mnist(tmp_path / "deep.png"), SEVEN) < 2
    drawing().save(tmp_path / "film.gif", save_all=True, append_images=[drawing(box=(10, 10, 290, 190))])
    assert difference(mh.to_mnist(tmp_path / "film.gif"), SEVEN) < 2


def test_a_shadow_on_the_paper_is_not_ink():
    shade = np.linspace(0.85, 1.0, 300)
    assert difference(mh.to_mnist(GREY / 255 * shade), SEVEN) < 6


def png(picture):
    buffer = io.BytesIO()
    picture.save(buffer, format="png")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (Image.new("RGB", (50, 50), "white"), "blank"),
        (Image.new("RGBA", (50, 50), CLEAR), "blank"),
        (np.full((50, 50), 0.5), "blank"),
        (np.random.default_rng(0).normal(0.9, 0.01, (50, 50)), "blank"),
        (Image.new("L", (1, 1)), "blank"),
        (np.full((5, 5), np.nan), "NaN"),
        (np.array([[0.0, np.inf]]), "infinite"),
        (np.array([[-1.0, 1.0]]), "negative"),
        (np.zeros((0, 5)), "shape"),
        (np.zeros((2, 2, 2, 2)), "shape"),
        (np.zeros((9, 9, 9)), "shape"),
        (np.array([["a", "b"]]), "numbers"),
        (np.zeros((8000, 8000), bool), "more than 50,000,000 pixels"),
    ],
)
def test_bad_pictures_get_one_clear_error(picture, message):
    with pytest.raises(mh.ImageError, match=message):
        mh.to_mnist(picture)


def test_bad_files_get_one_clear_error(tmp_path):
    whole = png(drawing())
    for name, content in {"cut.png": whole[: len(whole) // 2], "text.png": b"hello", "empty.png": b""}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(mh.ImageError, match="cannot be read as a picture"):
            mh.to_mnist(tmp_path / name)
    with pytest.raises(FileNotFoundError, match=r"no picture .*missing\.png"):
        mh.to_mnist(tmp_path / "missing.png")


def test_a_line_of_1_by_5000_pixels_is_read():
    line = np.ones((1, 5000))
    line[0, 1000:2000] = 0
    digit = mh.to_mnist(line)
    assert (digit > 0).sum() == 20


def test_a_huge_picture_is_refused_before_it_takes_memory(tmp_path):
    """12,000 × 12,000 pixels take 144 MB when decoded; the process may grow by far less."""
    Image.new("L", (12_000, 12_000)).save(tmp_path / "huge.png")
    program = (
        "import sys, resource, mnist_helpers as mh\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try: mh.to_mnist(sys.argv[1])\n"
        "except mh.ImageError as error: print(error)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "huge.png")]
    output = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout.splitlines()
    assert "more than 50,000,000 pixels" in output[0]
    assert int(output[1]) < 50_000  # kilobytes


# Predictions


@pytest.fixture(scope="module")
def model():
    return mh.load_pretrained()


def test_predict_agrees_with_the_forward_pass(model, mnist):
    image = mnist.test.images[3]
    prediction = mh.predict(model, image)
    pixels = (image.float() / 255 - 0.1307) / 0.3081
    expected = torch.softmax(model(pixels.view(1, 1, 28, 28))[0], dim=0)
    assert torch.allclose(prediction.probabilities, expected, atol=1e-5)
    assert prediction.digit == expected.argmax()
    assert torch.equal(prediction.image, image)
    assert prediction.probabilities.sum() == pytest.approx(1, abs=1e-5)


def test_a_drawn_seven_is_read_wherever_it_stands(model):
    for box in [(40, 30, 100, 150), (5, 5, 45, 70), (220, 110, 280, 195)]:
        assert mh.predict(model, drawing(box=box)).digit == 7
    assert repr(mh.predict(model, drawing())).startswith("7 with probability")


# Widgets: what they show follows their controls


def picture_of(data):
    """A PNG as the numbers `(height, width, 4)` of its pixels, transparent ones too."""
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGBA"))


def test_browse_begins_with_the_image_that_the_network_is_least_sure_of(model, mnist):
    few = mnist.test[:100]
    confidence = mh.evaluate(model, few).probabilities.max(1).values
    browser = mh.browse(model, few)
    [place] = browser.controls
    for shown, position in ((1, confidence.argmin()), (100, confidence.argmax())):
        place.value = shown
        prediction, label = mh.predict(model, few.images[position]), int(few.labels[position])
        assert browser.sentence.value.startswith(f"Image {shown} of 100, the least sure first. The network says ")
        assert f"says {prediction.digit} with {100 * confidence[position]:.1f} %" in browser.sentence.value
        assert f"the label is {label}." in browser.sentence.value
    last = browser.picture.value
    place.value = 50
    assert browser.picture.value != last


def test_transform_moves_the_digit(model, mnist):
    image = mnist.test.images[0]
    view = mh.transform(model, image, truth=int(mnist.test.labels[0]))
    before = view.sentence.value
    right = next(control for control in view.controls if control.description.startswith("right"))
    right.value = 8
    assert view.sentence.value != before
    moved = torch.roll(image, 8, dims=1)
    moved[:, :8] = 0
    confidence = mh.predict(model, moved).probabilities.max()
    assert f"{confidence * 100:.1f} %" in view.sentence.value


def send(upload, name, content):
    file = {"name": name, "type": "", "size": len(content), "content": memoryview(content)}
    upload.value = ({**file, "last_modified": datetime.now(UTC)},)


def test_read_picture_takes_examples_and_uploads(model):
    blank = Image.new("RGB", (50, 50), "white")
    reader = mh.read_picture(model, {"seven": drawing(), "blank": blank})
    chosen, upload, style = reader.controls
    assert "says 7" in reader.sentence.value
    picture = reader.picture.value
    shown = np.asarray(Image.open(io.BytesIO(picture)).convert("L"), float)
    left = shown[80:-80, : shown.shape[1] // 4]
    assert (left > 200).mean() > 0.4  # the drawing's white paper,
    assert (left < 50).mean() > 0.005  # and its ink

    style.value = "only shrunk"
    assert reader.picture.value != picture
    chosen.value = "blank"
    assert "cannot be used: the picture is blank" in reader.sentence.value
    chosen.value = "your own file"
    assert "cannot be used: there is none yet" in reader.sentence.value

    send(upload, "mine.png", png(drawing()))
    assert "The network says" in reader.sentence.value
    send(upload, "<b>notes.txt", b"hello")
    assert "&lt;b&gt;notes.txt: this file cannot be read as a picture" in reader.sentence.value
    chosen.value = "seven"  # and back again
    assert "says 7" in reader.sentence.value
    chosen.value = "your own file"
    assert "notes.txt: this file cannot be read" in reader.sentence.value


@pytest.mark.parametrize("before", ["seven", "one", "your own file"])
def test_every_upload_is_drawn_once(model, monkeypatch, before):
    reader = mh.read_picture(model, {"seven": drawing(), "one": drawing(box=(140, 20, 150, 180))})
    chosen, upload, _ = reader.controls
    chosen.value = before
    drawn, draw = [], widgets.picture_and_sentence
    monkeypatch.setattr(widgets, "picture_and_sentence", lambda *args, **kw: drawn.append(1) or draw(*args, **kw))
    for count in (1, 2):
        send(upload, f"{count}.png", png(drawing()))
        assert chosen.value == "your own file"
        assert len(drawn) == count


@pytest.fixture(params=["browse", "transform", "read_picture"])
def view(request, model, mnist):
    if request.param == "browse":
        return mh.browse(model, mnist.test[:50])
    if request.param == "transform":
        return mh.transform(model, mnist.test.images[0], truth=7)
    return mh.read_picture(model, {"a small seven": drawing()})


def test_widgets_draw_in_the_style_of_the_figures(view):
    """Transparent, grey letters, and twice the page's pixels."""
    picture = picture_of(view.picture.value)
    assert picture.shape[1] == 2 * int(view.picture.width)
    assert picture.shape[1] in (1400, 1800)
    assert picture[0, 0, 3] == 0
    grey = [int(mh.GREY[place : place + 2], 16) for place in (1, 3, 5)]
    assert (picture == [*grey, 255]).all(2).sum() > 1000  # letters and axes
    assert not (picture[:, :3] == [0, 0, 0, 255]).all(2).any()


def test_widgets_show_a_still_picture_where_nothing_runs(view):
    """It says in words what the controls are set to, above what the widget shows."""
    data, metadata = view._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in data
    still, live = picture_of(base64.b64decode(data["image/png"])), picture_of(view.picture.value)
    words = still[: len(still) - len(live)]
    assert (still[len(words) :] == live).all()
    assert (words[..., 3] > 0).sum() > 500
    told = metadata["image/png"]
    assert (told["height"], told["width"]) == (len(still) // 2, len(live[0]) // 2)
    assert told["alt"] == view.sentence.value
    text = " ".join(data["text/plain"].split())
    assert view.settings() in text
    assert "The network says" in text


def test_a_still_tells_what_every_control_is_set_to(model, mnist):
    view = mh.transform(model, mnist.test.images[0])
    view.controls[0].value, view.controls[3].value = -35, 1.25
    assert view.settings() == "Controls: rotate (°) -35 · right (px) 0 · down (px) 0 · scale (×) 1.25"
    reader = mh.read_picture(model, {"seven": drawing()})
    reader.controls[2].value = "only shrunk"
    assert reader.settings() == "Controls: picture seven · only shrunk"


PICTURE = re.compile(r'<img[^>]+src="data:image/png;base64,([^"]+)"')


def test_without_a_kernel_every_interactive_output_of_05_is_a_picture():
    """As nbconvert makes a page of it: where a widget's view is stored, its place stays empty."""
    path = Path(__file__).parent.parent / "notebooks" / "05_prediction.ipynb"
    book = nbformat.read(path, as_version=4)
    calls = ("mh.browse(", "mh.read_picture(", "mh.transform(", "mh.draw(")
    interactive = [cell for cell in book.cells if cell.cell_type == "code" and any(map(cell.source.count, calls))]
    assert [sum(call in cell.source for cell in interactive) for call in calls] == [1, 1, 1, 1]
    for cell in interactive:
        page = page_of(nbformat.from_dict({**book, "cells": [cell]}))
        [picture] = PICTURE.findall(page)
        shown = picture_of(base64.b64decode(picture))
        assert shown.shape[1] >= 700
        assert len(np.unique(shown.reshape(-1, 4), axis=0)) > 30
    stored = sum("image/png" in output.get("data", {}) for cell in book.cells for output in cell.get("outputs", []))
    assert len(PICTURE.findall(page_of(book))) == stored


def page_of(book):
    page, _ = HTMLExporter().from_notebook_node(book)
    assert "widget-view+json" not in page
    return page
