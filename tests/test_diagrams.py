"""The drawings tell the numbers of the tensors, in a picture and in a sentence, and are legible on every page."""

import base64
import itertools
import re
import xml.etree.ElementTree as ET
from types import SimpleNamespace

import nbformat
import pytest
import torch
import torch.nn.functional as F
from matplotlib import font_manager
from matplotlib.colors import to_rgb
from PIL import ImageFont
from test_plotting import contrast

import mnist_helpers as mh
from mnist_helpers.data import MNIST, Source
from mnist_helpers.svg import MINUS, PLUS, WIDTH, Diagram, decimals_for, number, percent
from scripts.notebooks import describe_pictures, minutes

SVG = "{http://www.w3.org/2000/svg}"
NAMES = ["neuron", "long neuron", "silent neuron", "network", "wide network", "splits", "sample", "loop", "bare loop",
         "two processes", "four processes", "walk"]  # fmt: skip
IMAGE = torch.arange(784).remainder(256).to(torch.uint8).view(28, 28)


def splits(*counts, is_sample=False):
    parts = (mh.Split(torch.zeros(n, 28, 28, dtype=torch.uint8), torch.zeros(n, dtype=torch.int64)) for n in counts)
    return MNIST(*parts, source=Source("somewhere", is_sample=is_sample))


@pytest.fixture(scope="module")
def drawings():
    mh.set_seed(0)
    small = [torch.linspace(-0.0201, 0.031, 40) * (k + 1) for k in range(4)]
    return {
        "neuron": mh.draw_neuron([0.5, 1.0, -0.4], [0.8, -0.3, 0.5], 0.1),
        "long neuron": mh.draw_neuron(torch.rand(784), torch.rand(784) - 1, torch.tensor([500.0])),
        "silent neuron": mh.draw_neuron([-12.5], [10.0], -0.1),
        "network": mh.draw_network(mh.load_pretrained(), IMAGE),
        "wide network": mh.draw_network(mh.MLP(hidden=(1024, 7)), IMAGE),
        "splits": mh.draw_splits(splits(55000, 5000, 10000)),
        "sample": mh.draw_splits(splits(4000, 500, 500, is_sample=True)),
        "loop": mh.draw_loop(2.3125, torch.tensor(2.25), batch_size=64, gradient=1.5, learning_rate=0.1),
        "bare loop": mh.draw_loop(2.25, 12.3125),
        "two processes": mh.draw_all_reduce([torch.tensor([-1.5, 0.25]), torch.tensor([0.5, 0.75])], batch_size=512),
        "four processes": mh.draw_all_reduce(small),
        "walk": mh.walk(IMAGE, -torch.ones(3, 3)).still(),
    }


@pytest.fixture(params=NAMES)
def drawing(request, drawings):
    return drawings[request.param]


def elements(drawing):
    return ET.fromstring(drawing._repr_svg_())


def texts(drawing):
    """Every text with the box of its letters, in the widest of the usual fonts."""
    found = []
    for element in elements(drawing).iter(f"{SVG}text"):
        kind = "DejaVu Sans Mono" if element.get("font-family") == "monospace" else "DejaVu Sans"
        bold = element.get("font-weight") == "bold"
        size, x, y = (float(element.get(name)) for name in ("font-size", "x", "y"))
        font = ImageFont.truetype(font_manager.findfont(f"{kind}:{'bold' if bold else 'normal'}"), 10 * size)
        width = font.getlength(element.text) / 10
        left = x - {"start": 0, "middle": width / 2, "end": width}[element.get("text-anchor")]
        found.append(SimpleNamespace(words=element.text, size=size, colour=element.get("fill"), left=left,
                                     right=left + width, top=y - 0.75 * size, bottom=y + 0.1 * size))  # fmt: skip
    return found


def words(drawing):
    return [text.words for text in texts(drawing)]


def value(text):
    """The number in a text such as "× −0.30"."""
    return float(re.search(r"−?\d[\d,]*(\.\d+)?", text)[0].replace("−", "-").replace(",", ""))


# Every drawing


def test_a_drawing_is_an_image_with_words_and_needs_nothing_else(drawing):
    root = elements(drawing)
    names = {element.get("id"): element for element in root if element.get("id")}
    title, description = (names[name] for name in root.get("aria-labelledby").split())
    assert root.get("role") == "img"
    assert (title.text, description.text) == (drawing.title, drawing.sentence)
    assert root.get("viewBox") == f"0 0 {WIDTH} {drawing.height}"
    kinds = {element.tag.removeprefix(SVG) for element in root.iter()}
    assert kinds <= {"svg", "title", "desc", "text", "polyline", "polygon", "rect", "path", "g"}
    assert not re.search(r"href|url\(|class=|<style|on\w+=", drawing._repr_svg_())
    assert len(drawing._repr_svg_()) < 75_000


def test_a_notebook_shows_it_with_its_sentence(drawing):
    bundle = drawing._repr_mimebundle_()
    image = ET.fromstring(re.sub(">$", "/>", bundle["text/html"]))
    assert image.get("alt") == drawing.sentence
    assert (
        base64.b64decode(image.get("src").removeprefix("data:image/svg+xml;base64,")).decode()
        == bundle["image/svg+xml"]
    )
    assert bundle["image/svg+xml"] == drawing._repr_svg_()
    assert " ".join(bundle["text/plain"].split()) == drawing.sentence
    assert max(map(len, bundle["text/plain"].splitlines())) <= 74
    assert re.fullmatch(r"[A-Z\d].{60,}\.", drawing.sentence)


def test_no_text_is_small_cut_or_on_another(drawing):
    for text in texts(drawing):
        assert text.size >= 13  # 11.5 on a page of 1,024 pixels
        assert 0 <= text.left < text.right <= WIDTH, text
        assert 0 <= text.top < text.bottom <= drawing.height, text
    for one, other in itertools.combinations(texts(drawing), 2):
        beside = one.right < other.left or other.right < one.left or one.bottom < other.top or other.bottom < one.top
        assert beside, (one, other)


def behind(drawing, text, page):
    """The colour behind a text on a page."""
    colour = to_rgb(page)
    for box in elements(drawing).iter(f"{SVG}rect"):
        left, top, width, height = (float(box.get(name)) for name in ("x", "y", "width", "height"))
        if left <= text.left and text.right <= left + width and top <= text.top and text.bottom <= top + height:
            share = float(box.get("fill-opacity", 1))
            colour = [share * new + (1 - share) * old for new, old in zip(to_rgb(box.get("fill")), colour, strict=True)]
    return colour


@pytest.mark.parametrize("page", ["white", "#111111"])
def test_everything_stands_out_from_light_and_dark_pages(drawing, page):
    for text in texts(drawing):
        assert contrast(text.colour, behind(drawing, text, page)) >= 3, text
    for element in elements(drawing).iter():
        line = element.get("stroke")
        assert line is None or contrast(line, page) >= 3, ET.tostring(element)


def test_texts_that_overlap_would_be_noticed():
    wrong = Diagram(40, "Wrong", "Two words on each other.")
    wrong.text(100, 20, "these words")
    wrong.text(120, 25, "and these")
    with pytest.raises(AssertionError):
        test_no_text_is_small_cut_or_on_another(wrong)


def test_numbers_are_written_as_people_write_them():
    assert [number(x) for x in (-0.5, -0.001, 1234.5)] == ["−0.50", "0.00", "1,234.50"]
    assert [percent(x) for x in (1, 0.9999, 0.876, 0.0001, 0)] == ["100.0 %", "> 99.9 %", "87.6 %", "< 0.1 %", "0.0 %"]
    assert [decimals_for([x, 0]) for x in (123, 1.5, 0.0123, 1e-9, 0)] == [0, 2, 4, 6, 2]


def test_cells_are_the_fuller_the_larger_their_value():
    drawing = Diagram(40, "Cells", "Six of them.")
    drawing.cells(10, 20, [[1, 0.5, 0.01], [-1, -0.25, 7]], 5, colour=PLUS, other=MINUS)
    shown = {}
    for path in elements(drawing).iter(f"{SVG}path"):
        for x, y in re.findall(r"M([\d.]+) ([\d.]+)h5", path.get("d")):
            shown[float(x), float(y)] = path.get("fill"), float(path.get("fill-opacity"))
    assert shown == {(10, 20): (PLUS, 1), (15, 20): (PLUS, 0.5), (10, 25): (MINUS, 1), (15, 25): (MINUS, 0.25),
                     (20, 25): (PLUS, 1)}  # fmt: skip


def test_words_from_outside_stay_words():
    drawing = Diagram(40, "<b>", 'A "sentence" with <b> & more.')
    drawing.text(10, 10, "a < b & c")
    root = elements(drawing)
    assert root.find(f"{SVG}text").text == "a < b & c"
    assert root.find(f"{SVG}desc").text == drawing.sentence
    image = ET.fromstring(re.sub(">$", "/>", drawing._repr_mimebundle_()["text/html"]))
    assert image.get("alt") == drawing.sentence


def test_a_stored_drawing_is_described_and_counted_as_a_figure(drawing):
    new = nbformat.v4
    output = new.new_output("execute_result", drawing._repr_mimebundle_(), execution_count=1)
    cells = [new.new_code_cell("x", outputs=[output] * (n == 3) * 20) for n in range(4)]
    book = new.new_notebook(cells=[*cells, new.new_markdown_cell("## Exercises")])
    describe_pictures(book)
    assert output.metadata["image/svg+xml"]["alt"] == drawing.sentence
    assert minutes(book)[0] == 10  # half a minute for each


# One by one


def test_a_neuron_shows_its_sum():
    inputs, weights = torch.tensor([0.5, 1.0, -0.4]), torch.tensor([0.8, -0.3, 0.5])
    drawing = mh.draw_neuron(inputs, weights, torch.tensor(0.25))
    shown = words(drawing)
    assert [value(text) for text in shown if text.startswith("× ")] == pytest.approx(weights.tolist())
    assert {"0.50", "1.00", "−0.40", "0.400", "−0.300", "−0.200", "bias 0.25"} <= set(shown)
    assert shown[-1] == "0.150"
    assert drawing.sentence == (
        "A neuron with 3 inputs: 0.50 × 0.800 + 1.00 × −0.300 + −0.40 × 0.500, plus the bias 0.25, is 0.150; after "
        "ReLU the output is 0.150."
    )


def test_a_neuron_with_many_inputs_shows_the_first_and_adds_up_all():
    mh.set_seed(0)
    inputs, weights = torch.rand(784), torch.rand(784) - 0.6
    drawing = mh.draw_neuron(inputs, weights, 0.5)
    assert "… and 780 more, together" in words(drawing)
    assert number((inputs[4:] * weights[4:]).sum(), 3) in words(drawing)
    total = (inputs.double() @ weights.double()).item() + 0.5
    assert total < 0
    assert number(total, 3) in words(drawing)
    assert words(drawing)[-1] == "0.000"
    assert f"and 780 more, plus the bias 0.50, is {number(total, 3)}; after ReLU" in drawing.sentence


@pytest.mark.parametrize("training", [True, False])
def test_a_network_shows_its_activations_and_its_answer(training):
    mh.set_seed(0)
    model = mh.MLP(hidden=(96, 33)).train(training)
    drawing = mh.draw_network(model, IMAGE)
    first, second, logits = mh.activations(model, IMAGE[None])
    shares = logits[0].softmax(0)
    assert [text for text in words(drawing) if "%" in text] == [percent(share) for share in shares.tolist()]
    assert {"784", "96", "33", "10", f"{784 * 96:,}", f"{96 * 33:,}", "330"} <= set(words(drawing))
    (best, other), (most, less) = shares.topk(2).indices.tolist(), map(percent, shares.topk(2).values.tolist())
    assert drawing.sentence == (
        f"The network 784-96-33-10 reads one image: {(first > 0).sum()} of 96 neurons of the first hidden layer answer "
        f"with more than 0, {(second > 0).sum()} of 33 of the second; it says {best} with {most}, then {other} with "
        f"{less}."
    )
    blue = [path for path in elements(drawing).iter(f"{SVG}path") if path.get("fill") == mh.BLUE]
    cells = {float(path.get("fill-opacity")): path.get("d").count("M") for path in blue}
    strong = sum(int((layer / layer.max() * 24).round().ge(1).sum()) for layer in (first, second))
    assert abs(sum(path.get("d").count("M") for path in blue) - strong) <= 1, cells
    assert model.training == training


@pytest.mark.parametrize(
    ("name", "counts", "origins"),
    [
        ("splits", (55000, 5000, 10000), {"the training file: 60,000", "the test file: 10,000"}),
        ("sample", (4000, 500, 500), {"the offline sample, a part of the training file: 5,000"}),
    ],
)
def test_the_splits_are_in_true_proportion(drawings, name, counts, origins):
    drawing = drawings[name]
    widths = [float(box.get("width")) for box in elements(drawing).iter(f"{SVG}rect")]
    assert [width / sum(widths) for width in widths] == pytest.approx([n / sum(counts) for n in counts], abs=1e-4)
    assert origins <= set(words(drawing))
    for part, count in zip(("train", "validation", "test"), counts, strict=True):
        assert f"{part} {count:,}" in words(drawing)
        assert f"{count:,} for" in drawing.sentence


def test_the_real_data_can_be_drawn(mnist):
    assert f"train {len(mnist.train):,}" in words(mh.draw_splits(mnist))


def test_the_loop_tells_what_a_step_did(drawings):
    assert {"2.312 → 2.250", "64 images", "length 1.500", "learning rate 0.1"} <= set(words(drawings["loop"]))
    assert drawings["loop"].sentence == (
        "The training loop, a circle of five: a batch of 64 images goes through the network, the loss is 2.312, "
        "backward gives the gradient of length 1.500, and a step with the learning rate 0.1 moves the weights; the "
        "loss of this batch is now 2.250. Then comes the next batch."
    )
    better, worse = (
        [text.colour for text in texts(drawings[name]) if "→" in text.words] for name in ("loop", "bare loop")
    )
    assert (better, worse) == ([mh.GREEN], [mh.ORANGE])
    assert not [text for text in words(drawings["bare loop"]) if re.search("length|rate|64", text)]


def test_all_reduce_gives_everyone_the_mean():
    mh.set_seed(0)
    layer, images, labels = torch.nn.Linear(784, 10), torch.randn(90, 784), torch.arange(90) % 10
    gradients = []
    for part in range(3):
        mine = slice(30 * part, 30 * part + 30)
        gradients += torch.autograd.grad(F.cross_entropy(layer(images[mine]), labels[mine]), layer.weight)
    (whole,) = torch.autograd.grad(F.cross_entropy(layer(images), labels), layer.weight)
    drawing = mh.draw_all_reduce(gradients, batch_size=90)
    shown = [value(text) for text in words(drawing) if re.fullmatch(r"−?\d\.\d+", text)]
    rows = torch.tensor(shown).view(3, 2, 3)
    assert torch.allclose(rows[:, 0], torch.stack(gradients).flatten(1)[:, :3], atol=6e-4)
    assert torch.allclose(rows[:, 1], whole.flatten()[:3].expand(3, 3), atol=6e-4)
    assert words(drawing).count("30 images") == 3
    assert "sum ÷ 3" in words(drawing)
    assert words(drawing).count("…") == 6
    assert [value(text) for text in drawing.sentence.split("hold the mean, ")[1].split(", ")] == pytest.approx(
        whole.flatten()[:3].tolist(), abs=6e-4
    )


# What cannot be drawn

nan = float("nan")


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: mh.draw_neuron([1, 2], [1], 0), "2 inputs and 1 weights"),
        (lambda: mh.draw_neuron([], [], 0), "of the inputs, there has to be one number at least"),
        (lambda: mh.draw_neuron([1], [nan], 0), "of the weights, .* every one finite"),
        (lambda: mh.draw_neuron([1], ["a"], 0), "the weights cannot be read as numbers"),
        (lambda: mh.draw_neuron([1], [1], [1, 2]), "the bias is one number, not 2"),
        (lambda: mh.draw_network(mh.CNN(), IMAGE), "an mh.MLP can be drawn, not CNN"),
        (lambda: mh.draw_network(mh.MLP(), IMAGE[None]), r"a tensor \(28, 28\), not"),
        (lambda: mh.draw_network(mh.MLP(), IMAGE.numpy()), r"a tensor \(28, 28\), not"),
        (lambda: mh.draw_loop(nan, 1), "of the loss before, .* finite"),
        (lambda: mh.draw_loop(2, [1, 2]), "the loss after is one number, not 2"),
        (lambda: mh.draw_loop(2, 1, gradient="long"), "the length of the gradient"),
        (lambda: mh.draw_all_reduce([torch.ones(2)]), "two to four gradients"),
        (lambda: mh.draw_all_reduce([torch.ones(2)] * 5), "two to four gradients"),
        (lambda: mh.draw_all_reduce([torch.ones(2), torch.ones(3)]), "of one shape"),
        (lambda: mh.draw_all_reduce([torch.ones(2), torch.tensor([1, nan])]), "finite"),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_one_line(draw, message):
    with pytest.raises(ValueError, match=message) as raised:
        draw()
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 200
