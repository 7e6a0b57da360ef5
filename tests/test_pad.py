"""The drawing pad without a browser: activations, neighbours, the judge, the recorded drawings, the pad's answers."""

import base64
import copy
import io
import json
import math
import os
from collections import Counter

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import traitlets
from ipywidgets.widgets.widget import _remove_buffers
from PIL import Image
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors
from torch import nn

import mnist_helpers as mh
from mnist_helpers.colours import BLUE, DIGIT_COLOURS, GREY, ORANGE
from mnist_helpers.data import MNIST
from mnist_helpers.pad import panels, widget
from mnist_helpers.pad.drawings import format_drawings, parse_drawings
from mnist_helpers.pad.judge import Judge, _conformal
from mnist_helpers.pad.neighbours import SPACES, Neighbours
from mnist_helpers.pad.strokes import PEN
from mnist_helpers.pad.units import first_weights, most_exciting
from mnist_helpers.prediction import Prediction

SEVEN = [[[0.05, 0.05], [0.25, 0.05], [0.12, 0.3]]]  # small, and in a corner of the pad
ONE = [[[0.5, 0.1], [0.52, 0.9]]]
HINT = ": click a square to see what it looks for"
TANGLE = [[[0.5 + 0.4 * math.cos(2.4 * i), 0.5 + 0.4 * math.sin(2.4 * i)] for i in range(60)]]


@pytest.fixture(scope="module")
def model():
    return mh.load_pretrained()


@pytest.fixture(scope="module")
def both_models(model):
    return {"MLP": model, "CNN": mh.load_pretrained(name="cnn")}


@pytest.fixture(scope="module")
def small(mnist):
    """So few digits that a pad is made at once; more than one batch of `most_exciting`."""
    return MNIST(mnist.train[:1500], mnist.validation[:200], mnist.test[:300], mnist.source)


@pytest.fixture(scope="module")
def judge(model, mnist):
    return Judge(model, mnist)


@pytest.fixture
def pad(model, mnist, judge, monkeypatch):
    """A new pad on all digits. Its judge, which takes seconds to make, is shared."""
    monkeypatch.setattr(widget, "Judge", lambda model, mnist: judge)
    return mh.draw(model, mnist)


def same(strokes, others):
    """Whether two lists of strokes are the same up to three decimals."""
    pairs = list(zip(strokes, others, strict=False))
    return len(strokes) == len(others) and all(len(a) == len(b) and np.allclose(a, b, atol=5e-4) for a, b in pairs)


def by_hand(model, images):
    """The MLP's two hidden layers and logits, in NumPy and double precision."""
    weights = [parameter.detach().double().numpy() for parameter in model.parameters()]
    values = (images.numpy().reshape(len(images), 784) / 255 - 0.1307) / 0.3081
    layers = []
    for weight, bias in zip(weights[::2], weights[1::2], strict=True):
        values = values @ weight.T + bias
        if len(bias) > 10:
            values = np.maximum(values, 0)
        layers.append(values)
    return layers


def features_by_hand(model, images, space):
    if space == "pixels":
        return (images.numpy().reshape(len(images), 784) / 255).astype(np.float32)
    hidden = by_hand(model, images)[1]
    return (hidden / np.linalg.norm(hidden, axis=1, keepdims=True)).astype(np.float32)


def convolutional():
    torch.manual_seed(0)
    layers = [nn.Conv2d(1, 4, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 6, 3), nn.ReLU()]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(600, 10))


def network_to(outputs, inputs=784, bias=0.0):
    network = nn.Sequential(nn.Flatten(), nn.Linear(inputs, 8), nn.ReLU(), nn.Linear(8, outputs))
    nn.init.constant_(network[-1].bias, bias)
    return network


def digits(raw, count):
    """The images that the pad sends as bytes."""
    assert len(raw) == 784 * count
    return torch.frombuffer(bytearray(raw), dtype=torch.uint8).view(count, 28, 28)


# Activations


def test_activations_agree_with_a_forward_by_hand(model, mnist):
    images = mnist.test.images[:30]
    layers = mh.activations(model, images)
    assert [layer.shape for layer in layers] == [(30, 128), (30, 64), (30, 10)]
    for layer, expected in zip(layers, by_hand(model, images), strict=True):
        assert torch.allclose(layer.double(), torch.from_numpy(expected), atol=1e-3)
        assert layer.dtype == torch.float32
    assert torch.equal(layers[-1], mh.predict_logits(model, images))


def test_activations_of_a_convolution_are_maps(mnist):
    model, images = convolutional(), mnist.test.images[:3]
    first, second, logits = mh.activations(model, images)
    assert [first.shape, second.shape, logits.shape] == [(3, 4, 24, 24), (3, 6, 10, 10), (3, 10)]
    pixels = ((images.float() / 255 - 0.1307) / 0.3081).unsqueeze(1)
    assert torch.allclose(first, F.conv2d(pixels, model[0].weight, model[0].bias).clamp(min=0), atol=1e-4)
    assert not first.requires_grad


def test_a_relu_used_twice_gives_two_layers(mnist):
    class Thrifty(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second, self.last = nn.Linear(784, 20), nn.Linear(20, 12), nn.Linear(12, 10)
            self.relu = nn.ReLU()

        def forward(self, images):
            hidden = self.relu(self.first(images.flatten(1)))
            return self.last(self.relu(self.second(hidden)))

    model = Thrifty()
    layers = mh.activations(model, mnist.test.images[:7], batch_size=3)
    expected = by_hand(model, mnist.test.images[:7])
    for layer, answers in zip(layers, expected, strict=True):
        assert torch.allclose(layer.double(), torch.from_numpy(answers), atol=1e-4)


def test_batches_do_not_matter(model, mnist):
    images = mnist.test.images[:23]
    whole, parts = mh.activations(model, images), mh.activations(model, images, batch_size=5)
    assert all(torch.allclose(a, b, atol=1e-4) for a, b in zip(whole, parts, strict=True))


def test_looking_leaves_the_model_as_it_was(mnist):
    model = nn.Sequential(nn.Flatten(), nn.Linear(784, 20), nn.ReLU(), nn.Dropout(0.9), nn.Linear(20, 10)).train()
    first, second = (mh.activations(model, mnist.test.images[:5]) for _ in range(2))
    assert torch.equal(first[-1], second[-1])  # no dropout meanwhile
    assert model.training
    assert not any(module._forward_hooks for module in model.modules())
    model.eval()
    mh.activations(model, mnist.test.images[:5])
    assert not model.training


def test_no_hook_stays_when_the_model_fails(mnist):
    model = nn.Sequential(nn.Flatten(), nn.Linear(784, 20), nn.ReLU(), nn.Linear(30, 10))
    with pytest.raises(RuntimeError, match="shapes"):
        mh.activations(model, mnist.test.images[:5])
    assert not any(module._forward_hooks for module in model.modules())


def test_the_pictures_of_the_first_weights(model):
    weights = first_weights(model)
    assert weights.shape == (128, 28, 28)
    assert torch.equal(weights.flatten(1), model.layers[1].weight)
    assert not weights.requires_grad
    network = convolutional()
    assert torch.equal(first_weights(network), network[0].weight[:, 0])
    assert first_weights(nn.Sequential(nn.AvgPool2d(2), nn.Flatten(), nn.Linear(196, 10))) is None


def test_the_most_exciting_digits_agree_with_sorting_all_answers(model, small):
    found = most_exciting(model, small.train.images, count=6)
    assert found.shape == (128, 6)
    answers = torch.from_numpy(by_hand(model, small.train.images)[0]).T
    expected = answers.sort(descending=True).values[:, :6]
    assert torch.allclose(answers.gather(1, found), expected, atol=1e-3)  # values: units at 0 have many equal ones
    network, images = convolutional(), small.train.images[:40]
    largest = mh.activations(network, images)[0].amax((2, 3))
    assert torch.equal(most_exciting(network, images), largest.argsort(0, descending=True)[:8].T)


# Neighbours


@pytest.fixture(scope="module")
def both(model, mnist, judge):
    return {SPACES[0]: judge.neighbours, SPACES[1]: Neighbours(model, mnist, SPACES[1])}


@pytest.mark.parametrize("space", SPACES)
def test_distances_are_those_between_the_images(model, mnist, space):
    """51 points lie in 50 dimensions: with so few training digits, the 50 components lose nothing."""
    few = MNIST(mnist.train[:51], mnist.validation[:9], mnist.test[:9], mnist.source)
    _, positions, distances = Neighbours(model, few, space)(few.train.images, count=20)
    features = features_by_hand(model, few.train.images, space)
    expected = NearestNeighbors(n_neighbors=20, algorithm="brute").fit(features).kneighbors(features)[0]
    scale = expected.max()
    np.testing.assert_allclose(distances, expected, atol=1e-3 * scale)
    apart = np.linalg.norm(features[:, None] - features[positions.numpy()], axis=2)
    np.testing.assert_allclose(apart, expected, atol=1e-3 * scale)


@pytest.mark.parametrize("space", SPACES)
def test_places_agree_with_scikit_learns_components(model, mnist, both, space):
    neighbours, images = both[space], mnist.train.images
    some = features_by_hand(model, images[:: max(1, len(images) // 10_000)], space)
    pca = PCA(50, svd_solver="covariance_eigh").fit(some)
    assert neighbours.train.shape == (len(images), 50)
    for place, these in [(neighbours.train[:300, :2], images[:300]), (neighbours.map[-9:], mnist.test.images[-9:])]:
        expected = pca.transform(features_by_hand(model, these, space))[:, :2]
        np.testing.assert_allclose(abs(place), abs(expected), atol=1e-3)  # a component may point either way
    lost = pca.transform(features_by_hand(model, images[-100:], space)).var(0)
    np.testing.assert_allclose(neighbours.train[-100:].numpy().var(0), lost, rtol=0.01)


@pytest.mark.parametrize("space", SPACES)
def test_the_map_has_every_test_digit_at_its_place(mnist, both, space):
    neighbours = both[space]
    assert neighbours.map.shape == (len(mnist.test), 2)
    assert torch.allclose(neighbours(mnist.test.images[100:110])[0], neighbours.map[100:110], atol=1e-4)


@pytest.mark.parametrize("space", SPACES)
def test_the_nearest_agree_with_scikit_learn(mnist, both, space):
    neighbours, images = both[space], mnist.train.images[:250]  # more than are looked for at a time
    points, positions, distances = neighbours(images)
    assert (points.shape, positions.shape, distances.shape) == ((250, 2), (250, 5), (250, 5))
    oracle = NearestNeighbors(n_neighbors=5, algorithm="brute").fit(neighbours.train.numpy())
    expected, found = oracle.kneighbors(neighbours.train[:250].numpy())
    assert (positions.numpy() == found).mean() > 0.99  # but for ties
    np.testing.assert_allclose(distances[:, 1:], expected[:, 1:], rtol=1e-3)
    assert positions[:, 0].tolist() == list(range(250))  # a training digit's nearest is itself
    assert distances[:, 0].max() < 0.01


@pytest.mark.parametrize("space", SPACES)
def test_near_means_alike(mnist, both, space):
    labels = mnist.train.labels[both[space](mnist.test.images[:200])[1]]
    assert (labels.mode(1).values == mnist.test.labels[:200]).float().mean() > 0.9


def test_more_neighbours_begin_with_the_same(mnist, both):
    neighbours, image = both[SPACES[0]], mnist.test.images[:1]
    few, many = neighbours(image), neighbours(image, count=40)
    assert many[1].shape == (1, 40)
    assert torch.equal(many[1][:, :5], few[1])
    assert (many[2].diff() >= 0).all()


def test_an_unknown_space_is_refused_and_the_others_are_named(model, small):
    with pytest.raises(ValueError, match=r"last hidden layer.*pixels.*not 'first'"):
        Neighbours(model, small, "first")


def test_a_network_without_a_hidden_layer_is_refused_in_words(small):
    linear = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    with pytest.raises(ValueError, match="ReLU"):
        Neighbours(linear, small)


# The judge


@pytest.mark.parametrize("count", [100, 149, 500, 5001])
@pytest.mark.parametrize("share", [0.01, 0.02])
def test_a_conformal_limit_is_exact(count, share):
    """Each of `count` scores in turn is the new one: as many fall below the limit as the share allows, and not one
    more. That is the proof of split-conformal prediction, carried out."""
    scores = torch.randn(count, generator=torch.Generator().manual_seed(count))
    order = scores.argsort()
    lowest = order[: count // 10]  # no others can fall below
    others = [torch.cat([scores[:i], scores[i + 1 :]]) for i in lowest]
    below = sum(scores[i].item() < _conformal(rest, share) for i, rest in zip(lowest, others, strict=True))
    assert below == round(share * 100) * count // 100


def test_of_the_validation_digits_just_the_shares_are_refused(judge, model, mnist):
    count = len(mnist.validation)
    assert (~judge.familiar(mnist.validation.images)).sum() == 2 * (count + 1) // 100 - 1
    confidences = mh.evaluate(model, mnist.validation).probabilities.max(1).values
    assert (confidences < judge.confidence).sum() == (count + 1) // 100 - 1
    # The same limit as a quantile by NumPy, with one more digit that may be anything.
    assert judge.confidence == -np.quantile([*(-confidences).tolist(), np.inf], 0.99, method="inverted_cdf")


def test_refused_test_digits_are_few_and_far_more_often_wrong(judge, model, mnist):
    some = mnist.test[:3000]
    result = mh.evaluate(model, some)
    sure = judge.familiar(some.images) & (result.probabilities.max(1).values >= judge.confidence)
    right = result.predictions == result.labels
    assert 0.01 < (~sure).float().mean() < 0.06
    assert (~right[~sure]).float().mean() > 10 * (~right[sure]).float().mean()


NOISE = torch.randint(256, (28, 28), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
SQUARES = torch.arange(28) // 4
NOT_DIGITS = {
    "noise": NOISE,
    "checkerboard": ((SQUARES[:, None] + SQUARES) % 2 * 255).to(torch.uint8),
    "paper": torch.zeros(28, 28, dtype=torch.uint8),
    "all ink": torch.full((28, 28), 255, dtype=torch.uint8),
    "inverted": 255 - torch.eye(28, dtype=torch.uint8) * 255,
}


def make_judge():
    Judge(mh.load_pretrained(), mh.load_mnist())


def test_making_a_judge_takes_little_memory(elsewhere):
    """5,000 digits are looked up among 55,000, some at a time, which must not add up."""
    _, memory = elsewhere(make_judge)
    assert memory < 600_000_000  # half of it is the data


@pytest.mark.parametrize("name", NOT_DIGITS)
def test_what_is_no_digit_is_unfamiliar_whatever_the_network_says(judge, name):
    certain = torch.eye(10)[3]
    assert judge(Prediction(3, certain, NOT_DIGITS[name])) == "unfamiliar"


def test_of_a_familiar_digit_the_answer_must_be_decided(judge, mnist):
    image = mnist.train.images[0]
    assert judge.familiar(mnist.train.images[:3]).tolist() == [True, True, True]

    def verdict(highest):
        probabilities = torch.zeros(10)
        probabilities[4], probabilities[9] = highest, 1 - highest
        return judge(Prediction(4, probabilities, image))

    assert verdict(0.51) == "undecided"
    assert verdict(judge.confidence - 1e-4) == "undecided"
    assert verdict(judge.confidence) == "sure"
    assert verdict(1.0) == "sure"


# The recorded drawings


@pytest.fixture(scope="module")
def recorded():
    """The recorded drawings of digits, and of other things."""
    drawings = mh.load_drawings()
    groups = [[each for each in drawings if (each.label is None) == other] for other in (False, True)]
    assert min(map(len, groups)) >= 50
    return groups


def test_every_digit_is_recorded_in_every_style(recorded):
    assert min(Counter(drawing.label for drawing in recorded[0])[digit] for digit in range(10)) >= 10
    styles = ("thin", "thick", "small", "large", "off-centre", "slanted")
    assert {(drawing.label, drawing.style) for drawing in recorded[0]} == {(d, s) for d in range(10) for s in styles}
    pens = {style: {drawing.pen for drawing in recorded[0] if drawing.style == style} for style in styles}
    assert max(pens["thin"]) < PEN < min(pens["thick"])


def test_made_as_mnist_was_the_digits_are_read_and_off_centre_as_drawn_they_are_not(recorded, model):
    """The lesson is the gap: the same strokes, the same network."""
    assert mh.evaluate(model, mh.as_split(recorded[0])).accuracy >= 0.95
    off_centre = [drawing for drawing in recorded[0] if drawing.style == "off-centre"]
    assert mh.evaluate(model, mh.as_split(off_centre)).accuracy >= 0.95
    assert mh.evaluate(model, mh.as_split(off_centre, fit=False)).accuracy <= 0.3


def test_of_the_recorded_drawings_digits_are_believed_and_other_things_seldom(recorded, model, judge):
    sure = [[judge(mh.predict(model, drawing)) == "sure" for drawing in group] for group in recorded]
    assert np.mean(sure[0]) >= 0.9
    assert np.mean(sure[1]) <= 0.4


def test_the_pad_s_pen_holds_as_much_ink_as_mnists(recorded, mnist):
    """Mean over the ten digits of the mean grey level, which differs between digits by a factor of two."""

    def ink(split):
        return np.mean([split.images[split.labels == digit].float().mean() for digit in range(10)])

    drawn = mh.as_split([drawing for drawing in recorded[0] if drawing.pen == PEN])
    assert ink(drawn) == pytest.approx(ink(mnist.train), rel=0.05)


# Predictions of drawings


@pytest.mark.parametrize("fit", [True, False])
def test_a_drawing_is_read_from_its_strokes(model, fit):
    drawing = mh.Drawing(SEVEN)
    image = mh.render(drawing, fit=fit)
    assert torch.equal(mh.to_mnist(drawing, fit=fit), image)
    prediction = mh.predict(model, drawing, fit=fit)
    assert torch.equal(prediction.image, image)
    assert torch.equal(prediction.probabilities, mh.predict(model, image).probabilities)


def test_made_as_mnist_was_is_the_default(model):
    assert torch.equal(mh.to_mnist(mh.Drawing(SEVEN)), mh.render(mh.Drawing(SEVEN), fit=True))
    assert mh.predict(model, mh.Drawing(SEVEN)).digit == 7


def test_a_drawing_without_strokes_is_blank(model):
    for read in (mh.to_mnist, lambda drawing: mh.predict(model, drawing), lambda d: mh.to_mnist(d, fit=False)):
        with pytest.raises(mh.ImageError, match="blank"):
            read(mh.Drawing([]))


# The pad's answer


def test_an_empty_pad_says_what_to_do(pad):
    assert pad.prediction is None
    assert pad.seen == {"verdict": "", "sentence": "The pad is empty. Draw a digit with mouse, finger, pen or keys."}
    assert repr(pad) == "Drawing pad: The pad is empty. Draw a digit with mouse, finger, pen or keys."
    pad.strokes = SEVEN
    pad.strokes = []
    assert pad.prediction is None
    assert pad.seen["sentence"].startswith("The pad is empty")


@pytest.mark.parametrize("strokes", [SEVEN, ONE, SEVEN + ONE, [[[0.5, 0.5]]]])
@pytest.mark.parametrize("fit", [True, False])
def test_the_pad_answers_as_predict_does(pad, model, strokes, fit):
    pad.as_mnist = fit
    pad.strokes = strokes
    expected = mh.predict(model, mh.Drawing(strokes), fit=fit)
    assert torch.equal(pad.prediction.image, expected.image)
    assert torch.allclose(pad.prediction.probabilities, expected.probabilities, atol=1e-6)
    assert torch.equal(digits(pad.seen["image"], 1)[0], expected.image)
    assert pad.seen["digit"] == expected.digit
    assert pad.seen["probabilities"] == pytest.approx(expected.probabilities.tolist(), abs=1e-4)


def test_a_small_seven_in_a_corner_is_read_only_centred_like_mnist(pad):
    pad.strokes = SEVEN
    assert (pad.seen["verdict"], pad.seen["digit"]) == ("7", 7)
    assert repr(pad) == f"Drawing pad: The network says 7 with {panels.percent(pad.prediction.probabilities[7])}."
    pad.as_mnist = False
    assert pad.seen["verdict"] == "?"
    assert pad.seen["digit"] != 7
    assert pad.seen["sentence"].startswith("Not sure: this is unlike the digits that it learnt from. If it must be one")
    assert f"{pad.seen['digit']} with {panels.percent(pad.prediction.probabilities.max())}." in pad.seen["sentence"]
    pad.as_mnist = True
    assert pad.seen["verdict"] == "7"


def test_an_undecided_answer_names_the_two_likeliest(pad, judge):
    pad.judge = copy.copy(judge)
    pad.judge.confidence = 2  # no answer is ever so decided
    pad.strokes = SEVEN
    (first, second), answers = pad.prediction.probabilities.topk(2)
    highest, other = answers.tolist()
    sentence = f"Not sure: {highest} with {panels.percent(first)}, or {other} with {panels.percent(second)}."
    assert (pad.seen["verdict"], pad.seen["sentence"]) == ("?", sentence)


def test_the_judge_of_a_pad_is_set_by_its_own_digits(model, small):
    expected = Judge(model, small)
    made = mh.draw(model, small).judge
    assert (made.distance, made.confidence) == (expected.distance, expected.confidence)


def test_a_hard_tangle_of_5000_points_is_answered(pad):
    pad.strokes = [[[0.5 + 0.4 * math.cos(i), 0.5 + i / 15_000] for i in range(5000)]]
    assert pad.seen["verdict"] == "?"
    assert len(digits(pad.seen["image"], 1).unique()) > 2


BAD = [["text"], [[["a", "b"]]], [[[math.nan, 0.5]]], [[[0.1, 0.2], [0.3]]], [5], [[[None, 0.1]]]]


@pytest.mark.parametrize("bad", BAD, ids=str)
def test_strokes_that_are_none_bring_a_notice_and_the_last_answer_stays(pad, bad):
    pad.strokes = SEVEN
    seen, prediction, drawing = pad.seen, pad.prediction, pad.drawing
    pad.strokes = bad
    assert pad.notice.startswith("This drawing cannot be used: ")
    assert pad.notice.endswith(".")
    assert pad.seen == seen
    assert pad.prediction is prediction
    assert pad.drawing is drawing
    pad.strokes = ONE
    assert pad.notice == ""
    assert pad.seen["digit"] == 1


def test_a_pad_with_a_bad_drawing_can_still_be_shown(pad):
    pad.strokes = SEVEN
    before = pad._repr_mimebundle_()[0]["image/png"]
    pad.strokes = [[[math.nan, 0.5]]]
    assert pad._repr_mimebundle_()[0]["image/png"] == before


def still_of(pad):
    """The still of a pad as a page would show it: on white, `(height, width, 3)` from 0 to 255, and on black."""
    picture = Image.open(io.BytesIO(base64.b64decode(pad._repr_mimebundle_()[0]["image/png"])))
    grounds = [Image.new("RGBA", picture.size, ground) for ground in ("white", "black")]
    return [np.asarray(Image.alpha_composite(each, picture.convert("RGBA")).convert("RGB"), int) for each in grounds]


def share_of(picture, colour):
    """The share of its pixels that have this colour."""
    wanted = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return (abs(picture - wanted).max(2) <= 2).mean()


def test_where_nothing_runs_there_is_a_picture_and_the_sentence(pad):
    for strokes, as_mnist in [([], True), (SEVEN, True), (SEVEN, False)]:
        pad.strokes, pad.as_mnist = strokes, as_mnist
        data, metadata = pad._repr_mimebundle_()
        lines = data["text/plain"].split("\n")
        assert " ".join(lines) == f"Drawing pad: {pad.seen['sentence']}"  # without an address, new in every run
        assert max(map(len, lines)) <= 88
        assert "application/vnd.jupyter.widget-view+json" in data
        assert metadata == {}
        assert still_of(pad)[0].shape == (600, 1800, 3)


def test_the_still_shows_what_the_pad_shows(pad):
    """The strokes on the left, the 28×28 pixels that the network sees beside them, and bars in the verdict's colour."""
    empty = still_of(pad)[0]
    pad.strokes = SEVEN
    sure = still_of(pad)[0]
    pad.as_mnist = False
    doubt = still_of(pad)[0]
    left, middle = slice(0, 480), slice(500, 980)
    assert (sure[:, left] != empty[:, left]).any()
    assert (sure[:480, left] == doubt[:480, left]).all()  # as drawn, whatever the network sees
    assert (sure[:, middle] != doubt[:, middle]).any()
    assert share_of(sure, BLUE) > 0.01 > share_of(sure, ORANGE)  # a bar and the verdict
    assert share_of(doubt, ORANGE) > 0.01 > share_of(doubt, BLUE)
    assert share_of(empty, BLUE) == share_of(empty, ORANGE) == 0
    pad.as_mnist = True
    pixels = still_of(pad)[1][66:486, 504:924].max(2)  # on black, so that the frame alone is grey
    image = pad.prediction.image.numpy()
    middles = (np.arange(28) * 15 + 7.5).astype(int)
    assert abs(pixels[np.ix_(middles, middles)] - image).mean() < 12


@pytest.mark.parametrize("strokes", [[], SEVEN], ids=["empty", "drawn"])
def test_the_still_suits_light_and_dark_pages(pad, strokes):
    pad.strokes = strokes
    for picture, ground in zip(still_of(pad), (255, 0), strict=True):
        assert (picture == ground).all(2).mean() > 0.5  # the page shines through
        assert share_of(picture, GREY) > 0.003  # frames, titles and the sentence


# The layers


@pytest.mark.parametrize("strokes", [SEVEN, TANGLE])
def test_the_layers_are_the_activations_from_black_to_white(pad, model, strokes):
    pad.strokes = strokes
    layers = pad.seen["layers"]
    assert [layer["name"] for layer in layers] == [f"128 neurons{HINT}", "64 neurons", "10 probabilities"]
    assert [layer["shape"] for layer in layers] == [[128], [64], [10]]
    *hidden, logits = (layer[0] for layer in by_hand(model, pad.prediction.image.unsqueeze(0)))
    for layer, expected in zip(layers, [*hidden, np.exp(logits) / np.exp(logits).sum()], strict=True):
        values = np.frombuffer(layer["values"], np.uint8)
        assert values.shape == expected.shape
        assert abs(values - 255 * expected / expected.max()).max() <= 1  # rounded down
        assert values.max() >= 254


def test_layers_are_computed_only_while_they_are_seen(pad, monkeypatch):
    pad.strokes = SEVEN
    pad.opened = []
    assert pad.seen["layers"] == []
    asked = []
    original = panels.activations
    monkeypatch.setattr(panels, "activations", lambda *args: asked.append(args) or original(*args))
    pad.strokes = ONE
    assert asked == []
    assert pad.seen["digit"] == 1
    pad.opened = ["layers"]
    assert len(asked) == 1
    assert len(pad.seen["layers"]) == 3


def test_a_layer_without_answers_is_black(pad):
    pad.model = mh.MLP(hidden=(5, 4))
    nn.init.zeros_(pad.model.layers[3].weight)
    nn.init.constant_(pad.model.layers[3].bias, -1)
    pad.strokes = SEVEN
    assert pad.seen["layers"][1]["values"] == bytes(4)


def test_a_convolutional_network_shows_maps_and_kernels(small):
    network = convolutional()
    pad = mh.draw(network, small)
    pad.strokes = SEVEN
    layers = pad.seen["layers"]
    assert [layer["shape"] for layer in layers] == [[4, 24, 24], [6, 10, 10], [10]]
    assert [layer["name"] for layer in layers] == [
        f"4×24×24 neurons{HINT.replace('square', 'picture')}",
        "6×10×10 neurons",
        "10 probabilities",
    ]
    assert [len(layer["values"]) for layer in layers] == [2304, 600, 10]
    answer = mh.activations(network, pad.prediction.image.unsqueeze(0))[0][0]
    values = np.frombuffer(layers[0]["values"], np.uint8).reshape(4, 24, 24)
    assert abs(values - 255 * answer.numpy() / answer.max().item()).max() <= 1
    pad.unit = 3
    assert (pad.detail["shape"], len(pad.detail["weights"])) == ([5, 5], 25)
    digits(pad.detail["images"], 8)
    pad.unit = 4
    assert pad.detail == {}


# Several networks


SHOWN = ("seen", "detail", "map", "place", "mine")


def test_everything_follows_the_choice_of_a_network(model, small):
    """A pad for several networks shows what a pad for the chosen one alone shows."""
    models = {"MLP": model, "CNN": convolutional()}  # which is not trained, and misreads what the other reads

    def prepare(pad):
        pad.opened, pad.strokes, pad.unit = ["layers", "map", "mine"], SEVEN, 3
        pad.keep(7)
        return pad

    alone = {name: prepare(mh.draw(model, small)) for name, model in models.items()}
    pad = prepare(mh.draw(models, small))
    assert (pad.networks, pad.network) == (["MLP", "CNN"], "MLP")
    for space in SPACES:
        for name in ("MLP", "CNN", "MLP"):
            pad.space, pad.network = space, name
            alone[name].space = space
            assert [getattr(pad, each) for each in SHOWN] == [getattr(alone[name], each) for each in SHOWN]
            assert repr(pad) == repr(alone[name])
            assert (pad.strokes, pad.notice, pad.model) == (SEVEN, "", models[name])
            assert pad.judge.confidence == alone[name].judge.confidence
    for each in alone.values():
        each.space = SPACES[0]
    for each in SHOWN:
        assert getattr(alone["MLP"], each) != getattr(alone["CNN"], each)


def test_a_unit_that_the_chosen_network_has_not_waits_for_the_one_that_has_it(both_models, small):
    pad = mh.draw(both_models, small)
    pad.unit = 100
    detail = pad.detail
    pad.network = "CNN"
    assert pad.detail == {}
    pad.network = "MLP"
    assert pad.detail == detail


def test_a_network_is_made_ready_when_it_is_first_chosen_and_answers_meanwhile(both_models, small, monkeypatch):
    made, original = [], widget.Judge
    monkeypatch.setattr(widget, "Judge", lambda model, mnist: made.append(model) or original(model, mnist))
    pad = mh.draw(both_models, small)
    pad.strokes, pad.unit, pad.opened = SEVEN, 3, ["layers", "map"]
    assert made == [both_models["MLP"]]
    steps = []
    pad.observe(lambda change: steps.append(change["new"]), "seen")
    pad.network = "CNN"
    assert made == [*both_models.values()]
    meanwhile, seen = steps
    assert meanwhile["verdict"] == "…"
    assert meanwhile["sentence"] == "Preparing CNN: it reads 1,500 training digits, to know when to be sure."
    expected = mh.predict(both_models["CNN"], mh.Drawing(SEVEN)).probabilities.tolist()
    for answer in steps:
        assert answer["probabilities"] == pytest.approx(expected, abs=1e-4)
        assert len(answer["layers"]) == 5
    assert seen["verdict"] in "7?"
    steps.clear()
    pad.network = "MLP"
    pad.network = "CNN"
    assert len(made) == 2
    assert [step["verdict"] == "…" for step in steps] == [False, False]


def test_a_message_that_changes_the_network_and_more_at_once(both_models, small):
    """Whatever comes first in it: the network is not ready when the rest is looked at."""
    values = {"network": "CNN", "strokes": SEVEN, "unit": 3, "opened": ["layers", "map", "mine"], "space": SPACES[1]}
    shown = []
    for order in (values, dict(reversed(values.items()))):
        pad = mh.draw(both_models, small)
        pad.set_state(order)
        shown.append([getattr(pad, each) for each in SHOWN])
    assert shown[0] == shown[1]
    assert shown[0][0]["verdict"] in "7?"


def test_a_network_that_was_not_made_ready_is_so_at_the_next_stroke(both_models, small, monkeypatch):
    def interrupt(model, mnist):
        raise KeyboardInterrupt

    pad = mh.draw(both_models, small)
    with monkeypatch.context() as patch:
        patch.setattr(widget, "Judge", interrupt)
        with pytest.raises(KeyboardInterrupt):
            pad.network = "CNN"
    assert pad.seen["verdict"] == "…"
    pad.strokes = SEVEN
    assert pad.seen["verdict"] in "7?"


def test_what_the_other_network_made_is_gone_while_the_chosen_one_is_made_ready(both_models, small, monkeypatch):
    pad = mh.draw(both_models, small)
    pad.strokes, pad.unit, pad.opened = SEVEN, 3, ["layers", "map"]
    assert pad.detail
    assert pad.place
    seen, original = [], widget.Judge
    monkeypatch.setattr(widget, "Judge", lambda *args: seen.append((pad.detail, pad.place)) or original(*args))
    pad.network = "CNN"
    assert seen == [({}, {})]
    assert pad.detail
    assert pad.place


def test_on_an_empty_pad_too_is_said_that_a_network_is_made_ready(both_models, small):
    pad = mh.draw(both_models, small)
    said = []
    pad.observe(lambda change: said.append(change["new"]["sentence"]), "seen")
    pad.network = "CNN"
    assert [sentence.split()[0] for sentence in said] == ["Preparing", "The"]
    assert said[1].startswith("The pad is empty")


def test_while_the_most_exciting_digits_are_looked_for_the_pad_says_so(both_models, small):
    pad = mh.draw(both_models, small)
    said = []
    pad.observe(lambda change: said.append(change["new"]["sentence"]), "detail")
    pad.unit = 3
    pad.unit = 4
    assert [sentence.split(":")[0] for sentence in said] == [
        "Preparing",
        "Neuron 3 of the first layer",
        "Neuron 4 of the first layer",
    ]


def test_the_browser_chooses_a_network_and_every_view_learns_of_it(both_models, small):
    pad = mh.draw(both_models, small)
    assert [pad.get_state()[key] for key in ("networks", "network")] == [["MLP", "CNN"], "MLP"]
    pad.set_state({"network": "CNN", "strokes": SEVEN})
    assert len(pad.seen["layers"]) == 5
    assert pad.get_state()["network"] == "CNN"
    seen = pad.seen
    with pytest.raises(traitlets.TraitError, match=r"one of \['MLP', 'CNN'\], not 'RNN'"):
        pad.network = "RNN"
    assert (pad.network, pad.seen) == ("CNN", seen)


def test_the_networks_of_a_pad_are_its_own(both_models, small):
    given = dict(both_models)
    first, second = (mh.draw(given, small) for _ in range(2))
    given.clear()
    first.network = "CNN"
    assert (second.network, second.model) == ("MLP", both_models["MLP"])


def test_one_network_needs_no_name(model, small):
    assert mh.draw(model, small).networks == ["MLP"]
    assert mh.draw({"mine": model}, small).networks == ["mine"]


@pytest.mark.parametrize(
    ("networks", "message"),
    [
        ({}, "no network in the dict"),
        ({7: mh.MLP()}, "a text that can be read, not 7"),
        ({" ": mh.MLP()}, "a text that can be read, not ' '"),
        ({"MLP": mh.MLP(), None: mh.CNN()}, "a text that can be read, not None"),
        ({"MLP": mh.MLP(), "CNN": "cnn"}, "CNN is no network: give an nn.Module, not 'cnn'"),
        ({"MLP": mh.MLP(), "CNN": mh.CNN}, "CNN is no network"),
        ({"MLP": mh.MLP(), "linear": nn.Linear(784, 10)}, "linear has no nn.ReLU"),
        ({"five": network_to(5)}, "five answers .* to a blank image, not ten finite logits"),
        ({"reads 100": network_to(10, 100)}, "reads 100 cannot read an image of 28×28 pixels"),
        ({"diverged": network_to(10, bias=math.nan)}, "diverged answers .*nan"),
        (None, "is no network: give an nn.Module, not None"),
        ([mh.MLP()], "is no network"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_what_are_no_networks_is_refused_at_once(networks, message, small):
    with pytest.raises(ValueError, match=message):
        mh.draw(networks, small)


def test_a_network_that_was_trained_on_is_judged_anew(small):
    model = mh.load_pretrained()
    pad = mh.draw(model, small)
    pad.strokes, pad.unit = SEVEN, 3
    pad.opened = ["layers", "mine"]
    pad.keep(7)
    judge, detail, mine = pad.judge, pad.detail, pad.mine
    pad.strokes = ONE
    assert pad.judge is judge  # nothing has changed
    one = mh.Split(small.train.images, torch.ones_like(small.train.labels))
    mh.fit(model, one, small.validation, epochs=2, progress=False)  # now everything is a 1
    pad.strokes = SEVEN
    assert pad.judge is not judge
    assert pad.detail != detail
    assert mine["sentence"].endswith("centred like MNIST: 1.")
    assert pad.mine["sentence"].endswith("centred like MNIST: 0.")
    new = mh.draw(model, small)
    new.strokes, new.unit = SEVEN, 3
    assert (pad.judge.distance, pad.judge.confidence) == (new.judge.distance, new.judge.confidence)
    assert (pad.seen, pad.detail) == (new.seen, new.detail)
    judge = pad.judge
    pad.strokes = ONE
    assert pad.judge is judge


def test_what_excites_a_unit_is_looked_up_only_where_it_is_seen(model, small, monkeypatch):
    pad = mh.draw(model, small)
    pad.opened = []
    monkeypatch.setattr(panels, "most_exciting", lambda *args: pytest.fail("nobody looks"))
    pad.unit = 3
    assert pad.detail == {}
    monkeypatch.undo()
    pad.opened = ["layers"]
    assert pad.detail["sentence"].startswith("Neuron 3 of the first layer")


# One unit


def test_a_unit_shows_its_weights_and_what_excites_it(model, small):
    pad = mh.draw(model, small)
    assert pad.detail == {}
    answers = by_hand(model, small.train.images)[0]
    for unit in (0, 17, 127):
        pad.unit = unit
        assert pad.detail["sentence"].startswith(f"Neuron {unit} of the first layer")
        weights = model.layers[1].weight.detach().numpy()
        limit = np.quantile(abs(weights), 0.995)
        picture = np.frombuffer(pad.detail["weights"], np.uint8)
        assert abs(picture - np.clip(128 + 127 * weights[unit] / limit, 0, 255)).max() <= 1  # 128 is zero
        assert pad.detail["shape"] == [28, 28]
        expected = (-answers[:, unit]).argsort(kind="stable")[:8]
        assert answers[expected[-1], unit] > 0  # so there are no ties
        assert torch.equal(digits(pad.detail["images"], 8), small.train.images[expected])
        assert pad.detail["labels"] == small.train.labels[expected].tolist()


def test_no_unit_no_pictures(model, small):
    pad = mh.draw(model, small)
    for outside in (128, -2, -1, 10**9):
        pad.unit = 3
        assert pad.detail
        pad.unit = outside
        assert pad.detail == {}
    blind = nn.Sequential(nn.AvgPool2d(2), nn.Flatten(), nn.Linear(196, 20), nn.ReLU(), nn.Linear(20, 10))
    pad = mh.draw(blind, small)
    pad.strokes = SEVEN
    pad.unit = 3
    assert pad.detail == {}
    assert len(pad.seen["layers"]) == 2


def test_a_stroke_is_looked_up_once_among_the_training_digits(pad, monkeypatch):
    """For the judge and for the map."""
    pad.opened, pad.strokes, asked = ["map"], ONE, []
    original = panels.nearby
    monkeypatch.setattr(panels, "nearby", lambda *args: asked.append(args) or original(*args))
    pad.strokes = SEVEN
    assert len(asked) == 1


# The map


def test_the_map_is_made_when_it_is_opened(pad, mnist, monkeypatch):
    made = []
    original = widget.Neighbours
    monkeypatch.setattr(widget, "Neighbours", lambda *args: made.append(args) or original(*args))
    pad.strokes = SEVEN
    pad.space = "pixels"
    assert (pad.map, pad.place, made) == ({}, {}, [])
    pad.opened = ["map"]
    assert len(pad.map["points"]) == 2 * len(mnist.test)
    assert len(made) == 1
    assert list(pad.map["labels"]) == mnist.test.labels.tolist()
    pad.strokes = ONE
    pad.space = "last hidden layer"
    pad.space = "pixels"
    assert len(made) == 1  # once for all


def test_a_map_opened_on_an_empty_pad_has_no_place_on_it(pad):
    pad.opened = ["map"]
    assert len(pad.map["points"]) > 0
    assert pad.place == {}
    pad.strokes = SEVEN
    assert pad.place
    pad.strokes = []
    assert pad.place == {}


@pytest.mark.parametrize("space", SPACES)
def test_the_drawing_has_its_place_and_its_neighbours(pad, both, mnist, space):
    pad.opened, pad.space, pad.strokes = ["map"], space, SEVEN
    point, positions, distances = both[space](pad.prediction.image.unsqueeze(0))
    low, high = both[space].map.amin(0), both[space].map.amax(0)
    place = pad.place
    assert [place["x"], place["y"]] == pytest.approx(((point[0] - low) / (high - low)).tolist(), abs=1e-4)
    assert 0 < place["x"] < 1
    assert torch.equal(digits(place["images"], 5), mnist.train.images[positions[0]])
    assert place["labels"] == mnist.train.labels[positions[0]].tolist()
    fifth = f"{distances[0, 4]:.2f}."
    how_far = f"98 of 100 real digits are nearer than {pad.judge.distance:.2f}; yours is at {fifth}"
    how_far = how_far if space == SPACES[0] else f"The fifth is at a distance of {fifth}"
    assert place["sentence"] == f"The nearest training digits, by the {space}. {how_far}"
    assert pad.map["colours"] == list(DIGIT_COLOURS)
    points = np.frombuffer(pad.map["points"], np.uint8).reshape(-1, 2)
    assert points.min(0).tolist() == [0, 0]
    assert points.max(0).tolist() == [255, 255]
    expected = (255 * (both[space].map - low) / (high - low)).numpy()
    assert abs(points - expected).max() <= 1


def test_the_space_can_be_switched(pad):
    pad.opened, pad.strokes = ["map"], SEVEN
    before = pad.map["points"], pad.place["sentence"]
    pad.space = "pixels"
    assert pad.map["points"] != before[0]
    assert "pixels" in pad.place["sentence"]
    pad.space = "last hidden layer"
    assert (pad.map["points"], pad.place["sentence"]) == before
    with pytest.raises(traitlets.TraitError):
        pad.space = "words"


def test_a_drawing_beyond_the_map_lies_at_its_edge(model, small, recorded):
    ones = small.test[small.test.labels == 1]
    pad = mh.draw(model, MNIST(small.train, small.validation, ones, small.source))
    pad.opened = ["map"]
    values = []
    for drawing in recorded[0]:
        pad.strokes = [stroke.tolist() for stroke in drawing.strokes]
        values += [pad.place["x"], pad.place["y"]]
    assert all(0 <= value <= 1 for value in values)
    assert {0, 1} < set(values)  # a map of ones alone is narrow


# Your digits


def numbers(pad):
    return [drawing.label for drawing in pad.drawings]


def test_kept_drawings_are_counted_shown_and_forgotten(model, small):
    pad = mh.draw(model, small)
    pad.opened = ["mine"]
    assert pad.mine["sentence"] == "None kept yet. Draw a digit, then say which it was meant to be."
    assert not pad.mine.get("captions")
    pad.strokes = SEVEN
    pad.keep(7)
    # Its label is 7; as drawn, in its corner, it is misread.
    assert pad.mine["sentence"] == "1 kept. Read right as drawn: 0; centred like MNIST: 1."
    pad.strokes = ONE
    pad.keep(1)
    assert pad.mine["captions"] == ["7", "1"]
    expected = torch.stack([mh.render(mh.Drawing(strokes), fit=False) for strokes in (SEVEN, ONE)])
    assert torch.equal(digits(pad.mine["images"], 2), expected)
    pad.show(0)
    assert pad.strokes == SEVEN
    assert pad.seen["digit"] == 7
    pad.forget()
    assert numbers(pad) == [7]
    assert pad.mine["captions"] == ["7"]
    pad.forget()
    pad.forget()  # there is none
    assert pad.mine["sentence"].startswith("None kept yet")


def test_kept_drawings_are_counted_only_while_they_are_seen(model, small):
    pad = mh.draw(model, small)
    pad.strokes = SEVEN
    pad.keep(7)
    assert pad.mine == {}
    pad.opened = ["mine"]
    assert pad.mine["captions"] == ["7"]


def test_a_file_of_drawings_is_added_to_those_that_were_kept(model, small):
    pad = mh.draw(model, small)
    pad.strokes = SEVEN
    pad.keep(7)
    pad.reload(format_drawings([mh.Drawing(ONE, 1, 4.0, "thick"), mh.Drawing(SEVEN, 7)]))
    assert numbers(pad) == [7, 1, 7]
    assert (pad.drawings[1].pen, pad.drawings[1].style) == (4.0, "thick")
    with pytest.raises(mh.ImageError, match="does not hold drawings"):
        pad.reload("hello")
    assert numbers(pad) == [7, 1, 7]


def test_the_browser_asks_by_messages(model, small, monkeypatch):
    pad = mh.draw(model, small)
    pad.opened = ["mine"]
    sent = []
    monkeypatch.setattr(pad, "send", sent.append)

    def receive(content):
        pad._handle_custom_msg(content, [])  # as ipywidgets hands on what arrives

    receive({"keep": 7, "strokes": SEVEN})
    assert pad.strokes == SEVEN
    receive({"keep": 0, "strokes": ONE})
    receive({"keep": 1, "strokes": ONE})
    receive({"forget": True})
    assert numbers(pad) == [7, 0]
    assert pad.drawings[0].strokes[0].tolist() == SEVEN[0]
    assert sent == []
    receive({"download": True, "view": 5})
    assert sent == [{"file": format_drawings(pad.drawings), "view": 5}]
    receive({"reload": sent[0]["file"]})
    assert numbers(pad) == [7, 0, 7, 0]
    receive({"show": 2, "view": 6})
    assert sent[1:] == [{"strokes": SEVEN, "view": 6}]
    receive({"example": True, "view": 7})
    digits = [drawing.strokes for drawing in mh.load_drawings() if drawing.label is not None]
    assert any(same(sent[2]["play"], strokes) for strokes in digits)
    assert sent[2]["view"] == 7
    json.dumps(sent[1:])
    assert pad.strokes == ONE  # the browser sets them
    assert pad.notice == ""
    assert [each.label for each in parse_drawings(sent[0]["file"])] == [7, 0]


@pytest.mark.parametrize(
    "message",
    [
        None,
        "keep",
        [],
        {},
        {"paint": 3},
        {"keep": 7},
        {"keep": 12, "strokes": SEVEN},
        {"keep": -1, "strokes": SEVEN},
        {"keep": "7", "strokes": SEVEN},
        {"keep": 7.5, "strokes": SEVEN},
        {"keep": True, "strokes": SEVEN},
        {"keep": [7], "strokes": SEVEN},
        {"keep": None, "strokes": SEVEN},
        {"keep": 7, "strokes": None},
        {"keep": 7, "strokes": 5},
        {"keep": 7, "strokes": "text"},
        {"keep": 7, "strokes": [[[math.nan, 0.5]]]},
        {"show": 0},  # without a view nobody would take it
        *({"show": position, "view": 1} for position in (99, 1, -1, "0", None, 0.5)),
        {"example": True},
        {"download": True},
        {"reload": 5},
        {"reload": None},
        {"reload": "{}"},
        {"reload": "[" * 100_000},
        {"reload": '{"drawings": [{"label": 12, "strokes": []}]}'},
    ],
    ids=lambda message: str(message)[:40],
)
def test_a_message_that_makes_no_sense_changes_nothing(model, small, message, tmp_path):
    file = tmp_path / "mine.json"
    pad = mh.draw(model, small, keep=file)
    pad.opened = ["mine"]
    pad.strokes = ONE
    pad.keep(1)
    pad.strokes = SEVEN
    seen, mine, drawings, text = pad.seen, pad.mine, pad.drawings, file.read_text()
    pad._receive(message)
    assert (pad.seen, pad.mine, pad.drawings, file.read_text()) == (seen, mine, drawings, text)
    pad._receive({"keep": 7, "strokes": SEVEN})  # and the next one is obeyed
    assert numbers(pad) == [1, 7]
    assert pad.notice == ""


def test_what_is_wrong_with_a_message_is_said(model, small):
    pad = mh.draw(model, small)
    pad._receive({"keep": 12, "strokes": SEVEN})
    assert pad.notice == "the label of a drawing is a digit from 0 to 9, not 12."
    pad._receive({"reload": "hello"})
    assert pad.notice == "the file does not hold drawings that were saved here."
    pad._receive({"keep": 7, "strokes": SEVEN})
    assert pad.notice == ""


def test_an_empty_pad_is_not_kept(model, small):
    pad = mh.draw(model, small)
    for nothing in ([], [[]]):
        pad._receive({"keep": 7, "strokes": nothing})
        assert pad.notice == "Draw a digit first, then say which it was meant to be."
        assert pad.drawings == []
    with pytest.raises(mh.ImageError, match="Draw a digit first"):
        pad.keep(7)


def test_only_a_drawing_with_a_label_is_kept(model, small):
    pad = mh.draw(model, small)
    pad.strokes = SEVEN
    with pytest.raises(mh.ImageError):
        pad.keep(None)
    assert pad.drawings == []


def test_the_picture_that_is_clicked_is_the_one_that_is_shown(model, small):
    """Also when a file was reloaded in which some drawings have no label, as the recorded ones."""
    pad = mh.draw(model, small)
    pad.opened = ["mine"]
    drawings = [mh.Drawing(TANGLE), mh.Drawing(ONE, 1), mh.Drawing([], 3), mh.Drawing(SEVEN, 7)]
    pad._receive({"reload": format_drawings(drawings)})
    assert pad.mine["captions"] == ["?", "1", "3", "7"]
    for position, picture in enumerate(digits(pad.mine["images"], 4)):
        pad.show(position)
        assert torch.equal(mh.render(mh.Drawing(pad.strokes), fit=False), picture)
    assert pad.seen["digit"] == 7
    assert pad.mine["sentence"].startswith("2 kept. ")  # that have a label, and something to read


def test_of_very_many_drawings_the_last_are_shown_and_each_is_read_once(model, small, tmp_path, monkeypatch):
    """30,000 of them fit into a file of a megabyte. To read and paint them all again at every change took seconds."""
    many = [mh.Drawing([[[0.5, 0.1], [0.5 + i / 4000, 0.9]]], i % 10) for i in range(1000)]
    mh.save_drawings(tmp_path / "many.json", many)
    pad, asked = mh.draw(model, small, keep=tmp_path / "many.json"), []
    original = panels.evaluate
    monkeypatch.setattr(panels, "evaluate", lambda model, split: asked.append(len(split)) or original(model, split))
    pad.opened = ["mine"]
    assert asked == [1000, 1000]  # as drawn and as MNIST was made
    pad._receive({"keep": 7, "strokes": SEVEN})
    assert asked[2:] == [1, 1]
    assert pad.mine["sentence"].startswith("1001 kept. Read right as drawn: ")
    assert pad.mine["sentence"].endswith(f" The last {panels.SHOWN} are shown.")
    assert pad.mine["captions"] == [str(drawing.label) for drawing in pad.drawings[-panels.SHOWN :]]
    assert pad.mine["first"] == 1001 - panels.SHOWN
    assert torch.equal(digits(pad.mine["images"], panels.SHOWN)[-1], mh.render(mh.Drawing(SEVEN), fit=False))
    pad.show(pad.mine["first"] + 5)
    assert pad.strokes == [stroke.tolist() for stroke in pad.drawings[-panels.SHOWN + 5].strokes]


# Kept in a file


def test_two_pads_on_one_file_lose_nothing(model, small, tmp_path):
    file = tmp_path / "mine.json"
    first, second = (mh.draw(model, small, keep=file) for _ in range(2))
    assert not file.exists()
    for pad, label in [(first, 1), (second, 2), (first, 3)]:
        pad.strokes = SEVEN
        pad.keep(label)
    assert [drawing.label for drawing in mh.load_drawings(file)] == [1, 2, 3]
    assert numbers(first) == [1, 2, 3]
    second.forget()  # the 2: it has never shown the 3
    assert [drawing.label for drawing in mh.load_drawings(file)] == numbers(second) == [1, 3]
    first.forget()  # it shows 1, 2 and 3
    second.reload(format_drawings([mh.Drawing(ONE, 9)]))
    assert [drawing.label for drawing in mh.load_drawings(file)] == [1, 9]


def test_drawings_outlive_their_file_and_a_change_of_folder(model, small, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    pad = mh.draw(model, small, keep="mine.json")
    pad.strokes = SEVEN
    pad.keep(1)
    monkeypatch.chdir(tmp_path / "elsewhere")
    pad.keep(2)
    assert [drawing.label for drawing in mh.load_drawings(tmp_path / "mine.json")] == [1, 2]
    assert not list((tmp_path / "elsewhere").iterdir())
    (tmp_path / "mine.json").unlink()
    pad.keep(3)
    assert [drawing.label for drawing in mh.load_drawings(tmp_path / "mine.json")] == numbers(pad) == [1, 2, 3]


def test_a_folder_is_no_file_to_keep_drawings_in(model, small, tmp_path):
    mh.save_drawings(tmp_path / "one.json", [mh.Drawing(ONE, 1)])
    with pytest.raises(mh.ImageError, match="is a folder: name a file"):
        mh.draw(model, small, keep=tmp_path)


def test_a_new_pad_has_the_drawings_of_its_file(model, small, tmp_path):
    file = tmp_path / "mine.json"
    mh.save_drawings(file, [mh.Drawing(SEVEN, 7), mh.Drawing(ONE, 1)])
    pad = mh.draw(model, small, keep=str(file))
    assert numbers(pad) == [7, 1]
    pad.opened = ["mine"]
    assert pad.mine["captions"] == ["7", "1"]


def test_a_damaged_file_is_named_and_left_as_it_is(model, small, tmp_path):
    file = tmp_path / "mine.json"
    file.write_text('{"drawings": [{"lab')
    with pytest.raises(mh.ImageError, match=r"mine\.json does not hold drawings"):
        mh.draw(model, small, keep=file)
    assert file.read_text() == '{"drawings": [{"lab'


def test_a_file_damaged_meanwhile_brings_a_notice_and_is_left_as_it_is(model, small, tmp_path):
    file = tmp_path / "mine.json"
    pad = mh.draw(model, small, keep=file)
    pad._receive({"keep": 1, "strokes": ONE})
    file.write_text("oops")
    pad._receive({"keep": 7, "strokes": SEVEN})
    assert pad.notice == "mine.json does not hold drawings that were saved here."
    assert file.read_text() == "oops"
    assert numbers(pad) == [1]


@pytest.mark.parametrize("reason", ["a file where a folder should be", "read-only", "no space"])
def test_where_nothing_can_be_written_a_notice_says_so_and_nothing_is_lost(model, small, tmp_path, reason, monkeypatch):
    folder = tmp_path / "folder"
    if reason == "a file where a folder should be":
        folder.write_text("")
    else:
        folder.mkdir()
        mh.save_drawings(folder / "mine.json", [mh.Drawing(ONE, 1)])
    pad = mh.draw(model, small, keep=folder / "mine.json")
    before = numbers(pad)
    if reason == "read-only":
        if os.name == "nt" or os.geteuid() == 0:
            pytest.skip("the administrator may write everywhere")
        folder.chmod(0o500)
    if reason == "no space":

        def full(*args):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
    pad._receive({"keep": 7, "strokes": SEVEN})
    if reason == "read-only":
        folder.chmod(0o700)
    assert pad.notice.endswith(".")
    assert len(pad.notice) > 10
    assert pad.strokes == SEVEN
    assert numbers(pad) == before
    if folder.is_dir():
        assert [drawing.label for drawing in mh.load_drawings(folder / "mine.json")] == [1]


# The widget


def test_pads_do_not_share_what_they_hold(model, small):
    first, second = (mh.draw(model, small) for _ in range(2))
    first.strokes, first.unit, first.as_mnist, first.space = SEVEN, 3, False, "pixels"
    first.opened = ["layers", "map", "mine"]
    first.keep(7)
    assert (second.strokes, second.unit, second.as_mnist, second.space) == ([], -1, True, "last hidden layer")
    assert (second.opened, second.drawings, second.detail, second.map) == (["layers"], [], {}, {})
    assert second.prediction is None
    assert second.seen["sentence"].startswith("The pad is empty")


def test_the_browser_s_changes_are_looked_at(model, small):
    pad = mh.draw(model, small)
    pad.set_state({"strokes": SEVEN, "as_mnist": False, "unit": 5, "opened": ["layers", "mine"]})
    assert torch.equal(pad.prediction.image, mh.render(mh.Drawing(SEVEN), fit=False))
    assert pad.detail["sentence"].startswith("Neuron 5")
    assert pad.mine["sentence"].startswith("None kept yet")


def test_everything_can_be_sent_to_the_browser(model, small):
    pad = mh.draw(model, small)
    pad.opened, pad.strokes, pad.unit = ["layers", "map", "mine"], SEVEN, 3
    pad.keep(7)
    rest, _, buffers = _remove_buffers(pad.get_state())
    sent = json.loads(json.dumps(rest, allow_nan=False))
    assert {"strokes", "as_mnist", "opened", "space", "unit", "pen", "notice"} <= set(sent)
    assert {"seen", "detail", "map", "place", "mine"} <= set(sent)
    assert len(sent["seen"]["probabilities"]) == 10
    assert sum(map(len, buffers)) > 784 * 16
    assert "digit-pad" in sent["_esm"]


def test_the_pen_is_as_wide_as_the_one_that_draws(model, small):
    pad = mh.draw(model, small)
    assert pad.pen == PEN
    with pytest.raises(traitlets.TraitError):
        pad.pen = 5.0
