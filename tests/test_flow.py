"""What the pad makes seen of a network's thinking: the lines between its layers, and which ink speaks for an answer."""

import json

import numpy as np
import pytest
import torch
from torch import nn

import mnist_helpers as mh
from mnist_helpers.data import MNIST
from mnist_helpers.pad import flow, ink, panels, widget

SEVEN = [[[0.3, 0.25], [0.7, 0.25], [0.45, 0.8]]]
DOT = [[[0.5, 0.5]]]


@pytest.fixture(scope="module")
def model():
    return mh.load_pretrained()


@pytest.fixture(scope="module")
def cnn():
    return mh.load_pretrained(name="cnn")


@pytest.fixture(scope="module")
def small(mnist):
    return MNIST(mnist.train[:1500], mnist.validation[:200], mnist.test[:300], mnist.source)


@pytest.fixture
def pad(model, cnn, small):
    return mh.draw({"MLP": model, "CNN": cnn}, small)


@pytest.fixture(scope="module")
def seven(model):
    return mh.predict(model, mh.Drawing(SEVEN))


def lines_of(network, image):
    return flow.flow(network, image, [layer[0] for layer in mh.activations(network, image.unsqueeze(0))])


# Lines


def products_by_hand(model, image):
    """Of each two layers every activation × weight, `(inputs, outputs)`, in NumPy; 0 if it leads to a silent neuron."""
    weights = [parameter.detach().double().numpy() for parameter in model.parameters()]
    values = (image.numpy().ravel() / 255 - 0.1307) / 0.3081
    blank = np.full(784, -0.1307 / 0.3081)
    found = []
    for layer, (weight, bias) in enumerate(zip(weights[::2], weights[1::2], strict=True)):
        counted = values - blank if layer == 0 else values
        values = weight @ values + bias
        if layer < 2:
            values = np.maximum(values, 0)
        found.append(counted[:, None] * weight.T * ((values > 0) | (layer == 2)))
    return found


def test_the_lines_are_the_largest_products_of_activation_and_weight(model, seven):
    found = lines_of(model, seven.image)
    assert found["columns"] == [784, 128, 64, 10]
    for lines, products in zip(found["lines"], products_by_hand(model, seven.image), strict=True):
        assert len(lines["from"]) == len(lines["to"]) == len(lines["weights"]) == flow.LINES == 150
        shown = products[lines["from"], lines["to"]]
        largest = np.sort(abs(products).ravel())[-150:]
        assert abs(shown) == pytest.approx(largest, rel=1e-3)  # the weakest first
        assert lines["weights"] == pytest.approx(100 * shown / largest[-1], abs=0.51)
        assert {np.sign(weight) for weight in lines["weights"]} == {-1, 1}


def test_blank_paper_has_no_lines_and_silent_neurons_get_none(model, seven):
    first, *_ = lines_of(model, seven.image)["lines"]
    assert all(seven.image.flatten()[first["from"]] > 0)
    answers = mh.activations(model, seven.image.unsqueeze(0))
    assert (answers[0][0] == 0).any()
    assert all(answers[0][0][first["to"]] > 0)
    empty = lines_of(model, torch.zeros(28, 28, dtype=torch.uint8))
    assert empty["lines"][0] == {"from": [], "to": [], "weights": []}


def test_the_sentence_names_the_neuron_that_gives_most(model):
    """Not the one that takes most away, which is another for some drawings."""
    differ = 0
    for drawing in mh.load_drawings()[::6]:
        prediction = mh.predict(model, drawing)
        products = products_by_hand(model, prediction.image)[2][:, prediction.digit]
        differ += products.argmax() != abs(products).argmax()
        sentence = f"The {prediction.digit} gets most from neuron {products.argmax()} of the layer before it."
        assert lines_of(model, prediction.image)["sentence"].endswith(sentence)
    assert differ > 0


def test_a_small_network_has_as_many_lines_as_there_are(seven):
    torch.manual_seed(0)
    lines = lines_of(nn.Sequential(nn.Flatten(), nn.Linear(784, 3), nn.ReLU(), nn.Linear(3, 10)), seven.image)["lines"]
    assert 0 < len(lines[1]["to"]) <= 30
    assert set(lines[1]["from"]) <= {0, 1, 2}


class Twice(nn.Module):
    """Its layers are sums and `nn.ReLU`, but it does something else besides."""

    def __init__(self):
        super().__init__()
        self.first, self.relu, self.last = nn.Linear(784, 16), nn.ReLU(), nn.Linear(16, 10)

    def forward(self, images):
        return self.last(2 * self.relu(self.first(images.flatten(1))))


class Shared(Twice):
    """The same without that: one `nn.ReLU` may serve several layers."""

    def forward(self, images):
        return self.last(self.relu(self.first(images.flatten(1))))


def test_where_lines_would_tell_lies_there_are_none_and_the_panel_says_why(cnn, seven):
    assert lines_of(Twice(), seven.image) == {"sentence": flow.NO_LINES}
    assert lines_of(cnn, seven.image) == {"sentence": flow.CONVOLUTIONS}
    assert lines_of(Shared(), seven.image)["columns"] == [784, 16, 10]


def test_the_pad_has_lines_while_the_layers_are_seen(pad, model, monkeypatch):
    pad.strokes = SEVEN
    assert pad.seen["flow"] == lines_of(model, pad.prediction.image)
    json.dumps(pad.seen["flow"], allow_nan=False)
    pad.network = "CNN"
    assert pad.seen["flow"] == {"sentence": flow.CONVOLUTIONS}
    monkeypatch.setattr(panels, "flow", lambda *_: pytest.fail("what is hidden is not computed"))
    pad.opened = []
    pad.strokes = DOT
    assert "flow" not in pad.seen


# Ink


def test_the_shares_are_gradient_times_ink(model, seven):
    """As small changes of the pixels show it, in double precision."""
    network = mh.MLP().double()
    network.load_state_dict(model.state_dict())
    network.eval()

    def lead(image):
        logits = network((image.double().view(1, 1, 28, 28) / 255 - 0.1307) / 0.3081)[0]
        return (logits[7] - logits[9]).item()

    shares = ink.ink_shares(model, seven.image, 7, 9)
    assert shares.shape == (28, 28)
    assert (shares[seven.image == 0] == 0).all()
    here = lead(seven.image)
    for row, column in seven.image.nonzero()[::7]:
        less = seven.image.double()
        less[row, column] *= 0.999
        assert shares[row, column].item() == pytest.approx(1000 * (here - lead(less)), abs=0.02)


@pytest.mark.parametrize("mode", [True, False])
def test_asking_leaves_the_network_as_it_was(cnn, mode):
    cnn.train(mode)
    before = {name: tensor.clone() for name, tensor in cnn.state_dict().items()}
    image = mh.render(mh.Drawing(SEVEN))
    with torch.no_grad():  # as a notebook may have it
        shares = ink.ink_shares(cnn, image, 7)
    assert shares.any()
    assert cnn.training is mode
    assert all(torch.equal(tensor, before[name]) for name, tensor in cnn.state_dict().items())
    assert all(parameter.grad is None for parameter in cnn.parameters())
    cnn.eval()
    assert torch.allclose(ink.ink_shares(cnn, image, 7), shares)


def test_the_answer_is_asked_about_itself_and_against_the_others(model, seven):
    for asked, expected in (7, ink.ink_shares(model, seven.image, 7)), (2, ink.ink_shares(model, seven.image, 7, 2)):
        found = ink.why(model, seven, asked)
        values = np.frombuffer(found["shares"], np.uint8).reshape(28, 28).astype(float) - 128
        assert values == pytest.approx(127 * (expected / expected.abs().max()).numpy(), abs=0.51)
        assert found["sentence"] == ink.in_words(expected, 7, None if asked == 7 else 2)


def shares_with(**fields):
    """A square of 18×18 pixels in a corner, in whose nine fields of 6×6 one pixel has a share."""
    shares = torch.zeros(28, 28)
    places = {"first": (0, 0), "top": (0, 1), "centre": (1, 1), "right": (1, 2), "last": (2, 2)}
    for name, share in fields.items():
        row, column = places[name]
        shares[5 + 8 * row, 5 + 8 * column] = share
    return shares


def test_where_the_ink_speaks_is_said_in_words():
    shares = shares_with(first=6, last=1, right=3, centre=-2)
    assert ink.in_words(shares, 4, 9) == (
        "Why 4, not 9? Blue ink speaks for 4, most at the upper left (60\u00a0% of the blue); "
        "orange for 9, most in the middle (100\u00a0% of the orange)."
    )
    assert ink.in_words(-shares, 4) == (
        "Why 4? Blue ink speaks for 4, most in the middle (100\u00a0% of the blue); "
        "orange against it, most at the upper left (60\u00a0% of the orange)."
    )
    assert ink.in_words(shares.clamp(min=0), 4).endswith("; none against it.")
    assert ink.in_words(torch.zeros(28, 28), 4, 9) == "Why 4, not 9? No ink speaks for 4; none for 9."


@pytest.mark.parametrize(
    ("place", "words"), [("top", "at the top"), ("right", "at the right"), ("last", "at the lower")]
)
def test_the_fields_are_named_as_they_lie(place, words):
    shares = shares_with(first=1, last=1) + shares_with(**{place: 4})
    assert f"most {words}" in ink.in_words(shares, 4)


def test_a_narrow_stroke_lies_in_the_middle():
    """Not left, middle and right of itself: the fields are those of a square."""
    shares = torch.zeros(28, 28)
    shares[4:24, 13] = 1
    shares[4:24, 14] = 0.5
    shares[12, 13:15] = 9
    assert "most in the middle (" in ink.in_words(shares, 1)


def test_the_pad_says_why_while_it_is_asked(pad, model, monkeypatch):
    assert (pad.asked, pad.reason) == (-1, {})
    pad.asked = 3
    assert pad.reason == {}  # of an empty pad there is nothing to say
    pad.strokes = SEVEN
    assert pad.reason == ink.why(model, pad.prediction, 3)
    pad.asked = pad.prediction.digit
    assert pad.reason["sentence"].startswith("Why 7? Blue ink speaks for 7, most ")
    assert len(pad.reason["shares"]) == 784
    before = pad.reason
    pad.network = "CNN"
    assert pad.reason != before
    for nobody in (-1, 10):
        pad.asked = nobody
        assert pad.reason == {}
    monkeypatch.setattr(widget, "why", lambda *_: pytest.fail("nobody asks"))
    pad.strokes = DOT
